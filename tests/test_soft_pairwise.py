"""SoftPairwiseHasher: labels of any form, rows without any, the curves, the quality."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklhash import SoftPairwiseHasher
from sklhash.metrics import retrieval_scores

TINY = {
    "n_bits": 8,
    "hidden_units": (16,),
    "lr": 0.01,
    "batch_size": 32,
    "max_epochs": 2,
    "device": "cpu",
    "random_state": 0,
}


def tiny(**params):
    return SoftPairwiseHasher(**{**TINY, **params})


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Scaled(torch.nn.Module):
    """One layer of digits from 0 to 1."""

    def __init__(self, n_features, n_bits):
        super().__init__()
        self.hash_layer = torch.nn.Linear(n_features, n_bits)

    def forward(self, x):
        return self.hash_layer(x.float() / 16)


@pytest.fixture(scope="module")
def data(digits):
    """Rows, classes, and labels of which each row has two or three."""
    X, y = digits[0][:190], digits[1][:190]
    Y = np.hstack([np.eye(5)[y % 5], np.eye(2)[y // 5], (y[:, None] == 3)])
    return X, y, Y.astype(int)


def as_csr(Y, index_dtype=np.int32):
    labels = sp.csr_matrix(Y)
    labels.indices = labels.indices.astype(index_dtype)
    labels.indptr = labels.indptr.astype(index_dtype)
    return labels


def with_zeros(Y):
    """Give an indicator matrix with every zero stored."""
    return sp.csr_array((Y.ravel(), np.indices(Y.shape).reshape(2, -1)), shape=Y.shape)


FORMS = {
    "bool": lambda Y: Y.astype(bool),
    "int8": lambda Y: Y.astype(np.int8),
    "float": lambda Y: Y.astype(float),
    "list": np.ndarray.tolist,
    "frame": lambda Y: pytest.importorskip("pandas").DataFrame(Y),
    "tensor": torch.tensor,
    "csr_matrix": as_csr,
    "csr_int64": lambda Y: as_csr(Y, np.int64),
    "csr_array": lambda Y: sp.csr_array(Y.astype(bool)),
    "coo_array": sp.coo_array,
    "stored_zeros": with_zeros,
    "empty_columns": lambda Y: np.insert(Y, [0, 3, 8], 0, axis=1),
}


class TestLabels:
    """What y may be."""

    @pytest.mark.parametrize("attention_weight", [0, 0.5])
    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_any_form_of_indicator_matrix(self, form, attention_weight, data):
        """Equal labels give equal codes, dense or sparse, of any type."""
        X, _, Y = data
        hasher = tiny(attention_weight=attention_weight, max_epochs=1)
        codes = hasher.fit(X, Y).decision_function(X)
        assert_array_equal(hasher.fit(X, form(Y)).decision_function(X), codes)

    @pytest.mark.parametrize(
        "form",
        [
            lambda y: y.astype(float),
            lambda y: y.astype(np.uint8),
            lambda y: -7 * y,
            lambda y: np.array([f"digit {c}" for c in y]),
            lambda y: np.array([f"digit {c}" for c in y], dtype=object),
            lambda y: pytest.importorskip("pandas").Series(y, index=y),
            np.ndarray.tolist,
            lambda y: np.eye(10, dtype=int)[y],
            lambda y: sp.csr_array(np.eye(10)[y]),
        ],
        ids=[
            *("float", "uint8", "negative", "strings", "objects", "series", "list"),
            *("one_hot", "sparse_one_hot"),
        ],
    )
    @pytest.mark.parametrize("params", [{}, {"pair_weight": "balanced"}], ids=str)
    def test_any_form_of_classes(self, form, params, data):
        """Classes of any type are those of their indicator matrix."""
        X, y, _ = data
        hasher = tiny(max_epochs=1, **params)
        codes = hasher.fit(X, y).decision_function(X)
        assert_array_equal(hasher.fit(X, form(y)).decision_function(X), codes)

    def test_order_of_labels_does_not_matter(self, data):
        """Permuted columns of y give the same codes."""
        X, _, Y = data
        codes = tiny().fit(X, Y).transform(X)
        assert_array_equal(tiny().fit(X, Y[:, ::-1]).transform(X), codes)

    def test_classes_of_later_calls(self, data):
        """`partial_fit` takes classes that it has not seen before."""
        X, y, _ = data
        hasher = tiny().partial_fit(X[y < 5], y[y < 5])
        assert hasher.partial_fit(X[y >= 5], y[y >= 5]).n_iter_ == 2

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (None, r"requires y to be passed, but the target y is None"),
            (lambda y, Y: y[:-1], r"inconsistent numbers of samples"),
            (lambda y, Y: Y[:-1], r"inconsistent numbers of samples"),
            (lambda y, Y: sp.csr_array(Y[:-1]), r"inconsistent numbers of samples"),
            (lambda y, Y: np.where(y == 3, np.nan, y), r"y must hold class labels"),
            (lambda y, Y: y + 0.5, r"y must hold class labels.*fractions"),
            (lambda y, Y: np.where(Y, np.nan, Y), r"Input y contains NaN"),
            (lambda y, Y: -Y, r"matrix of zeros and ones; .* value -1"),
            (lambda y, Y: 2 * Y, r"matrix of zeros and ones; .* value 2"),
            (lambda y, Y: sp.csr_array(Y / 2), r"matrix of zeros and ones; .* 0\.5"),
            (lambda y, Y: Y[:, :, None], r"dim 3"),
            (lambda y, Y: [[0, 1], [1]] * 95, r"class vector or an indicator matrix"),
            (
                lambda y, Y: np.array([0, "a"] * 95, object),
                r"only numbers or only strings",
            ),
        ],
    )
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_bad_labels(self, labels, message, method, data):
        """Labels that cannot be meant are refused, and nothing is fitted."""
        X, y, Y = data
        hasher = tiny()
        with pytest.raises(ValueError, match=message):
            getattr(hasher, method)(X, None if labels is None else labels(y, Y))
        assert not hasattr(hasher, "net_")

    def test_missing_labels(self, data):
        """Without y it is said that labels are needed."""
        with pytest.raises(TypeError, match="'y'"):
            tiny().fit(data[0])

    @pytest.mark.parametrize("warm_start", [True, False])
    def test_the_form_of_labels_stays(self, warm_start, data):
        """A net that goes on learning takes labels of the form it began with."""
        X, y, Y = data
        hasher = tiny(warm_start=warm_start).fit(X, Y)
        codes = hasher.encode(X)
        for other in (y, Y[:, :5], np.insert(Y, 0, 0, axis=1)):
            with pytest.raises(ValueError, match="in earlier calls"):
                hasher.partial_fit(X, other)
            if warm_start:
                with pytest.raises(ValueError, match="in earlier calls"):
                    hasher.fit(X, other)
        assert hasher.encode(X) == codes
        assert hasher.partial_fit(X, sp.csr_array(Y)).n_iter_ == 3
        assert clone(hasher).set_params(warm_start=True).fit(X, y).n_iter_ == 2


class TestUnlabeled:
    """Rows without any label."""

    @pytest.fixture
    def partly(self, data):
        """Labels, and which rows have none."""
        Y, none = data[2].copy(), np.zeros(190, bool)
        none[[3, 8, 9, 180]] = True
        Y[none] = 0
        return Y, none

    @pytest.mark.parametrize("form", [np.asarray, sp.csr_array, with_zeros])
    def test_they_are_an_error_by_default(self, form, data, partly):
        """Rows without a label are counted, and ways out named."""
        message = r"4 rows of y have no label, row 3 first: set unlabeled='drop'"
        hasher = tiny()
        for method in (hasher.fit, hasher.partial_fit):
            with pytest.raises(ValueError, match=message):
                method(data[0], form(partly[0]))

    def test_they_can_be_dropped(self, data, partly):
        """Dropped rows have no part in the loss, and get codes all the same."""
        X, (Y, none) = data[0], partly
        params = {"module": Scaled, "unlabeled": "drop"}  # no statistics of all rows
        hasher = tiny(**params).fit(X, Y)
        assert hasher.transform(X).shape == (190, 8)
        without = tiny(module=Scaled).fit(X[~none], Y[~none])
        assert_array_equal(hasher.decision_function(X), without.decision_function(X))

    def test_they_can_be_kept_away_from_all_others(self, data, partly):
        """As dissimilar rows they are unlike all others, and like themselves."""
        X, (Y, none) = data[0], partly
        hasher = tiny(unlabeled="dissimilar", batch_size=190, max_epochs=1).fit(X, Y)
        own = np.zeros((190, 4), int)
        own[none] = np.eye(4, dtype=int)
        labels = np.hstack([Y, own])  # a label that no other row has
        expected = tiny(batch_size=190, max_epochs=1).fit(X, labels)
        assert_array_equal(hasher.decision_function(X), expected.decision_function(X))
        for name in ("train_loss", "hard_pairs"):
            assert_allclose(hasher.curves_[name], expected.curves_[name], rtol=1e-6)

    def test_too_few_are_left(self, data):
        """Dropping all rows but one leaves no pairs."""
        Y = np.zeros((190, 3), int)
        Y[5, 1] = 1
        with pytest.raises(ValueError, match="leaves fewer than 2 rows"):
            tiny(unlabeled="drop").fit(data[0], Y)


class TestCurves:
    """Terms of the loss of one batch, computed again."""

    @pytest.mark.parametrize("relaxation", ["softsign", "tanh"])
    def test_first_epoch_in_plain_loops(self, relaxation, data):
        """Each term is the mean over all pairs of what the paper says they pay."""
        X, Y = data[0][:40], data[2][:40]
        params = {
            "relaxation": relaxation,
            "batch_size": 40,
            "alpha": 3.0,
            "gamma": 0.2,
            "quantization_weight": 0.3,
            "hard_weight": 0.7,
        }
        u = tiny(**params, max_epochs=0).fit(X, Y).decision_function(X)
        curves = tiny(**params, max_epochs=1).fit(X, Y).curves_
        hard = soft = n_hard = n_similar = 0.0
        for i in range(40):
            for j in range(40):
                s = (Y[i] @ Y[j]) / np.sqrt(Y[i].sum() * Y[j].sum())
                inner = sum(u[i, k] * u[j, k] for k in range(8))
                omega = 3.0 * inner / 8
                if set(np.flatnonzero(Y[i])) == set(np.flatnonzero(Y[j])) or s == 0:
                    s = round(s)
                    cross_entropy = -s * np.log(sigmoid(omega))
                    cross_entropy -= (1 - s) * np.log(sigmoid(-omega))
                    hard, n_hard = hard + 0.7 * cross_entropy, n_hard + 1
                else:
                    soft += 0.2 * 8 * ((inner + 8) / 16 - s) ** 2
                n_similar += s > 0
        quantization = 0.3 * np.mean(np.abs(np.abs(u) - 1))
        expected = {
            "hard": hard / 1600,
            "soft": soft / 1600,
            "quantization": quantization,
            "hard_pairs": n_hard / 1600,
            "similar_pairs": n_similar / 1600,
            "train_loss": (hard + soft) / 1600 + quantization,
        }
        assert 0 < n_hard < 1600
        for name, value in expected.items():
            assert_allclose(curves[name], [value], rtol=1e-4, err_msg=name)

    @pytest.mark.parametrize(
        "params",
        [
            {"gamma": 0},
            {"quantization_weight": 0},
            {"hard_weight": 0},
            {"similarity": "hard"},
            {"soft_loss": "cross_entropy"},
            {"soft_loss": "sigmoid_mse"},
            {"hard_loss": "mse"},
            {"relaxation": "tanh"},
            {"self_pairs": False},
            {"pair_weight": "balanced"},
            {"alpha": 1.0},
        ],
        ids=str,
    )
    def test_each_option_reaches_the_loss(self, params, data):
        """Every option of the loss changes what is learned, and training works."""
        X, _, Y = data
        hasher = tiny(**params).fit(X, Y)
        plain = tiny().fit(X, Y)
        assert np.isfinite(hasher.curves_["train_loss"]).all()
        assert np.any(hasher.decision_function(X) != plain.decision_function(X))

    def test_classes_have_hard_pairs_only(self, data):
        """With one label a row all pairs are hard: gamma does not matter."""
        X, y, _ = data
        hasher = tiny().fit(X, y)
        assert_array_equal(hasher.curves_["hard_pairs"], 1)
        assert_array_equal(hasher.curves_["soft"], 0)
        other = tiny(gamma=9.0).fit(X, y)
        assert_array_equal(other.decision_function(X), hasher.decision_function(X))


def test_digits_map(digits):
    """With class labels rows of one class are found first."""
    hasher = SoftPairwiseHasher(
        32, hidden_units=(64,), lr=0.003, max_epochs=15, device="cpu"
    )
    assert mean_map(hasher, *digits, n_splits=2) > 0.9


@pytest.mark.filterwarnings("ignore:. of 16 bits")
def test_shared_labels_rank_before_some(digits):
    """Rows that share more labels come before rows that share fewer."""
    X, y = digits
    Y = np.hstack([np.eye(5)[y % 5], np.eye(2)[y // 5]]).astype(int)
    scores = {}
    for similarity in ("cosine", "hard"):
        hasher = SoftPairwiseHasher(
            16,
            hidden_units=(64,),
            lr=0.003,
            max_epochs=15,
            gamma=1.0,
            similarity=similarity,
            device="cpu",
            random_state=0,
        ).fit(X[300:], Y[300:])
        codes = hasher.encode(X)
        result = retrieval_scores(
            codes[:300], codes[300:], Y[:300], Y[300:], metrics=("ndcg@100",)
        )
        scores[similarity] = result["ndcg@100"]
    assert scores["cosine"] > 0.75
    assert scores["cosine"] > scores["hard"]


def test_attention_of_pairs_with_labels(data):
    """Supervised gradient attention: both networks learn, codes differ from plain."""
    X, _, Y = data
    attended = tiny(attention_weight=1.0, max_epochs=4).fit(X, Y)
    plain = tiny(max_epochs=4).fit(X, Y)
    assert np.any(attended.transform(X) != plain.transform(X))
    assert np.all(np.diff(attended.curves_["train_loss"]) < 0)
    assert np.all(attended.curves_["loss_after"] < attended.curves_["train_loss"])
    assert_allclose(attended.curves_["hard"][0], plain.curves_["hard"][0], rtol=0.2)
    assert_array_equal(attended.curves_["hard_pairs"], plain.curves_["hard_pairs"])
