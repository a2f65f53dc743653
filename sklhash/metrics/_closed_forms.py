"""Expected values of ranking measures over all orders of tied items, in closed form.

Letters, for one group of equally distant items: n items, r of them relevant, s their
summed grades, N, R and S the same for all nearer groups, m of the group's n places
counted (fewer than n where the cut-off k falls into it). Sources: F. McSherry and
M. Najork, "Computing information retrieval performance measures efficiently in the
presence of tied scores", ECIR 2008; K. He, F. Cakir, S. Bargal and S. Sclaroff,
"Hashing as tie-aware learning to rank", CVPR 2018. The closed forms of WAP, and of
AP@k divided by the hits among the first k, are our own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from ._tie_groups import TieGroups, before, gain

Floats = NDArray[np.float64]

#: Groups from which on it pays to look for those that add nothing.
MANY_GROUPS = 1024


class RankSums(NamedTuple):
    """Sums over the first ranks, 0 to n_gallery: of 1/rank and of nDCG's discount."""

    harmonic: Floats
    discount: Floats

    @classmethod
    def up_to(cls, n_gallery: int) -> RankSums:
        """Tabulate both sums for rankings of `n_gallery` items."""
        rank = np.arange(1, n_gallery + 1)
        harmonic = np.cumsum(1 / rank)
        discount = np.cumsum(1 / np.log2(1 + rank))
        return cls(np.append(0, harmonic), np.append(0, discount))


def expected_sum(groups: TieGroups, values: NDArray[Any], k: int) -> Floats:
    """Expected sum of `values` over the first k places.

    Parameters
    ----------
    groups : TieGroups
    values : ndarray of shape (n_queries, n_groups)
        Summed over each group: relevant items, or shared labels.
    k : int

    Returns
    -------
    ndarray of shape (n_queries,)
    """
    groups = groups.leading(k)
    n, N = groups.items, groups.nearer
    values, m = values[:, : n.shape[1]], np.clip(k - N, 0, n)
    return (values * m / np.maximum(n, 1)).sum(axis=1)


def expected_dcg(groups: TieGroups, k: int, sums: RankSums) -> Floats:
    """Expected discounted cumulative gain of the first k places.

    Parameters
    ----------
    groups : TieGroups
    k : int
    sums : RankSums

    Returns
    -------
    ndarray of shape (n_queries,)
    """
    groups = groups.leading(k)
    n = groups.items
    mass = _mass(sums.discount, n, groups.nearer, k)
    return (groups.gains / np.maximum(n, 1) * mass).sum(axis=1)


def ideal_dcg(groups: TieGroups, k: int, sums: RankSums) -> Floats:
    """Largest discounted cumulative gain that any order of the gallery has.

    Parameters
    ----------
    groups : TieGroups
    k : int
    sums : RankSums

    Returns
    -------
    ndarray of shape (n_queries,)
    """
    n = groups.totals[:, ::-1]  # best grade first
    return _mass(sums.discount, n, before(n), k) @ gain(np.arange(n.shape[1]))[::-1]


def _mass(rank_sums: Floats, n: Any, N: Any, k: int) -> Floats:
    """Sum what the ranks weigh that each group takes among the first k."""
    m = np.clip(k - N, 0, n)
    return rank_sums[N + m] - rank_sums[N]


def _harmonic_mass(harmonic: Floats, N: Any, m: Any) -> Floats:
    """Sum 1/rank over the m ranks after N, exact in relation to the sum.

    The difference of two table entries is exact in relation to the entries only, and
    the formula of `_sum_over_places` cancels what is left far down a long ranking.
    There, H_x = log(x + 1/2) + 1/(24 (x + 1/2)^2) - 7/(960 (x + 1/2)^4) + constant.
    """
    x, y = N + 0.5, N + m + 0.5
    a, b = 1 / x**2, 1 / y**2
    mass = np.log1p(m / x) + (b - a) * (1 / 24 - 7 / 960 * (b + a))
    near = N < 64
    first, last = N[near], (N + m)[near]
    mass[near] = harmonic[last] - harmonic[first]
    return mass


