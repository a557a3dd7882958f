"""Linear classifiers of dense samples: their columns' units and means do not matter."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from estimator_problems import both, make, make_data
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import cross_val_score

from skmhe import MHEClassifier


@both
@pytest.mark.parametrize("strategy", ["full", "cascade"])
def test_units_and_means_do_not_matter(cls, strategy):
    X, y = make_data(cls)
    rng = np.random.RandomState(0)
    other = X * np.exp(rng.randn(X.shape[1])) + rng.randn(X.shape[1])
    clf = make(cls, strategy, model="linear", label_order="natural")
    expected = clf.fit(X, y).predict_proba(X)
    for form in (other, sp.csr_array(other), sp.csr_array(X)):
        assert_allclose(clf.fit(form, y).predict_proba(form), expected, atol=1e-3)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_few_features_are_enough(load):
    # Rows of unit length alone have accuracies of 0.83 and 0.64.
    clf = MHEClassifier("full", model="linear", random_state=0)
    assert cross_val_score(clf, *load(return_X_y=True)).mean() > 0.93
