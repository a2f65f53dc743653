"""Learn binary codes and search them, the scikit-learn way."""

from .codes import PackedCodes
from .density_sensitive import DensitySensitiveHashing
from .itq import ITQ
from .lsh import RandomHyperplaneHashing
from .pca import PCAHashing
from .retrieval import HammingRetriever
from .spectral import SpectralHashing
from .spherical import SphericalHashing

__version__ = "0.1.0.dev0"

__all__ = [
    "ITQ",
    "DensitySensitiveHashing",
    "HammingRetriever",
    "PCAHashing",
    "PackedCodes",
    "RandomHyperplaneHashing",
    "SpectralHashing",
    "SphericalHashing",
]
