"""
===================================================
Look at the bits: why a rotation makes codes better
===================================================

The signs of principal components are the simplest learned codes, and on the digits they
get worse as they get longer. The same directions, rotated, get better. Balanced and
uncorrelated bits are often said to be what makes a good code. The displays tell another
story.
"""

# %%
# Three codes from the same 32 directions
# ---------------------------------------

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklhash import ITQ, HammingRetriever, PCAHashing

X, y = load_digits(return_X_y=True)
X_gallery, X_query, y_gallery, y_query = train_test_split(
    X, y, test_size=300, stratify=y, random_state=0
)
hashers = {
    "PCA": PCAHashing(32),
    "PCA, random rotation": PCAHashing(32, rotation="random", random_state=0),
    "ITQ": ITQ(32, random_state=0),
}
retrievers = {
    name: HammingRetriever(hasher).fit(X_gallery, y_gallery)
    for name, hasher in hashers.items()
}

# %%
# Balance and correlation of the bits
# -----------------------------------
# All bits are set in about half of the images. Those of PCA are nearly uncorrelated,
# and those of ITQ are not. By this picture PCA should win.

import matplotlib.pyplot as plt

from sklhash.displays import BitStatisticsDisplay

fig = plt.figure(figsize=(10, 6.4), layout="constrained")
axes = fig.subplots(2, 2, height_ratios=[1, 3])
bits = {
    name: BitStatisticsDisplay.from_estimator(
        retrievers[name].hasher_,
        X_gallery,
        ax=axes[:, column],
        name=name,
        vmin=-0.6,
        vmax=0.6,
    )
    for column, name in enumerate(["PCA", "ITQ"])
}
plt.show()

# %%
# How well they rank
# ------------------
# It does not. Within any radius, the codes of ITQ find more of the images of the same
# digit, and fewer others.

from sklhash.displays import DistanceHistogramDisplay, PrecisionRecallByRadiusDisplay

scores = {
    name: retriever.score(X_query, y_query) for name, retriever in retrievers.items()
}
fig, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
for name, retriever in retrievers.items():
    PrecisionRecallByRadiusDisplay.from_estimator(
        retriever, X_query, y_query, ax=ax, name=f"{name}, mAP {scores[name]:.2f}"
    )
plt.show()

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
for ax, name in zip(axes, ["PCA", "ITQ"], strict=True):
    DistanceHistogramDisplay.from_estimator(
        retrievers[name], X_query, y_query, ax=ax, name=name
    )
    ax.set_title(f"{name}: mAP {scores[name]:.2f}")
axes[0].set_ylim(0, 0.2)
plt.show()

# %%
# Every bit counts as much as any other
# -------------------------------------
# The variance of the projections says where the data vary. The first components of PCA
# hold most of it, and the last next to none: their signs are mostly noise, but weigh
# as much in the distance as the first. A rotation spreads the variance over all bits.

import numpy as np

from sklhash.metrics import mean_average_precision

shares, eighths = {}, {}
for name, retriever in retrievers.items():
    variance = retriever.hasher_.decision_function(X_gallery).var(axis=0)
    shares[name] = variance / variance.sum()
    queries, gallery = (retriever.hasher_.transform(Z) for Z in (X_query, X_gallery))
    eighths[name] = [
        mean_average_precision(
            queries[:, part : part + 8], gallery[:, part : part + 8], y_query, y_gallery
        )
        for part in range(0, 32, 8)
    ]

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
styles = zip(hashers, ["#d55e00", "#56b4e9", "#0072b2"], ["-", ":", "--"], strict=True)
for place, (name, color, style) in enumerate(styles):
    left.plot(np.arange(1, 33), shares[name], style, color=color, label=name)
    places = np.arange(4) + 0.27 * (place - 1)
    right.bar(places, eighths[name], 0.25, color=color, label=name)
left.set(xlabel="bit", ylabel="share of the variance", title="Where the data vary")
left.legend()
chance = np.mean(y_query[:, None] == y_gallery)
right.axhline(chance, color="0.3", linewidth=1, label="guessing")
right.set_xticks(range(4), ["1 to 8", "9 to 16", "17 to 24", "25 to 32"])
right.set(xlabel="bits used", ylabel="mAP", title="Eight bits at a time")
right.legend(loc="upper right", ncols=2)
right.set_ylim(0, 0.6)
plt.show()

# %%
# What this shows
# ---------------
# Balanced, uncorrelated bits may still be noise: the last eight bits of PCA rank hardly
# better than guessing. After a rotation every part of the code does its share, although
# the bits of ITQ repeat each other more. Correlated bits waste room; noisy ones do
# harm.

mean_correlation = {
    name: np.abs(display.correlation[~np.eye(32, dtype=bool)]).mean()
    for name, display in bits.items()
}
print({name: round(float(value), 3) for name, value in mean_correlation.items()})
assert all(np.all(np.abs(each.balance - 0.5) < 0.1) for each in bits.values())
assert mean_correlation["PCA"] < 0.5 * mean_correlation["ITQ"]
assert scores["PCA"] + 0.1 < scores["PCA, random rotation"] < scores["ITQ"] - 0.05
assert eighths["PCA"][-1] < chance + 0.05
assert min(eighths["ITQ"]) > chance + 0.1
