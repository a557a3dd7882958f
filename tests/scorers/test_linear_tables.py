"""Scores of linear classifiers, against products of dense weights."""

import numpy as np
import pytest
import scipy.sparse as sp
from linear_problems import (
    N_LABELS,
    N,
    all_node_scores,
    containers,
    dense_weights,
    fit,
    make_data,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.scorers.linear import feature_table, tables
from skmhe.scorers.linear.feature_table import FeatureTable
from skmhe.scorers.linear.tables import SparseLevel, child_scores, ranges, run_bounds


@pytest.mark.parametrize("pairs_per_table", [0, 1e9], ids=["tables", "rows"])
@pytest.mark.parametrize("sizes", [(N_LABELS,), (3, 3)])
def test_both_ways_to_score_sparse_samples(pairs_per_table, sizes, monkeypatch):
    monkeypatch.setattr(tables, "PAIRS_PER_TABLE", pairs_per_table)
    X, Y = make_data()
    X[:, 5] = 0
    level = fit(sp.csr_array(X), Y, sizes)[-1]
    assert isinstance(level, SparseLevel)
    # Test samples have a feature that no training sample had, or no feature.
    X, _ = make_data(seed=1)
    X[2] = 0
    rng = np.random.RandomState(0)
    samples = rng.randint(0, N, 100)
    nodes = rng.randint(0, len(level.intercepts), 100)
    scores = child_scores(level, sp.csr_array(X), samples, nodes)
    for i in range(100):
        expected = X[samples[i]] @ dense_weights(level, nodes[i])
        expected += level.intercepts[nodes[i]]
        assert_allclose(scores[i], expected, atol=1e-5)


def test_dense_scores():
    X, Y = make_data()
    level = fit(X, Y, (3, 3))[1]
    samples, nodes = np.array([4, 4, 0, 9]), np.array([2, 0, 1, 0])
    scores = child_scores(level, X, samples, nodes)
    for i in range(4):
        expected = X[samples[i]] @ level.weights[nodes[i]]
        assert_allclose(scores[i], expected + level.intercepts[nodes[i]], atol=1e-5)


# ------------------------------------------------------------ scores of all nodes


SIZES = pytest.mark.parametrize("sizes", [(N_LABELS,), (3, 3), (2, 2, 2)])


def table_of(level):
    return FeatureTable(level) if isinstance(level, SparseLevel) else level


@containers
@SIZES
@pytest.mark.parametrize("dense_share", [-1.0, 0.3, 1.0], ids=["dense", "some", "rare"])
@pytest.mark.parametrize(("tile", "bags"), [(2, 1), (2, 2 * N), (2, 999), (512, 256)])
def test_all_nodes_have_the_scores_of_their_pairs(
    container, sizes, dense_share, tile, bags, monkeypatch
):
    monkeypatch.setattr(feature_table, "DENSE_ROW_SHARE", dense_share)
    monkeypatch.setattr(feature_table, "TILE", tile)
    monkeypatch.setattr(feature_table, "VECTOR", 1)
    monkeypatch.setattr(feature_table, "BAGS_PER_CALL", bags)
    X, Y = make_data(share=0.2)
    X[:, 11] = 0
    levels = fit(container(X), Y, sizes)
    new, _ = make_data(seed=1)  # has a feature that no training sample had
    new[5] = 0
    new = container(new)
    for level in levels:
        found = table_of(level).all_scores(new, 3.0)
        assert_allclose(found, 3 * all_node_scores(level, new), atol=1e-5)


@pytest.mark.parametrize("dense_share", [-1.0, 0.3, 1.0], ids=["dense", "some", "rare"])
def test_a_sparse_samples_scores_do_not_depend_on_the_others(dense_share, monkeypatch):
    monkeypatch.setattr(feature_table, "DENSE_ROW_SHARE", dense_share)
    X, Y = make_data()
    (level,) = fit(sp.csr_array(X), Y, (N_LABELS,))
    table, new = FeatureTable(level), sp.csr_array(make_data(seed=1)[0])
    together = table.all_scores(new)
    for i in range(0, N, 7):
        assert_array_equal(table.all_scores(new[[i]]), together[[i]])


@containers
def test_no_samples_and_samples_without_features(container):
    X, Y = make_data()
    _, level = fit(container(X), Y, (3, 3))
    table = table_of(level)
    assert table.all_scores(container(X[:0])).shape == (0, 9)
    zeros = table.all_scores(container(np.zeros_like(X[:2])), 2.0)
    assert_array_equal(zeros, np.tile(2 * level.intercepts.ravel(), (2, 1)))
    pairs = np.array([0, 1]), np.array([2, 0])
    found = child_scores(level, container(np.zeros_like(X[:2])), *pairs)
    assert_array_equal(found, level.intercepts[[2, 0]])


def test_memory_bounds_the_dense_rows(monkeypatch):
    X, Y = make_data()
    (level,) = fit(sp.csr_array(X), Y, (N_LABELS,))
    monkeypatch.setattr(feature_table, "DENSE_BYTES", 3 * 4 * N_LABELS)
    table = FeatureTable(level)
    assert (table.dense_row >= 0).sum() == 3
    expected = all_node_scores(level, sp.csr_array(X))
    assert_allclose(table.all_scores(sp.csr_array(X)), expected, atol=1e-5)


def test_runs_and_ranges():
    assert_array_equal(run_bounds(np.array([2, 2, 5, 7, 7])), [0, 2, 3, 5])
    assert len(run_bounds(np.empty(0, int))) == 0
    found = ranges(np.array([4, 9, 0]), np.array([2, 0, 3]))
    assert_array_equal(found, [4, 5, 0, 1, 2])
    assert len(ranges(np.empty(0, int), np.empty(0, int))) == 0
