"""Learn binary codes and search them, the scikit-learn way."""

from importlib.metadata import version

from .codes import PackedCodes
from .itq import ITQ
from .lsh import RandomHyperplaneHashing
from .pca import PCAHashing
from .retrieval import HammingRetriever

__version__ = version("sklhash")

__all__ = [
    "ITQ",
    "HammingRetriever",
    "PCAHashing",
    "PackedCodes",
    "RandomHyperplaneHashing",
]