def expected_average_precision(
    groups: TieGroups,
    values: NDArray[np.int64],
    k: int,
    normalize: str,
    sums: RankSums,
) -> Floats:
    """Expected (weighted) average precision of the first k places.

    Parameters
    ----------
    groups : TieGroups
    values : ndarray of shape (n_queries, n_groups), dtype int64
        ``groups.relevant`` for AP, ``groups.shared`` for WAP.
    k : int
    normalize : {'min', 'relevant', 'retrieved'}
        Divide by min(k, relevant), by relevant, or by the hits among the first k.
    sums : RankSums

    Returns
    -------
    ndarray of shape (n_queries,)
        0 for queries without a relevant item.
    """
    groups, s = _of_use(groups.leading(k), values)
    n, r, N = groups.items, groups.relevant, groups.nearer
    S = before(s)
    m = np.clip(k - N, 0, n)
    mass = _harmonic_mass(sums.harmonic, N, m)
    terms = _sum_over_places(n, r, s, N, S, m, mass)
    if normalize == "retrieved":
        return _mean_over_hits(groups, s, S, m, mass, terms)
    norm = groups.n_relevant
    if normalize == "min":
        norm = np.minimum(norm, k)
    return terms.sum(axis=1) / np.maximum(norm, 1)


def _of_use(groups: TieGroups, values: NDArray[np.int64]) -> tuple[TieGroups, Any]:
    """Drop the groups that add nothing, where most do not: in rankings of floats.

    What is left moves to the front of each row; empty groups fill the rest.
    """
    values = values[:, : groups.items.shape[1]]
    if values.shape[1] < MANY_GROUPS:
        return groups, values
    query, group = np.nonzero(groups.relevant)
    n_left = np.bincount(query, minlength=len(values))
    width = int(n_left.max(initial=0))
    if 2 * width > values.shape[1]:
        return groups, values
    place = np.arange(len(query)) - (np.cumsum(n_left) - n_left)[query]

    def to_front(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        moved = np.zeros((len(counts), width), np.int64)
        moved[query, place] = counts[query, group]
        return moved

    items, relevant, nearer = map(
        to_front, (groups.items, groups.relevant, groups.nearer)
    )
    left = groups._replace(items=items, relevant=relevant, nearer=nearer)
    return left, to_front(values)


def _sum_over_places(
    n: Any, r: Any, s: Any, N: Any, S: Any, m: Any, mass: Any
) -> Floats:
    """Expected sum of relevance times mean value so far, over a group's m places.

    With E[rel_i] = r/n and E[rel_i value_j] = s (r - 1) / (n (n - 1)) for i != j, the
    i-th place of the group adds (r S + s + (i - 1) step) / (n (N + i)).
    """
    step = s * (r - 1) / np.maximum(n - 1, 1)
    return (m * step + (r * S + s - step * (N + 1)) * mass) / np.maximum(n, 1)


def _mean_over_hits(
    groups: TieGroups, s: Any, S: Any, m: Any, mass: Any, terms: Floats
) -> Floats:
    """Expected ratio of the sum to the hits, which vary in the group that k cuts.

    The number t of its relevant items among its first m places is hypergeometric;
    given t, those places are a group of m items with t relevant ones.
    """
    n, r = groups.items, groups.relevant
    N = groups.nearer
    cut = (m > 0) & (m < n)
    sure_sum = np.where(cut, 0, terms).sum(axis=1)
    sure_hits = np.where(cut | (m == 0), 0, r).sum(axis=1)

    def at_cut(x: Any) -> Any:
        return np.where(cut, x, 0).sum(axis=1)[:, None]  # at most one group is cut

    n, r, s, N, S, m, mass = map(at_cut, (n, r, s, N, S, m, mass))
    t, probability = _hypergeometric(n, r, m)
    mean_value = s / np.maximum(r, 1)
    cut_sum = _sum_over_places(m, t, t * mean_value, N, S, m, mass)
    hits = sure_hits[:, None] + t
    ratio = (sure_sum[:, None] + cut_sum) / np.maximum(hits, 1)
    return (probability * ratio).sum(axis=1)


def _hypergeometric(n: Any, r: Any, m: Any) -> tuple[Floats, Floats]:
    """Probabilities of t relevant ones among m of n items, r of them relevant.

    Only counts within sqrt(20 m) of the mean are listed: by Hoeffding's inequality
    the rest weighs less than 1e-17.
    """
    mean, reach = r * m / np.maximum(n, 1), np.sqrt(20 * m)
    first = np.maximum(np.maximum(0, m - (n - r)), np.floor(mean - reach))
    last = np.minimum(np.minimum(m, r), np.ceil(mean + reach))
    t = first + np.arange(int((last - first).max(initial=0)) + 1)
    inside = np.minimum(t, last)
    log_p = -sum(
        gammaln(x + 1) for x in (inside, r - inside, m - inside, n - r - m + inside)
    )
    p = np.where(t <= last, np.exp(log_p - log_p.max(axis=1, keepdims=True)), 0)
    return inside, p / p.sum(axis=1, keepdims=True)
