"""Heads in a cascade: each digit is scored given the digits before it."""

import torch
import torch.nn.functional as F

from skmhe.nn._beam import kept_prefixes
from skmhe.nn.heads._base import bernoulli_losses, sum_by_sample
from skmhe.nn.heads._joint import JointSoftmax


class CascadeHead(JointSoftmax):
    """A tree of local labels, searched by a beam (MHC in [1]_).

    The first head scores the first digit. Each further head has a row for every
    prefix (a node of the tree) and scores only the children of some prefixes.

    *Single-label*: with ``hard_negatives=False``, a softmax over the children of each
    prefix; P(label) is the product along the label's path (chain rule), and sums to 1
    over the labels. The loss is its negative logarithm: in training the heads are given
    the true prefixes (teacher forcing).

    With ``hard_negatives=True``, each further head is trained by one softmax over the
    children of the true prefix and of the `beam_width` best others, as of a shortlist
    [3]_. P(label) is the softmax of the last head's scores over all labels; the heads
    before it only tell the beam where to look. So similar labels are told apart by one
    head even if their prefixes differ: it ranks better, where prefixes are hard to
    tell from features. `topk` takes the labels that the beam found for all that there
    are (its probabilities are never too small); ``exact=True``, `log_prob` and `above`
    score all labels.

    *Multi-label*: a sigmoid for each node; P(node) is the product along the path.
    With ``hard_negatives=True``, each level's loss is the binary
    cross-entropy of P(node), over the children of the true prefixes and of the
    `beam_width` best ones. It is the loss of what is ranked later, so no level is
    trained one way and scored another; the nodes left out have a small P(node),
    and next to no loss. With ``hard_negatives=False``, a node is trained on the
    samples whose parent is positive only: the binary cross-entropy of
    P(node | parent), as in probabilistic label trees [2]_, which is cheaper and
    consistent for the marginals. Which ranks better depends on the data.

    Parameters
    ----------
    in_features : int
        Number d of features.
    head_sizes : sequence of int
        Lengths L_1..L_H of at least 2 heads.
    n_labels : int, default=None
        Number of labels C, at most the product of the lengths, which is the
        default. The labels are the first C codes.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    beam_width : int, default=10
        Number of prefixes whose children are scored, in `topk` (there one more than
        `k` labels need, at least) and, for hard negatives, in training.
    hard_negatives : bool, default=None
        See above; None: True for several labels a sample, False for one.
    sparse_grad : bool, default=False
        Give the tables behind the first head sparse gradients, of the rows that
        were scored.

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

    def __init__(
        self,
        in_features,
        head_sizes,
        n_labels=None,
        multilabel=False,
        beam_width=10,
        hard_negatives=None,
        sparse_grad=False,
    ):
        super().__init__(
            in_features, head_sizes, n_labels, multilabel, beam_width, sparse_grad
        )
        self.hard_negatives = multilabel if hard_negatives is None else hard_negatives

    @property
    def is_joint(self):
        """Whether one softmax over all labels makes the probabilities."""
        return self.hard_negatives and not self.multilabel

    # Probabilities

    def _local_log_probs(self, scores):
        """Return log P(node | parent) from the scores of siblings (last axis)."""
        if self.multilabel:
            return F.logsigmoid(scores)
        # The children of a prefix that does not exist are all -inf, which the
        # softmax would turn into NaN.
        return scores.log_softmax(-1).masked_fill(scores == -torch.inf, -torch.inf)

    def _first_log_probs(self, features, weights):
        """Return log P of the first nodes, and of the labels that the offsets add.

        These compete with the first nodes, as if they were such nodes themselves. The
        second is of shape (n, 0) if there are none.
        """
        scores = self._first_scores(features, weights)
        log_p = self._local_log_probs(self._with_added(scores))
        return log_p[:, : scores.shape[1]], log_p[:, scores.shape[1] :]

    # Loss

    def _sample_losses(self, features, weights, targets):
        if self.is_joint:
            return self._joint_losses(features, weights, targets)
        if not self.multilabel:
            return self._path_losses(features, weights, targets)
        if self.hard_negatives:
            return self._beam_losses(features, weights, targets)
        return self._conditional_losses(features, weights, targets)

    def _path_losses(self, features, weights, targets):
        """Return -log P(label) of the true labels, shape (n,)."""
        samples = torch.arange(len(features), device=features.device)
        losses = 0.0
        for level, labels in enumerate(self.labels_per_node):
            nodes = targets // labels
            prefixes = nodes // self.head_sizes[level]
            if level == 0:
                scores = self._first_scores(features, weights)
            else:
                scores = self._child_scores(features, weights, level, samples, prefixes)
            digits = nodes % self.head_sizes[level]
            losses = losses + F.cross_entropy(scores, digits, reduction="none")
        return losses

    def _true_nodes(self, positives, level):
        """Return the distinct true (sample, node) pairs of a level, and weights.

        A node's weight is the largest of its true labels'.
        """
        n_nodes = self.n_nodes[level]
        nodes = positives.labels // self.labels_per_node[level]
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

    def _conditional_losses(self, features, weights, targets):
        """Return the cross-entropies of P(node | parent) below true parents."""
        parents = self._true_nodes(targets, 0)
        losses = bernoulli_losses(self._first_scores(features, weights), parents)
        for level in range(1, len(self.head_sizes)):
            scores = self._child_scores(
                features, weights, level, parents.samples, parents.labels
            )
            nodes = self._true_nodes(targets, level)
            rows, digits = self._locate(nodes, parents.samples, parents.labels, level)
            # A child that does not exist has softplus(-inf) = 0 loss.
            pair_losses = bernoulli_losses(
                scores, nodes._replace(samples=rows, labels=digits)
            )
            losses = losses + sum_by_sample(pair_losses, parents.samples, len(features))
            parents = nodes
        return losses

    def _locate(self, nodes, samples, prefixes, level):
        """Return the row and column of each node's score among sorted pairs."""
        n_prefixes = self.n_nodes[level - 1]
        size = self.head_sizes[level]
        keys = nodes.samples * n_prefixes + nodes.labels // size
        rows = torch.searchsorted(samples * n_prefixes + prefixes, keys)
        return rows, nodes.labels % size

    def _beam_losses(self, features, weights, targets):
        """Return the cross-entropies of P(node), of true prefixes and the beam's.

        With the logarithms of P and 1 - P of the parent, those of a child whose
        score is s are log P + logsigmoid(s), and logaddexp(logsigmoid(-s),
        logsigmoid(s) + log(1 - P)): exact where P is nearly 0 or 1.
        """
        n = len(features)
        scores = self._first_scores(features, weights)
        nodes = self._true_nodes(targets, 0)
        losses = bernoulli_losses(scores, nodes)
        samples = torch.arange(n, device=features.device)[:, None].expand_as(scores)
        samples = samples.flatten()
        prefixes = torch.arange(scores.shape[1], device=features.device).repeat(n)
        log_p, log_not_p = F.logsigmoid(scores), F.logsigmoid(-scores)
        rows, digits = nodes.samples, nodes.labels
        for level in range(1, len(self.head_sizes)):
            true = rows * log_p.shape[1] + digits
            kept = kept_prefixes(
                log_p, samples, true, n, self.beam_width, is_table=level == 1
            )
            samples, prefixes = samples[kept], prefixes[kept]
            parent_log_p = log_p.flatten()[kept][:, None]
            parent_log_not_p = log_not_p.flatten()[kept][:, None]
            # shape: (n_pairs, L_level)
            scores = self._child_scores(features, weights, level, samples, prefixes)
            exists = scores != -torch.inf
            scores = scores.masked_fill(~exists, 0.0)
            log_yes = F.logsigmoid(scores)
            log_p = parent_log_p + log_yes
            log_not_p = torch.logaddexp(log_yes - scores, log_yes + parent_log_not_p)
            nodes = self._true_nodes(targets, level)
            rows, digits = self._locate(nodes, samples, prefixes, level)
            pair_losses = (-log_not_p).masked_fill(~exists, 0.0).sum(1)
            losses = losses + sum_by_sample(pair_losses, samples, n)
            true_losses = -log_p[rows, digits]
            if nodes.weights is not None:
                true_losses = true_losses * nodes.weights
            true_losses = true_losses + log_not_p[rows, digits]
            losses = losses + sum_by_sample(true_losses, nodes.samples, n)
            # The children are the next level's prefixes.
            size = self.head_sizes[level]
            log_p = log_p.masked_fill(~exists, -torch.inf)
            samples = samples.repeat_interleave(size)
            digits_of_level = torch.arange(size, device=features.device)
            prefixes = (prefixes[:, None] * size + digits_of_level).flatten()
        return losses

    # Predictions

    def _log_prob(self, features, weights):
        if self.is_joint:
            return self._joint_log_prob(features, weights)
        log_p, log_p_added = self._first_log_probs(features, weights)
        for level in range(1, len(self.head_sizes)):
            scores = self._all_child_scores(features, weights, level)
            local = self._local_log_probs(scores)
            log_p = (log_p[:, :, None] + local).flatten(1)[:, : self.n_nodes[level]]
        return torch.cat([log_p, log_p_added], dim=1)

    def _topk(self, features, weights, k, exact):
        if self.is_joint:
            if exact:
                return super()._topk(features, weights, k, exact)
            return self._joint_beam(features, weights, k)
        width = self._width(k)
        labels, scores, pruned = self._beam(features, weights, k, width)
        while exact:
            # P(label) never exceeds P(prefix): nothing was missed unless a prefix
            # that was left out is more probable than the k-th label.
            rows = (pruned > scores[:, -1]).nonzero().squeeze(1)
            if not len(rows):
                break
            width *= 4
            offsets = None if self.offsets is None else self.offsets.take(rows)
            with self.shifted(offsets):
                found = self._beam(features[rows], weights, k, width)
            labels[rows], scores[rows], pruned[rows] = found
        return labels, scores

    def _beam(self, features, weights, k, width):
        """Search with a beam of `width` prefixes a level.

        Returns labels and log-probabilities, both of shape (n, k), and that of
        the most probable prefix which was left out, of shape (n,).
        """
        n, device = len(features), features.device
        pruned = features.new_full((n,), -torch.inf)
        # shape: (n, n_candidates)
        log_p, log_p_added = self._first_log_probs(features, weights)
        nodes = torch.arange(log_p.shape[1], device=device).expand(n, -1)
        for level in range(1, len(self.head_sizes)):
            if width < log_p.shape[1]:
                best, kept = log_p.topk(width + 1, dim=1)
                pruned = torch.maximum(pruned, best[:, -1])
                log_p, kept = best[:, :-1], kept[:, :-1]
                nodes = nodes.gather(1, kept)
            samples = torch.arange(n, device=device).repeat_interleave(nodes.shape[1])
            scores = self._child_scores(
                features, weights, level, samples, nodes.flatten()
            )
            local = self._local_log_probs(scores).view(*nodes.shape, scores.shape[1])
            log_p = (log_p[:, :, None] + local).flatten(1)
            digits = torch.arange(self.head_sizes[level], device=device)
            nodes = (nodes[:, :, None] * len(digits) + digits).flatten(1)
        added = torch.arange(log_p_added.shape[1], device=device) + self.n_labels
        nodes = torch.cat([nodes, added.expand(n, -1)], dim=1)
        scores, kept = torch.cat([log_p, log_p_added], dim=1).topk(k, dim=1)
        return nodes.gather(1, kept), scores, pruned

    def _above(self, features, weights, threshold):
        if self.is_joint:
            return super()._above(features, weights, threshold)
        # P(node) never exceeds P(parent): no label is lost by leaving out the
        # prefixes that are not above the threshold themselves.
        log_p, log_p_added = self._first_log_probs(features, weights)
        samples, nodes = (log_p > threshold).nonzero(as_tuple=True)
        path = log_p[samples, nodes]
        for level in range(1, len(self.head_sizes)):
            scores = self._child_scores(features, weights, level, samples, nodes)
            log_p = path[:, None] + self._local_log_probs(scores)
            pairs, digits = (log_p > threshold).nonzero(as_tuple=True)
            samples = samples[pairs]
            nodes = nodes[pairs] * self.head_sizes[level] + digits
            path = log_p[pairs, digits]
        rows, added = (log_p_added > threshold).nonzero(as_tuple=True)
        samples = torch.cat([samples, rows])
        nodes = torch.cat([nodes, added + self.n_labels])
        # Added labels follow all others, so that a sample's labels stay in order.
        order = torch.argsort(samples, stable=True)
        return samples[order], nodes[order]

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        return (
            f"{super().extra_repr()}, head_sizes={self.head_sizes}, "
            f"beam_width={self.beam_width}, hard_negatives={self.hard_negatives}"
        )
