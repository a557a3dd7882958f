"""Which effect parameters of layers and of training have."""

import copy

import numpy as np
import pytest
import torch
from estimator_problems import N_CLASSES, N_FEATURES, both, differ, make_data
from lone_networks import fit, network_alone, weights
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier
from skmhe.estimators import features as features_module
from skmhe.estimators import recipe
from skmhe.estimators.resolution import EFFORTS
from skmhe.scorers.network import network_from_weights
from skmhe.training import fit as training_fit
from skmhe.training import label_encoder, loop
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.loop import Trainer
from skmhe.training.pools import PoolPlan

N = 96


def network_of(clf):
    model = clf._fitted.model
    return network_from_weights(model.spec, model.weights, torch.device("cpu"))


@pytest.fixture
def batches(monkeypatch):
    """The numbers of samples of all steps."""
    sizes, step = [], Trainer.step

    def recorded(trainer, rows):
        sizes.append(len(rows))
        return step(trainer, rows)

    monkeypatch.setattr(Trainer, "step", recorded)
    return sizes


@both
def test_hidden_layer_sizes(cls):
    def shapes(sizes):
        return [
            weight.shape
            for name, weight in weights(fit(cls, hidden_layer_sizes=sizes)).items()
            if name.startswith("backbone.layers") and name.endswith("weight")
        ]

    assert shapes(5) == shapes((5,)) == [(N_FEATURES, 5)]
    assert shapes((8, 4)) == shapes([8, 4]) == [(N_FEATURES, 8), (4, 8)]
    assert shapes(()) == []
    linear = fit(cls, hidden_layer_sizes=())
    assert weights(linear)["head.weights.0"].shape == (4, N_FEATURES)


@pytest.mark.parametrize(
    ("dropout", "shares"), [(0.5, (0.5, 0.5)), ((0.5, 0.0), (0.5, 0.0))]
)
@both
def test_dropout(cls, dropout, shares):
    plain, dropped = fit(cls), fit(cls, dropout=dropout)
    backbone = network_of(dropped).backbone
    assert (backbone.input_dropout.p, backbone.dropout.p) == shares
    assert dropped.loss_ > plain.loss_
    X, _ = make_data(cls)
    # Only in training.
    assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(40, [40, 40, 16]), (1000, [N]), ("auto", [16] * 6)],
)
@both
def test_batch_size(cls, batch_size, sizes, batches):
    fit(cls, batch_size=batch_size, max_iter=1)
    assert batches == sizes


@both
def test_max_iter(cls):
    short, long = fit(cls, max_iter=2), fit(cls, max_iter=6)
    assert (short.n_iter_, long.n_iter_) == (2, 6)
    assert long.loss_curve_[:2] == short.loss_curve_
    assert long.loss_ < short.loss_


@pytest.mark.parametrize(
    ("effort", "width", "epochs"),
    [("fast", 128, (10, 4)), ("balanced", 256, (20, 8)), ("accurate", 512, (50, 20))],
)
@both
def test_effort_is_width_and_epochs(cls, effort, width, epochs):
    for n_samples, n_iter in zip((100, 15_625), epochs, strict=True):
        setting = {"effort": effort, "n_iter_no_change": 100, "model": "network"}
        clf = cls(random_state=0, batch_size=8192, **setting)
        X, y = np.eye(3)[np.arange(n_samples) % 3], np.arange(n_samples) % 3
        clf.fit(X, y)
        assert clf.n_iter_ == n_iter
        assert clf.transform(X[:1]).shape == (1, width)


def test_efforts_fall_with_the_number_of_samples():
    for effort in EFFORTS.values():
        epochs = [effort.max_iter(10**exponent) for exponent in range(1, 9)]
        assert epochs == sorted(epochs, reverse=True)
        assert (epochs[0], epochs[-1]) == effort.epochs[::-1]


@both
def test_training_without_progress_stops_by_default(cls):
    X, y = np.zeros((200, 3)), np.arange(200) % 4
    clf = cls(random_state=0).fit(X, y)
    # Of constant samples, there is nothing to learn but the frequencies, which are
    # known at the start.
    assert clf.n_iter_ < 10


@pytest.mark.parametrize(
    ("early_stopping", "n_held_out"), [(True, 10), (0.5, 48), (1e-9, 1), (False, 0)]
)
@both
def test_samples_are_held_out(cls, early_stopping, n_held_out, batches):
    clf = network_alone(cls, early_stopping=early_stopping).fit(*make_data(cls))
    assert sum(batches) == 2 * (N - n_held_out)
    if n_held_out:
        assert len(clf.validation_scores_) == clf.n_iter_ == 2
        assert all(0 <= score <= 1 for score in clf.validation_scores_)
    else:
        assert clf.validation_scores_ is None


