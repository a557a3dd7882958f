"""Fitting a model: linear classifiers, centroids, and the network."""

import copy
import dataclasses
import warnings
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

from skmhe.labels.clustering import indicator
from skmhe.scorers.batch import (
    Rows,
    comparable_rows,
    in_form,
    unit_rows,
)
from skmhe.scorers.combination import Mix
from skmhe.scorers.device import check_gradients
from skmhe.scorers.generators import Generators
from skmhe.scorers.label_encoder import LabelTable
from skmhe.scorers.linear import Scaling, fit_levels, fit_scaling
from skmhe.scorers.linear.tables import Level
from skmhe.scorers.model import Model
from skmhe.scorers.network import (
    Network,
    NetworkSpec,
    weights_to_numpy,
)
from skmhe.scorers.own_labels import count_own_labels
from skmhe.scorers.parts import part_of
from skmhe.scorers.progress import SILENT
from skmhe.scorers.storage import round_to_half
from skmhe.scorers.training_centroids import TrainingCentroids, fit_centroids
from skmhe.training.data import (
    TrainingData,
    as_all,
    hold_out,
    optional_tensor,
)
from skmhe.training.held_out import held_out_of_network, is_left_out, parts_of
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.learned_combination import Unseen, learn_mix
from skmhe.training.loop import History, LastData, Trainer, with_features
from skmhe.training.memory import (
    available_memory,
    check_memory,
    estimate_memory,
    tell_memory,
)
from skmhe.training.networks import MAX_SEED, make_label_training, make_network
from skmhe.training.optimizer import Moments, make_optimizer, moments_of, with_room
from skmhe.training.task import Recipe, Task


class TrainingState(NamedTuple):
    """What training goes on from, in addition to the model."""

    rng: np.random.RandomState
    moments: Moments | None = None  # of the optimizer
    # Numbers of samples that were ever trained on: of each label, and in all.
    label_counts: tuple[np.ndarray, int] | None = None
    n_epochs: int = 0


# A model, what its training can go on from, and what happened in training.
Fit: TypeAlias = tuple[Model, TrainingState, History]


def fit_model(
    recipe: Recipe,
    task: Task,
    state: TrainingState,
    previous: Model | None = None,
    keeps_moments: bool = False,
) -> Fit:
    """Fit a model, or go on training the network of a previous one.

    Then linear classifiers and centroids are fitted anew, to the samples of this task.
    The given state is not changed; returns what training can go on from, with the
    optimizer's moments if `train_further` is to go on from them.
    """
    _check_memory(recipe, task)
    return _fit(recipe, task, state, previous, keeps_moments)


def _fit(
    recipe: Recipe,
    task: Task,
    state: TrainingState,
    previous: Model | None,
    keeps_moments: bool,
) -> Fit:
    """Fit a model, see `fit_model`, whatever memory there is."""
    state = state._replace(rng=copy.deepcopy(state.rng), moments=None, n_epochs=0)
    network = None
    if recipe.spec is not None:
        network = make_network(recipe.spec, task, previous, state.rng, recipe.device)
    everything = task
    if network is not None:
        task = task._replace(data=_with_frozen(recipe, network, task.data))
    held_out = held_out_of_network(recipe, task, state.rng)
    part = task if held_out is None else task.take(held_out[0])
    spec = None if network is None else network.spec
    unfitted = _unfitted(recipe, task, spec)
    model, part, n_steps = _with_classifiers(recipe, part, unfitted)
    history = History(n_steps)
    if network is not None:
        training = recipe, part, state, network, model, keeps_moments
        n_samples = task.data.X.shape[0]
        if held_out is not None and not is_left_out(held_out[1], n_samples):
            return _train_and_complete(*training, task, as_all(task.data, *held_out))
        model, state, history = _train(*training)
    unseen: list[Unseen] = []
    if held_out is not None:
        unseen = [(model, as_all(task.data, *held_out))]
    elif not history.was_cut_short:
        unseen = _models_of_parts(recipe, everything, state)
    if unseen:
        model = dataclasses.replace(model, mix=_learned_mix(recipe, unseen))
    return model, state, history


def _train_and_complete(
    recipe: Recipe,
    part: Task,
    state: TrainingState,
    network: Network,
    model: Model,
    keeps_moments: bool,
    task: Task,
    rest: TrainingData,
) -> Fit:
    """Train a network, and give the rest of the samples to the whole model in the end.

    The combination is learned before the last epoch. Then all else is fitted anew, and
    the network has its last epoch.
    """
    complete = model

    def learn(kept: Network, labels: LabelTraining | None) -> TrainingData:
        nonlocal complete
        trained = _with_network(model, kept, labels)
        mix = _learned_mix(recipe, [(trained, rest)])
        everything = dataclasses.replace(model, mix=mix)
        complete, fitted, _ = _with_classifiers(recipe, task, everything)
        return _for_network(recipe, network, fitted.data)

    last = LastData(task.data.y, learn)
    arguments = recipe, part, state, network, model, keeps_moments
    trained, state, history = _train(*arguments, last)
    weights, table = trained.weights, trained.label_table
    complete = dataclasses.replace(complete, weights=weights, label_table=table)
    return complete, state, history


