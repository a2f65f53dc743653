"""scikit-learn's own checks, with no expected failures."""

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_n_features_in,
    check_n_features_in_after_fitting,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from sklhash import (
    ITQ,
    AnchorGraphHashing,
    DensitySensitiveHashing,
    HammingRetriever,
    IsotropicHashing,
    KernelSupervisedHashing,
    PCAHashing,
    RandomHyperplaneHashing,
    SoftPairwiseHasher,
    SpectralHashing,
    SphericalHashing,
    SSDHHasher,
    SupervisedDiscreteHashing,
    UHGAHasher,
)

TINY_NET = {"hidden_units": (8,), "max_epochs": 2, "batch_size": 16}

# Some checks fit two features or ten rows: short codes, few neighbours.
ESTIMATORS = [
    ITQ(n_bits=2),
    ITQ(n_bits=5, max_samples=8, tol=0.1, max_iter=200),
    ITQ(n_bits=3, projection="cca"),
    RandomHyperplaneHashing(n_bits=4),
    RandomHyperplaneHashing(n_bits=4, center=False, orthogonal=True),
    PCAHashing(n_bits=1),
    PCAHashing(n_bits=4, rotation="random"),
    SpectralHashing(n_bits=3),
    SpectralHashing(n_bits=5, range="quantile", max_samples=8),
    SphericalHashing(n_bits=2, tol_mean=2, tol_std=2),
    SphericalHashing(n_bits=5, stop="cpp", tol_mean=2, tol_std=2, max_samples=10),
    DensitySensitiveHashing(n_bits=2),
    DensitySensitiveHashing(n_bits=3, alpha=1, n_adjacent=1, max_samples=8),
    IsotropicHashing(n_bits=1),
    IsotropicHashing(n_bits=2),
    AnchorGraphHashing(n_bits=2, n_anchors=5),
    AnchorGraphHashing(n_bits=3, n_anchors=8, n_neighbors=2, n_layers=1),
    KernelSupervisedHashing(n_bits=2),
    KernelSupervisedHashing(n_bits=5, n_anchors=6, max_samples=15, gamma=0.1, tol=1e-3),
    SupervisedDiscreteHashing(n_bits=2),
    SupervisedDiscreteHashing(n_bits=5, n_anchors=6, max_iter=20, gamma=0.1),
    SoftPairwiseHasher(n_bits=2, **TINY_NET),
    SoftPairwiseHasher(
        n_bits=3, validation_fraction=0.2, relaxation="tanh", **TINY_NET
    ),
    UHGAHasher(n_bits=3, **TINY_NET),
    UHGAHasher(n_bits=4, attention_weight=0.5, optimizer="sgd", lr=0.1, **TINY_NET),
    SSDHHasher(n_bits=3, width=0.5, **TINY_NET),
    HammingRetriever(n_neighbors=3),
    HammingRetriever(n_neighbors=2, mode="connectivity", n_jobs=2),
    HammingRetriever(n_neighbors=3, algorithm="multi_index"),
    HammingRetriever(n_neighbors=3, metric="asymmetric", radius=0.5),
    HammingRetriever(
        make_pipeline(StandardScaler(), ITQ(n_bits=4, random_state=0)),
        n_neighbors=3,
        metric="asymmetric",
    ),
    HammingRetriever(n_neighbors=3, rerank="cosine"),
    HammingRetriever(
        ITQ(n_bits=4, projection="cca", random_state=0),
        n_neighbors=3,
        rerank="euclidean",
        n_candidates=3,
        metric="asymmetric",
        n_jobs=2,
    ),
    HammingRetriever(ITQ(n_bits=4, random_state=0), n_neighbors=3),
    HammingRetriever(ITQ(n_bits=4, projection="cca", random_state=0), n_neighbors=3),
    HammingRetriever(SpectralHashing(n_bits=4), n_neighbors=3),
    HammingRetriever(n_neighbors=3, metric="spherical", radius=0.5),
    HammingRetriever(
        make_pipeline(StandardScaler(), ITQ(n_bits=4, random_state=0)), n_neighbors=3
    ),
]

EXTRA_CHECKS = [
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_global_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    check_get_feature_names_out_error,
    check_dataframe_column_names_consistency,
    check_n_features_in,
    check_n_features_in_after_fitting,
]


# What tiny nets may rightly say of tiny data.
WARNINGS = [
    "ignore:all of .* training rows have the same code:"
    "sklearn.exceptions.ConvergenceWarning",
    "ignore:the half-Gaussians call no two rows alike:UserWarning",
]


@pytest.mark.filterwarnings(*WARNINGS)
@parametrize_with_checks(ESTIMATORS)
def test_sklearn_check(estimator, check):
    """scikit-learn's common check holds."""
    check(estimator)


# These checks fit on arrays and transform data frames, or the other way round.
@pytest.mark.filterwarnings(*WARNINGS)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", EXTRA_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_further_sklearn_check(estimator, check):
    """A check that scikit-learn leaves out of its common list holds as well."""
    check(type(estimator).__name__, estimator)
