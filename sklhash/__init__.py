"""Learn binary codes and search them, the scikit-learn way."""

from importlib import import_module

from ._version import __version__ as __version__
from .agh import AnchorGraphHashing
from .codes import PackedCodes
from .density_sensitive import DensitySensitiveHashing
from .estimator_files import load_estimator, save_estimator
from .isohash import IsotropicHashing
from .itq import ITQ
from .ksh import KernelSupervisedHashing
from .lsh import RandomHyperplaneHashing
from .pca import PCAHashing
from .retrieval import HammingRetriever
from .sdh import SupervisedDiscreteHashing
from .shards import (
    merge_neighbors,
    score_shards,
    search_shards,
    search_shards_within,
)
from .spectral import SpectralHashing
from .spherical import SphericalHashing

__all__ = [
    "ITQ",
    "AnchorGraphHashing",
    "DensitySensitiveHashing",
    "HammingRetriever",
    "IsotropicHashing",
    "KernelSupervisedHashing",
    "PCAHashing",
    "PackedCodes",
    "RandomHyperplaneHashing",
    "SSDHHasher",
    "SoftPairwiseHasher",
    "SpectralHashing",
    "SphericalHashing",
    "SupervisedDiscreteHashing",
    "UHGAHasher",
    "load_estimator",
    "merge_neighbors",
    "save_estimator",
    "score_shards",
    "search_shards",
    "search_shards_within",
    "to_onnx",
    "to_torch",
]

#: What needs torch, and where it is.
_LATE = {
    "SSDHHasher": ".deep",
    "SoftPairwiseHasher": ".deep",
    "UHGAHasher": ".deep",
    "to_onnx": ".torch_modules",
    "to_torch": ".torch_modules",
}


def __getattr__(name):
    """Import what needs torch, and torch with it, when it is asked for."""
    if name in _LATE:
        return getattr(import_module(_LATE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LATE})
