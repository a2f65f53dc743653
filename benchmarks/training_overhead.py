"""Epoch times of the deep hashers beside those of a plain PyTorch loop.

    python benchmarks/training_overhead.py

Both train the same network with the same loss, optimiser and batches, in turns, one
epoch each, and end with the same weights. What the hashers add is skorch's bookkeeping,
the learning curves, and batches that are gathered from the rows one after the other.
Prints the median ratio of the epoch times. With a GPU at hand, epochs there, too.
"""

import argparse
import time

import numpy as np
import torch

from sklhash import SoftPairwiseHasher, UHGAHasher
from sklhash.deep.design import build_module
from sklhash.deep.examples import epoch_order


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--bits", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=6)
    return parser.parse_known_args()[0]


class PlainLoop:
    """What one would write by hand, for the hasher's network and loss."""

    def __init__(self, hasher, X, y, device):
        torch.default_generator.manual_seed(hasher._seed)
        self.module = build_module(hasher._design).to(device)
        self.criterion = hasher._criterion().to(device)
        self.optimizer = torch.optim.Adam(
            self.module.parameters(), lr=hasher.lr, fused=True
        )
        self.seed, self.epoch = hasher._seed, 0
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.batch_size, self.device = hasher.batch_size, device

    def run_epoch(self):
        """Train for one epoch."""
        self.module.train()
        order = torch.from_numpy(epoch_order(len(self.X), self.seed, self.epoch))
        self.epoch += 1
        for rows in order.split(self.batch_size):
            if len(rows) < self.batch_size:
                break
            x = self.X[rows].to(self.device)
            targets = x if self.y is None else self.y[rows].to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.module(x), targets)
            loss.backward()
            self.optimizer.step()


def compare(hasher, X, y, targets, device, n_epochs):
    """Epoch times of both, in turns, and how far their weights are apart."""
    hasher.set_params(max_epochs=0, device=device).fit(X, y)  # knows its design
    plain = PlainLoop(hasher, X, targets, device)
    hasher.set_params(max_epochs=1, warm_start=True)
    times = []
    for _ in range(n_epochs):
        start = time.perf_counter()
        plain.run_epoch()
        synchronize(device)
        middle = time.perf_counter()
        hasher.fit(X, y)
        times.append((middle - start, hasher.net_.history[-1]["dur"]))
    weights = zip(
        plain.module.parameters(), hasher.net_.module_.parameters(), strict=True
    )
    return np.array(times), max((p - q).abs().max().item() for p, q in weights)


def synchronize(device):
    """Wait until the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()


arguments = parse_arguments()
rng = np.random.RandomState(0)
X = rng.standard_normal((arguments.rows, arguments.features)).astype(np.float32)
Y = (rng.random_sample((arguments.rows, 20)) < 0.15).astype(np.float32)
Y[np.arange(len(Y)), rng.randint(20, size=len(Y))] = 1

settings = {"lr_decay": 1, "random_state": 0, "hidden_units": (512,)}
hashers = {
    "SoftPairwiseHasher": (SoftPairwiseHasher(arguments.bits, **settings), Y, Y),
    "UHGAHasher": (UHGAHasher(arguments.bits, **settings), None, X),
}
print(f"{arguments.rows} rows, {arguments.features} features, {arguments.bits} bits")
for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
    for name, (hasher, y, targets) in hashers.items():
        times, apart = compare(hasher, X, y, targets, device, arguments.epochs)
        plain, ours = np.median(times, axis=0)
        ratio = np.median(times[:, 1] / times[:, 0])
        print(
            f"{device:5} {name:20} plain {plain * 1e3:7.1f} ms an epoch, ours "
            f"{ours * 1e3:7.1f} ms, ratio {ratio:.3f}; weights apart {apart:.1e}"
        )
