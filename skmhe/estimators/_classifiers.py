"""The two estimators."""

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin

from skmhe.estimators._base import BaseMHE
from skmhe.estimators.docs import (
    ATTRIBUTES,
    PARAMETERS,
    REFERENCES,
    SAMPLES,
    documented,
)
from skmhe.estimators.strategies import STRATEGIES, Strategy
from skmhe.estimators.validation.scored import accuracy
from skmhe.labels.containers import label_list


@documented(parameters=PARAMETERS, attributes=ATTRIBUTES, references=REFERENCES)
class MHEClassifier(ClassifierMixin, BaseMHE):
    """Multi-head encoding classifier for very many classes.

    Each class (called label in what follows) is written as a code of a few numbers.
    Each head of a neural network learns one number of the code, and their predictions
    are put together to those of labels [1]_. Linear classifiers are added to it.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    {attributes}
    validation_scores_ : list of float or None
        Accuracy on the held-out samples after each epoch, with early stopping.

    See Also
    --------
    MHEMultiLabelClassifier : For any number of labels per sample.
    predict_topk : The k best labels of a pipeline or search.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skmhe import MHEClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = MHEClassifier(random_state=0).fit(X_train, y_train)
    >>> clf.score(X_test, y_test) > 0.9
    True
    >>> labels, probabilities = clf.predict_topk(X_test, k=3)
    >>> labels.shape
    (450, 3)

    Parameters of strategies and of other objects are those of any estimator:

    >>> clf = MHEClassifier("cascade").set_params(strategy__beam_width=20)
    >>> clf
    MHEClassifier(strategy=Cascade(beam_width=20))
    """

    @documented(X=SAMPLES)
    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class of each sample.

        It is exact: with "cascade", the beam is widened where it might miss the class.

        Parameters
        ----------
        {X}

        Returns
        -------
        ndarray of shape (n_samples,)
            Classes.
        """
        return self._predict_best(X)

    @documented(X=SAMPLES)
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of the predicted classes.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            True classes, in any form that `fit` takes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            Share of samples whose class is predicted.
        """
        form, predicted = self._checked_fitted().form, self._best_places(X)
        return accuracy(y, predicted, sample_weight, form, multilabel=False)


@documented(parameters=PARAMETERS, attributes=ATTRIBUTES, references=REFERENCES)
class MHEMultiLabelClassifier(ClassifierMixin, BaseMHE):
    """Multi-head encoding classifier for very many labels, any number per sample.

    Each label is written as a code of a few numbers. Each head of a neural network
    learns one number of the code, and their predictions are put together to those of
    labels [1]_. Linear classifiers are added to it. As scikit-learn's MLPClassifier
    does, it also takes one label per sample (1-D `y`), and is then an `MHEClassifier`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The labels: the columns of an indicator, by their names (those of a DataFrame)
        or 0 to n_labels - 1, in their order; or the labels that occur in `y`, sorted.
    {attributes}
    validation_scores_ : list of float or None
        Precision@1 on the held-out samples after each epoch, with early stopping.

    See Also
    --------
    MHEClassifier : For one class per sample.
    predict_topk : The k best labels of a pipeline or search.
    sklearn.preprocessing.MultiLabelBinarizer : Turns lists of labels into an indicator;
        with ``sparse_output=True``, this is the best form for many labels, and the one
        that searches take.

    Notes
    -----
    Nested lists of equal length that hold nothing but 0 and 1 are an indicator; other
    nested lists are lists of labels.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmhe import MHEMultiLabelClassifier
    >>> X, Y = make_multilabel_classification(
    ...     n_samples=400, n_classes=12, sparse=True, return_indicator="sparse",
    ...     random_state=0,
    ... )
    >>> clf = MHEMultiLabelClassifier(random_state=0).fit(X, Y)
    >>> clf.predict(X).shape
    (400, 12)
    >>> labels, probabilities = clf.predict_topk(X, k=3)
    >>> labels.shape
    (400, 3)
    """

    _accepts_multilabel = True

    @documented(X=SAMPLES)
    def predict(self, X: Any) -> Any:
        """Predict the labels that are more probable than not.

        Parameters
        ----------
        {X}

        Returns
        -------
        ndarray, sparse matrix or list of tuples
            In the form of the `y` that was fitted: an indicator of shape
            (n_samples, n_labels), dense or sparse, of its dtype; lists of labels; or,
            of shape (n_samples,), the most probable label of each sample.
        """
        form = self._checked_fitted().form
        if not form.multilabel:
            return self._predict_best(X)
        indicator = self._likely(X)
        if form.is_indicator:
            if form.container is None:
                return indicator.toarray().astype(form.dtype)
            return form.container(indicator.astype(form.dtype))
        # Python's own integers, which JSON takes, for instance.
        flat, ends = label_list(self.classes_[indicator.indices]), indicator.indptr
        return [tuple(flat[i:j]) for i, j in pairwise(ends.tolist())]

    def _likely(self, X: Any) -> sp.csr_array:
        """Return an indicator of the labels that are more probable than not."""
        if self._checked_fitted().form.kind == "dense":
            # Positive where the probability is above one half, but for rounding.
            return sp.csr_array(self.decision_function(X) > 0)
        return self._above(X, np.log(0.5))

    @documented(X=SAMPLES)
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of samples whose labels are exactly those predicted.

        See `skmhe.metrics` for measures that say more about very many labels.

        Parameters
        ----------
        {X}
        y : object
            True labels, in any form that `fit` takes and that says the same as that of
            the `y` that was fitted: lists of labels and an indicator, whose columns are
            `classes_`, may take each other's place.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            Subset accuracy; for 1-D `y`, accuracy.
        """
        form = self._checked_fitted().form
        predicted = self._likely(X) if form.multilabel else self._best_places(X)
        return accuracy(y, predicted, sample_weight, form, multilabel=True)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks about an estimator."""
        tags = super().__sklearn_tags__()
        strategy: Any = self.strategy
        if isinstance(strategy, str):
            strategy = STRATEGIES.get(strategy, Strategy)
        tags.classifier_tags.multi_label = getattr(strategy, "multilabel", True)
        return tags
