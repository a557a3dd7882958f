"""Fitting a model as a whole, and going on from it."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from training_problems import (
    CPU,
    N_FEATURES,
    N_LABELS,
    N,
    head_spec,
    make_data,
    make_plan,
    make_spec,
)

from skmhe import MHEClassifier
from skmhe.labels import LabelCodec
from skmhe.labels.clustering import indicator
from skmhe.scorers.batch import unit_rows
from skmhe.scorers.linear import fit_levels, fit_scaling
from skmhe.scorers.model import Settings
from skmhe.scorers.network import EncoderSpec, Network, NetworkSpec
from skmhe.scorers.user_backbone import UserBackbone
from skmhe.training.data import TrainingData
from skmhe.training.fit import (
    TrainingState,
    fit_model,
    train_further,
)
from skmhe.training.networks import root_mean_square_scale
from skmhe.training.pools import PoolPlan
from skmhe.training.task import LinearPlan, Recipe, Task

Z = unit_rows(np.random.RandomState(5).randn(9, N_FEATURES).astype(np.float32))
KINDS = pytest.mark.parametrize("kind", ["full", "sampling", "cascade"])
BOTH = pytest.mark.parametrize("multilabel", [False, True])


def make_recipe(kind="full", multilabel=False, n_labels=N_LABELS, **changes):
    sizes = (-(-n_labels // 2), 2) if kind == "cascade" else (n_labels,)
    spec = make_spec(
        head=head_spec(kind, multilabel, n_labels, (-(-n_labels // 2), 2)),
        centroid_scale=4.0 if kind == "sampling" else None,
    )
    linear = LinearPlan(sizes, 0.5, 2.0)
    recipe = Recipe(spec.head.search, make_plan(), CPU, spec, linear)
    return recipe._replace(**changes)


def log_probs(model, X):
    def give(search, scores):
        return search.log_prob(scores)

    return model.of_all_labels(X, Settings(), give)


def with_encoder(recipe):
    spec = recipe.spec._replace(encoder=EncoderSpec(0.5))
    return recipe._replace(spec=spec, pools=PoolPlan(4, 2, 0, 3, 2, False))


def make_task(data=None, codec=None, **options):
    data = make_data() if data is None else data
    codec = LabelCodec(N_LABELS, (3, 2)) if codec is None else codec
    Y = indicator(data.y, codec.n_labels)
    return Task(codec, data, Y.sum(0), data.X.shape[0], **options)


def fit(recipe, task, seed=0, known=None):
    state = TrainingState(np.random.RandomState(seed))
    return fit_model(recipe, task, state, known)


def same_weights(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a.keys() | b.keys())


@KINDS
@BOTH
def test_fitting_is_repeatable_and_leaves_its_arguments_alone(kind, multilabel):
    recipe, task = make_recipe(kind, multilabel), make_task(make_data(multilabel))
    state = TrainingState(np.random.RandomState(0))
    before = pickle.dumps((state, task))
    model, after, history = fit_model(recipe, task, state)
    assert pickle.dumps((state, task)) == before
    again, _, _ = fit_model(recipe, task, state)
    assert same_weights(model.weights, again.weights)
    assert len(history.losses) == after.n_epochs == 3
    assert after.moments is None
    other, _, _ = fit(recipe, task, seed=1)
    assert not same_weights(model.weights, other.weights)
    assert (model.centroids is not None) == (kind == "sampling")
    assert model.n_linear == model.search.n_labels == N_LABELS
    log_p = log_probs(model, task.data.X)
    assert np.isfinite(log_p).all()


@pytest.fixture
def n_networks(monkeypatch):
    """Count the networks that are built."""
    built, init = [], Network.__init__

    def counted(self, *arguments):
        built.append(self)
        init(self, *arguments)

    monkeypatch.setattr(Network, "__init__", counted)
    return built


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade", "product"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_network_is_built_once_in_a_fit(strategy, early_stopping, n_networks):
    X, y = make_data()[:2]
    clf = MHEClassifier(
        strategy, max_iter=2, early_stopping=early_stopping, random_state=0
    )
    features = None if strategy == "product" else Z[:N_LABELS]
    clf.fit(X, y, label_features=features)
    assert len(n_networks) == 1
    clf.set_params(warm_start=True, early_stopping=False)
    clf.fit(X, y, label_features=features)
    clf.fit(X, y, label_features=features)
    clf.partial_fit(X, y)
    assert len(n_networks) == 4
    clf.set_params(model="linear", strategy="auto", warm_start=False).fit(X, y)
    assert len(n_networks) == 4


@BOTH
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_linear_classifiers_are_fitted_with_all_weights(multilabel, container):
    data = make_data(multilabel, weighted=True)
    data = data._replace(X=container(data.X))
    label_weight = np.linspace(0.5, 2, N_LABELS).astype(np.float32)
    recipe = make_recipe(multilabel=multilabel, spec=None)
    model, state, history = fit(recipe, make_task(data, label_weight=label_weight))
    Y, weight, own = indicator(data.y, N_LABELS), data.sample_weight, label_weight
    if not multilabel:  # of the samples, in the problems of all labels
        weight, own = weight * label_weight[data.y], None
    arguments = (Y, (N_LABELS,), 0.5, 2.0, weight, own)
    rows = fit_scaling(data.X, weight).rows(data.X)
    (expected,), n_iter = fit_levels(rows, *arguments)
    for found, wanted in zip(model.linear[0], expected, strict=True):
        assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
    assert (model.spec, model.weights, history.n_iter) == (None, {}, 0)
    assert (state.n_epochs, history.n_linear_steps) == (0, n_iter)


@KINDS
def test_a_known_models_network_is_trained_further(kind):
    recipe, task = make_recipe(kind), make_task()
    model, _, _ = fit(recipe, task)
    kept = pickle.dumps(model)
    still = recipe._replace(plan=make_plan(learning_rate_init=1e-9))
    on, after, history = fit(still, task, known=model)
    for name, array in model.weights.items():
        assert_allclose(on.weights[name], array, atol=1e-6)
    assert pickle.dumps(model) == kept
    assert after.n_epochs == history.n_iter == 3
    # Linear classifiers are those of the new samples.
    other = make_task(task.data.take(np.arange(0, N, 2)))
    on, _, _ = fit(still, other, known=model)
    alone, _, _ = fit(recipe._replace(spec=None), other)
    assert_array_equal(on.linear[0].intercepts, alone.linear[0].intercepts)


@KINDS
@BOTH
def test_further_training_leaves_the_other_scorers_as_they_are(kind, multilabel):
    recipe = make_recipe(kind, multilabel, keeps_precision=True)
    task = make_task(make_data(multilabel))
    model, state, _ = fit(recipe, task)
    on, after, history = train_further(recipe, task, state, model)
    assert on.linear is model.linear
    assert on.centroids is model.centroids
    assert not same_weights(on.weights, model.weights)
    assert after.n_epochs == state.n_epochs + history.n_iter == 6
    assert after.moments
    twice, _, _ = train_further(recipe, task, after, on)
    fresh, _, _ = train_further(recipe, task, after._replace(moments=None), on)
    assert not same_weights(twice.weights, fresh.weights)


@KINDS
def test_further_training_of_added_labels(kind):
    recipe = with_encoder(make_recipe(kind))
    options = {"label_features": Z[:N_LABELS], "labels_are_like_samples": True}
    task = make_task(**options)
    model, state, _ = fit(recipe, task)
    _, state, _ = train_further(recipe, task, state, model)
    codec = model.codec.extend(np.arange(9))
    known = model.extend(codec, Z[N_LABELS:]).grow()
    data = make_data()._replace(y=np.arange(N) % 9)
    larger = with_encoder(make_recipe(kind, n_labels=9))
    task = make_task(data, codec, **options | {"label_features": Z})
    on, after, _ = train_further(larger, task, state, known)
    assert (on.search.n_labels, on.n_late, on.n_linear) == (9, 0, N_LABELS)
    assert on.spec.head.options["n_labels"] == 9
    counts, n_samples = after.label_counts
    expected = 2 * np.bincount(np.arange(N) % N_LABELS, minlength=9)
    assert_array_equal(counts, expected + np.bincount(data.y))
    assert n_samples == 3 * N
    log_p = log_probs(on, data.X)
    assert_allclose(np.exp(log_p).sum(1), 1)
    positions, best = on.topk(data.X, 9, Settings())
    found = np.take_along_axis(log_p[:, codec.order], positions, axis=1)
    assert_allclose(best, found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("keeps_precision", [False, True])
def test_weights_are_rounded_unless_training_goes_on(keeps_precision):
    X = np.random.RandomState(0).randn(N, 600).astype(np.float32)
    data = make_data()._replace(X=X)
    recipe = make_recipe(keeps_precision=keeps_precision)
    recipe = recipe._replace(spec=recipe.spec._replace(n_features=600))
    weight = fit(recipe, make_task(data))[0].weights["backbone.layers.0.weight"]
    assert (weight.astype(np.float16) == weight).all() == (not keeps_precision)


def test_samples_that_are_held_out_are_not_trained_on(monkeypatch):
    recipe = make_recipe(validation_fraction=0.5)
    model, _, history = fit(recipe, make_task())
    assert len(history.validation_scores) == history.n_iter
    assert all(0 <= score <= 1 for score in history.validation_scores)
    everything, _, _ = fit(make_recipe(), make_task())
    assert not same_weights(model.weights, everything.weights)
    # Linear classifiers have seen all samples.
    assert_array_equal(model.linear[0].intercepts, everything.linear[0].intercepts)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_frozen_backbone_is_asked_once_for_each_sample(freeze):
    sizes = []

    class Counted(nn.Linear):
        def forward(self, rows):
            sizes.append(len(rows))
            return super().forward(rows)

    user = UserBackbone(Counted(N_FEATURES, 3), {})
    spec = NetworkSpec(N_FEATURES, head_spec(), user_backbone=user, freeze=freeze)
    recipe = make_recipe(spec=spec, linear=None)
    model, _, _ = fit(recipe, make_task())
    assert sizes[0] == 2  # the probe
    assert sum(sizes[1:]) == (N if freeze else 3 * N)
    start = user.backbone.weight.detach().numpy()
    kept = np.array_equal(model.weights["backbone.module.weight"], start)
    assert kept == freeze


def test_scale_of_the_inputs():
    X = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 1.0]], np.float32)
    scale = root_mean_square_scale(X)
    assert np.mean(np.square(scale * X).sum(1)) == pytest.approx(1)
    assert root_mean_square_scale(sp.csr_array(X)) == pytest.approx(scale)
    assert root_mean_square_scale(np.zeros((2, 3))) == 1
    data = TrainingData(X, np.array([0, 1, 2]))
    model, _, _ = fit(
        make_recipe(linear=None, spec=make_spec(n_features=2)), make_task(data)
    )
    assert model.weights["backbone.input_scale"] == pytest.approx(scale)


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

    for fitted in (clf._fitted.state, clf._fitted.model.__getstate__()):
        assert tensors(fitted) == []
    assert clf._fitted.state.moments


def test_every_call_of_partial_fit_goes_on_from_the_moments():
    X, y = make_data()[:2]
    clf = MHEClassifier(model="network", batch_size=N, random_state=0)
    for n_calls in (1, 2, 3):
        clf.partial_fit(X, y, classes=np.arange(N_LABELS))
        moments = clf._fitted.state.moments
        assert [state["step"] for state in moments.values()] == [n_calls] * 4
    # They would be of no use to fit, and as large as the weights.
    assert clf.fit(X, y)._fitted.state.moments is None
