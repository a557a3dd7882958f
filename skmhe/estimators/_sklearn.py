"""Names that scikit-learn does not document, in one place.

Everything else in this package imports documented names only, so that a new version of
scikit-learn can break no other file.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "is_pandas_na",
    "is_scalar_nan",
    "validate_parameter_constraints",
]
