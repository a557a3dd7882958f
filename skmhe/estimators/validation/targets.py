"""From what users pass as y to class indices or a CSR indicator."""

import warnings
from collections.abc import Iterable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from skmhe.estimators.validation.label_lists import (
    check_no_missing_label,
    check_no_missing_row,
    is_label_lists,
    is_missing,
    is_nested,
    rows_of_column,
    with_integers,
)
from skmhe.estimators.validation.samples import canonical_rows

N_SHOWN = 5  # labels that an error names


class Target(NamedTuple):
    """Validated targets."""

    # Class indices of shape (n_samples,), or a CSR indicator (n_samples, n_labels).
    y: Any
    classes: np.ndarray  # the labels
    # What `y` was: 1-D "labels", a "dense" or "sparse" indicator, or "lists" of labels.
    kind: str
    # Those of an indicator, which `predict` returns as well.
    dtype: np.dtype | None = None
    container: type | None = None
    untrained: Any = ()  # labels that have features, but no sample

    @property
    def multilabel(self) -> bool:
        """Whether a sample may have several labels."""
        return self.kind != "labels"

    @property
    def is_indicator(self) -> bool:
        """Whether `y` was an indicator, with a column for each label."""
        return self.kind in ("dense", "sparse")

    def renumbered(self, numbers: np.ndarray, n_labels: int) -> Any:
        """Return `y` with a new number, below `n_labels`, for each of its labels."""
        if not self.multilabel:
            return numbers[self.y]
        entries = self.y.data, numbers[self.y.indices], self.y.indptr
        y = sp.csr_array(entries, shape=(self.y.shape[0], n_labels))
        y.sort_indices()
        return y