def _unfitted(recipe: Recipe, task: Task, spec: NetworkSpec | None) -> Model:
    """Return a model of nothing but the task."""
    return Model(
        task.codec,
        recipe.search,
        spec=spec,
        pair_counts=_pair_counts(task),
        label_features=task.label_features,
        labels_are_like_samples=task.labels_are_like_samples,
    )


def _with_classifiers(
    recipe: Recipe, task: Task, model: Model
) -> tuple[Model, Task, int]:
    """Fit all of a model but its network.

    Returns the task with centroids as well, and the number of steps of the linear
    classifiers.
    """
    centroids, linear, scaling, n_steps = None, None, None, 0
    if recipe.linear is not None:
        samples = unit_rows(task.data.linear)
        Y = indicator(task.data.y, task.codec.n_labels)
        centroids = _fit_centroids(recipe, task, samples, Y)
        linear, scaling, n_steps = _fit_linear(recipe, task, samples, Y)
    model = dataclasses.replace(
        model,
        linear=linear,
        n_linear=0 if linear is None else task.codec.n_labels,
        scaling=scaling,
        centroids=centroids and centroids.for_predictions(recipe.search),
        own_label_counts=_own_label_counts(recipe, task),
    )
    task = task._replace(data=task.data._replace(centroids=centroids))
    return model, task, n_steps


def train_further(
    recipe: Recipe, task: Task, state: TrainingState, previous: Model
) -> Fit:
    """Train the network of a model on further samples; see `fit_model`.

    All else stays as it is, and the optimizer goes on from its moments.
    """
    assert recipe.spec is not None
    state = state._replace(rng=copy.deepcopy(state.rng))
    network = make_network(recipe.spec, task, previous, state.rng, recipe.device)
    if state.moments is not None:
        state = state._replace(moments=with_room(state.moments, network))
    model = dataclasses.replace(
        previous,
        codec=task.codec,
        search=recipe.search,
        spec=recipe.spec,
        pair_counts=previous.pair_counts + _pair_counts(task),
        label_features=task.label_features,
        labels_are_like_samples=task.labels_are_like_samples,
        own_label_counts=previous.own_label_counts + _own_label_counts(recipe, task),
    )
    task = task._replace(data=task.data._replace(centroids=previous.centroids))
    return _train(recipe, task, state, network, model, keeps_moments=True)


def _check_memory(recipe: Recipe, task: Task) -> None:
    """Tell how much memory a fit takes; MemoryError if there is less."""
    if recipe.device.type != "cpu":
        return
    parts = estimate_memory(
        recipe.spec,
        recipe.plan,
        recipe.linear is not None,
        task.data,
        task.codec.n_labels,
    )
    check_memory(parts, available_memory())
    tell_memory(parts, recipe.progress)


def _fit_centroids(
    recipe: Recipe, task: Task, samples: Rows, Y: sp.csr_array
) -> TrainingCentroids | None:
    """Return the labels' centroids, if the network is to complete them."""
    if recipe.spec is None or recipe.spec.centroid_scale is None:
        return None
    weight = task.data.sample_weight
    if weight is not None:
        Y = sp.csr_array(sp.diags_array(weight) @ Y)
    recipe.progress.start("centroids")
    centroids = fit_centroids(samples, Y)
    recipe.progress.end_round()
    return centroids


def _fit_linear(
    recipe: Recipe, task: Task, samples: Rows, Y: sp.csr_array
) -> tuple[list[Level], Scaling | None, int]:
    """Fit linear classifiers to samples of unit length, or to scaled ones if dense.

    Returns their scaling and the number of their steps as well.
    """
    assert recipe.linear is not None
    label_weight, weight = task.label_weight, task.data.sample_weight
    if label_weight is not None and not recipe.search.multilabel:
        # Of the samples in all problems. Not in centroids, from which a sample is left
        # out with its own weight.
        own = label_weight[Y.indices]
        weight, label_weight = own if weight is None else own * weight, None
    scaling = fit_scaling(task.data.linear, weight)
    if scaling is not None:
        samples = scaling.rows(task.data.linear)
    sizes, C, prior, n_near = recipe.linear
    recipe.progress.start("linear classifiers", len(sizes), "level")
    arguments = (sizes, C, prior, weight, label_weight, recipe.progress, n_near)
    linear, n_steps = fit_levels(samples, Y, *arguments)
    round_to_half(linear)
    return linear, scaling, n_steps


