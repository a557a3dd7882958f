"""Scorers for model selection that compute a ranking metric of an estimator."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import MetadataRequest

from skmhe.metrics._classes import (
    as_label_array,
    columns_of_classes,
    encode_labels,
    is_indicator,
    label_positions,
    rank_classes,
)
from skmhe.metrics._predictions import check_k
from skmhe.metrics._propensities import (
    check_propensities,
    propensity_scored_precision_at_k,
)
from skmhe.metrics._ranking import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)

_MEASURES: dict[str, Callable[..., float]] = {
    "coverage": coverage_at_k,
    "ndcg": ndcg_at_k,
    "precision": precision_at_k,
    "psp": propensity_scored_precision_at_k,
    "recall": recall_at_k,
}
_USUAL_K = (1, 3, 5)


def get_scorer_names() -> list[str]:
    """Get the names of the most common scorers.

    :func:`get_scorer` accepts any other number k >= 1 as well.

    Returns
    -------
    list of str
        Names of the form "measure@k".

    See Also
    --------
    get_scorer : Get a scorer by its name.

    Examples
    --------
    >>> from skmhe.metrics import get_scorer_names
    >>> get_scorer_names()[:4]
    ['coverage@1', 'coverage@3', 'coverage@5', 'ndcg@1']
    """
    return [f"{measure}@{k}" for measure in _MEASURES for k in _USUAL_K]


def get_scorer(
    scoring: str,
    *,
    propensities: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> "RankingScorer":
    """Get a scorer by its name.

    Parameters
    ----------
    scoring : str
        "precision@k", "recall@k", "ndcg@k", "psp@k" or "coverage@k" with a number
        k >= 1, for example "precision@5".
    propensities : array-like of shape (n_labels,), default=None
        Propensity of each label. Only used, and required, for "psp@k"; see
        :class:`RankingScorer`.
    labels : array-like of shape (n_labels,), default=None
        The label that each value of `propensities` belongs to. Only used for "psp@k";
        see :class:`RankingScorer`.

    Returns
    -------
    RankingScorer
        A callable ``scorer(estimator, X, y, sample_weight=None)`` that returns a float;
        greater is better.

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
    match = re.fullmatch(r"([a-z]+)@([1-9][0-9]*)", str(scoring))
    if match is None or match[1] not in _MEASURES:
        raise ValueError(
            f"scoring={scoring!r} is not a valid scorer name; pass one of "
            f"{', '.join(_MEASURES)}, followed by @k, for example 'precision@5'."
        )
    return RankingScorer(
        match[1], k=int(match[2]), propensities=propensities, labels=labels
    )


