"""The classes of an estimator: their ranking, and the true labels among them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmhe.final_classifier import class_scores, classes_of, final_classifier
from skmhe.labels.containers import find_columns, find_labels, label_array, label_list
from skmhe.labels.forms import LabelIndicator, Labels
from skmhe.metrics._alignment import Nested, number_labels, read_true_labels
from skmhe.metrics._predictions import check_no_nan
from skmhe.metrics._topk import top_k_dense
from skmhe.metrics._true_labels import TrueLabels

METHODS = ("decision_function", "predict_proba")


def rank_with_scores(
    estimator: Any, X: Any, k: int, methods: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]:
    """Rank the top-k classes by `predict_topk`, or else by the first method there is.

    Returns positions in the classes and their scores, both of shape (n_samples, k), and
    the classes.
    """
    estimator, X = final_classifier(estimator, X)
    name, classes = type(estimator).__name__, classes_of(estimator)
    if k > len(classes):
        raise ValueError(
            f"k={k} is larger than the number of classes of {name}, {len(classes)}; "
            f"pass k <= {len(classes)}."
        )
    if not hasattr(estimator, "predict_topk"):
        method, scores = class_scores(estimator, X, len(classes), methods)
        check_no_nan(scores, f"The result of {name}.{method}")
        ranked = top_k_dense(scores, k)
        return ranked, np.take_along_axis(scores, ranked, axis=1), classes
    labels, values = estimator.predict_topk(X, k=k)
    predicted = np.asarray(labels)
    ranked = find_labels(predicted.ravel(), classes).reshape(predicted.shape)
    if (ranked < 0).any():
        raise ValueError(
            f"{name}.predict_topk returned the label "
            f"{predicted[ranked < 0].tolist()[0]!r}, which is not in its classes_."
        )
    return ranked, np.asarray(values, dtype=np.float64), classes


def read_y(y: Any, classes: NDArray[Any], name: str = "y") -> Labels:
    """Read true labels to compare with classes.

    Nested zeros and ones are an indicator, unless they may be lists of the classes: of
    three classes or more, one with a column for each would name a class twice.
    """
    is_class = find_labels(np.arange(2), classes) >= 0
    nested: Nested = "refuse" if is_class.any() and len(classes) < 3 else "indicator"
    return read_true_labels(y, name, classes, nested=nested)


def number_y(
    y: Labels, classes: NDArray[Any], ranked: NDArray[np.int64], name: str = "y"
) -> tuple[TrueLabels, NDArray[np.int64], NDArray[Any]]:
    """Give true labels and ranked positions in the classes the same numbers.

    Returns both with the labels that the numbers stand for: the columns of an
    indicator; or the classes, followed by the labels of `y` that are not among them.
    """
    if isinstance(y, LabelIndicator):
        columns, labels = columns_of_classes(y, classes, name)
        return TrueLabels(y.rows.indptr, y.rows.indices), columns[ranked], labels
    truth = number_labels(y, classes, name, "the estimator")
    unseen = label_list(y.labels[find_labels(y.labels, classes) < 0])
    known = classes
    if unseen:
        known = label_array([*label_list(classes), *dict.fromkeys(unseen)])
    return truth, ranked, known


def columns_of_classes(
    y: LabelIndicator, classes: NDArray[Any], name: str
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the column of each class, (n_classes,), and the label of each column.

    Classes that are column indices in increasing order are columns, as scikit-learn's
    multi-label classifiers have them (the training part of a split may lack some).
    Others have columns of their names or, without names, one each in their order.
    """
    numbers = np.arange(y.n_labels)
    is_index = classes.dtype.kind in "iu" and (find_labels(classes, numbers) >= 0).all()
    if is_index and (len(classes) < y.n_labels or np.array_equal(classes, numbers)):
        if y.names is not None:
            places = find_labels(classes, y.names)
            _check_one_meaning(y, classes, name, (places >= 0) & (places != classes))
        return classes.astype(np.int64), numbers
    columns = find_columns(classes, y.names, y.n_labels)
    if columns is None:
        raise ValueError(
            f"{name} has {y.n_labels} columns but the estimator has {len(classes)} "
            "classes, which are neither the names nor the indices of these columns; "
            "pass an indicator with one column for each class, or the labels "
            "themselves."
        )
    if y.names is None:
        _check_one_meaning(y, classes, name, np.array([is_index]))
    return columns, classes[np.argsort(columns)]


def _check_one_meaning(
    y: LabelIndicator, classes: NDArray[Any], name: str, is_odd: NDArray[np.bool_]
) -> None:
    """Raise ValueError if classes may be the indices of columns, or something else."""
    if is_odd.any():
        shown = "no names" if y.names is None else f"the names {y.names[:3].tolist()}"
        raise ValueError(
            f"{name} is ambiguous: its {y.n_labels} columns have {shown}, and the "
            f"classes of the estimator, {classes[:3].tolist()}, may be the indices of "
            "columns, or have their order or names. Pass a DataFrame whose columns are "
            "named by the classes, in increasing order, or lists of labels."
        )
