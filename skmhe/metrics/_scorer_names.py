"""Scorers for model selection by their names."""

import re
from typing import Any

from numpy.typing import ArrayLike
from sklearn.metrics import make_scorer

from skmhe.metrics._scorer import (
    AT_K,
    SCORED,
    RankingScorer,
    check_propensities_and_labels,
)
from skmhe.metrics._sets import AVERAGES, f1_score

_OF_SETS = {f"f1_{average}": average for average in sorted(AVERAGES)}
_USUAL_K = (1, 3, 5)


def get_scorer_names() -> list[str]:
    """Get the names of the most common scorers.

    :func:`get_scorer` accepts any other number k >= 1 as well, also for average
    precision.

    Returns
    -------
    list of str
        Names of the form "measure@k", and those of average precision and F1.

    See Also
    --------
    get_scorer : Get a scorer by its name.

    Examples
    --------
    >>> from skmhe.metrics import get_scorer_names
    >>> get_scorer_names()[:4]
    ['coverage@1', 'coverage@3', 'coverage@5', 'ndcg@1']
    >>> get_scorer_names()[-3:]
    ['f1_macro', 'f1_micro', 'f1_samples']
    """
    at_k = [f"{measure}@{k}" for measure in AT_K for k in _USUAL_K]
    return [*at_k, *sorted(SCORED), *_OF_SETS]


def get_scorer(
    scoring: str,
    *,
    propensities: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> Any:
    """Get a scorer by its name.

    Pass what it returns as `scoring` of a search: scikit-learn's own functions only
    take the names of their own scorers.

    Parameters
    ----------
    scoring : str
        One of

        - "precision@k", "recall@k", "ndcg@k", "psp@k" or "coverage@k" with a number
          k >= 1, for example "precision@5";
        - "average_precision_macro", "average_precision_micro" or
          "average_precision_samples", of the scores of all labels or, followed by @k,
          of the k best ones, see :func:`average_precision_score`;
        - "f1_macro", "f1_micro" or "f1_samples" of the labels that `predict` returns,
          see :func:`f1_score`. Unlike scikit-learn's scorers of these names, they take
          lists of labels, too.
    propensities : array-like of shape (n_labels,), default=None
        Propensity of each label. Only used, and required, for "psp@k"; see
        :class:`RankingScorer`.
    labels : array-like of shape (n_labels,), default=None
        The label that each value of `propensities` belongs to. Only used for "psp@k";
        see :class:`RankingScorer`.

    Returns
    -------
    callable
        A function ``scorer(estimator, X, y, sample_weight=None)`` that returns a float;
        greater is better. It is a :class:`RankingScorer` or, of F1, what
        :func:`sklearn.metrics.make_scorer` returns.

    Raises
    ------
    ValueError
        If the name is unknown, or `propensities` or `labels` are missing, invalid, or
        given for another measure than "psp".

    See Also
    --------
    get_scorer_names : Get the names of the most common scorers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from skmhe.metrics import get_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scores = cross_val_score(
    ...     LogisticRegression(max_iter=1000), X, y, scoring=get_scorer("recall@2")
    ... )
    >>> scores.round(2)
    array([1., 1., 1., 1., 1.])
    """
    name = str(scoring)
    if name in _OF_SETS:
        check_propensities_and_labels(name, propensities, labels)
        return make_scorer(f1_score, average=_OF_SETS[name])
    match = re.fullmatch(r"([a-z_]+)(?:@([1-9][0-9]*))?", name)
    if match is None or match[1] not in ([*AT_K, *SCORED] if match[2] else SCORED):
        raise ValueError(
            f"scoring={scoring!r} is not a valid scorer name; pass one of "
            f"{', '.join(AT_K)}, followed by @k, for example 'precision@5', or one of "
            f"{', '.join([*sorted(SCORED), *_OF_SETS])}."
        )
    k = int(match[2]) if match[2] else None
    return RankingScorer(match[1], k=k, propensities=propensities, labels=labels)
