"""What a search is, and what it asks of scores: of a head, or of several models."""

from typing import Any, Protocol, Self

from torch import Tensor


class Scores(Protocol):
    """Scores of n samples."""

    def take(self, rows: slice | Tensor) -> Self:
        """Return the scores of some of the samples."""


class FlatScores(Scores, Protocol):
    """Scores of labels that are not ordered in a tree."""

    def labels(self) -> Tensor:
        """Return the scores of all labels, shape (n, n_labels).

        Searches may write to them.
        """

    def shortlist(self) -> Tensor | None:
        """Return the groups that hold the best labels, (n, n_groups); None for all.

        A group is a run of `group_size` consecutive labels.
        """

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of the labels of groups, (n, n_groups, group_size).

        -inf where the last group has no such label.
        """

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of some labels (m,), shape (n, m).

        As they are outside of the shortlist, for all samples.
        """


class FeatureScores(Scores, Protocol):
    """What features of labels tell, also of labels that came after training."""

    def by_features(self) -> Tensor:
        """Return scores of all labels, late ones last, shape (n, n_labels + n_late).

        As those of a softmax; a constant of a sample makes no difference.
        """


class TreeScores(Scores, Protocol):
    """Scores of the nodes of a tree of labels."""

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes).

        Searches may write to them.
        """

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of the children of (sample, node) pairs.

        Of shape (n_pairs, L_level), for children that are nodes of `level`; -inf where
        there is no such child.
        """


class Search(Protocol):
    """Finds the labels whose scores, of the kind that it asks for, are best."""

    @property
    def multilabel(self) -> bool:
        """Whether a sample may have any number of labels."""

    @property
    def n_labels(self) -> int:
        """Number of labels."""

    @property
    def head_sizes(self) -> tuple[int, ...]:
        """Lengths of the heads; (n_labels,) where labels have no codes."""

    @property
    def n_levels(self) -> int:
        """Number of levels of the tree, 1 where there is none."""

    @property
    def group_size(self) -> int:
        """Number of labels of a group, whose scores are computed together."""

    @property
    def steered(self) -> bool:
        """Whether it is steered through a tree: asks for `TreeScores`."""

    @property
    def joint(self) -> bool:
        """Whether a tree's last level scores labels, not labels given their prefix."""

    @property
    def scores_all(self) -> bool:
        """Whether it scores all labels, or groups of them: asks for `FlatScores`."""

    @property
    def has_late(self) -> bool:
        """Whether labels came after training: asks for `FeatureScores` as well."""

    def with_beam_width(self, beam_width: int) -> Self:
        """Return the same with another beam width, where there is a beam."""

    def log_prob(self, scores: Any) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""

    def prob(self, scores: Any) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""

    def topk(self, scores: Any, k: int, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""

    def above(self, scores: Any, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample."""
