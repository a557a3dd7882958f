"""The training loop: batches, losses, stopping, validation, random numbers."""

import copy
import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from training_problems import (
    CPU,
    N_FEATURES,
    N_LABELS,
    N,
    make_data,
    make_network,
    make_plan,
    make_trainer,
    run,
)

from skmhe.nn import RowAdamW
from skmhe.scorers.batch import Batch, unit_rows
from skmhe.scorers.generators import Generators
from skmhe.scorers.network import EncoderSpec
from skmhe.scorers.training_centroids import fit_centroids
from skmhe.training import loop
from skmhe.training.interruption import Interruption
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.loop import (
    History,
    Trainer,
    validation_score,
    with_features,
)


class Visits:
    """Stands for the steps of an epoch, and records what they are given."""

    def __init__(self, monkeypatch, losses=None):
        self.batches, self.losses = [], losses
        monkeypatch.setattr(Trainer, "step", lambda *args: self.visit(*args))

    def visit(self, trainer, rows):
        self.batches.append(trainer.data.take(rows))
        return 1.0 if self.losses is None else self.losses[len(self.batches) - 1]


def test_a_step_is_the_work_of_a_batch():
    data = make_data()
    whole, half = (
        make_trainer(make_network(), data, make_plan(batch_size=size)).multiply_adds()
        for size in (N, N // 2)
    )
    larger = make_trainer(make_network(), data, make_plan(batch_size=2 * N))
    assert larger.multiply_adds() == whole == 2 * half > 0


def test_each_epoch_visits_each_row_once_in_another_order(monkeypatch):
    visits = Visits(monkeypatch)
    data = make_data()._replace(X=np.arange(N, dtype=np.float32)[:, None])
    history = run(make_network(), data, make_plan(max_iter=2))
    assert history.n_iter == 2
    assert [len(batch.X) for batch in visits.batches] == [8, 8, 8, 6] * 2
    rows = [batch.X.ravel().tolist() for batch in visits.batches]
    for epoch in (rows[:4], rows[4:]):
        assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(N))
    assert rows[:4] != rows[4:]
    # X, y and weights stay together.
    for batch in visits.batches:
        assert_array_equal(batch.y, batch.X.ravel().astype(int) % N_LABELS)


def test_loss_of_an_epoch_is_the_mean_over_samples(monkeypatch):
    Visits(monkeypatch, losses=[1.0, 2.0, 3.0, 10.0])
    history = run(make_network(), make_data(), make_plan(max_iter=1))
    # The last batch has 6 samples.
    assert_allclose(history.losses, [(8 * 1 + 8 * 2 + 8 * 3 + 6 * 10) / N])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_divergence_is_an_error(monkeypatch, loss):
    Visits(monkeypatch, losses=[1.0, loss, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"diverged: the loss became .*lower learning"):
        run(make_network(), make_data(), make_plan())


def test_weights_that_the_last_step_made_infinite_are_an_error(monkeypatch):
    network = make_network()

    def step(*_):
        with torch.no_grad():
            network.head.biases[0][2] = math.inf
        return 1.0

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(ValueError, match="the weights became infinite or NaN"):
        run(network, make_data(), make_plan())


@pytest.mark.parametrize(
    ("kind", "multilabel"),
    [
        ("full", False),
        ("cascade", False),
        ("product", False),
        ("sampling", False),
        ("full", True),
        ("cascade", True),
        ("sampling", True),
    ],
)
def test_training_lowers_the_loss(kind, multilabel):
    network = make_network(kind, multilabel)
    before = copy.deepcopy(network.state_dict())
    with Generators(0, CPU).drawing():
        data = make_data(multilabel, weighted=True)
        history = run(network, data, make_plan(max_iter=15))
    assert history.losses[-1] < history.losses[0]
    after = network.state_dict()
    changed = {k for k in after if not torch.equal(after[k], before[k])}
    assert changed == {name for name, _ in network.named_parameters()}


def test_one_full_batch_is_one_step():
    network, twin = make_network(), make_network()
    # Weight decay is for users' backbones.
    data, plan = make_data(), make_plan(batch_size=N, max_iter=1)
    run(network, data, plan)
    optimizer = RowAdamW(twin.parameters(), lr=0.05)
    features = twin.backbone(torch.from_numpy(data.X))
    scores = features @ twin.head.weights[0].T + twin.head.biases[0]
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(data.y)).backward()
    optimizer.step()
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_run_epoch_switches_dropout_on():
    network = make_network(dropout=(0.9, 0.9)).eval()
    modes = []
    network.backbone.register_forward_hook(lambda m, *_: modes.append(m.training))
    trainer = make_trainer(network, make_data(), make_plan())
    trainer.run_epoch(Interruption())
    assert modes == [True] * 4


def test_training_again_in_the_middle_of_validation():
    # Scoring switches dropout off; the next epoch must switch it on again.
    network = make_network(dropout=(0.5, 0.5))
    modes = []
    network.backbone.register_forward_hook(lambda m, *_: modes.append(m.training))
    data = make_data()
    run(network, data, make_plan(max_iter=2, batch_size=N), validation=data)
    assert modes == [True, False] * 2


# ------------------------------------------------------------ stopping


def make_history(losses, scores=None):
    history = History()
    history.epochs = [{"loss": loss} for loss in losses]
    for epoch, score in zip(history.epochs, scores or [], strict=False):
        epoch["validation_score"] = score
    return history


