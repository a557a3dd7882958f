"""Names that scikit-learn does not document, in one place.

Everything else in this package imports documented names only, so that a new version of
scikit-learn can break no other file.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight


@contextmanager
def parameter_errors() -> Iterator[None]:
    """Turn ValueError into `InvalidParameterError`, which is one, too.

    It tells callers, such as a command line, that the data are not at fault.
    """
    try:
        yield
    except ValueError as error:
        raise InvalidParameterError(str(error)) from None


class ObjectOf(Options):
    """The constraint to be an object of a class, of which errors tell a public name."""

    def __init__(self, kind: type, shown: str) -> None:
        super().__init__(kind, set())
        self.shown = shown

    def is_satisfied_by(self, value: object) -> bool:
        """Tell whether a value is such an object."""
        return isinstance(value, self.type)

    def __str__(self) -> str:
        return f"a {self.shown} object"


__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "ObjectOf",
    "RealNotInt",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "is_pandas_na",
    "is_scalar_nan",
    "parameter_errors",
    "safe_indexing",
    "validate_parameter_constraints",
]
