"""Balanced clustering of labels: sizes, similarity, determinism."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.labels.clustering import balanced_order, label_centroids


def unit_rows(n, n_features, seed):
    rows = np.random.default_rng(seed).standard_normal((n, n_features))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def order_of(features, group_sizes, seed=0):
    return balanced_order(features, group_sizes, np.random.RandomState(seed))


def planted(n_outer, n_inner, n_each, seed=0):
    """Return shuffled rows of nested clusters, and each row's outer and inner one.

    Inner clusters of one outer cluster share a strong direction, so the outer
    ones are the best first division.
    """
    rng = np.random.default_rng(seed)
    inner = rng.permutation(np.repeat(np.arange(n_outer * n_inner), n_each))
    outer = inner // n_inner
    rows = np.hstack([3 * np.eye(n_outer)[outer], np.eye(n_outer * n_inner)[inner]])
    rows = rows + rng.uniform(0, 0.02, rows.shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), outer, inner


@given(
    n_labels=st.integers(1, 60),
    lengths=st.lists(st.integers(1, 5), min_size=0, max_size=3),
    seed=st.integers(0, 3),
)
def test_every_label_gets_one_position(n_labels, lengths, seed):
    group_sizes = np.cumprod(lengths, dtype=int).tolist()[::-1]
    order = order_of(unit_rows(n_labels, 4, seed), group_sizes)
    assert_array_equal(np.sort(order), np.arange(n_labels))


def test_groups_are_the_planted_clusters():
    rows, outer, inner = planted(n_outer=4, n_inner=3, n_each=5)
    order = order_of(rows, [15, 5])
    # Runs of 15 and 5 positions are what labels with equal first digits have.
    for start in range(0, 60, 15):
        assert len(set(outer[order[start : start + 15]])) == 1
    for start in range(0, 60, 5):
        assert len(set(inner[order[start : start + 5]])) == 1


def test_a_last_group_that_is_not_full_is_the_only_one():
    # 13 = 3 groups of 4, and 1 label over.
    rows = np.eye(4)[np.repeat(np.arange(4), [4, 4, 4, 1])]
    rows = rows + np.random.default_rng(0).uniform(0, 0.02, rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = order_of(rows, [4])
    assert_array_equal(np.sort(order), np.arange(13))
    spread = [np.ptp(np.sort(order[start : start + 4])) for start in (0, 4, 8)]
    # At least two groups are whole clusters: the label over may displace one.
    assert sum(s == 3 for s in spread) >= 2, order


def test_groups_are_more_similar_than_random_ones():
    rows = unit_rows(400, 6, seed=0)

    def cohesion(order):
        sums = rows[order].reshape(20, 20, 6).sum(1)
        return np.linalg.norm(sums, axis=1).mean() / 20

    random_order = np.random.default_rng(1).permutation(400)
    assert cohesion(order_of(rows, [20])) > 2 * cohesion(random_order)


def test_labels_inside_the_smallest_groups_are_not_reordered_further():
    # One group: nothing to divide, whatever the features are.
    assert_array_equal(order_of(unit_rows(9, 3, seed=0), [9]), np.arange(9))
    assert_array_equal(order_of(unit_rows(9, 3, seed=0), []), np.arange(9))


def test_same_seed_same_order():
    rows = unit_rows(80, 3, seed=0)
    assert_array_equal(order_of(rows, [8], seed=3), order_of(rows, [8], seed=3))
    assert (order_of(rows, [8], seed=3) != order_of(rows, [8], seed=4)).any()


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_features_give_the_same_order(container, dtype):
    rows = unit_rows(60, 5, seed=0).astype(dtype)
    rows[np.abs(rows) < 0.3] = 0
    assert_array_equal(order_of(container(rows), [12, 4]), order_of(rows, [12, 4]))


def test_zero_and_equal_rows_are_allowed():
    rows = np.zeros((12, 3))
    assert_array_equal(np.sort(order_of(rows, [4])), np.arange(12))
    rows[:] = unit_rows(1, 3, seed=0)
    assert_array_equal(np.sort(order_of(rows, [4])), np.arange(12))


def test_features_are_not_changed():
    rows = unit_rows(30, 3, seed=0)
    before = rows.copy()
    order_of(rows, [5])
    assert_array_equal(rows, before)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_centroids_are_the_normalized_sums_of_the_labels_samples(container):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 4))
    X[rng.random(X.shape) < 0.4] = 0
    weights = rng.random((8, 5)) * (rng.random((8, 5)) < 0.4)
    weights[:, 2] = 0  # a label without samples
    Y = sp.csr_array(weights)
    before = X.copy()
    centroids = label_centroids(container(X), Y)
    assert sp.issparse(centroids) == (container is not np.asarray)
    centroids = centroids.toarray() if sp.issparse(centroids) else centroids
    for label in range(5):
        total = sum(weights[i, label] * X[i] for i in range(8))
        expected = total / np.linalg.norm(total) if label != 2 else np.zeros(4)
        assert_allclose(centroids[label], expected, atol=1e-12)
    assert_array_equal(X, before)


def test_centroids_keep_the_samples_dtype():
    X = np.eye(3, dtype=np.float32)
    Y = sp.csr_array(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.int64))
    assert label_centroids(X, Y).dtype == np.float32
    assert label_centroids(sp.csr_array(X), Y).dtype == np.float32
