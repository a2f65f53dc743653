"""
==============================================
Watch a deep hasher learn, and stop it in time
==============================================

Items often share some of their labels, neither all nor none. This example gives each
handwritten digit three labels, trains :class:`~sklhash.SoftPairwiseHasher` on them, and
uses callbacks of skorch to stop training when it no longer helps.
"""

# %%
# Data
# ----
# The labels: the digit itself, whether it is even, and whether it has a closed loop.
# Two sixes share all their labels, a six and an eight share two of three, a six and a
# nine one, a six and a seven none.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, digit = load_digits(return_X_y=True)
even = digit % 2 == 0
loop = np.isin(digit, [0, 6, 8, 9])
Y = np.column_stack([digit[:, None] == np.arange(10), even, ~even, loop]).astype(int)
X_gallery, X_query, Y_gallery, Y_query = train_test_split(
    X, Y, test_size=300, random_state=0
)

# %%
# Train, with a part of the rows set apart
# ----------------------------------------
# Any callback of skorch will do. :class:`~skorch.callbacks.EarlyStopping` looks at the
# loss of the rows set apart; :class:`~skorch.callbacks.LRScheduler` takes the place of
# the hasher's own schedule, which ``lr_decay=1`` switches off.

from skorch.callbacks import EarlyStopping, LRScheduler

from sklhash import SoftPairwiseHasher

hasher = SoftPairwiseHasher(
    n_bits=32,
    max_epochs=200,
    validation_fraction=0.2,
    lr_decay=1,
    callbacks=[
        EarlyStopping(patience=5),
        LRScheduler("CosineAnnealingLR", T_max=200),
    ],
    random_state=0,
)
hasher.fit(X_gallery, Y_gallery)
print(f"stopped after {hasher.n_iter_} epochs")

# %%
# Learning curves
# ---------------
# Each term of the loss is recorded, and so are the codes: how evenly their bits are
# used, and how many different codes there are. A collapse would show here first.

import matplotlib.pyplot as plt

curves = hasher.curves_
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name in ("hard", "soft", "quantization", "valid_loss"):
    left.plot(curves["epoch"], curves[name], label=name)
left.set(xlabel="epoch", ylabel="loss", title="terms of the loss")
left.legend()
right.plot(curves["epoch"], curves["distinct_codes"], color="tab:green")
right.set(xlabel="epoch", title="codes", ylim=(0, None))
right.set_ylabel("distinct codes", color="tab:green")
balance = right.twinx()
balance.plot(curves["epoch"], curves["bit_balance"], color="tab:orange")
balance.set(ylim=(0, 1))
balance.set_ylabel("bit balance (1 is even)", color="tab:orange")

# %%
# Search
# ------
# nDCG rewards items that share more labels. The codes are compared with those of ITQ,
# which learns from the same labels through canonical correlations.

from sklhash import ITQ
from sklhash.metrics import ndcg

itq = ITQ(n_bits=32, projection="cca", random_state=0).fit(X_gallery, Y_gallery)
scores = {
    type(method).__name__: ndcg(
        method.encode(X_query), method.encode(X_gallery), Y_query, Y_gallery, k=100
    )
    for method in (hasher, itq)
}
print({name: round(score, 3) for name, score in scores.items()})

# %%
# Training stopped early, and the network ranks better than the linear method.

assert hasher.n_iter_ < 200
assert scores["SoftPairwiseHasher"] > scores["ITQ"]
