"""Linear classifiers in a tree: the solver, the weights, and the scores."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

from skmhe import _levels, _linear
from skmhe._levels import DenseLevel, SparseLevel, child_scores
from skmhe._linear import fit_levels
from skmhe._newton import Problem, Samples, newton_coefficients
from skmhe._rows import unit_rows

N, N_FEATURES, N_LABELS = 60, 12, 7
CONTAINERS = [sp.csr_array, np.asarray]
containers = pytest.mark.parametrize("container", CONTAINERS, ids=["sparse", "dense"])


def make_data(seed=0, n=N, share=0.4, n_labels=N_LABELS):
    """Return unit samples with some zeros, and an indicator of 1 to 3 labels."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n, N_FEATURES) * (rng.rand(n, N_FEATURES) < share)
    X[:, 0] = 1  # no empty sample
    y = np.arange(n) % n_labels
    X[np.arange(n), 1 + y % (N_FEATURES - 1)] += 1
    Y = np.zeros((n, n_labels), bool)
    Y[np.arange(n), y] = Y[np.arange(n), rng.randint(0, n_labels, n)] = True
    return unit_rows(X), Y


def solve(X, Y, cost=1.0, prior=0.0, **steps):
    """Return weights and intercepts."""
    cost = np.broadcast_to(np.float32(cost), Y.shape)
    samples = Samples(X)
    coefficients, intercepts = newton_coefficients(
        Problem(samples, Y, cost), prior, **steps
    )
    return X.T @ coefficients, intercepts


def objective(weights, X, targets, cost, offset=0.0):
    w, b = weights[:-1], weights[-1]
    margins = np.maximum(0, 1 - targets * (X @ w + b + offset))
    return w @ w / 2 + (cost * margins**2).sum()


def minimum(X, targets, cost, offset=0.0):
    return minimize(
        objective,
        np.zeros(X.shape[1] + 1),
        (X.astype(float), targets, cost, offset),
        method="L-BFGS-B",
        options={"ftol": 1e-14, "gtol": 1e-9},
    ).x


# ------------------------------------------------------------ solver


@containers
@pytest.mark.parametrize("kernel", [True, False])
def test_many_steps_reach_the_minimum(container, kernel, monkeypatch):
    X, Y = make_data()
    if not kernel:
        monkeypatch.setattr("skmhe._newton.MAX_KERNEL_SAMPLES", 0)
    rng = np.random.RandomState(1)
    cost = rng.uniform(0.2, 2, Y.shape).astype(np.float32)
    weights, intercepts = solve(container(X), Y, cost, n_newton=20, n_cg=20)
    for label in range(N_LABELS):
        expected = minimum(X, np.where(Y[:, label], 1, -1), cost[:, label])
        assert_allclose(weights[:, label], expected[:-1], atol=2e-3)
        assert_allclose(intercepts[label], expected[-1], atol=2e-3)


def test_minimum_is_that_of_liblinear():
    # LIBLINEAR regularises the intercept; a large constant makes that negligible.
    X, Y = make_data()
    weights, _ = solve(X, Y, 0.5, n_newton=20, n_cg=20)
    svc = LinearSVC(C=0.5, intercept_scaling=100, tol=1e-8, max_iter=100_000)
    svc.fit(X, Y[:, 2])
    assert_allclose(weights[:, 2], svc.coef_[0], atol=1e-2)


@pytest.mark.parametrize("n_newton", [1, 2, 3])
def test_each_step_lowers_the_objective(n_newton):
    X, Y = make_data()

    def total(n_steps):
        weights, intercepts = solve(X, Y, n_newton=n_steps, n_cg=3)
        both = np.vstack([weights, intercepts])
        targets = np.where(Y, 1, -1)
        return sum(
            objective(both[:, j].astype(float), X, targets[:, j], 1.0)
            for j in range(N_LABELS)
        )

    assert total(n_newton) < total(n_newton - 1) - 1e-3


