"""The training loop on its own: batches, losses, stopping, random numbers."""

import copy
import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier, _training
from skmhe._centroids import fit_centroids, left_out_similarities
from skmhe._network import Network, NetworkSpec
from skmhe._optimizing import make_optimizer, optimizer_state_to_numpy
from skmhe._rows import unit_rows
from skmhe._targets import Target, check_label_weight
from skmhe._training import (
    History,
    TrainingData,
    TrainingPlan,
    batch_slices,
    hold_out,
    run_epoch,
    seeded,
    targets_to_tensor,
    train,
    validation_score,
)

CPU = torch.device("cpu")
N, N_LABELS, N_FEATURES = 30, 6, 4


def make_network(strategy="full", multilabel=False, **changes):
    spec = NetworkSpec(
        n_features=N_FEATURES,
        n_labels=N_LABELS,
        multilabel=multilabel,
        strategy=strategy,
        head_sizes=(3, 2),
        rank=1,
        beam_width=3,
        hard_negatives=True,
        n_sampled_groups=2,
        has_network=True,
        has_centroids=False,
        linear_weight=1.0,
        hidden_layer_sizes=(5,),
        activation="relu",
        dropout=0.0,
        input_dropout=0.0,
    )
    with seeded(0, CPU):
        return Network(spec._replace(**changes))


def make_plan(**changes):
    plan = TrainingPlan(
        max_iter=3,
        batch_size=8,
        learning_rate_init=0.05,
        learning_rate="constant",
        alpha=0.0,
        tol=1e-4,
        n_iter_no_change=10,
        verbose=False,
    )
    return plan._replace(**changes)


def make_data(multilabel=False, weighted=False):
    rng = np.random.RandomState(0)
    X = rng.randn(N, N_FEATURES).astype(np.float32)
    y = np.arange(N) % N_LABELS
    if multilabel:
        y = sp.csr_array((rng.rand(N, N_LABELS) < 0.3).astype(np.float32))
    weight = rng.uniform(0.5, 1.5, N).astype(np.float32) if weighted else None
    return TrainingData(X, y, weight)


# ------------------------------------------------------------ data


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
def test_take(multilabel, weighted):
    data = make_data(multilabel, weighted)
    rows = np.array([4, 1, 1])
    part = data.take(rows)
    assert_array_equal(part.X, data.X[rows])
    if multilabel:
        assert_array_equal(part.y.toarray(), data.y.toarray()[rows])
    else:
        assert_array_equal(part.y, data.y[rows])
    if weighted:
        assert_array_equal(part.sample_weight, data.sample_weight[rows])
    else:
        assert part.sample_weight is None


def test_targets_to_tensor():
    single = targets_to_tensor(make_data().y, CPU)
    assert single.dtype == torch.int64
    Y = make_data(multilabel=True).y
    tensor = targets_to_tensor(Y, CPU)
    assert tensor.is_coalesced()
    assert_array_equal(tensor.to_dense().numpy(), Y.toarray())
    # It says that it is coalesced: that must be true.
    keys = tensor.indices()[0] * N_LABELS + tensor.indices()[1]
    assert (keys.diff() > 0).all()
    nothing = targets_to_tensor(sp.csr_array((3, N_LABELS), dtype=np.float32), CPU)
    assert_array_equal(nothing.to_dense().numpy(), np.zeros((3, N_LABELS)))


# ------------------------------------------------------------ the loop


class Visits:
    """Stands for the steps of an epoch, and records what they are given."""

    def __init__(self, monkeypatch, losses=None):
        self.batches, self.losses = [], losses
        monkeypatch.setattr(_training, "train_step", self)

    def __call__(self, network, optimizer, batch, label_weight, plan, loss):
        self.batches.append(batch)
        return 1.0 if self.losses is None else self.losses[len(self.batches) - 1]


