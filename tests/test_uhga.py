"""UHGAHasher and SSDHHasher: what is similar, feature networks, curves, quality."""

import copy

import numpy as np
import pytest
import torch
from digits_protocol import mean_map
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics.pairwise import cosine_similarity
from torch import nn

from sklhash import RandomHyperplaneHashing, SSDHHasher, UHGAHasher
from sklhash.deep.similarity import half_gaussian_bounds

TINY = {
    "n_bits": 8,
    "hidden_units": (16,),
    "lr": 0.01,
    "batch_size": 32,
    "max_epochs": 2,
    "device": "cpu",
    "random_state": 0,
}


def uhga(**params):
    return UHGAHasher(**{**TINY, **params})


def ssdh(**params):
    return SSDHHasher(**{**TINY, **params})


@pytest.fixture(scope="module")
def X(digits):  # noqa: N802 -- the rows, as everywhere
    """Digits enough to learn from."""
    return digits[0][:190]


@pytest.fixture(scope="module")
def images(X):
    """The digits as images, of numbers from 0 to 1."""
    return (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)


def cosines(X, *, center):
    """Cosines of all pairs of different rows."""
    S = cosine_similarity(X - X.mean(axis=0) if center else X)
    return S[np.triu_indices(len(S), 1)]


class Features(nn.Module):
    """A network that must not be trained: dropout and running means would show."""

    def __init__(self, n_features=64, n_out=20):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n_features, n_out),
            nn.BatchNorm1d(n_out),
            nn.Tanh(),
            nn.Dropout(0.5),
        )

    def forward(self, x):
        assert not self.training
        assert not torch.is_grad_enabled()
        return self.layers(x)


class FirstHalf(nn.Module):
    """The first half of the features, as an image of one row."""

    def __init__(self, n_features=64):
        super().__init__()
        self.n_kept = n_features // 2

    def forward(self, x):
        return x[:, None, None, : self.n_kept]


class ForImages(nn.Module):
    """A network of one convolution."""

    def __init__(self, n_channels, n_bits):
        super().__init__()
        self.convolution = nn.Conv2d(n_channels, 8, 3)
        self.hash_layer = nn.Linear(8 * 6 * 6, n_bits)

    def forward(self, x):
        return self.hash_layer(self.convolution(x).relu().flatten(1))


