"""What is learned from, and what to fit to it."""

from typing import NamedTuple

import numpy as np
import torch

from skmhe.labels import LabelCodec
from skmhe.nn.scores import Search
from skmhe.scorers.model import Settings
from skmhe.scorers.network import NetworkSpec
from skmhe.scorers.parts import Samples
from skmhe.scorers.progress import SILENT, Progress
from skmhe.training.data import TrainingData
from skmhe.training.plan import TrainingPlan
from skmhe.training.pools import PoolPlan


class LinearPlan(NamedTuple):
    """How to fit the linear classifiers."""

    sizes: tuple[int, ...]  # of the tree's levels; (n_labels,) for no tree
    C: float
    centroid_prior: float
    n_near: int = 0  # see `fit_levels`


class Recipe(NamedTuple):
    """What to fit, and how: an estimator's parameters, resolved for some data."""

    search: Search
    plan: TrainingPlan
    device: torch.device
    spec: NetworkSpec | None = None
    linear: LinearPlan | None = None
    pools: PoolPlan | None = None  # of the label encoder
    validation_fraction: float | None = None  # None: no early stopping
    # Of the predictions whose combination is learned; None: it is not.
    learning: Settings | None = None
    keeps_precision: bool = False  # training goes on: its steps may be small
    progress: Progress = SILENT  # is told what is being fitted


class Task(NamedTuple):
    """What is learned from; labels are positions in the codec's order."""

    codec: LabelCodec
    data: TrainingData
    counts: np.ndarray  # weighted number of samples of each label
    n_samples: float  # weighted
    label_weight: np.ndarray | None = None  # float32, shape: (n_labels,)
    label_features: Samples | None = None  # see `Model`
    labels_are_like_samples: bool = False

    def take(self, rows: np.ndarray) -> "Task":
        """Return the task with some of its samples; labels keep their counts."""
        return self._replace(data=self.data.take(rows))
