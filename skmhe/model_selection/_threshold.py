"""Classifiers that predict the labels whose scores are above a threshold."""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators import predict_topk
from skmhe.estimators._sklearn import HasMethods, Interval, fit_context
from skmhe.labels.containers import find_labels
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
        check_is_fitted(self)
        ranked, scores = rank_best(self.estimator_, X, self.max_labels)
        thresholds = np.asarray(self._thresholds(), dtype=np.float64)
        chosen = scores > (thresholds[ranked] if thresholds.ndim else thresholds)
        ends = np.concatenate([[0], np.cumsum(np.count_nonzero(chosen, axis=1))])
        columns = self._form.columns_of(np.asarray(self.classes_))[ranked[chosen]]
        entries = np.ones(len(columns), np.float32), columns, ends
        shape = len(ranked), len(self._form.labels)
        indicator = sp.csr_array(entries, shape=shape)
        indicator.sort_indices()
        return self._form.give(indicator)

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

    @abstractmethod
    def _thresholds(self) -> Any:
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
    k = min(max_labels, len(estimator.classes_))
    labels, scores = predict_topk(estimator, X, k)
    places = find_labels(labels.ravel(), np.asarray(estimator.classes_))
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
    threshold : float or array-like of shape (n_labels,), default=0.5
        Labels of larger scores are predicted; one for each label, or one for each of
        `classes_`. With ``-np.inf``, they are the `max_labels` best ones.
    max_labels : int, default=50
        Largest number of labels that are predicted for a sample.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted estimator.
    classes_ : ndarray of shape (n_labels,)
        Its labels.

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
        "threshold": [Interval(Real, None, None, closed="both"), "array-like"],
        "max_labels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, estimator: Any, *, threshold: Any = 0.5, max_labels: int = 50
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
            Other arguments of the estimator's `fit`.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter is invalid, `y` has one label per sample, or `threshold` has
            not one value for each label.
        """
        read = read_multilabel(y)
        estimator = clone(self.estimator).fit(X, y, **params)
        shape, n_labels = np.shape(self.threshold), len(estimator.classes_)
        if shape not in ((), (n_labels,)):
            raise ValueError(
                f"threshold has shape {shape}, but must be a number, or have one for "
                f"each of the {n_labels} labels."
            )
        self.estimator_ = estimator
        self._form = form_of(read, np.asarray(estimator.classes_)).without_targets()
        return self

    def _thresholds(self) -> Any:
        return self.threshold
