"""
=============================================
Watching ITQ and Spherical Hashing iterations
=============================================

Hashers that iterate take scikit-learn's callbacks: a
:class:`~sklearn.callback.ProgressBar` shows how far they are, and a
:class:`~sklearn.callback.ScoringMonitor` scores the codes that each iteration would
end in. This example asks whether the last iterations still help the ranking, and
whether the curve that a method lowers tells the same story.
"""

# %%
# Two methods, watched
# --------------------
# The monitor scores on the training rows: each image of the digits searches the others,
# and an image of the same digit is relevant.

from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits

from sklhash import ITQ, SphericalHashing
from sklhash.metrics import map_scorer

X, y = load_digits(return_X_y=True)


def watch(hasher):
    """Fit a hasher and give its mAP after each iteration."""
    monitor = ScoringMonitor(scoring={"map": map_scorer})
    hasher.set_callbacks(ProgressBar(), monitor).fit(X, y)
    return [row["map"] for row in monitor.get_logs().data if "map" in row]


itq = ITQ(n_bits=32, random_state=0)
spherical = SphericalHashing(n_bits=32, random_state=0)
scores = {"ITQ": watch(itq), "Spherical Hashing": watch(spherical)}

# %%
# What the methods lower, and what the ranking gains
# --------------------------------------------------
# Each method keeps its own curve: ITQ the quantization error, Spherical Hashing how far
# the overlaps of its balls are from a quarter of the rows.

import matplotlib.pyplot as plt
import numpy as np

curves = {
    "ITQ": ("quantization error", itq.quantization_error_),
    "Spherical Hashing": ("deviation of overlaps", spherical.overlap_errors_[:, 0]),
}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, (name, (label, curve)) in zip(axes, curves.items(), strict=True):
    iterations = np.arange(1, len(curve) + 1)
    ax.plot(iterations, scores[name], color="C0")
    ax.set(title=name, xlabel="iteration")
    ax.set_ylabel("mAP on the training rows", color="C0")
    twin = ax.twinx()
    twin.plot(iterations, curve, color="C1", linestyle="--")
    twin.set_ylabel(label, color="C1")
plt.show()

# %%
# What this shows
# ---------------
# ITQ's error never rises, and most of what it brings is there after a dozen iterations.
# Spherical Hashing evens out its balls, which is what it is after, but the ranking by
# digit follows for a dozen iterations only, and then loses what it had won. A callback
# whose hook returns True stops a fit there.

gain = scores["ITQ"][-1] - scores["ITQ"][0]
assert np.all(np.diff(itq.quantization_error_) <= 1e-9)
assert scores["ITQ"][11] - scores["ITQ"][0] > 0.7 * gain > 0
assert len(scores["Spherical Hashing"]) == spherical.n_iter_
assert spherical.overlap_errors_[-1, 0] <= spherical.tol_mean
assert max(scores["Spherical Hashing"]) > scores["Spherical Hashing"][-1] + 0.03
