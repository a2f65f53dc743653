"""Counts by distance and shared labels: kernels and numpy against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from sklhash import PackedCodes, hamming
from sklhash.codes import pack
from sklhash.hamming import _compiled_histograms, _histograms
from sklhash.hamming._histograms import HistogramCounter
from sklhash.hamming._numba import kernels_work
from sklhash.metrics import retrieval_scores

compiled_only = pytest.mark.skipif(
    not kernels_work(), reason="numba does not compile here"
)
KERNELS = ["planes", "pairs"]
BACKENDS = [*(pytest.param(name, marks=compiled_only) for name in KERNELS), "numpy"]
SIZES = st.integers(1, 9), st.integers(1, 25)
WIDTHS = st.one_of(st.integers(1, 17), st.sampled_from([63, 64, 130]))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Let small inputs need several steps of every loop."""
    monkeypatch.setattr(_compiled_histograms, "MANY_CODES", 5)
    monkeypatch.setattr(_compiled_histograms, "MANY_PLANE_CODES", 1)
    monkeypatch.setattr(_compiled_histograms, "TILE_CODES", 7)
    monkeypatch.setattr(_compiled_histograms, "PLANE_CODES", 7)
    monkeypatch.setattr(_compiled_histograms, "N_PLACES", 4)
    monkeypatch.setattr(_compiled_histograms, "MIN_QUERIES", 2)
    monkeypatch.setattr(_compiled_histograms, "LABEL_ROWS", 6)
    monkeypatch.setattr(_histograms, "GROUPED_CELLS", 500)


@st.composite
def problems(draw):
    """Draw codes with many duplicates, and classes of which some are empty."""
    n_bits = draw(WIDTHS)
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    distinct = rng.rand(draw(st.integers(1, 9)), n_bits) < draw(st.floats(0, 1))
    codes = [distinct[rng.randint(len(distinct), size=draw(n))] for n in SIZES]
    n_classes = draw(st.integers(1, 5))
    classes = [rng.randint(-n_classes, n_classes, size=len(x)) for x in codes]
    return codes, classes, rng


def draw_labels(codes, n_labels, rng):
    """Draw indicator matrices with empty rows."""
    share = rng.rand()
    return [(rng.rand(len(x), n_labels) < share).astype(np.float32) for x in codes]


def naive_histograms(codes, shared, n_grades, metric="hamming"):
    """Count pair by pair."""
    n_bits = codes[0].shape[1]
    possible = hamming.possible_distances(n_bits, metric=metric).tolist()
    counts = np.zeros((len(codes[0]), len(possible), n_grades), int)
    for i, query in enumerate(codes[0]):
        for j, item in enumerate(codes[1]):
            bits = sum(a != b for a, b in zip(query, item, strict=True))
            common = sum(a and b for a, b in zip(query, item, strict=True))
            distance = bits if metric == "hamming" else 10 * bits / (10 * common + 1)
            counts[i, possible.index(distance), int(shared[i, j])] += 1
    return counts


def use(backend, patch):
    """Let kernels, with bit planes or in pairs for classes, or numpy count."""
    patch.setattr(_histograms, "kernels_pay", lambda *sizes: backend != "numpy")
    patch.setattr(_compiled_histograms, "planes_pay", lambda: backend == "planes")


def count(codes, labels, n_grades, backend, metric="hamming", n_jobs=None):
    """Count by kernels or by numpy."""
    n_bits = codes[0].shape[1]
    queries, gallery = (pack(x.astype(np.uint8)) for x in codes)
    with pytest.MonkeyPatch.context() as patch:
        use(backend, patch)
        return hamming.histograms(
            queries,
            gallery,
            *labels,
            n_bits=n_bits,
            n_grades=n_grades,
            metric=metric,
            n_jobs=n_jobs,
        )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", ["hamming", "spherical"])
@given(problem=problems(), n_jobs=st.sampled_from([None, 2]))
def test_counts_by_class_equal_loops(metric, backend, problem, n_jobs):
    """Counts by distance and class are those of plain loops, with threads, too."""
    codes, classes, _ = problem
    expected = naive_histograms(codes, np.equal.outer(*classes), 2, metric)
    assert_array_equal(count(codes, classes, 2, backend, metric, n_jobs), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", ["hamming", "spherical"])
@given(
    problem=problems(),
    n_labels=st.sampled_from([1, 2, 21, 64, 70]),
    n_jobs=st.sampled_from([None, 2]),
    few_labels=st.sampled_from([1, 10, 70]),
)
def test_counts_by_shared_labels_equal_loops(
    metric, backend, problem, n_labels, n_jobs, few_labels
):
    """So are counts by distance and number of shared labels."""
    codes, _, rng = problem
    labels = draw_labels(codes, n_labels, rng)
    n_grades = 1 + int(labels[0].sum(axis=1).max())
    expected = naive_histograms(codes, labels[0] @ labels[1].T, n_grades, metric)
    sparse = [csr_array(y) for y in labels]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compiled_histograms, "FEW_LABELS", few_labels)
        counts = count(codes, sparse, n_grades, backend, metric, n_jobs)
    assert_array_equal(counts, expected)


