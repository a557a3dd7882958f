"""Checks that a call fails with a message, and that nothing has changed then."""

import functools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmhe import MHEClassifier, MHEMultiLabelClassifier

N, D, C = 40, 4, 5
both = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])

X = X_FINE = np.random.RandomState(0).randn(N, D)
Y_1D = np.arange(N) % C
Y_2D = np.eye(C, dtype=int)[Y_1D]


def make(cls=MHEClassifier, **params):
    base = {
        "strategy": "cascade",
        "hidden_layer_sizes": (4,),
        "dropout": (0.2, 0.1),
        "batch_size": 20,
        "max_iter": 2,
        "random_state": 0,
        "device": "cpu",
    }
    return cls().set_params(**(base | params))


def target(cls):
    return Y_1D if cls is MHEClassifier else Y_2D


@functools.cache
def _pickled_and_probabilities(cls):
    clf = make(cls).fit(X, target(cls))
    return pickle.dumps(clf), clf.predict_proba(X)


def fitted(cls=MHEClassifier):
    """Return an estimator, of the parameters of `make`, that was fitted."""
    return pickle.loads(_pickled_and_probabilities(cls)[0])


def check_error(clf, match, call, error=ValueError):
    """Check that a call fails with a message and leaves the estimator alone."""
    before = pickle.dumps(clf)
    with pytest.raises(error, match=match):
        call(clf)
    assert pickle.dumps(clf) == before


def check_fit_error(cls, match, X, y, error=ValueError, sample_weight=None, **params):
    """Do so for fit, with an estimator that is not fitted and with one that is."""

    def fit(clf):
        clf.fit(X, y, sample_weight=sample_weight)

    check_error(make(cls, **params), match, fit, error)
    clf = fitted(cls).set_params(**params)
    check_error(clf, match, fit, error)
    # So that one can still predict, the parameters of the fit are put back.
    clf.set_params(**make(cls).get_params())
    expected = _pickled_and_probabilities(cls)[1]
    assert_array_equal(clf.predict_proba(X_FINE), expected)
