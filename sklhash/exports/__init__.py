"""Codes in the forms that other engines and stores take, and back.

The modules know bytes, a code length and ids; :class:`sklhash.PackedCodes` has their
methods from :class:`Exports`. Packages of others are imported by the calls that need
them.
"""

from ._methods import Exports

__all__ = ["Exports"]
