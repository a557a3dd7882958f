"""Columns, tables and nested sequences of labels, told by what they can do.

None of the libraries that they come from is imported.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp


def is_row(row: Any) -> bool:
    """Tell whether something is the labels of a sample."""
    if isinstance(row, list | tuple | set | frozenset):
        return True
    shape = getattr(row, "shape", None)  # of arrays, tensors, Series
    return isinstance(shape, tuple) and len(shape) == 1


def row_values(row: Any) -> Any:
    """Return the labels of a sample without NumPy's types, but for its times."""
    if isinstance(row, list | tuple | set | frozenset):
        return row
    if isinstance(row, np.ndarray) and row.dtype.kind in "mM":
        return row
    return row.to_list() if hasattr(row, "to_list") else row.tolist()


def rows_of_column(y: Any) -> list[Any] | None:
    """Return the rows of a column of label lists, None for anything else.

    A column is a Series, a DataFrame or table of one column, an Arrow array, an array
    of objects, or a collection in some order, but no list or tuple.
    """
    column = only_column(y)
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return None  # numbers, which need not be looked at one by one
    if isinstance(column, np.ndarray):
        rows = column.tolist() if column.ndim == 1 else None
    elif callable(getattr(column, "to_pylist", None)):
        rows = None if names_of_table(y) is not None else column.to_pylist()
    elif callable(getattr(column, "to_list", None)):
        rows = column.to_list()
    elif isinstance(y, list | tuple | str | Set | Mapping) or hasattr(y, "shape"):
        rows = None
    else:
        # Such as a deque; sets have no order, and mappings are more than their keys.
        in_order = isinstance(y, Collection) and not isinstance(y, Set | Mapping)
        rows = list(y) if in_order else None
    return rows if isinstance(rows, list) and any(map(is_row, rows)) else None


def only_column(y: Any) -> Any:
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


def names_of_table(y: Any) -> np.ndarray | None:
    """Return the names of the columns of a table with several, None of others.

    Shape: (n_columns,).
    """
    shape = getattr(y, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] == 1:
        return None
    names = getattr(y, "column_names", None)  # of Arrow, whose `columns` are the data
    names = getattr(y, "columns", None) if names is None else names
    return None if names is None else label_array(list(names))


def values_of_table(y: Any) -> Any:
    """Return the values of a table, an array or, of sparse columns, a sparse one."""
    dtypes = getattr(y, "dtypes", ())
    is_sparse = len(dtypes) > 0 and all(hasattr(t, "fill_value") for t in dtypes)
    if is_sparse and not any(dtype.fill_value for dtype in dtypes):
        return sp.csr_array(y.sparse.to_coo())
    return np.asarray(y)


def is_missing(label: Any) -> bool:
    """Tell None, NaN, NaT, pandas' NA and what NumPy masks from labels."""
    if label is None or label is np.ma.masked:
        return True
    if type(label).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(label, np.datetime64 | np.timedelta64):
        return bool(np.isnat(label))
    return isinstance(label, Real | Decimal) and bool(label != label)


def without_mask(values: Any) -> Any:
    """Return masked arrays as arrays of objects, with None where a value is masked.

    NumPy would uncover the values below the mask.
    """
    if not np.ma.is_masked(values):
        return values
    objects = values.data.astype(object)
    objects[np.ma.getmaskarray(values)] = None
    return objects


def plain(labels: Iterable[Any]) -> list[Any]:
    """Return labels as Python's own numbers and strings where NumPy has others."""
    # NumPy would turn a date of nanoseconds into a number.
    return [
        label.item()
        if isinstance(label, np.generic) and label.dtype.kind not in "mM"
        else label
        for label in labels
    ]


def label_array(labels: Any) -> np.ndarray:
    """Return labels as a 1-D array: of numbers or times where all are, else of objects.

    Arrays of another dtype are returned as they are, but for those of strings of
    variable width, which may have missing values.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind not in "OT":
        return labels
    labels = list(labels)
    types = set(map(type, labels))
    if any(issubclass(kind, np.generic) for kind in types):
        labels = plain(labels)
        types = set(map(type, labels))
    if types and all(issubclass(kind, Integral) for kind in types):
        numbers = np.array(labels)
        if numbers.dtype.kind in "biu":
            return numbers
    elif types and all(issubclass(kind, Integral | float) for kind in types):
        numbers = np.array(labels, dtype=np.float64)
        if numbers.tolist() == labels:  # but for large integers, and NaN
            return numbers
    elif types in ({np.datetime64}, {np.timedelta64}):
        return np.array(labels)  # of a unit that holds all of them
    # Not np.array, which makes tuples of one length a dimension.
    return np.fromiter(labels, dtype=object, count=len(labels))


def joined(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return two arrays of labels as one, of a type that changes none of them."""
    if {labels.dtype.kind, others.dtype.kind} == {"i", "u"}:
        labels = labels.astype(object)  # NumPy would make floats of both
    return label_array(np.concatenate([labels, others]))


def array_of(labels: list[Any] | tuple[Any, ...]) -> np.ndarray:
    """Return the array that NumPy makes of a list, unless that changes labels."""
    # Numbers among strings would become strings, and large integers floats.
    types = set(map(type, labels))
    changes = len(types) > 1 or types == {int}
    return label_array(labels) if changes else np.asarray(labels)


