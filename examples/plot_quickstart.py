"""
========================================================
Quickstart: how much of the ranking survives in few bits
========================================================

A hasher turns rows of floats into short binary codes, and a retriever searches them by
counting differing bits. This example hashes the 8 x 8 digits with every method, asks
how well the codes rank images of the same digit, and compares with rankings of the raw
pixels, which take 2048 bits an image (64 floats of 32 bits).
"""

# %%
# Data and protocol
# -----------------
# A fifth of the images are the queries; the others are what the methods learn from and
# what is searched, the gallery. An image is relevant to a query of the same digit.
# Three stratified splits, each with a seed of its own for the methods that draw random
# numbers, give a mean and a spread.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
splits = [
    train_test_split(np.arange(len(X)), test_size=0.2, stratify=y, random_state=seed)
    for seed in range(3)
]

# %%
# Every method at 16, 32 and 64 bits
# ----------------------------------
# The score of a :class:`~sklhash.HammingRetriever` is the mean average precision (mAP)
# over the whole ranking. Codes this short leave many images at equal distance; the
# score is the mean over all orders of the tied ones, so it does not depend on luck.

from sklhash import (
    ITQ,
    AnchorGraphHashing,
    DensitySensitiveHashing,
    HammingRetriever,
    IsotropicHashing,
    KernelSupervisedHashing,
    PCAHashing,
    RandomHyperplaneHashing,
    SoftPairwiseHasher,
    SpectralHashing,
    SphericalHashing,
    SSDHHasher,
    SupervisedDiscreteHashing,
    UHGAHasher,
)


def map_of_codes(hasher):
    """Give the mAP of a hasher's codes on each split."""
    scores = []
    for seed, (gallery, queries) in enumerate(splits):
        retriever = HammingRetriever(hasher.set_params(random_state=seed))
        retriever.fit(X[gallery], y[gallery])
        scores.append(retriever.score(X[queries], y[queries]))
    return np.array(scores)


supervised = {
    "supervised discrete hashing": SupervisedDiscreteHashing(),
    "soft pairwise, a network": SoftPairwiseHasher(),
    "kernel supervised hashing": KernelSupervisedHashing(),
    "ITQ, labels (CCA)": ITQ(projection="cca"),
}
unsupervised = {
    "anchor graph hashing": AnchorGraphHashing(),
    "UHGA, a network": UHGAHasher(),
    "ITQ": ITQ(),
    "SSDH, a network": SSDHHasher(),
    "isotropic hashing": IsotropicHashing(),
    "PCA, random rotation": PCAHashing(rotation="random"),
    "density sensitive hashing": DensitySensitiveHashing(),
    "random hyperplanes, orthogonal": RandomHyperplaneHashing(orthogonal=True),
    "random hyperplanes": RandomHyperplaneHashing(),
    "spherical hashing": SphericalHashing(),
    "spectral hashing": SpectralHashing(),
    "PCA": PCAHashing(),
}
methods = supervised | unsupervised
lengths = [16, 32, 64]

# The digits vary in 61 of their 64 pixels: some methods have no 64 directions to offer.
scores = {
    (name, n_bits): map_of_codes(hasher.set_params(n_bits=n_bits))
    for name, hasher in methods.items()
    for n_bits in lengths
    if (name, n_bits) not in [("PCA", 64), ("isotropic hashing", 64)]
}

# %%
# The raw pixels for reference
# ----------------------------
# The same measure, with the same rules, takes any matrix of distances.

from sklearn.metrics.pairwise import cosine_distances, euclidean_distances

from sklhash.metrics import mean_average_precision

references = {
    name: np.array(
        [
            mean_average_precision(
                relevance=y[queries, None] == y[gallery],
                distances=pairwise_distances(X[queries], X[gallery]),
            )
            for gallery, queries in splits
        ]
    )
    for name, pairwise_distances in [
        ("pixels, cosine", cosine_distances),
        ("pixels, Euclidean", euclidean_distances),
    ]
}

# %%
# The table
# ---------

