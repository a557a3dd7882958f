"""A small network, its training data and plan."""

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.nn import CascadeHead, FullHead, ProductHead, SamplingHead
from skmhe.scorers.generators import Generators
from skmhe.scorers.network import HeadSpec, Network, NetworkSpec
from skmhe.training.data import TrainingData
from skmhe.training.loop import Trainer
from skmhe.training.optimizer import make_optimizer
from skmhe.training.plan import TrainingPlan

CPU = torch.device("cpu")
N, N_LABELS, N_FEATURES = 30, 6, 4


def head_spec(kind="full", multilabel=False, n_labels=N_LABELS, head_sizes=(3, 2)):
    options = {"n_labels": n_labels, "multilabel": multilabel}
    if kind == "product":
        return HeadSpec(ProductHead, {"n_labels": n_labels, "head_sizes": head_sizes})
    if kind == "cascade":
        return HeadSpec(CascadeHead, options | {"head_sizes": head_sizes})
    if kind == "sampling":
        options |= {"group_size": 2, "n_sampled_groups": 2}
        return HeadSpec(SamplingHead, options)
    return HeadSpec(FullHead, options)


def make_spec(kind="full", multilabel=False, **changes):
    return NetworkSpec(N_FEATURES, head_spec(kind, multilabel), (5,))._replace(
        **changes
    )


def make_network(kind="full", multilabel=False, **changes):
    with Generators(0, CPU).drawing():
        return Network(make_spec(kind, multilabel, **changes))


def make_plan(**changes):
    plan = TrainingPlan(
        max_iter=3,
        batch_size=8,
        learning_rate_init=0.05,
        learning_rate="constant",
        n_iter_no_change=10,
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


def make_trainer(network, data, plan, optimizer=None):
    """Return what trains with batches that are always drawn alike."""
    optimizer = optimizer or make_optimizer(network, plan)
    return Trainer(network, optimizer, data, plan, np.random.RandomState(0))


def run(network, data, plan, optimizer=None, validation=None):
    """Train, and return the history."""
    return make_trainer(network, data, plan, optimizer).train(validation)
