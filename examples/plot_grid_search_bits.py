"""
===============================================
Choose the number of bits by one standard error
===============================================

Longer codes mostly rank better, but by less and less, and a grid search that asks for
the best score takes the longest code that it is offered. A common rule takes the
simplest candidate within one standard error of the best: here, the fewest bits.
"""

# %%
# A grid of code lengths
# ----------------------
# In each of five folds the training rows are the gallery and the held-out rows ask. The
# score is mean average precision. ``refit=fewest_bits`` hands the choice to the rule.

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from sklhash import HammingRetriever, SupervisedDiscreteHashing
from sklhash.model_selection import fewest_bits

X, y = load_digits(return_X_y=True)
X_gallery, X_query, y_gallery, y_query = train_test_split(
    X, y, test_size=300, stratify=y, random_state=0
)
lengths = [8, 12, 16, 24, 32, 48, 64, 96]
search = GridSearchCV(
    HammingRetriever(SupervisedDiscreteHashing(n_anchors=300, random_state=0)),
    {"hasher__n_bits": lengths},
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    refit=fewest_bits,
)
search.fit(X_gallery, y_gallery)
chosen = search.best_params_["hasher__n_bits"]
print(f"fewest bits within one standard error: {chosen}")

# %%
# What the best score would have taken
# ------------------------------------
# The standard error of a mean of five folds is their standard deviation, divided by the
# root of five.

import numpy as np

means = search.cv_results_["mean_test_score"]
errors = search.cv_results_["std_test_score"] / np.sqrt(5)
best = int(np.argmax(means))
print(f"best score: {lengths[best]} bits, {means[best]:.4f} ±{errors[best]:.4f}")

# %%
# On rows that took no part
# -------------------------
# Both codes search the whole gallery for the 300 queries set apart.

longest = search.estimator.set_params(hasher__n_bits=lengths[best])
held_out = {
    lengths[best]: longest.fit(X_gallery, y_gallery).score(X_query, y_query),
    chosen: search.score(X_query, y_query),
}
for n_bits, score in held_out.items():
    print(f"{n_bits:3} bits: mAP {score:.3f}, {n_bits // 8} bytes an image")

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
ax.axhspan(
    means[best] - errors[best],
    means[best],
    color="#f0e442",
    alpha=0.6,
    label="one standard error below the best",
)
ax.errorbar(
    lengths, means, errors, color="#0072b2", fmt="o-", capsize=3, label="five folds"
)
ax.plot(lengths[best], means[best], "s", color="#0072b2", markersize=11, label="best")
ax.plot(
    chosen,
    means[search.best_index_],
    "*",
    color="#d55e00",
    markersize=18,
    label="chosen",
    zorder=5,
)
ax.set_xscale("log", base=2)
ax.set_xticks(lengths, [str(n_bits) for n_bits in lengths])
ax.minorticks_off()
ax.set(xlabel="bits per code", ylabel="mAP", title="Where more bits hardly pay")
ax.legend(loc="lower right")
plt.show()

# %%
# What this shows
# ---------------
# The rule gives up at most one standard error of the cross-validated score, and gets
# shorter codes where the curve is flat. Where the curve still climbs, as with methods
# that learn without labels here, it takes the longest code as well: it saves what is
# not needed, no more. With few folds the standard error itself is a rough estimate, so
# other folds may choose a neighbouring length.

assert chosen <= lengths[best]
assert means[search.best_index_] >= means[best] - errors[best]
assert abs(held_out[chosen] - held_out[lengths[best]]) < 0.03
