"""
===========================================
What a bit looks like: hashers in the plane
===========================================

Each bit of a code cuts space in two. How it cuts depends on the method: along a plane,
around a ball, in stripes, or along the shape of the data. In two dimensions one can
look at it.
"""

# %%
# Two half moons
# --------------
# Six bits for 600 points, by eight methods. All but the last learn without labels. The
# ITQ of the paper has a bit for each direction of the data, at most, and here these are
# two. Spherical hashing wants any two balls to share a quarter of the points; a plane
# has not room enough for six of them, so more deviation is allowed than by default.

from sklearn.datasets import make_moons

from sklhash import (
    ITQ,
    AnchorGraphHashing,
    DensitySensitiveHashing,
    KernelSupervisedHashing,
    PCAHashing,
    RandomHyperplaneHashing,
    SpectralHashing,
    SphericalHashing,
)

X, y = make_moons(600, noise=0.06, random_state=0)

n_bits = 6
methods = {
    "random hyperplanes": RandomHyperplaneHashing(n_bits, random_state=0),
    "PCA, random rotation": PCAHashing(n_bits, rotation="random", random_state=0),
    "ITQ, two bits": ITQ(2, random_state=0),
    "density sensitive hashing": DensitySensitiveHashing(n_bits, random_state=0),
    "spectral hashing": SpectralHashing(n_bits, random_state=0),
    "spherical hashing": SphericalHashing(
        n_bits, tol_mean=0.5, tol_std=0.5, random_state=0
    ),
    "anchor graph hashing": AnchorGraphHashing(n_bits, n_anchors=100, random_state=0),
    "kernel supervised hashing": KernelSupervisedHashing(n_bits, random_state=0),
}
for hasher in methods.values():
    hasher.fit(X, y)

# %%
# Do near codes lie on the same moon?
# -----------------------------------
# The mean average precision (mAP) of the rankings: each point searches the others, and
# points of the same moon are relevant. Chance is about 0.5.

from sklhash.metrics import map_scorer

scores = {name: map_scorer(hasher, X, y) for name, hasher in methods.items()}

# %%
# Cells, and distances from one point
# -----------------------------------
# The lines are where a bit flips, where its projection is zero. Points in one cell have
# one code. The colour is the distance of the cell from the point marked by a star, in
# bits.

import matplotlib.pyplot as plt
import numpy as np

star = X[[np.argmin(X[:, 0])]]  # the tip of the upper moon
across, up = np.meshgrid(np.linspace(-1.4, 2.4, 229), np.linspace(-1.1, 1.6, 163))
grid = np.column_stack([across.ravel(), up.ravel()])
codes = {name: hasher.transform(grid) for name, hasher in methods.items()}

colors = plt.colormaps["viridis_r"].resampled(n_bits + 1)
fig, axes = plt.subplots(4, 2, figsize=(8.5, 12), layout="constrained")
for ax, (name, hasher) in zip(axes.flat, methods.items(), strict=True):
    distances = (codes[name] != hasher.transform(star)).sum(axis=1)  # bits
    image = ax.imshow(
        distances.reshape(across.shape),
        origin="lower",
        extent=(-1.4, 2.4, -1.1, 1.6),
        cmap=colors,
        vmin=-0.5,
        vmax=n_bits + 0.5,
        alpha=0.75,
    )
    for projection in hasher.decision_function(grid).T:
        projection = projection.reshape(across.shape)
        ax.contour(across, up, projection, [0], colors="black", linewidths=0.8)
    ax.scatter(*X.T, s=3, color="white", edgecolors="0.2", linewidths=0.3)
    ax.plot(*star.T, "*", markersize=16, color="#d55e00", markeredgecolor="white")
    ax.set(title=f"{name}: mAP {scores[name]:.2f}", xticks=[], yticks=[])
fig.colorbar(image, ax=axes, label="distance from the star, bits", shrink=0.4)
plt.show()

# %%
# How many cells?
# ---------------
# Lines through one point, the mean, cut the plane into two cells for each line. Lines
# that need not meet in a point make more cells, and circles and stripes still more.

cells = {name: len(np.unique(codes[name], axis=0)) for name in methods}
for name, count in cells.items():
    print(f"{name:26}{count:3} different codes")

# %%
# What this shows
# ---------------
# Hyperplanes through the mean cannot make more than twelve cells of six bits, wherever
# the points are. Spherical hashing makes more, and each of its balls holds half of the
# points. More cells are not better ones: lines, stripes and balls all measure how far
# things are in the plane, and the tips of the moons are near each other there. Anchor
# graph hashing measures along the moons without having seen a label, which is why it
# tells them apart. With labels that is easy, and six bits then say the same thing
# almost six times. In many dimensions, where no one can look, the pictures differ: the
# moons are made for graphs.

assert cells["random hyperplanes"] <= 2 * n_bits
assert cells["spherical hashing"] > 2 * n_bits + 6
inside = methods["spherical hashing"].transform(X).mean(axis=0)
assert np.all(np.abs(inside - 0.5) < 0.05)
cuts = set(methods) - {"anchor graph hashing", "kernel supervised hashing"}
best_cut = max(scores[name] for name in cuts)
assert scores["anchor graph hashing"] > best_cut + 0.08
assert scores["kernel supervised hashing"] > best_cut + 0.1
