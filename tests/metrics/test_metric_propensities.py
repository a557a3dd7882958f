"""Propensities of labels from training labels."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from metric_problems import Problem
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.metrics import propensities, propensity_scored_precision_at_k


def test_propensities_by_formula():
    y = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]])
    for a, b in [(0.55, 1.5), (0.6, 2.6), (0, 1.5)]:
        c = (math.log(5) - 1) * (b + 1) ** a
        expected = [1 / (1 + c * (n + b) ** -a) for n in (4, 2, 0)]
        assert_allclose(propensities(y, a=a, b=b), expected)
    assert_array_equal(propensities(y), propensities(y, a=0.55, b=1.5))


def test_propensities_of_every_form():
    q = Problem(5, n_samples=12, n_labels=6)
    expected = propensities(q.dense)
    assert expected.shape == (6,)
    assert ((expected > 0) & (expected <= 1)).all()
    assert_array_equal(propensities(sp.csr_matrix(q.dense)), expected)
    lists = [list(t) for t in q.truth]
    assert_array_equal(propensities(lists, n_labels=6), expected)
    assert_array_equal(propensities(q.dense, n_labels=6), expected)


def test_propensities_number_of_labels():
    assert propensities([0, 2, 0, 2]).shape == (3,)
    p = propensities([0, 2, 0, 2], n_labels=5)
    assert p.shape == (5,)
    assert p[1] == p[4] < p[0] == p[2]
    assert propensities([[], [], []]).shape == (0,)


def test_labels_of_the_test_data_only():
    y_train, y_test = [["a"], ["a", "b"], ["b"], ["a"]], [["a"], ["new"]]
    ranked = [["a", "b"], ["b", "a"]]
    values = propensities(y_train, labels=["a", "b"])
    with pytest.raises(ValueError, match=r"'new', .*the training and of the test data"):
        propensity_scored_precision_at_k(y_test, ranked, values, labels=["a", "b"], k=1)
    everything = ["a", "b", "new"]
    values = propensities(y_train, labels=everything)
    found = propensity_scored_precision_at_k(
        y_test, ranked, values, labels=everything, k=1
    )
    assert_allclose(found, (1 / values[0]) / (1 / values[0] + 1 / values[2]))


def test_rarer_labels_have_smaller_propensities():
    p = propensities(np.repeat([0, 1, 2], [1, 10, 100]))
    assert (np.diff(p) > 0).all()


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"a": -1}, "a=-1 must be a finite number >= 0"),
        ({"a": np.nan}, "a=nan must be a finite number"),
        ({"b": 0}, "b=0 must be a finite number > 0"),
        ({"b": "x"}, "b='x' must be a finite number > 0"),
        ({"n_labels": 2}, "n_labels=2 contradicts y_train; it must be an integer >= 3"),
        ({"n_labels": 3.5}, "n_labels=3.5 contradicts y_train"),
        ({"n_labels": 0}, "n_labels=0 must be a finite number > 0"),
    ],
)
def test_bad_propensity_parameters(kwargs, text):
    with pytest.raises(ValueError, match=text):
        propensities([0, 1, 2], **kwargs)


def test_bad_training_labels():
    with pytest.raises(ValueError, match="y_train has 2 samples; the propensity model"):
        propensities([0, 1])
    with pytest.raises(
        ValueError, match="n_labels=4 contradicts y_train; it must be 3"
    ):
        propensities(np.eye(3), n_labels=4)
    with pytest.raises(ValueError, match="y_train contains the label index -1"):
        propensities([0, 1, -1])
