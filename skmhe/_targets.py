"""From what users pass as y to class indices or a CSR indicator."""

import warnings
from numbers import Real
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from skmhe._validation import canonical_rows


class Target(NamedTuple):
    """Validated targets.

    ``kind`` is what `y` was: "labels" (1-D), "dense" or "sparse" (an indicator), or
    "lists" (of labels). ``y`` holds class indices of shape (n,), or a CSR indicator
    of shape (n, n_labels).
    """

    y: np.ndarray | sp.csr_array
    classes: np.ndarray
    kind: str
    # What predict returns has the container and dtype of the indicator given.
    dtype: np.dtype | None = None
    container: type | None = None
    # Labels that have features, but no sample.
    untrained: np.ndarray | tuple = ()


def _is_label_lists(y):
    """Tell nested sequences of labels from an indicator and from 1-D labels."""
    if sp.issparse(y) or hasattr(y, "iloc") or getattr(y, "ndim", 1) > 1:
        return False
    try:
        rows = list(y)
    except TypeError:
        return False
    if not rows or not all(
        isinstance(row, list | tuple | set | frozenset)
        or (isinstance(row, np.ndarray) and row.ndim == 1)
        for row in rows
    ):
        return False
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        return True
    # Rows of one length: an indicator if there is nothing but 0 and 1 in them.
    return lengths == {0} or not all(
        isinstance(value, Real | np.bool_) and value in (0, 1)
        for row in rows
        for value in row
    )