@compiled_only
@pytest.mark.parametrize("n_bits", [1, 8, 33, 64, 65, 257])
@pytest.mark.parametrize("metric", ["hamming", "spherical"])
@pytest.mark.parametrize("backend", KERNELS)
def test_many_counts_are_those_of_numpy(metric, n_bits, backend, monkeypatch, rng):
    """Kernels and numpy agree with the sizes of steps that are used."""
    monkeypatch.undo()
    codes = [rng.rand(n, n_bits) < rng.rand(n, 1) for n in (70, 20_001)]
    classes = [rng.randint(7, size=len(x)) for x in codes]
    by_numpy = count(codes, classes, 2, "numpy", metric)
    for n_jobs in (1, 2):
        by_kernels = count(codes, classes, 2, backend, metric, n_jobs)
        assert_array_equal(by_kernels, by_numpy)
    assert (by_kernels.sum(axis=(1, 2)) == 20_001).all()


@compiled_only
@pytest.mark.parametrize("n_gallery", [1, 511, 512, 513, 40_000])
@pytest.mark.parametrize("n_bytes", range(1, 9))
def test_tiles_need_not_be_full(n_bytes, n_gallery, monkeypatch, rng):
    """Planes count codes of any width, classes that end in a tile or are missing."""
    n_bits = 8 * n_bytes - rng.randint(8)
    codes = [rng.rand(n, n_bits) < rng.rand(n, 1) for n in (11, n_gallery)]
    classes = np.arange(-1, 10), rng.choice([0, 1, 2, 4, 5, 8], size=n_gallery)
    by_numpy = count(codes, classes, 2, "numpy")
    for n_codes, n_jobs in ((1000, 1), (2**13, 2), (2**15, 1)):
        monkeypatch.setattr(_compiled_histograms, "PLANE_CODES", n_codes)
        by_planes = count(codes, classes, 2, "planes", n_jobs=n_jobs)
        assert_array_equal(by_planes, by_numpy)


