"""The combination: weighted sums of several models' scores, and their calibration."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from skmhe.scorers.batch import Batch, Rows, take_rows

# What fitting starts from; chosen on held-out samples of five data sets, by logistic
# regression of truth on the sum of scores. None of it changes a sample's ranking.
#
# The sum is overconfident. With linear classifiers of weight w, multi-label log-odds
# have a slope of 1 / (1 + w) and an intercept of 0.7 w; scores of one label per sample
# are divided by 1.1 + 0.3 w where centroids are in the sum, and left alone otherwise.
INTERCEPT = 0.7
TEMPERATURE, TEMPERATURE_BY_WEIGHT = 1.1, 0.3
# Linear classifiers alone: their scores are about half of log-odds. Multi-label
# log-scores are at most 0: with an intercept of 1.25 times the weight, a score of
# 1 - sqrt(1.25) = -0.12 gives a probability of 1/2, as is best on held-out samples.
LINEAR_ALONE_WEIGHT = 2.0
LINEAR_ALONE_INTERCEPT = 1.25 * LINEAR_ALONE_WEIGHT
LINEAR_ALONE_SLOPE = 1.5
# With a label encoder in the sum: scores of one label per sample are divided once more,
# multi-label log-odds have this slope and intercept.
ENCODER_TEMPERATURE = 1.5
ENCODER_SLOPE, ENCODER_INTERCEPT = 0.8, -3.0
# A label encoder alone, multi-label: its softmax of C labels has log-odds of this slope
# and an intercept of -log(C).
ENCODER_ALONE_SLOPE = 0.8


class Calibration(NamedTuple):
    """Makes of a sum of scores those that probabilities come from."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, scores: Tensor) -> Tensor:
        """Return calibrated scores; may write to those given."""
        if self.slope != 1.0:
            scores = scores.mul_(self.slope)
        return scores.add_(self.intercept) if self.intercept else scores


class Models(NamedTuple):
    """Which models a sum has."""

    network: bool
    linear: bool
    centroids: bool
    encoder: bool


def starting_calibration(
    models: Models, multilabel: bool, weight: float, n_labels: int
) -> Calibration:
    """Return the calibration of a sum before anything is learned about it.

    The linear classifiers have a weight, the others have 1.
    """
    weight = weight * models.linear
    if not models.network and models.linear:
        if multilabel:
            return Calibration(1.0, LINEAR_ALONE_INTERCEPT)
        return Calibration(LINEAR_ALONE_SLOPE)
    if not models.network:  # the label encoder
        if multilabel:
            return Calibration(ENCODER_ALONE_SLOPE, -math.log(n_labels))
        return Calibration()
    if multilabel:
        slope, intercept = 1 / (1 + weight), INTERCEPT * weight
        if models.encoder:
            slope, intercept = slope * ENCODER_SLOPE, intercept * ENCODER_SLOPE
            intercept += ENCODER_INTERCEPT
        return Calibration(slope, intercept)
    slope = 1.0
    if models.centroids and models.linear:
        slope /= TEMPERATURE + TEMPERATURE_BY_WEIGHT * weight
    return Calibration(slope / (ENCODER_TEMPERATURE if models.encoder else 1.0))


class Mix(NamedTuple):
    """How a fitted model's scores are added up: weights, and calibrations of the sums.

    Data of the model: `Model.starting_mix` gives what fitting starts from.
    """

    # Of the linear classifiers, by the parameter; None: whatever was learned.
    requested_weight: float | None
    linear_weight: float  # the one that they have
    # Of each sum, by what scores the labels: "both", "classifier" or "encoder".
    calibrations: dict[str, Calibration]
    # Of the log-odds of a multi-label task, after its search; learned with the weight.
    of_log_odds: Calibration | None = None