print("mAP on the digits, mean ± s.d. over 3 splits and seeds")
print(f"{'method':31}" + "".join(f"{n_bits:>9} bits " for n_bits in lengths))
for name in methods:
    cells = [scores.get((name, n_bits)) for n_bits in lengths]
    print(
        f"{name:31}"
        + "".join(
            f"{'–':>14}" if cell is None else f"{cell.mean():8.3f} ±{cell.std():.3f}"
            for cell in cells
        )
    )
for name, cell in references.items():
    print(f"{name:31}{cell.mean():8.3f} ±{cell.std():.3f}  (2048 bits)")

# %%
# The curves, and what a few queries find
# ---------------------------------------
# Below the curves: six queries and the first images that 32 bits of ITQ, without any
# label, find for them. Wrong digits are framed.

import matplotlib.pyplot as plt

fig = plt.figure(figsize=(9, 10), layout="constrained")
fig.get_layout_engine().set(h_pad=0.06)
top, bottom = fig.subfigures(2, 1, height_ratios=[1.1, 1.15])

axes = top.subplots(2, 1, sharex=True, height_ratios=[1, 2.2])
for ax, names in zip(axes, [supervised, unsupervised], strict=True):
    for i, name in enumerate(names):
        bits = [n_bits for n_bits in lengths if (name, n_bits) in scores]
        mean = np.array([scores[name, n_bits].mean() for n_bits in bits])
        spread = np.array([scores[name, n_bits].std() for n_bits in bits])
        color = plt.colormaps["tab20"](i)
        ax.plot(bits, mean, marker="o", color=color, label=name)
        ax.fill_between(bits, mean - spread, mean + spread, color=color, alpha=0.2)
for (name, cell), style in zip(references.items(), ["--", ":"], strict=True):
    axes[1].axhline(cell.mean(), color="0.4", linestyle=style, label=name)
for ax, title in zip(axes, ["with labels", "without labels"], strict=True):
    ax.set(ylabel="mAP", title=f"How well codes rank the digits, {title}")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
axes[1].set_xscale("log", base=2)
axes[1].set_xticks(lengths, [str(n_bits) for n_bits in lengths])
axes[1].minorticks_off()
axes[1].set_xlabel("bits per code")

gallery, queries = splits[0]
queries = [queries[y[queries] == digit][0] for digit in (0, 2, 3, 5, 8, 9)]
retriever = HammingRetriever(ITQ(32, random_state=0), n_neighbors=10).fit(X[gallery])
distances, positions = retriever.kneighbors(X[queries])

axes = bottom.subplots(len(queries), 11)
for row, query, found, bits in zip(
    axes, queries, gallery[positions], distances, strict=True
):
    labels = ["query", *("1 bit" if d == 1 else f"{d} bits" for d in bits)]
    for cell, image, label in zip(row, [query, *found], labels, strict=True):
        cell.imshow(X[image].reshape(8, 8), cmap="gray_r")
        cell.set_title(label, fontsize=7, pad=2)
        cell.set(xticks=[], yticks=[])
        wrong = y[image] != y[query]
        cell.spines[:].set(visible=wrong, color="C3", linewidth=2.5)
bottom.suptitle("Nearest images by 32 bits of ITQ")
fig.savefig("quickstart.png", dpi=110)

# %%
# What this shows
# ---------------
# Without labels, ITQ ranks as well in 64 bits as the pixels do in 2048, and better than
# all other methods but two. Anchor graph hashing and the network of UHGA rank better
# than the pixels: they follow the shape of the data, which on the digits is that of the
# classes. With labels, 16 bits rank far better than all
# pixels. Plain PCA gets worse with more bits, as late components are mostly noise.

mean = {key: cell.mean() for key, cell in scores.items()}
pixels = max(cell.mean() for cell in references.values())
above_pixels = {"anchor graph hashing", "UHGA, a network"}
planes_and_balls = set(unsupervised) - {"ITQ", *above_pixels}
assert mean["ITQ", 64] > pixels
assert all(mean[name, 16] > pixels + 0.15 for name in supervised)
assert all(mean[name, 16] > pixels + 0.03 for name in above_pixels)
assert mean["PCA", 32] < mean["PCA", 16]
for n_bits in lengths:
    rivals = [
        mean[name, n] for name, n in mean if name in planes_and_balls and n == n_bits
    ]
    assert mean["ITQ", n_bits] > max(rivals)
