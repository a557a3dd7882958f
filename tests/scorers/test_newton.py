"""The solver of linear classifiers, against others."""

import numpy as np
import pytest
from linear_problems import N_LABELS, containers, make_data, solve
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.svm import LinearSVC


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
        monkeypatch.setattr("skmhe.scorers.linear.newton.MAX_KERNEL_SAMPLES", 0)
    rng = np.random.RandomState(1)
    cost = rng.uniform(0.2, 2, Y.shape).astype(np.float32)
    weights, intercepts = solve(container(X), Y, cost, n_newton=20, n_cg=20)
    for label in range(N_LABELS):
        expected = minimum(X, np.where(Y[:, label], 1, -1), cost[:, label])
        assert_allclose(weights[:, label], expected[:-1], atol=2e-3)
        assert_allclose(intercepts[label], expected[-1], atol=2e-3)


def test_minimum_is_that_of_liblinear():
    # LIBLINEAR regularizes the intercept; a large constant makes that negligible.
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
