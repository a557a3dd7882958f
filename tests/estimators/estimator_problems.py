"""Tiny tasks for both estimators, and what fitted estimators are compared by."""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier, MHEMultiLabelClassifier, Sampling
from skmhe.scorers.centroids import DenseCentroids

N_CLASSES, N_FEATURES = 12, 10
CLASSES = [MHEClassifier, MHEMultiLabelClassifier]
SINGLE = ["cascade", "product", "sampling", "full"]
MULTI = ["cascade", "sampling", "full"]
# Every estimator and strategy, the multi-label one on an indicator.
EVERY = [(MHEClassifier, s) for s in SINGLE]
EVERY += [(MHEMultiLabelClassifier, s) for s in MULTI]
both = pytest.mark.parametrize("cls", CLASSES)
every = pytest.mark.parametrize(
    ("cls", "strategy"), EVERY, ids=[f"{c.__name__}-{s}" for c, s in EVERY]
)
single = pytest.mark.parametrize("strategy", SINGLE)
multi = pytest.mark.parametrize("strategy", MULTI)


def make(cls=MHEClassifier, strategy="cascade", **params):
    """Return an estimator that learns a tiny task in a moment."""
    base = {
        # Of so few labels, most are to be left out.
        "strategy": Sampling(n_sampled_groups=2)
        if strategy == "sampling"
        else strategy,
        "hidden_layer_sizes": (16,),
        "dropout": 0.0,
        "learning_rate_init": 0.05,
        "batch_size": 32,
        "max_iter": 3,
        "random_state": 0,
        # On every machine: rounded to 16 bits, sums in another order differ by much.
        "dtype": "float32",
    }
    return cls().set_params(**base).set_params(**params)


def make_data(cls=MHEClassifier, n=96, seed=0):
    """Return separable samples, half of whose entries are 0, and targets.

    Multi-label: the class and the next one; the first 5 samples have no label.
    """
    rng = np.random.RandomState(seed)
    centers = rng.randn(N_CLASSES, N_FEATURES) * 3
    centers[rng.rand(*centers.shape) < 0.4] = 0
    y = rng.permutation(np.arange(n) % N_CLASSES)
    X = centers[y] + 0.3 * rng.randn(n, N_FEATURES) * (centers[y] != 0)
    if cls is MHEClassifier:
        return X, y
    Y = np.zeros((n, N_CLASSES), dtype=int)
    Y[np.arange(n), y] = Y[np.arange(n), (y + 1) % N_CLASSES] = 1
    Y[:5] = 0
    return X, Y


def make_sums(n=90, n_labels=9, n_features=8, seed=0):
    """Return samples that are the sum of their labels' directions, and a 0/1 Y."""
    rng = np.random.RandomState(seed)
    Y = (rng.rand(n, n_labels) < 0.2).astype(int)
    Y[0] = 0  # a sample without labels
    Y[1] = 1  # and one with all
    X = Y @ (3 * rng.randn(n_labels, n_features)) + 0.1 * rng.randn(n, n_features)
    return X, Y


@functools.cache
def fitted(cls=MHEClassifier, strategy="cascade"):
    """Return an estimator that tests of predictions share: they change nothing."""
    return make(cls, strategy).fit(*make_data(cls))


def partial_classes(cls):
    """Return what the first call of `partial_fit` needs."""
    return {"classes": np.arange(N_CLASSES)} if cls is MHEClassifier else {}


def model_arrays(clf):
    """Return all arrays of a fitted model by name."""
    model = clf._fitted.model
    arrays = {f"network.{name}": weight for name, weight in model.weights.items()}
    for i, level in enumerate(model.linear or []):
        arrays |= {f"linear.{i}.{name}": v for name, v in level._asdict().items()}
    if model.scaling is not None:
        arrays |= {f"scaling.{name}": v for name, v in model.scaling._asdict().items()}
    if isinstance(model.centroids, DenseCentroids):
        arrays["centroids"] = model.centroids.rows
    elif model.centroids is not None:
        tables = model.centroids.level._asdict().items()
        arrays |= {f"centroids.{name}": values for name, values in tables}
    assert arrays
    return arrays


def assert_same_model(a, b):
    """Assert that two estimators hold the same network and classifiers."""
    assert a._fitted.model.spec == b._fitted.model.spec
    arrays, others = model_arrays(a), model_arrays(b)
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        assert_array_equal(array, others[name], err_msg=name)


def assert_close_models(a, b, **tolerance):
    """Assert that sums in another order are all that differs.

    Linear classifiers of sparse and dense samples have other tables, and only those of
    the network are compared: what comes of the others is seen in predictions.
    """
    weights, others = a._fitted.model.weights, b._fitted.model.weights
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        assert_allclose(weight, others[name], err_msg=name, **tolerance)


def differ(a, b):
    """Tell whether two estimators of the same kind were trained to other weights."""
    weights, others = a._fitted.model.weights, b._fitted.model.weights
    return any(not np.array_equal(weights[name], others[name]) for name in weights)


def dense(predicted):
    """Return predictions as an array: those of lists as an array of tuples."""
    if sp.issparse(predicted):
        return predicted.toarray()
    if isinstance(predicted, list):
        rows = np.empty(len(predicted), dtype=object)
        rows[:] = predicted
        return rows
    return predicted


def assert_same_predictions(a, b, X):
    """Assert that two estimators predict the same, to the last bit."""
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    for p, q in zip(a.predict_topk(X, 3), b.predict_topk(X, 3), strict=True):
        assert_array_equal(p, q)
    p, q = a.predict(X), b.predict(X)
    assert type(p) is type(q)
    assert_array_equal(dense(p), dense(q))
