"""The network to train, and what trains its label encoder."""

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.nn import Backbone
from skmhe.scorers.batch import Rows, to_tensor
from skmhe.scorers.generators import Generators
from skmhe.scorers.model import Model
from skmhe.scorers.network import Network, NetworkSpec, network_from_weights
from skmhe.scorers.parts import part_of
from skmhe.training.data import Targets, true_pairs
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.task import Recipe, Task

MAX_SEED = 2**31 - 1


def make_network(
    spec: NetworkSpec,
    task: Task,
    previous: Model | None,
    rng: np.random.RandomState,
    device: torch.device,
) -> Network:
    """Return the network to train: a new one, or that of a previous model."""
    if previous is not None:
        network = network_from_weights(spec, previous.weights, device, copy=True)
        _check_label_features(network.spec, task)
        return network
    X, module, label_module, encoder = task.data.X, None, None, spec.encoder
    with Generators(rng.randint(MAX_SEED), device).drawing():
        if spec.user_backbone is not None:
            module = spec.user_backbone.make()
            user = spec.user_backbone.probed(module, X, device)
            spec = spec._replace(user_backbone=user)
        if encoder is not None and encoder.user_backbone is not None:
            label_module, Z = encoder.user_backbone.make(), task.label_features
            assert Z is not None
            user = encoder.user_backbone.probed(label_module, Z, device)
            spec = spec._replace(encoder=encoder._replace(user_backbone=user))
        _check_label_features(spec, task)
        network = Network(spec, module, label_module)
    if isinstance(network.backbone, Backbone):
        scale = root_mean_square_scale(task.data.network)
        network.backbone.get_buffer("input_scale").fill_(scale)
    network.head.set_prior(to_tensor(task.counts), task.n_samples)
    return network.to(device)


def _check_label_features(spec: NetworkSpec, task: Task) -> None:
    """Raise ValueError for features of labels that the user's network cannot take."""
    if spec.label_network is not None:
        assert task.label_features is not None
        spec.label_network.check_inputs(task.label_features, "label_features")


def root_mean_square_scale(X: Rows) -> float:
    """Return the factor that gives the rows a root mean square length of 1."""
    values = X.data if sp.issparse(X) else X
    total = np.square(values, dtype=np.float64).sum()
    return float(np.sqrt(X.shape[0] / total)) if total > 0 else 1.0


def make_label_training(
    recipe: Recipe,
    task: Task,
    known: tuple[np.ndarray, int] | None,
    network: Network,
    y: Targets,
) -> tuple[LabelTraining | None, tuple[np.ndarray, int] | None]:
    """Return what trains the label encoder, and the numbers of samples by now.

    Those of each label and in all; `known` are the numbers before.
    """
    if recipe.pools is None:
        return None, known
    n_labels = task.codec.n_labels
    before, n_before = known or (np.zeros(0, int), 0)
    before = np.pad(before, (0, n_labels - len(before)))
    now = np.bincount(true_pairs(y)[1], minlength=n_labels)
    counts = before + now, n_before + y.shape[0]
    Z = part_of(task.label_features, "network")
    # What is the same in every step is computed once, unless steps need less of it.
    n_embedded = -(-y.shape[0] // recipe.plan.batch_size) * recipe.plan.max_iter
    n_embedded *= min(recipe.pools.pool_size, n_labels)
    is_frozen = network.has_frozen_labels and n_embedded >= n_labels
    if is_frozen:
        recipe.progress.start("features of labels")
        network.eval()
        with torch.inference_mode():
            Z = network.label_features(Z).cpu().numpy()
        recipe.progress.end_round()
    return LabelTraining(Z, recipe.pools, *counts, is_frozen), counts
