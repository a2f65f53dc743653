"""Learn binary codes and search them, the scikit-learn way."""

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
    "SpectralHashing",
    "SphericalHashing",
    "SupervisedDiscreteHashing",
]
