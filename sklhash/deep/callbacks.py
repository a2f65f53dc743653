"""What happens between the steps of training, as callbacks of skorch."""

import numpy as np
import torch
from skorch.callbacks import Callback

#: Rows of an epoch whose distinct codes are counted.
COUNTED_ROWS = 10_000


class LearningCurves(Callback):
    """Record the loss's terms and the state of the codes, epoch by epoch."""

    def on_epoch_begin(self, net, **kwargs):
        """Start again; let go of the last epoch's batches."""
        self.n_rows_, self.sums_, self.ones_, self.codes_ = 0, 0, 0, []
        if len(net.history) > 1:
            net.history[-2]["batches"].clear()

    def on_batch_end(self, net, *, training, y_pred, watched, **kwargs):
        """Add up what is watched, on the device."""
        if not training:
            return
        bits = y_pred.detach() > 0
        if self.n_rows_ < COUNTED_ROWS:
            self.codes_.append(bits)
        self.n_rows_ += len(bits)
        self.ones_ += bits.sum(0)
        self.names_ = tuple(watched)
        self.sums_ += len(bits) * torch.stack(tuple(watched.values())).detach()

    def on_epoch_end(self, net, **kwargs):
        """Record means.

        Raises
        ------
        ValueError
            If the loss is no number any more.
        """
        if not np.isfinite(net.history[-1, "train_loss"]):
            raise ValueError(
                f"training diverged in epoch {len(net.history)}, its loss is "
                f"{net.history[-1, 'train_loss']}: lower lr={net.lr}"
            )
        means = (self.sums_ / self.n_rows_).tolist()
        for name, value in zip(self.names_, means, strict=True):
            net.history.record(name, value)
        share = self.ones_ / self.n_rows_
        balance = (2 * torch.minimum(share, 1 - share)).mean()
        codes = np.packbits(torch.cat(self.codes_).cpu().numpy(), axis=1)
        net.history.record("bit_balance", float(balance))
        distinct = {code.tobytes() for code in codes}  # faster than np.unique
        net.history.record("distinct_codes", len(distinct))


class StaircaseDecay(Callback):
    """Multiply learning rates by a factor, every so many steps of training.

    Parameters
    ----------
    factor : float
    every : int
        Steps.
    """

    def __init__(self, factor, every):
        self.factor = factor
        self.every = every

    def on_batch_begin(self, net, *, training, **kwargs):
        """Set the learning rates of this step."""
        if training and self.factor != 1:
            decay = self.factor ** (net.criterion_.step // self.every)
            for group in net.optimizer_.param_groups:
                group["lr"] = group["initial_lr"] * decay


class Reporter(Callback):
    """Tell scikit-learn's callbacks about each epoch.

    Parameters
    ----------
    reports : iterable of callable
        As from ``BaseHasher._iterations``.
    """

    def __init__(self, reports):
        self.reports = reports

    def on_train_begin(self, net, **kwargs):
        """Begin with the first report."""
        self.next_ = iter(self.reports)

    def on_epoch_end(self, net, **kwargs):
        """Report; stop, as skorch does it, if a callback asks for that."""
        if next(self.next_)(net):
            raise KeyboardInterrupt


def learning_curves(history):
    """Give what all epochs recorded.

    Parameters
    ----------
    history : History
        Of skorch.

    Returns
    -------
    curves : dict of str to ndarray of shape (n_epochs,)
        Numbers only.
    """
    numbers = (int, float)
    names = {  # a dict, for its order; an interrupted epoch records less than others
        name: None
        for epoch in history
        for name, value in epoch.items()
        if isinstance(value, numbers) and not isinstance(value, bool)
    }
    missing = float("nan")  # an interrupted epoch, or a term that others did not have
    return {
        name: np.array([epoch.get(name, missing) for epoch in history])
        for name in names
        if not name.endswith("_batch_count")
    }
