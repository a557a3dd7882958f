"""Samples that are labels themselves."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from test_label_features import BOTH, C, D, make
from test_network import SPEC

from skmhe import MHEClassifier
from skmhe._offsets import EncoderOffsets, add_entries
from skmhe._own_labels import count_own_labels, own_label_score, own_labels
from skmhe._rows import unit_rows


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


def test_scores_are_log_odds():
    assert own_label_score(np.zeros(2, int)) == 0
    assert own_label_score(np.array([0, 100])) == pytest.approx(2 * np.log(0.5 / 100.5))
    assert own_label_score(np.array([7, 0])) == -own_label_score(np.array([0, 7]))


def test_offsets_of_labels_groups_and_children_agree():
    torch.manual_seed(0)
    samples, table = torch.randn(6, 4), torch.randn(11, 4)
    own = sp.csr_array(([-5.0, 3.0, 2.0], ([1, 1, 4], [0, 10, 7])), shape=(6, 11))
    offsets = EncoderOffsets(samples, table, SPEC, own.astype(np.float32))
    everything = offsets.labels()
    plain = EncoderOffsets(samples, table, SPEC).labels()
    assert_allclose(everything - plain, own.toarray(), atol=1e-5)
    groups = torch.tensor([[0, 3], [3, 1], [0, 1], [1, 2], [2, 0], [3, 2]])
    members = offsets.members(groups)
    pairs = torch.tensor([1, 4, 1, 2, 0]), torch.tensor([3, 2, 0, 2, 1])
    children = offsets.children(1, *pairs)
    for found, rows, columns in (
        (members.flatten(0, 1), torch.arange(6).repeat_interleave(2), groups.flatten()),
        (children, *pairs),
    ):
        for scores, row, group in zip(found, rows, columns, strict=True):
            labels = torch.arange(3 * group, min(3 * group + 3, 11))
            assert_allclose(scores[: len(labels)], everything[row, labels], atol=1e-5)
    for rows in (slice(1, 3), torch.tensor([4, 1])):
        assert_allclose(offsets.take(rows).labels(), everything[rows], atol=1e-5)
    # No sample of these pairs is a label.
    alone = torch.tensor([0, 2]), torch.tensor([1, 1])
    assert_allclose(offsets.children(1, *alone)[0], everything[0, 3:6], atol=1e-5)


def test_entries_are_added_in_place():
    scores = torch.zeros(2, 3)
    entries = sp.csr_array(np.array([[0, 2.0, 0], [1, 0, 0]]))
    assert add_entries(scores, entries) is scores
    assert_array_equal(scores, entries.toarray())
    assert add_entries(scores, None) is scores


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
@pytest.mark.parametrize("is_true", [False, True])
@pytest.mark.parametrize("cls", BOTH)
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
    clf = make(cls, strategy=strategy, model="both", beam_width=C)
    clf.fit(container(X[: -C // 2]), y[: -C // 2], label_features=container(Z))
    counts = [C // 2, 0] if is_true else [0, C // 2]
    assert_array_equal(clf._own_label_counts, counts)
    test, labels = container(X[-C // 2 :]), own[-C // 2 :]
    scores = clf.predict_log_proba(test)[np.arange(C // 2), labels]
    clf._own_label_counts = np.zeros(2, int)
    without = clf.predict_log_proba(test)[np.arange(C // 2), labels]
    assert ((scores > without) == is_true).all()
    # The label encoder's score it is a part of.
    clf.set_params(scoring="classifier")
    alone = clf.predict_proba(test)
    clf._own_label_counts = np.array([0, 50])
    assert_array_equal(clf.predict_proba(test), alone)
    # Labels of one's own features that come later are no exception.
    clf.set_params(scoring="both").add_labels(X[:1])
    p = clf.predict_proba(container(X[:1]))[0, C]
    clf._own_label_counts = np.zeros(2, int)
    assert p < clf.predict_proba(container(X[:1]))[0, C]


def test_partial_fit_goes_on_counting():
    rng = np.random.RandomState(0)
    Z = make_rows(rng, C)
    clf = make(MHEClassifier, max_iter=1)
    for start in range(0, C, 8):
        y = np.arange(start, start + 8)
        clf.partial_fit(Z[y], y, classes=np.arange(C), label_features=Z)
    assert_array_equal(clf._own_label_counts, [C, 0])
    assert_array_equal(
        # The last label has no sample: training knows nothing of it.
        clf.fit(Z[1:], np.arange(C - 1), None, Z)._own_label_counts,
        [0, C - 2],
    )


def test_other_features_make_no_sample_a_label():
    rng = np.random.RandomState(0)
    Z = make_rows(rng, C)
    clf = make(MHEClassifier, share_encoder=False).fit(Z, np.arange(C), None, Z)
    assert_array_equal(clf._own_label_counts, [0, 0])
