"""What all ways to train a tree of local labels share: its tables and scores."""

import math

import torch
import torch.nn.functional as F

from skmhe.label_codec import check_head_sizes
from skmhe.nn._precision import linear
from skmhe.nn._rows import MIN_WORK_PER_GROUP, grouped_linear
from skmhe.nn.heads._base import Head, log_odds


class TreeHead(Head):
    """A table of each level's nodes, scores of nodes below some prefixes, and costs.

    Parameters
    ----------
    in_features, head_sizes, n_labels, multilabel, beam_width, sparse_grad
        See `CascadeHead`.
    """

    def __init__(
        self, in_features, head_sizes, n_labels, multilabel, beam_width, sparse_grad
    ):
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
        # Labels below a node of each level; the last level's nodes are the labels.
        self.labels_per_node = [
            math.prod(self.head_sizes[h + 1 :]) for h in range(len(self.head_sizes))
        ]
        self.n_nodes = [-(-n_labels // labels) for labels in self.labels_per_node]
        self._make_tables(self.n_nodes)

    # Scores

    def _first_scores(self, features, weights):
        if self.in_features:
            scores = linear(features, weights[0], self.biases[0])
        else:  # no network
            scores = self.biases[0].expand(len(features), -1)
        if self.offsets is None:
            return scores
        samples = torch.arange(len(features), device=features.device)
        offsets = self.offsets.children(0, samples, torch.zeros_like(samples))
        return scores + offsets[:, : scores.shape[1]]

    def _child_scores(self, features, weights, level, samples, prefixes):
        """Return the scores of the children of (sample, prefix) pairs.

        Shape (n_pairs, L_level); -inf where there is no such child.
        """
        size = self.head_sizes[level]
        if self.in_features:
            scores = grouped_linear(
                features,
                samples,
                prefixes,
                weights[level],
                self.biases[level],
                size,
                sparse_grad=self.sparse_grad and weights[level].is_leaf,
            )
        else:  # no network
            n_missing = self.n_nodes[level - 1] * size - self.n_nodes[level]
            bias = F.pad(self.biases[level], (0, n_missing), value=-torch.inf)
            scores = bias.view(-1, size)[prefixes]
        if self.offsets is None:
            return scores
        return scores + self.offsets.children(level, samples, prefixes)

    def _all_child_scores(self, features, weights, level):
        """Return the scores of all nodes of a level, shape (n, n_parents, L_level)."""
        scores = linear(features, weights[level], self.biases[level])
        n, n_parents = len(features), self.n_nodes[level - 1]
        size = self.head_sizes[level]
        n_missing = n_parents * size - scores.shape[1]
        scores = F.pad(scores, (0, n_missing), value=-torch.inf)
        scores = scores.view(n, n_parents, size)
        if self.offsets is None:
            return scores
        samples = torch.arange(n, device=scores.device).repeat_interleave(n_parents)
        prefixes = torch.arange(n_parents, device=scores.device).repeat(n)
        offsets = self.offsets.children(level, samples, prefixes)
        return scores + offsets.view(n, n_parents, offsets.shape[1])

    def _width(self, k):
        """Return a beam width that certainly finds `k` labels.

        All prefixes but the last one of a level have all their children.
        """
        k = min(k, self.n_labels)
        return max(self.beam_width, -(-k // self.head_sizes[-1]) + 1)

    # Starting values and costs

    def _prior_scores(self, counts, n_samples):
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

    def _node_sums(self, label_values, level):
        """Sum the values of the labels below each node of a level."""
        size = self.labels_per_node[level]
        n_missing = self.n_nodes[level] * size - self.n_labels
        return F.pad(label_values, (0, n_missing)).view(-1, size).sum(1)

    def multiply_adds(self, k=1):
        """Return d * (L_1 + b L_2 + .. + b L_H) with a beam of b prefixes.

        Parameters
        ----------
        k : int, default=1
            Number of labels wanted; a large one needs a wider beam.
        """
        return self.in_features * sum(self._n_scored(k))

    def n_scores(self, k=1):
        """Return the largest number of scores that `topk` holds for a sample.

        Parameters
        ----------
        k : int, default=1
            Number of labels wanted.
        """
        # Where children's rows are gathered, they take more memory than the scores.
        gathered = min(max(self.head_sizes) * self.in_features, MIN_WORK_PER_GROUP)
        return 3 * max(self._n_scored(k)) + self._width(k) * gathered

    def _n_scored(self, k):
        """Return how many nodes of each level are scored for a sample."""
        scored, n_candidates = [self.n_nodes[0]], self.n_nodes[0]
        for size in self.head_sizes[1:]:
            n_candidates = min(self._width(k), n_candidates) * size
            scored.append(n_candidates)
        return scored