@pytest.mark.parametrize(
    ("losses", "patience", "stalled"),
    [
        ([3.0, 2.0, 1.0], 1, False),
        ([3.0, 2.0, 2.0], 1, True),
        ([3.0, 2.0, 1.99995], 1, True),  # too little
        ([3.0, 2.0, 1.9998], 1, False),
        ([3.0, 2.0, 2.5, 1.0], 2, False),
        ([3.0, 2.0, 2.5, 2.0], 2, True),
        ([3.0, 2.0, 2.5, 2.4], 2, True),  # better than the last, not than the best
        ([3.0], 1, False),
    ],
)
def test_history_of_losses(losses, patience, stalled):
    plan = make_plan(n_iter_no_change=patience)
    assert make_history(losses).has_stalled(plan) == stalled
    # Scores count upwards, and before losses.
    constant, scores = [1.0] * len(losses), [-loss for loss in losses]
    assert make_history(constant, scores).has_stalled(plan) == stalled


def test_small_gains_do_not_add_up_to_a_stop_before_their_time():
    # Each gain is too little, so that patience runs out in spite of progress.
    history = make_history([1.0, 0.99995, 0.9999])
    assert history.has_stalled(make_plan(n_iter_no_change=2))
    history = make_history([1.0, 0.9995, 0.999])
    assert not history.has_stalled(make_plan(n_iter_no_change=2))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", ["full", "cascade", "sampling"])
def test_validation_score(kind, multilabel, weighted):
    network = make_network(kind, multilabel).eval()
    data = make_data(multilabel, weighted)
    with torch.no_grad():
        best = network.head.log_prob(network.backbone(torch.from_numpy(data.X)))
    best = best.argmax(dim=1).numpy()
    if multilabel:
        correct = data.y.toarray()[np.arange(N), best] == 1
    else:
        correct = best == data.y
    expected = np.average(correct, weights=data.sample_weight)
    assert 0 < expected < 1
    assert_allclose(validation_score(network, data), expected, rtol=1e-6)


@pytest.mark.parametrize("multilabel", [False, True])
def test_validation_leaves_samples_out_of_the_centroids(multilabel):
    network = make_network("sampling", multilabel, centroid_scale=4.0).eval()
    data = make_data(multilabel)
    X = unit_rows(data.X)
    Y = data.y if multilabel else sp.csr_array(np.eye(N_LABELS)[data.y])
    centroids = fit_centroids(X, Y)
    labels = np.arange(N_LABELS)
    scale = network.log_centroid_scale.exp().item()
    similar = scale * centroids.cosines(X, labels)
    with torch.no_grad():
        features = network.backbone(torch.from_numpy(data.X))
        best = (network.head.log_prob(features).numpy() + similar).argmax(1)
        if multilabel:  # as log-odds
            p = network.head.log_prob(features).double().exp()
            best = (torch.logit(p).numpy() + similar).argmax(1)
    true = Y.toarray()[np.arange(N), best]
    assert 0 < true.mean() < 1
    found = validation_score(network, data._replace(centroids=centroids))
    assert found == pytest.approx(true.mean())


def test_the_best_epochs_weights_are_kept(monkeypatch):
    network, states, scores = make_network(), [], iter([0.2, 0.5, 0.5, 0.1])

    def score(network, *_):
        states.append(copy.deepcopy(network.state_dict()))
        return next(scores)

    monkeypatch.setattr(loop, "validation_score", score)
    plan = make_plan(max_iter=4, averaging_decay=None)
    history = run(network, make_data(), plan, validation=make_data())
    assert history.validation_scores == [0.2, 0.5, 0.5, 0.1]
    for name, value in network.state_dict().items():
        assert torch.equal(value, states[1][name])
    assert not torch.equal(states[1]["head.weights.0"], states[3]["head.weights.0"])


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", ["full", "cascade"])
def test_validation_adds_the_label_encoder(kind, multilabel):
    encoder = EncoderSpec(0.5)
    network = make_network(kind, multilabel, encoder=encoder).eval()
    data, rng = make_data(multilabel), np.random.RandomState(3)
    Z = rng.randn(N_LABELS, N_FEATURES).astype(np.float32)
    labels = LabelTraining(Z, None, np.ones(N_LABELS), N)
    with torch.no_grad():
        rows = torch.from_numpy(data.X)
        features = network.features(rows)
        scores = network.head.log_prob(features).double()
        added = network.encoder(
            network.embed_samples(Batch(data.X, CPU)), network.embed_labels(Z)
        )
        if kind == "full":
            scores = torch.logit(scores.exp()) if multilabel else scores
            best = (scores + added).argmax(1).numpy()
        else:  # the encoder scores the last level's children
            first, leaves = (
                features @ w.T + b
                for w, b in zip(network.head.weights, network.head.biases, strict=True)
            )
            leaves = (leaves + added).view(N, 3, 2)
            if multilabel:
                p = first.sigmoid()[:, :, None] * leaves.sigmoid()
            else:
                p = first.softmax(1)[:, :, None] * leaves.softmax(2)
            best = p.flatten(1).argmax(1).numpy()
    true = data.y.toarray() if multilabel else np.eye(N_LABELS)[data.y]
    expected = true[np.arange(N), best].mean()
    assert 0 < expected < 1
    assert validation_score(network, data, labels) == pytest.approx(expected)


def test_features_that_are_known():
    network, data = make_network().eval(), make_data(weighted=True)
    features = with_features(network, data)
    assert features.has_features
    with torch.no_grad():
        expected = network.features(torch.from_numpy(data.X))
    assert_allclose(features.X.features, expected, rtol=1e-5)
    expected = validation_score(network, data)
    assert validation_score(network, features) == expected
    # The backbone is not asked again.
    network.backbone = None
    assert validation_score(network, features) == expected
    run(network, features, make_plan(max_iter=1))