def test_each_epoch_visits_each_row_once_in_another_order(monkeypatch):
    visits = Visits(monkeypatch)
    data = make_data()._replace(X=np.arange(N, dtype=np.float32)[:, None])
    history = train(
        make_network(), data, make_plan(max_iter=2), np.random.RandomState(0)
    )
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
    data = make_data()
    history = train(
        make_network(), data, make_plan(max_iter=1), np.random.RandomState(0)
    )
    # The last batch has 6 samples.
    assert_allclose(history.loss_curve, [(8 * 1 + 8 * 2 + 8 * 3 + 6 * 10) / N])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_divergence_is_an_error(monkeypatch, loss):
    Visits(monkeypatch, losses=[1.0, loss, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"diverged: the loss became .*lower learning"):
        train(make_network(), make_data(), make_plan(), np.random.RandomState(0))


@pytest.mark.parametrize(
    ("strategy", "multilabel"),
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
def test_training_lowers_the_loss(strategy, multilabel):
    network = make_network(strategy, multilabel)
    before = copy.deepcopy(network.state_dict())
    with seeded(0, CPU):
        history = train(
            network,
            make_data(multilabel, weighted=True),
            make_plan(max_iter=15),
            np.random.RandomState(0),
        )
    assert history.loss_curve[-1] < history.loss_curve[0]
    after = network.state_dict()
    changed = {k for k in after if not torch.equal(after[k], before[k])}
    assert changed == {name for name, _ in network.named_parameters()}


@given(st.integers(1, 60), st.integers(1, 20))
def test_batches_hold_each_sample_once_and_none_has_one_alone(n, batch_size):
    places = batch_slices(n, batch_size)
    rows = [np.arange(n)[place] for place in places]
    assert_array_equal(np.concatenate(rows), np.arange(n))
    sizes = [len(row) for row in rows]
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] <= batch_size + 1
    if min(n, batch_size) > 1:
        assert min(sizes) > 1


def test_one_full_batch_is_one_step_of_adamw():
    network, twin = make_network(), make_network()
    data, plan = make_data(), make_plan(batch_size=N, max_iter=1, alpha=0.1)
    train(network, data, plan, np.random.RandomState(0))
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.05, weight_decay=0.1)
    features = twin.backbone(torch.from_numpy(data.X))
    scores = features @ twin.head.weights[0].T + twin.head.biases[0]
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(data.y)).backward()
    # AdamW of torch takes dense gradients only.
    for parameter in twin.parameters():
        parameter.grad = parameter.grad.to_dense()
    optimizer.step()
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_run_epoch_switches_dropout_on():
    network = make_network(dropout=0.9).eval()
    modes = []
    network.backbone.register_forward_hook(lambda m, *_: modes.append(m.training))
    plan, data = make_plan(), make_data()
    optimizer = make_optimizer(network, plan)
    progress = _training.Progress(network, optimizer, plan, 4)
    with progress.bar:
        run_epoch(
            network,
            optimizer,
            data,
            plan,
            np.random.RandomState(0),
            None,
            progress,
        )
    assert modes == [True] * 4


def test_training_again_in_the_middle_of_validation(monkeypatch):
    # Scoring switches dropout off; the next epoch must switch it on again.
    network = make_network(dropout=0.5)
    modes = []
    network.backbone.register_forward_hook(lambda m, *_: modes.append(m.training))
    data = make_data()
    plan = make_plan(max_iter=2, batch_size=N)
    train(network, data, plan, np.random.RandomState(0), validation=data)
    assert modes == [True, False] * 2


# ------------------------------------------------------------ stopping


@pytest.mark.parametrize(
    ("losses", "patience", "stalled"),
    [
        ([3.0, 2.0, 1.0], 1, False),
        ([3.0, 2.0, 2.0], 1, True),
        ([3.0, 2.0, 1.95], 1, True),  # less than tol
        ([3.0, 2.0, 2.5, 1.0], 2, False),
        ([3.0, 2.0, 2.5, 2.0], 2, True),
        ([3.0, 2.0, 2.5, 2.4], 2, True),  # better than the last, not than the best
        ([3.0], 1, False),
    ],
)
def test_history_of_losses(losses, patience, stalled):
    history = History()
    history.loss_curve = losses
    plan = make_plan(tol=0.1, n_iter_no_change=patience)
    assert history.has_stalled(plan) == stalled
    # Scores count upwards, and before losses.
    history.validation_scores = [-loss for loss in losses]
    history.loss_curve = [1.0] * len(losses)
    assert history.has_stalled(plan) == stalled


def test_small_gains_do_not_add_up_to_a_stop_before_their_time():
    history = History()
    # Each gain is below tol, so that patience runs out in spite of progress.
    history.loss_curve = [1.0, 0.95, 0.9]
    assert history.has_stalled(make_plan(tol=0.1, n_iter_no_change=2))
    assert not history.has_stalled(make_plan(tol=0.01, n_iter_no_change=2))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("strategy", ["full", "cascade"])
