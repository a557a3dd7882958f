"""Fitting a tree of linear classifiers, against the problems of its nodes."""

import numpy as np
import pytest
import scipy.sparse as sp
from linear_problems import (
    CONTAINERS,
    N_LABELS,
    N,
    containers,
    dense_weights,
    fit,
    make_data,
    solve,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.scorers.linear import fit as fitting
from skmhe.scorers.linear.tables import child_scores


@containers
def test_one_level_is_one_problem(container):
    X, Y = make_data()
    (level,) = fit(container(X), Y, (N_LABELS,))
    weights, intercepts = solve(X, Y)
    assert_allclose(dense_weights(level, 0), weights, atol=1e-4)
    assert_allclose(level.intercepts[0], intercepts, atol=1e-4)


@containers
@pytest.mark.parametrize("n_threads", [1, 2])
def test_levels_choose_among_the_children_on_the_samples_of_their_node(
    container, n_threads, use_threads
):
    X, Y = make_data()
    use_threads(n_threads)
    levels = fit(container(X), Y, (3, 3), prior=2.0)
    # Nodes 0, 1 and 2 have the labels 0-2, 3-5 and 6.
    parents = np.stack([Y[:, 3 * i : 3 * i + 3].any(1) for i in range(3)], axis=1)
    weights, intercepts = solve(X, parents)
    assert_allclose(dense_weights(levels[0], 0), weights, atol=1e-4)
    assert_allclose(levels[0].intercepts[0], intercepts, atol=1e-4)
    for node in range(3):
        rows, own = parents[:, node], Y[:, 3 * node : 3 * node + 3]
        weights, intercepts = solve(X[rows], own[rows], prior=2.0)
        found = dense_weights(levels[1], node)[:, : own.shape[1]]
        assert_allclose(found, weights, atol=1e-4)
        found = levels[1].intercepts[node, : own.shape[1]]
        assert_allclose(found, intercepts, atol=1e-4)


def test_three_levels():
    X, Y = make_data()
    levels = fit(sp.csr_array(X), Y, (2, 2, 2))
    assert [level.intercepts.shape for level in levels] == [(1, 2), (2, 2), (4, 2)]
    rows = Y[:, 4:6].any(1)
    weights, _ = solve(X[rows], Y[rows][:, 4:6])
    assert_allclose(dense_weights(levels[2], 2), weights, atol=1e-4)


@containers
def test_nodes_learn_from_the_samples_that_are_near_them(container):
    X, Y = make_data()
    root, level = fit(container(X), Y, (3, 3), n_near=1)
    scores = child_scores(root, container(X), np.arange(N), np.zeros(N, int))
    wrong = 0
    for node in range(3):
        own = Y[:, 3 * node : 3 * node + 3]
        rows = own.any(1) | (scores.argmax(1) == node)
        wrong += np.count_nonzero(rows & ~own.any(1))
        weights, intercepts = solve(X[rows], own[rows])
        found = dense_weights(level, node)[:, : own.shape[1]]
        assert_allclose(found, weights, atol=1e-4)
        found = level.intercepts[node, : own.shape[1]]
        assert_allclose(found, intercepts, atol=1e-4)
    assert wrong


def test_nodes_of_a_third_level_are_found_by_a_beam():
    X, Y = make_data()
    levels = fit(sp.csr_array(X), Y, (2, 2, 2), n_near=2)
    # The beam of two has both nodes of the first level, so all four of the second.
    paths = np.zeros((N, 1))
    for level in levels[:2]:
        n_nodes = len(level.intercepts)
        pairs = np.repeat(np.arange(N), n_nodes), np.tile(np.arange(n_nodes), N)
        scores = child_scores(level, sp.csr_array(X), *pairs).reshape(N, n_nodes, 2)
        paths = (paths[:, :, None] - np.maximum(1 - scores, 0) ** 2).reshape(N, -1)
    near = np.argsort(-paths, axis=1)[:, :2]
    for node in range(4):
        own = Y[:, 2 * node : 2 * node + 2]
        rows = own.any(1) | (near == node).any(1)
        weights, _ = solve(X[rows], own[rows])
        found = dense_weights(levels[2], node)[:, : own.shape[1]]
        assert_allclose(found, weights, atol=1e-4)


@containers
def test_a_node_without_samples_says_no(container):
    X, Y = make_data()
    Y[:, 3:6] = False
    _, level = fit(container(X), Y, (3, 3))
    scores = child_scores(level, container(X), np.arange(N), np.ones(N, int))
    assert_array_equal(scores, np.full((N, 3), -1))


def test_blocks_of_labels_change_nothing(monkeypatch, use_threads):
    X, Y = make_data()
    whole = fit(sp.csr_array(X), Y, (N_LABELS,))
    monkeypatch.setattr(fitting, "BLOCK_SCORES", 2 * N)
    monkeypatch.setattr(fitting, "MIN_BLOCK_LABELS", 1)
    use_threads(2)
    parts = fit(sp.csr_array(X), Y, (N_LABELS,))
    for a, b in zip(whole[0], parts[0], strict=True):
        assert_allclose(a, b, atol=1e-5)


@containers
def test_weight_two_is_a_sample_twice_and_weight_zero_is_none(container):
    X, Y = make_data()
    weight = np.ones(N, np.float32)
    weight[3], weight[5:9] = 2, 0
    rows = np.repeat(np.arange(N), weight.astype(int))
    a = fit(container(X), Y, (N_LABELS,), weight=weight)
    b = fit(container(X[rows]), Y[rows], (N_LABELS,))
    assert_allclose(dense_weights(a[0], 0), dense_weights(b[0], 0), atol=1e-3)


def test_label_weight_is_a_factor_of_the_cost_of_true_pairs():
    X, Y = make_data()
    label_weight = np.ones(N_LABELS)
    label_weight[2] = 3
    (level,) = fit(sp.csr_array(X), Y, (N_LABELS,), label_weight=label_weight)
    cost = np.where(Y & (np.arange(N_LABELS) == 2), 3, 1)
    weights, _ = solve(X, Y, cost)
    assert_allclose(dense_weights(level, 0), weights, atol=1e-4)


def test_small_weights_are_dropped_where_x_is_sparse():
    X, Y = make_data(share=0.05)
    weights, _ = solve(X, Y)
    assert 0 < (abs(weights) < 0.1).mean() < 1
    expected = np.where(abs(weights) < 0.1, 0, weights)
    for container in CONTAINERS:
        (level,) = fit(container(X), Y, (N_LABELS,))
        assert_allclose(dense_weights(level, 0), expected, atol=1e-4)
