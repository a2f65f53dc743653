"""Losses of deep hashers: the authors' numbers, plain loops over pairs, gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.autograd import gradcheck

from sklhash.deep.losses import (
    FeatureSimilarityLoss,
    SoftPairwiseLoss,
    balanced_weights,
    label_similarity,
    pair_cross_entropy,
)

#: Six items with labels among five, and outputs for four bits. What the loss of them
#: is was computed with NumPy from the formulas of the authors' code.
Y = [
    [1, 0, 0, 0, 0],
    [1, 1, 0, 0, 0],
    [0, 1, 1, 0, 0],
    [1, 1, 1, 0, 0],
    [0, 0, 0, 1, 1],
    [1, 1, 0, 0, 0],
]
Z = [
    [2, -1, 0.5, -3],
    [1, 1, -0.5, -2],
    [-1, 2, 0.25, 0.75],
    [0.1, 0.4, -0.2, -1],
    [-4, -0.6, 1.5, 3],
    [0.9, -0.3, -0.8, -1.2],
]
ISDH = {"soft_loss": "sigmoid_mse", "hard_weight": 10.0}

OPTIONS = {
    "IDHN": {},
    "ISDH": ISDH,
    "other_constants": {"alpha": 2.0, "gamma": 0.7, "quantization_weight": 0.3},
    "cross_entropy": {"soft_loss": "cross_entropy", "hard_weight": 3.0},
    "mse": {"hard_loss": "mse"},
    "hard": {"similarity": "hard"},
    "tanh": {"relaxation": "tanh"},
    "no_self_pairs": {"self_pairs": False},
    "balanced": {"pair_weight": "balanced"},
    "balanced_hard": {"pair_weight": "balanced", "similarity": "hard"},
}
FEATURE_OPTIONS = {
    "logistic": {},
    "squared": {"loss": "squared"},
    "quantized": {"alpha": 2.0, "quantization_weight": 0.3},
    "continued": {"continuation": 0.005},
}


def doubles(values):
    return torch.tensor(np.array(values), dtype=torch.float64)


def terms_of(loss, outputs, targets):
    """All terms, as numbers."""
    terms = loss.terms(outputs, loss.pairs(targets))
    return {name: term.item() for name, term in terms.items()}


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def inner_product(u, v):
    return sum(a * b for a, b in zip(u, v, strict=True))


def soft_pairwise_terms(
    outputs,
    label_sets,
    *,
    alpha=5.0,
    gamma=0.1,
    quantization_weight=0.1,
    hard_weight=1.0,
    hard_loss="cross_entropy",
    soft_loss="mse",
    similarity="cosine",
    relaxation="softsign",
    self_pairs=True,
    pair_weight=None,
):
    """The loss's terms, pair by pair, on numbers and sets."""
    relax = math.tanh if relaxation == "tanh" else lambda z: z / (1 + abs(z))
    codes = [[relax(z) for z in row] for row in outputs]
    n, q = len(codes), len(codes[0])
    pairs = []  # loss, is hard, is similar
    for i in range(n):
        for j in range(n):
            if i == j and not self_pairs:
                continue
            a, b = label_sets[i], label_sets[j]
            s = len(a & b) / math.sqrt(len(a) * len(b)) if a and b else 0.0
            if i == j:
                s = 1.0
            hard = i == j or a == b or not a & b or similarity == "hard"
            if similarity == "hard":
                s = float(s > 0)
            inner = inner_product(codes[i], codes[j])
            omega = alpha / q * inner
            losses = {
                "cross_entropy": hard_weight * (softplus(omega) - s * omega),
                "mse": gamma / q * ((inner + q) / 2 - s * q) ** 2,
                "sigmoid_mse": (s - sigmoid(omega)) ** 2,
            }
            pairs.append((losses[hard_loss if hard else soft_loss], hard, s > 0))
    n_similar = sum(similar for _, _, similar in pairs)
    sums = {True: 0.0, False: 0.0}
    for loss, hard, similar in pairs:
        weight = 1.0
        if pair_weight == "balanced" and 0 < n_similar < len(pairs):
            group = n_similar if similar else len(pairs) - n_similar
            weight = len(pairs) / (2 * group)
        sums[hard] += weight * loss / len(pairs)
    distances = [abs(abs(u) - 1) for row in codes for u in row]
    quantization = quantization_weight * sum(distances) / (n * q)
    return {"hard": sums[True], "soft": sums[False], "quantization": quantization}


