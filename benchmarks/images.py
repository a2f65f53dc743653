"""Train a small convolutional net on images, end to end, beside ITQ on their pixels.

    python benchmarks/images.py --data cifar10_images10k.npz

The file holds images `x_train`, `x_test`, bytes of shape (n, height, width, channels),
and classes `y_train`, `y_test`. SoftPairwiseHasher learns from the training images and
their classes, ITQ from their pixels. The test images are the queries, the training
images the gallery; an image is relevant to a query of its class. The score is the mAP
of the whole ranking, averaged over all orders of equally distant images. Times depend
on the machine.

Without a file the script does the same with the 8 x 8 digits, in seconds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklhash import ITQ, SoftPairwiseHasher
from sklhash.metrics import mean_average_precision


def parse_arguments():
    """Read the command line; other programs' arguments are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="cifar10_images10k.npz")
    parser.add_argument("--bits", type=int, default=48)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, help="number of seeds")
    return parser.parse_known_args()[0]


def read(path):
    """Images of gallery and queries, channels first, and their classes."""
    with np.load(path, allow_pickle=False) as file:
        images = (np.moveaxis(file[name], 3, 1) for name in ("x_train", "x_test"))
        return *images, file["y_train"], file["y_test"]


def read_digits():
    """Images of gallery and queries, channels first, and their classes."""
    X, y = load_digits(return_X_y=True)
    images = (X.reshape(-1, 1, 8, 8) * 15).astype(np.uint8)
    return train_test_split(images, y, test_size=0.2, stratify=y, random_state=0)


def score(hasher, gallery, queries, y_gallery, y_queries):
    """Mean average precision of a fitted hasher."""
    codes = hasher.encode(queries), hasher.encode(gallery)
    return mean_average_precision(*codes, y_queries, y_gallery)


arguments = parse_arguments()
data = read(arguments.data) if arguments.data else read_digits()
gallery, queries, y_gallery, y_queries = data
n_epochs = arguments.epochs or (20 if arguments.data else 3)
pixels = [images.reshape(len(images), -1) for images in (gallery, queries)]
maps = []
for seed in range(arguments.seeds or (3 if arguments.data else 1)):
    itq = ITQ(arguments.bits, random_state=seed).fit(pixels[0])
    net = SoftPairwiseHasher(arguments.bits, max_epochs=n_epochs, random_state=seed)
    start = time.perf_counter()
    net.fit(gallery, y_gallery)
    seconds = time.perf_counter() - start
    maps.append((score(itq, *pixels, y_gallery, y_queries), score(net, *data)))
    print(
        f"seed {seed}: mAP of ITQ on pixels {maps[-1][0]:.4f}, of the network "
        f"{maps[-1][1]:.4f}, after {n_epochs} epochs in {seconds:.0f} s on "
        f"{torch.get_num_threads()} threads",
        flush=True,
    )
(itq, net), (itq_spread, net_spread) = np.mean(maps, axis=0), np.std(maps, axis=0)
print(
    f"{len(gallery)} gallery images, {len(queries)} queries, {arguments.bits} bits: "
    f"{itq:.4f} ±{itq_spread:.4f} and {net:.4f} ±{net_spread:.4f}, ratio "
    f"{net / itq:.2f}"
)