@both
def test_device(cls, monkeypatch):
    asked, resolve = [], recipe.resolve_device

    def recorded(device):
        asked.append(device)
        return resolve(device)

    for module in (features_module, recipe):
        monkeypatch.setattr(module, "resolve_device", recorded)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cpu, auto = fit(cls, device="cpu"), fit(cls, device="auto")
    assert not differ(cpu, auto)
    assert set(asked) == {"cpu", "auto"}
    # What was asked for is not overwritten by what was found.
    assert auto.device == "auto"
    asked.clear()
    auto.predict(make_data(cls)[0])
    assert asked == ["auto"]


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
@both
def test_dtype(cls, strategy, monkeypatch):
    X, y = make_data(cls)
    settings = {"max_iter": 60, "learning_rate_init": 0.02}
    exact, rounded = (
        fit(cls, strategy, dtype=dtype, **settings) for dtype in ("float32", "bfloat16")
    )
    assert differ(exact, rounded)
    assert {w.dtype for w in weights(rounded).values()} == {np.dtype(np.float32)}
    scores = exact.score(X, y), rounded.score(X, y)
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
    assert scores[0] > 0.8
    # Predictions are not rounded.
    for name, weight in weights(exact).items():
        weight[...] = weights(rounded)[name]
    exact._fitted = copy.deepcopy(exact._fitted)  # nothing of earlier predictions
    assert_array_equal(exact.predict_topk(X, 2)[1], rounded.predict_topk(X, 2)[1])
    for features in ({"amx_bf16": True}, {}):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda f=features: f, raising=False
        )
        auto = fit(cls, strategy, dtype="auto", max_iter=2)
        plain = fit(cls, strategy, dtype="float32", max_iter=2)
        assert differ(auto, plain) == bool(features)


@both
def test_the_mean_of_weights_is_what_early_stopping_scores(cls, monkeypatch):
    scored, score = [], loop.validation_score

    def recorded(network, *args):
        scored.append(copy.deepcopy(network.state_dict()))
        return score(network, *args)

    monkeypatch.setattr(loop, "validation_score", recorded)
    monkeypatch.setattr(training_fit, "round_to_half", lambda weights: None)
    X, y = make_data(cls)
    layers = torch.nn.Sequential(torch.nn.Linear(N_FEATURES, 8), torch.nn.ReLU())
    clf = network_alone(cls, "full", backbone=layers, early_stopping=True)
    clf.set_params(backbone__averaging_decay=0.9).fit(X, y)
    best = int(np.argmax(clf.validation_scores_))
    for name, weight in weights(clf).items():
        assert_array_equal(weight, scored[best][name].numpy())


# ------------------------------------------------------------ label encoder


def fit_labels(cls, **params):
    """Fit with features of labels: sums of their samples."""
    X, y = make_data(cls)
    Y = np.eye(N_CLASSES)[y] if y.ndim == 1 else y
    return network_alone(cls, **params).fit(X, y, label_features=Y.T @ X)


@both
def test_a_shared_layer_has_no_weights_of_its_own(cls):
    layer = "label_backbone.weight"
    assert layer not in weights(fit_labels(cls))
    own = fit_labels(cls, label_encoder__backbone=None)
    assert weights(own)[layer].shape == (N_FEATURES, 8)


@both
def test_joint_loss(cls, monkeypatch):
    losses, step, encoder_loss = [], Trainer.step, LabelTraining.loss

    def recorded_loss(*args):
        losses.append(encoder_loss(*args))
        return losses[-1].detach()

    def recorded_step(*args):
        joint = step(*args)
        losses[-1] = losses[-1].item(), joint
        return joint

    monkeypatch.setattr(LabelTraining, "loss", recorded_loss)
    monkeypatch.setattr(Trainer, "step", recorded_step)
    of_classifier = []
    for share in (0.25, 0.75):
        fit_labels(cls, label_encoder__loss_weight=share, max_iter=1, batch_size=N)
        encoder, joint = losses.pop()
        of_classifier.append((joint - share * encoder) / (1 - share))
    assert_allclose(*of_classifier, rtol=1e-4)


@both
def test_parameters_of_pools(cls, monkeypatch):
    drawn, draw = [], label_encoder.draw_pool

    def recorded(plan, y, shortlists, *args):
        width = None if shortlists is None else shortlists.shape[1]
        pool = draw(plan, y, shortlists, *args)
        drawn.append((plan, len(pool), width))
        return pool

    monkeypatch.setattr(label_encoder, "draw_pool", recorded)
    # Twice the batch, but no more than there are labels, and nothing is looked for.
    for batch_size, size in ((4, 8), (32, N_CLASSES)):
        fit_labels(cls, batch_size=batch_size)
        assert {found[1:] for found in drawn} == {(size, None)}
        drawn.clear()
    values = {
        "pool_size": 5,
        "n_positives": 2,
        "n_shortlisted": 1,
        "shortlist_size": 99,
        "shortlist_refresh": 3,
        "neighbor_batches": True,
    }
    fit_labels(cls, **{f"label_encoder__{name}": v for name, v in values.items()})
    plans, sizes, widths = map(set, zip(*drawn, strict=True))
    assert plans == {PoolPlan(search="exact", **values)}
    assert sizes == {5}
    assert widths == {None, N_CLASSES}  # none before the first epoch, and then all


@pytest.mark.parametrize(
    ("strategy", "sizes", "expected"),
    [
        ("full", (256,), 0.02),
        ("full", (), 0.02),
        ("sampling", (8,), 0.01),
        ("full", (1024,), 0.01),
        ("full", (256, 256), 0.01),
        ("cascade", (1024, 8), 0.005),
    ],
)
def test_rates_of_wide_and_deep_networks(strategy, sizes, expected):
    settings = {"strategy": strategy, "hidden_layer_sizes": sizes, "max_iter": 2}
    auto = fit(MHEClassifier, **settings, learning_rate_init="auto")
    given = fit(MHEClassifier, **settings, learning_rate_init=expected)
    assert auto.loss_curve_ == given.loss_curve_
    other = fit(MHEClassifier, **settings, learning_rate_init=1.1 * expected)
    assert auto.loss_curve_ != other.loss_curve_
