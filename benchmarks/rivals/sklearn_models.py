"""Classes for models of scikit-learn, see models.py."""

import numpy as np
import scipy.sparse as sp
from common import N_THREADS, Pickled, to_indicator


class LinearSvc(Pickled):
    """scikit-learn's LinearSVC with its defaults, one against the rest.

    For one label per sample, LinearSVC does that itself, in a single thread;
    OneVsRestClassifier has the same result and took three times as long on clinc150.
    """

    def __init__(self, n_labels, seed):
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.svm import LinearSVC

        self.one, self.several = LinearSVC(random_state=seed), OneVsRestClassifier

    def fit(self, X, y):
        self.model = self.one
        if y.ndim == 2:
            self.model = self.several(self.one, n_jobs=N_THREADS)
        self.model.fit(X, y)

    def topk(self, X, k):
        scores = self.model.decision_function(X)
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]


class Sgd(LinearSvc):
    """scikit-learn's SGDClassifier with the logistic loss, one against the rest."""

    def __init__(self, n_labels, seed):
        from sklearn.linear_model import SGDClassifier
        from sklearn.multiclass import OneVsRestClassifier

        sgd = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=seed)
        self.model = OneVsRestClassifier(sgd, n_jobs=N_THREADS)

    def fit(self, X, y):
        self.model.fit(X, y)


class Mlp(Sgd):
    """scikit-learn's MLPClassifier, with early stopping: else it takes 200 epochs."""

    def __init__(self, n_labels, seed):
        from sklearn.neural_network import MLPClassifier

        self.model = MLPClassifier(early_stopping=True, random_state=seed)

    def topk(self, X, k):
        scores = self.model.predict_proba(X)
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]


class Logistic(Sgd):
    """scikit-learn's LogisticRegression with its defaults (100 iterations of lbfgs)."""

    def __init__(self, n_labels, seed, **parameters):
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression(random_state=seed, **parameters)


class NearestCentroid(Pickled):
    """Cosine with the sum of each label's samples, by sparse products."""

    def __init__(self, n_labels, seed):
        from sklearn.preprocessing import normalize

        self.normalize, self.n_labels = normalize, n_labels

    def fit(self, X, y):
        sums = to_indicator(y, self.n_labels).T @ self.normalize(X)
        if sp.issparse(X):
            sums = sp.csr_matrix(sums)
        self.model = self.normalize(sums).T
        if sp.issparse(X):
            self.model = self.model.tocsr()

    def topk(self, X, k):
        best = []
        for start in range(0, X.shape[0], 512):
            scores = X[start : start + 512] @ self.model
            scores = scores.toarray() if sp.issparse(scores) else scores
            best.append(np.argsort(-scores, axis=1)[:, :k])
        return np.concatenate(best)
