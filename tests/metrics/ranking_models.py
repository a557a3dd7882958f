"""A simple estimator with `predict_topk`, for the tests of the scorers."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin

from skmhe import metrics

NAMES = ["precision@2", "recall@2", "ndcg@2", "coverage@2"]


class TopK(ClassifierMixin, BaseEstimator):
    """Rank the labels by the first columns of X (in reverse order if `flip`)."""

    def __init__(self, flip=False, classes=None):
        self.flip = flip
        self.classes = classes

    def fit(self, X, y=None):
        if self.classes is not None:
            self.classes_ = np.asarray(self.classes)
        elif sp.issparse(y) or np.ndim(y) == 2:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.predict_topk(X, 1)[0][:, 0]

    def predict_topk(self, X, k):
        X = X.toarray() if sp.issparse(X) else np.asarray(X)
        scores = X[:, : len(self.classes_)]
        scores = -scores if self.flip else scores
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return self.classes_[order], np.take_along_axis(scores, order, axis=1)


def expected_score(name, y, scores, **kwargs):
    measure, k = name.split("@")
    functions = {
        "precision": metrics.precision_at_k,
        "recall": metrics.recall_at_k,
        "ndcg": metrics.ndcg_at_k,
        "coverage": metrics.coverage_at_k,
        "psp": metrics.propensity_scored_precision_at_k,
    }
    return functions[measure](y, scores, k=int(k), **kwargs)
