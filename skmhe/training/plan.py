"""How to train, with what "auto" stands for."""

from typing import Any, NamedTuple

import torch

from skmhe.scorers.parameter_names import Rates

# "auto" batches divide the samples into a number of steps, as few samples need many
# steps, and many samples need large batches.
MIN_AUTO_BATCH = 16


class BackbonePlan(NamedTuple):
    """How to train a user's network."""

    # One for all, or by patterns of names; None: learning_rate_init.
    learning_rate: Rates | None = None
    weight_decay: float = 0.0


class TrainingPlan(NamedTuple):
    """How to train; names as in `sklearn.neural_network.MLPClassifier`."""

    max_iter: int
    batch_size: int
    learning_rate_init: float
    learning_rate: str
    n_iter_no_change: int
    dtype: torch.dtype | None = None  # of products; None: that of the weights
    backbone: BackbonePlan = BackbonePlan()
    label_backbone: BackbonePlan = BackbonePlan()  # of the label encoder
    max_grad_norm: float | None = None
    averaging_decay: float | None = None


def resolve_plan(
    n_samples: int,
    *,
    batch_size: int | str,
    learning_rate_init: float | str,
    auto_rate: float,
    steps_per_epoch: int,
    max_auto_batch: int,
    **settings: Any,
) -> TrainingPlan:
    """Return a plan whose settings of "auto" are derived from the data."""
    if batch_size == "auto":
        batch_size = n_samples // steps_per_epoch
        batch_size = min(max(batch_size, MIN_AUTO_BATCH), max_auto_batch)
    batch_size = int(batch_size)
    if learning_rate_init == "auto":
        learning_rate_init = auto_rate
    return TrainingPlan(
        batch_size=batch_size, learning_rate_init=float(learning_rate_init), **settings
    )