@pytest.fixture
def network():
    """A network with weights of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return Features()


class TestSimilarity:
    """Which pairs count as similar."""

    @pytest.mark.parametrize("center", [True, False])
    @pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
    def test_automatic_threshold_is_a_quantile_of_the_cosines(
        self, center, quantile, X
    ):
        """The share `quantile` of all pairs of different rows is dissimilar."""
        hasher = uhga(center=center, quantile=quantile, max_epochs=0).fit(X)
        S = cosines(X, center=center)
        assert_allclose(hasher.similar_from_, np.quantile(S, quantile), atol=1e-9)
        assert hasher.dissimilar_to_ == hasher.similar_from_
        assert abs(np.mean(hasher.similar_from_ <= S) - (1 - quantile)) < 0.001

    @pytest.mark.parametrize("threshold", [-0.25, 0, 0.3, 0.75])
    def test_fixed_threshold(self, threshold, X):
        """Pairs with a cosine of at least `threshold` are similar, in the loss, too."""
        hasher = uhga(threshold=threshold, batch_size=190, max_epochs=1).fit(X)
        assert hasher.similar_from_ == hasher.dissimilar_to_ == threshold
        S = cosine_similarity(X - X.mean(axis=0))
        share = np.mean(threshold <= S)
        assert_allclose(hasher.curves_["similar_pairs"], share, atol=1e-4)
        assert_array_equal(hasher.curves_["ignored_pairs"], 0)

    @pytest.mark.parametrize("threshold", [1, 1.5, -1.01, "median"])
    def test_bad_thresholds(self, threshold, X):
        """A threshold that no pair, or every one, reaches is refused."""
        with pytest.raises(ValueError, match="'threshold' parameter of UHGAHasher"):
            uhga(threshold=threshold).fit(X)

    @pytest.mark.parametrize("center", [True, False])
    def test_half_gaussians_are_those_of_ssdh(self, center, X):
        """``similarity='half_gaussian'`` takes the bounds that SSDHHasher takes."""
        mine = uhga(similarity="half_gaussian", center=center, max_epochs=1)
        theirs = ssdh(center=center, max_epochs=1).fit(X)
        assert mine.fit(X).similar_from_ == theirs.similar_from_
        assert mine.dissimilar_to_ == theirs.dissimilar_to_ < mine.similar_from_
        features = X - X.mean(axis=0) if center else X
        similar, dissimilar = half_gaussian_bounds(features)
        assert_allclose(mine.similar_from_, 1 - similar, atol=1e-9)
        assert_allclose(mine.dissimilar_to_, 1 - dissimilar, atol=1e-9)

    def test_equal_parts_make_equal_fits(self, X):
        """UHGAHasher with SSDH's similarity, loss and centre is SSDHHasher."""
        params = {"center": True, "loss": "squared"}
        mine = uhga(similarity="half_gaussian", **params).fit(X)
        assert_array_equal(
            mine.decision_function(X), ssdh(**params).fit(X).decision_function(X)
        )

    def test_width_moves_both_bounds(self, X):
        """SSDH's bounds lie `width` deviations from one and the same top."""
        near, far, top = (ssdh(width=w, max_epochs=0).fit(X) for w in (1, 2, 1e-9))
        for bound in ("similar_from_", "dissimilar_to_"):
            steps = np.diff([getattr(h, bound) for h in (top, near, far)])
            assert_allclose(*steps, rtol=1e-6)
        S = cosine_similarity(X)
        ignored = (near.dissimilar_to_ < S) & (near.similar_from_ > S)
        curves = ssdh(width=1, batch_size=190, max_epochs=1).fit(X).curves_
        assert_allclose(curves["ignored_pairs"], np.mean(ignored), atol=1e-4)

    def test_no_similar_pairs_are_warned_of(self, X):
        """Bounds that leave no two rows alike are told where `fit` was called."""
        with pytest.warns(UserWarning, match="call no two rows alike") as record:
            ssdh(width=100.0, max_epochs=0).fit(X)
        assert record[0].filename == __file__

    @pytest.mark.parametrize("make", [uhga, ssdh])
    def test_a_sample_decides(self, make, digits):
        """With `max_samples` rows the bounds are near those of all, and repeatable."""
        X, _ = digits
        hasher = make(max_epochs=0, hidden_units=(64,))
        few = clone(hasher).set_params(max_samples=300).fit(X)
        again = clone(few).fit(X)
        every = clone(hasher).set_params(max_samples=1797).fit(X)
        more = clone(hasher).set_params(max_samples=9999).fit(X)
        assert few.similar_from_ == again.similar_from_ != every.similar_from_
        assert abs(few.similar_from_ - every.similar_from_) < 0.05
        assert every.similar_from_ == more.similar_from_

    def test_centre(self, X):
        """The centre is the mean; far from zero nothing can be told without it."""
        assert_allclose(uhga(max_epochs=0).fit(X).center_, X.mean(axis=0), atol=1e-9)
        assert uhga(center=False, max_epochs=0).fit(X).center_ is None
        near, far = (uhga(max_epochs=0).fit(X + shift) for shift in (0, 1e4))
        assert_allclose(far.similar_from_, near.similar_from_, atol=1e-6)
        assert uhga(center=False, max_epochs=0).fit(X + 1e4).similar_from_ > 0.999

    def test_centre_of_images(self, images):
        """Images have one centre of all their pixels; bytes count as floats."""
        hasher = uhga(module=ForImages, max_epochs=0).fit(images)
        rows = images.reshape(190, 64).astype(float)
        assert_allclose(hasher.center_.ravel(), rows.mean(axis=0), atol=1e-6)
        expected = np.quantile(cosines(rows, center=True), hasher.quantile)
        assert_allclose(hasher.similar_from_, expected, atol=1e-6)

    def test_later_calls_keep_what_is_similar(self, X):
        """`partial_fit` and warm starts keep the threshold and centre of the first."""
        hasher = uhga(warm_start=True).fit(X[:90])
        threshold, center = hasher.similar_from_, hasher.center_
        hasher.partial_fit(X[90:]).fit(X)
        assert hasher.similar_from_ == threshold
        assert_array_equal(hasher.center_, center)
        assert hasher.set_params(warm_start=False).fit(X).similar_from_ != threshold

    def test_y_is_ignored(self, X, digits):
        """Labels are not looked at."""
        codes = uhga().fit(X).encode(X)
        for y in (digits[1][:190], np.full(190, np.nan), [None]):
            assert uhga().fit(X, y).encode(X) == codes

    def test_constant_and_zero_rows(self, X):
        """Rows without a direction are like themselves only, and nothing is NaN."""
        rows = X.copy()
        rows[:5] = 0
        hasher = uhga(center=False).fit(rows)
        assert np.isfinite(hasher.decision_function(rows)).all()
        assert_array_equal(np.ptp(hasher.transform(rows[:5]), axis=0), 0)


