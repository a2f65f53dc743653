"""Compare hashers on your own data: splits, tables, confidence intervals."""

from ._bootstrap import BootstrapInterval, paired_bootstrap
from ._compare import compare_hashers
from ._comparison import HasherComparison
from ._fewest_bits import fewest_bits
from ._split import RetrievalSplit, retrieval_split

__all__ = [
    "BootstrapInterval",
    "HasherComparison",
    "RetrievalSplit",
    "compare_hashers",
    "fewest_bits",
    "paired_bootstrap",
    "retrieval_split",
]
