"""The search in a tree of labels, by a beam."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.calibrated_search import odds_of
from skmhe.nn.scores import TreeScores
from skmhe.nn.search import pairs_above

# Children that a beam scores at a level at least, if there are so many: that takes less
# time than all else that a sample costs. And nodes that it has at least.
WIDE_BEAM_CHILDREN, MIN_BEAM_WIDTH = 4096, 10

# Of the norm of the odds against the nodes on a path: with two that are the same, the
# odds are too large by a factor of 2 ** (1 / 4).
JOIN_POWER = 4.0


def wide_beam(head_sizes: Sequence[int]) -> int:
    """Return the width of a beam that leaves out little of a small tree.

    No beam is too wide for a tree of a few thousand labels, where nodes may be hard to
    predict.
    """
    return max(MIN_BEAM_WIDTH, WIDE_BEAM_CHILDREN // max(head_sizes[1:], default=1))


class Beam(NamedTuple):
    """What a beam search has found: the children of the nodes that it kept."""

    nodes: Tensor  # shape: (n, n_found)
    scores: Tensor  # of their paths; shape: (n, n_found)
    pruned: Tensor  # the best score of a path that was left out; shape: (n,)


def child_nodes(nodes: Tensor, size: int) -> Tensor:
    """Return the children of nodes (n, m), shape (n, m * size)."""
    digits = torch.arange(size, device=nodes.device)
    return (nodes[:, :, None] * size + digits).flatten(1)


def expand(scores: TreeScores, level: int, nodes: Tensor) -> Tensor:
    """Return the scores of the children of each sample's nodes, (n, m, L_level)."""
    n, m = nodes.shape
    samples = torch.arange(n, device=nodes.device).repeat_interleave(m)
    children = scores.children(level, samples, nodes.flatten())
    return children.view(n, m, children.shape[1])


def beam_search(
    scores: TreeScores,
    start: Beam,
    levels: range,
    width: int,
    join: Callable[[Tensor, Tensor], Tensor],
) -> Beam:
    """Expand only the best nodes of each level.

    Parameters
    ----------
    scores : TreeScores
        Scores of the nodes.
    start : Beam
        The nodes above the first level.
    levels : range
        The levels to search.
    width : int
        Number of nodes that are expanded at each level, for each sample.
    join : callable
        Called with the scores of paths (n, m, 1) and of children (n, m, L), returns
        those of the children's paths.

    Returns
    -------
    Beam
        The children of the last nodes that were expanded.
    """
    nodes, path, pruned = start
    for level in levels:
        if width < path.shape[1]:
            best, kept = path.topk(width + 1, dim=1)
            pruned = torch.maximum(pruned, best[:, -1])
            path, nodes = best[:, :-1], nodes.gather(1, kept[:, :-1])
        children = expand(scores, level, nodes)
        nodes = child_nodes(nodes, children.shape[2])
        path = join(path[:, :, None], children).flatten(1)
    return Beam(nodes, path, pruned)


def local_log_probs(scores: Tensor, multilabel: bool) -> Tensor:
    """Return log-probabilities of labels, each on its own or as alternatives."""
    if multilabel:
        return F.logsigmoid(scores)
    # Of the children of a prefix that does not exist, all -inf, softmax makes NaN.
    return scores.log_softmax(-1).masked_fill(scores == -torch.inf, -torch.inf)


