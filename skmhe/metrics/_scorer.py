"""Scorers for model selection that compute a ranking metric of an estimator."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import MetadataRequest

from skmhe.final_classifier import classes_of, final_step
from skmhe.labels.containers import find_labels, plain
from skmhe.labels.forms import LabelIndicator, Labels
from skmhe.metrics._alignment import ALL_LABELS, check_labels, check_n_labels
from skmhe.metrics._classes import METHODS, number_y, rank_with_scores, read_y
from skmhe.metrics._evaluation import compare
from skmhe.metrics._measures import MEASURES, propensity_scored_precision
from skmhe.metrics._predictions import check_k, check_no_nan
from skmhe.metrics._propensities import check_propensities
from skmhe.metrics._scored import average_precision
from skmhe.metrics._sets import AVERAGES

AT_K = sorted([*MEASURES, "psp"])
# Those that need the scores of predictions, and may be of all classes.
SCORED = {
    f"average_precision_{average}": partial(average_precision, average=average)
    for average in AVERAGES
}


class RankingScorer:
    """Scorer that computes a ranking metric of the top-k predicted labels.

    The labels are ranked by the estimator's method `predict_topk(X, k)` or, if it has
    none, by its `decision_function` or `predict_proba`. For a
    :class:`~sklearn.pipeline.Pipeline`, the methods of its last step are used; for a
    fitted search such as :class:`~sklearn.model_selection.GridSearchCV`, those of its
    best estimator.

    Parameters
    ----------
    measure : {"average_precision_macro", "average_precision_micro", \
            "average_precision_samples", "coverage", "ndcg", "precision", "psp", \
            "recall"}
        The metric to compute. "psp" is the propensity-scored precision.
    k : int or None, default=5
        Number of top-ranked predictions to consider, at least 1 and at most the number
        of classes of the estimator. Of average precision, it may be larger, and None
        stands for all classes, whose scores are a dense array.
    propensities : array-like of shape (n_labels,), default=None
        Propensity of each label, in (0, 1]. Only used, and required, for
        ``measure="psp"``.
    labels : array-like of shape (n_labels,), default=None
        The label that each value of `propensities` belongs to. Only used for
        ``measure="psp"``. All classes of the estimator and all labels of y must be
        among them. If None, there must be one value for each column of an indicator, or
        one for each class, in the order of `classes_`. In cross-validation, the
        training part of a split may lack rare labels, so that `labels` is needed. It is
        needed as well for integer labels with gaps, for which :func:`propensities` has
        more values than there are classes, unless it is given the labels.

    Attributes
    ----------
    measure, k, propensities, labels
        The parameters as passed.

    Raises
    ------
    ValueError
        If `measure` is unknown, k is not a positive integer (or None), or
        `propensities` or `labels` are missing, invalid, or given for another measure
        than "psp".

    See Also
    --------
    get_scorer : Get a scorer by a name such as "precision@5".

    Notes
    -----
    A label of y that the estimator has not seen during `fit` counts as a true label
    that is not predicted.

    The columns of an indicator are found by their names, if they are those of the
    classes, in any order. If all classes are indices of columns in increasing order, as
    in scikit-learn's multi-label classifiers, each class is that column (the training
    part of a split may lack some). Otherwise there must be one column without a name
    for each class, in the order of `classes_`. Where two of these meanings are possible
    and differ, y is rejected. Nested lists of zeros and ones are an indicator, unless
    the estimator has less than three classes, among which are 0 or 1.

    Each call computes the predictions again, so that in multi-metric evaluation every
    scorer has the cost of a prediction.

    :class:`~sklearn.model_selection.GridSearchCV` and the other searches accept a
    sparse y, while :func:`~sklearn.model_selection.cross_val_score` and
    :func:`~sklearn.model_selection.cross_validate` do not (as of scikit-learn 1.9):
    :func:`skmhe.model_selection.cross_validate` does.

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
        k: int | None = 5,
        propensities: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> None:
        if measure not in (known := [*AT_K, *SCORED]):
            raise ValueError(f"measure={measure!r} must be one of {', '.join(known)}.")
        if k is not None or measure not in SCORED:
            check_k(k)
        check_propensities_and_labels(measure, propensities, labels)
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
        y : array-like, sparse matrix, DataFrame or list of lists
            True labels, in every form that `fit` takes: an indicator, one label per
            sample, or one list of labels per sample. See the notes for what the columns
            of an indicator are.
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
        ranked, scores, classes = self._rank(estimator, X)
        read = read_y(y, classes)
        truth, ranked, known = number_y(read, classes, ranked)
        found = compare(truth, ranked, sample_weight, ("y", "X"))
        if self.measure in SCORED:
            check_no_nan(scores, f"What {type(estimator).__name__} predicts")
            return SCORED[self.measure](found._replace(scores=scores))
        if self.measure != "psp":
            return MEASURES[self.measure](found)
        assert self.propensities is not None  # checked by the constructor
        given = self.propensities, self.labels
        return propensity_scored_precision(
            found, propensities_of(read, known, classes, *given)
        )

    def _rank(
        self, estimator: Any, X: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]:
        """Return the ranked places in the classes, their scores, and the classes."""
        k = self.k
        if k is None or self.measure in SCORED:
            n_classes = len(classes_of(final_step(estimator)))
            k = n_classes if k is None else min(k, n_classes)
        return rank_with_scores(estimator, X, k, METHODS)

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


def propensities_of(
    y: Labels,
    known: NDArray[Any],
    classes: NDArray[Any],
    propensities: ArrayLike,
    labels: ArrayLike | None,
) -> NDArray[Any]:
    """Return the propensities of `known`, the labels in their numbers' order."""
    values, names = np.asarray(propensities), check_labels(labels)
    if names is not None:
        return values[_places_of_columns(y, known, names)]
    if isinstance(y, LabelIndicator):
        check_n_labels({"y_true": len(known), "propensities": len(values)})
        if len(known) == len(classes) and (known != classes).any():
            raise ValueError(
                "y does not have its columns in the order of the estimator's "
                "classes, so that nothing tells which label each value of "
                "propensities belongs to; pass it in labels."
            )
    elif not len(values) == len(known) == len(classes):
        raise ValueError(
            f"propensities has {len(values)} values, but the estimator has "
            f"{len(classes)} classes and y has {len(known) - len(classes)} other "
            f"labels; {ALL_LABELS}"
        )
    return values


def _places_of_columns(
    y: Labels, known: NDArray[Any], labels: NDArray[Any]
) -> NDArray[np.int64]:
    """Return the place of each known label among those that have a propensity.

    Those of an indicator may be known by their indices, and by their names as well.
    """
    places = find_labels(known, labels)
    if (places < 0).any() and isinstance(y, LabelIndicator) and y.names is not None:
        places = np.maximum(places, find_labels(y.names, labels))
    if (places < 0).any():
        odd = known[places < 0]
        raise ValueError(
            f"labels does not contain {plain(odd[:1])[0]!r}, which is a class of the "
            f"estimator or a label of y: {ALL_LABELS}"
        )
    return places


def check_propensities_and_labels(
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
    names = check_labels(labels)
    if names is not None and len(names) != n_propensities:
        raise ValueError(
            f"labels has {len(names)} values but propensities has {n_propensities}; "
            "pass one label for each propensity."
        )