@compiled_only
@pytest.mark.parametrize("n_gallery", [1, 511, 512, 513, 40_000])
@pytest.mark.parametrize(("n_bytes", "n_labels"), [(1, 21), (3, 70), (8, 1), (8, 64)])
def test_planes_count_shared_labels(n_bytes, n_labels, n_gallery, monkeypatch, rng):
    """So do planes of labels, which a query may have none of, one, or all."""
    monkeypatch.setattr(_compiled_histograms, "FEW_LABELS", np.inf)
    n_bits = 8 * n_bytes - rng.randint(8)
    codes = [rng.rand(n, n_bits) < rng.rand(n, 1) for n in (11, n_gallery)]
    labels = [(rng.rand(len(x), n_labels) < 0.1).astype(np.float32) for x in codes]
    labels[0][:4] = np.repeat([[0], [1]], 2, axis=0)
    labels[1][:, n_labels // 2] = 0  # nobody's
    labels[0][4] = np.arange(n_labels) == n_labels // 2
    labels[1][-1] = np.arange(n_labels) != n_labels // 2
    sparse = [csr_array(y) for y in labels]
    by_numpy = count(codes, sparse, n_labels + 1, "numpy")
    for n_codes, n_jobs in ((1000, 1), (2**13, 2), (2**15, 1)):
        monkeypatch.setattr(_compiled_histograms, "PLANE_CODES", n_codes)
        by_planes = count(codes, sparse, n_labels + 1, "planes", n_jobs=n_jobs)
        assert_array_equal(by_planes, by_numpy)


@compiled_only
@pytest.mark.parametrize("n_labels", [1, 3])
def test_many_labels_are_compared_as_bits(n_labels, monkeypatch, rng):
    """Where queries have many labels, these are compared code by code."""
    use("planes", monkeypatch)
    monkeypatch.setattr(_compiled_histograms, "FEW_LABELS", 2)
    unused = "_count_label_planes" if n_labels > 2 else "_count_codes"
    monkeypatch.setattr(_compiled_histograms.CompiledCells, unused, None)
    codes = [rng.rand(n, 20) < 0.5 for n in (2, 30)]
    labels = [csr_array(np.ones((len(x), n_labels), np.float32)) for x in codes]
    counts = count(codes, labels, 4, "planes")
    assert_array_equal(counts, count(codes, labels, 4, "numpy"))


@compiled_only
def test_classes_may_fill_tiles(monkeypatch, rng):
    """Classes may begin and end with a tile, or be one code of it."""
    monkeypatch.undo()
    n_codes = [512, 1, 1023, 512, 1]
    codes = [rng.rand(n, 16) < 0.5 for n in (5, sum(n_codes))]
    classes = np.arange(5), rng.permutation(np.repeat(np.arange(5), n_codes))
    by_planes = count(codes, classes, 2, "planes")
    assert_array_equal(by_planes, count(codes, classes, 2, "numpy"))
    assert by_planes[:, :, 1].sum(axis=1).tolist() == n_codes


@compiled_only
@pytest.mark.parametrize("n_bits", [16, 100])
@pytest.mark.parametrize("n_equal", [1, 2, 511, 20_000])
@pytest.mark.parametrize("backend", KERNELS)
def test_equal_codes_are_counted_in_one_cell(n_bits, n_equal, backend, monkeypatch):
    """Galleries of one code, in runs of any length, leave nothing uncounted."""
    monkeypatch.undo()
    codes = [np.ones((3, n_bits)), np.zeros((n_equal, n_bits))]
    classes = np.array([0, 1, 2]), np.arange(n_equal) % 2
    counts = count(codes, classes, 2, backend)
    assert counts[:, :n_bits].sum() == 0
    same = [(n_equal + 1) // 2, n_equal // 2, 0]
    assert counts[:, n_bits, 1].tolist() == same


@compiled_only
@pytest.mark.parametrize("backend", KERNELS)
def test_kernels_leave_no_counts_behind(backend, monkeypatch, rng):
    """Counting is right a second time: workspaces are left clean, galleries as is."""
    use(backend, monkeypatch)
    codes = [rng.rand(n, 12) < 0.5 for n in (5, 30)]
    classes = [rng.randint(3, size=len(x)) for x in codes]
    gallery = pack(codes[1].astype(np.uint8))
    counter = HistogramCounter(gallery, classes[1], n_queries=1, n_bits=12, n_grades=2)
    queries = pack(codes[0].astype(np.uint8))
    first, again = (counter.count(queries, classes[0]) for _ in range(2))
    assert_array_equal(first, again)
    assert_array_equal(first[2:], counter.count(queries[2:], classes[0][2:]))


@compiled_only
def test_kernels_refuse_what_they_cannot_count(monkeypatch):
    """Bits after the last, and more shared labels than grades, are errors."""
    use("planes", monkeypatch)
    codes = np.full((2, 3), True), np.full((2, 3), True)
    counter = {"n_queries": 1, "n_bits": 2, "n_grades": 2}
    with pytest.raises(ValueError, match="bits after the first n_bits=2"):
        HistogramCounter(pack(codes[1].astype(np.uint8)), np.zeros(2, int), **counter)
    labels = [csr_array(np.ones((2, 2), np.float32))] * 2
    with pytest.raises(ValueError, match="may share 2 labels; got n_grades=2"):
        count(codes, labels, 2, "planes")


@compiled_only
@pytest.mark.parametrize("metric", ["hamming", "spherical"])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_scores_are_those_of_numpy(metric, exclude_self, monkeypatch, rng):
    """Scores do not depend on what counted."""
    codes = PackedCodes(rng.randint(256, size=(300, 5)).astype(np.uint8), 40)
    labels = (rng.rand(300, 4) < 0.3).astype(int)
    scores = []
    for backend in ("numpy", "planes"):
        use(backend, monkeypatch)
        scores.append(
            retrieval_scores(
                codes,
                codes,
                labels,
                labels,
                code_distance=metric,
                exclude_self=exclude_self,
            )
        )
    assert scores[0] == scores[1]


@compiled_only
def test_very_many_labels_are_left_to_numpy(rng):
    """Label matrices with thousands of columns are not packed."""
    codes = [rng.rand(n, 9) < 0.5 for n in (3, 8)]
    labels = draw_labels(codes, 3000, rng)
    n_grades = 1 + int(labels[0].sum(axis=1).max())
    expected = naive_histograms(codes, labels[0] @ labels[1].T, n_grades)
    sparse = [csr_array(y) for y in labels]
    assert_array_equal(count(codes, sparse, n_grades, "planes"), expected)
