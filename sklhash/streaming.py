"""Learning from rows that come in batches."""

from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.utils import gen_batches
from sklearn.utils.extmath import safe_sparse_dot

from ._sklearn import get_namespace_and_device, move_to
from .base import BaseHasher
from .rows import astype, float_dtypes, stack, take

#: Numbers held in float64 at once while rows are added up.
BLOCK_SIZE = 2**22


@dataclass
class Moments:
    """Mean and scatter matrix of all rows so far, merged exactly (Chan et al., 1979).

    Each block is centred on its own mean before it is squared, so large offsets cost
    no precision. Rows are summed where they lie; the sums are NumPy arrays.
    """

    n_samples: int = 0
    mean: np.ndarray | None = None  # (n_features,)
    scatter: np.ndarray | None = None  # (n_features, n_features)

    def update(self, *columns):
        """Add rows.

        Parameters
        ----------
        *columns : {array, CSR matrix} of shape (n_samples, n_columns)
            Blocks of the rows' columns, side by side. Sparse ones follow the first
            to its array namespace and device.
        """
        width = sum(X.shape[1] for X in columns)
        if self.n_samples == 0:
            self.mean = np.zeros(width)
            self.scatter = np.zeros((width, width))
        for rows in gen_batches(columns[0].shape[0], max(1, BLOCK_SIZE // width)):
            self._merge(_side_by_side([X[rows, :] for X in columns]))

    def add(self, batches):
        """Add all rows of some batches.

        Parameters
        ----------
        batches : iterable of {array, CSR matrix} of shape (n_samples, n_features)
        """
        for X in batches:
            self.update(X)

    def _merge(self, X):
        n = X.shape[0]
        total = self.n_samples + n
        with np.errstate(over="ignore", invalid="ignore"):  # `covariance` will tell
            mean, scatter = _mean_and_scatter(X)
            delta = mean - self.mean
            # Another array: from some namespaces it came as one that is read-only.
            scatter = scatter + np.outer(delta, delta) * (self.n_samples * n / total)
            scatter += self.scatter  # not the other way round: see `all_or_nothing`
        self.mean = self.mean + delta * (n / total)
        self.scatter, self.n_samples = scatter, total

    @contextmanager
    def all_or_nothing(self):
        """Forget rows added within, if adding them breaks off, as by an interrupt.

        Arrays are replaced by others, never changed, so nothing is copied.
        """
        before = vars(self).copy()
        try:
            yield
        except BaseException:
            self.__dict__.update(before)
            raise

    def covariance(self):
        """Covariance with denominator n - 1.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)

        Raises
        ------
        ValueError
            If the squares of the rows are too large for floats.
        """
        if not np.isfinite(self.scatter).all():
            raise ValueError("X is so large that its squares overflow: scale it down")
        return self.scatter / (self.n_samples - 1)


def _side_by_side(blocks):
    """Join columns in float64; sparse only if all of them are."""
    if all(sp.issparse(block) for block in blocks):
        return sp.hstack(blocks, format="csr", dtype=np.float64)
    xp, _, device = get_namespace_and_device(blocks[0])
    dtype = float_dtypes(blocks[0])[0]
    dense = [block.toarray() if sp.issparse(block) else block for block in blocks]
    dense = [astype(move_to(X, xp=xp, device=device), dtype) for X in dense]
    return dense[0] if len(dense) == 1 else xp.concat(dense, axis=1)


def _mean_and_scatter(X):
    """Mean and sum of centred squares of one block, exact to rounding."""
    if sp.issparse(X):
        return _sparse_mean_and_scatter(X)
    xp, _, _ = get_namespace_and_device(X)
    mean = xp.mean(X, axis=0)
    centred = X - mean
    rounding = xp.mean(centred, axis=0)  # a plain sum of large values is off by more
    centred -= rounding
    return move_to(mean + rounding, centred.T @ centred, xp=np, device="cpu")


def _sparse_mean_and_scatter(X):
    """Do the same without centring, which would fill the matrix.

    Subtracting ``n mean mean^T`` afterwards cancels digits only in columns without a
    zero; those can be shifted first and stay as they are in structure.
    """
    n = X.shape[0]
    shifted = X.copy()
    shifted.sum_duplicates()
    full = np.bincount(shifted.indices, minlength=X.shape[1]) == n
    shift = np.where(full, np.asarray(X.mean(axis=0)).ravel(), 0)
    shifted.data -= shift[shifted.indices]
    mean = np.asarray(shifted.mean(axis=0)).ravel()
    squares = safe_sparse_dot(shifted.T, shifted, dense_output=True)
    return shift + mean, squares - n * np.outer(mean, mean)


@dataclass
class Reservoir:
    """A uniform sample of all rows so far (Vitter's algorithm R).

    It draws one random number a row, so the sample does not depend on how the rows
    are split into batches; up to `max_samples` rows, it is all of them in order.
    """

    max_samples: int | None
    rng: np.random.RandomState
    n_seen: int = 0
    parts: list = field(default_factory=list)  # of {array, CSR matrix}

    replaced = None  # what `all_or_nothing` would put back

    @property
    def rows(self):
        """The sample, a {array, CSR matrix} of shape (n_kept, n_features)."""
        if len(self.parts) > 1:
            self.parts = [stack(self.parts)]
        return self.parts[0]

    def update(self, X):
        """Offer rows.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
        """
        n_samples = X.shape[0]
        room = n_samples
        if self.max_samples is not None:
            room = min(n_samples, max(0, self.max_samples - self.n_seen))
            place = self.n_seen + np.arange(n_samples)
            slots = np.floor(self.rng.random_sample(n_samples) * (place + 1))
            taken = room + np.flatnonzero(slots[room:] < self.max_samples)
        self.n_seen += n_samples
        if room:
            self.parts.append(take(X, np.arange(room)))
        if room < n_samples and len(taken):
            self._replace(slots[taken].astype(int), X, taken)

    @contextmanager
    def all_or_nothing(self):
        """Forget rows offered within, if that breaks off, as by an interrupt."""
        before, state = {**vars(self), "parts": self.parts[:]}, self.rng.get_state()
        replaced = self.replaced = []
        try:
            yield
            self.__dict__.pop("replaced", None)  # here: even this may be interrupted
        except BaseException:
            for rows, _, kept in reversed(replaced):
                for slots, values in kept:
                    rows[slots] = values
            self.__dict__.pop("replaced", None)
            self.__dict__.update(before)
            self.rng.set_state(state)
            raise

    def add(self, batches):
        """Offer all rows of some batches.

        Parameters
        ----------
        batches : iterable of {array, CSR matrix} of shape (n_samples, n_features)
        """
        for X in batches:
            self.update(X)

    def _keep(self, rows, slots):
        """Keep what lies in slots, unless it came within `all_or_nothing` itself."""
        if not self.replaced or self.replaced[-1][0] is not rows:
            self.replaced.append((rows, np.zeros(len(rows), bool), []))
        _, known, kept = self.replaced[-1]
        new = slots[~known[slots]]
        kept.append((new, rows[new]))
        known[new] = True

    def _replace(self, slots, X, taken):
        """Put taken rows into slots; the last one stays where several want one."""
        slots, last = np.unique(slots[::-1], return_index=True)
        offered, rows = take(X, taken[len(taken) - 1 - last]), self.rows
        if isinstance(rows, np.ndarray):
            dtype = np.result_type(rows.dtype, offered.dtype)
            if rows.dtype != dtype or not rows.flags.writeable:
                rows = rows.astype(dtype)
            if self.replaced is not None:
                self._keep(rows, slots)
            rows[slots] = offered.toarray() if sp.issparse(offered) else offered
        else:
            order = np.arange(rows.shape[0])
            order[slots] = rows.shape[0] + np.arange(len(slots))
            rows = take(stack([rows, offered]), order)
        self.parts = [rows]


class StreamingHasher(BaseHasher):
    """Base class of hashers that learn from running statistics of the rows.

    A subclass names in `_learned` the attributes that depend on the rows and writes
    `_learn`, which finds them. Its `fit` ends in `_learn_now`; its `partial_fit` begins
    with `_resume` and ends in `_learn_later`, which leaves the learning to whoever
    first asks for one of the attributes: not every small batch pays for it. One thread
    at a time may call `partial_fit`.
    """

    _learned: tuple[str, ...] = ()

    @abstractmethod
    def _learn(self, seen, data=None):
        """Find the learned attributes.

        Parameters
        ----------
        seen : object
            Whatever the subclass keeps of the rows.
        data : tuple (X, y), default=None
            What `fit` was given, for callbacks; None in a stream.

        Returns
        -------
        learned : dict of str to object
            Values of some or all attributes named in `_learned`.
        """

    def _learn_now(self, seen, data=None):
        learned = self._learn(seen, data)
        self._forget()
        self.__dict__.update(learned, _seen=seen, _resumed=False)
        return self

    def _learn_later(self, seen):
        self._forget()
        self._seen, self._resumed = seen, True
        return self

    def _resume(self):
        """Give what is kept of earlier rows, or None if there were none."""
        learned = any(name in vars(self) for name in self._learned)
        if learned and "_seen" not in vars(self):
            raise ValueError(
                f"this {type(self).__name__} was fitted by fit and then copied or "
                "pickled, which leaves its running sums behind: call partial_fit on a "
                "clone, from the first rows on"
            )
        return vars(self).get("_seen")

    def _batches(self, X, method):
        batches = super()._batches(X, method)
        self._learn_if_due()  # here, not in each thread of `encode`
        return batches

    def _learn_if_due(self):
        for name in self._learned[:1]:
            getattr(self, name)

    def _forget(self):
        for name in ("_seen", *self._learned):
            self.__dict__.pop(name, None)

    def __getattr__(self, name):
        """Learn from the rows that `partial_fit` has added, on first use."""
        if name in type(self)._learned and "_seen" in vars(self):
            self._validate_params()  # they may have been set since `partial_fit`
            try:
                self.__dict__.update(self._learn(self._seen))
            except ValueError as error:
                raise NotFittedError(
                    f"cannot learn from these rows: {error}"
                ) from error
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def __getstate__(self):
        """Leave the running sums out, unless `partial_fit` is at work with them."""
        state = super().__getstate__().copy()
        if not state.get("_resumed"):
            state.pop("_seen", None)
        return state