def _learned_mix(recipe: Recipe, parts: list[Unseen]) -> Mix:
    """Return what samples that models have not seen say about their combination."""
    assert recipe.learning is not None
    recipe.progress.start("combination of scores")
    mix = learn_mix(parts, recipe.learning)
    recipe.progress.end_round()
    return mix


def _models_of_parts(recipe: Recipe, task: Task, state: TrainingState) -> list[Unseen]:
    """Return models of parts of the samples, each with samples that it has not seen.

    Empty if one of them was cut short, as it would tell about nothing.
    """
    # Training goes on as if nothing had been learned.
    parts = parts_of(recipe, task, copy.deepcopy(state.rng))
    if parts:
        recipe.progress.start("models of parts", len(parts))
    quietly = recipe._replace(progress=SILENT, learning=None)
    found: list[Unseen] = []
    for rows, unseen in parts:
        model, _, history = _fit(quietly, task.take(rows), state, None, False)
        if history.was_cut_short:
            warnings.warn(
                "That was a model of half of the samples: the fitted one is complete, "
                "but the weights of its scores, which were to be learned, are 1.",
                UserWarning,
                stacklevel=2,
            )
            return []
        found.append((model, unseen))
        recipe.progress.end_round()
    return found


def _for_network(recipe: Recipe, network: Network, data: TrainingData) -> TrainingData:
    """Return data as the network's training reads it.

    Without what only linear classifiers do.
    """
    if data.centroids is None and not data.has_features:
        data = data._replace(X=data.network)
    return _with_frozen(recipe, network, data)


def _with_frozen(recipe: Recipe, network: Network, data: TrainingData) -> TrainingData:
    """Return data with what a frozen backbone makes of it, the same in every epoch."""
    if data.has_features or not network.is_frozen:
        return data
    recipe.progress.start("features of the frozen backbone")
    data = with_features(network, data, recipe.progress)
    recipe.progress.end_round()
    return data


def _train(
    recipe: Recipe,
    task: Task,
    state: TrainingState,
    network: Network,
    model: Model,
    keeps_moments: bool,
    last_data: LastData | None = None,
) -> Fit:
    """Train a network, and return the model with its weights."""
    check_gradients()
    rng, plan, validation, progress = state.rng, recipe.plan, None, recipe.progress
    data = _for_network(recipe, network, task.data)
    if recipe.validation_fraction is not None:
        kept, held_out = hold_out(data.y, recipe.validation_fraction, rng)
        data, validation = data.take(kept), data.take(held_out)
    label_weight = optional_tensor(task.label_weight, network.device)
    optimizer = make_optimizer(network, plan, state.moments)
    y = data.y if last_data is None else last_data.y
    labels, counts = make_label_training(recipe, task, state.label_counts, network, y)
    generators = Generators(rng.randint(MAX_SEED), network.device)
    trained = network, optimizer, data, plan, rng, label_weight, labels
    make_model = partial(_with_network, model, labels=labels)
    trainer = Trainer(*trained, progress, generators, last_data, make_model)
    history = trainer.train(validation, state.n_epochs)
    moments = moments_of(network, optimizer) if keeps_moments else None
    # While training goes on, labels are embedded when predictions ask for them.
    model = _with_network(model, network, None if keeps_moments else labels)
    if not recipe.keeps_precision:
        table = model.label_table
        round_to_half([model.weights, None if table is None else table.known])
    n_epochs = state.n_epochs + history.n_iter
    return model, TrainingState(rng, moments, counts, n_epochs), history


def _pair_counts(task: Task) -> np.ndarray:
    """Count pairs of a sample and a label of it, and samples, with their weights."""
    y, weight = task.data.y, task.data.sample_weight
    weight = np.ones(y.shape[0]) if weight is None else weight
    counts = np.ones(y.shape[0]) if isinstance(y, np.ndarray) else np.diff(y.indptr)
    return np.array([weight @ counts, weight.sum()], float)


def _own_label_counts(recipe: Recipe, task: Task) -> np.ndarray:
    """Count samples that are labels themselves, see `count_own_labels`."""
    X, Z = task.data.network, task.label_features
    encoder = None if recipe.spec is None else recipe.spec.encoder
    if Z is None or encoder is None or not encoder.is_shared:
        return np.zeros(2, int)
    Z = in_form(part_of(Z, "network"), sparse=sp.issparse(X))
    return count_own_labels(comparable_rows(X), comparable_rows(Z), task.data.y)


def _with_network(
    model: Model, network: Network, labels: LabelTraining | None
) -> Model:
    """Return a model with a trained network, and with what that makes of labels.

    The weights share the network's memory: it must not be trained any more.
    """
    table = LabelTable() if network.embeds_labels_slowly else None
    if labels is not None and table is not None:
        table.known = labels.embeddings(network).cpu().numpy()
    weights = weights_to_numpy(network)
    return dataclasses.replace(model, weights=weights, label_table=table)
