"""Precision, recall, nDCG and coverage of the top-k predicted labels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.metrics._evaluation import evaluate
from skmhe.metrics._true_labels import LabelsLike


def precision_at_k(
    y_true: LabelsLike,
    y_pred: Any,
    k: int = 5,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute precision at k: the fraction of the top-k predictions that are correct.

    For one sample, ``P@k = (1/k) * sum_{r=1..k} y[l_r]``, where ``l_r`` is the label
    ranked r-th and ``y[l]`` is 1 if the label l is true and 0 otherwise [1]_. The
    result is the mean over samples, where a sample without true labels counts as 0.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples lists of int
        True labels: a 0/1 indicator (dense or in any scipy sparse format), one label
        index per sample, or one list of distinct label indices per sample, which may
        be empty. A nested list is always interpreted as label lists; if all of its
        lists have the same number of zeros and ones it is rejected, because it may be
        an indicator as well.
    y_pred : array-like of int of shape (n_samples, m), or {array-like, sparse \
            matrix} of float of shape (n_samples, n_labels)
        Predictions.

        - Integers are label indices ranked from best to worst, with m >= k. Columns
          after the k-th are ignored. -1 means "no prediction": it takes up its rank
          and is never correct.
        - Floating-point numbers are scores with one column per label. Of equal
          scores, the lower label index ranks first. In a sparse matrix only stored
          entries (including explicit zeros) are predictions; a row with fewer than k
          of them is filled up with "no prediction".
    k : int, default=5
        Number of top-ranked predictions to consider, at least 1 and at most the
        number of labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    float
        Precision at k, between 0 and 1.

    Raises
    ------
    ValueError
        If an argument has another form than described above, the numbers of samples
        or labels differ, a label index or k is out of range, a label is ranked twice
        in a sample, or a score is NaN.

    See Also
    --------
    recall_at_k : Fraction of the true labels that are predicted.
    ndcg_at_k : Gives more weight to predictions at the top of the ranking.
    propensity_scored_precision_at_k : Gives more weight to rare labels.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: Multi-label
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
    found = evaluate(y_true, y_pred, k, sample_weight)
    return found.average(found.hits.mean(axis=1))


def recall_at_k(
    y_true: LabelsLike,
    y_pred: Any,
    k: int = 5,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute recall at k: the fraction of true labels among the top-k predictions.

    For one sample with ``|y|`` true labels, ``R@k = (1/|y|) * sum_{r=1..k} y[l_r]``,
    where ``l_r`` is the label ranked r-th and ``y[l]`` is 1 if the label l is true and
    0 otherwise. The result is the mean over samples, where a sample without true
    labels counts as 0; set its `sample_weight` to 0 to ignore it. With one true label
    per sample, this is the top-k accuracy.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples lists of int
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of int of shape (n_samples, m), or {array-like, sparse \
            matrix} of float of shape (n_samples, n_labels)
        Ranked label indices or scores, see :func:`precision_at_k`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    float
        Recall at k, between 0 and 1.

    Raises
    ------
    ValueError
        If an argument is invalid, see :func:`precision_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import recall_at_k
    >>> recall_at_k([[0, 2], [1]], np.array([[2, 1, 0], [0, 1, 2]]), k=2)
    0.75
    """
    found = evaluate(y_true, y_pred, k, sample_weight)
    # Samples without true labels have no hits: dividing by 1 gives 0.
    return found.average(found.hits.sum(axis=1) / np.maximum(found.truth.counts, 1))


def ndcg_at_k(
    y_true: LabelsLike,
    y_pred: Any,
    k: int = 5,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the normalized discounted cumulative gain of the top-k predictions.

    For one sample with ``|y|`` true labels,
    ``DCG@k = sum_{r=1..k} y[l_r] / log2(r + 1)`` and
    ``nDCG@k = DCG@k / sum_{r=1..min(k, |y|)} 1 / log2(r + 1)``, where ``l_r`` is the
    label ranked r-th and ``y[l]`` is 1 if the label l is true and 0 otherwise [1]_. The
    result is the mean over samples, where a sample without true labels counts as 0.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples lists of int
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of int of shape (n_samples, m), or {array-like, sparse \
            matrix} of float of shape (n_samples, n_labels)
        Ranked label indices or scores, see :func:`precision_at_k`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. If None, all samples have the same weight.

    Returns
    -------
    float
        nDCG at k, between 0 and 1; 1 if every sample has its true labels ranked first.

    Raises
    ------
    ValueError
        If an argument is invalid, see :func:`precision_at_k`.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: Multi-label
       datasets and code", 2016. http://manikvarma.org/downloads/XC/XMLRepository.html

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import ndcg_at_k
    >>> ndcg_at_k([[0, 2], [1]], np.array([[2, 0, 1], [0, 1, 2]]), k=2)
    0.815...
    """
    found = evaluate(y_true, y_pred, k, sample_weight)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.clip(found.truth.counts, 1, k) - 1]
    return found.average(found.hits @ discounts / ideal)


def coverage_at_k(
    y_true: LabelsLike,
    y_pred: Any,
    k: int = 5,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the fraction of labels that are predicted correctly at least once.

    ``C@k = |union_i(y_i & top_i)| / |union_i(y_i)|``, where ``y_i`` is the set of the
    true labels of sample i and ``top_i`` that of its top-k predictions. A low coverage
    together with a high precision means that only frequent labels are predicted. This
    is the coverage of [1]_, except that labels that do not occur in `y_true` are not
    counted in the denominator.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples lists of int
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of int of shape (n_samples, m), or {array-like, sparse \
            matrix} of float of shape (n_samples, n_labels)
        Ranked label indices or scores, see :func:`precision_at_k`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. Samples of weight 0 are ignored; all other weights have the
        same effect.

    Returns
    -------
    float
        Coverage at k, between 0 and 1; 0 if no sample has a true label.

    Raises
    ------
    ValueError
        If an argument is invalid, see :func:`precision_at_k`.

    References
    ----------
    .. [1] E. Schultheis, M. Wydmuch, W. Kotłowski, R. Babbar, K. Dembczyński,
       "Generalized test utilities for long-tail performance in extreme multi-label
       classification", NeurIPS 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import coverage_at_k
    >>> coverage_at_k([[0, 2], [2]], np.array([[2, 1, 0], [2, 0, 1]]), k=2)
    0.5
    """
    found = evaluate(y_true, y_pred, k, sample_weight)
    present, hits = found.truth.indices, found.hits
    if found.weights is not None:
        counted = found.weights > 0
        present = present[counted[found.truth.samples]]
        hits = hits & counted[:, None]
    return _count_distinct(found.ranked[hits]) / max(_count_distinct(present), 1)


def _count_distinct(labels: NDArray[np.integer]) -> int:
    # np.unique uses a hash table, which takes ten times as long for millions of labels.
    in_order = np.sort(labels)
    return int(np.count_nonzero(np.diff(in_order))) + min(len(labels), 1)
