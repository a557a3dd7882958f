"""The k best labels of any fitted scikit-learn classifier, also within others."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators.validation.samples import check_k
from skmhe.final_classifier import class_scores, classes_of, final_classifier

METHODS = ("predict_proba", "decision_function")


def predict_topk(
    model: Any, X: Any, k: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the k best labels of each sample, best first.

    Pipelines and searches do not pass on the method `predict_topk` of the estimators
    within them; this function does. A `Pipeline` is followed to its last step, a fitted
    search, such as `GridSearchCV`, to its best estimator, and a `FrozenEstimator` to
    what it holds. A classifier without the method is ranked by `predict_proba`, or else
    by `decision_function`.

    Parameters
    ----------
    model : object
        Fitted classifier, pipeline or search.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, as `model` takes them.
    k : int, default=None
        Number of labels, from 1 to n_labels. None is 5, or all where there are fewer.

    Returns
    -------
    labels : ndarray of shape (n_samples, k)
        Labels, from the `classes_` of the classifier.
    scores : ndarray of float64, of shape (n_samples, k)
        Their probabilities; decision scores of a classifier that has no probabilities.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ValueError
        If k is no number of labels, or the classifier has not one score per label.
    TypeError
        If there is no classifier to follow to, or it has no scores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmhe import MHEClassifier, predict_topk
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MHEClassifier(random_state=0))
    >>> labels, probabilities = predict_topk(model.fit(X, y), X[:2], k=2)
    >>> labels
    array([[0, 1],
           [0, 1]])
    """
    if isinstance(model, type) or not hasattr(model, "fit"):
        is_class = isinstance(model, type)
        got = f"the class {model.__name__}" if is_class else type(model).__name__
        raise TypeError(
            "model must be a fitted classifier, pipeline or search, as in "
            f"predict_topk(model, X, k), but is {got}."
        )
    model, X = final_classifier(model, X)
    if hasattr(model, "predict_topk"):
        return model.predict_topk(X) if k is None else model.predict_topk(X, k=k)
    check_is_fitted(model)
    classes = classes_of(model)
    n_labels = len(classes)
    _, scores = class_scores(model, X, n_labels, METHODS)
    # Stable: of labels with equal scores, the first one is the better one.
    best = np.argsort(-scores, axis=1, kind="stable")[:, : check_k(k, n_labels)]
    return classes[best], np.take_along_axis(scores, best, axis=1)
