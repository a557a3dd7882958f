"""Predictions of every head."""

import math

import pytest
import torch
from head_cases import (
    GROUPED,
    N_FEATURES,
    N_LABELS,
    every_head,
    gradients,
    heads_of_any_scores,
    heads_without_pool,
    make_features,
    make_head,
    make_targets,
    predictions,
    seeded_loss,
    select,
    to_sparse_rows,
)
from head_oracles import log_prob
from torch.testing import assert_close

from skmhe.nn import (
    SparseRows,
    products,
)


@every_head
def test_log_prob_is_the_written_out_one(name):
    head, features = make_head(name), make_features(6)
    actual = head.log_prob(features)
    assert actual.shape == (6, N_LABELS)
    assert_close(actual, log_prob(head, features))
    assert (actual <= 0).all()
    if not head.multilabel:
        assert_close(actual.exp().sum(1), torch.ones(6, dtype=torch.float64))


@heads_of_any_scores
def test_predictions_are_accurate_for_large_scores(name):
    # Where float32's sigmoid or softmax is 0, its logarithm must still be right.
    head, features = make_head(name), 60 * make_features(10)
    expected = head.log_prob(features)
    assert expected.min() < -150
    head = head.float()
    actual = head.log_prob(features.float())
    assert_close(actual.double(), expected.detach(), rtol=1e-4, atol=1e-3)
    labels, scores = head.topk(features.float(), 3, exact=True)
    assert_close(scores, actual.gather(1, labels))


@every_head
def test_topk_is_the_best_of_all_labels_for_every_k(name):
    head, features = make_head(name), make_features(6)
    expected, order = log_prob(head, features).sort(dim=1, descending=True)
    for k in range(1, N_LABELS + 1):
        labels, scores = head.topk(features, k, exact=True)
        assert labels.dtype == torch.int64
        assert_close(labels, order[:, :k])
        assert_close(scores, expected[:, :k])


@every_head
def test_topk_returns_distinct_used_labels_with_their_log_prob(name):
    # Also where a beam is too narrow to find the best labels.
    head, features = make_head(name), make_features(20)
    dense = head.log_prob(features)
    for k in (1, 3, N_LABELS):
        labels, scores = head.topk(features, k)
        assert torch.isfinite(scores).all()
        if name == "cascade-joint-narrow" and k < N_LABELS:
            # Their share of the labels that the beam found.
            assert (scores > dense.gather(1, labels)).all()
            labels, scores = head.topk(features, k, exact=True)
        assert_close(scores, dense.gather(1, labels))
        assert (scores.diff(dim=1) <= 0).all()
        assert all(len(set(row)) == k for row in labels.tolist())


@every_head
@pytest.mark.parametrize("threshold", [-math.inf, -8.0, -2.0, math.log(0.5), 0.0])
def test_above_is_the_thresholded_log_prob(name, threshold):
    head, features = make_head(name), make_features(9)
    samples, labels = head.above(features, threshold)
    expected = (log_prob(head, features) > threshold).nonzero()
    assert torch.stack([samples, labels], dim=1).tolist() == expected.tolist()
    n_pairs = {-math.inf: 9 * N_LABELS, 0.0: 0}
    assert len(samples) == n_pairs.get(threshold, len(expected))


@heads_without_pool
@pytest.mark.parametrize("sparse", [False, True])
def test_order_of_the_rows_is_irrelevant_and_a_batch_equals_one_by_one(name, sparse):
    head, features = make_head(name), make_features(7)
    features[features.abs() < 0.3] = 0
    targets = make_targets(head, 7)
    features = to_sparse_rows(features) if sparse else features
    batch = predictions(head, features, targets)
    mean = seeded_loss(head, features, targets)
    assert_close(mean, batch[-1].mean())

    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    shuffled = predictions(head, select(features, order), targets[order])
    assert_close(shuffled, tuple(part[order] for part in batch))
    assert_close(seeded_loss(head, select(features, order), targets[order]), mean)

    for i in range(7):
        single = predictions(head, select(features, [i]), targets[[i]])
        assert_close(single, tuple(part[[i]] for part in batch))


