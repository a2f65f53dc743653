"""What holds for splits, comparisons, intervals and plots, whatever they are given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_forms import CLASSES, CODES, INDICATORS, MATRICES, VECTORS
from numpy.testing import assert_allclose, assert_array_equal

from sklhash import PackedCodes, RandomHyperplaneHashing
from sklhash.model_selection import (
    compare_hashers,
    fewest_bits,
    paired_bootstrap,
    retrieval_split,
)

pd = pytest.importorskip("pandas")

N = 48
X = np.random.RandomState(0).randint(-32, 32, size=(N, 5)) / 8
y = np.arange(N) % 3
Y = np.eye(3)[y]
ROWS = {**CODES, **INDICATORS}
PER_CLASS = {"n_queries": 2, "n_train": 5, "per_class": True, "random_state": 0}


def same_rows(found, expected):
    for rows, others in zip(found, expected, strict=True):
        assert rows.dtype == np.intp
        assert_array_equal(rows, others)


@pytest.mark.parametrize("form", ROWS)
def test_splits_count_rows_of_any_form(form):
    """Rows are counted, whatever holds them."""
    expected = retrieval_split(X, y, random_state=0)
    same_rows(retrieval_split(ROWS[form](X), y, random_state=0), expected)


@pytest.mark.parametrize("form", CLASSES)
def test_splits_read_classes_of_any_form(form):
    """Classes of any type are drawn from alike."""
    for rules in ({"random_state": 0}, PER_CLASS):
        expected = retrieval_split(X, y, **rules)
        same_rows(retrieval_split(X, CLASSES[form](y), **rules), expected)


@pytest.mark.parametrize("form", INDICATORS)
def test_splits_read_label_matrices_of_any_form(form):
    """Label matrices, dense or sparse, are drawn from alike."""
    expected = retrieval_split(X, Y, **PER_CLASS)
    same_rows(retrieval_split(X, INDICATORS[form](Y), **PER_CLASS), expected)


NO_ROWS = [None, 3, "rows", b"rows", {"a": 1, "b": 2}, {1, 2, 3}, iter(X)]


@pytest.mark.parametrize("rows", NO_ROWS, ids=lambda rows: type(rows).__name__)
def test_what_has_no_rows_is_not_split(rows):
    """Letters, keys and sets are no rows."""
    with pytest.raises(TypeError, match="X must have rows"):
        retrieval_split(rows)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_per_class_is_true_or_false(value):
    """No other value is taken for True."""
    with pytest.raises(TypeError, match="per_class must be True or False; got"):
        retrieval_split(X, y, n_queries=2, per_class=value)


RULES = {
    "n_bits": [4, 7],
    "splits": 1,
    "metrics": ["map", "precision@r2"],
    "references": (),
}


def compare(rows, labels):
    comparison = compare_hashers(RandomHyperplaneHashing(), rows, labels, **RULES)
    return [
        [record[name] for name in ("n_bits", "split", "map", "precision@r2")]
        for record in comparison.records
    ]


ROW_FORMS = [name for name in {**MATRICES, **INDICATORS} if name in ROWS]
ROW_FORMS = [name for name in ROW_FORMS if name not in ("bool", "int8", "uint64")]


@pytest.mark.parametrize("form", ROW_FORMS)
def test_comparisons_take_rows_of_any_form(form):
    """Rows of any type and layout are compared alike."""
    assert_allclose(compare(ROWS[form](X), y), compare(X, y), rtol=1e-6)


@pytest.mark.parametrize("form", CLASSES)
def test_comparisons_take_classes_of_any_form(form):
    """So are classes of any type."""
    assert_allclose(compare(X, CLASSES[form](y)), compare(X, y))


@pytest.mark.parametrize("form", INDICATORS)
def test_comparisons_take_label_matrices_of_any_form(form):
    """So are label matrices."""
    assert_allclose(compare(X, INDICATORS[form](Y)), compare(X, Y))


FIRST, SECOND = np.random.RandomState(1).randint(-32, 32, size=(2, 24)) / 8
SCORES = {**VECTORS, "column": lambda values: values[:, None]}


@pytest.mark.parametrize("form", SCORES)
def test_intervals_of_scores_of_any_form(form):
    """Scores of any type and layout have the interval of plain ones."""
    rules = {"n_resamples": 99, "random_state": 0}
    expected = paired_bootstrap(FIRST, SECOND, **rules)
    found = paired_bootstrap(SCORES[form](FIRST), SCORES[form](SECOND), **rules)
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("form", CLASSES)
def test_intervals_of_groups_of_any_form(form):
    """Groups may be named by labels of any type."""
    groups = np.arange(24) // 3
    rules = {"n_resamples": 99, "random_state": 0}
    expected = paired_bootstrap(FIRST, SECOND, groups=groups, **rules)
    found = paired_bootstrap(FIRST, SECOND, groups=CLASSES[form](groups), **rules)
    assert_allclose(found, expected, rtol=1e-12)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([2.0**-300, 2.0**-10, 1.0, 2.0**300]),
    shift=st.integers(-5, 5),
    method=st.sampled_from(["BCa", "percentile", "basic"]),
)
def test_intervals_scale_with_scores(seed, scale, shift, method):
    """A factor is one of the whole interval; what both gain alike changes nothing."""
    first, second = np.random.RandomState(seed).randint(-32, 32, size=(2, 12)) / 8
    rules = {"n_resamples": 99, "random_state": 0, "method": method}
    one = paired_bootstrap(first, second, **rules)
    scaled = paired_bootstrap(scale * first, scale * second, **rules)
    moved = paired_bootstrap(first + shift, second + shift, **rules)
    for name in ("difference", "low", "high", "standard_error"):
        value = getattr(one, name)
        assert_allclose(getattr(scaled, name) / scale, value, rtol=1e-6, atol=1e-12)
        assert_allclose(getattr(moved, name), value, rtol=1e-9, atol=1e-12)


def test_scores_whose_squares_overflow_are_refused():
    """No interval is made of infinite sums."""
    with pytest.raises(ValueError, match=r"scores from -1e\+100 to 1e\+100; got one"):
        paired_bootstrap(np.full(9, 1e308), -np.full(9, 1e308))


RESULTS = {
    "param_n_bits": np.ma.array([8, 16]),
    "mean_test_score": np.array([0.5, 0.6]),
    "std_test_score": np.array([0.2, 0.1]),
    "split0_test_score": np.zeros(2),
    "split1_test_score": np.zeros(2),
}


@pytest.mark.parametrize("form", VECTORS)
def test_results_of_any_form_are_chosen_from(form):
    """Columns of results may be lists, frames' columns or arrays of any layout."""
    columns = {name: np.asarray(RESULTS[name]) for name in RESULTS}
    results = {
        name: VECTORS[form](column) if name != "param_n_bits" else column
        for name, column in columns.items()
    }
    assert fewest_bits(results) == 1
    for bits in ([8, 16], np.array([8, 16], object), pd.Series([8, 16])):
        assert fewest_bits({**results, "param_n_bits": bits}) == 1


