"""Labels with features, estimators for them, and what their parts say."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skmhe import Cascade, MHEClassifier, MHEMultiLabelClassifier
from skmhe.scorers.batch import Batch
from skmhe.scorers.network import network_from_weights

N, C, D = 240, 24, 40
N_OLD = 20  # labels 20..23 come later
# No beam is too narrow, so that all predictions are exact.
STRATEGIES = {
    "full": "full",
    "sampling": "sampling",
    "cascade": Cascade(beam_width=C),
}
both = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
strategies = pytest.mark.parametrize("strategy", STRATEGIES)
models = pytest.mark.parametrize("model", ["both", "network"])
SCORE_WITH = ["both", "classifier", "encoder"]


def make(cls=MHEClassifier, strategy="full", **params):
    base = {
        # A copy: tests set its parameters.
        "strategy": clone(STRATEGIES[strategy], safe=False),
        "model": "network",
        "combination": "equal",  # what can be added up by hand
        "hidden_layer_sizes": (8,),
        "batch_size": 32,
        "max_iter": 3,
        "random_state": 0,
    }
    return cls().set_params(**(base | params))


def make_data(cls=MHEClassifier):
    """Return samples that are noisy mixtures of their labels' words, and the words."""
    rng = np.random.RandomState(0)
    Z = (rng.rand(C, D) < 0.2) * rng.rand(C, D)
    y = np.arange(N) % C
    Y = np.eye(C, dtype=int)[y]
    if cls is MHEMultiLabelClassifier:
        Y[np.arange(N), rng.randint(C, size=N)] = 1
    X = Y @ Z * (rng.rand(N, D) < 0.8) + 0.1 * rng.rand(N, D)
    return X, y if cls is MHEClassifier else Y, Z


def old_data(cls):
    """Return the samples whose labels are all known at first, and all features."""
    X, y, Z = make_data(cls)
    if cls is MHEClassifier:
        kept = y < N_OLD
        return X[kept], y[kept], Z
    kept = ~y[:, N_OLD:].any(1)
    return X[kept], y[kept, :N_OLD], Z


def fit_old(cls=MHEClassifier, strategy="full", **params):
    """Return an estimator that was fitted before the last labels came."""
    X, y, Z = old_data(cls)
    return make(cls, strategy, **params).fit(X, y, label_features=Z[:N_OLD])


def score_with(clf, what):
    """Choose what scores labels in predictions."""
    return clf.set_params(label_encoder__score_with=what)


def probabilities(clf, X, what):
    return score_with(clf, what).predict_proba(X)


def weights(clf):
    return clf._fitted.model.weights


def encoder_scores(clf, X, Z):
    """Return the scaled cosines of the embeddings of samples and labels."""
    model, cpu = clf._fitted.model, torch.device("cpu")
    network = network_from_weights(model.spec, model.weights, cpu).eval()
    with torch.inference_mode():
        samples = network.embed_samples(Batch(X.astype(np.float32), cpu))
        labels = network.embed_labels(Z.astype(np.float32))
        return network.encoder(samples, labels).numpy()


def predictions(clf, X):
    """Return what all methods of prediction return, as arrays."""
    found = [
        clf.predict_proba(X),
        clf.predict_log_proba(X),
        clf.decision_function(X),
        *clf.predict_topk(X, k=3),
        clf.predict(X),
    ]
    return [f.toarray() if hasattr(f, "toarray") else f for f in found]


def assert_same_predictions(a, b, X):
    """Assert that two estimators predict the same, to the last bit."""
    assert_array_equal(a.classes_, b.classes_)
    for p, q in zip(predictions(a, X), predictions(b, X), strict=True):
        assert_array_equal(p, q)
