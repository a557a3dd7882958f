"""Samples that are held out, to learn a combination of scores from."""

from typing import NamedTuple

import numpy as np

from skmhe.training.data import TrainingData, as_all, hold_out, in_halves
from skmhe.training.learned_combination import is_calibrated
from skmhe.training.task import Recipe, Task

# How many samples are held out: a tenth, at most `MANY_HELD_OUT`, or a twentieth if
# that is more. Fewer than the least tell nothing, and more than the most hardly more.
HELD_OUT_SHARES, MIN_HELD_OUT, MAX_HELD_OUT = (0.1, 0.05), 200, 2000
MANY_HELD_OUT = 1000
# Bounds the time: the number of these samples times that of labels is at most this, if
# that leaves the least.
MAX_SCORES = 2 * 10**8
# Of fewer samples, all that can be are held out, half by half, see `in_halves`, if they
# are so many. (With one label per sample, the only sample of a label cannot be.)
MIN_IN_HALVES = 100
# A model that has not seen this share of the samples is about as good: it is kept as
# it was when its combination was learned.
MAX_LEFT_OUT = 0.05
# Samples that linear classifiers are fitted to for their calibration: with fewer of
# thousands of samples, it hardly changes.
MAX_CALIBRATING = 10_000


class Part(NamedTuple):
    """Samples that a model of its own is fitted to, and others to learn from."""

    rows: np.ndarray
    unseen: TrainingData


def n_held_out(n_samples: int, n_labels: int) -> int:
    """Return how many samples to learn from; 0 if there are too few."""
    large, small = (int(share * n_samples) for share in HELD_OUT_SHARES)
    n = min(large, max(small, MANY_HELD_OUT), MAX_HELD_OUT)
    n = min(n, max(MIN_HELD_OUT, MAX_SCORES // n_labels))
    return n if n >= MIN_HELD_OUT else 0


def held_out_of_network(
    recipe: Recipe, task: Task, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return most samples, and those to learn a network's combination from.

    None if it is not learned, or if there are too few samples.
    """
    return _held_out(task, rng) if _network_learns(recipe) else None


def is_left_out(held_out: np.ndarray, n_samples: int) -> bool:
    """Tell whether a model need not be fitted to the samples that were held out."""
    return len(held_out) <= MAX_LEFT_OUT * n_samples


def parts_of(recipe: Recipe, task: Task, rng: np.random.RandomState) -> list[Part]:
    """Return parts whose models tell about that of all samples; none if few would."""
    if recipe.learning is None:
        return []
    if recipe.spec is None:
        return _parts_of_linear(recipe, task)
    return _parts_of_network(recipe, task, rng) if _network_learns(recipe) else []


def _network_learns(recipe: Recipe) -> bool:
    """Tell whether a network's combination is learned.

    Early stopping holds out its own samples, and keeps the weights of the best epoch.
    """
    is_trained = recipe.plan.max_iter >= 2 and recipe.validation_fraction is None
    return recipe.spec is not None and recipe.learning is not None and is_trained


def _held_out(
    task: Task, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return most samples, and the others; None if there are too few."""
    n_samples, n_labels = task.data.X.shape[0], task.codec.n_labels
    n = n_held_out(n_samples, n_labels)
    if isinstance(task.data.y, np.ndarray):
        # A sample of each label stays, see `hold_out`.
        n *= n_samples - n_labels >= n
    return hold_out(task.data.y, n / n_samples, rng) if n else None


def _parts_of_network(
    recipe: Recipe, task: Task, rng: np.random.RandomState
) -> list[Part]:
    """Return two parts of few samples, each fitted to one half, if scores are added.

    Together, they tell something about all of the samples.
    """
    n, weight = task.data.X.shape[0], task.data.sample_weight
    is_sum = recipe.linear is not None or recipe.pools is not None
    if not is_sum or n_held_out(n, task.codec.n_labels):
        return []
    splits = in_halves(task.data.y, rng)
    held_out = np.concatenate([rows for _, rows in splits])
    if n_told_by(np.ones(n) if weight is None else weight, held_out) < MIN_IN_HALVES:
        return []
    # All but labels of one sample have their share, so that weights are not needed.
    return [Part(kept, task.data.take(rows)) for kept, rows in splits]


def n_told_by(weight: np.ndarray, rows: np.ndarray) -> float:
    """Return how many samples of one weight tell as much as some of given weights.

    L. Kish, "Survey Sampling", 1965: the square of their sum by the sum of squares.
    """
    # shape: (n_rows,); relative to the largest, whose square may be too large
    share = weight[rows].astype(np.float64) / max(weight.max(), 1e-300)
    squares = float(np.square(share).sum())
    return float(share.sum()) ** 2 / squares if squares > 0 else 0.0


def _parts_of_linear(recipe: Recipe, task: Task) -> list[Part]:
    """Return what calibrates linear classifiers alone: nothing, or one part.

    Of half of the samples, at most `MAX_CALIBRATING`, as to fit all anew would take as
    long again.
    """
    if not is_calibrated(recipe.search):
        return []  # as there is nothing that `learn_mix` would learn
    # Not by chance: with no other part of such a model is it so.
    split = _held_out(task, np.random.RandomState(0))
    if split is None:
        return []
    n = min(task.data.X.shape[0] // 2, MAX_CALIBRATING)
    return [Part(split[0][:n], as_all(task.data, *split))]
