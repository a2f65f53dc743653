"""Ranking measures as plain loops over one ranking, straight from their definitions.

A query sees its gallery as two lists, in gallery order: the distance and the grade
(number of shared labels) of each item. Nothing here uses numpy or the library.
"""

import math
from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import chain, permutations, product


def shared_labels(first, second):
    """Grade of a pair: labels in common, or for two classes whether they are equal."""
    if isinstance(first, (list, tuple)):
        return sum(a * b for a, b in zip(first, second, strict=True))
    return int(first == second)


def hamming(first, second):
    """Bits in which two codes differ."""
    return sum(a != b for a, b in zip(first, second, strict=True))


def spherical(first, second):
    """Bits in which two codes differ, over those that both set plus 0.1, exactly."""
    common = sum(a and b for a, b in zip(first, second, strict=True))
    return hamming(first, second) / (common + Fraction(1, 10))


DISTANCES = {"hamming": hamming, "spherical": spherical}


def pairs(query, gallery, y_query, y_gallery, left_out=None, code_distance="hamming"):
    """Distances and grades of one query, without item `left_out`."""
    kept = [j for j in range(len(gallery)) if j != left_out]
    distances = [DISTANCES[code_distance](query, gallery[j]) for j in kept]
    return distances, [shared_labels(y_query, y_gallery[j]) for j in kept]


def rankings(distances, grades, ties):
    """Rankings that a tie rule allows: ``{grades in ranked order: how often}``.

    ``'expected'`` goes through every permutation of every group of tied items.
    """
    by_distance = {d: [] for d in sorted(distances)}
    for d, grade in zip(distances, grades, strict=True):
        by_distance[d].append(grade)
    groups = [tuple(group) for group in by_distance.values()]
    if ties == "optimistic":
        groups = [sorted(group, reverse=True) for group in groups]
    elif ties == "pessimistic":
        groups = [sorted(group) for group in groups]
    elif ties == "expected":
        return _all_orders(tuple(groups))
    return {tuple(chain(*groups)): 1}


@cache
def _all_orders(groups):
    assert math.prod(math.factorial(len(group)) for group in groups) <= 5040
    orders = product(*(permutations(group) for group in groups))
    return Counter(tuple(chain(*order)) for order in orders)


def score(metric, distances, grades, ties="expected", normalize="min"):
    """Score one query by a metric such as ``'ndcg'``, ``'map@3'``, ``'recall@r2'``."""
    name, _, cut = metric.partition("@")
    if cut.startswith("r"):
        return within_radius(name, distances, grades, int(cut[1:]))
    k = int(cut) if cut else len(grades)
    orders = rankings(distances, grades, ties)
    total = math.fsum(
        often * score_ranking(name, order, k, normalize)
        for order, often in orders.items()
    )
    return total / sum(orders.values())


def score_ranking(name, grades, k, normalize):
    """Score one ranking, given as grades in ranked order, by its first k places."""
    hits = sum(grade > 0 for grade in grades[:k])
    relevant = sum(grade > 0 for grade in grades)
    if relevant == 0:
        return 0.0
    if name == "precision":
        return hits / k
    if name == "recall":
        return hits / relevant
    if name == "acg":
        return sum(grades[:k]) / k
    if name == "ndcg":
        return dcg(grades[:k]) / dcg(sorted(grades, reverse=True)[:k])
    values = [int(grade > 0) for grade in grades] if name == "map" else grades
    total = sum(
        sum(values[:rank]) / rank
        for rank, grade in enumerate(grades[:k], start=1)
        if grade > 0
    )
    denominator = {"min": min(k, relevant), "relevant": relevant, "retrieved": hits}
    return total / denominator[normalize] if hits else 0.0


def dcg(grades):
    """Discounted cumulative gain of grades in ranked order."""
    return sum(
        (2**grade - 1) / math.log2(1 + rank)
        for rank, grade in enumerate(grades, start=1)
    )


def within_radius(name, distances, grades, radius):
    """Precision or recall of all items no further away than `radius`."""
    inside = [g for d, g in zip(distances, grades, strict=True) if d <= radius]
    hits = sum(grade > 0 for grade in inside)
    of = len(inside) if name == "precision" else sum(grade > 0 for grade in grades)
    return hits / of if of else 0.0


def mean_over_queries(values, with_relevant, no_relevant, weights=None):
    """Average what counts: queries that have a relevant item, or every query."""
    weights = [1] * len(values) if weights is None else weights
    counted = [
        (value, weight)
        for value, weight, has in zip(values, weights, with_relevant, strict=True)
        if has or no_relevant == "zero"
    ]
    return sum(v * w for v, w in counted) / sum(w for _, w in counted)


def expected_average_precision(groups, k, normalize, graded=False):
    """Expected AP@k (WAP@k if graded) place by place, for groups of any size.

    `groups` lists (items, relevant ones, their grades summed), nearest first.
    """
    relevant = sum(r for _, r, _ in groups)
    terms, hits, value, rank = [], 0, 0, 0
    for n, r, grades in groups:
        m, mean = min(k - rank, n), (grades / r if graded and r else 1)
        if m < n and normalize == "retrieved":
            return _mean_over_cut(n, r, m, mean, math.fsum(terms), hits, value, rank)
        terms += _places(n, r, m, mean, value, rank)
        hits, value, rank = hits + r, value + mean * r, rank + m
        if rank == k:
            break
    norm = {"min": min(k, relevant), "relevant": relevant, "retrieved": hits}
    return math.fsum(terms) / max(norm[normalize], 1)


def _places(n, r, m, mean, value, rank):
    """First m places of n tied items: chance of a hit times the mean value so far."""
    others = mean * (r - 1) / (n - 1) if n > 1 else 0
    return [r / n * (value + mean + i * others) / (rank + 1 + i) for i in range(m)]


def _mean_over_cut(n, r, m, mean, nearer, hits, value, rank):
    """Mean over the number t of hits in m of n tied places, each t by exact integers.

    Given t, those m places are a tied group of their own.
    """
    ratios, draws = [], math.comb(n, m)
    for t in range(max(0, m - (n - r)), min(m, r) + 1):
        chance = math.comb(r, t) * math.comb(n - r, m - t) / draws
        if chance > 1e-25 and hits + t > 0:
            here = math.fsum(_places(m, t, m, mean, value, rank))
            ratios.append(chance * (nearer + here) / (hits + t))
    return math.fsum(ratios)