label_sets = st.lists(st.frozensets(st.integers(0, 4)), min_size=2, max_size=6)


def indicator(label_sets, n_labels=5):
    return doubles([[float(c in row) for c in range(n_labels)] for row in label_sets])


class TestAuthorsNumbers:
    """Six items, four bits, computed independently in double precision."""

    def test_terms(self):
        """Pair means, quantisation error and total are the formulas'."""
        terms = terms_of(SoftPairwiseLoss(), doubles(Z), doubles(Y))
        assert_allclose(terms["hard"], 0.207424312785, atol=1e-9)
        assert_allclose(terms["soft"], 0.006492531173, atol=1e-9)
        assert_allclose(terms["hard"] + terms["soft"], 0.213916843958, atol=1e-9)
        assert_allclose(terms["quantization"], 0.1 * 0.528838309595, atol=1e-9)
        total = SoftPairwiseLoss()(doubles(Z), doubles(Y)).item()
        assert_allclose(total, 0.266800674917, atol=1e-9)

    def test_binary_codes(self):
        """Codes of -1 and 1 pay for their pairs, and nothing for quantisation."""
        loss, B = SoftPairwiseLoss(), doubles(Z).sign()
        terms = loss.of_pairs(B @ B.T, loss.pairs(doubles(Y)), 4)
        assert_allclose(terms["hard"].item(), 0.196793492232, atol=1e-9)
        assert_allclose(terms["soft"].item(), 0.016049550833, atol=1e-9)
        assert loss.of_codes(B)["quantization"].item() == 0

    def test_gradient(self):
        """The gradient is the formulas'."""
        outputs = doubles(Z).requires_grad_()
        SoftPairwiseLoss()(outputs, doubles(Y)).backward()
        first = [-0.0040638103, 0.0031662795, 0.0037372684, 0.0022218024]
        fifth = [0.0006146934, 0.0141832875, -0.001107925, -0.0019884008]
        assert_allclose(outputs.grad[[0, 4]], [first, fifth], atol=1e-9)

    def test_first_version(self):
        """ISDH, the paper's first version, is a choice of options."""
        total = SoftPairwiseLoss(**ISDH)(doubles(Z), doubles(Y)).item()
        assert_allclose(total, 2.140671294161, atol=1e-9)

    def test_default_is_not_that_of_a_known_port(self):
        """DeepHash-pytorch scales inner products twice, and misses a factor."""
        total = SoftPairwiseLoss()(doubles(Z), doubles(Y)).item()
        assert abs(total - 0.465726181332) > 0.1

    def test_similarity(self):
        """Shared labels are divided by the root of both numbers of labels."""
        similarity, exact = label_similarity(doubles(Y))
        expected = [0.5**0.5, 1, 0.5, (2 / 3) ** 0.5, 0, 1]
        assert_allclose(similarity[1], expected, rtol=1e-15)
        assert exact[1].tolist() == [False, True, False, False, True, True]