@every_head
def test_sparse_features_equal_dense_ones(name):
    dense = make_features(8)
    dense[dense.abs() < 0.8] = 0
    dense[:, 1] = 0  # a feature that the batch does not have
    dense[3] = 0  # a sample without features
    head, targets = make_head(name), make_targets(make_head(name), 8)
    results = []
    for features in (dense, to_sparse_rows(dense)):
        grads = gradients(head, seeded_loss(head, features, targets))
        results.append((predictions(head, features, targets), grads))
    assert_close(results[1], results[0])
    assert all(grad.abs().sum() > 0 for grad in results[0][1])


@every_head
def test_a_feature_stored_twice_in_a_sample_counts_twice(name):
    head, targets = make_head(name), make_targets(make_head(name), 2)
    rows = SparseRows(
        indices=torch.tensor([4, 0, 4, 2]),
        offsets=torch.tensor([0, 3, 4]),
        values=torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64),
        n_features=N_FEATURES,
    )
    dense = torch.tensor([[-2, 0, 0, 0, 1.5], [0, 0, 3, 0, 0]], dtype=torch.float64)
    assert_close(predictions(head, rows, targets), predictions(head, dense, targets))


@every_head
def test_samples_without_any_feature(name):
    head, targets = make_head(name), make_targets(make_head(name), 2)
    zeros = torch.zeros(2, N_FEATURES, dtype=torch.float64)
    rows = to_sparse_rows(zeros)
    assert_close(predictions(head, rows, targets), predictions(head, zeros, targets))


@pytest.mark.parametrize("name", GROUPED)
def test_gathering_rows_equals_blocks(name, monkeypatch):
    head, features = make_head(name), make_features(8)
    targets = make_targets(head, 8)
    results = []
    for path in (0, math.inf):
        monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", path)
        grads = gradients(head, seeded_loss(head, features, targets))
        results.append((predictions(head, features, targets), grads))
    assert_close(results[0], results[1])


@every_head
@pytest.mark.parametrize("sparse", [False, True])
def test_scores_of_some_samples_are_those_of_all(name, sparse):
    head, features = make_head(name), make_features(7)
    features[:, 1] = 0  # a feature that the batch does not have
    scores = head.bind(to_sparse_rows(features) if sparse else features)
    expected = head.log_prob(features)
    for rows in (slice(2, 5), torch.tensor([6, 0, 3])):
        part = scores.take(rows)
        assert_close(head.search.log_prob(part), expected[rows])
        nested = part.take(torch.tensor([2, 0]))
        assert_close(head.search.log_prob(nested), expected[rows][[2, 0]])
    # A head alone has no shortlist.
    assert scores.shortlist() is None


@every_head
def test_sparse_features_are_made_dense_once(name, monkeypatch):
    head, calls = make_head(name), []
    compact = SparseRows.to_compact
    monkeypatch.setattr(
        SparseRows, "to_compact", lambda rows: calls.append(1) or compact(rows)
    )
    scores = head.bind(to_sparse_rows(make_features(7)))
    head.search.topk(scores, 3, exact=True)
    head.search.log_prob(scores.take(torch.tensor([3])))
    assert calls == [1]


@every_head
def test_no_samples(name):
    head, features = make_head(name), make_features(0)
    assert [len(part) for part in head.above(features, -3.0)] == [0, 0]
    assert head.log_prob(features).shape == (0, N_LABELS)
    assert [part.shape for part in head.topk(features, 2)] == [(0, 2), (0, 2)]


@every_head
def test_predictions_change_neither_the_head_nor_the_random_state(name):
    head, features = make_head(name), make_features(5)
    before = {key: value.clone() for key, value in head.state_dict().items()}
    random_state = torch.get_rng_state()
    head.topk(features, 3, exact=True)
    head.log_prob(features)
    head.above(features, -1.0)
    assert_close(dict(head.state_dict()), before)
    assert head.training
    assert torch.equal(torch.get_rng_state(), random_state)
