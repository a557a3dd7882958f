"""Ranking measures of extreme classification, computed on the k best labels a row."""

from typing import NamedTuple

import numpy as np

from skmhe.metrics._inputs import (
    TrueLabels,
    check_k,
    check_n_labels,
    check_positive,
    check_propensities,
    check_same_length,
    check_sample_weight,
    check_truth_range,
    check_y_pred,
    check_y_true,
)

# With fewer samples log(n) < 1 and the propensity model yields values above 1.
_MIN_SAMPLES = 3


class _Evaluation(NamedTuple):
    truth: TrueLabels
    ranked: np.ndarray  # shape: (n_rows, k), label indices, -1 for no prediction
    hits: np.ndarray  # shape: (n_rows, k), bool, whether `ranked` is a true label
    weights: np.ndarray | None  # shape: (n_rows,)


def precision_at_k(y_true, y_pred, k=5, *, sample_weight=None):
    """Share of true labels among the k best predictions of a row, averaged over rows.

    P@k = (1/k) * sum over the k best labels l of y_l, as in the Extreme Classification
    Repository [1]_. A row without a true label counts as 0.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_rows, n_labels), \
            array-like of int of shape (n_rows,), or list of n_rows label lists
        True labels: a 0/1 indicator (dense or any scipy sparse format), one label
        index a row, or one list of distinct label indices a row (it may be empty). A
        nested list is always label lists; one whose rows are equally many zeros and
        ones is refused, since it may as well be an indicator.
    y_pred : ndarray of int of shape (n_rows, m), or {ndarray, sparse matrix} of \
            float of shape (n_rows, n_labels)
        Predictions. Integers are label indices ranked best first, m >= k; columns
        after the k-th are not looked at, and -1 stands for "no prediction": it keeps
        its place in the ranking and is never correct. Floating-point numbers are
        scores with one column a label; equal scores rank the lower label index first.
        In a sparse matrix only stored entries (explicit zeros too) are predictions: a
        row with fewer than k of them ends in "no prediction".
    k : int, default=5
        Number of leading predictions, at least 1 and at most the number of labels.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows in the average; None weighs them all alike.

    Returns
    -------
    float
        Precision at k, in [0, 1].

    Raises
    ------
    ValueError
        If an argument has another form than above, the numbers of rows or labels
        differ, a label index or k is out of range, a row ranks a label twice, or a
        score is NaN.

    See Also
    --------
    recall_at_k : Share of a row's true labels that are found.
    ndcg_at_k : Precision with more weight on the first places.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: multi-label
       datasets and code", 2016. http://manikvarma.org/downloads/XC/XMLRepository.html

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import precision_at_k
    >>> y_true = [[0, 2], [1]]
    >>> precision_at_k(y_true, np.array([[2, 1, 0], [0, 1, 2]]), k=2)
    0.5
    >>> precision_at_k(y_true, np.array([[0.3, 0.2, 0.5], [0.5, 0.4, 0.1]]), k=2)
    0.75
    """
    found = _evaluate(y_true, y_pred, k, sample_weight)
    return _average(found.hits.mean(axis=1), found.weights)


def recall_at_k(y_true, y_pred, k=5, *, sample_weight=None):
    """Share of a row's true labels among its k best predictions, averaged over rows.

    R@k = (1/|y|) * sum over the k best labels l of y_l. A row without a true label
    counts as 0, like in the evaluation code of the field; leave such rows out with
    `sample_weight` if they should not count. With one label a row this is the top-k
    accuracy.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_rows, n_labels), \
            array-like of int of shape (n_rows,), or list of n_rows label lists
        True labels; see `precision_at_k`.
    y_pred : ndarray of int of shape (n_rows, m), or {ndarray, sparse matrix} of \
            float of shape (n_rows, n_labels)
        Ranked label indices or scores; see `precision_at_k`.
    k : int, default=5
        Number of leading predictions.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows in the average.

    Returns
    -------
    float
        Recall at k, in [0, 1].

    Raises
    ------
    ValueError
        As `precision_at_k` does.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import recall_at_k
    >>> recall_at_k([[0, 2], [1]], np.array([[2, 1, 0], [0, 1, 2]]), k=2)
    0.75
    """
    found = _evaluate(y_true, y_pred, k, sample_weight)
    # Rows without a true label have no hit: the divisor 1 makes them 0.
    recall = found.hits.sum(axis=1) / np.maximum(found.truth.counts, 1)
    return _average(recall, found.weights)


