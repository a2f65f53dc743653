"""Paired bootstrap intervals: right by hand, and right as often as they say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom

from sklhash.model_selection import BootstrapInterval, paired_bootstrap


def percentile_by_hand(differences, rng, n_resamples=999):
    """Ends of the percentile interval, from means of resampled queries."""
    n = len(differences)
    means = [np.mean(differences[rng.randint(n, size=n)]) for _ in range(n_resamples)]
    return np.quantile(means, [0.025, 0.975])


def test_agrees_with_a_plain_loop(rng):
    """The percentile interval is that of means of resampled queries."""
    first, second = rng.uniform(size=(2, 300))
    interval = paired_bootstrap(first, second, method="percentile", random_state=0)
    assert interval.difference == pytest.approx(np.mean(first) - np.mean(second))
    by_hand = percentile_by_hand(first - second, rng)
    assert_allclose([interval.low, interval.high], by_hand, atol=0.006)
    error = (first - second).std() / np.sqrt(300)
    assert interval.standard_error == pytest.approx(error, rel=0.05)


def test_pairs_make_it_narrow(rng):
    """What both methods find hard alike does not widen the interval."""
    hard = rng.uniform(size=200)
    interval = paired_bootstrap(hard + 0.01, hard, random_state=0)
    assert interval.low == interval.high == pytest.approx(0.01)
    assert interval.standard_error == 0


def test_order_and_sign(rng):
    """Swapping the methods turns the interval round."""
    first, second = rng.uniform(size=(2, 50))
    there = paired_bootstrap(first, second, method="percentile", random_state=0)
    back = paired_bootstrap(second, first, method="percentile", random_state=0)
    assert_allclose([back.low, back.high], [-there.high, -there.low])


def test_missing_scores_are_left_out(rng):
    """A query without a score of either method does not count."""
    first, second = rng.uniform(size=(2, 60))
    expected = paired_bootstrap(first[10:], second[10:], random_state=0)
    first[:5], second[5:10] = np.nan, np.nan
    assert paired_bootstrap(first, second, random_state=0) == expected
    assert expected.n_queries == 50


def test_groups_are_resampled_whole(rng):
    """Scores that are there twice say no more than once, if they are of one query."""
    first, second = rng.uniform(size=(2, 80))
    names = np.array([f"query {i:02}" for i in range(80)])
    once = paired_bootstrap(first, second, random_state=0)
    order = rng.permutation(160)
    twice = [np.tile(values, 2)[order] for values in (first, second, names)]
    grouped = paired_bootstrap(*twice[:2], groups=twice[2], random_state=0)
    assert_allclose(grouped, once)
    ungrouped = paired_bootstrap(*twice[:2], random_state=0)
    assert ungrouped.high - ungrouped.low < 0.85 * (once.high - once.low)


def test_groups_of_unequal_size(rng):
    """With groups the difference is the mean over all scores."""
    differences, groups = rng.uniform(size=90), rng.randint(30, size=90)
    interval = paired_bootstrap(
        differences, np.zeros(90), groups=groups, method="percentile", random_state=0
    )
    assert interval.difference == pytest.approx(differences.mean())
    members = [differences[groups == group] for group in np.unique(groups)]
    means = []
    for _ in range(2000):
        drawn = rng.randint(len(members), size=len(members))
        means.append(np.concatenate([members[i] for i in drawn]).mean())
    by_hand = np.quantile(means, [0.025, 0.975])
    assert_allclose([interval.low, interval.high], by_hand, atol=0.01)
    assert interval.n_queries == len(members)


def test_equal_scores_in_groups():
    """Where no resample differs, the interval is one point, without a warning."""
    interval = paired_bootstrap(
        [0.3] * 7, [0.1] * 7, groups=[0, 0, 0, 1, 1, 2, 3], random_state=0
    )
    assert interval.low == interval.high == pytest.approx(0.2)


@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
def test_rounding(scale, rng):
    """What is rounding depends on the scores; a point is the difference itself."""
    same = paired_bootstrap([0.1 * scale] * 3, [0.0] * 3, random_state=0)
    assert same.low == same.difference == same.high
    hard = rng.uniform(size=50) * scale
    almost = paired_bootstrap(hard + 0.1 * scale, hard, random_state=0)
    assert almost.low == almost.difference == almost.high
    other = paired_bootstrap(hard, np.zeros(50), random_state=0)
    assert other.low < other.difference < other.high


def symmetric(rng, n):
    """Scores of two methods that both depend on how hard a query is."""
    hard = rng.uniform(0.2, 0.8, size=n)
    return hard + rng.normal(0.02, 0.1, size=n), hard, None


def skewed(rng, n):
    """Most queries differ by little, a few by much: the mean is 0.1."""
    return rng.gamma(0.5, 0.2, size=n), np.zeros(n), None


def in_splits(rng, n):
    """Scores of queries in several splits; their own part is the same in each."""
    groups = np.repeat(np.arange(n), 1 + rng.poisson(1, size=n))
    own = rng.normal(0.05, 0.1, size=n)
    first = own[groups] + rng.normal(0, 0.05, size=len(groups))
    return first, np.zeros(len(groups)), groups


@pytest.mark.parametrize(
    ("draw", "n_queries", "truth", "method"),
    [
        (symmetric, 80, 0.02, "BCa"),
        (symmetric, 80, 0.02, "percentile"),
        (skewed, 300, 0.1, "BCa"),
        (in_splits, 200, 0.05, "BCa"),
    ],
)
def test_coverage(draw, n_queries, truth, method, rng):
    """Of 400 intervals of 95 %, as many hold the truth as chance allows.

    The bootstrap keeps its level for large numbers of queries only:
    benchmarks/bootstrap_coverage.py says how large.
    """
    n_simulations, covered = 400, 0
    for _ in range(n_simulations):
        first, second, groups = draw(rng, n_queries)
        interval = paired_bootstrap(
            first,
            second,
            groups=groups,
            n_resamples=499,
            method=method,
            random_state=rng,
        )
        covered += interval.low <= truth <= interval.high
    low, high = binom.ppf([0.001, 0.999], n_simulations, 0.95)
    assert low <= covered <= high


def test_ignoring_groups_covers_too_seldom(rng):
    """Without groups, queries that are there several times make intervals too short."""
    covered = 0
    for _ in range(200):
        first, second, _ = in_splits(rng, 80)
        interval = paired_bootstrap(first, second, n_resamples=499, random_state=rng)
        covered += interval.low <= 0.05 <= interval.high
    assert covered < binom.ppf(0.001, 200, 0.95)


def test_large_input_is_cut_into_blocks(monkeypatch, rng):
    """The memory for resamples is bounded, and the interval does not depend on it."""
    scores = rng.uniform(size=(2, 400))
    whole = paired_bootstrap(*scores, random_state=0)
    monkeypatch.setattr("sklhash.model_selection._bootstrap.BLOCK_CELLS", 400 * 7)
    assert_allclose(paired_bootstrap(*scores, random_state=0), whole, rtol=1e-12)


def test_printed():
    """An interval prints as a sentence would have it."""
    interval = BootstrapInterval(0.12, -0.01, 0.2, 0.9, 30, 0.05)
    assert str(interval) == "+0.120 (90 % interval -0.010 to +0.200; 30 queries)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"second": [1, 2]}, "of the same queries, in one order; got 3 and 2"),
        ({"second": [1, 2, np.inf]}, "second contains infinity"),
        ({"first": [[1, 2], [3, 4]]}, "first must be a 1d array.*shape \\(2, 2\\)"),
        ({"groups": [[1, 2], [3, 4]]}, "groups must be a 1d array"),
        ({"groups": np.array([1, "a", 2], object)}, "labels of one type"),
        ({"groups": [1, 2]}, "a query for each score; got 2 for 3"),
        ({"groups": [1, 1, 1]}, "2 queries or more .* got 1 of 3 scores"),
        ({"first": [1, np.nan, np.nan]}, "2 queries or more .* got 1 of 3"),
        ({"confidence_level": 1.0}, "confidence_level"),
        ({"n_resamples": 98}, "n_resamples"),
        ({"method": "bca"}, "method"),
    ],
)
def test_errors(arguments, message):
    """Bad arguments are named, with their value and the way out."""
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(**{"first": [1, 2, 3], "second": [1, 3, 5], **arguments})
