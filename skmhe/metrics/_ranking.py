"""Precision, recall, nDCG and coverage of the top-k predicted labels."""

from typing import Any

from numpy.typing import ArrayLike

from skmhe.metrics._evaluation import assess
from skmhe.metrics._measures import coverage, ndcg, precision, recall


def precision_at_k(
    y_true: Any,
    y_pred: Any,
    k: int = 5,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute precision at k: the fraction of the top-k predictions that are correct.

    For one sample, ``P@k = (1/k) * sum_{r=1..k} y[l_r]``, where ``l_r`` is the label
    ranked r-th and ``y[l]`` is 1 if the label l is true and 0 otherwise [1]_. The
    result is the mean over samples, where a sample without true labels counts as 0.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, in every form that `fit` of an estimator takes: a 0/1 indicator
        with a column for each label (an array, in any scipy sparse format, or a table
        whose columns may have names), one label per sample, or one list of labels per
        sample, which may be empty. A label that a list names twice counts once. Nested
        lists that have the same number, two or more, of zeros and ones each are
        rejected, because they may be an indicator as well.
    y_pred : array-like of shape (n_samples, m), {array-like, sparse matrix} of float \
            of shape (n_samples, n_labels), or pair of arrays
        Predictions.

        - Integers or names, with m >= k, are labels ranked from best to worst. Columns
          after the k-th are ignored. -1 (unless it is one of `labels`) or, of names,
          None means "no prediction": it takes up its rank and is never correct.
        - Floating-point numbers are scores with one column per label. Of equal
          scores, the one in the lower column ranks first. In a sparse matrix only
          stored entries (including explicit zeros) are predictions; a row with fewer
          than k of them is filled up with "no prediction".
        - The pair of labels and probabilities that `predict_topk` returns stands for
          its labels.
    k : int, default=5
        Number of top-ranked predictions to consider, at least 1 and at most the
        number of labels.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted: those of the columns of scores, and of an
        indicator without names. Columns with names may have any order. A label of
        `y_true` that is not among them counts as one that is not predicted. If None,
        they are the names of the columns of `y_pred` or of `y_true`, if one of them is
        a table. Without such names, labels are indices of columns, from 0; or if there
        are no columns, they can be anything, and equal labels are the same.
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
        or labels differ, columns have names that are not the labels, labels of two
        types cannot be compared, a predicted label is not among the labels, k is out of
        range, a label is ranked twice in a sample, or a score is NaN.

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
    >>> scores = np.array([[0.3, 0.2, 0.5], [0.5, 0.4, 0.1]])
    >>> precision_at_k(y_true, scores, k=2)
    0.75

    Labels may have names:

    >>> y_true = [["cat", "old"], ["dog"]]
    >>> precision_at_k(y_true, [["old", "dog"], ["cat", "dog"]], k=2)
    0.5
    >>> precision_at_k(y_true, scores, k=2, labels=["cat", "dog", "old"])
    0.75
    """
    return precision(assess(y_true, y_pred, k, labels, sample_weight))


def recall_at_k(
    y_true: Any,
    y_pred: Any,
    k: int = 5,
    *,
    labels: ArrayLike | None = None,
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
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of shape (n_samples, m), {array-like, sparse matrix} of float \
            of shape (n_samples, n_labels), or pair of arrays
        Ranked labels, scores, or the result of `predict_topk`, see
        :func:`precision_at_k`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_at_k`.
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
    return recall(assess(y_true, y_pred, k, labels, sample_weight))


def ndcg_at_k(
    y_true: Any,
    y_pred: Any,
    k: int = 5,
    *,
    labels: ArrayLike | None = None,
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
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of shape (n_samples, m), {array-like, sparse matrix} of float \
            of shape (n_samples, n_labels), or pair of arrays
        Ranked labels, scores, or the result of `predict_topk`, see
        :func:`precision_at_k`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_at_k`.
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
    return ndcg(assess(y_true, y_pred, k, labels, sample_weight))


def coverage_at_k(
    y_true: Any,
    y_pred: Any,
    k: int = 5,
    *,
    labels: ArrayLike | None = None,
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
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of shape (n_samples, m), {array-like, sparse matrix} of float \
            of shape (n_samples, n_labels), or pair of arrays
        Ranked labels, scores, or the result of `predict_topk`, see
        :func:`precision_at_k`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_at_k`.
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
    return coverage(assess(y_true, y_pred, k, labels, sample_weight))
