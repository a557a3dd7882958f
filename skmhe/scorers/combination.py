"""The combination: weighted sums of several models' scores, and their calibration."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple, Self

from torch import Tensor

from skmhe.scorers.batch import Batch, Rows, take_rows
from skmhe.scorers.parts import PartName

# By whether a task is multi-label: log-odds of linear classifiers are so many times
# their log-scores, above those of a margin of 0.
LINEAR_SLOPES, LINEAR_AT_MARGIN = {False: 2.0, True: 1.0}, -1.0


class ScorerWeights(NamedTuple):
    """Weights of the scores that are added up: one for each scorer, 0 for none."""

    network: float = 1.0  # and of the similarities that it completes
    linear: float = 1.0
    label_encoder: float = 1.0
    own_labels: float = 1.0  # of the log-odds that a sample has the label that it is

    def of_part(self, score_with: str) -> "ScorerWeights":
        """Return the weights of a part of the sum: of both, or one of its sides."""
        if score_with == "classifier":
            return self._replace(label_encoder=0.0, own_labels=0.0)
        if score_with == "encoder":
            # Of an encoder alone, a weight of 0 would leave nothing.
            return self._replace(network=0.0, linear=0.0, label_encoder=1.0)
        return self


class Calibration(NamedTuple):
    """What makes probabilities of a sum of scores.

    Scores of labels, or of a tree's nodes, are multiplied by `factor`. The log-odds x
    that a multi-label search finds then become ``slope * x + bend * log(p) +
    intercept``, see `CalibratedSearch`; a share of the probability that a search for
    one label finds is that of the best labels alone, see `CutSearch`.
    """

    factor: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0
    bend: float = 0.0
    best_share: float = 0.0


def prior_calibration(
    weights: ScorerWeights,
    multilabel: bool,
    n_labels: int,
    steered: bool,
    joint: bool = False,
) -> Calibration:
    """Return the calibration of a sum before anything is learned about it.

    The mean of what the scorers take for log-odds, by their weights: a network's are
    its scores; linear classifiers' are their log-scores, or twice these, and 0 at a
    margin of 0; a label encoder's are those of a softmax of all labels. The nodes of a
    tree that is searched have log-odds of one kind, 0 where nothing is known, unless
    they are `joint` (see `skmhe.nn.tree_search.TreeSearch`); the label encoder, which
    scores no nodes, does not count in a tree.
    """
    of_labels = multilabel and (joint or not steered)
    encoder = 0.0 if steered else weights.label_encoder
    total = weights.network + weights.linear / LINEAR_SLOPES[of_labels] + encoder
    if not of_labels:
        return Calibration(1 / total)
    intercept = -LINEAR_AT_MARGIN * weights.linear
    intercept -= encoder * math.log(n_labels)
    return Calibration(1 / total, intercept=intercept / total)


class Mix(NamedTuple):
    """What was learned about a sum: weights, and calibrations of its parts."""

    weights: ScorerWeights
    calibrations: dict[str, Calibration]  # by what scores the labels, see `of_part`


class Scorer(ABC):
    """What scores labels, and tells which scores it has."""

    scores_labels = False  # of labels that are searched
    scores_by_features = False  # of all labels, also late ones, which follow the others
    can_steer = False  # of nodes: can steer a search of the tree
    proposes_groups = False  # finds labels: may have a shortlist of groups
    part: PartName = "linear"  # which part of samples it reads, if they have parts
    # Whether labels outside of the others' shortlist may be its best ones.
    needs_all_labels = False

    def prepare(self, X: Rows) -> None:  # noqa: B027, most have nothing to make
        """Make what all labels' scores of samples need, before threads ask for it."""

    @abstractmethod
    def bind(self, batch: Batch) -> Any:
        """Return the scores of a batch."""

    def n_scores(self) -> int:
        """Return how many scores of a sample are held, whatever is searched."""
        return 0

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
    factor: float = 1.0  # of the sum

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

    def _sum(self, scores: Iterable[Tensor]) -> Tensor:
        # Not `sum`, which would copy the first part to add 0 to it.
        total, factor = reduce(add, scores), self.combination.factor
        return total if factor == 1.0 else total.mul_(factor)

    def labels(self) -> Tensor:
        """Return the scores of all labels that are searched, shape (n, n_labels)."""
        return self._sum(part.labels() for part in self._able("scores_labels"))

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of the labels of groups, (n, n_groups, group_size)."""
        return self._sum(
            part.candidates(groups) for part in self._able("scores_labels")
        )

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of some labels outside of the shortlist, shape (n, m)."""
        return self._sum(part.outside(labels) for part in self._able("scores_labels"))

    def by_features(self) -> Tensor:
        """Return what features tell of all labels, late ones last, shape (n, n_all).

        Neither weights nor a factor were learned for late labels.
        """
        able = self._able("scores_by_features")
        return reduce(add, (part.by_features() for part in able))

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes)."""
        return self._sum(part.nodes(level) for part in self._able("can_steer"))

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of the children of (sample, node) pairs."""
        steering = self._able("can_steer")
        return self._sum(part.children(level, samples, nodes) for part in steering)

    def local_log_probs(self, wide: bool = False) -> Any:
        """Return what independent heads give, which nothing is added to."""
        (part,) = self.parts
        return part.local_log_probs(wide)
