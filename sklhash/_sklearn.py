"""The one door to scikit-learn's private names.

Every name that scikit-learn does not document is imported here and nowhere else, so
that a new scikit-learn release can break one file only.
"""

import functools
from numbers import Integral

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._array_api import (
    _max_precision_float_dtype as max_float_dtype,
)
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
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
    "check_same_namespace",
    "check_sample_weight",
    "fit_context",
    "get_namespace_and_device",
    "max_float_dtype",
    "move_to",
    "raise_for_params",
    "safe_indexing",
    "validate_parameter_constraints",
    "validate_params",
]


def fit_context(*, prefer_skip_nested_validation):
    """Decorate `fit`: validate the parameters, as scikit-learn does; all or nothing.

    If the decorated method fails, the estimator has the attributes it had before.
    """

    def decorate(fit):
        validate_and_fit = _fit_context(
            prefer_skip_nested_validation=prefer_skip_nested_validation
        )(fit)

        @functools.wraps(fit)
        def fit_all_or_nothing(estimator, *args, **kwargs):
            before = estimator.__dict__.copy()
            try:
                return validate_and_fit(estimator, *args, **kwargs)
            except BaseException:
                estimator.__dict__.clear()
                estimator.__dict__.update(before)
                raise

        return fit_all_or_nothing

    return decorate


class Integer(Interval):
    """An integer between two bounds, both included; True and False are none."""

    def __init__(self, left, right):
        super().__init__(Integral, left, right, closed="both" if right else "left")

    def is_satisfied_by(self, val):
        """Tell whether a parameter's value is such an integer."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)
