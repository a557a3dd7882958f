"""Predictions of an estimator, or given ones, compared with true labels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.labels.containers import find_labels, label_array, label_list
from skmhe.labels.forms import LabelIndicator, Labels
from skmhe.metrics._alignment import (
    align,
    check_labels,
    number_labels,
    read_true_labels,
)
from skmhe.metrics._classes import METHODS, number_y, rank_with_scores, read_y
from skmhe.metrics._evaluation import Evaluation, compare
from skmhe.metrics._predictions import (
    Predictions,
    Ranking,
    Scores,
    check_k,
    read_predictions,
)
from skmhe.metrics._topk import NO_PREDICTION


class OfEstimator(NamedTuple):
    """Predictions of an estimator, compared with y."""

    found: Evaluation  # with scores
    y: Labels
    known: NDArray[Any]  # labels, in the order of their numbers
    classes: NDArray[Any]


def predict_and_compare(
    estimator: Any,
    X: Any,
    y: Any,
    k: int,
    sample_weight: ArrayLike | None,
    methods: tuple[str, ...] = METHODS,
) -> OfEstimator:
    """Rank the k best labels of each sample, and compare them with y.

    By `predict_topk` or, of estimators that have none, the first of some methods.
    """
    check_k(k)
    ranked, scores, classes = rank_with_scores(estimator, X, k, methods)
    read = read_y(y, classes)
    truth, ranked, known = number_y(read, classes, ranked)
    found = compare(truth, ranked, sample_weight)._replace(scores=scores)
    return OfEstimator(found, read, known, classes)


def training_frequencies(
    y_train: Any, classes: NDArray[Any], known: NDArray[Any]
) -> NDArray[np.int64]:
    """Count the training samples of each known label, for classes of an estimator."""
    read = read_y(y_train, classes, "y_train")
    nothing = np.zeros((0, 1), dtype=np.int64)
    truth, _, labels = number_y(read, classes, nothing, "y_train")
    counts = np.bincount(truth.indices, minlength=len(labels))
    places = find_labels(known, labels)
    return np.where(places < 0, 0, counts[places])


def read_and_compare(
    y_true: Any,
    y_pred: Any,
    k: int,
    labels: ArrayLike | None,
    sample_weight: ArrayLike | None,
    y_train: Any,
) -> tuple[Evaluation, NDArray[np.int64]]:
    """Read predictions and true labels in every form of the metrics, and compare them.

    Also returns the number of training samples of each label, by its number.
    """
    check_k(k)
    known = check_labels(labels)
    predicted = read_predictions(y_pred, known)
    hints = predicted.known if known is None else known
    truth = read_true_labels(y_true, "y_true", hints)
    train = read_true_labels(y_train, "y_train", hints)
    known = _all_labels(train, truth, predicted) if known is None else known
    true, ranked = align(truth, predicted, k, known, None)
    numbers = number_labels(train, known, "y_train").indices
    frequencies = np.bincount(numbers, minlength=len(known))[: len(known)]
    return compare(true, ranked, sample_weight), frequencies


def _all_labels(train: Labels, truth: Labels, predicted: Predictions) -> NDArray[Any]:
    """Return the label of each column or, without columns, all labels there are."""
    tables = [part for part in (train, truth) if isinstance(part, LabelIndicator)]
    named = [part.names for part in (*tables, predicted) if hasattr(part, "names")]
    names = next((names for names in named if names is not None), None)
    if names is not None:
        return names
    widths = [part.n_labels for part in tables]
    if isinstance(predicted, Scores):
        widths.append(predicted.n_columns)
    if widths:
        return np.arange(widths[0])
    assert isinstance(predicted, Ranking)
    assert not isinstance(train, LabelIndicator)
    assert not isinstance(truth, LabelIndicator)
    ranked = predicted.labels
    present = np.ones(ranked.shape, bool)
    if predicted.missing is not None:
        present = ~predicted.missing
    elif ranked.dtype.kind == "i":
        present = ranked != NO_PREDICTION
    parts = [train.labels, truth.labels, ranked[present]]
    return label_array(dict.fromkeys(x for part in parts for x in label_list(part)))