def test_validation_score(strategy, multilabel, weighted):
    network = make_network(strategy, multilabel).eval()
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
def test_validation_leaves_samples_out_of_the_centroids_beside(multilabel):
    network = make_network("sampling", multilabel, has_centroids=True).eval()
    data = make_data(multilabel)
    X = unit_rows(data.X)
    Y = data.y if multilabel else sp.csr_array(np.eye(N_LABELS)[data.y])
    centroids = fit_centroids(X, Y)
    labels = np.arange(N_LABELS)
    scale = network.log_centroid_scale.exp().item()
    similar = scale * left_out_similarities(centroids, X, labels)
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


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_hold_out_splits_rows(fraction):
    y = np.arange(N) % N_LABELS
    kept, held_out = hold_out(y, fraction, np.random.RandomState(0))
    assert_array_equal(np.sort(np.r_[kept, held_out]), np.arange(N))
    assert len(held_out) == round(fraction * N)
    assert set(y[kept]) == set(range(N_LABELS))
    again = hold_out(y, fraction, np.random.RandomState(0))
    assert_array_equal(again[1], held_out)
    other = hold_out(y, fraction, np.random.RandomState(1))
    assert not np.array_equal(other[1], held_out)


def test_hold_out_keeps_a_sample_of_each_label():
    y = np.array([0, 1, 1, 2, 2, 2])
    for seed in range(20):
        kept, _ = hold_out(y, 0.9, np.random.RandomState(seed))
        assert sorted(y[kept].tolist()) == [0, 1, 2]


# ------------------------------------------------------------ random numbers


def test_seeded_repeats_and_restores():
    state = torch.get_rng_state()
    draws = []
    for seed in (1, 1, 2):
        with seeded(seed, CPU):
            draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(RuntimeError, match="on purpose"), seeded(1, CPU):
        torch.rand(1)
        raise RuntimeError("on purpose")
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------ the optimiser


def test_optimizer_goes_on_from_a_state():
    plan = make_plan(batch_size=N, max_iter=1)
    data = make_data()

    def run(network, optimizer):
        train(network, data, plan, np.random.RandomState(0), optimizer=optimizer)

    together = make_network()
    optimizer = make_optimizer(together, plan)
    run(together, optimizer)
    apart = copy.deepcopy(together)
    # It shares memory with the optimiser, which goes on below.
    state = copy.deepcopy(optimizer_state_to_numpy(together, optimizer))
    fresh = copy.deepcopy(together)
    run(together, optimizer)
    run(apart, make_optimizer(apart, plan, state))
    run(fresh, make_optimizer(fresh, plan))
    for a, b in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(together.head.weights[0], fresh.head.weights[0])


def test_optimizer_leaves_the_given_state_alone():
    plan = make_plan(batch_size=N, max_iter=1)
    network = make_network()
    optimizer = make_optimizer(network, plan)
    train(network, make_data(), plan, np.random.RandomState(0), optimizer=optimizer)
    state = optimizer_state_to_numpy(network, optimizer)
    before = copy.deepcopy(state)
    other = make_optimizer(network, plan, state)
    train(network, make_data(), plan, np.random.RandomState(0), optimizer=other)
    assert len(before) == len(list(network.parameters()))
    for index, moments in before.items():
        for name, value in moments.items():
            assert_array_equal(value, state[index][name], err_msg=name)


def test_optimizer_has_the_settings_of_the_plan_not_of_the_state():
    network = make_network()
    optimizer = make_optimizer(network, make_plan())
    train(
        network,
        make_data(),
        make_plan(max_iter=1),
        np.random.RandomState(0),
        optimizer=optimizer,
    )
    plan = make_plan(learning_rate_init=1e-4, alpha=0.25)
    other = make_optimizer(network, plan, optimizer_state_to_numpy(network, optimizer))
    assert other.param_groups[0]["lr"] == 1e-4
    assert other.param_groups[0]["weight_decay"] == 0.25


def test_fitted_estimators_hold_no_tensors():
    # Tensors would pickle with their device.
    X, y = make_data()[:2]
    clf = MHEClassifier(hidden_layer_sizes=(4,), random_state=0, device="cpu")
    clf.partial_fit(X, y, classes=np.arange(N_LABELS))

    def tensors(value):
        if isinstance(value, torch.Tensor):
            return [value]
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return [found for item in value for found in tensors(item)]
        return []

    assert clf._optimizer_state
    assert tensors(vars(clf)) == []


# ------------------------------------------------------------ class weights


class CountedClasses(np.ndarray):
    """Labels that count how often someone goes through all of them."""

    passes = 0

    def __iter__(self):
        type(self).passes += 1
        return super().__iter__()


def test_class_weight_of_many_labels_takes_linear_time():
    classes = np.arange(50).view(CountedClasses)
    target = Target(np.arange(50), classes, "labels")
    CountedClasses.passes = 0
    weight = check_label_weight(dict.fromkeys(range(50), 2.0), target, None)
    assert_array_equal(weight, np.full(50, 2.0))
    assert CountedClasses.passes < 10
