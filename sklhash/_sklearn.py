"""The one door to scikit-learn's private names.

Every name that scikit-learn does not document is imported here and nowhere else, so
that a new scikit-learn release can break one file only.
"""

from numbers import Integral

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils.metadata_routing import _raise_for_params as raise_for_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "HasMethods",
    "Integer",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "raise_for_params",
    "validate_params",
]


class Integer(Interval):
    """An integer between two bounds, both included; True and False are none."""

    def __init__(self, left, right):
        super().__init__(Integral, left, right, closed="both" if right else "left")

    def is_satisfied_by(self, val):
        """Tell whether a parameter's value is such an integer."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)
