"""Scorers: ranking measures called as scorer(estimator, X, y) in model selection."""

import re

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from skmhe.metrics._classes import (
    as_label_array,
    columns_of_classes,
    encode_labels,
    is_indicator,
    label_positions,
    rank_classes,
)
from skmhe.metrics._inputs import check_k, check_propensities
from skmhe.metrics._ranking import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    propensity_scored_precision_at_k,
    recall_at_k,
)

_MEASURES = {
    "coverage": coverage_at_k,
    "ndcg": ndcg_at_k,
    "precision": precision_at_k,
    "psp": propensity_scored_precision_at_k,
    "recall": recall_at_k,
}
_USUAL_K = (1, 3, 5)


def get_scorer_names():
    """Names of the usual scorers; `get_scorer` knows every k of at least 1.

    Returns
    -------
    list of str
        Names of the form "measure@k".

    Examples
    --------
    >>> from skmhe.metrics import get_scorer_names
    >>> get_scorer_names()[:4]
    ['coverage@1', 'coverage@3', 'coverage@5', 'ndcg@1']
    """
    return [f"{measure}@{k}" for measure in _MEASURES for k in _USUAL_K]


def get_scorer(scoring, *, propensities=None, labels=None):
    """Build a scorer from its name.

    Parameters
    ----------
    scoring : str
        "precision@k", "recall@k", "ndcg@k", "psp@k" or "coverage@k" with a number
        k >= 1, e.g. "precision@5".
    propensities : array-like of shape (n_labels,), default=None
        Propensity of each label, from the training labels; needed for "psp@k", an
        error for the other measures. See `RankingScorer`.
    labels : array-like of shape (n_labels,), default=None
        The label of each entry of `propensities`. See `RankingScorer`.

    Returns
    -------
    RankingScorer
        A callable scorer(estimator, X, y, sample_weight=None) -> float; greater is
        better.

    Raises
    ------
    ValueError
        If the name is unknown, or `propensities` is missing, not wanted or invalid.

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
            f"scoring={scoring!r} is not a known scorer; pass a measure out of "
            f"{', '.join(_MEASURES)} with a number of predictions, e.g. 'precision@5'."
        )
    return RankingScorer(
        match[1], k=int(match[2]), propensities=propensities, labels=labels
    )


class RankingScorer:
    """Scorer of the k best labels an estimator predicts for each sample.

    The estimator's `predict_topk(X, k)` gives the ranked labels; an estimator without
    one is ranked by `decision_function`, or else `predict_proba`. A `Pipeline` is
    followed to its last step, a fitted search to its best estimator. Labels are
    compared with y through the estimator's `classes_`.

    Parameters
    ----------
    measure : {"coverage", "ndcg", "precision", "psp", "recall"}
        Name of the measure.
    k : int, default=5
        Number of leading predictions, at most the number of the estimator's classes.
    propensities : array-like of shape (n_labels,), default=None
        Propensity of each label, for "psp" only (and needed there): one for each
        column of an indicator y, or, if y holds labels, for each entry of `labels`.
    labels : array-like of shape (n_labels,), default=None
        The label of each entry of `propensities`, not looked at for an indicator y.
        None means that propensities follow the estimator's `classes_`; in
        cross-validation a fold may miss rare labels, so give `labels` there.

    Raises
    ------
    ValueError
        If the measure is unknown, k is not positive, or `propensities` is missing,
        not wanted or invalid.

    See Also
    --------
    get_scorer : Build a scorer from a name such as "precision@5".

    Notes
    -----
    A label of y that the estimator has not seen in training counts as a true label
    that was missed. Every call predicts anew: in multi-metric evaluation each scorer
    costs one prediction.

    `GridSearchCV` and its kin take a sparse y; `cross_val_score` and `cross_validate`
    refuse one (as of scikit-learn 1.9). ``GridSearchCV(estimator, {}, scoring=...)``
    cross-validates a single setting on a sparse y.

    Examples
    --------
    >>> from skmhe.metrics import RankingScorer
    >>> RankingScorer("precision", k=3)
    RankingScorer('precision', k=3)
    """

    def __init__(self, measure, *, k=5, propensities=None, labels=None):
        if measure not in _MEASURES:
            raise ValueError(
                f"measure={measure!r} must be one of {', '.join(_MEASURES)}."
            )
        check_k(k)
        self.measure = measure
        self.k = k
        self.propensities = propensities
        self.labels = labels
        self._check_propensities()
        self._weight_request = None

    def __call__(self, estimator, X, y, sample_weight=None):
        """Score the estimator's k best labels for X against y.

        Parameters
        ----------
        estimator : object
            Fitted classifier, pipeline or search.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), array-like \
                of shape (n_samples,), or list of n_samples label lists
            True labels: a 0/1 indicator (dense or sparse), one label a sample, or one
            list of labels a sample. An indicator's columns are the estimator's integer
            `classes_` if these are all column indices, or else its `classes_` in
            order, which must then be as many as the columns.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            The measure, in [0, 1].

        Raises
        ------
        ValueError
            If k is larger than the number of classes, y does not fit the estimator, or
            a label of y has no propensity.
        TypeError
            If the estimator has no `classes_` or no method to rank labels with.
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

    def __repr__(self):
        shown = f"{type(self).__name__}({self.measure!r}, k={self.k}"
        for name in ("propensities", "labels"):
            values = getattr(self, name)
            if values is not None:
                shown += f", {name}=<{len(values)} values>"
        return shown + ")"

    def set_score_request(self, *, sample_weight):
        """Choose whether a meta-estimator passes `sample_weight` to this scorer.

        Parameters
        ----------
        sample_weight : bool, str or None
            True passes it, False does not, None (the state of a new scorer) raises an
            error if it is given, a str passes the metadata of that name.

        Returns
        -------
        self : RankingScorer

        Notes
        -----
        Only used with `sklearn.set_config(enable_metadata_routing=True)`.
        """
        # Let scikit-learn refuse an invalid request before it is kept.
        MetadataRequest(owner=None).score.add_request(
            param="sample_weight", alias=sample_weight
        )
        self._weight_request = sample_weight
        return self

    def get_metadata_routing(self):
        """Tell scikit-learn's metadata routing what this scorer takes.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
        """
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(param="sample_weight", alias=self._weight_request)
        return request

    def _accept_sample_weight(self):
        # scikit-learn asks scorers this when metadata routing is off.
        return True

    def _check_propensities(self):
        if self.measure != "psp":
            if self.propensities is not None or self.labels is not None:
                raise ValueError(
                    f"propensities and labels are for the measure 'psp' only, not for "
                    f"{self.measure!r}; leave them out."
                )
            return
        if self.propensities is None:
            raise ValueError(
                "The measure 'psp' needs propensities of the training labels; pass "
                "propensities=skmhe.metrics.propensities(y_train)."
            )
        values = check_propensities(self.propensities)
        if self.labels is not None and len(self.labels) != len(values):
            raise ValueError(
                f"labels has {len(self.labels)} entries but propensities has "
                f"{len(values)}; pass one label for each propensity."
            )
        if self.labels is not None:
            labels = as_label_array(self.labels).tolist()
            if len(set(labels)) < len(labels):
                raise ValueError(
                    "labels holds a label twice; each label has one propensity."
                )

    def _propensities_of(self, known, n_classes):
        """Propensities of `known`: the estimator's classes, then its unseen labels."""
        if self.propensities is None:
            return None
        values = np.asarray(self.propensities)
        if self.labels is None:
            if len(values) != n_classes or len(known) != n_classes:
                raise ValueError(
                    f"propensities has {len(values)} values, the estimator "
                    f"{n_classes} classes, and y {len(known) - n_classes} labels "
                    "besides; pass labels=, the label of each propensity, so that "
                    "they can be matched."
                )
            return values
        place = label_positions(known, as_label_array(self.labels))
        if (place < 0).any():
            lacking = known.tolist()[place.argmin()]
            raise ValueError(
                f"labels lacks {lacking!r}, which the estimator or y has; pass a "
                "propensity for it too."
            )
        return values[place]
