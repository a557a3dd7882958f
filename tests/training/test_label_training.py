"""The label encoder's part of training, against written-out losses."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from training_problems import CPU, N_FEATURES, N_LABELS, N, make_data, make_network

from skmhe.scorers.batch import Batch
from skmhe.scorers.network import EncoderSpec
from skmhe.training import label_encoder
from skmhe.training.data import true_pairs
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.pools import PoolPlan

Z = np.random.RandomState(5).randn(N_LABELS, N_FEATURES).astype(np.float32)
PLAN = PoolPlan(N_LABELS, 3, 0, 3, 2, False)


def make_encoder(**changes):
    return make_network(encoder=EncoderSpec(0.5), **changes).eval()


def make_labels(data, **plan):
    counts = np.bincount(true_pairs(data.y)[1], minlength=N_LABELS)
    return LabelTraining(Z, PLAN._replace(**plan), counts, N)


def cosines(network, X):
    with torch.no_grad():
        samples = network.embed_samples(Batch(X, CPU))
        return network.encoder(samples, network.embed_labels(Z)).double().numpy()


def loss_of(labels, network, data, rows, label_weight=None):
    part = data.take(rows)
    weight = part.sample_weight
    return labels.loss(
        network,
        Batch(part.X, CPU),
        part.y,
        None if weight is None else torch.from_numpy(weight),
        rows=rows,
        rng=np.random.RandomState(0),
        label_weight=label_weight,
    ).item()


def expected_loss(scores, true, weight, label_weight):
    """Return the mean over samples of the mean -log softmax of their labels."""
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    losses = (true * label_weight * -log_p).sum(1) / np.maximum(true.sum(1), 1)
    return (losses * weight).mean()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
def test_loss_of_a_pool_of_all_labels(multilabel, weighted):
    data, rows = make_data(multilabel, weighted), np.array([3, 4, 11, 20])
    network, labels = make_encoder(), make_labels(data)
    true = data.y.toarray() if multilabel else np.eye(N_LABELS)[data.y]
    label_weight = np.linspace(0.5, 2, N_LABELS) if weighted else np.ones(N_LABELS)
    expected = expected_loss(
        cosines(network, data.X[rows]),
        true[rows],
        data.sample_weight[rows] if weighted else 1,
        label_weight,
    )
    given = torch.from_numpy(label_weight).float() if weighted else None
    found = loss_of(labels, network, data, rows, given)
    assert found == pytest.approx(expected, rel=1e-5)


def test_one_labels_scores_are_corrected_by_how_often_a_pool_holds_them():
    data, rows = make_data(), np.array([0, 1])
    data = data._replace(y=np.array([0, 1, 1, 1] + [2] * 6 + [3] * 5 + [4] * 15))
    network, labels = make_encoder(), make_labels(data, pool_size=4)
    pool = label_encoder.draw_pool(
        labels.plan, data.y[rows], None, labels.counts, np.random.RandomState(0)
    )
    assert len(pool) == 4
    assert {0, 1} <= set(pool)
    # Of 5 labels with samples, 2 of 4 in the pool were drawn at random: a label is in
    # it by that, or as that of the one other sample.
    share = 2 / 4 * 4 / 5
    log_q = np.log(1 - (1 - share) * (1 - labels.counts[pool] / N))
    scores = cosines(network, data.X[rows])[:, pool] - log_q
    true = (data.y[rows][:, None] == pool).astype(float)
    expected = expected_loss(scores, true, 1, 1)
    assert loss_of(labels, network, data, rows) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("search", ["exact", "approximate"])
def test_nearest_labels(container, search):
    if search == "approximate":
        pytest.importorskip("faiss")
    network, data = make_encoder().train(), make_data()
    labels = make_labels(data, shortlist_size=N_LABELS, search=search)
    labels.Z = container(Z)
    data = data._replace(X=container(data.X))
    found = labels.nearest(network, data)
    scores = cosines(network.eval(), data.X)
    assert_array_equal(found, np.argsort(-scores, axis=1))


@pytest.mark.parametrize(
    ("plan", "epochs"),
    [
        ({}, []),
        ({"n_shortlisted": 1}, [1, 3, 5]),
        ({"neighbor_batches": True, "shortlist_refresh": 1}, [1, 2, 3, 4, 5]),
    ],
)
def test_shortlists_are_found_anew_every_few_epochs(plan, epochs, monkeypatch):
    data, found = make_data(), []
    labels = make_labels(data, **plan)
    monkeypatch.setattr(
        labels, "nearest", lambda network, data: found.append(data) or "f" * N
    )
    when = []
    for epoch in range(6):
        labels.start_epoch(None, data, epoch)
        when += [epoch] * (len(found) - len(when))
    assert when == epochs
    assert labels.shortlists == ("f" * N if epochs else None)
    # Other samples have other neighbors, whenever they come.
    if epochs:
        n_found = len(found)
        labels.start_epoch(None, data.take(slice(1, None)), 6)
        assert len(found) == n_found + 1


def test_neighbors_share_batches_once_they_are_known(monkeypatch):
    monkeypatch.setattr(label_encoder, "RUN", 5)
    data = make_data()
    labels = make_labels(data, neighbor_batches=True)
    order = labels.order(N, np.random.RandomState(0))
    assert_array_equal(order, np.random.RandomState(0).permutation(N))
    labels.shortlists = data.y[:, None]
    order = labels.order(N, np.random.RandomState(0))
    assert_array_equal(np.sort(order), np.arange(N))
    runs = data.y[order].reshape(6, 5)
    assert (runs == runs[:, :1]).all()
    assert_allclose(np.sort(runs[:, 0]), np.arange(6))


def test_hard_negatives_come_from_the_samples_shortlists():
    data, rows = make_data(), np.array([0, 6])  # both of label 0
    network = make_encoder()
    labels = make_labels(data, pool_size=2, n_shortlisted=4)
    labels.shortlists = np.full((N, 3), 4)
    pools, draw = [], label_encoder.draw_pool

    def recorded(*arguments):
        pools.append(draw(*arguments))
        return pools[-1]

    label_encoder.draw_pool = recorded
    try:
        loss_of(labels, network, data, rows)
    finally:
        label_encoder.draw_pool = draw
    assert pools[0].tolist() == [0, 4]
