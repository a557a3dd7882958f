"""Samples that are held out, to learn a combination of scores from."""

from typing import NamedTuple

import numpy as np

from skmhe.training.data import TrainingData, as_all, hold_out, in_halves
from skmhe.training.learned_combination import (
    MIN_IN_HALVES,
    is_calibrated,
    n_held_out,
)
from skmhe.training.task import Recipe, Task

# Samples that linear classifiers are fitted to for their calibration: with fewer of
# thousands of samples, it hardly changes.
MAX_CALIBRATING = 10_000


class Part(NamedTuple):
    """Samples that a model of its own is fitted to, and others to learn from."""

    rows: np.ndarray
    unseen: TrainingData


def can_learn(recipe: Recipe) -> bool:
    """Tell whether a network's combination is learned.

    Early stopping holds out its own samples, and keeps the weights of the best epoch.
    """
    is_trained = recipe.plan.max_iter >= 2 and recipe.validation_fraction is None
    return recipe.learning is not None and is_trained


def held_out_of(
    recipe: Recipe, task: Task, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return most samples, and those to learn a combination from, if it is learned.

    None if there are too few samples.
    """
    n_samples, n_labels = task.data.X.shape[0], task.codec.n_labels
    n = 0 if recipe.learning is None else n_held_out(n_samples, n_labels)
    if isinstance(task.data.y, np.ndarray):
        # A sample of each label stays, see `hold_out`.
        n *= n_samples - n_labels >= n
    return hold_out(task.data.y, n / n_samples, rng) if n else None


def parts_of_network(
    recipe: Recipe, task: Task, rng: np.random.RandomState
) -> list[Part]:
    """Return two parts of few samples, each fitted to one half, if scores are added.

    Together, they tell something about all of the samples.
    """
    n = task.data.X.shape[0]
    is_sum = recipe.linear is not None or recipe.pools is not None
    if not is_sum or n_held_out(n) or n < MIN_IN_HALVES:
        return []
    splits = in_halves(task.data.y, rng)
    if not all(len(held_out) for _, held_out in splits):
        return []
    # All but labels of one sample have their share, so that weights are not needed.
    return [Part(kept, task.data.take(held_out)) for kept, held_out in splits]


def parts_of_linear(recipe: Recipe, task: Task) -> list[Part]:
    """Return what calibrates linear classifiers alone: nothing, or one part.

    Of half of the samples, at most `MAX_CALIBRATING`, as to fit all anew would take as
    long again.
    """
    if not is_calibrated(recipe.search):
        return []  # as there is nothing that `learn_mix` would learn
    # Not by chance: with no other part of such a model is it so.
    split = held_out_of(recipe, task, np.random.RandomState(0))
    if split is None:
        return []
    n = min(task.data.X.shape[0] // 2, MAX_CALIBRATING)
    return [Part(split[0][:n], as_all(task.data, *split))]
