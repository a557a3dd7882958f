"""Random problems in several input forms, and what displays show by brute force."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin

NAMES = np.array([f"label {i}" for i in range(8)], dtype=object)


class Columns(ClassifierMixin, BaseEstimator):
    """Takes the columns of X for probabilities of the classes."""

    def __init__(self, classes=None):
        self.classes = classes

    def fit(self, X, y=None):
        self.classes_ = np.arange(8) if self.classes is None else self.classes
        return self

    def predict_proba(self, X):
        return np.asarray(X)


class Problem:
    """Probabilities without ties, and true labels: of 40 samples and 8 labels."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.scores = rng.random((40, 8)) ** 2
        self.dense = (rng.random((40, 8)) < 0.2 + 0.4 * self.scores).astype(int)
        self.dense[:, 7] = 0
        self.dense[3] = 0
        self.truth = [set(np.flatnonzero(row).tolist()) for row in self.dense]
        self.ranked = np.argsort(-self.scores, axis=1)
        # Label l has about 2 ** l training samples; the last two have none.
        self.train = np.zeros((300, 8), dtype=int)
        for label in range(6):
            rows = rng.choice(300, size=2**label, replace=False)
            self.train[rows, label] = 1
        self.frequencies = self.train.sum(axis=0)
        self.weights = rng.integers(0, 4, size=40).astype(float)
        self.propensities = rng.uniform(0.1, 1, size=8)

    def forms(self, k):
        """Yield (y_true, y_pred, y_train, labels), which all say the same."""
        pair = (
            self.ranked[:, :k],
            np.take_along_axis(self.scores, self.ranked, 1)[:, :k],
        )
        lists = [sorted(labels) for labels in self.truth]
        named = [[NAMES[label] for label in labels] for labels in lists]
        train = [np.flatnonzero(row).tolist() for row in self.train]
        named_train = [[NAMES[label] for label in labels] for labels in train]
        yield self.dense, self.scores, self.train, None
        yield sp.csr_array(self.dense), sp.csr_array(self.scores), train, None
        yield lists, pair, train, None
        yield named, (NAMES[pair[0]], pair[1]), named_train, None
        yield named, self.scores, named_train, NAMES


def hits_of(problem, k):
    """Yield (sample, label, probability, whether it is true) of all predictions."""
    for i, row in enumerate(problem.ranked[:, :k].tolist()):
        for label in row:
            yield i, label, problem.scores[i, label], label in problem.truth[i]