NOT_RESULTS = [
    ({"param_n_bits": [8.5, 16]}, "n_bits must be numbers of bits.*got 8.5"),
    ({"param_n_bits": [8, None]}, "n_bits must be numbers of bits.*got None"),
    ({"param_n_bits": [np.nan, 16]}, "n_bits must be numbers of bits.*got nan"),
    ({"param_n_bits": [True, 16]}, "n_bits must be numbers of bits.*got True"),
    ({"param_n_bits": [0, 16]}, "n_bits must be numbers of bits.*got 0"),
    ({"param_n_bits": ["a", 16]}, "n_bits must be numbers of bits.*got 'a'"),
    ({"param_n_bits": [8]}, r"mean_test_score must hold a number.*got shape \(2,\)"),
    ({"mean_test_score": [0.5]}, r"mean_test_score must hold.*got shape \(1,\)"),
    ({"std_test_score": [[1, 2]]}, r"std_test_score must hold.*got shape \(1, 2\)"),
    ({"std_test_score": None}, r"std_test_score must hold.*got shape \(\)"),
]


@pytest.mark.parametrize(("columns", "message"), NOT_RESULTS)
def test_other_results_are_refused(columns, message):
    """Columns that are no results of a search are named."""
    with pytest.raises(ValueError, match=message):
        fewest_bits({**RESULTS, **columns})


def test_results_without_errors_are_refused():
    """So are missing ones."""
    results = {name: RESULTS[name] for name in RESULTS if name != "std_test_score"}
    with pytest.raises(ValueError, match="results hold no std_test_score"):
        fewest_bits(results)


@pytest.mark.parametrize(("best", "choice"), [(np.inf, 1), (-np.inf, 0)])
def test_infinite_means_have_no_error(best, choice):
    """A candidate of infinite mean, whose spread is NaN, is the best, or none."""
    results = {
        **RESULTS,
        "mean_test_score": [0.5, best],
        "std_test_score": [0.1, np.nan],
    }
    assert fewest_bits(results) == choice


PLOTTED = {
    "BitStatisticsDisplay": lambda show, codes, y: show(codes).balance,
    "DistanceHistogramDisplay": lambda show, codes, y: (
        show(codes, codes, y, y).relevant
    ),
    "PrecisionAtKDisplay": lambda show, codes, y: show(codes, codes, y, y).precision,
    "PrecisionRecallByRadiusDisplay": lambda show, codes, y: (
        show(codes, codes, y, y).precision
    ),
}


@pytest.mark.parametrize("form", ["packed", "Fortran order", "list", "polars", "real"])
@pytest.mark.parametrize("name", PLOTTED)
def test_plots_of_codes_of_any_form(name, form):
    """A display shows the same of codes and labels of any form."""
    pytest.importorskip("matplotlib")
    display = getattr(pytest.importorskip("sklhash.displays"), name)
    codes = (X > 0).astype(np.uint8)
    expected = PLOTTED[name](display.from_predictions, codes, y)
    labels = CLASSES["categories"](y)
    found = PLOTTED[name](display.from_predictions, CODES[form](codes), labels)
    assert_array_equal(found, expected)


@pytest.mark.parametrize("form", ["list", "object", "float32", "read-only"])
def test_plots_of_scores_of_any_form(form):
    """Lengths and scores are drawn whatever holds them."""
    pytest.importorskip("matplotlib")
    from sklhash.displays import CodeLengthDisplay

    scores = VECTORS[form](np.array([0.5, 0.625]))
    display = CodeLengthDisplay.from_predictions([8, 16], {"ITQ": scores})
    assert display.ax_.get_xlim()[0] < 16


def test_packed_codes_are_split_as_rows():
    """Packed codes have rows, which need not be unpacked to be counted."""
    codes = PackedCodes.from_codes(X)
    same_rows(
        retrieval_split(codes, y, random_state=0), retrieval_split(X, y, random_state=0)
    )