class TestSoftPairwiseLoss:
    """The loss of soft pairwise similarity hashing."""

    @pytest.mark.parametrize("name", OPTIONS)
    @settings(max_examples=20)
    @given(label_sets=label_sets, q=st.integers(1, 9), seed=st.integers(0, 2**31))
    def test_equals_loops_over_pairs(self, name, label_sets, q, seed):
        """Every option is the formula, for any labels and any number of bits."""
        options = OPTIONS[name]
        outputs = 2 * np.random.RandomState(seed).randn(len(label_sets), q)
        expected = soft_pairwise_terms(outputs.tolist(), label_sets, **options)
        loss = SoftPairwiseLoss(**options)
        terms = terms_of(loss, doubles(outputs), indicator(label_sets))
        assert terms.keys() == expected.keys()
        for term, value in expected.items():
            assert_allclose(terms[term], value, rtol=1e-12, atol=1e-14)
        total = loss(doubles(outputs), indicator(label_sets)).item()
        assert_allclose(total, sum(expected.values()), rtol=1e-12)

    @pytest.mark.parametrize("similarity", ["cosine", "hard"])
    def test_balance_without_self_pairs_is_that_of_the_pairs_left(self, similarity):
        """Balanced weights count the pairs that pay, not an item and itself."""
        sets = [{c for c in range(5) if row[c]} for row in Y]
        options = {
            "pair_weight": "balanced",
            "self_pairs": False,
            "similarity": similarity,
        }
        terms = terms_of(SoftPairwiseLoss(**options), doubles(Z), doubles(Y))
        expected = soft_pairwise_terms(Z, sets, **options)
        for term, value in expected.items():
            assert_allclose(terms[term], value, rtol=1e-12)

    @pytest.mark.parametrize("name", OPTIONS)
    def test_gradcheck(self, name):
        """Gradients are those of finite differences."""
        rng = np.random.RandomState(0)
        outputs = doubles(rng.randn(6, 4)).requires_grad_()
        loss = SoftPairwiseLoss(**OPTIONS[name])
        assert gradcheck(lambda z: loss(z, doubles(Y)), outputs)

    @pytest.mark.parametrize("name", OPTIONS)
    def test_classes_equal_their_indicator_matrix(self, name, rng):
        """A class vector is short for one label an item."""
        y = torch.tensor([2, 0, 1, 2, 2, 0])
        one_hot = torch.nn.functional.one_hot(y)
        outputs, loss = doubles(rng.randn(6, 5)), SoftPairwiseLoss(**OPTIONS[name])
        for dtype in (torch.float32, torch.float64):
            targets = one_hot.to(dtype)
            for of_classes, of_matrix in zip(
                loss.pairs(y), loss.pairs(targets), strict=True
            ):
                assert torch.equal(of_classes, of_matrix.to(of_classes.dtype))
            assert_allclose(loss(outputs, y), loss(outputs, targets), rtol=1e-12)

    def test_classes_have_no_soft_pairs(self, rng):
        """With one label an item the loss is a cross-entropy of all pairs."""
        y, outputs = torch.tensor([1, 1, 0, 2]), doubles(rng.randn(4, 8))
        terms = terms_of(SoftPairwiseLoss(), outputs, y)
        assert terms["soft"] == 0
        assert terms_of(SoftPairwiseLoss(**OPTIONS["hard"]), outputs, y) == terms

    @pytest.mark.parametrize("name", OPTIONS)
    def test_twice_the_bits(self, name):
        """Said twice, codes pay the same cross-entropy, and twice the squared error."""
        options = OPTIONS[name]
        once, twice = (
            terms_of(SoftPairwiseLoss(**options), outputs, doubles(Y))
            for outputs in (doubles(Z), doubles(Z).repeat(1, 2))
        )
        hard, soft = options.get("hard_loss"), options.get("soft_loss", "mse")
        assert_allclose(twice["hard"], (1 + (hard == "mse")) * once["hard"])
        assert_allclose(twice["soft"], (1 + (soft == "mse")) * once["soft"])
        assert_allclose(twice["quantization"], once["quantization"])

    @pytest.mark.parametrize("name", OPTIONS)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    @pytest.mark.parametrize("alpha", [1e3, 1e30])
    def test_no_overflow(self, name, dtype, alpha):
        """However large alpha is, the loss and its gradient are numbers."""
        outputs = doubles(Z).to(dtype).requires_grad_()
        loss = SoftPairwiseLoss(**{**OPTIONS[name], "alpha": alpha})
        value = loss(outputs, doubles(Y))
        value.backward()
        assert value.dtype == dtype
        assert torch.isfinite(value)
        assert torch.isfinite(outputs.grad).all()

    @pytest.mark.parametrize("name", OPTIONS)
    def test_rows_without_labels(self, name, rng):
        """They are like themselves and unlike all others, which costs no NaN."""
        labels, loss = doubles(Y), SoftPairwiseLoss(**OPTIONS[name])
        labels[[0, 3]] = 0
        similarity, hard = loss.pairs(labels)
        assert torch.equal(similarity[[0, 3]], torch.eye(6, dtype=torch.double)[[0, 3]])
        assert hard[[0, 3]].all()
        outputs = doubles(rng.randn(6, 4)).requires_grad_()
        loss(outputs, labels).backward()
        assert torch.isfinite(outputs.grad).all()

    def test_one_item_without_self_pairs_has_no_pair(self):
        """A batch of one is no division by zero."""
        outputs = doubles(Z[:1]).requires_grad_()
        terms = SoftPairwiseLoss(self_pairs=False).terms(
            outputs, label_similarity(doubles(Y[:1]))
        )
        assert terms["hard"] == terms["soft"] == 0
        sum(terms.values()).backward()
        assert torch.isfinite(outputs.grad).all()

    @pytest.mark.parametrize("relaxation", ["softsign", "tanh"])
    def test_relaxed_codes_keep_signs(self, relaxation):
        """Codes lie between -1 and 1 and have the outputs' signs, 0 included."""
        outputs = torch.tensor([-1e30, -2.0, -1e-30, 0.0, 1e-30, 2.0, 1e30])
        codes = SoftPairwiseLoss(relaxation=relaxation).relax(outputs)
        assert torch.equal(codes.sign(), outputs.sign())
        assert codes.abs().max() <= 1

    def test_shares(self):
        """Hard and similar pairs are counted, self-pairs included."""
        loss = SoftPairwiseLoss()
        shares = loss.shares(loss.pairs(doubles(Y)))
        assert_allclose(shares["hard_pairs"], 20 / 36)
        assert_allclose(shares["similar_pairs"], 24 / 36)

    def test_descent_brings_similar_items_together(self):
        """Codes that follow the gradient end with more shared bits for shared labels.

        It guards the sign of the loss.
        """
        generator = torch.Generator().manual_seed(0)
        outputs = torch.randn(6, 16, generator=generator).requires_grad_()
        loss = SoftPairwiseLoss()
        for _ in range(300):
            (gradient,) = torch.autograd.grad(loss(outputs, doubles(Y)), outputs)
            outputs = (outputs - 20 * gradient).detach().requires_grad_()
        B = outputs.detach().sign()
        inner = B @ B.T
        assert inner[1, 5] == 16  # all labels shared
        assert inner[3, 5] > inner[2, 5] > inner[4, 5]  # two of three, one, none