class TestFeatureModule:
    """A frozen network whose features decide what is similar."""

    @pytest.mark.parametrize("attention_weight", [0, 0.5])
    def test_it_is_frozen(self, attention_weight, network, X):
        """It is used in evaluation mode, without gradients, and left as it was."""
        before = copy.deepcopy(network.state_dict())
        assert network.training
        uhga(feature_module=network, attention_weight=attention_weight).fit(
            X.astype(np.float32)
        ).partial_fit(X)
        assert network.training
        assert all(p.requires_grad and p.grad is None for p in network.parameters())
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name]), name

    @pytest.mark.parametrize("center", [True, False])
    def test_its_features_decide(self, center, network, X):
        """Threshold, centre and pairs are those of the features."""
        hasher = uhga(
            feature_module=network, center=center, batch_size=190, max_epochs=1
        ).fit(X)
        quiet = copy.deepcopy(network).eval()
        with torch.no_grad():
            F = quiet(torch.tensor(X).float()).double().numpy()
        S = cosines(F, center=center)
        expected = np.quantile(S, hasher.quantile)
        assert_allclose(hasher.similar_from_, expected, atol=1e-6)
        share = (190 + 2 * np.sum(expected <= S)) / 190**2
        assert_allclose(hasher.curves_["similar_pairs"], share, atol=1e-4)
        if center:
            assert_allclose(hasher.center_, F.mean(axis=0), atol=1e-6)

    def test_codes_follow_the_features(self, X, digits):
        """Codes learned from features of half the columns rank by that half."""
        half = X[:, :32]
        on_half = uhga(feature_module=FirstHalf(), max_epochs=8).fit(X)
        on_all = uhga(max_epochs=8).fit(X)
        S = cosines(half, center=True)
        agreement = []
        for hasher in (on_half, on_all):
            B = 2.0 * hasher.transform(X) - 1
            M = (B @ B.T)[np.triu_indices(190, 1)]
            agreement.append(np.corrcoef(M, S)[0, 1])
        assert agreement[0] > agreement[1] + 0.05

    def test_identity(self, X):
        """Features that are the rows themselves change nothing."""
        X = X.astype(np.float32)
        expected = uhga().fit(X).decision_function(X)
        hasher = uhga(feature_module=nn.Identity()).fit(X)
        assert_array_equal(hasher.decision_function(X), expected)

    def test_a_function_builds_it(self, X, images):
        """A class or function gets the number of features, or of channels."""
        sizes = []

        def build(n):
            sizes.append(n)
            return nn.Identity()

        uhga(feature_module=build).fit(X)
        uhga(feature_module=build, module=ForImages).fit(images)
        assert sizes == [64, 1]
        by_class = uhga(feature_module=FirstHalf).fit(X)
        by_instance = uhga(feature_module=FirstHalf()).fit(X)
        assert by_class.encode(X) == by_instance.encode(X)

    def test_random_weights_are_seeded(self, X):
        """A network drawn at random follows `random_state`, not torch's generator."""
        before = torch.get_rng_state()
        first = uhga(feature_module=Features).fit(X)
        assert_array_equal(torch.get_rng_state(), before)
        with torch.random.fork_rng():
            torch.manual_seed(99)
            again = uhga(feature_module=Features).fit(X)
        assert first.similar_from_ == again.similar_from_
        whole = uhga(feature_module=Features, max_epochs=4).fit(X)
        resumed = clone(first).set_params(warm_start=True).fit(X).fit(X)
        assert_array_equal(resumed.decision_function(X), whole.decision_function(X))

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_images(self, dtype, network, images):
        """Features of images come as bytes or floats alike."""
        X = (images * 255).astype(dtype)
        if dtype != np.uint8:
            X = np.floor(X) / dtype(255)
        hasher = uhga(feature_module=network, module=ForImages).fit(X)
        expected = uhga(feature_module=network, module=ForImages).fit(
            (images * 255).astype(np.uint8)
        )
        assert_allclose(hasher.similar_from_, expected.similar_from_, atol=1e-5)
        assert hasher.encode(X).n_bits == 8

    def test_features_must_be_finite(self, X):
        """Features that are no numbers are refused."""
        for build in (lambda n: nn.Threshold(5.0, np.nan), lambda n: FirstHalf(0)):
            with pytest.raises(ValueError, match="feature"):
                uhga(feature_module=build).fit(X)
        with pytest.raises(TypeError, match=r"feature_module.*Module"):
            uhga(feature_module=lambda n: None).fit(X)