class RankingScorer:
    """Scorer that computes a ranking metric of the top-k predicted labels.

    The labels are ranked by the estimator's method `predict_topk(X, k)` or, if it has
    none, by its `decision_function` or `predict_proba`. For a
    :class:`~sklearn.pipeline.Pipeline`, the methods of its last step are used; for a
    fitted search such as :class:`~sklearn.model_selection.GridSearchCV`, those of its
    best estimator.

    Parameters
    ----------
    measure : {"coverage", "ndcg", "precision", "psp", "recall"}
        The metric to compute. "psp" is the propensity-scored precision.
    k : int, default=5
        Number of top-ranked predictions to consider, at least 1 and at most the number
        of classes of the estimator.
    propensities : array-like of shape (n_labels,), default=None
        Propensity of each label, in (0, 1]. Only used, and required, for
        ``measure="psp"``. For an indicator y there must be one value for each column,
        otherwise one value for each item of `labels`.
    labels : array-like of shape (n_labels,), default=None
        The label that each value of `propensities` belongs to. Only used for
        ``measure="psp"``, if y is not an indicator. If None, the propensities are in
        the order of `classes_` of the estimator; in cross-validation the training part
        of a split may lack rare labels, so that `labels` is needed.

    Attributes
    ----------
    measure, k, propensities, labels
        The parameters as passed.

    Raises
    ------
    ValueError
        If `measure` is unknown, k is not a positive integer, or `propensities` or
        `labels` are missing, invalid, or given for another measure than "psp".

    See Also
    --------
    get_scorer : Get a scorer by a name such as "precision@5".

    Notes
    -----
    A label of y that the estimator has not seen during `fit` counts as a true label
    that is not predicted.

    Each call computes the predictions again, so that in multi-metric evaluation every
    scorer has the cost of a prediction.

    :class:`~sklearn.model_selection.GridSearchCV` and the other searches accept a
    sparse y, while :func:`~sklearn.model_selection.cross_val_score` and
    :func:`~sklearn.model_selection.cross_validate` do not (as of scikit-learn 1.9). Use
    ``GridSearchCV(estimator, {}, scoring=...)`` to cross-validate one setting with a
    sparse y.

    Examples
    --------
    >>> from skmhe.metrics import RankingScorer
    >>> RankingScorer("precision", k=3)
    RankingScorer('precision', k=3)
    """

    def __init__(
        self,
        measure: str,
        *,
        k: int = 5,
        propensities: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> None:
        if measure not in _MEASURES:
            raise ValueError(
                f"measure={measure!r} must be one of {', '.join(_MEASURES)}."
            )
        check_k(k)
        _check_propensities_and_labels(measure, propensities, labels)
        self.measure = measure
        self.k = k
        self.propensities = propensities
        self.labels = labels
        self._weight_request: bool | str | None = None

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Compute the metric of the estimator's top-k labels for X compared with y.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier, pipeline or search.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, in any form that the estimator accepts.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), array-like \
                of shape (n_samples,), or list of n_samples label lists
            True labels: a 0/1 indicator (dense or sparse), one label per sample, or one
            list of labels per sample. If all classes of the estimator are indices of
            columns of the indicator, each class stands for that column; otherwise there
            must be one column for each class, in the order of `classes_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.

        Returns
        -------
        float
            The metric, between 0 and 1.

        Raises
        ------
        ValueError
            If k is larger than the number of classes, y does not fit the estimator, or
            a label of y has no propensity.
        TypeError
            If the estimator has no `classes_`, or no method that ranks them.
        """
        ranked, classes = rank_classes(estimator, X, self.k)
        if is_indicator(y):
            ranked = columns_of_classes(classes, np.shape(y)[-1])[ranked]
            propensities = self.propensities
        else:
            y, known = encode_labels(y, classes)
            propensities = self._propensities_of(known, len(classes))
        options = {} if propensities is None else {"propensities": propensities}
        return _MEASURES[self.measure](
            y, ranked, k=self.k, sample_weight=sample_weight, **options
        )

    def __repr__(self) -> str:
        shown = f"{type(self).__name__}({self.measure!r}, k={self.k}"
        for name in ("propensities", "labels"):
            values = getattr(self, name)
            if values is not None:
                shown += f", {name}=<{len(values)} values>"
        return shown + ")"

    def set_score_request(self, *, sample_weight: bool | str | None) -> "RankingScorer":
        """Configure whether meta-estimators pass `sample_weight` to this scorer.

        Only used if metadata routing is enabled by
        ``sklearn.set_config(enable_metadata_routing=True)``.

        Parameters
        ----------
        sample_weight : bool, str or None
            If True, sample weights are passed; if False, they are not. If None, as in a
            new scorer, an error is raised if they are given. If a str, the metadata of
            that name is passed as `sample_weight`.

        Returns
        -------
        self : RankingScorer
            The scorer itself.

        Raises
        ------
        ValueError
            If `sample_weight` is not a valid request.
        """
        # Let scikit-learn reject an invalid request before it is stored.
        MetadataRequest(owner=None).score.add_request(
            param="sample_weight", alias=sample_weight
        )
        self._weight_request = sample_weight
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Get the metadata that this scorer requests.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
            The request for `sample_weight`.
        """
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(param="sample_weight", alias=self._weight_request)
        return request

    def _accept_sample_weight(self) -> bool:
        # scikit-learn calls this method if metadata routing is disabled.
        return True

    def _propensities_of(
        self, known: NDArray[Any], n_classes: int
    ) -> NDArray[Any] | None:
        """Return the propensities of `known`, the classes followed by unseen labels."""
        if self.propensities is None:
            return None
        values = np.asarray(self.propensities)
        if self.labels is None:
            if len(values) != n_classes or len(known) != n_classes:
                raise ValueError(
                    f"propensities has {len(values)} values, but the estimator has "
                    f"{n_classes} classes and y has {len(known) - n_classes} other "
                    "labels; pass the label of each propensity in labels."
                )
            return values
        place = label_positions(known, as_label_array(self.labels))
        if (place < 0).any():
            raise ValueError(
                f"labels does not contain {known.tolist()[place.argmin()]!r}, which is "
                "a class of the estimator or a label of y; pass its propensity too."
            )
        return values[place]


def _check_propensities_and_labels(
    measure: str, propensities: ArrayLike | None, labels: ArrayLike | None
) -> None:
    """Raise ValueError unless they are valid, and given only for measure="psp"."""
    if measure != "psp":
        if propensities is not None or labels is not None:
            raise ValueError(
                "propensities and labels are only used for measure='psp', not for "
                f"{measure!r}; leave them out."
            )
        return
    if propensities is None:
        raise ValueError(
            "measure='psp' requires propensities, estimated from the training labels; "
            "pass propensities=skmhe.metrics.propensities(y_train)."
        )
    n_propensities = len(check_propensities(propensities))
    if labels is None:
        return
    distinct = as_label_array(labels).tolist()
    if len(distinct) != n_propensities:
        raise ValueError(
            f"labels has {len(distinct)} values but propensities has "
            f"{n_propensities}; pass one label for each propensity."
        )
    if len(set(distinct)) < n_propensities:
        raise ValueError("labels contains a label twice; pass each label once.")