class TestHardPairs:
    """Which pairs share all labels or none is decided on counts."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_equal_rows_are_hard(self, dtype):
        """Equal rows are, with a similarity of exactly 1, whatever their number."""
        labels = torch.ones(80, 80, dtype=dtype).tril()  # 1 to 80 labels
        similarity, exact = label_similarity(labels.repeat(2, 1))
        same = torch.eye(80, dtype=torch.bool).repeat(2, 2)
        assert torch.equal(exact, same)
        assert torch.equal(similarity == 1, same)
        assert similarity.max() == 1

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_nearly_equal_rows_are_soft(self, dtype):
        """Sixty labels of which 59 are shared are not all; the authors' 0.99 says so.

        A row and 59 of its 60 labels have a cosine of 0.9916.
        """
        rows = torch.zeros(3, 61, dtype=dtype)
        rows[0, :60] = rows[1, 1:] = rows[2, :59] = 1
        similarity, exact = label_similarity(rows)
        assert torch.equal(exact, torch.eye(3, dtype=torch.bool))
        assert_allclose(similarity[0], [1, 59 / 60, (59 / 60) ** 0.5], rtol=1e-6)

    def test_nearly_disjoint_rows_are_soft(self):
        """One label shared among hundreds is not none."""
        rows = torch.zeros(2, 399)
        rows[0, :200] = rows[1, 199:] = 1
        similarity, exact = label_similarity(rows)
        assert not exact[0, 1]
        assert_allclose(similarity[0, 1], 1 / 200, rtol=1e-6)


class TestBalancedWeights:
    """Weights that make up for few similar pairs."""

    @given(st.integers(2, 9), st.integers(0, 2**31))
    def test_both_kinds_weigh_the_same(self, n, seed):
        """Sums over similar and over dissimilar pairs are equal, and the mean is 1."""
        values = np.random.RandomState(seed).choice([0, 0, 0.3, 1], (n, n))
        values[0, :2] = 0, 1
        similarity = doubles(values)
        counted = torch.ones(n, n, dtype=torch.bool)
        weights = balanced_weights(similarity, counted)
        similar = weights[similarity > 0].sum().item()
        assert_allclose(similar, n * n / 2)
        assert_allclose(weights.sum().item() - similar, n * n / 2)

    @pytest.mark.parametrize("value", [0.0, 0.5])
    def test_one_kind_alone_weighs_one(self, value):
        """If all pairs are of one kind the mean is still 1."""
        weights = balanced_weights(
            torch.full((3, 3), value), torch.ones(3, 3, dtype=torch.bool)
        )
        assert torch.equal(weights, torch.ones(3, 3))


def feature_terms(
    outputs,
    features,
    similar,
    dissimilar,
    center=None,
    *,
    loss="logistic",
    alpha=5.0,
    quantization_weight=0.0,
    continuation=0.0,
    step=0,
):
    """The loss's terms, pair by pair, on numbers."""
    beta = math.sqrt(1 + continuation * 200 * math.floor(step / 200))
    codes = [[math.tanh(beta * z) for z in row] for row in outputs]
    n, q, total = len(codes), len(codes[0]), 0.0
    if center is not None:
        features = [
            [f - c for f, c in zip(row, center, strict=True)] for row in features
        ]
    for i in range(n):
        for j in range(n):
            norms = math.hypot(*features[i]) * math.hypot(*features[j])
            cosine = inner_product(features[i], features[j]) / norms if norms else 0
            is_similar = i == j or cosine >= similar
            if not is_similar and cosine > dissimilar:
                continue
            inner = inner_product(codes[i], codes[j]) / q
            if loss == "logistic":
                total += softplus(alpha * inner) - is_similar * alpha * inner
            else:
                total += (inner - (1 if is_similar else -1)) ** 2
    terms = {"pairs": total / n**2}
    if quantization_weight:
        squares = [(h - math.copysign(1, h)) ** 2 for row in codes for h in row]
        terms["quantization"] = quantization_weight * sum(squares) / (n * q)
    return terms


