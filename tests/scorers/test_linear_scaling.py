"""How linear classifiers see samples, against scikit-learn's scaler."""

import numpy as np
import pytest
import scipy.sparse as sp
from linear_problems import containers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler, normalize

from skmhe.scorers.linear import fit_scaling
from skmhe.scorers.linear.scaling import CONSTANT

N, D = 70, 6


def make_rows(share=0.6, seed=0):
    """Return rows of columns that have other scales, of which one is constant."""
    rng = np.random.RandomState(seed)
    X = rng.randn(N, D) * (rng.rand(N, D) < share) * 10.0 ** np.arange(-3, 3)
    X[:, 2] = 0.1
    return X


def expected_rows(X, new, weight=None):
    """Return new samples with standardized columns, one more, and unit length."""
    Z = StandardScaler().fit(X, sample_weight=weight).transform(new)
    Z[:, 2] = 0  # StandardScaler leaves constant columns as they are
    return normalize(np.c_[Z / np.sqrt(D - 1), np.full(len(new), CONSTANT)])


@containers
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_standardized_and_of_unit_length(container, weighted, dtype):
    X, new = make_rows().astype(dtype), make_rows(seed=1).astype(dtype)
    new[:, 2] = 7  # nothing is known of values that no training sample had
    weight = None
    if weighted:
        weight = np.random.RandomState(2).rand(N).astype(np.float32)
    scaling = fit_scaling(container(X), weight)
    found = scaling.rows(container(new))
    assert found.dtype == np.float32
    assert_allclose(found, expected_rows(X, new, weight), atol=1e-5)
    assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_weights_are_those_of_repeated_samples():
    X, times = make_rows(), np.random.RandomState(0).randint(1, 4, N)
    weighted = fit_scaling(X, times.astype(np.float32))
    for found, expected in zip(weighted, fit_scaling(X.repeat(times, 0)), strict=True):
        assert_allclose(found, expected, rtol=1e-9)


def test_many_samples_are_scaled_in_chunks():
    X = np.tile(make_rows(), (60, 1))  # more than MAX_CHUNK_ROWS
    found = fit_scaling(X).rows(X)
    assert_allclose(found, expected_rows(X, X), atol=1e-5)


@containers
def test_sparse_samples_are_left_as_they_are(container):
    assert fit_scaling(container(make_rows(share=0.05))) is None


def test_what_does_not_vary_has_no_weight():
    rng = np.random.RandomState(0)
    # Rounding of large numbers is no variance.
    X = np.c_[np.full(N, 3.0), 1e6 + 1e-4 * rng.randn(N), rng.randn(N)]
    scaling = fit_scaling(X.astype(np.float32))
    assert_array_equal(scaling.factor[:2], 0)
    assert scaling.factor[2] > 0
    for alone in (X[:1], np.ones((4, 2)), sp.csr_array(np.ones((1, 3)))):
        scaling = fit_scaling(alone)
        rows = scaling.rows(alone)
        assert_array_equal(scaling.factor, 0)
        assert_array_equal(rows[:, :-1], 0)
        assert_array_equal(rows[:, -1], 1)
