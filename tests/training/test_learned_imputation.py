"""What classifiers would say of labels that they do not know, learned from others."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skmhe import LabelEncoder, MHEClassifier
from skmhe.scorers.candidates import Candidates
from skmhe.scorers.combination import Imputation, ScorerWeights
from skmhe.training.learned_combination import learn_imputation

SHARE = np.full(60, 1 / 60)
CURVE = Imputation((-4.0, -1.0, 0.0), (-2.0, 0.0, 1.0), (-6.0, -3.0, -1.0))


def test_scores_are_interpolated_and_weighted():
    gaps = torch.tensor([[-9.0, -4.0], [-2.5, 0.0], [-0.5, 3.0]])
    weights = ScorerWeights(network=2.0, linear=0.5, label_encoder=7.0)
    found = CURVE.scores(gaps, weights)
    network = np.array([[-2, -2], [-1, 1], [0.5, 1]])
    linear = np.array([[-6, -6], [-4.5, -1], [-2, -1]])
    assert found.dtype == gaps.dtype
    assert_allclose(found, 2 * network + 0.5 * linear)


def make_candidates(slope, n=60, m=8, seed=0):
    """Return candidates whose classifiers' scores rise with the encoder's."""
    rng = np.random.RandomState(seed)
    scores = np.zeros((n, m, 4), np.float32)
    scores[..., 2] = -rng.exponential(3, size=(n, m)) + 10
    gap = scores[..., 2] - scores[..., 2].max(1, keepdims=True)
    scores[..., 0], scores[..., 1] = slope * gap, 1 + 2 * slope * gap
    labels = np.tile(np.arange(m), (n, 1))
    drawn = scores[:, :2] - 20
    drawn[..., :2] -= 5 * slope
    return Candidates(labels, scores, drawn, np.full((n, 2), 100.0))


def test_the_curve_is_that_of_known_labels():
    parts = [make_candidates(1.0), make_candidates(1.0, seed=1)]
    curve = learn_imputation(parts, np.full(120, 1 / 120))
    gaps = np.array(curve.gaps)
    near = gaps > -10
    assert near.sum() >= 10
    assert_allclose(np.array(curve.network)[near], gaps[near], atol=0.5)
    assert_allclose(np.array(curve.linear)[near], 1 + 2 * gaps[near], atol=1)
    # The drawn labels, which stand for many others, are what is far away.
    assert curve.network[0] < -20


def test_places_without_a_label_do_not_count():
    found = make_candidates(1.0)
    labels, scores = found.labels.copy(), found.scores.copy()
    labels[:, -1], scores[:, -1, 2] = -1, 1e6
    without = found._replace(labels=labels, scores=scores)
    fewer = found._replace(labels=labels[:, :-1], scores=scores[:, :-1])
    found = (learn_imputation([part], SHARE) for part in (without, fewer))
    for one, other in zip(*found, strict=True):
        assert_allclose(one, other)


def test_what_is_far_is_never_better_than_what_is_near():
    curve = learn_imputation([make_candidates(-1.0)], SHARE)
    for values in curve:
        assert (np.diff(values) >= 0).all()


def test_nothing_is_learned_from_labels_that_are_all_as_near():
    found = make_candidates(1.0)
    found.scores[..., 2], found.drawn[..., 2] = 3.0, 3.0
    assert learn_imputation([found], SHARE) is None


def test_samples_count_by_their_share():
    one, other = make_candidates(1.0), make_candidates(3.0, seed=1)
    curve = learn_imputation([one, other], np.repeat([1.0, 1e-9], 60))
    gaps = torch.linspace(-4, 0, 20, dtype=torch.float64)
    assert_allclose(curve.scores(gaps, ScorerWeights()), 1 + 3 * gaps, atol=1.5)


@pytest.fixture(scope="module")
def fitted():
    """Return an estimator, samples, labels and their features; three labels are new."""
    rng = np.random.RandomState(0)
    n_labels, n_features, n = 40, 60, 2400
    Z = (rng.rand(n_labels + 3, n_features) < 0.1).astype(np.float32)
    Z[:, :2] = 1
    y = rng.randint(n_labels, size=n)
    X = Z[y] * (rng.rand(n, n_features) < 0.8) + (rng.rand(n, n_features) < 0.05)
    clf = MHEClassifier(random_state=0, label_encoder=LabelEncoder(loss_weight=0.3))
    clf.fit(X[:2200], y[:2200], label_features=Z[:n_labels])
    clf.add_labels(Z[n_labels:])
    return clf, X[2200:], y[2200:], Z


def test_new_labels_take_few_places_of_others(fitted):
    clf, X, y, _ = fitted
    assert clf._fitted.model.mix.imputation is not None
    labels, _ = clf.predict_topk(X, k=3)
    assert (labels >= 40).mean() < 0.06  # three of 43 labels
    assert clf.score(X, y) > 0.9


def test_new_labels_are_found_by_their_texts(fitted):
    clf, _, _, Z = fitted
    rng = np.random.RandomState(1)
    new = np.repeat(np.arange(40, 43), 20)
    X = Z[new] * (rng.rand(60, Z.shape[1]) < 0.9)
    labels, _ = clf.predict_topk(X, k=3)
    assert (labels == new[:, None]).any(1).mean() > 0.8


def test_weights_of_ones_own_use_the_same_curve(fitted):
    clf, X, _, _ = fitted
    before = clf.predict_log_proba(X)
    weights = {"network": 1, "linear": 1, "label_encoder": 3}
    clf.set_params(combination=weights)
    try:
        assert not np.allclose(clf.predict_log_proba(X), before)
        labels, _ = clf.predict_topk(X, k=3)
        assert (labels >= 40).mean() < 0.06
    finally:
        clf.set_params(combination="learned")