def ndcg_at_k(y_true, y_pred, k=5, *, sample_weight=None):
    """Normalised discounted cumulative gain of the k best labels, averaged over rows.

    nDCG@k = DCG@k / sum_{r=1}^{min(k, |y|)} 1/log2(r + 1) with
    DCG@k = sum_{r=1}^{k} y_{l(r)} / log2(r + 1), l(r) the label at rank r, as in the
    Extreme Classification Repository [1]_. A row without a true label counts as 0.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_rows, n_labels), \
            array-like of int of shape (n_rows,), or list of n_rows label lists
        True labels; see `precision_at_k`.
    y_pred : ndarray of int of shape (n_rows, m), or {ndarray, sparse matrix} of \
            float of shape (n_rows, n_labels)
        Ranked label indices or scores; see `precision_at_k`.
    k : int, default=5
        Number of leading predictions.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows in the average.

    Returns
    -------
    float
        nDCG at k, in [0, 1]; 1 if every row ranks its true labels first.

    Raises
    ------
    ValueError
        As `precision_at_k` does.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: multi-label
       datasets and code", 2016. http://manikvarma.org/downloads/XC/XMLRepository.html

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import ndcg_at_k
    >>> ndcg_at_k([[0, 2], [1]], np.array([[2, 0, 1], [0, 1, 2]]), k=2)
    0.815...
    """
    found = _evaluate(y_true, y_pred, k, sample_weight)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.clip(found.truth.counts, 1, k) - 1]
    return _average(found.hits @ discounts / ideal, found.weights)


def propensity_scored_precision_at_k(
    y_true, y_pred, propensities, k=5, *, sample_weight=None
):
    """Precision that rewards rare labels, divided by its best attainable value.

    A hit of label l is worth 1/p_l instead of 1 [1]_. The sum over all rows of
    (1/k) * sum over the k best labels l of y_l / p_l is divided by the same sum for
    the best ranking, which puts each row's true labels of smallest propensity first:
    one ratio for the whole data set (not an average of ratios), as published PSP@k
    figures are computed. A row without a true label changes neither sum.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_rows, n_labels), \
            array-like of int of shape (n_rows,), or list of n_rows label lists
        True labels; see `precision_at_k`.
    y_pred : ndarray of int of shape (n_rows, m), or {ndarray, sparse matrix} of \
            float of shape (n_rows, n_labels)
        Ranked label indices or scores; see `precision_at_k`.
    propensities : array-like of shape (n_labels,)
        Propensity p_l in (0, 1] of each label, from the training labels; see
        `propensities`.
    k : int, default=5
        Number of leading predictions.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows in both sums.

    Returns
    -------
    float
        Propensity-scored precision at k, in [0, 1]; 0 if no row has a true label.

    Raises
    ------
    ValueError
        As `precision_at_k` does, and if `propensities` has not one value in (0, 1] for
        each label.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for
       recommendation, tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import propensity_scored_precision_at_k
    >>> y_pred = np.array([[2, 1, 0], [0, 1, 2]])
    >>> propensity_scored_precision_at_k([[0, 2], [1]], y_pred, [1, 1, 0.2], k=1)
    0.833...
    """
    weight_of_label = 1 / check_propensities(propensities)
    found = _evaluate(
        y_true, y_pred, k, sample_weight, n_propensities=len(weight_of_label)
    )
    gains = np.where(found.hits, weight_of_label[found.ranked], 0).sum(axis=1)
    best = _average(_best_gains(found.truth, weight_of_label, k), found.weights)
    if best == 0:
        return 0.0
    # The two sums may differ in their last digit when the ranking is the best one.
    return min(_average(gains, found.weights) / best, 1.0)


def coverage_at_k(y_true, y_pred, k=5, *, sample_weight=None):
    """Share of the labels present in `y_true` that are found in at least one row.

    A label is found when it is a true label of some row and among the k best
    predictions of that row. Low coverage with high precision means that only frequent
    labels are predicted.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_rows, n_labels), \
            array-like of int of shape (n_rows,), or list of n_rows label lists
        True labels; see `precision_at_k`.
    y_pred : ndarray of int of shape (n_rows, m), or {ndarray, sparse matrix} of \
            float of shape (n_rows, n_labels)
        Ranked label indices or scores; see `precision_at_k`.
    k : int, default=5
        Number of leading predictions.
    sample_weight : array-like of shape (n_rows,), default=None
        Rows of weight 0 are left out; other weights make no difference here.

    Returns
    -------
    float
        Coverage at k, in [0, 1]; 0 if no row has a true label.

    Raises
    ------
    ValueError
        As `precision_at_k` does.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import coverage_at_k
    >>> coverage_at_k([[0, 2], [2]], np.array([[2, 1, 0], [2, 0, 1]]), k=2)
    0.5
    """
    found = _evaluate(y_true, y_pred, k, sample_weight)
    present, hits = found.truth.indices, found.hits
    if found.weights is not None:
        counted = found.weights > 0
        present = present[counted[found.truth.rows]]
        hits = hits & counted[:, None]
    return _count_distinct(found.ranked[hits]) / max(_count_distinct(present), 1)


