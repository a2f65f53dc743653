"""Learn binary codes and search them, the scikit-learn way."""

from .codes import PackedCodes
from .itq import ITQ
from .lsh import RandomHyperplaneHashing
from .pca import PCAHashing
from .retrieval import HammingRetriever

__version__ = "0.1.0.dev0"

__all__ = [
    "ITQ",
    "HammingRetriever",
    "PCAHashing",
    "PackedCodes",
    "RandomHyperplaneHashing",
]
