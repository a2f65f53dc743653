"""
===================================
Find near-duplicates: which radius?
===================================

A picture that was darkened, blurred or saved with noise is still the same picture. With
codes, finding such copies is a radius search: all codes within so many bits. This
example picks the radius from an angle, and then checks what it finds.
"""

# %%
# Tiles, and altered copies
# -------------------------
# Two photographs, cut into tiles of 32 x 32 pixels. Every third tile gets three copies:
# a darker one, a blurred one and a noisy one. Tiles with hardly anything on them, such
# as the sky, are left out: they are all alike.

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

rng = np.random.RandomState(0)
size = 32
photos = [photo.mean(axis=2) / 255 for photo in load_sample_images().images]
tiles = np.array(
    [
        photo[row : row + size, column : column + size]
        for photo in photos
        for row in range(0, photo.shape[0] - size + 1, size)
        for column in range(0, photo.shape[1] - size + 1, size)
    ]
)
tiles = tiles[tiles.std(axis=(1, 2)) > 0.06]
copied = tiles[::3]
noise = rng.normal(0, 0.05, copied.shape)
copies = [0.6 * copied, gaussian_filter(copied, (0, 1, 1)), copied + noise]
images = np.concatenate([tiles, *copies]).clip(0, 1)
originals = np.arange(len(tiles))
original = np.concatenate([originals, *[originals[::3]] * 3])
print(f"{len(tiles)} tiles, {len(images)} images")

# %%
# Rows whose angle tells how alike they are
# -----------------------------------------
# Tiles are shrunk to 16 x 16 pixels and lose their mean, so that brightness and
# contrast do not count: what remains is the angle between two rows. Each bit of random
# hyperplanes through zero differs with probability angle / 180 degrees. So a radius of
# 20 of 128 bits stands for an angle of about 28 degrees.

from sklhash import HammingRetriever, RandomHyperplaneHashing

X = images.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(len(images), -1)
X -= X.mean(axis=1, keepdims=True)

n_bits, radius = 128, 20
hasher = RandomHyperplaneHashing(n_bits, center=False, random_state=0)
retriever = HammingRetriever(hasher, radius=radius).fit(X)

# %%
# Search within the radius
# ------------------------
# Without queries, each image of the gallery searches the others.

distances, positions = retriever.radius_neighbors()
found = np.concatenate(positions)
asking = np.repeat(np.arange(len(X)), [len(answer) for answer in positions])
right = original[found] == original[asking]
_, family = np.unique(original, return_counts=True)
n_pairs = np.sum(family * (family - 1))
recall, precision = right.sum() / n_pairs, right.mean()
print(f"radius {radius} bits: recall {recall:.3f}, precision {precision:.3f}")

# %%
# Was the radius a good choice?
# -----------------------------
# Distances of copies and of different tiles; and, pair by pair, what each radius would
# have given.

import matplotlib.pyplot as plt

from sklhash.displays import DistanceHistogramDisplay

fig, (left, right_side) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
display = DistanceHistogramDisplay.from_estimator(
    retriever, X, original, gallery="self", ax=left, name="random hyperplanes"
)
left.axvline(radius, color="black", linewidth=1)

radii = np.arange(49)
hits = np.cumsum(display.relevant)[radii]
others = np.cumsum(display.irrelevant)[radii]
recalls, precisions = hits / n_pairs, hits / (hits + others)
right_side.plot(radii, precisions, color="#d55e00", label="precision")
right_side.plot(radii, recalls, "--", color="#0072b2", label="recall")
right_side.axvline(radius, color="black", linewidth=1, label="chosen radius")
right_side.set(xlabel="radius (bits)", ylabel="share of pairs", ylim=(0, 1.03))
right_side.set_title("Pairs found by a radius search")
right_side.legend(bbox_to_anchor=(1, 0.92), loc="upper right")
plt.show()

# %%
# What was found
# --------------
# Darkened tiles as queries. Their family, which is the tile itself and its two other
# copies, should come first, and all others lie beyond the radius.

from sklhash.displays import RetrievedImagesDisplay

queries = len(tiles) + np.arange(0, len(copied), len(copied) // 5)[:5]
near, nearest = retriever.kneighbors(n_neighbors=5)  # none finds itself
near, nearest = near[queries], nearest[queries]
RetrievedImagesDisplay.from_predictions(
    images[queries],
    images,
    nearest,
    distances=near,
    relevant=original[nearest] == original[queries, None],
    cmap="gray",
)
plt.show()

# %%
# What this shows
# ---------------
# The bits measure the angle, and within the radius lie nearly all copies and few other
# tiles. Those are best looked at: one piece of sky resembles the next, and whether that
# is a duplicate is not for the bits to say. A radius wants a reason, or some pairs that
# are known; the default of 2 bits is for short codes, and would have missed most
# copies.

unit = X / np.linalg.norm(X, axis=1, keepdims=True)
angles = np.degrees(np.arccos((unit @ unit.T).clip(-1, 1)))
expected = n_bits * angles / 180
distances, positions = retriever.kneighbors(X, n_neighbors=len(X))
error = distances - np.take_along_axis(expected, positions, axis=1)
print(f"bits less what the angle tells: {error.mean():.2f} ±{error.std():.2f}")

assert abs(error.mean()) < 3
assert recall > 0.9
assert precision > 0.8
assert recalls[2] < 0.5

# sphinx_gallery_thumbnail_number = 2
