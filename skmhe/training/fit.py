"""Fitting a model: linear classifiers, centroids, and the network."""

import copy
import dataclasses
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.labels import LabelCodec
from skmhe.labels.clustering import indicator
from skmhe.nn import Backbone
from skmhe.nn.scores import Search
from skmhe.scorers.batch import Rows, in_form, to_tensor, unit_rows
from skmhe.scorers.centroids import TrainingCentroids, fit_centroids
from skmhe.scorers.device import check_gradients
from skmhe.scorers.generators import Generators
from skmhe.scorers.linear import fit_levels
from skmhe.scorers.linear.tables import Level
from skmhe.scorers.model import Model, Settings
from skmhe.scorers.network import (
    Network,
    NetworkSpec,
    network_from_weights,
    weights_to_numpy,
)
from skmhe.scorers.own_labels import count_own_labels
from skmhe.scorers.progress import SILENT, Progress
from skmhe.scorers.storage import round_to_half
from skmhe.training.data import TrainingData, hold_out, optional_tensor, true_pairs
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.learned_weight import (
    PRIOR_WEIGHT,
    learn_calibration,
    learn_weight,
    n_held_out,
)
from skmhe.training.loop import History, LastData, Trainer, with_features
from skmhe.training.memory import (
    available_memory,
    check_memory,
    estimate_memory,
    tell_memory,
)
from skmhe.training.optimizer import Moments, make_optimizer, moments_of, with_room
from skmhe.training.plan import TrainingPlan
from skmhe.training.pools import PoolPlan

MAX_SEED = 2**31 - 1


class LinearPlan(NamedTuple):
    """How to fit the linear classifiers."""

    sizes: tuple[int, ...]  # of the tree's levels; (n_labels,) for no tree
    C: float
    centroid_prior: float
    weight: float | None = 1.0  # of their scores; None: learned


class Recipe(NamedTuple):
    """What to fit, and how: an estimator's parameters, resolved for some data."""

    search: Search
    plan: TrainingPlan
    device: torch.device
    spec: NetworkSpec | None = None
    linear: LinearPlan | None = None
    pools: PoolPlan | None = None  # of the label encoder
    validation_fraction: float | None = None  # None: no early stopping
    keeps_precision: bool = False  # training goes on: its steps may be small
    progress: Progress = SILENT  # is told what is being fitted


class Task(NamedTuple):
    """What is learned from; labels are positions in the codec's order."""

    codec: LabelCodec
    data: TrainingData
    counts: np.ndarray  # weighted number of samples of each label
    n_samples: float  # weighted
    label_weight: np.ndarray | None = None  # float32, shape: (n_labels,)
    label_features: Rows | None = None  # in rows of unit length
    labels_are_like_samples: bool = False

    def take(self, rows: np.ndarray) -> "Task":
        """Return the task with some of its samples; labels keep their counts."""
        return self._replace(data=self.data.take(rows))


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
    state = state._replace(rng=copy.deepcopy(state.rng), moments=None, n_epochs=0)
    network = None
    if recipe.spec is not None:
        network = _network(recipe.spec, task, previous, state.rng, recipe.device)
    held_out = _held_out(recipe, task, previous, state.rng)
    part = task if held_out is None else task.take(held_out[0])
    linear, n_iter, centroids = _fit_linear(recipe, part)
    model = Model(
        task.codec,
        recipe.search,
        spec=None if network is None else network.spec,
        linear=linear,
        n_linear=0 if linear is None else task.codec.n_labels,
        centroids=centroids and centroids.for_predictions(),
        label_features=task.label_features,
        labels_are_like_samples=task.labels_are_like_samples,
    )
    weight = None if recipe.linear is None else recipe.linear.weight
    weight = PRIOR_WEIGHT if weight is None else weight
    model = dataclasses.replace(model, mix=model.starting_mix(weight))
    if network is None:
        return model, state, History(n_iter)
    part = part._replace(data=part.data._replace(centroids=centroids))
    if held_out is None:
        return _train(recipe, part, state, network, model, keeps_moments)
    last = _Learning(recipe, task, held_out[1], network, model)
    model, state, history = _train(
        recipe, part, state, network, model, keeps_moments, last
    )
    return last.completed(model), state, history