class TestFeatureSimilarityLoss:
    """The loss of unsupervised hashers."""

    @pytest.mark.parametrize("name", FEATURE_OPTIONS)
    @pytest.mark.parametrize("bounds", [(0.2, 0.2), (0.5, -0.1), (0.9, -2.0)])
    @pytest.mark.parametrize("centered", [False, True])
    @pytest.mark.parametrize("q", [1, 4, 7])
    def test_equals_loops_over_pairs(self, name, bounds, centered, q, rng):
        """Every option is the formula, rows of zeros and ignored pairs included."""
        outputs, features = rng.randn(7, q), rng.randn(7, 3)
        center = [0.3, -0.2, 0.1] if centered else None
        features[[2, 4]] = center or 0  # no direction
        options = FEATURE_OPTIONS[name]
        loss = FeatureSimilarityLoss(
            *bounds, None if center is None else doubles(center), **options
        )
        loss.step = 450
        expected = feature_terms(
            outputs.tolist(), features.tolist(), *bounds, center, step=450, **options
        )
        terms = terms_of(loss, doubles(outputs), doubles(features))
        assert terms.keys() == expected.keys()
        for term, value in expected.items():
            assert_allclose(terms[term], value, rtol=1e-12)
        total = loss(doubles(outputs), doubles(features)).item()
        assert_allclose(total, sum(expected.values()), rtol=1e-12)

    @pytest.mark.parametrize("name", FEATURE_OPTIONS)
    def test_gradcheck(self, name, rng):
        """Gradients are those of finite differences."""
        outputs = doubles(rng.randn(6, 4)).requires_grad_()
        features = doubles(rng.randn(6, 3))
        loss = FeatureSimilarityLoss(0.5, -0.1, **FEATURE_OPTIONS[name])
        loss.step = 1000
        assert gradcheck(lambda z: loss(z, features), outputs)

    @pytest.mark.parametrize("name", FEATURE_OPTIONS)
    def test_twice_the_bits(self, name, rng):
        """Said twice, codes pay the same."""
        outputs, features = doubles(rng.randn(6, 4)), doubles(rng.randn(6, 3))
        loss = FeatureSimilarityLoss(0.5, -0.1, **FEATURE_OPTIONS[name])
        once, twice = loss(outputs, features), loss(outputs.repeat(1, 2), features)
        assert_allclose(once, twice)

    @pytest.mark.parametrize("similar", [-0.5, 0.5, 1.0, 1.2])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_rows_are_like_themselves(self, similar, dtype, rng):
        """A row is like itself, even of zeros, and where no two rows can be alike."""
        features = torch.from_numpy(rng.randn(30, 5)).to(dtype)
        features[3] = 0
        loss = FeatureSimilarityLoss(similar, -1.0)
        similarity, counts = loss.pairs(features)
        assert similarity.diagonal().tolist() == [1] * 30
        assert counts.diagonal().all()
        assert torch.equal(similarity, similarity.T)

    def test_a_cosine_equal_to_both_bounds_is_similar(self):
        """With one threshold every pair counts, on one side or the other."""
        features = doubles([[1, 0], [0, 1], [-1, 0], [2, 0]])
        similarity, counts = FeatureSimilarityLoss(0.0, 0.0).pairs(features)
        assert similarity[0].tolist() == [1, 1, 0, 1]
        assert counts.all()

    def test_images_are_rows_of_numbers(self, rng):
        """Features of any shape are compared as vectors."""
        features = doubles(rng.randn(5, 2, 3, 4))
        loss = FeatureSimilarityLoss(0.1, 0.0)
        flat = loss.pairs(features.reshape(5, 24))
        assert all(map(torch.equal, loss.pairs(features), flat))

    def test_slope_grows_every_200_steps(self):
        """The slope is sqrt(1 + 0.005 t), where t is the steps rounded down."""
        loss, outputs = FeatureSimilarityLoss(0, 0, continuation=0.005), doubles([0.1])
        for step in (0, 1, 199, 200, 399, 400, 1999, 12_000):
            loss.step = step
            slope = torch.atanh(loss.relax(outputs)).item() / 0.1
            expected = math.sqrt(1 + 0.005 * 200 * math.floor(step / 200))
            assert_allclose(slope, expected, rtol=1e-12)
        loss.step = 12_000
        assert_allclose(torch.atanh(loss.relax(outputs)).item() / 0.1, 61**0.5)

    def test_no_continuation_by_default(self, rng):
        """Without continuation the codes are tanh of the outputs, at any step."""
        loss, outputs = FeatureSimilarityLoss(0, 0), doubles(rng.randn(3, 4))
        loss.step = 10_000
        assert torch.equal(loss.relax(outputs), outputs.tanh())

    @pytest.mark.parametrize("name", FEATURE_OPTIONS)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_no_overflow(self, name, dtype):
        """However large alpha is, the loss and its gradient are numbers."""
        outputs = doubles(Z).to(dtype).requires_grad_()
        options = {**FEATURE_OPTIONS[name], "alpha": 1e30}
        value = FeatureSimilarityLoss(0.5, 0.1, **options)(outputs, doubles(Y))
        value.backward()
        assert value.dtype == dtype
        assert torch.isfinite(value)
        assert torch.isfinite(outputs.grad).all()

    def test_shares(self):
        """Similar and ignored pairs are counted, self-pairs included."""
        features = doubles([[1, 0], [1, 1], [0, 1]])  # cosines 1, 0.71, 0
        loss = FeatureSimilarityLoss(0.8, 0.1)
        shares = loss.shares(loss.pairs(features))
        assert_allclose(shares["similar_pairs"], 3 / 9)
        assert_allclose(shares["ignored_pairs"], 4 / 9)

    def test_center_lies_in_the_state(self):
        """The centre moves to a device with the loss, and is saved with it."""
        loss = FeatureSimilarityLoss(0.5, 0.5, doubles([1.0, 2.0]))
        assert loss.state_dict()["center"].tolist() == [1, 2]
        assert loss.float().center.dtype == torch.float32


def test_cross_entropy_is_that_of_a_sigmoid(rng):
    """It is -s log(sigmoid) - (1 - s) log(1 - sigmoid)."""
    logits, s = doubles(3 * rng.randn(5, 5)), doubles(rng.rand(5, 5))
    sigma = torch.sigmoid(logits)
    expected = -s * sigma.log() - (1 - s) * (1 - sigma).log()
    assert_allclose(pair_cross_entropy(logits, s), expected, rtol=1e-12)
