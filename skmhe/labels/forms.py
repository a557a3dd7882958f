"""The forms in which people hold labels of samples, read into three.

This is the one gate for targets: of estimators, of their scores, and of metrics.
"""

import math
import warnings
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skmhe.labels.containers import (
    array_of,
    distinct_labels,
    find_columns,
    is_missing,
    is_row,
    label_array,
    names_of_labels,
    names_of_table,
    plain,
    row_values,
    rows_of_column,
    values_of_table,
    without_mask,
)

FORMS = (
    "one label per sample, a list of labels for each sample, or an indicator of zeros "
    "and ones with a column for each label (an array, a sparse matrix or a DataFrame)"
)


@dataclass(frozen=True)
class LabelColumn:
    """One label per sample."""

    labels: np.ndarray  # shape: (n_samples,)
    is_vector: bool  # whether they were of shape (n_samples, 1)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def distinct(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels that occur, sorted, and the place of each sample's."""
        if self.labels.dtype == object:
            return distinct_labels(self.labels, name)
        return np.unique(self.labels, return_inverse=True)


@dataclass(frozen=True)
class LabelLists:
    """Any number of labels per sample; one that is named twice counts once."""

    labels: np.ndarray  # those of all samples, of shape (n_true,)
    lengths: np.ndarray  # numbers of labels of the samples, of shape (n_samples,)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.lengths)

    def indicator(self, places: np.ndarray, n_columns: int) -> sp.csr_array:
        """Return a float32 indicator of labels, given the column of each one."""
        rows = np.repeat(np.arange(self.n_samples), self.lengths)
        entries = np.ones(len(rows), np.float32), (rows, places)
        shape = self.n_samples, n_columns
        indicator = sp.coo_array(entries, shape=shape).tocsr()
        indicator.sum_duplicates()
        indicator.data[:] = 1
        return indicator


@dataclass(frozen=True)
class LabelIndicator:
    """A column of zeros and ones for each label."""

    rows: sp.csr_array  # canonical, of ones: (n_samples, n_labels)
    names: np.ndarray | None  # those of a table's columns, of shape (n_labels,)
    dtype: np.dtype
    # csr_array or csr_matrix, None if it was dense
    container: type | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.rows.shape[0]

    @property
    def n_labels(self) -> int:
        """Number of columns."""
        return self.rows.shape[1]

    def columns_of(self, classes: np.ndarray) -> np.ndarray | None:
        """Return the column of each class, None if they are not the columns."""
        return find_columns(classes, self.names, self.n_labels)


Labels: TypeAlias = LabelColumn | LabelLists | LabelIndicator


def read_labels(
    y: Any,
    name: str = "y",
    *,
    single: bool = False,
    zeros_and_ones: Literal["indicator", "lists", "refuse"] = "indicator",
) -> Labels:
    """Read labels in any form; ValueError or TypeError for what is none.

    With `single`, there must be one label per sample, and tuples in a column are
    labels. `zeros_and_ones` says what nested sequences of them are: the rows of an
    indicator, or lists of the labels 0 and 1.
    """
    if y is None:
        raise ValueError(
            f"This call requires {name} to be passed, but the target {name} is None: "
            f"pass {FORMS}."
        )
    if np.ma.is_masked(y):
        y = without_mask(y)
    rows = _rows(y, single)
    if rows is not None and single:
        _raise_several(name, "lists of labels")
    if rows is not None:
        return _nested(rows, name, zeros_and_ones)
    names = None if isinstance(y, np.ndarray) else names_of_table(y)
    values = _as_array(y if names is None else values_of_table(y), name)
    is_indicator = sp.issparse(values) or (values.ndim == 2 and values.shape[1] != 1)
    if values.ndim not in (1, 2):
        found = f"of shape {values.shape} and type {type(y).__name__}"
        raise ValueError(f"{name} is {found}; pass {FORMS}.")
    if is_indicator and single:
        _raise_several(name, f"shape {values.shape}")
    if sp.issparse(values):
        return _sparse_indicator(values, name, names)
    if is_indicator:
        return _dense_indicator(values, name, names)
    return LabelColumn(_one_per_sample(values, name), is_vector=values.ndim == 2)


def _raise_several(name: str, found: str) -> NoReturn:
    raise ValueError(
        f"{name} should be a 1d array with one label per sample, got {found} instead. "
        f"For multi-label {name}, use MHEMultiLabelClassifier."
    )