class TestCurves:
    """Terms of the loss of one batch, computed again."""

    @pytest.mark.parametrize("loss", ["logistic", "squared"])
    @pytest.mark.parametrize("similarity", ["threshold", "half_gaussian"])
    def test_first_epoch_in_plain_loops(self, loss, similarity, X):
        """The loss is the mean over all pairs; pairs between the bounds pay nothing."""
        X = X[:40]
        params = {
            "loss": loss,
            "similarity": similarity,
            "batch_size": 40,
            "alpha": 3.0,
            "quantization_weight": 0.3,
        }
        start = uhga(**params, max_epochs=0).fit(X)
        h = start.decision_function(X)
        curves = uhga(**params, max_epochs=1).fit(X).curves_
        C = X - X.mean(axis=0)
        pairs = n_similar = n_ignored = 0.0
        for i in range(40):
            for j in range(40):
                norms = np.sqrt((C[i] @ C[i]) * (C[j] @ C[j]))
                cosine = 1.0 if i == j else (C[i] @ C[j]) / norms
                mean = sum(h[i, k] * h[j, k] for k in range(8)) / 8
                similar = cosine >= start.similar_from_
                n_similar += similar
                if not similar and cosine > start.dissimilar_to_:
                    n_ignored += 1
                elif loss == "logistic":
                    p = 1 / (1 + np.exp(-3.0 * mean))
                    pairs -= np.log(p if similar else 1 - p)
                else:
                    pairs += (mean - (1 if similar else -1)) ** 2
        quantization = 0.3 * np.mean((np.abs(h) - 1) ** 2)
        expected = {
            "pairs": pairs / 1600,
            "quantization": quantization,
            "similar_pairs": n_similar / 1600,
            "ignored_pairs": n_ignored / 1600,
            "train_loss": pairs / 1600 + quantization,
        }
        assert (n_ignored > 0) == (similarity == "half_gaussian")
        for name, value in expected.items():
            assert_allclose(curves[name], [value], rtol=1e-4, atol=1e-6, err_msg=name)

    def test_continuation_makes_codes_harder(self, X):
        """The slope of tanh grows every 200 steps; bits do not depend on it."""
        params = {"batch_size": 2, "lr": 1e-12, "max_epochs": 3}
        plain, harder = (uhga(**params, continuation=c).fit(X) for c in (0, 0.5))
        z = np.arctanh(plain.decision_function(X).astype(float))
        n_steps = 3 * 95  # 200 of them count
        expected = np.tanh(np.sqrt(1 + 0.5 * (n_steps // 200 * 200)) * z)
        assert_allclose(harder.decision_function(X), expected, atol=1e-3)
        assert_array_equal(harder.transform(X), plain.transform(X))

    @pytest.mark.parametrize(
        "params",
        [
            {"loss": "squared"},
            {"alpha": 1.0},
            {"quantization_weight": 0.5},
            {"similarity": "half_gaussian"},
            {"quantile": 0.5},
            {"center": False},
        ],
        ids=str,
    )
    def test_each_option_reaches_the_loss(self, params, X):
        """Every option changes what is learned."""
        common = {name: params[name] for name in params if name in TINY}
        hasher = uhga(**params).fit(X)
        plain = uhga(**common).fit(X)
        assert np.any(hasher.decision_function(X) != plain.decision_function(X))


@pytest.mark.parametrize(
    ("loss", "attention_weight"), [("logistic", 0), ("squared", 0), ("logistic", 0.5)]
)
def test_digits_map(loss, attention_weight, digits):
    """Codes that are learned find more than random hyperplanes, by far."""
    hasher = UHGAHasher(
        32,
        hidden_units=(64,),
        lr=0.003,
        max_epochs=3 if attention_weight else 8,
        loss=loss,
        attention_weight=attention_weight,
        attention_units=2,
        device="cpu",
    )
    random = mean_map(RandomHyperplaneHashing(32), *digits, n_splits=1)
    assert mean_map(hasher, *digits, n_splits=1) > random + 0.05


def test_images_end_to_end(images, digits):
    """Images, a small convolutional net and a feature network work together."""
    hasher = UHGAHasher(
        16,
        feature_module=nn.Flatten(),
        lr=0.003,
        batch_size=32,
        max_epochs=2,
        device="cpu",
        random_state=0,
    ).fit(images)
    codes = hasher.transform(images)
    assert len(np.unique(codes, axis=0)) > 4
    assert_array_equal(hasher.transform(images[:7]), codes[:7])
