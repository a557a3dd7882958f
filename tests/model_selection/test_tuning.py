"""The thresholds that maximize F1, compared with all that there are."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from skmhe.model_selection._tuning import (
    Scored,
    f1_above,
    global_threshold,
    label_thresholds,
)

AVERAGES = ["micro", "macro", "samples"]
few = settings(max_examples=20, deadline=None, derandomize=True)


def problem(seed, n_samples=8, n_labels=4, n_levels=6):
    """Draw true labels, and scores with ties; return them as arrays and as Scored."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n_samples, n_labels)) < 0.4
    scores = rng.integers(n_levels, size=truth.shape) / n_levels + 0.3 * truth
    truth[:, 0] = False
    samples, labels = np.indices(truth.shape)
    order = rng.permutation(truth.size)
    flat = (array.ravel()[order] for array in (scores, truth, labels, samples))
    scored = Scored(*flat, truth.sum(axis=0), truth.sum(axis=1))
    return truth, scores, scored


def f1_of(truth, chosen, average):
    """Compute F1 by its formula, of one axis or in total."""
    axis = {"micro": None, "macro": 0, "samples": 1}[average]
    both = (truth & chosen).sum(axis=axis)
    sizes = truth.sum(axis=axis) + chosen.sum(axis=axis)
    return (2 * both / np.maximum(sizes, 1)).mean()


def thresholds_of(scores):
    """Return all that differ: none passes the last one, all pass the first."""
    return [-1, *np.unique(scores)]


@pytest.mark.parametrize("average", AVERAGES)
def test_f1_of_a_threshold_is_that_of_scikit_learn(average):
    truth, scores, scored = problem(0)
    each = np.linspace(0.1, 0.7, 4)
    for thresholds in (np.array(0.5), each):
        chosen = scores > thresholds
        expected = f1_score(truth, chosen, average=average, zero_division=0)
        assert expected == pytest.approx(f1_of(truth, chosen, average))
        assert f1_above(scored, thresholds, average) == pytest.approx(expected)


@pytest.mark.parametrize("average", AVERAGES)
@given(seed=st.integers(0, 10_000))
@few
def test_global_threshold_is_the_best_one(average, seed):
    truth, scores, scored = problem(seed)
    best = max(f1_of(truth, scores > t, average) for t in thresholds_of(scores))
    found = global_threshold(scored, average)
    assert f1_of(truth, scores > found, average) == pytest.approx(best)


@given(seed=st.integers(0, 10_000))
@few
def test_thresholds_of_labels_are_the_best_ones(seed):
    truth, scores, scored = problem(seed)
    found = label_thresholds(scored, 0)
    for j in range(1, truth.shape[1]):
        values = [
            f1_of(truth[:, j], scores[:, j] > t, "micro")
            for t in [*thresholds_of(scores), found[j]]
        ]
        assert values[-1] == pytest.approx(max(values))
    # The label that no sample has, by which nothing can be told.
    assert found[0] == global_threshold(scored, "macro")


def test_thresholds_are_between_scores():
    scored = Scored(
        np.array([0.9, 0.5, 0.4, 0.2]),
        np.array([True, True, False, False]),
        *np.zeros((2, 4), np.int64),
        np.array([2]),
        np.array([2]),
    )
    assert global_threshold(scored, "micro") == pytest.approx(0.45)
    every = scored._replace(hits=np.ones(4, bool), n_true=np.array([4]))
    found = global_threshold(every, "micro")
    assert found < 0.2
    assert found == pytest.approx(0.2)
    neighbors = np.array([0.5, np.nextafter(0.5, 0), 0.4, 0.2])
    tight = scored._replace(scores=neighbors, hits=np.arange(4) == 0)
    found = global_threshold(tight._replace(n_true=np.array([1])), "micro")
    assert neighbors[1] <= found < neighbors[0]


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("levels", [(-np.inf,), (np.inf,), (-np.inf, 0.5, np.inf)])
def test_scores_may_be_infinite(average, levels):
    _, _, scored = problem(6)
    scores = np.array(levels)[scored.samples % len(levels)]
    scored = scored._replace(scores=scores)
    thresholds = np.array([-np.inf, 0.5, np.inf])
    best = max(f1_above(scored, threshold, average) for threshold in thresholds)
    found = np.asarray(global_threshold(scored, average))
    assert f1_above(scored, found, average) == pytest.approx(best)
    if average == "macro":
        each = label_thresholds(scored, 0)
        assert f1_above(scored, each, average) >= best - 1e-12


def test_rare_labels_are_drawn_to_the_shared_threshold():
    _, _, scored = problem(3, n_samples=30)
    shared = global_threshold(scored, "macro")
    alone = label_thresholds(scored, 0)
    for shrinkage in (5.0, 1e6):
        found = label_thresholds(scored, shrinkage)
        n_true = scored.n_true
        expected = (n_true * alone + shrinkage * shared) / (n_true + shrinkage)
        np.testing.assert_allclose(found, expected)


def test_labels_without_scores_have_the_shared_threshold():
    _, _, scored = problem(4)
    kept = scored.labels != 2
    parts = (array[kept] for array in scored[:4])
    found = label_thresholds(Scored(*parts, *scored[4:]), 0)
    assert found[2] == found[0]


@pytest.mark.parametrize("average", AVERAGES)
def test_nothing_is_predicted_where_nothing_is_right(average):
    truth, scores, scored = problem(4)
    wrong = scored._replace(hits=np.zeros(truth.size, dtype=bool))
    assert not (scores > global_threshold(wrong, average)).any()


def test_labels_that_are_never_found_have_the_shared_threshold():
    _, _, scored = problem(4)
    assert scored.n_true[2] > 0
    lost = scored._replace(hits=scored.hits & (scored.labels != 2))
    for shrinkage in (0, 0.5, 3.0):
        found = label_thresholds(lost, shrinkage)
        assert found[2] == global_threshold(lost, "macro")


def test_all_thresholds_are_tried_without_a_grid():
    # Of all sets of thresholds of labels, macro F1 is the best one.
    truth, scores, scored = problem(5, n_samples=5, n_labels=3, n_levels=4)
    best = max(
        f1_of(truth, scores > np.array(each), "macro")
        for each in product(thresholds_of(scores), repeat=3)
    )
    found = label_thresholds(scored, 0)
    assert f1_above(scored, found, "macro") == pytest.approx(best)