class Scorer(ABC):
    """What scores labels, and tells which scores it has."""

    scores_labels = False  # of labels that are searched
    scores_late = False  # of labels that came later, which follow all others
    can_steer = False  # of nodes: can steer a search of the tree
    proposes_groups = False  # finds labels: may have a shortlist of groups
    # Whether labels outside of the others' shortlist may be its best ones.
    needs_all_labels = False

    def prepare(self, X: Rows) -> None:  # noqa: B027, most have nothing to make
        """Make what all labels' scores of samples need, before threads ask for it."""

    @abstractmethod
    def bind(self, batch: Batch) -> Any:
        """Return the scores of a batch."""

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of a sample with so many nonzero features; inf if unknown."""
        return math.inf


class RowScores:
    """Scores that a scorer gives rows of unit length."""

    def __init__(self, scorer: Any, X: Rows) -> None:
        self.scorer, self.X = scorer, X

    def take(self, rows: slice | Tensor) -> Self:
        """Return the scores of some of the samples."""
        return type(self)(self.scorer, take_rows(self.X, rows))


class Bound(Scorer):
    """Scores that are bound to a batch already, as a part of a sum."""

    scores_labels = True

    def __init__(self, scores: Any, can_steer: bool = False) -> None:
        self.scores, self.can_steer = scores, can_steer

    def bind(self, _batch: Batch) -> Any:
        """Return the scores."""
        return self.scores


class Combination(NamedTuple):
    """Scorers whose scores are added; weights are theirs, and none knows of another."""

    scorers: Sequence[Scorer]
    # Of the sum. In a tree, whose levels are normalized one by one, only of labels
    # that came later.
    calibration: Calibration

    def bind(self, batch: Batch) -> "SumOfScores":
        """Return the scores of a batch, as searches ask for them."""
        return SumOfScores(self, [scorer.bind(batch) for scorer in self.scorers])


class SumOfScores:
    """Sums of the scores of some samples."""

    def __init__(self, combination: Combination, parts: list[Any]) -> None:
        self.combination, self.parts = combination, parts
        self._shortlist: tuple[Tensor | None] | None = None

    def take(self, rows: slice | Tensor) -> "SumOfScores":
        """Return the scores of some of the samples."""
        return SumOfScores(self.combination, [part.take(rows) for part in self.parts])

    def _able(self, capability: str) -> Iterator[Any]:
        """Yield the parts whose scorer has a capability."""
        for scorer, part in zip(self.combination.scorers, self.parts, strict=True):
            if getattr(scorer, capability):
                yield part

    def shortlist(self) -> Tensor | None:
        """Return the groups that the scorers propose, None for all labels; made once.

        Each scorer is given the groups that those before it have proposed.
        """
        if self._shortlist is None:
            groups = None
            if not any(self._able("needs_all_labels")):
                for part in self._able("proposes_groups"):
                    groups = part.shortlist(groups)
            self._shortlist = (groups,)
        return self._shortlist[0]

    def labels(self) -> Tensor:
        """Return the scores of all labels, those that came later last."""
        # Not `sum`, which would copy the first part to add 0 to it.
        scores = reduce(add, (part.labels() for part in self._able("scores_labels")))
        scores, late = self.combination.calibration(scores), self.late()
        return scores if late is None else torch.cat([scores, late], dim=1)

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of the labels of groups, (n, n_groups, group_size)."""
        parts = (part.candidates(groups) for part in self._able("scores_labels"))
        return self.combination.calibration(reduce(add, parts))

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of some labels outside of the shortlist, shape (n, m)."""
        parts = (part.outside(labels) for part in self._able("scores_labels"))
        return self.combination.calibration(reduce(add, parts))

    def late(self) -> Tensor | None:
        """Return the scores of labels that came later, shape (n, n_late)."""
        found = [part.late() for part in self._able("scores_late")]
        return self.combination.calibration(reduce(add, found)) if found else None

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes)."""
        return reduce(add, (part.nodes(level) for part in self._able("can_steer")))

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of the children of (sample, node) pairs."""
        steering = self._able("can_steer")
        return reduce(add, (part.children(level, samples, nodes) for part in steering))

    def local_log_probs(self, wide: bool = False) -> Any:
        """Return what independent heads give, which nothing is added to."""
        (part,) = self.parts
        return part.local_log_probs(wide)
