"""The solver of linear classifiers, against others."""

import tracemalloc

import numpy as np
import pytest
from linear_problems import N_LABELS, N, containers, make_data, solve
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

from skmhe.scorers.linear.solver import (
    MAX_ITER,
    Problem,
    Samples,
    _Descent,
    minimize_squared_hinge,
)


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
        monkeypatch.setattr("skmhe.scorers.linear.solver.MAX_KERNEL_SAMPLES", 0)
    rng = np.random.RandomState(1)
    cost = rng.uniform(0.2, 2, Y.shape).astype(np.float32)
    weights, intercepts = solve(container(X), Y, cost, tol=1e-6)
    for label in range(N_LABELS):
        expected = minimum(X, np.where(Y[:, label], 1, -1), cost[:, label])
        assert_allclose(weights[:, label], expected[:-1], atol=2e-3)
        assert_allclose(intercepts[label], expected[-1], atol=2e-3)


def test_minimum_is_that_of_liblinear():
    # LIBLINEAR regularizes the intercept; a large constant makes that negligible.
    X, Y = make_data()
    weights, _ = solve(X, Y, 0.5, tol=1e-6)
    svc = LinearSVC(C=0.5, intercept_scaling=100, tol=1e-8, max_iter=100_000)
    svc.fit(X, Y[:, 2])
    assert_allclose(weights[:, 2], svc.coef_[0], atol=1e-2)


def centroid_offsets(X, positive, prior):
    """Return the scores of a label's centroid, left out its own samples, and itself."""
    total = X[positive].sum(0)
    offset = X @ total / np.linalg.norm(total)
    for i in np.flatnonzero(positive):
        rest = total - X[i]
        length = np.linalg.norm(rest)
        offset[i] = X[i] @ rest / length if length > 1e-3 else 0
    return prior * offset, prior * total / np.linalg.norm(total)


def losses(X, Y, cost, prior, **steps):
    """Return the objective of each label."""
    found = []
    weights, intercepts = solve(X, Y, cost, prior, **steps)
    for j in range(Y.shape[1]):
        offset, centroid = centroid_offsets(X.astype(float), Y[:, j], prior)
        both = np.append(weights[:, j] - centroid, intercepts[j]).astype(float)
        targets = np.where(Y[:, j], 1, -1)
        found.append(objective(both, X.astype(float), targets, cost, offset))
    return np.array(found)


# In the last two, full steps would go too far.
@pytest.mark.parametrize(
    ("n", "cost", "prior"), [(N, 1.0, 0.0), (20, 0.5, 20.0), (20, 100.0, 5.0)]
)
def test_no_step_raises_the_objective(n, cost, prior):
    X, Y = make_data(seed=1, n=n)
    curve = np.array(
        [losses(X, Y, cost, prior, tol=1e-4, max_iter=k) for k in range(30)]
    )
    assert (curve[1:] <= curve[:-1] * (1 + 1e-5)).all()
    assert (curve[3] < curve[0] * 0.9).all()


@pytest.mark.parametrize("tol", [0.3, 0.02, 1e-3])
def test_stops_when_the_gradient_is_small_enough(tol):
    X, Y = make_data()
    problem = Problem(Samples(X), Y, np.ones((N, 1), np.float32))
    found = minimize_squared_hinge(problem, tol=tol)
    before = minimize_squared_hinge(problem, tol=tol, max_iter=found.n_iter - 1)
    start = minimize_squared_hinge(problem, max_iter=0)
    assert found.n_iter < MAX_ITER
    assert (before.n_iter, start.n_iter) == (found.n_iter - 1, 0)

    def lengths(solution):
        return np.array(
            [best_gradient(X, Y[:, j], solution, j) for j in range(N_LABELS)]
        )

    limit = tol * lengths(start)
    assert (lengths(found) <= limit * 1.01).all()
    assert (lengths(before) > limit).any()


def best_gradient(X, positive, solution, label):
    """Return the length of the gradient of a label's weights, with cost 1.

    The intercept is at its best for the samples with a loss.
    """
    weights = X.T @ solution.coefficients[:, label]
    targets = np.where(positive, 1, -1)
    error = targets - X @ weights - solution.intercepts[label]
    active = error * targets > 0
    error -= error[active].mean()
    return np.linalg.norm(weights - 2 * X[active].T @ error[active])


