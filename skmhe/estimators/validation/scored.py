"""True labels that predictions are compared with, in the form that was fitted."""

from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp

from skmhe.estimators.validation.label_lists import (
    check_no_missing_label,
    check_no_missing_row,
    is_label_lists,
    is_nested,
    is_nested_indicator,
    rows_of_column,
)
from skmhe.estimators.validation.targets import (
    N_SHOWN,
    Target,
    check_indicator,
    check_label_lists,
    shape_of,
)

# What to pass, for each kind of targets that were fitted.
WANTED = {
    "labels": "one label per sample, of shape (n_samples,)",
    "lists": "a list of labels for each sample, or an indicator with a column for each",
    "dense": "an indicator with a column for each label",
    "sparse": "an indicator with a column for each label",
}


def check_scored(y: Any, form: Target) -> Any:
    """Return true labels in the form of the targets that were fitted.

    Lists and indicators are turned into each other: the columns of an indicator are
    the labels that were fitted, in their order. Else, another form is an error.
    """
    column = rows_of_column(y)
    if column is not None:
        y = column
    check_no_missing_row(y)
    if form.kind == "lists":
        return _as_lists(y, form)
    if is_label_lists(y):
        return _as_indicator(y, form)
    n_columns = _n_columns(y)
    if form.is_indicator and n_columns is None:
        _refuse("has one label per sample", form)
    if form.is_indicator and n_columns != len(form.classes):
        _refuse(f"is an indicator with {n_columns} columns", form)
    if not form.multilabel and (sp.issparse(y) or n_columns not in (None, 1)):
        _refuse(f"is an indicator with {n_columns} columns", form)
    return y


def _n_columns(y: Any) -> int | None:
    """Return the number of columns, None if there is one dimension."""
    shape = y.shape if sp.issparse(y) else shape_of(y)
    return shape[1] if len(shape) == 2 else None


def _as_lists(y: Any, form: Target) -> list[Any]:
    """Return the labels of each sample, which may be others than were fitted."""
    if is_nested(y) and not _is_surely_indicator(y, form):
        check_no_missing_label(y)
        return list(y)
    n_columns = _n_columns(y)
    if n_columns is None or (n_columns == 1 < len(form.classes)):
        _refuse("has one label per sample", form)
    if n_columns != len(form.classes):
        _refuse(f"is an indicator with {n_columns} columns", form)
    _check_names(getattr(y, "columns", None), form)
    labels = form.classes
    indicator = check_indicator(y, labels).y
    rows = np.split(labels[indicator.indices], indicator.indptr[1:-1])
    return [row.tolist() for row in rows]


def _check_names(columns: Any, form: Target) -> None:
    """Raise ValueError if columns have names that may mean another order of labels."""
    if columns is None:
        return
    names, labels = list(columns), form.classes.tolist()
    is_numbered = names == list(range(len(labels))) and set(names).isdisjoint(labels)
    if names != labels and not is_numbered:
        raise ValueError(
            f"y is an indicator with the columns {names[:N_SHOWN]}, which are not the "
            f"labels {labels[:N_SHOWN]} in the order of classes_. Put them in this "
            "order, or pass a list of labels for each sample."
        )


def _is_surely_indicator(rows: Any, form: Target) -> bool:
    """Tell whether nested zeros and ones cannot be the labels 0 and 1."""
    known = set(form.classes.tolist())
    several = len(rows) > 0 and len(rows[0]) > 1
    return several and known.isdisjoint((0, 1)) and is_nested_indicator(rows)


def _as_indicator(y: Any, form: Target) -> sp.csr_array:
    """Return the indicator of lists, whose labels must be those of its columns."""
    if not form.multilabel:
        _refuse("holds lists of labels", form)
    check_no_missing_label(y)
    unseen = {label for row in y for label in row}.difference(form.classes.tolist())
    if unseen:
        shown = sorted(unseen, key=str)[:N_SHOWN]
        _refuse(f"holds lists with unknown labels, such as {shown}", form)
    return check_label_lists(list(y), form.classes).y


def _refuse(found: str, form: Target) -> NoReturn:
    raise ValueError(
        f"y {found}, but this estimator was fitted to other targets: pass "
        f"{WANTED[form.kind]}, of the {len(form.classes)} labels in classes_."
    )
