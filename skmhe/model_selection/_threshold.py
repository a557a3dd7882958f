"""Classifiers that predict the labels whose scores are above a threshold."""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators import predict_topk
from skmhe.estimators._sklearn import HasMethods, Interval, StrOptions, fit_context
from skmhe.final_classifier import classes_of, final_step
from skmhe.labels.containers import find_labels
from skmhe.metrics._evaluation import check_sample_weight
from skmhe.metrics._predictions import check_no_nan
from skmhe.model_selection._targets import TargetForm, form_of, read_multilabel


def estimator_has(name: str) -> Any:
    """Return a check that the estimator has a method, for `available_if`."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class BaseThresholdClassifier(
    ClassifierMixin, MetaEstimatorMixin, BaseEstimator, metaclass=ABCMeta
):
    """What both classifiers share: the estimator's methods, and `predict`."""

    estimator: Any
    estimator_: Any
    max_labels: int
    _form: TargetForm

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels of the fitted estimator."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features of the fitted estimator."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features of the fitted estimator."""
        return self.estimator_.feature_names_in_

    def predict(self, X: Any) -> Any:
        """Predict the labels whose scores are above the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.

        Returns
        -------
        ndarray, sparse matrix or list of tuples
            In the form of the `y` that was fitted: an indicator of shape
            (n_samples, n_labels), dense or sparse, of its dtype; or lists of labels.
        """
        predicted = self._predicted(X)
        return self._form.give(predicted)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of samples whose labels are exactly those predicted.

        See :mod:`skmhe.metrics` for measures that say more about very many labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.
        y : array-like, sparse matrix, DataFrame or list of lists
            True labels, in any form that `fit` takes and that says the same as that of
            the `y` that was fitted.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            Subset accuracy.
        """
        predicted = self._predicted(X)
        are_equal = self._form.are_equal(y, predicted)
        weights = check_sample_weight(sample_weight, len(are_equal))
        return float(np.average(are_equal, weights=weights))

    def _predicted(self, X: Any) -> sp.csr_array:
        """Return an indicator of predicted labels, with a column for each one."""
        check_is_fitted(self)
        ranked, scores = rank_best(self.estimator_, X, self.max_labels)
        thresholds = self._thresholds()
        chosen = scores > (thresholds[ranked] if thresholds.ndim else thresholds)
        ends = np.concatenate([[0], np.cumsum(np.count_nonzero(chosen, axis=1))])
        columns = self._form.columns_of(np.asarray(self.classes_))[ranked[chosen]]
        entries = np.ones(len(columns), np.float32), columns, ends
        shape = len(ranked), len(self._form.labels)
        indicator = sp.csr_array(entries, shape=shape)
        indicator.sort_indices()
        return indicator

    def predict_topk(
        self, X: Any, k: int | None = None
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Predict the k best labels of each sample, whatever the threshold is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.
        k : int, default=None
            Number of labels. None is 5, or all where there are fewer.

        Returns
        -------
        labels : ndarray of shape (n_samples, k)
            Labels, from `classes_`.
        scores : ndarray of float64, of shape (n_samples, k)
            Their scores, see :func:`skmhe.predict_topk`.
        """
        check_is_fitted(self)
        return predict_topk(self.estimator_, X, k)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of every label, by the fitted estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.

        Returns
        -------
        ndarray of shape (n_samples, n_labels)
            Probabilities.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the log-probability of every label, by the fitted estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.

        Returns
        -------
        ndarray of shape (n_samples, n_labels)
            Log-probabilities.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the decision scores of every label, by the fitted estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as the estimator takes them.

        Returns
        -------
        ndarray of shape (n_samples, n_labels)
            Scores.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def get_metadata_routing(self) -> MetadataRouter:
        """Get what is passed on of the metadata that `fit` is given.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The requests of the estimator, for its `fit`.
        """
        return MetadataRouter(owner=type(self).__name__).add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )

    def _route(self, params: dict[str, Any]) -> Any:
        """Return metadata of `fit` by who gets them; the estimator, without routing."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **params)
        return Bunch(estimator=Bunch(fit=params), splitter=Bunch(split={}))

    @abstractmethod
    def _thresholds(self) -> NDArray[np.float64]:
        """Return one threshold, or one for each of `classes_`."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_form")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def rank_best(
    estimator: Any, X: Any, max_labels: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the places in the classes of the best labels, and their scores."""
    classes = classes_of(estimator)
    labels, scores = predict_topk(estimator, X, min(max_labels, len(classes)))
    check_no_nan(scores, f"What {type(estimator).__name__} predicts")
    places = find_labels(labels.ravel(), classes)
    return places.reshape(labels.shape), scores


class MultiLabelFixedThresholdClassifier(BaseThresholdClassifier):
    """Classifier that predicts the labels above a given threshold, or the k best ones.

    This is :class:`sklearn.model_selection.FixedThresholdClassifier` for multi-label
    targets. Only the best labels of a sample are looked at, never the scores of all.

    Parameters
    ----------
    estimator : estimator instance
        The multi-label classifier, pipeline or search to fit. Its scores are those of
        :func:`skmhe.predict_topk`.
    threshold : "auto", float or array-like of shape (n_labels,), default="auto"
        Labels of larger scores are predicted. One number is the threshold of all
        labels, several are those of `classes_`. With ``-np.inf``, they are the
        `max_labels` best ones. "auto" is 0.5 for probabilities, and 0 for the decision
        scores of an estimator that has no probabilities.
    max_labels : int, default=50
        Largest number of labels that are predicted for a sample.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted estimator.
    classes_ : ndarray of shape (n_labels,)
        Its labels.
    n_features_in_ : int
        Its number of features, if it has that.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if it has them.

    See Also
    --------
    MultiLabelTunedThresholdClassifierCV : Finds a threshold that maximizes F1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmhe import MHEMultiLabelClassifier
    >>> from skmhe.model_selection import MultiLabelFixedThresholdClassifier
    >>> X, Y = make_multilabel_classification(n_classes=9, random_state=0)
    >>> clf = MHEMultiLabelClassifier(model="linear", random_state=0)
    >>> top_2 = MultiLabelFixedThresholdClassifier(
    ...     clf, threshold=-np.inf, max_labels=2
    ... )
    >>> top_2.fit(X, Y).predict(X).sum(axis=1)[:5]
    array([2, 2, 2, 2, 2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods("fit")],
        "threshold": [
            StrOptions({"auto"}),
            Interval(Real, None, None, closed="both"),
            "array-like",
        ],
        "max_labels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, estimator: Any, *, threshold: Any = "auto", max_labels: int = 50
    ) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.max_labels = max_labels

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit the estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like, sparse matrix, DataFrame or list of lists
            Targets, an indicator or lists of labels.
        **params : dict
            Other arguments of the estimator's `fit`. With
            ``sklearn.set_config(enable_metadata_routing=True)``, those that it
            requests.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter is invalid, `y` has one label per sample, or `threshold` is
            neither a number nor has one for each label.
        TypeError
            If the estimator has no array `classes_`.
        """
        read = read_multilabel(y)
        routed = self._route(params)
        estimator = clone(self.estimator).fit(X, y, **routed.estimator.fit)
        classes = classes_of(estimator)
        check_thresholds(self.threshold, len(classes))
        self.estimator_ = estimator
        self._form = form_of(read, classes).without_targets()
        return self

    def _thresholds(self) -> NDArray[np.float64]:
        # May have been set after the fit, by `set_params`.
        given = check_thresholds(self.threshold, len(self.classes_))
        if given is not None:
            return given
        last = final_step(self.estimator_)
        has_proba = hasattr(last, "predict_topk") or hasattr(last, "predict_proba")
        return np.array(0.5 if has_proba else 0.0)


def check_thresholds(threshold: Any, n_labels: int) -> NDArray[np.float64] | None:
    """Return one threshold or one for each label, None for "auto"."""
    if isinstance(threshold, str) and threshold == "auto":
        return None
    values = np.asarray(threshold)
    is_number = values.dtype.kind in "iuf" and not np.isnan(values).any()
    if not is_number or values.shape not in ((), (n_labels,)):
        raise ValueError(
            f"threshold has shape {values.shape} and type {values.dtype}, but must be "
            f"'auto', a number, or have one for each of the {n_labels} labels, none of "
            "which is NaN."
        )
    return values.astype(np.float64)