def test_no_intercept_goes_to_where_the_objective_is_higher():
    # At an intercept of 1, heavy samples have no loss, up to rounding; the best one for
    # the others alone is -1.
    for seed in range(30):
        rng = np.random.RandomState(seed)
        X = rng.randn(50, 2).astype(np.float32)
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        positive = rng.rand(50, 1) < 0.7
        heavy = positive & (rng.rand(50, 1) < 0.5)
        cost = np.where(heavy, 500, 5e-5).astype(np.float32)
        _, intercepts = solve(X, positive, cost)
        assert intercepts[0] > 0.9


def test_stops_after_the_largest_number_of_steps():
    X, Y = make_data()
    problem = Problem(Samples(X), Y, np.ones((N, 1), np.float32))
    assert minimize_squared_hinge(problem, tol=0.0, max_iter=7).n_iter == 7


def test_directions_are_conjugate():
    # Along the gradients alone, 17 steps are needed.
    X, Y = make_data()
    problem = Problem(Samples(X), Y, np.ones((N, 1), np.float32))
    assert minimize_squared_hinge(problem, tol=1e-3).n_iter < 12


@containers
@pytest.mark.parametrize("prior", [0.0, 2.0])
def test_labels_leave_when_they_are_done(container, prior, monkeypatch):
    X, Y = make_data()
    cost = np.random.RandomState(1).uniform(0.01, 2, Y.shape[1])
    together = solve(container(X), Y, np.broadcast_to(cost, Y.shape), prior)
    widths = []
    keep = _Descent.keep
    monkeypatch.setattr(
        _Descent,
        "keep",
        lambda self, kept: (widths.append(kept.sum()), keep(self, kept)),
    )
    again = solve(container(X), Y, np.broadcast_to(cost, Y.shape), prior)
    assert 0 < min(widths) < N_LABELS
    for a, b in zip(together, again, strict=True):
        assert_array_equal(a, b)
    for j in range(N_LABELS):
        alone = solve(container(X), Y[:, [j]], cost[j], prior)
        assert_allclose(together[0][:, j], alone[0][:, 0], atol=1e-4)
        assert_allclose(together[1][j], alone[1][0], atol=1e-4)


def test_objective_is_that_of_liblinears_primal_solver():
    X, Y = make_data(n=300, share=0.8)
    found = losses(X, Y, 0.5, 0.0)
    for label in range(N_LABELS):
        svc = LinearSVC(C=0.5, dual=False, intercept_scaling=100, tol=1e-8)
        svc.fit(X, Y[:, label])
        both = np.append(svc.coef_[0], svc.intercept_)
        targets = np.where(Y[:, label], 1, -1)
        best = objective(both, X.astype(float), targets, 0.5)
        assert best * (1 - 1e-4) < found[label] < best * 1.002


def test_memory_does_not_grow_with_the_steps():
    X, Y = make_data(n=4500, n_labels=30)  # no kernel matrix
    problem = Problem(Samples(X), Y, np.ones((len(X), 1), np.float32))
    assert problem.samples._kernel is None
    peaks = []
    for max_iter in (2, 20):
        tracemalloc.start()
        minimize_squared_hinge(problem, tol=0.0, max_iter=max_iter)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    of_all = 4 * Y.size
    assert peaks[1] < peaks[0] + 0.1 * of_all
    assert peaks[1] < 13 * of_all


@containers
def test_prior_is_the_centroid_without_the_sample_itself(container):
    X, Y = make_data()
    label, prior, cost = 3, 2.0, 0.5
    positive = Y[:, label]
    offset, centroid = centroid_offsets(X, positive, prior)
    expected = minimum(X, np.where(positive, 1, -1), cost, offset)
    weights, intercepts = solve(container(X), Y, cost, prior, tol=1e-6)
    assert_allclose(weights[:, label], expected[:-1] + centroid, atol=2e-3)
    assert_allclose(intercepts[label], expected[-1], atol=2e-3)


def test_the_only_sample_of_a_label_has_no_prior_score():
    X, Y = make_data(n=20)
    Y[:, 0] = False
    Y[4, 0] = True
    # Its margin is then not reached by the prior, so it is still learned from.
    weights, _ = solve(X, Y, 1.0, prior=5.0, tol=1e-6)
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
