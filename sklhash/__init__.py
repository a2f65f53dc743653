"""Learn binary codes and search them, the scikit-learn way."""

from importlib import import_module

from .agh import AnchorGraphHashing
from .codes import PackedCodes
from .density_sensitive import DensitySensitiveHashing
from .isohash import IsotropicHashing
from .itq import ITQ
from .ksh import KernelSupervisedHashing
from .lsh import RandomHyperplaneHashing
from .pca import PCAHashing
from .retrieval import HammingRetriever
from .sdh import SupervisedDiscreteHashing
from .shards import merge_neighbors, search_shards, search_shards_within
from .spectral import SpectralHashing
from .spherical import SphericalHashing

__version__ = "0.1.0.dev0"

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
    "merge_neighbors",
    "search_shards",
    "search_shards_within",
]

_DEEP = ("SSDHHasher", "SoftPairwiseHasher", "UHGAHasher")


def __getattr__(name):
    """Import the deep hashers, and torch with them, when one is asked for."""
    if name in _DEEP:
        return getattr(import_module(".deep", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_DEEP})