def _rows(y: Any, single: bool) -> list[Any] | None:
    """Return the rows of lists of labels, None if there are none."""
    if sp.issparse(y) or (isinstance(y, np.ndarray) and y.dtype != object):
        return None
    rows = rows_of_column(y)
    if rows is None and isinstance(y, list | tuple) and any(map(is_row, y)):
        is_column = single and all(
            is_row(row) and len(row) == 1 and not isinstance(row, set | frozenset)
            for row in y
        )
        return None if is_column else list(y)
    if single and all(isinstance(row, tuple) or not is_row(row) for row in rows or ()):
        return None  # tuples are labels
    return rows


def _as_array(y: Any, name: str) -> Any:
    if sp.issparse(y):
        return y
    try:
        # Not np.shape, which array-likes may refuse.
        return array_of(y) if isinstance(y, list | tuple) else np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{name} has rows of different lengths; pass {FORMS}.") from (
            error
        )


# ------------------------------------------------------------ one label per sample


def _one_per_sample(values: np.ndarray, name: str) -> np.ndarray:
    """Return labels of shape (n_samples,) without missing ones."""
    labels = column_or_1d(values)
    if labels.dtype.kind not in "biuf":
        labels = label_array(labels)
    bad = np.zeros(len(labels), dtype=bool)
    if labels.dtype == object:
        bad = np.fromiter(map(is_missing, labels), dtype=bool, count=len(labels))
    elif labels.dtype.kind in "mM":
        bad = np.isnat(labels)
    elif labels.dtype.kind == "f":
        bad = ~np.isfinite(labels)
    if bad.any():
        [shown] = plain(values.ravel()[bad][:1])
        raise ValueError(
            f"Input {name} contains NaN, None or infinity: row {bad.argmax()} is "
            f"{shown!r}. Every label must be known: leave the sample "
            "out, or name the label."
        )
    if labels.dtype.kind == "f":
        with warnings.catch_warnings():
            # Many classes of few samples each are what this is for.
            warnings.filterwarnings("ignore", "The number of unique classes")
            check_classification_targets(labels)
    return labels


# ------------------------------------------------------------ lists


def _nested(rows: list[Any], name: str, zeros_and_ones: str) -> Labels:
    """Return lists of labels, or the indicator that nested sequences may be."""
    # Looking at types at once is faster than at each of many rows.
    are_plain = set(map(type, rows)) <= {list, tuple, set, frozenset}
    if not are_plain:
        for i, row in enumerate(rows):
            _check_row(row, i, name)
    lists = rows if are_plain else [row_values(row) for row in rows]
    if zeros_and_ones != "lists" and is_nested_indicator(lists):
        if zeros_and_ones == "refuse":
            raise ValueError(
                f"{name} is ambiguous: its lists of {len(rows[0])} zeros and ones each "
                "may be lists of labels or the rows of an indicator. Pass an indicator "
                "as numpy.asarray(...), and lists of labels as the result of "
                "MultiLabelBinarizer(sparse_output=True).fit_transform."
            )
        return _dense_indicator(np.asarray(rows), name, None)
    lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    flat = list(chain.from_iterable(lists))
    if not set(map(type, flat)) <= {int, str, bool}:
        _check_no_missing_label(lists, name)
    return LabelLists(label_array(flat), lengths)


def _check_row(row: Any, i: int, name: str) -> None:
    """Raise ValueError unless the row is the labels of a sample."""
    if is_row(row):
        return
    if is_missing(row):
        raise ValueError(
            f"Input {name} contains NaN or None: row {i} is {row!r} in place of a "
            "list of labels. Pass an empty list, [], if the sample has no labels; "
            "if they are unknown, leave the sample out."
        )
    raise ValueError(
        f"{name} mixes lists of labels with single labels: row {i} is {row!r}. "
        "Put the labels of every sample in a list, [label] for a single one."
    )


def _check_no_missing_label(rows: list[Any], name: str) -> None:
    """Raise ValueError if a sample has a missing value, or a list, among its labels."""
    for i, row in enumerate(rows):
        for label in row:
            if is_missing(label) or (isinstance(label, float) and math.isinf(label)):
                raise ValueError(
                    f"Input {name} contains NaN, None or infinity: row {i} has "
                    f"{label!r} among its labels, but every label must be known. "
                    "Remove it from the list, or leave the sample out."
                )
            if isinstance(label, list | set | np.ndarray):
                raise ValueError(
                    f"{name} has the list {label!r} among the labels of row {i}: pass "
                    "one list of labels for each sample, or tuples as labels."
                )