def check_target(
    y: Any,
    n_samples: int,
    multilabel: bool,
    classes: np.ndarray | None = None,
    kind: str | None = None,
) -> Target:
    """Validate targets, which may be multi-label if the estimator accepts that.

    `classes` are the labels that are known already; others are an error. Nested lists
    of zeros and ones are lists of labels if they were in an earlier call, as `kind`
    (see `Target`) tells.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None."
        )
    is_numbers = isinstance(y, np.ndarray) and y.dtype != object
    column = None if is_numbers else rows_of_column(y)
    if column is not None and not multilabel:
        raise ValueError(
            "y holds lists of labels, but MHEClassifier needs one label per sample. "
            "For lists of labels, use MHEMultiLabelClassifier."
        )
    if column is not None:
        y = column
    if multilabel:
        check_no_missing_row(y)
    nested = kind == "lists" and is_nested(y)
    if multilabel and (nested or is_label_lists(y)):
        target = check_label_lists(list(y), classes)
    elif multilabel and _is_indicator(y):
        target = check_indicator(y, classes)
    else:
        target = _labels(y, classes)
    check_consistent_length(np.empty(n_samples), target.y)
    return target


def shape_of(y: Any) -> tuple[int, ...]:
    """Return the shape of targets that are not sparse."""
    try:
        # Not np.shape, which array-likes may refuse.
        return np.asarray(y).shape
    except ValueError as error:
        raise ValueError(
            "y has rows of different lengths. For one label per sample, pass an array "
            "of shape (n_samples,); MHEMultiLabelClassifier takes lists of labels."
        ) from error


def _is_indicator(y: Any) -> bool:
    if sp.issparse(y):
        return True
    shape = shape_of(y)
    return len(shape) == 2 and shape[1] != 1


def _labels(y: Any, classes: np.ndarray | None) -> Target:
    """Return targets of one label per sample."""
    if sp.issparse(y):
        raise ValueError(
            "y is a sparse matrix, but MHEClassifier needs one label per sample, an "
            "array of shape (n_samples,). For multi-label y, use "
            "MHEMultiLabelClassifier."
        )
    if len(shape_of(y)) == 2 and shape_of(y)[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape_of(y)} instead. For "
            "multi-label y, use MHEMultiLabelClassifier."
        )
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("Input y contains NaN or infinity; every label must be known.")
    if y.dtype == object and any(map(is_missing, y)):
        raise ValueError("Input y contains NaN or None; every label must be known.")
    try:
        present, indices = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise _unsortable(y) from error
    with warnings.catch_warnings():
        # Many classes of few samples each are what this is for.
        warnings.filterwarnings("ignore", "The number of unique classes")
        check_classification_targets(y)
    if classes is None:
        classes = present
    else:
        indices = _find(y.tolist(), classes)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class, {classes.tolist()[0]!r}: there is nothing to tell "
            "apart. The number of classes must be at least 2."
        )
    return Target(indices.astype(np.int64), classes, "labels")


def _unsortable(labels: Iterable[Any]) -> TypeError:
    """Return the error for labels that have no order."""
    types = sorted({type(label).__name__ for label in labels})
    return TypeError(
        f"y holds labels of types that cannot be sorted together: {types}. Convert "
        "them to one type, for an array with y.astype(str)."
    )


def _find(labels: list[Any], classes: np.ndarray) -> np.ndarray:
    """Return the index of each label of a list among the known ones."""
    # A dict, as comparing arrays of two types cuts strings and rounds numbers.
    index = {label: i for i, label in enumerate(classes.tolist())}
    unseen = {label for label in labels if label not in index}
    if unseen:
        shown = sorted(unseen, key=str)[:N_SHOWN]
        raise ValueError(
            f"y contains labels that are not among the {len(classes)} known ones, such "
            f"as {shown}. Name all labels in the first call of partial_fit "
            "(classes=...), or call fit again."
        )
    return np.array([index[label] for label in labels], dtype=np.int64)


def check_indicator(y: Any, classes: np.ndarray | None) -> Target:
    """Return targets of an indicator of zeros and ones."""
    shape = y.shape if sp.issparse(y) else shape_of(y)
    if shape[1] == 0:
        raise ValueError(
            f"y has no columns (shape {shape}): there must be at least one label."
        )
    target = _sparse_indicator(y) if sp.issparse(y) else _dense_indicator(y)
    n_labels = shape[1]
    if classes is not None and len(classes) != n_labels:
        raise ValueError(
            f"y has {n_labels} columns, but this estimator has {len(classes)} labels: "
            "there must be a column for each of them."
        )
    return target._replace(
        y=target.y.astype(np.float32),
        classes=target.classes if classes is None else classes,
    )


def _sparse_indicator(y: Any) -> Target:
    if y.dtype == object:
        raise ValueError(
            "y is a sparse matrix of dtype object, but an indicator must hold numbers "
            "0 and 1: convert it, for example with y.astype(int)."
        )
    container = sp.csr_array if isinstance(y, sp.sparray) else sp.csr_matrix
    indicator = canonical_rows(y.tocsr())
    _check_zeros_and_ones(indicator.data, y.shape[1])
    return Target(indicator, np.arange(y.shape[1]), "sparse", y.dtype, container)


def _dense_indicator(y: Any) -> Target:
    y = check_array(y, input_name="y", dtype=None)
    check_classification_targets(y)
    _check_zeros_and_ones(y, y.shape[1])
    dtype = y.dtype if y.dtype.kind in "biuf" else np.dtype(np.int64)
    return Target(sp.csr_array(y != 0), np.arange(y.shape[1]), "dense", dtype)


def _check_zeros_and_ones(values: np.ndarray, n_columns: int) -> None:
    """Raise ValueError if an indicator holds anything but 0 and 1."""
    wrong = values[~np.isin(values, (0, 1))]
    if len(wrong) or values.dtype.kind not in "biuf":
        found = wrong if len(wrong) else values.ravel()
        raise ValueError(
            f"y has {n_columns} columns, which must be an indicator of zeros and ones "
            f"(one column per label), but it holds values such as "
            f"{found[:3].tolist()}. Pass an indicator, or lists of labels; "
            "MultiLabelBinarizer(sparse_output=True) converts these."
        )


def check_label_lists(y: list[Any], classes: np.ndarray | None) -> Target:
    """Return targets of lists of labels."""
    check_no_missing_label(y)
    flat = [label for labels in y for label in labels]
    if classes is None:
        try:
            binarizer = MultiLabelBinarizer(sparse_output=True).fit(y)
        except TypeError as error:
            raise _unsortable(flat) from error
        classes = with_integers(binarizer.classes_)
        if len(classes) == 0:
            raise ValueError(
                "y has lists of labels that are all empty: there must be at least one "
                "label."
            )
    rows = np.repeat(np.arange(len(y)), [len(labels) for labels in y])
    columns = _find(flat, classes)
    indicator = sp.coo_array(
        (np.ones(len(rows), np.float32), (rows, columns)), shape=(len(y), len(classes))
    ).tocsr()
    indicator.sum_duplicates()
    indicator.data[:] = 1  # a label named twice is a label
    return Target(indicator, classes, "lists")


def check_classes(
    classes: Any, form: Target | None, multilabel: bool
) -> np.ndarray | None:
    """Return the labels of a call of partial_fit, None if y has to tell them.

    `form` is that of the targets that were fitted, None in the first call.
    """
    given = None if classes is None else np.unique(classes)
    if form is None and given is None and not multilabel:
        raise ValueError(
            "classes=None, but the first call of partial_fit must name all labels: "
            "pass classes=np.unique(y_all)."
        )
    if form is None:
        return given
    if given is not None and not np.array_equal(given, form.classes):
        raise ValueError(
            f"classes has {len(given)} labels that are not the {len(form.classes)} of "
            "the first call of partial_fit or of fit: leave it out, or call fit again."
        )
    return form.classes


def check_same_labels(target: Target, form: Target) -> None:
    """Raise ValueError for other labels than those that were fitted."""
    same_form = form.multilabel == target.multilabel
    if not same_form or not np.array_equal(target.classes, form.classes):
        raise ValueError(
            f"y has {len(target.classes)} labels ({target.kind}) that are not the "
            f"{len(form.classes)} ({form.kind}) that this estimator was fitted with: "
            "use the same labels, or fit with warm_start=False."
        )


def check_label_weight(
    class_weight: dict[Any, float] | str | None,
    target: Target,
    sample_weight: np.ndarray | None,
) -> np.ndarray | None:
    """Return the weight of each label from `class_weight`, None for equal ones.

    "balanced" is ``n_samples / (n_classes * count)`` as in scikit-learn; for
    multi-label targets, with the number of all true labels in place of `n_samples`.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        _check_class_weight(class_weight, target)
        classes = target.classes.tolist()
        return np.array([class_weight.get(label, 1.0) for label in classes])
    y = target.y.indices if target.multilabel else target.y
    weight = sample_weight
    if weight is not None and target.multilabel:
        weight = np.repeat(weight, np.diff(target.y.indptr))
    counts = np.bincount(y, weights=weight, minlength=len(target.classes))
    present = counts > 0
    result = np.ones(len(target.classes))
    result[present] = counts.sum() / (present.sum() * counts[present])
    return result


def _check_class_weight(class_weight: dict[Any, float], target: Target) -> None:
    """Raise ValueError if no key is a label, and for bad weights.

    A fold of a cross-validation may lack some labels.
    """
    known = {*target.classes.tolist(), *np.asarray(target.untrained).tolist()}
    if class_weight and known.isdisjoint(class_weight):
        keys, labels = list(class_weight), target.classes.tolist()
        raise ValueError(
            f"class_weight has no key that is a label, but {keys[:N_SHOWN]}. The "
            f"labels are {labels[:N_SHOWN]} ...; those without a weight have 1."
        )
    for label, value in class_weight.items():
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            raise ValueError(
                f"class_weight[{label!r}]={value!r} must be a finite number of at "
                "least 0."
            )
