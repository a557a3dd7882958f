"""Lists of labels, one per sample, in the containers that people keep them in."""

from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmhe.estimators._sklearn import is_pandas_na, is_scalar_nan


def rows_of_column(y: Any) -> list[Any] | None:
    """Return the rows of a column of label lists, None for anything else.

    A column is a Series, a DataFrame or table of one column, an Arrow array, an array
    of objects, or a collection of another type than list and tuple. They are told by
    their methods: none of the libraries is imported.
    """
    column = _only_column(y)
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return None  # numbers, which need not be looked at one by one
    if isinstance(column, np.ndarray):
        rows = column.tolist() if column.ndim == 1 else None
    elif callable(getattr(column, "to_pylist", None)):
        rows = column.to_pylist()
    elif callable(getattr(column, "to_list", None)):
        rows = column.to_list()
    elif isinstance(y, list | tuple | str) or hasattr(y, "shape"):
        rows = None
    else:
        rows = list(y) if isinstance(y, Collection) else None  # such as a deque
    return rows if isinstance(rows, list) and any(map(_is_row, rows)) else None


def _only_column(y: Any) -> Any:
    """Return the only column of a table that has one, anything else unchanged."""
    shape = getattr(y, "shape", None)
    if sp.issparse(y) or not isinstance(shape, tuple) or shape[1:] != (1,):
        return y
    if isinstance(y, np.ndarray):
        return y[:, 0]
    if hasattr(y, "iloc"):
        return y.iloc[:, 0]
    if callable(getattr(y, "to_series", None)):
        return y.to_series()
    return y.column(0) if callable(getattr(y, "column", None)) else y


def _is_row(row: Any) -> bool:
    """Tell whether something is the labels of a sample."""
    return isinstance(row, list | tuple | set | frozenset) or (
        isinstance(row, np.ndarray) and row.ndim == 1
    )


def is_nested(y: Any) -> bool:
    """Tell whether every item of a sequence is the labels of a sample."""
    return isinstance(y, list | tuple) and all(map(_is_row, y))


def is_label_lists(y: Any) -> bool:
    """Tell nested sequences of labels from an indicator and from 1-D labels."""
    return bool(is_nested(y) and y) and not is_nested_indicator(y)


def is_nested_indicator(rows: Iterable[Any]) -> bool:
    """Tell whether rows have one length, and there is nothing but 0 and 1 in them."""
    lengths = {len(row) for row in rows}
    if len(lengths) > 1 or lengths == {0}:
        return False
    if any(isinstance(row, set | frozenset) for row in rows):
        return False  # they have no columns
    return all(
        isinstance(value, Real | np.bool_) and value in (0, 1)
        for row in rows
        for value in row
    )


def is_missing(label: Any) -> bool:
    """Tell None, NaN and pandas' NA from labels."""
    return label is None or is_scalar_nan(label) or is_pandas_na(label)


def check_no_missing_row(y: Any) -> None:
    """Raise ValueError if a sample has a missing value in place of its labels."""
    if not isinstance(y, list | tuple) or not any(map(_is_row, y)):
        return
    for i, row in enumerate(y):
        if is_missing(row):
            raise ValueError(
                f"Input y contains NaN or None: row {i} is {row!r} in place of a list "
                "of labels. Pass an empty list, [], if the sample has no labels; if "
                "they are unknown, leave the sample out."
            )


def check_no_missing_label(y: Iterable[Any]) -> None:
    """Raise ValueError if a missing value is among the labels of a sample."""
    for i, row in enumerate(y):
        for label in row:
            if is_missing(label):
                raise ValueError(
                    f"Input y contains NaN or None: row {i} has {label!r} among its "
                    "labels, but every label must be known. Remove it from the list, "
                    "or leave the sample out."
                )


def with_integers(classes: np.ndarray) -> np.ndarray:
    """Return labels with an integer dtype, so that they index, if all are integers.

    scikit-learn gives those of NumPy's integer types the dtype object.
    """
    if classes.dtype != object or not all(isinstance(c, Integral) for c in classes):
        return classes
    numbers = np.array([int(label) for label in classes])
    return numbers if numbers.dtype.kind in "iu" else classes