def names_of_labels(labels: Any, name: str) -> np.ndarray:
    """Return labels that a user names, in their order; 1-D, and none is missing."""
    check_in_order(labels, name)
    if isinstance(labels, list | tuple):
        has_rows = any(map(is_row, labels))
        names = label_array(labels) if has_rows else array_of(labels)
    else:
        names = np.asarray(labels)
    if names.ndim != 1 or len(names) == 0:
        raise ValueError(
            f"{name} has shape {names.shape}: pass a sequence with a name for each "
            "label."
        )
    names = label_array(names)
    for place, label in enumerate(label_list(names)):
        if is_missing(label):
            raise ValueError(
                f"{name} has {label!r} at place {place}, but every label needs a name."
            )
        if type(label).__hash__ is None:
            raise TypeError(
                f"{name} has {label!r} at place {place}, which cannot be hashed: use "
                "other objects as labels."
            )
    return names


def check_in_order(labels: Any, name: str) -> None:
    """Raise ValueError for a set of labels, as their order may mean something."""
    if isinstance(labels, Set | Mapping):
        raise ValueError(
            f"{name} is a {type(labels).__name__}, but the order of labels may mean "
            f"something: pass a list, for example sorted({name})."
        )


def distinct_labels(labels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that occur, sorted, and the place of each label among them."""
    if labels.dtype != object:
        return np.unique(labels, return_inverse=True)
    values = labels.tolist()
    try:
        known = sorted(set(values))
    except TypeError as error:
        _raise_unsortable(values, name, error)
    # By their hashes, as frozensets, for instance, have an order of parts only.
    index = {label: i for i, label in enumerate(known)}
    places = np.fromiter(map(index.__getitem__, values), np.int64, len(values))
    return np.fromiter(known, dtype=object, count=len(known)), places


def _raise_unsortable(labels: list[Any], name: str, error: TypeError) -> NoReturn:
    types = sorted({type(label).__name__ for label in labels})
    unhashable = [label for label in labels if type(label).__hash__ is None]
    if unhashable:
        raise TypeError(
            f"{name} holds the label {unhashable[0]!r} of type "
            f"{type(unhashable[0]).__name__}, which cannot be hashed: use numbers, "
            "strings, tuples of them, or other hashable objects as labels."
        ) from error
    raise TypeError(
        f"{name} holds labels of types that cannot be sorted together: {types}. "
        f"Convert them to one type, for an array with {name}.astype(str)."
    ) from error


def find_labels(labels: Any, classes: np.ndarray) -> np.ndarray:
    """Return the place of each label of an array among distinct ones, -1 without one.

    Shape: (n,). No number is equal to a string.
    """
    labels = label_array(labels)
    same_kind = labels.dtype.kind == classes.dtype.kind
    # NumPy compares times of different units by their values.
    if same_kind and labels.dtype.kind in "iufmM" and len(classes):
        order = np.argsort(classes, kind="stable")
        places = np.searchsorted(classes, labels, sorter=order)
        candidates = order[np.minimum(places, len(classes) - 1)]
        return np.where(classes[candidates] == labels, candidates, -1)
    # A dict, as comparing arrays of two types cuts strings and rounds numbers.
    index = {label: i for i, label in enumerate(label_list(classes))}
    found = (index.get(label, -1) for label in label_list(labels))
    return np.fromiter(found, dtype=np.int64, count=len(labels))


def label_list(labels: np.ndarray) -> list[Any]:
    """Return the labels of an array as objects that are equal if the labels are."""
    # NumPy would turn times of nanoseconds into numbers.
    return list(labels) if labels.dtype.kind in "mM" else labels.tolist()


def find_columns(
    classes: np.ndarray, names: np.ndarray | None, n_columns: int
) -> np.ndarray | None:
    """Return the column of each class, None if they are not the columns.

    Shape: (n_classes,). Columns have the names of classes, in any order; or no names
    (those of a DataFrame that was given none are no labels, either, unless the classes
    are such numbers), and the order of the classes.
    """
    numbers = np.arange(n_columns)
    if n_columns != len(classes):
        return None
    if names is not None:
        columns = find_labels(classes, names)
        if (columns >= 0).all():
            return columns
        is_numbered = np.array_equal(names, numbers)
        if not is_numbered or (find_labels(numbers, classes) >= 0).any():
            return None
    return numbers


def check_comparable(labels: np.ndarray, classes: np.ndarray, name: str) -> None:
    """Raise ValueError if no label can be equal to a class, as their types differ."""
    if not are_comparable(labels, classes):
        found, known = _kinds(labels), _kinds(classes)
        # Not the first one, which sets of strings have another one of in each process.
        label, other = min(label_list(labels), key=str), label_list(classes)[0]
        advice = "convert one of them, for example by astype(str)"
        if "number" in found | known:
            advice += ", or, if the numbers are those of columns, by names[numbers]"
        raise ValueError(
            f"{name} has labels of type {' and '.join(sorted(found))}, such as "
            f"{label!r}, that cannot be compared with those of type "
            f"{' and '.join(sorted(known))}, such as {other!r}: {advice}."
        )


def are_comparable(labels: np.ndarray, classes: np.ndarray) -> bool:
    """Tell whether a label can be equal to a class by their types, or there is none."""
    found, known = _kinds(labels), _kinds(classes)
    return not (found and known and found.isdisjoint(known))


def _kinds(labels: np.ndarray) -> set[str]:
    """Return the types of labels, where all numbers are of one."""
    if labels.dtype.kind in "biuf":
        return {"number"} if len(labels) else set()
    types = set(map(type, label_list(labels)))
    return {"number" if issubclass(t, Number) else t.__name__ for t in types}
