"""Heads in a cascade: each scores a digit, given the digits before it."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.labels.codec import check_head_sizes
from skmhe.nn.heads.base import ExtraScores, Head, HeadScores, log_odds
from skmhe.nn.heads.targets import (
    Positives,
    bernoulli_losses,
    softmax_losses,
    sum_by_sample,
)
from skmhe.nn.products import MIN_WORK_PER_GROUP
from skmhe.nn.tree_search import (
    MIN_BEAM_WIDTH,
    WIDE_BEAM_CHILDREN,
    TreeSearch,
    child_nodes,
    expand,
)


def training_beam(head_sizes: Sequence[int]) -> int:
    """Return the width of the beam in training, less than usual in a large tree.

    As a sample costs as much as the children of the beam's nodes.
    """
    width = WIDE_BEAM_CHILDREN // max(head_sizes[1:], default=1)
    return max(1, min(width, MIN_BEAM_WIDTH))


class TreeHeadScores(HeadScores):
    """The scores of a tree's nodes."""

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes)."""
        return self.of_table(level)

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of the children of (sample, node) pairs."""
        return self.of_groups(self.head.head_sizes[level], samples, nodes, level)


class CascadeHead(Head):
    """A tree of labels, searched by a beam.

    This is MHC of [1]_. A label is written as a code of H digits (see
    `skmhe.LabelCodec`). Its first 1, 2, ..., H digits are its prefixes: the nodes of a
    tree, whose leaves are the labels. The first head scores the first digits. Each
    further head has a row of weights for every prefix of its length, and scores only
    the children of some nodes. `topk` searches by a beam: at each level, only the
    children of the `beam_width` best nodes are scored.

    *Single-label*: with ``hard_negatives=False``, there is a softmax over the children
    of each node; P(label) is the product along the label's path (chain rule), and the
    loss is its negative logarithm: in training, the heads are given the true prefixes
    (teacher forcing).

    With ``hard_negatives=True``, each further head is trained by one softmax over the
    children of the true prefix and of the `beam_width` best others [3]_. P(label) is
    the softmax of the last head's scores over all labels; the heads before it only tell
    the beam where to look. Similar labels are then told apart by one head even if their
    prefixes differ, which ranks better where prefixes are hard to predict. `topk`
    normalizes over the labels that the beam found, so its probabilities are never too
    small; ``exact=True``, `log_prob` and `above` score all labels.

    *Multi-label*: there is a sigmoid for each node. With ``hard_negatives=True``, it is
    that of "any of the node's labels", whatever is above: each level's loss is its
    binary cross-entropy, over the children of the true prefixes and of the `beam_width`
    best ones. The odds against a node are about the largest of those on its path (see
    `skmhe.nn.tree_search.joined_odds`): a label is never more probable than its
    prefixes, as it has hardly learned to reject samples that these rejected. With
    ``hard_negatives=False``, a node is trained only on
    the samples of its parent: by the binary cross-entropy of P(node | parent), as in
    probabilistic label trees [2]_, which is cheaper and consistent for the marginals;
    P(node) is the product along its path. Which ranks better depends on the data.

    Parameters
    ----------
    in_features : int
        Number d of features.
    head_sizes : sequence of int
        Lengths L_1, ..., L_H of at least 2 heads.
    n_labels : int, default=None
        Number of labels C, at most the product of the lengths, which is the
        default. The labels are the first C codes.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    beam_width : int, default=10
        Number of nodes of a level whose children are scored, in `topk` (more if `k`
        labels need more) and, with hard negatives, in training.
    hard_negatives : bool, default=None
        Whether to train also on the best wrong nodes, see above; None is True for
        multi-label heads, False otherwise.
    sparse_grad : bool, default=False
        Whether all tables but the first get sparse gradients, of the rows that were
        scored.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182.
    .. [2] Jasinska-Kobus et al., "Probabilistic Label Trees for Extreme Multi-label
       Classification", arXiv:2009.11218.
    .. [3] Jiang et al., "LightXML: Transformer with Dynamic Negative Sampling for
       High-Performance Extreme Multi-label Text Classification", AAAI 2021.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import CascadeHead
    >>> head = CascadeHead(4, head_sizes=(3, 4), n_labels=11)
    >>> [tuple(weight.shape) for weight in head.weights]
    [(3, 4), (11, 4)]
    >>> probabilities = head.log_prob(torch.ones(2, 4)).exp()
    >>> torch.allclose(probabilities.sum(1), torch.ones(2))
    True
    """

    _scores_class = TreeHeadScores
    _shown = (*Head._shown, "head_sizes", "beam_width", "hard_negatives")

    def __init__(
        self,
        in_features: int,
        head_sizes: Sequence[int],
        n_labels: int | None = None,
        multilabel: bool = False,
        beam_width: int = 10,
        hard_negatives: bool | None = None,
        sparse_grad: bool = False,
    ) -> None:
        self.hard_negatives = multilabel if hard_negatives is None else hard_negatives
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
    def is_joint(self) -> bool:
        """Whether the labels are scored whatever their prefixes are, see `TreeSearch`.

        With one label per sample, there is one softmax over all of them.
        """
        return self.hard_negatives

    @property
    def search(self) -> TreeSearch:
        """A beam of `beam_width` nodes."""
        return TreeSearch(
            self.multilabel,
            self.n_labels,
            self.head_sizes,
            self.beam_width,
            self.is_joint,
        )

    @property
    def takes_label_smoothing(self) -> bool:
        """Whether each softmax of the loss has all children of a node, and no others.

        Of the children of a beam, only the hardest would share the smoothed target.
        """
        return not self.multilabel and not self.hard_negatives

    def _sample_losses(
        self,
        scores: TreeHeadScores,
        targets: Any,
        extra_scores: ExtraScores | None,
        label_smoothing: float,
    ) -> Tensor:
        if self.multilabel:
            return self._node_losses(scores, targets)
        if self.is_joint:
            return self._joint_losses(scores, targets)
        return self._path_losses(scores, targets, label_smoothing)

    def _path_losses(
        self, scores: TreeHeadScores, targets: Tensor, label_smoothing: float
    ) -> Tensor:
        """Return -log P(label) of the true labels, shape (n,); each head's smoothed."""
        samples = torch.arange(len(targets), device=targets.device)
        losses: Any = 0
        for level, labels in enumerate(self.search.labels_per_node):
            nodes, size = targets // labels, self.head_sizes[level]
            if level == 0:
                found = scores.nodes(0)
            else:
                found = scores.children(level, samples, nodes // size)
            losses = losses + softmax_losses(found, nodes % size, label_smoothing)
        return losses

    def _true_nodes(self, positives: Positives, level: int) -> Positives:
        """Return the distinct true (sample, node) pairs of a level, and weights.

        A node's weight is the largest of its true labels'.
        """
        n_nodes = self.search.n_nodes[level]
        nodes = positives.labels // self.search.labels_per_node[level]
        keys, inverse = torch.unique(
            positives.samples * n_nodes + nodes, return_inverse=True
        )
        weights = None
        if positives.weights is not None:
            weights = positives.weights.new_zeros(len(keys))
            weights.scatter_reduce_(0, inverse, positives.weights, "amax")
        return positives._replace(
            samples=keys // n_nodes, labels=keys % n_nodes, weights=weights
        )

    def _node_losses(self, scores: TreeHeadScores, targets: Positives) -> Tensor:
        """Return the binary cross-entropies of the nodes that are scored, shape (n,).

        Those are the children of the true nodes and, if labels are scored whatever
        their prefixes are, of the best ones.
        """
        width = self.beam_width if self.is_joint else 0
        found, nodes = scores.nodes(0), self._true_nodes(targets, 0)
        losses = bernoulli_losses(found, nodes)
        # The first nodes are the root's children: one row of scores for each sample.
        samples = torch.arange(len(losses), device=found.device)
        prefixes, places = torch.zeros_like(samples), nodes
        for level in range(1, len(self.head_sizes)):
            rows, digits = expanded_nodes(found, samples, places, len(losses), width)
            prefixes = prefixes[rows] * found.shape[1] + digits
            samples = samples[rows]
            # shape: (n_pairs, L_level); -inf, and no loss, where there is no child
            found = scores.children(level, samples, prefixes)
            nodes = self._true_nodes(targets, level)
            places = self._locate(nodes, samples, prefixes, level)
            pair_losses = bernoulli_losses(found, places)
            losses = losses + sum_by_sample(pair_losses, samples, len(losses))
        return losses

    def _locate(
        self, nodes: Positives, samples: Tensor, prefixes: Tensor, level: int
    ) -> Positives:
        """Return the nodes by row and column of their scores among sorted pairs."""
        n_prefixes, size = self.search.n_nodes[level - 1], self.head_sizes[level]
        keys = nodes.samples * n_prefixes + nodes.labels // size
        rows = torch.searchsorted(samples * n_prefixes + prefixes, keys)
        return nodes._replace(samples=rows, labels=nodes.labels % size)

    def _joint_losses(self, scores: TreeHeadScores, targets: Tensor) -> Tensor:
        """Return the sum of the levels' cross-entropies, shape (n,).

        Each is among the children of the true prefix, which come first, and of the best
        others.
        """
        found, labels_per_node = scores.nodes(0), self.search.labels_per_node
        nodes = torch.arange(found.shape[1], device=found.device)
        nodes = nodes.expand(len(found), -1)
        places = targets // labels_per_node[0]
        losses = F.cross_entropy(found, places, reduction="none")
        for level in range(1, len(self.head_sizes)):
            true, size = places[:, None], self.head_sizes[level]
            others = found.detach().scatter(1, true, -torch.inf)
            width = min(self.beam_width, found.shape[1] - 1)
            best, kept = others.topk(width, dim=1)
            prefixes = nodes.gather(1, torch.cat([true, kept], dim=1))
            nodes = child_nodes(prefixes, size)
            # If there are too few others, the true prefix is repeated.
            missing = F.pad(best == -torch.inf, (1, 0))
            found = expand(scores, level, prefixes)
            found = found.masked_fill(missing[:, :, None], -torch.inf).flatten(1)
            places = targets // labels_per_node[level] % size
            losses = losses + F.cross_entropy(found, places, reduction="none")
        return losses

    def _prior_scores(self, counts: Tensor, n_samples: float) -> list[Tensor]:
        if not self.multilabel:
            total = counts.sum() + 0.5
            return [((found + 0.5) / total).log() for found in self._node_sums(counts)]
        # The frequency of "any of the node's labels", if labels were independent.
        edge = 0.5 / (n_samples + 1)
        log_none = torch.log1p(-(counts / n_samples).clamp(edge, 1 - edge))
        rates = [-torch.expm1(found) for found in self._node_sums(log_none)]
        if self.is_joint:
            return [log_odds(rate, n_samples) for rate in rates]
        priors = [log_odds(rates[0], n_samples)]
        for size, above, rate in zip(
            self.head_sizes[1:], rates, rates[1:], strict=False
        ):
            parents = above.repeat_interleave(size)[: len(rate)]
            priors.append(log_odds(rate / parents, n_samples))
        return priors

    def _node_sums(self, label_values: Tensor) -> list[Tensor]:
        """Return the sums of the values of the labels below each node, by level."""
        sizes, n_nodes = self.search.labels_per_node, self.search.n_nodes
        return [
            F.pad(label_values, (0, n * size - self.n_labels)).view(-1, size).sum(1)
            for size, n in zip(sizes, n_nodes, strict=True)
        ]

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


@torch.no_grad()
def expanded_nodes(
    scores: Tensor, samples: Tensor, true: Positives, n_samples: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return which nodes are expanded in training: the true and the best ones.

    Given scores of nodes (n_pairs, L), the sample of each row, in order, and the places
    of the true nodes, it returns the places (rows and columns, sorted) of the true
    nodes and of the best `width` ones of each sample.
    """
    if not width:
        return true.samples, true.labels
    keep = torch.zeros_like(scores, dtype=torch.bool)
    if len(samples) == n_samples:  # one row for each
        best = scores.topk(min(width, scores.shape[1]), dim=1).indices
        keep.scatter_(1, best, True)
    else:
        # Samples have unequal numbers of nodes: rank these within each sample.
        values, owners = scores.flatten(), samples.repeat_interleave(scores.shape[1])
        order = torch.argsort(values, descending=True, stable=True)
        order = order[torch.argsort(owners[order], stable=True)]
        counts = torch.bincount(owners, minlength=n_samples)
        starts = (counts.cumsum(0) - counts)[owners[order]]
        ranks = torch.arange(len(order), device=order.device) - starts
        keep.view(-1)[order[ranks < width]] = True
    keep &= scores > -torch.inf  # where there is no such node
    keep[true.samples, true.labels] = True
    rows, digits = keep.nonzero(as_tuple=True)
    return rows, digits
