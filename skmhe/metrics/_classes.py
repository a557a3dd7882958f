"""Bring an estimator's predictions and the labels of y to common label indices."""

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from skmhe.metrics._inputs import flatten_lists, is_nested, true_labels_from_flat
from skmhe.metrics._topk import top_k_dense


def rank_classes(estimator, X, k):
    """Return the k best classes of each sample, and the classes.

    Parameters
    ----------
    estimator : object
        Fitted classifier, pipeline or search.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    k : int
        Number of classes wanted.

    Returns
    -------
    ranked : ndarray of shape (n_samples, k)
        Positions in `classes`, best first.
    classes : ndarray of shape (n_classes,)
        The estimator's `classes_`.
    """
    estimator, X = _unwrap(estimator, X)
    classes = _classes_of(estimator)
    if k > len(classes):
        raise ValueError(
            f"k={k} is larger than the number of classes of "
            f"{type(estimator).__name__}, {len(classes)}; pass k <= {len(classes)}."
        )
    if not hasattr(estimator, "predict_topk"):
        return top_k_dense(_dense_scores(estimator, X, len(classes)), k), classes
    predicted = np.asarray(estimator.predict_topk(X, k=k)[0])
    ranked = label_positions(predicted.ravel(), classes).reshape(predicted.shape)
    if (ranked < 0).any():
        raise ValueError(
            f"{type(estimator).__name__}.predict_topk returned the label "
            f"{predicted[ranked < 0].tolist()[0]!r}, which is not in its classes_."
        )
    return ranked, classes


def _unwrap(estimator, X):
    """Follow pipelines and searches to the estimator that ranks the labels."""
    while not hasattr(estimator, "predict_topk"):
        if isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator, X


def _classes_of(estimator):
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list):
        raise TypeError(
            f"{type(estimator).__name__} has no array of classes_ to compare with y; "
            "pass a fitted classifier (for multi-label y one such as "
            "OneVsRestClassifier, not a multi-output classifier)."
        )
    return np.asarray(classes)


def _dense_scores(estimator, X, n_classes):
    """Scores of an estimator without `predict_topk`, shape (n_samples, n_classes)."""
    names = ("decision_function", "predict_proba")
    name = next((name for name in names if hasattr(estimator, name)), None)
    if name is None:
        raise TypeError(
            f"{type(estimator).__name__} has none of predict_topk, decision_function "
            "and predict_proba; a ranking scorer needs one of them."
        )
    scores = np.asarray(getattr(estimator, name)(X), dtype=np.float64)
    if scores.ndim == 1 and n_classes <= 2:
        # A binary decision function scores the second class only.
        scores = np.column_stack([-scores, scores])[:, -n_classes:]
    if scores.ndim != 2 or scores.shape[1] != n_classes:
        raise ValueError(
            f"{type(estimator).__name__}.{name} returned the shape {scores.shape}; a "
            f"ranking scorer needs one column for each of its {n_classes} classes."
        )
    return scores


# ------------------------------------------------------------------ labels


def label_positions(values, classes):
    """Return the position of each value in `classes`, -1 where it is not there.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Labels to look up.
    classes : ndarray of shape (n_classes,)
        Distinct labels, in any order.

    Returns
    -------
    ndarray of shape (n_values,), dtype int64
    """
    kinds = values.dtype.kind + classes.dtype.kind
    if {"n" if kind in "buif" else kind for kind in kinds} == {"n", "U"}:
        raise ValueError(
            f"Labels of dtype {values.dtype} cannot be compared with labels of dtype "
            f"{classes.dtype}; convert one side, e.g. y.astype(str)."
        )
    if not set(kinds) <= set("buif"):
        position = {label: i for i, label in enumerate(classes.tolist())}
        found = (position.get(label, -1) for label in values.tolist())
        return np.fromiter(found, dtype=np.int64, count=len(values))
    order = np.argsort(classes, kind="stable")
    place = np.searchsorted(classes, values, sorter=order)
    candidate = order[np.minimum(place, len(classes) - 1)]
    return np.where(classes[candidate] == values, candidate, -1)


def is_indicator(y):
    """Tell whether `y` is an indicator, and not labels or label lists."""
    return sp.issparse(y) or (not is_nested(y) and np.ndim(y) == 2)


def columns_of_classes(classes, n_columns):
    """Return the column of an indicator y for each class of the estimator.

    Integer classes that are all column indices stand for themselves (a fold may miss
    some); other classes take the columns in order.
    """
    if classes.dtype.kind in "iu" and 0 <= classes.min() <= classes.max() < n_columns:
        return classes.astype(np.int64)
    if len(classes) == n_columns:
        return np.arange(n_columns)
    raise ValueError(
        f"y has {n_columns} columns but the estimator {len(classes)} classes, which "
        "are not column indices; pass an indicator with one column for each class, or "
        "the labels themselves."
    )


def encode_labels(y, classes):
    """Encode labels by `classes`; labels that are not there get further indices.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or list of n_samples label lists
        The user's own labels.
    classes : ndarray of shape (n_classes,)
        The estimator's classes.

    Returns
    -------
    truth : TrueLabels
        True labels as indices into `known`.
    known : ndarray of shape (n_classes + n_unseen,)
        The classes, then the labels of y that are not among them.
    """
    if is_nested(y):
        lengths, labels = flatten_lists(y, "y")
        flat = as_label_array(labels)
    else:
        flat = np.asarray(y)
        if flat.ndim != 1:
            raise ValueError(
                f"y has shape {flat.shape}; pass an indicator, one label a sample, or "
                "one list of labels a sample."
            )
        lengths = np.ones(len(flat), dtype=np.int64)
    indices = label_positions(flat, classes)
    missed = np.flatnonzero(indices < 0)
    unseen = list(dict.fromkeys(flat[missed].tolist()))
    if unseen:
        extra = as_label_array(unseen)
        indices[missed] = len(classes) + label_positions(flat[missed], extra)
        known = as_label_array(classes.tolist() + unseen)
    else:
        known = classes
    return true_labels_from_flat(indices, lengths, len(known), "y"), known


def as_label_array(labels):
    """Return a 1-D array of labels: an object array unless one type holds them all."""
    if hasattr(labels, "dtype"):
        return np.asarray(labels)
    labels = list(labels)
    if len(set(map(type, labels))) == 1 and np.ndim(labels[0]) == 0:
        return np.array(labels)
    return np.fromiter(labels, dtype=object, count=len(labels))