@dataclass(frozen=True)
class TreeSearch:
    """Search a tree of labels by a beam.

    P(label) is the product of P(node | parent) along the label's path. With `joint`,
    the last level's scores are of labels, whatever is above. For one label per sample,
    P(label) is their softmax over all labels, and the levels above only say where to
    look. For several, nodes have scores of "any of the labels below", and the odds
    against a label are a norm of those on its path, see `joined_odds`: hardly more than
    its own where its prefixes are probable, and never less than any of theirs.

    Parameters
    ----------
    multilabel : bool
        Whether a sample may have any number of labels.
    n_labels : int
        Number of labels in the tree.
    head_sizes : tuple of int
        Numbers of children of the nodes of each level.
    beam_width : int
        Number of nodes that are expanded at each level, at least.
    joint : bool, default=False
        See above.
    """

    multilabel: bool
    n_labels: int
    head_sizes: tuple[int, ...]
    beam_width: int
    joint: bool = False

    steered = True
    scores_all = has_late = False

    @property
    def one_softmax(self) -> bool:
        """Whether P(label) is a softmax over all labels."""
        return self.joint and not self.multilabel

    @property
    def group_size(self) -> int:
        """Number of labels of a group."""
        return self.head_sizes[-1]

    def with_beam_width(self, beam_width: int) -> Self:
        """Return the same with another beam width."""
        return replace(self, beam_width=beam_width)

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.head_sizes)

    @property
    def labels_per_node(self) -> list[int]:
        """Number of labels below a node of each level; nodes of the last are labels."""
        return [math.prod(self.head_sizes[h + 1 :]) for h in range(self.n_levels)]

    @property
    def n_nodes(self) -> list[int]:
        """Number of nodes of each level."""
        return [-(-self.n_labels // labels) for labels in self.labels_per_node]

    def width(self, k: int) -> int:
        """Return a beam width that certainly finds `k` labels.

        Only the last node of a level may have fewer children than the others.
        """
        k = min(k, self.n_labels)
        return max(self.beam_width, -(-k // self.head_sizes[-1]) + 1)

    def _first(self, scores: TreeScores) -> Tensor:
        """Return log P of the first nodes."""
        return local_log_probs(scores.nodes(0), self.multilabel)

    def _join(self, path: Tensor, children: Tensor) -> Tensor:
        if self.joint:
            return F.logsigmoid(joined_odds(odds_of(path), children))
        return path + local_log_probs(children, self.multilabel)

    def _all_joint(self, scores: TreeScores) -> Tensor:
        return scores.nodes(self.n_levels - 1).log_softmax(1)

    def log_prob(self, scores: TreeScores) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""
        if self.one_softmax:
            return self._all_joint(scores)
        if self.joint:
            return F.logsigmoid(self.log_odds(scores))
        log_p = self._first(scores)
        for level in range(1, self.n_levels):
            size, n_nodes = self.head_sizes[level], self.n_nodes[level]
            n_missing = log_p.shape[1] * size - n_nodes
            found = F.pad(scores.nodes(level), (0, n_missing), value=-torch.inf)
            # shape: (n, n_parents, size); every parent has children
            found, parents = found.unflatten(1, (-1, size)), log_p[:, :, None]
            if self.multilabel:
                log_p = parents + F.logsigmoid(found)
            else:
                log_p = found + (parents - found.logsumexp(2, keepdim=True))
            log_p = log_p.flatten(1)[:, :n_nodes]
        return log_p

    def prob(self, scores: TreeScores) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""
        if self.one_softmax:
            return self.log_prob(scores).exp_()
        if self.joint:
            return self.log_odds(scores).sigmoid_()
        first = scores.nodes(0)
        first = first.sigmoid() if self.multilabel else first.softmax(1)
        join = _multiply_sigmoids if self.multilabel else _multiply_softmax
        return self._descend(scores, first, join)

    def log_odds(self, scores: TreeScores) -> Tensor:
        """Return the log-odds of every label of a multi-label task, (n, n_labels)."""
        join = _join_odds if self.joint else _join_log_odds
        return self._descend(scores, scores.nodes(0), join)

    def _descend(
        self,
        scores: TreeScores,
        values: Tensor,
        join: Callable[[Tensor, Tensor], None],
    ) -> Tensor:
        """Return the values of all labels from those of the first nodes.

        `join` replaces the scores of children (n, m, L) by their values, given their
        parents' values (n, m, 1).
        """
        for level in range(1, self.n_levels):
            found, size = scores.nodes(level), self.head_sizes[level]
            n_whole = found.shape[1] // size
            whole, last = found[:, : n_whole * size], found[:, None, n_whole * size :]
            join(values[:, :n_whole, None], whole.unflatten(1, (n_whole, size)))
            if last.shape[2]:
                join(values[:, n_whole:, None], last)
            values = found
        return values

    def topk(
        self, scores: TreeScores, k: int, exact: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k).

        With `exact`, nodes that the beam left out are expanded, too, wherever a label
        below them could be among the best.
        """
        if self.one_softmax:
            if not exact:
                return self._joint_topk(scores, k)
            log_p, labels = self._all_joint(scores).topk(k, dim=1)
            return labels, log_p
        log_p = self._first(scores)
        n, first_nodes = len(log_p), torch.arange(log_p.shape[1], device=log_p.device)
        start = Beam(first_nodes.expand(n, -1), log_p, log_p.new_full((n,), -torch.inf))
        levels = range(1, self.n_levels)
        found = beam_search(scores, start, levels, self.width(k), self._join)
        labels, best = _best(found, k)
        if exact:
            # P(label) never exceeds P(node): nothing was missed unless a node that was
            # left out is more probable than the k-th label.
            rows = (found.pruned > best[:, -1]).nonzero().squeeze(1)
            if len(rows):
                more = self._above(scores.take(rows), best[rows, -1])
                labels[rows], best[rows] = _merged(labels[rows], best[rows], *more)
        return labels, best

    def _joint_topk(self, scores: TreeScores, k: int) -> tuple[Tensor, Tensor]:
        """Return the best labels below the beam, and their share of what is there."""
        first = scores.nodes(0)
        n, nodes = len(first), torch.arange(first.shape[1], device=first.device)
        start = Beam(nodes.expand(n, -1), first, first.new_full((n,), -torch.inf))
        found = beam_search(
            scores, start, range(1, self.n_levels), self.width(k), _last_scores
        )
        labels, best = _best(found, k)
        return labels, best - found.scores.logsumexp(1, keepdim=True)

    def above(self, scores: TreeScores, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        if self.one_softmax:
            return pairs_above(self._all_joint(scores), threshold)
        samples, labels, _ = self._above(scores, threshold)
        return samples, labels

    def _above(
        self, scores: TreeScores, threshold: float | Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return pairs above a threshold (a number, or one per sample), and log P.

        P(node) never exceeds P(parent): only nodes above the threshold are expanded.
        """
        log_p = self._first(scores)
        limits = torch.as_tensor(threshold, dtype=log_p.dtype, device=log_p.device)
        limits = limits.expand(len(log_p))
        samples, nodes = (log_p > limits[:, None]).nonzero(as_tuple=True)
        path = log_p[samples, nodes]
        for level in range(1, self.n_levels):
            children = scores.children(level, samples, nodes)
            found = self._join(path[:, None], children)
            pairs, digits = (found > limits[samples, None]).nonzero(as_tuple=True)
            samples = samples[pairs]
            nodes = nodes[pairs] * self.head_sizes[level] + digits
            path = found[pairs, digits]
        return samples, nodes, path

    def n_scored(self, k: int = 1) -> list[int]:
        """Return how many nodes of each level are scored for a sample."""
        scored, n_candidates = [self.n_nodes[0]], self.n_nodes[0]
        for size in self.head_sizes[1:]:
            n_candidates = min(self.width(k), n_candidates) * size
            scored.append(n_candidates)
        return scored

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample."""
        return 3 * max(self.n_scored(k))


def _best(found: Beam, k: int) -> tuple[Tensor, Tensor]:
    """Return the k best of the labels that were found, and their scores."""
    best, places = found.scores.topk(k, dim=1)
    return found.nodes.gather(1, places), best


def _multiply_softmax(parents: Tensor, scores: Tensor) -> None:
    # Faster than `softmax`, for few children.
    scores.sub_(scores.amax(2, keepdim=True)).exp_()
    scores.mul_(parents / scores.sum(2, keepdim=True))


def _multiply_sigmoids(parents: Tensor, scores: Tensor) -> None:
    scores.sigmoid_().mul_(parents)


def joined_odds(parents: Tensor, children: Tensor) -> Tensor:
    """Return the log-odds of a node's event that its parent's limits.

    The odds against it are the `JOIN_POWER`-norm of both. A sum would make too little
    of a label that is alone below its prefix, and has its odds; the larger one would
    make all labels equal below an improbable prefix.
    """
    against = torch.logaddexp(-JOIN_POWER * parents, -JOIN_POWER * children)
    return against.div_(-JOIN_POWER)


def _join_odds(parents: Tensor, scores: Tensor) -> None:
    scores.copy_(joined_odds(parents, scores))


def _join_log_odds(parents: Tensor, scores: Tensor) -> None:
    """Join two independent events: the odds against both are a + b + a b.

    a and b are the odds against each of them. Log-odds are cut off at about 350, with
    probabilities of 1e-150.
    """
    bound = 0.49 * math.log(torch.finfo(scores.dtype).max)  # a b must not overflow
    against = parents.clamp(-bound, bound).neg_().exp_()
    scores.clamp_(-bound, bound).neg_().exp_()
    scores.mul_(1 + against).add_(against).log_().neg_()


def _last_scores(path: Tensor, children: Tensor) -> Tensor:
    """Join for a tree whose last level alone counts."""
    return children


def _merged(
    labels: Tensor, log_p: Tensor, samples: Tensor, others: Tensor, other_log_p: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the best k of (n, k) labels and of pairs, which may repeat them."""
    n, k = labels.shape
    counts = torch.bincount(samples, minlength=n)
    places = torch.arange(len(samples), device=samples.device)
    places = places - (counts.cumsum(0) - counts)[samples]
    # shape: (n, most pairs of a sample)
    table = log_p.new_full((n, int(counts.max())), -torch.inf)
    names = labels.new_full(table.shape, -1)
    table[samples, places], names[samples, places] = other_log_p, others
    again = (labels[:, :, None] == names[:, None, :]).any(2)
    both = torch.cat([log_p.masked_fill(again, -torch.inf), table], dim=1)
    best, kept = both.topk(k, dim=1)
    return torch.cat([labels, names], dim=1).gather(1, kept), best
