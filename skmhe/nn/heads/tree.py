"""A tree of labels: its tables, scores, starting values and costs."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.labels.codec import check_head_sizes
from skmhe.nn.heads.base import Features, Head, HeadScores, log_odds
from skmhe.nn.products import MIN_WORK_PER_GROUP, grouped_linear, linear
from skmhe.nn.search import TreeSearch


class TreeHeadScores(HeadScores):
    """The scores of a tree's nodes."""

    head: "TreeHead"

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes)."""
        features, weights = self.dense
        return linear(features, weights[level], self.head.biases[level])

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of the children of pairs, see `TreeHead.child_scores`."""
        return self.head.child_scores(*self.dense, level, samples, nodes)


class TreeHead(Head):
    """A table with a row for each node, for every level of a tree.

    Parameters
    ----------
    in_features, head_sizes, n_labels, multilabel, beam_width, sparse_grad
        See `CascadeHead`.
    """

    def __init__(
        self,
        in_features: int,
        head_sizes: Sequence[int],
        n_labels: int | None,
        multilabel: bool,
        beam_width: int,
        sparse_grad: bool,
    ) -> None:
        self.head_sizes = check_head_sizes(head_sizes, n_labels or 1)
        if n_labels is None:
            n_labels = math.prod(self.head_sizes)
        super().__init__(in_features, n_labels, multilabel, sparse_grad)
        if len(self.head_sizes) < 2:
            raise ValueError(
                f"head_sizes={self.head_sizes} has one head, but a cascade needs at "
                "least 2: the first chooses what the next ones score. For one head "
                "use FullHead (strategy='full')."
            )
        if beam_width < 1:
            raise ValueError(f"beam_width must be at least 1, got {beam_width}.")
        self.beam_width = beam_width
        self._make_tables(self.search.n_nodes)

    @property
    def search(self) -> TreeSearch:
        """A beam of `beam_width` nodes."""
        return TreeSearch(
            self.multilabel, self.n_labels, self.head_sizes, self.beam_width
        )

    def bind(self, features: Features) -> TreeHeadScores:
        """Return the scores of (n, in_features) features, as `search` asks for them."""
        return TreeHeadScores(self, features)

    def child_scores(
        self,
        features: Tensor,
        weights: list[Tensor],
        level: int,
        samples: Tensor,
        nodes: Tensor,
    ) -> Tensor:
        """Return the scores of the children of (sample, node) pairs.

        Of shape (n_pairs, L_level); -inf where there is no such child.
        """
        return grouped_linear(
            features,
            samples,
            nodes,
            weights[level],
            self.biases[level],
            self.head_sizes[level],
            sparse_grad=self.sparse_grad and weights[level].is_leaf,
        )

    def _prior_scores(self, counts: Tensor, n_samples: float) -> list[Tensor]:
        if not self.multilabel:
            return [
                ((self._node_sums(counts, level) + 0.5) / (counts.sum() + 0.5)).log()
                for level in range(len(self.head_sizes))
            ]
        # The frequency of "any of the node's labels", if labels were independent.
        edge = 0.5 / (n_samples + 1)
        log_none = torch.log1p(-(counts / n_samples).clamp(edge, 1 - edge))
        rates = [
            -torch.expm1(self._node_sums(log_none, level))
            for level in range(len(self.head_sizes))
        ]
        priors = [log_odds(rates[0], n_samples)]
        for level in range(1, len(rates)):
            parents = rates[level - 1].repeat_interleave(self.head_sizes[level])
            priors.append(
                log_odds(rates[level] / parents[: len(rates[level])], n_samples)
            )
        return priors

    def _node_sums(self, label_values: Tensor, level: int) -> Tensor:
        """Return the sum of the values of the labels below each node of a level."""
        size = self.search.labels_per_node[level]
        n_missing = self.search.n_nodes[level] * size - self.n_labels
        return F.pad(label_values, (0, n_missing)).view(-1, size).sum(1)

    def multiply_adds(self, k: int = 1) -> int:
        """Return d * (L_1 + b L_2 + ... + b L_H) with a beam of b nodes.

        The more labels `k`, the wider the beam.
        """
        return self.in_features * sum(self.search.n_scored(k))

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample.

        Rows of children that are gathered take more memory than scores, and count.
        """
        gathered = min(max(self.head_sizes) * self.in_features, MIN_WORK_PER_GROUP)
        return super().n_scores(k) + self.search.width(k) * gathered
