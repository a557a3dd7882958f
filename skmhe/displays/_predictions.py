"""Predictions of an estimator, or given ones, compared with true labels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.labels.containers import find_labels
from skmhe.labels.forms import Labels
from skmhe.metrics._alignment import check_k_fits, check_labels, read_true_labels
from skmhe.metrics._classes import METHODS, number_y, rank_with_scores, read_y
from skmhe.metrics._evaluation import Evaluation, compare
from skmhe.metrics._numbering import find_numbering
from skmhe.metrics._predictions import check_k, read_predictions


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
    found = compare(truth, ranked, sample_weight, ("y", "X"))
    return OfEstimator(found._replace(scores=scores), read, known, classes)


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
    given = {"y_true": truth, "y_pred": predicted, "y_train": train}
    numbering = find_numbering(known, given)
    check_k_fits(k, predicted.n_columns, len(numbering.labels))
    ranked = numbering.rank(predicted, k)
    found = compare(numbering.number(truth, "y_true"), ranked, sample_weight)
    numbers = numbering.number(train, "y_train").indices
    return found, np.bincount(numbers, minlength=len(numbering.every))
