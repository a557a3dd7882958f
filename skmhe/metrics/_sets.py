"""Precision, recall and F1 of predicted sets of labels."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_fscore_support

from skmhe.metrics._alignment import check_labels, read_true_labels
from skmhe.metrics._evaluation import check_same_samples, check_sample_weight
from skmhe.metrics._numbering import find_numbering, read_predicted_sets

AVERAGES = ("micro", "macro", "samples")


class PrecisionRecallF1(NamedTuple):
    """The three measures of predicted sets of labels."""

    precision: float
    recall: float
    f1: float


def measures_of(
    true: sp.csr_array,
    predicted: sp.csr_array,
    average: str,
    labels: NDArray[np.integer],
    weights: NDArray[np.float64] | None = None,
) -> PrecisionRecallF1:
    """Return the measures of some columns of two indicators, 0 where not defined."""
    if len(labels) == 0:
        return PrecisionRecallF1(0.0, 0.0, 0.0)
    # One column more, as scikit-learn takes a single one for one label per sample.
    shape = true.shape[0], true.shape[1] + 1
    wide = (
        sp.csr_array((rows.data, rows.indices, rows.indptr), shape=shape)
        for rows in (true, predicted)
    )
    found = precision_recall_fscore_support(
        *wide, average=average, labels=labels, sample_weight=weights, zero_division=0
    )
    return PrecisionRecallF1(*map(float, found[:3]))


def f1_score(
    y_true: Any,
    y_pred: Any,
    *,
    average: str = "micro",
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the F1 score of predicted sets of labels.

    ``F1 = 2 * TP / (n_predicted + n_true)``, the harmonic mean of precision and recall,
    see :func:`precision_recall_f1`.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like, sparse matrix, DataFrame, list of lists or pair of arrays
        Predicted labels, see :func:`precision_recall_f1`.
    average : {"micro", "macro", "samples"}, default="micro"
        Of what F1 is the mean, see :func:`precision_recall_f1`.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_recall_f1`.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    float
        F1 score, between 0 and 1.

    Raises
    ------
    ValueError
        If an argument is invalid, see :func:`precision_recall_f1`.

    Examples
    --------
    >>> from skmhe.metrics import f1_score
    >>> f1_score([["cat", "old"], ["dog"]], [["cat"], ["dog", "old"]])
    0.666...
    """
    given = {"average": average, "labels": labels, "sample_weight": sample_weight}
    return precision_recall_f1(y_true, y_pred, **given).f1  # type: ignore[arg-type]


def precision_recall_f1(
    y_true: Any,
    y_pred: Any,
    *,
    average: str = "micro",
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> PrecisionRecallF1:
    """Compute precision, recall and F1 of predicted sets of labels.

    With TP correct ones among ``n_predicted`` predicted and ``n_true`` true labels,
    precision is ``TP / n_predicted``, recall is ``TP / n_true``, and F1 is
    ``2 * TP / (n_predicted + n_true)``, each 0 where it is not defined. The values are
    those of :func:`sklearn.metrics.precision_recall_fscore_support` with
    ``zero_division=0``, for labels in any form.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like, sparse matrix, DataFrame, list of lists or pair of arrays
        Predicted labels: what `predict` returns, or any other form of `y_true`. An
        array of more than zeros and ones with several columns has ranked labels, all of
        which are predicted, and so has the pair that `predict_topk` returns; -1 or None
        is no prediction, see :func:`precision_at_k`.
    average : {"micro", "macro", "samples"}, default="micro"
        "micro" counts the labels of all samples together. "macro" is the mean over
        labels: all columns of an indicator or all `labels`, and otherwise those that
        are true or predicted somewhere. "samples" is the mean over samples.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, in the order of the columns of an indicator
        without names. A label of `y_true` that is not among them counts as one that is
        not predicted. If None, labels are the names of columns or their indices, or,
        without columns, anything.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    precision, recall, f1 : float
        The measures, between 0 and 1, as a named tuple.

    Raises
    ------
    ValueError
        If `average` is unknown, an argument has another form than described above, the
        numbers of samples or labels differ, or a predicted label is not among the
        labels.

    See Also
    --------
    skmhe.model_selection.MultiLabelTunedThresholdClassifierCV : Maximizes F1.

    Examples
    --------
    >>> from skmhe.metrics import precision_recall_f1
    >>> y_true = [["cat", "old"], ["dog"]]
    >>> precision_recall_f1(y_true, [["cat"], ["dog"]])
    PrecisionRecallF1(precision=1.0, recall=0.666..., f1=0.8)
    >>> precision_recall_f1(y_true, [["cat"], ["dog"]], average="samples").recall
    0.75
    """
    if average not in AVERAGES:
        raise ValueError(f"average={average!r} must be one of {', '.join(AVERAGES)}.")
    known = check_labels(labels)
    predicted = read_predicted_sets(y_pred, known)
    truth = read_true_labels(y_true, "y_true", known)
    check_same_samples(truth.n_samples, predicted.n_samples)
    weights = check_sample_weight(sample_weight, truth.n_samples)
    numbering = find_numbering(known, {"y_true": truth, "y_pred": predicted})
    true = numbering.indicator(numbering.number(truth, "y_true"))
    chosen = numbering.indicator(numbering.number_predicted(predicted))
    return measures_of(true, chosen, average, np.arange(true.shape[1]), weights)