def is_nested_indicator(rows: Any) -> bool:
    """Tell whether rows have one length, and there is nothing but 0 and 1 in them.

    Of length 1, they are lists of one label each.
    """
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or lengths <= {0, 1}:
        return False
    if any(isinstance(row, set | frozenset) for row in rows):
        return False  # they have no columns
    return all(
        isinstance(value, Real | np.bool_) and value in (0, 1)
        for row in rows
        for value in row
    )


# ------------------------------------------------------------ indicators


def _sparse_indicator(y: Any, name: str, names: np.ndarray | None) -> LabelIndicator:
    if y.ndim != 2:
        raise ValueError(
            f"{name} is sparse with one dimension, of shape {y.shape}: pass an "
            f"indicator with a column for each label, or {name}.toarray(), if it has a "
            "label for each sample."
        )
    if y.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} is a sparse matrix of dtype {y.dtype}, but an indicator must hold "
            f"numbers 0 and 1: convert it, for example with {name}.astype(int)."
        )
    container = sp.csr_array if isinstance(y, sp.sparray) else sp.csr_matrix
    return _checked_indicator(_canonical(y), name, names, y.dtype, container)


def _canonical(y: Any) -> sp.csr_array:
    """Return sorted CSR without stored zeros; never the user's own arrays, changed."""
    csr = y.tocsr()
    # A new object on the same arrays: the user's flags may be wrong.
    csr = sp.csr_array((csr.data, csr.indices, csr.indptr), shape=csr.shape)
    if not csr.has_canonical_format or not csr.data.all():
        csr = csr.copy()
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return csr


def _dense_indicator(
    values: np.ndarray, name: str, names: np.ndarray | None
) -> LabelIndicator:
    if values.dtype == object:
        values = _numbers(values, name)
    if values.dtype.kind not in "biuf":
        _raise_no_indicator(values.ravel(), values.shape, name)
    # scipy has no sparse arrays of float16.
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    return _checked_indicator(sp.csr_array(wide), name, names, values.dtype)


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Return objects, such as those of nullable columns, as numbers."""
    missing = np.frompyfunc(is_missing, 1, 1)(values).astype(bool)
    if missing.any():
        row, column = np.argwhere(missing)[0].tolist()
        _raise_missing(row, column, values[row, column], name)
    is_number = np.frompyfunc(lambda v: isinstance(v, Real | np.bool_), 1, 1)(values)
    if not is_number.all():
        odd = values[~is_number.astype(bool)]
        _raise_no_indicator(odd, values.shape, name)
    numbers = values.astype(np.float64)
    return numbers.astype(np.int64) if np.isin(numbers, (0, 1)).all() else numbers


def _raise_missing(row: int, column: int, value: Any, name: str) -> NoReturn:
    raise ValueError(
        f"Input {name} contains NaN or None: row {row} has {plain([value])[0]!r} in "
        f"column {column}, but every label must be known. Put 0 or 1 there, or leave "
        "the sample out."
    )


def _checked_indicator(
    rows: sp.csr_array,
    name: str,
    names: np.ndarray | None,
    dtype: np.dtype,
    container: type | None = None,
) -> LabelIndicator:
    if rows.shape[1] == 0:
        raise ValueError(
            f"{name} has no columns (shape {rows.shape}): there must be at least one "
            "label."
        )
    wrong = np.flatnonzero(rows.data != 1)
    missing = wrong[np.isnan(rows.data[wrong])]
    if len(missing):
        row = int(np.searchsorted(rows.indptr, missing[0], side="right")) - 1
        _raise_missing(row, int(rows.indices[missing[0]]), np.nan, name)
    if len(wrong):
        _raise_no_indicator(rows.data[wrong], rows.shape, name)
    if names is not None:
        names = names_of_labels(names, f"{name}.columns")
        counts = Counter(names.tolist())
        repeated, count = counts.most_common(1)[0]
        if count > 1:
            raise ValueError(
                f"{name} has {count} columns named {repeated!r}: give each label one "
                "column."
            )
    return LabelIndicator(rows.astype(np.float32), names, dtype, container)


def _raise_no_indicator(values: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    raise ValueError(
        f"{name} has {shape[1]} columns, which must be an indicator of zeros and ones "
        f"(one column per label), but it holds values such as {plain(values[:3])}. "
        "Pass an indicator, or lists of labels; "
        "MultiLabelBinarizer(sparse_output=True) converts these."
    )
