"""The classes of an estimator: their ranking, and users' own labels among them."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skmhe.final_classifier import class_scores, classes_of, final_classifier
from skmhe.metrics._predictions import check_no_nan
from skmhe.metrics._topk import top_k_dense
from skmhe.metrics._true_labels import TrueLabels, flatten_lists, is_nested

METHODS = ("decision_function", "predict_proba")


def rank_classes(
    estimator: Any, X: Any, k: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Rank the top-k classes of each sample, best first.

    Returns positions in the classes, shape (n_samples, k), and the classes.
    """
    estimator, X = final_classifier(estimator, X)
    name, classes = type(estimator).__name__, classes_of(estimator)
    if k > len(classes):
        raise ValueError(
            f"k={k} is larger than the number of classes of {name}, {len(classes)}; "
            f"pass k <= {len(classes)}."
        )
    if not hasattr(estimator, "predict_topk"):
        method, scores = class_scores(estimator, X, len(classes), METHODS)
        check_no_nan(scores, f"The result of {name}.{method}")
        return top_k_dense(scores, k), classes
    predicted = np.asarray(estimator.predict_topk(X, k=k)[0])
    ranked = label_positions(predicted.ravel(), classes).reshape(predicted.shape)
    if (ranked < 0).any():
        raise ValueError(
            f"{name}.predict_topk returned the label "
            f"{predicted[ranked < 0].tolist()[0]!r}, which is not in its classes_."
        )
    return ranked, classes


def label_positions(values: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the position of each value in `classes`, -1 if it is not there.

    The classes are distinct and in any order, the positions have shape (n_values,).
    Raises ValueError if one side has numbers and the other one strings.
    """
    kinds = values.dtype.kind + classes.dtype.kind
    if {"n" if kind in "buif" else kind for kind in kinds} == {"n", "U"}:
        raise ValueError(
            f"Labels of dtype {values.dtype} cannot be compared with labels of dtype "
            f"{classes.dtype}; convert one of them, for example by y.astype(str)."
        )
    if not set(kinds) <= set("buif"):
        position = {label: i for i, label in enumerate(classes.tolist())}
        found = (position.get(label, -1) for label in values.tolist())
        return np.fromiter(found, dtype=np.int64, count=len(values))
    order = np.argsort(classes, kind="stable")
    place = np.searchsorted(classes, values, sorter=order)
    candidate = order[np.minimum(place, len(classes) - 1)]
    return np.where(classes[candidate] == values, candidate, -1)


def is_indicator(y: Any) -> bool:
    """Tell whether `y` is an indicator, and not labels or label lists."""
    return sp.issparse(y) or (not is_nested(y) and np.ndim(y) == 2)


def columns_of_classes(classes: NDArray[Any], n_columns: int) -> NDArray[np.int64]:
    """Return the column of an indicator for each class, shape (n_classes,).

    The classes themselves if all of them are column indices (the training part of a
    cross-validation split may lack some), otherwise all columns in order.
    """
    if classes.dtype.kind in "iu" and 0 <= classes.min() <= classes.max() < n_columns:
        return classes.astype(np.int64)
    if len(classes) == n_columns:
        return np.arange(n_columns)
    raise ValueError(
        f"y has {n_columns} columns but the estimator has {len(classes)} classes, "
        "which are not column indices; pass an indicator with one column for each "
        "class, or the labels themselves."
    )


def encode_labels(y: Any, classes: NDArray[Any]) -> tuple[TrueLabels, NDArray[Any]]:
    """Encode labels, one or a list per sample, as positions in the classes.

    Returns them with what the positions stand for, shape (n_classes + n_unseen,): the
    classes, followed by the labels of `y` that are not among them.
    """
    if is_nested(y):
        lengths, labels = flatten_lists(y, "y")
        flat = as_label_array(labels)
    else:
        flat = np.asarray(y)
        if flat.ndim != 1:
            raise ValueError(
                f"y has shape {flat.shape}; pass an indicator, one label per sample, "
                "or one list of labels per sample."
            )
        lengths = np.ones(len(flat), dtype=np.int64)
    indices = label_positions(flat, classes)
    missed = np.flatnonzero(indices < 0)
    known = classes
    if missed.size:
        unseen = list(dict.fromkeys(flat[missed].tolist()))
        new_positions = label_positions(flat[missed], as_label_array(unseen))
        indices[missed] = len(classes) + new_positions
        known = as_label_array(classes.tolist() + unseen)
    return TrueLabels.from_flat(indices, lengths, len(known), "y"), known


def as_label_array(labels: Any) -> NDArray[Any]:
    """Convert labels to an array, of dtype object for tuples or mixed types."""
    if hasattr(labels, "dtype"):
        return np.asarray(labels)
    labels = list(labels)
    if len(set(map(type, labels))) == 1 and np.ndim(labels[0]) == 0:
        return np.array(labels)
    return np.fromiter(labels, dtype=object, count=len(labels))
