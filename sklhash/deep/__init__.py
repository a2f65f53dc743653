"""Hashers that are networks, on torch and skorch."""

from .soft_pairwise import SoftPairwiseHasher
from .uhga import SSDHHasher, UHGAHasher

__all__ = ["SSDHHasher", "SoftPairwiseHasher", "UHGAHasher"]