def check_target(y, n_samples, multilabel, classes=None, kind=None):
    """Validate targets.

    Parameters
    ----------
    y : array-like, sparse matrix or list of label lists
        What the user gave.
    n_samples : int
        Number of rows of X.
    multilabel : bool
        Whether the estimator accepts anything but 1-D `y`.
    classes : ndarray, default=None
        The labels that are known already; others are an error.
    kind : str, default=None
        What `y` was before. It decides about nested lists of zeros and ones.

    Returns
    -------
    Target
        Class indices or indicator, with the labels and the kind of `y`.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None."
        )
    nested = kind == "lists" and isinstance(y, list | tuple)
    if multilabel and (nested or _is_label_lists(y)):
        target = _label_lists(list(y), classes)
    elif multilabel and _is_indicator(y):
        target = _indicator(y, classes)
    else:
        target = _labels(y, multilabel, classes)
    check_consistent_length(np.empty(n_samples), target.y)
    return target


def _shape(y):
    try:
        # Not np.shape, which array-likes may refuse.
        return np.asarray(y).shape
    except ValueError as error:
        raise ValueError(
            "y has rows of different lengths. For one label a sample pass an array of "
            "shape (n_samples,); MHEMultiLabelClassifier takes lists of labels."
        ) from error


def _is_indicator(y):
    if sp.issparse(y):
        return True
    shape = _shape(y)
    return len(shape) == 2 and shape[1] != 1


def _labels(y, multilabel, classes):
    if sp.issparse(y):
        raise ValueError(
            "y is a sparse matrix, but MHEClassifier needs one label a sample, an "
            "array of shape (n_samples,). For several labels a sample use "
            "MHEMultiLabelClassifier."
        )
    if len(_shape(y)) == 2 and _shape(y)[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {_shape(y)} instead. For "
            "several labels a sample use MHEMultiLabelClassifier."
        )
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("Input y contains NaN or infinity; every label must be known.")
    if y.dtype == object and any(map(_is_missing, y)):
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
            f"y has one class, {classes[0]!r}: there is nothing to tell apart. "
            "The number of classes must be at least 2."
        )
    return Target(indices.astype(np.int64), classes, "labels")


def _unsortable(labels):
    types = sorted({type(label).__name__ for label in labels})
    return TypeError(
        f"y holds labels of types that cannot be sorted together: {types}. Convert "
        "them to one type, for an array with y.astype(str)."
    )


def _is_missing(label):
    return label is None or is_scalar_nan(label) or is_pandas_na(label)


def _find(labels, classes):
    """Return the index of each label of a list among the known ones."""
    # A dict, as comparing arrays of two types cuts strings and rounds numbers.
    index = {label: i for i, label in enumerate(classes.tolist())}
    unseen = [label for label in labels if label not in index]
    if unseen:
        raise ValueError(
            f"y contains labels that are not among the {len(classes)} known ones, such "
            f"as {sorted(set(unseen), key=str)[:5]}. Name all labels in the first call "
            "of partial_fit (classes=...), or call fit again."
        )
    return np.array([index[label] for label in labels], dtype=np.int64)


def _indicator(y, classes):
    container, shape = None, y.shape if sp.issparse(y) else _shape(y)
    if shape[1] == 0:
        raise ValueError(
            f"y has no columns (shape {shape}): there must be at least one label."
        )
    if sp.issparse(y):
        if y.dtype == object:
            raise ValueError(
                "y is a sparse matrix of dtype object, but an indicator must hold "
                "numbers 0 and 1: convert it, for example with y.astype(int)."
            )
        container = sp.csr_array if isinstance(y, sp.sparray) else sp.csr_matrix
        kind, dtype = "sparse", y.dtype
        indicator = canonical_rows(y.tocsr())
    else:
        kind = "dense"
        y = check_array(y, input_name="y", dtype=None)
        dtype = y.dtype if y.dtype.kind in "biuf" else np.dtype(np.int64)
        check_classification_targets(y)
        indicator = sp.csr_array(y != 0) if y.dtype.kind in "biuf" else None
    values = indicator.data if kind == "sparse" else y
    if indicator is None or not np.isin(values, (0, 1)).all():
        bad = np.ravel(values)[~np.isin(np.ravel(values), (0, 1))][:3].tolist()
        raise ValueError(
            f"y has {y.shape[1]} columns, which must be an indicator of zeros and ones "
            f"(one column a label), but it holds values such as {bad}. Pass an "
            "indicator, or lists of labels; MultiLabelBinarizer(sparse_output=True) "
            "converts these."
        )
    n_labels = indicator.shape[1]
    if classes is not None and len(classes) != n_labels:
        raise ValueError(
            f"y has {n_labels} columns, but this estimator has {len(classes)} labels: "
            "there must be a column for each of them."
        )
    indicator = indicator.astype(np.float32)
    classes = np.arange(n_labels) if classes is None else classes
    return Target(indicator, classes, kind, dtype, container)


def _label_lists(y, classes):
    flat = [label for labels in y for label in labels]
    if any(map(_is_missing, flat)):
        raise ValueError("Input y contains NaN or None; every label must be known.")
    if classes is None:
        try:
            binarizer = MultiLabelBinarizer(sparse_output=True).fit(y)
        except TypeError as error:
            raise _unsortable(flat) from error
        classes = binarizer.classes_
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


def check_label_weight(class_weight, target, sample_weight):
    """Return the weight of each label from `class_weight`, shape (n_labels,), or None.

    "balanced" is ``n_samples / (n_classes * count)`` as in scikit-learn; for several
    labels a sample, with the number of all true labels in place of `n_samples`.
    """
    if class_weight is None:
        return None
    classes = target.classes
    if isinstance(class_weight, dict):
        known = {*classes.tolist(), *np.asarray(target.untrained).tolist()}
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise ValueError(
                f"class_weight has keys that are no labels: {unknown[:5]}. The labels "
                f"are {classes[:5].tolist()} ..; those without a weight have 1."
            )
        for label, value in class_weight.items():
            if not isinstance(value, Real) or not 0 <= value < np.inf:
                raise ValueError(
                    f"class_weight[{label!r}]={value!r} must be a finite number of at "
                    "least 0."
                )
        return np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    y = target.y if target.kind == "labels" else target.y.indices
    weight = sample_weight
    if weight is not None and target.kind != "labels":
        weight = np.repeat(weight, np.diff(target.y.indptr))
    counts = np.bincount(y, weights=weight, minlength=len(classes))
    present = counts > 0
    result = np.ones(len(classes))
    result[present] = counts.sum() / (present.sum() * counts[present])
    return result
