"""Samples that are labels themselves."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn import config_context

from skmhe import (
    Cascade,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
)
from skmhe.scorers.batch import unit_rows
from skmhe.scorers.own_labels import count_own_labels, own_label_score, own_labels

C, D = 24, 40


def make(cls, **params):
    base = {
        "model": "network",
        "strategy": "full",
        "hidden_layer_sizes": (8,),
        "batch_size": 32,
        "max_iter": 3,
        "random_state": 0,
    }
    return cls(**(base | params))


def counts_of(clf):
    return clf._fitted.model.own_label_counts


def with_counts(clf, counts):
    """Set the counts of a fitted estimator."""
    model = dataclasses.replace(clf._fitted.model, own_label_counts=np.array(counts))
    clf._fitted = clf._fitted._replace(model=model)
    return clf


def make_rows(rng, n):
    return ((rng.rand(n, D) < 0.2) * rng.rand(n, D)).astype(np.float32)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_own_labels_have_equal_features(container):
    rng = np.random.RandomState(0)
    X, Z = make_rows(rng, 50), make_rows(rng, 20)
    X[3], X[7], X[8] = 5 * Z[4], Z[4], Z[9]
    Z[11] = Z[9]
    X[10] = Z[2]
    X[10, np.flatnonzero(Z[2])[0]] *= 1.01  # near, but another one
    X[12], Z[15] = 0, 0
    found = own_labels(unit_rows(container(X)), unit_rows(container(Z))).toarray()
    expected = np.zeros((50, 20))
    expected[[3, 7, 8, 8], [4, 4, 9, 11]] = 1
    assert_array_equal(found, expected)
    y = np.zeros(50, int)
    y[[3, 8]] = [4, 11]
    X, Z = unit_rows(container(X)), unit_rows(container(Z))
    assert_array_equal(count_own_labels(X, Z, y), [2, 2])
    Y = sp.csr_array(np.eye(20)[y])
    assert_array_equal(count_own_labels(X, Z, Y), [2, 2])


def test_pairs_are_compared_in_chunks(monkeypatch):
    # 300 samples and 300 labels are alike: all pairs at once would take 44 MB.
    rows, n_compared = np.ones((300, 64)), []

    def squared_lengths(X):
        n_compared.append(len(X))
        return np.square(X).sum(axis=1)

    monkeypatch.setattr("skmhe.scorers.own_labels.squared_lengths", squared_lengths)
    with config_context(working_memory=1):
        found = own_labels(rows, rows)
    assert max(n_compared) <= 4096
    assert found.nnz == 300 * 300


def test_memory_does_not_grow_with_the_number_of_pairs():
    # Of 3,000 samples and 900 labels, all pairs at once would take 150 MB.
    X, Z, y = np.ones((3000, 4)), np.ones((900, 4)), np.arange(3000) % 1000
    with config_context(working_memory=8):
        for target in (y, sp.csr_array(np.eye(3000, 900, dtype=bool))):
            tracemalloc.start()
            counts = count_own_labels(X, Z, target)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert counts.sum() == 3000 * 900
            assert counts[0] == (900 if target is not y else 2700)
            assert peak < 12e6
        assert own_labels(X, Z).nnz == 3000 * 900
    assert own_labels(X[:0], Z).shape == (0, 900)


def test_features_that_very_many_labels_share_are_those_of_none(monkeypatch):
    monkeypatch.setattr("skmhe.scorers.own_labels.MAX_ALIKE", 3)
    Z = np.eye(5)[[0, 0, 0, 1, 1, 1, 1, 2]]
    found = own_labels(np.eye(5), Z).toarray()
    assert found.sum(axis=1).tolist() == [3, 0, 1, 0, 0]
    assert count_own_labels(np.eye(5), Z, np.arange(5)).tolist() == [1, 3]


def test_scores_are_log_odds():
    assert own_label_score(np.zeros(2, int)) == 0
    assert own_label_score(np.array([0, 100])) == pytest.approx(2 * np.log(0.5 / 100.5))
    assert own_label_score(np.array([7, 0])) == -own_label_score(np.array([0, 7]))


@pytest.mark.parametrize("strategy", ["full", "sampling", Cascade(beam_width=C)])
@pytest.mark.parametrize("is_true", [False, True])
@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_training_tells_whether_own_labels_are_true(cls, is_true, strategy, container):
    # The first label of a sample is that of its words; some samples are labels, and
    # have their own label or the next one.
    rng = np.random.RandomState(0)
    Z = make_rows(rng, C)
    first = np.arange(6 * C) % C
    X = Z[first] + 0.3 * make_rows(rng, len(first))
    y = first if is_true else (first + 1) % C
    own = rng.permutation(C)
    X = np.concatenate([X, Z[own]])
    y = np.concatenate([y, own if is_true else (own + 1) % C])
    if cls is not MHEClassifier:
        y = np.eye(C, dtype=int)[y]
    linear = LinearTree(beam_width=C)
    clf = make(cls, strategy=strategy, model="both", linear=linear)
    clf.set_params(combination="equal")  # what is learned may leave the encoder out
    clf.fit(container(X[: -C // 2]), y[: -C // 2], label_features=container(Z))
    counts = [C // 2, 0] if is_true else [0, C // 2]
    assert_array_equal(counts_of(clf), counts)
    test, labels = container(X[-C // 2 :]), own[-C // 2 :]
    scores = clf.predict_log_proba(test)[np.arange(C // 2), labels]
    without = with_counts(clf, [0, 0]).predict_log_proba(test)[
        np.arange(C // 2), labels
    ]
    assert ((scores > without) == is_true).all()
    # The label encoder's score it is a part of.
    clf.set_params(label_encoder__score_with="classifier")
    alone = clf.predict_proba(test)
    assert_array_equal(with_counts(clf, [0, 50]).predict_proba(test), alone)
    # Labels of one's own features that come later are no exception.
    clf.set_params(label_encoder__score_with="both").add_labels(X[:1])
    p = clf.predict_proba(container(X[:1]))[0, C]
    assert p < with_counts(clf, [0, 0]).predict_proba(container(X[:1]))[0, C]


def test_partial_fit_goes_on_counting():
    rng = np.random.RandomState(0)
    Z = make_rows(rng, C)
    clf = make(MHEClassifier, max_iter=1)
    for start in range(0, C, 8):
        y = np.arange(start, start + 8)
        clf.partial_fit(Z[y], y, classes=np.arange(C), label_features=Z)
    assert_array_equal(counts_of(clf), [C, 0])
    # The last label has no sample: training knows nothing of it.
    clf.fit(Z[1:], np.arange(C - 1), None, Z)
    assert_array_equal(counts_of(clf), [0, C - 2])


def test_other_features_make_no_sample_a_label():
    rng = np.random.RandomState(0)
    Z = make_rows(rng, C)
    clf = make(MHEClassifier, label_encoder=LabelEncoder(backbone=None)).fit(
        Z, np.arange(C), None, Z
    )
    assert_array_equal(counts_of(clf), [0, 0])
