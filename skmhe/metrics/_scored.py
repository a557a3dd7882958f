"""Measures of the scores of predictions: average precision and calibration error."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.labels.containers import find_labels
from skmhe.metrics._evaluation import Evaluation, assess
from skmhe.metrics._predictions import check_k
from skmhe.metrics._sets import AVERAGES


def average_precision_score(
    y_true: Any,
    y_pred: Any,
    *,
    average: str = "macro",
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute average precision, from scores of all or of some labels.

    ``AP = sum_n (R_n - R_{n-1}) * P_n``, where ``P_n`` and ``R_n`` are precision and
    recall of the predictions whose score is at least the n-th largest one. This is the
    formula of :func:`sklearn.metrics.average_precision_score`, which takes dense arrays
    only. Labels without a score are never predicted, which lowers the result.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : {array-like, sparse matrix} of float of shape (n_samples, n_labels), or \
            pair of arrays
        Scores, or the pair of labels and probabilities that `predict_topk` returns, see
        :func:`precision_at_k`.
    average : {"macro", "micro", "samples"}, default="macro"
        "macro" is the mean over labels that are true somewhere, of the ranking of
        samples by their scores of the label. "micro" is that of the ranking of all
        predictions together. "samples" is the mean over samples, of the ranking of
        labels, where a sample without true labels counts as 0.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_at_k`.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    float
        Average precision, between 0 and 1; 0 if no sample has a true label.

    Raises
    ------
    ValueError
        If `average` is unknown, `y_pred` has no scores, or an argument is invalid, see
        :func:`precision_at_k`.

    Examples
    --------
    >>> from skmhe.metrics import average_precision_score
    >>> scores = [[0.9, 0.2, 0.4], [0.8, 0.7, 0.1]]
    >>> average_precision_score([[0, 2], [1]], scores, average="samples")
    0.75
    """
    if average not in AVERAGES:
        raise ValueError(f"average={average!r} must be one of {', '.join(AVERAGES)}.")
    found = assess(y_true, y_pred, 1, labels, sample_weight, scored=True, every=True)
    return average_precision(found, average)


def average_precision(found: Evaluation, average: str) -> float:
    """Return the average precision of predictions that have scores."""
    assert found.scores is not None
    samples, ranks = np.nonzero(found.ranked >= 0)
    groups, of_truth, size = _groups(found, average, samples, ranks)
    counted = groups >= 0
    groups, samples, ranks = groups[counted], samples[counted], ranks[counted]
    weights = found.weights
    if weights is None or average == "samples":
        weights = np.ones(found.truth.n_samples)
    hits = found.hits[samples, ranks]
    gains = _gains(groups, found.scores[samples, ranks], hits, weights[samples])
    sums = np.bincount(groups[hits], gains, minlength=size)
    n_true = np.bincount(of_truth, weights[found.truth.samples], minlength=size)
    values = np.divide(sums, n_true, out=np.zeros(size), where=n_true > 0)
    if average == "samples":
        return found.average(values)
    return float(values[n_true > 0].mean()) if (n_true > 0).any() else 0.0


def _groups(
    found: Evaluation,
    average: str,
    samples: NDArray[np.integer],
    ranks: NDArray[np.integer],
) -> tuple[NDArray[np.integer], NDArray[np.integer], int]:
    """Return which predictions and which true labels are ranked together.

    Both are numbers below the last value; -1 are predictions of labels that are true
    nowhere.
    """
    truth = found.truth
    if average == "samples":
        return samples, truth.samples, truth.n_samples
    if average == "micro":
        return np.zeros_like(samples), np.zeros_like(truth.samples), 1
    # By their places, as numbers of labels may be as large as their names.
    known, of_truth = np.unique(truth.indices, return_inverse=True)
    return find_labels(found.ranked[samples, ranks], known), of_truth, len(known)


def _gains(
    groups: NDArray[np.integer],
    scores: NDArray[np.floating],
    hits: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the precision at the score of each hit in its group, times its weight."""
    order = np.lexsort((-scores, groups))
    groups, scores = groups[order], scores[order]
    right = np.cumsum(weights[order] * hits[order])
    total = np.cumsum(weights[order])
    is_last = np.ones(len(order), dtype=bool)  # of equal scores in a group
    is_last[:-1] = (groups[1:] != groups[:-1]) | (scores[1:] != scores[:-1])
    starts = np.searchsorted(groups, groups)
    ends = np.flatnonzero(is_last)[np.cumsum(is_last) - is_last]
    before = starts - 1  # -1, the last place, is corrected below
    n_right = right[ends] - np.where(starts > 0, right[before], 0)
    n_all = total[ends] - np.where(starts > 0, total[before], 0)
    precision = np.empty(len(order))
    precision[order] = np.divide(
        n_right, n_all, out=np.zeros(len(order)), where=n_all > 0
    )
    return (precision * weights)[hits]


def expected_calibration_error(
    y_true: Any,
    y_pred: Any,
    k: int = 1,
    *,
    n_bins: int = 15,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the expected calibration error of the top-k probabilities.

    The k best predictions of all samples are put into bins of equal width by their
    probabilities, ``((m - 1) / M, m / M]`` for m from 1 to M. Then
    ``ECE = sum_m |B_m| / n * |acc(B_m) - conf(B_m)|``, where ``acc`` is the share of
    the predictions of a bin that are correct, ``conf`` is their mean probability, and
    n is the number of all predictions [1]_. With ``k=1`` and one label per sample, it
    is that of the paper.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : {array-like, sparse matrix} of float of shape (n_samples, n_labels), or \
            pair of arrays
        Probabilities, or the pair of labels and probabilities that `predict_topk`
        returns, see :func:`precision_at_k`.
    k : int, default=1
        Number of top-ranked predictions to consider.
    n_bins : int, default=15
        Number of bins, M.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_at_k`.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    float
        Expected calibration error, between 0 (the best) and 1.

    Raises
    ------
    ValueError
        If `y_pred` has no probabilities, `n_bins` is not a positive integer, or an
        argument is invalid, see :func:`precision_at_k`.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural
       networks", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import expected_calibration_error
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2]])
    >>> round(expected_calibration_error([0, 1, 1], probabilities), 3)
    0.233
    """
    check_k(n_bins, "n_bins")
    found = assess(y_true, y_pred, k, labels, sample_weight, scored=True)
    assert found.scores is not None
    samples, ranks = np.nonzero(found.ranked >= 0)
    scores = found.scores[samples, ranks].astype(np.float64)
    if len(scores) == 0:
        return 0.0
    if scores.min() < 0 or scores.max() > 1:
        odd = scores.min() if scores.min() < 0 else scores.max()
        raise ValueError(
            f"y_pred has the score {odd}, which is no probability: pass numbers from 0 "
            "to 1, as predict_proba and predict_topk return them."
        )
    weights = np.ones(len(scores)) if found.weights is None else found.weights[samples]
    bins = np.maximum(np.ceil(scores * n_bins).astype(np.int64) - 1, 0)
    gaps = np.bincount(bins, weights * (scores - found.hits[samples, ranks]))
    total = weights.sum()
    return float(np.abs(gaps).sum() / total) if total else 0.0