@containers
def test_prior_is_the_centroid_without_the_sample_itself(container):
    X, Y = make_data()
    label, prior, cost = 3, 2.0, 0.5
    positive = Y[:, label]
    total = X[positive].sum(0)
    offset = X @ total / np.linalg.norm(total)
    for i in np.flatnonzero(positive):
        rest = total - X[i]
        offset[i] = X[i] @ rest / np.linalg.norm(rest)
    expected = minimum(X, np.where(positive, 1, -1), cost, prior * offset)
    weights, intercepts = solve(container(X), Y, cost, prior, n_newton=20, n_cg=20)
    centroid = prior * total / np.linalg.norm(total)
    assert_allclose(weights[:, label], expected[:-1] + centroid, atol=2e-3)
    assert_allclose(intercepts[label], expected[-1], atol=2e-3)


def test_the_only_sample_of_a_label_has_no_prior_score():
    X, Y = make_data(n=20)
    Y[:, 0] = False
    Y[4, 0] = True
    # Its margin is then not reached by the prior, so it is still learned from.
    weights, _ = solve(X, Y, 1.0, prior=5.0, n_newton=20, n_cg=20)
    offset = 5 * X @ X[4]
    offset[4] = 0
    expected = minimum(X, np.where(Y[:, 0], 1, -1), 1.0, offset)
    assert_allclose(weights[:, 0], expected[:-1] + 5 * X[4], atol=5e-3)


def test_labels_of_all_or_no_samples():
    X, Y = make_data()
    Y[:, 0], Y[:, 1] = True, False
    weights, intercepts = solve(X, Y)
    assert_allclose(weights[:, :2], 0, atol=1e-4)
    assert_allclose(intercepts[:2], [1, -1], atol=1e-4)


# ------------------------------------------------------------ tree


def indicator(Y):
    return sp.csr_array(Y.astype(np.float32))


def fit(X, Y, sizes, **options):
    options = {"C": 1.0, "prior": 0.0} | options
    return fit_levels(X, indicator(Y), sizes, **options)


def dense_weights(level, node, n_features=N_FEATURES):
    if isinstance(level, DenseLevel):
        return level.weights[node]
    features, table = level.table(node)
    weights = np.zeros((n_features, table.shape[1]), np.float32)
    weights[features] = table[1:]
    return weights


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
    container, n_threads
):
    X, Y = make_data()
    levels = fit(container(X), Y, (3, 3), prior=2.0, n_threads=n_threads)
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
def test_a_node_without_samples_says_no(container):
    X, Y = make_data()
    Y[:, 3:6] = False
    _, level = fit(container(X), Y, (3, 3))
    scores = child_scores(level, container(X), np.arange(N), np.ones(N, int))
    assert_array_equal(scores, np.full((N, 3), -1))


def test_blocks_of_labels_change_nothing(monkeypatch):
    X, Y = make_data()
    whole = fit(sp.csr_array(X), Y, (N_LABELS,))
    monkeypatch.setattr(_linear, "BLOCK_SCORES", 2 * N)
    parts = fit(sp.csr_array(X), Y, (N_LABELS,), n_threads=2)
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


# ------------------------------------------------------------ scores


@pytest.mark.parametrize("pairs_per_table", [0, 1e9], ids=["tables", "rows"])
@pytest.mark.parametrize("sizes", [(N_LABELS,), (3, 3)])
def test_both_ways_to_score_sparse_samples(pairs_per_table, sizes, monkeypatch):
    monkeypatch.setattr(_levels, "PAIRS_PER_TABLE", pairs_per_table)
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


@containers
def test_unit_rows(container):
    X = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    unit = unit_rows(container(X))
    unit = unit.toarray() if sp.issparse(unit) else unit
    assert unit.dtype == np.float32
    assert_allclose(unit, [[0.6, 0.8], [0, 0], [0, -1]])
    assert_array_equal(X, [[3, 4], [0, 0], [0, -2]])
    tiny = unit_rows(container(X * 1e-100), np.float64)
    tiny = tiny.toarray() if sp.issparse(tiny) else tiny
    assert tiny.dtype == np.float64
    assert_allclose(tiny, unit, rtol=1e-6)