def train_further(
    recipe: Recipe, task: Task, state: TrainingState, previous: Model
) -> Fit:
    """Train the network of a model on further samples; see `fit_model`.

    All else stays as it is, and the optimizer goes on from its moments.
    """
    assert recipe.spec is not None
    state = state._replace(rng=copy.deepcopy(state.rng))
    network = _network(recipe.spec, task, previous, state.rng, recipe.device)
    if state.moments is not None:
        state = state._replace(moments=with_room(state.moments, network))
    model = dataclasses.replace(
        previous,
        codec=task.codec,
        search=recipe.search,
        spec=recipe.spec,
        label_features=task.label_features,
        labels_are_like_samples=task.labels_are_like_samples,
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


def _network(
    spec: NetworkSpec,
    task: Task,
    previous: Model | None,
    rng: np.random.RandomState,
    device: torch.device,
) -> Network:
    """Return the network to train: a new one, or that of a previous model."""
    if previous is not None:
        return network_from_weights(spec, previous.weights, device, copy=True)
    X, module = task.data.X, None
    with Generators(rng.randint(MAX_SEED), device).drawing():
        if spec.user_backbone is not None:
            module = spec.user_backbone.make()
            user = spec.user_backbone.probed(module, X, device)
            spec = spec._replace(user_backbone=user)
        network = Network(spec, module)
    if isinstance(network.backbone, Backbone):
        network.backbone.get_buffer("input_scale").fill_(root_mean_square_scale(X))
    network.head.set_prior(to_tensor(task.counts), task.n_samples)
    return network.to(device)


def root_mean_square_scale(X: Rows) -> float:
    """Return the factor that gives the rows a root mean square length of 1."""
    values = X.data if sp.issparse(X) else X
    total = np.square(values, dtype=np.float64).sum()
    return float(np.sqrt(X.shape[0] / total)) if total > 0 else 1.0


def _fit_linear(
    recipe: Recipe, task: Task
) -> tuple[list[Level] | None, int, TrainingCentroids | None]:
    """Fit linear classifiers and, if the network is to complete them, centroids.

    The number is that of the steps of the linear classifiers.
    """
    if recipe.linear is None:
        return None, 0, None
    data, label_weight, progress = task.data, task.label_weight, recipe.progress
    Y, weight = indicator(data.y, task.codec.n_labels), data.sample_weight
    samples, centroids = unit_rows(data.X), None
    if recipe.spec is not None and recipe.spec.centroid_scale is not None:
        weighted = Y
        if weight is not None:
            weighted = sp.csr_array(sp.diags_array(weight) @ Y)
        progress.start("centroids")
        centroids = fit_centroids(samples, weighted)
        progress.end_round()
    if label_weight is not None and not recipe.search.multilabel:
        # Of the samples in all problems. Not in centroids, from which a sample is left
        # out with its own weight.
        own = label_weight[Y.indices]
        weight, label_weight = own if weight is None else own * weight, None
    sizes, C, prior, _ = recipe.linear
    progress.start("linear classifiers", len(sizes), "level")
    arguments = (sizes, C, prior, weight, label_weight, progress)
    linear, n_iter = fit_levels(samples, Y, *arguments)
    round_to_half(linear)
    return linear, n_iter, centroids


def _held_out(
    recipe: Recipe, task: Task, previous: Model | None, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the samples to train on before the last epoch, and those to learn from.

    None if there is nothing to learn: no weight, too few samples, or a network that has
    seen them.
    """
    linear, n_samples = recipe.linear, task.data.X.shape[0]
    learns = linear is not None and linear.weight is None and previous is None
    # A label encoder counts the samples that it has seen; early stopping holds out its
    # own, and keeps the weights of the best epoch.
    learns = learns and recipe.pools is None and recipe.validation_fraction is None
    if recipe.spec is None or not learns or recipe.plan.max_iter < 2:
        return None
    n = n_held_out(n_samples)
    return hold_out(task.data.y, n / n_samples, rng) if n else None


class _Learning:
    """Learns the weight of the linear classifiers before the last epoch.

    All else then sees the samples that were held out for it: linear classifiers and
    centroids are fitted anew, and the network has them in its last epoch.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        held_out: np.ndarray,
        network: Network,
        model: Model,
    ) -> None:
        self.recipe, self.task, self.held_out = recipe, task, held_out
        self.network, self.model = network, model
        self.n_samples, self.mix = task.data.X.shape[0], model.mix

    def make(self) -> TrainingData:
        """Learn the weight, and return the data of the last epoch: all samples."""
        progress, part = self.recipe.progress, self.task.data.take(self.held_out)
        progress.start("weight of linear classifiers")
        weights = weights_to_numpy(self.network)
        model = dataclasses.replace(self.model, weights=weights)
        settings = Settings(device=self.recipe.device)
        learned = learn_weight(model, part, settings)
        mix = model.starting_mix(learned.weight)._replace(requested_weight=None)
        if self.recipe.search.multilabel:
            model = dataclasses.replace(model, mix=mix)
            mix = mix._replace(of_log_odds=learn_calibration(model, part, settings))
        self.mix = mix
        progress.end_round()
        linear, _, centroids = _fit_linear(self.recipe, self.task)
        self.model = dataclasses.replace(
            self.model,
            linear=linear,
            centroids=centroids and centroids.for_predictions(),
        )
        return self.task.data._replace(centroids=centroids)

    def completed(self, model: Model) -> Model:
        """Return a trained model with what was fitted before its last epoch."""
        return dataclasses.replace(
            model,
            linear=self.model.linear,
            centroids=self.model.centroids,
            mix=self.mix,
        )


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
    data, rng, plan, validation = task.data, state.rng, recipe.plan, None
    progress = recipe.progress
    own_counts = model.own_label_counts + _own_label_counts(recipe, task)
    if network.is_frozen:
        # They are the same in every epoch.
        progress.start("features of the frozen backbone")
        data = with_features(network, data, progress)
        progress.end_round()
    if recipe.validation_fraction is not None:
        kept, held_out = hold_out(data.y, recipe.validation_fraction, rng)
        data, validation = data.take(kept), data.take(held_out)
    label_weight = optional_tensor(task.label_weight, network.device)
    optimizer = make_optimizer(network, plan, state.moments)
    labels, counts = _label_training(recipe, task, state, data)
    generators = Generators(rng.randint(MAX_SEED), network.device)
    of_labels = label_weight, labels
    trainer = Trainer(
        network, optimizer, data, plan, rng, *of_labels, progress, generators, last_data
    )
    history = trainer.train(validation, state.n_epochs)
    moments = moments_of(network, optimizer) if keeps_moments else None
    weights = weights_to_numpy(network)
    if not recipe.keeps_precision:
        round_to_half(weights)
    model = dataclasses.replace(model, weights=weights, own_label_counts=own_counts)
    n_epochs = state.n_epochs + history.n_iter
    return model, TrainingState(rng, moments, counts, n_epochs), history


def _own_label_counts(recipe: Recipe, task: Task) -> np.ndarray:
    """Count samples that are labels themselves, see `count_own_labels`."""
    X, Z = task.data.X, task.label_features
    encoder = None if recipe.spec is None else recipe.spec.encoder
    if Z is None or encoder is None or not encoder.shares_layer:
        return np.zeros(2, int)
    Z = in_form(Z, sparse=sp.issparse(X))
    return count_own_labels(unit_rows(X), Z, task.data.y)


def _label_training(
    recipe: Recipe, task: Task, state: TrainingState, data: TrainingData
) -> tuple[LabelTraining | None, tuple[np.ndarray, int] | None]:
    """Return what trains the label encoder, and the numbers of samples by now."""
    if recipe.pools is None:
        return None, state.label_counts
    n_labels = task.codec.n_labels
    before, n_before = state.label_counts or (np.zeros(0, int), 0)
    before = np.pad(before, (0, n_labels - len(before)))
    now = np.bincount(true_pairs(data.y)[1], minlength=n_labels)
    counts = before + now, n_before + data.y.shape[0]
    return LabelTraining(task.label_features, recipe.pools, *counts), counts