def propensities(y_train, a=0.55, b=1.5, *, n_labels=None):
    """Propensity of each label: how likely a relevant label is to be annotated.

    p_l = 1 / (1 + (log n - 1) * (b + 1)^a * (N_l + b)^-a) with n training samples, N_l
    of them with label l [1]_. Rare labels have small propensities.

    Parameters
    ----------
    y_train : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples label lists
        Training labels, in any form of `y_true` in `precision_at_k`; at least 3 rows.
    a : float, default=0.55
        Exponent, at least 0. Usual values: 0.6 for Amazon data, 0.5 for Wikipedia
        data, 0.55 otherwise.
    b : float, default=1.5
        Offset, above 0. Usual values: 2.6 for Amazon data, 0.4 for Wikipedia data,
        1.5 otherwise.
    n_labels : int, default=None
        Number of labels. None takes the number of columns of an indicator, and the
        largest index + 1 for label indices and lists.

    Returns
    -------
    ndarray of shape (n_labels,)
        Propensities, in (0, 1].

    Raises
    ------
    ValueError
        If `y_train` has another form or fewer than 3 rows, `a` or `b` is out of range,
        or `n_labels` contradicts `y_train`.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for
       recommendation, tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> from skmhe.metrics import propensities
    >>> propensities([[0], [0, 1], [0], [0]], n_labels=3).round(3)
    array([0.8  , 0.721, 0.662])
    """
    truth = check_y_true(y_train, "y_train")
    check_positive(a, "a", zero_allowed=True)
    check_positive(b, "b", zero_allowed=False)
    if truth.n_rows < _MIN_SAMPLES:
        raise ValueError(
            f"y_train has {truth.n_rows} rows; the propensity model needs at least "
            f"{_MIN_SAMPLES}."
        )
    size = _label_count(truth, n_labels)
    frequencies = np.bincount(truth.indices, minlength=size)  # shape: (size,)
    scale = (np.log(truth.n_rows) - 1) * (b + 1) ** a
    return 1 / (1 + scale * (frequencies + b) ** -a)


def _label_count(truth, n_labels):
    """Return the number of labels, from `n_labels` or else from the training labels."""
    smallest = int(truth.indices.max(initial=-1)) + 1
    known = truth.n_labels
    if n_labels is None:
        return smallest if known is None else known
    check_positive(n_labels, "n_labels", zero_allowed=False)
    if (
        n_labels != int(n_labels)
        or n_labels < smallest
        or known not in (None, n_labels)
    ):
        allowed = f"{known}" if known is not None else f"an integer >= {smallest}"
        raise ValueError(
            f"n_labels={n_labels!r} contradicts y_train; it must be {allowed}."
        )
    return int(n_labels)


def _evaluate(y_true, y_pred, k, sample_weight, *, n_propensities=None):
    """Validate the arguments of a measure and mark the correct predictions."""
    check_k(k)
    truth = check_y_true(y_true)
    n_labels = check_n_labels(y_true=truth.n_labels, propensities=n_propensities)
    ranked, n_labels = check_y_pred(y_pred, k, n_labels)
    check_same_length(truth.n_rows, len(ranked))
    check_truth_range(truth, n_labels)
    weights = check_sample_weight(sample_weight, truth.n_rows)
    return _Evaluation(truth, ranked, _hits(truth, ranked), weights)


def _hits(truth, ranked):
    """Mark the predictions that are true labels, shape (n_rows, k)."""
    hits = np.zeros(ranked.shape, dtype=bool)
    counts, rows = truth.counts, truth.rows
    # One comparison of every true label with its row's prediction at each place is
    # faster than looking predictions up, and needs no sorting.
    for place in range(ranked.shape[1]):
        found = np.repeat(ranked[:, place], counts) == truth.indices
        hits[rows[found], place] = True
    return hits


def _best_gains(truth, weight_of_label, k):
    """Sum the k largest weights among each row's true labels, shape (n_rows,)."""
    n_labels = len(weight_of_label)
    by_weight = np.argsort(-weight_of_label, kind="stable")
    rank_of_label = np.empty(n_labels, dtype=np.int64)
    rank_of_label[by_weight] = np.arange(n_labels)
    rows = truth.rows
    # Sorting row * n_labels + rank orders each row by weight and keeps rows apart.
    keys = np.sort(rows * n_labels + rank_of_label[truth.indices])
    place = np.arange(len(keys)) - truth.indptr[rows]
    rows, keys = rows[place < k], keys[place < k]
    gains = weight_of_label[by_weight[keys % n_labels]]
    return np.bincount(rows, weights=gains, minlength=truth.n_rows)


def _count_distinct(labels):
    # np.unique hashes, which takes ten times as long on millions of labels.
    in_order = np.sort(labels)
    return int(np.count_nonzero(np.diff(in_order))) + min(len(labels), 1)


def _average(values, weights):
    return float(np.average(values, weights=weights))
