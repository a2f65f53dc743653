"""Galleries that tests of exports search, and what each engine must find in them."""

from functools import cache

import numpy as np
from numpy.testing import assert_array_equal

from sklhash import ITQ, HammingRetriever, PackedCodes

KINDS = ["random", "learned"]
LENGTHS = [31, 64, 100, 256]
N_GALLERY, N_QUERIES, K = 10_000, 20, 10


@cache
def gallery_and_queries(kind, n_bits):
    """Make 10,000 codes and 20 to ask for; many learned ones are equal."""
    rng = np.random.RandomState(n_bits)
    n = N_GALLERY + N_QUERIES
    if kind == "random":
        codes = PackedCodes.from_codes(rng.randint(2, size=(n, n_bits)))
    else:
        centres = rng.standard_normal((40, 300))[rng.randint(40, size=n)]
        X = centres + 0.7 * rng.standard_normal((n, 300))
        codes = ITQ(n_bits, max_iter=5, random_state=0).fit(X[:2000]).encode(X)
    return codes[:N_GALLERY], codes[N_GALLERY:]


@cache
def retriever_of(kind, n_bits):
    """Fit a retriever to the gallery."""
    return HammingRetriever(n_neighbors=K).fit(gallery_and_queries(kind, n_bits)[0])


@cache
def radius_of(kind, n_bits):
    """Give a radius that the queries have answers in, some of them just in it."""
    queries = gallery_and_queries(kind, n_bits)[1]
    return int(np.median(retriever_of(kind, n_bits).kneighbors(queries)[0][:, -1])) + 1


def assert_nearest(kind, n_bits, distances, positions):
    """Check the k nearest: the retriever's distances, of codes that have them.

    Engines have their own order among equal distances. Where the last one is shared by
    more codes than fit, any of those is right.
    """
    gallery, queries = gallery_and_queries(kind, n_bits)
    expected, _ = retriever_of(kind, n_bits).kneighbors(queries)
    positions = np.asarray(positions).astype(np.intp)
    assert_array_equal(distances, expected)
    assert_array_equal(bits_apart(gallery, queries, positions), expected)
    assert all(len(set(row)) == K for row in positions.tolist())


def assert_ranking(kind, n_bits, distances, positions):
    """Check an engine that was asked for our order: bit for bit the retriever's."""
    queries = gallery_and_queries(kind, n_bits)[1]
    expected = retriever_of(kind, n_bits).kneighbors(queries)
    assert_array_equal(distances, expected[0])
    assert_array_equal(positions, expected[1])


def assert_within(kind, n_bits, distances, positions):
    """Check what lies within the radius: the same pairs of distance and position."""
    queries = gallery_and_queries(kind, n_bits)[1]
    radius = radius_of(kind, n_bits)
    expected = retriever_of(kind, n_bits).radius_neighbors(queries, radius)
    assert max(np.concatenate(expected[0])) == radius  # inclusive or not: it matters
    pairs = [expected, (distances, positions)]
    theirs, ours = (
        [sorted(zip(*map(list, row), strict=True)) for row in zip(*found, strict=True)]
        for found in pairs
    )
    assert theirs == ours


def bits_apart(gallery, queries, positions):
    """Count differing bits of each query and its answers, on unpacked codes."""
    answers = gallery.unpack()[positions]
    return (answers != queries.unpack()[:, None, :]).sum(axis=2)
