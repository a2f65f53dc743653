"""How often intervals of `paired_bootstrap` hold the true difference.

    python benchmarks/bootstrap_coverage.py --simulations 3000 --resamples 499

Each simulation draws queries, asks for an interval of 95 %, and looks whether the true
mean difference lies in it. Differences are normal, skewed (of a gamma distribution,
skewness 2.8), those of queries that come in three splits each (grouped by query), or
real: the average precision of every digit, by 32 bits of ITQ less that by 16, of which
queries are drawn with replacement. A ratio below 1 means intervals that are too short.
The error of a share is about 0.4 points for 3,000 simulations.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

from sklhash import ITQ
from sklhash.metrics import retrieval_scores
from sklhash.model_selection import paired_bootstrap

LEVEL = 0.95


def normal(rng, n):
    """Differences of mean 0.05, without groups."""
    return rng.normal(0.05, 0.2, n), None, 0.05


def skewed(rng, n):
    """Differences of mean 0.1 of which few are large."""
    return rng.gamma(0.5, 0.2, n), None, 0.1


def in_splits(rng, n):
    """Three scores a query, which agree on how hard it is."""
    groups = np.repeat(np.arange(n), 3)
    own = rng.normal(0.05, 0.2, n)
    return own[groups] + rng.normal(0, 0.1, 3 * n), groups, 0.05


def digits():
    """Make a function that draws from the differences of all digits."""
    X, y = load_digits(return_X_y=True)
    scores = []
    for n_bits in (32, 16):
        codes = ITQ(n_bits, random_state=0).fit(X).encode(X)
        found = retrieval_scores(
            codes, codes, y, y, metrics="map", exclude_self=True, per_query=True
        )
        scores.append(found["map"])
    differences = scores[0] - scores[1]

    def draw(rng, n):
        return rng.choice(differences, n), None, differences.mean()

    return draw


def coverage(draw, n, method, n_simulations, n_resamples):
    """Share of the intervals that hold the truth."""
    rng = np.random.RandomState(0)
    held = 0
    for _ in range(n_simulations):
        differences, groups, truth = draw(rng, n)
        interval = paired_bootstrap(
            differences,
            np.zeros(len(differences)),
            groups=groups,
            confidence_level=LEVEL,
            n_resamples=n_resamples,
            method=method,
            random_state=rng,
        )
        held += interval.low <= truth <= interval.high
    return held / n_simulations


parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--simulations", type=int, default=50)
parser.add_argument("--resamples", type=int, default=199)
arguments = parser.parse_known_args()[0]

print(f"{arguments.simulations} simulations, {arguments.resamples} resamples each")
print(f"{'differences':12}{'queries':>8}{'method':>12}{'held':>8}  ratio to {LEVEL}")
for name, draw, numbers in [
    ("normal", normal, (20, 80)),
    ("skewed", skewed, (100, 300)),
    ("in splits", in_splits, (80, 200)),
    ("digits", digits(), (50, 200, 1000)),
]:
    for n in numbers:
        for method in ("BCa", "percentile"):
            held = coverage(draw, n, method, arguments.simulations, arguments.resamples)
            print(f"{name:12}{n:8}{method:>12}{held:8.3f}  {held / LEVEL:.3f}")
