"""A full table that is trained on sampled groups of labels."""

import math

import torch
import torch.nn.functional as F

from skmhe.nn._rows import grouped_linear
from skmhe.nn.heads._base import bernoulli_losses, sum_by_sample
from skmhe.nn.heads.full import FullHead


class SamplingHead(FullHead):
    """`FullHead`'s scores, trained on the true and some sampled groups (MHS in [1]_).

    Labels are divided into G groups of `group_size` consecutive ones (those that
    share all digits but the last). A training step draws m groups, shared by the
    batch, and scores the labels of each sample's true groups and of the drawn ones.
    What the drawn groups contribute is scaled by G / m, so that the sum over the
    labels (of the softmax's normaliser, or of the negatives' losses) is that of
    all labels on average; with m = G the loss is that of `FullHead`.

    Predictions score all labels, as `FullHead` does.

    Parameters
    ----------
    in_features : int
        Number d of features.
    n_labels : int
        Number C of labels.
    group_size : int
        Number of labels of a group.
    n_sampled_groups : int, default=8
        Number m of groups that a step draws. The larger, the nearer the full loss
        and the dearer a step. Capped at the number of groups.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    sparse_grad : bool, default=False
        Give the table a sparse gradient, of the rows that were scored.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182, section 3.4.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import SamplingHead
    >>> head = SamplingHead(4, n_labels=11, group_size=3, n_sampled_groups=2)
    >>> head.n_groups
    4
    >>> head.loss(torch.ones(2, 4), torch.tensor([0, 10])).shape
    torch.Size([])
    """

    def __init__(
        self,
        in_features,
        n_labels,
        group_size,
        n_sampled_groups=8,
        multilabel=False,
        sparse_grad=False,
    ):
        super().__init__(in_features, n_labels, multilabel, sparse_grad)
        if not 1 <= group_size <= n_labels:
            raise ValueError(
                f"group_size must be in 1..{n_labels} (n_labels), got {group_size}."
            )
        if n_sampled_groups < 1:
            raise ValueError(
                f"n_sampled_groups must be at least 1, got {n_sampled_groups}."
            )
        self.group_size = group_size
        self.n_groups = -(-n_labels // group_size)
        self.n_sampled_groups = min(n_sampled_groups, self.n_groups)

    def _sample_losses(self, features, weights, targets):
        n = len(features)
        if self.multilabel:
            own = torch.unique(targets.samples * self.n_groups + self._group(targets))
        else:
            own = torch.arange(n, device=features.device) * self.n_groups
            own = own + targets // self.group_size
        drawn = self._draw(n, own)
        # One product for both, so that each row's gradient comes out once.
        pairs = torch.cat([own, drawn])
        scores = grouped_linear(
            features,
            pairs // self.n_groups,
            pairs % self.n_groups,
            weights[0],
            self.biases[0],
            self.group_size,
            sparse_grad=self.sparse_grad and weights[0].is_leaf,
        )
        own_scores, drawn_scores = scores.split([len(own), len(drawn)])
        if self.multilabel:
            return self._bernoulli(own_scores, own, drawn_scores, drawn, targets, n)
        return self._softmax(own_scores, drawn_scores, drawn, targets)

    def _group(self, positives):
        return positives.labels // self.group_size

    def _draw(self, n_samples, own):
        """Return the sorted (sample, group) keys of the drawn groups, without own."""
        # By torch's generator, like dropout.
        groups = torch.randperm(self.n_groups, device=own.device)
        drawn = torch.zeros(
            n_samples, self.n_groups, dtype=torch.bool, device=own.device
        )
        drawn[:, groups[: self.n_sampled_groups]] = True
        drawn.view(-1)[own] = False
        return drawn.flatten().nonzero().squeeze(1)

    def _softmax(self, own_scores, drawn_scores, drawn, targets):
        """Return -log softmax, the drawn groups' exp scaled by G / m."""
        log_scale = math.log(self.n_groups / self.n_sampled_groups)
        sums = drawn_scores.logsumexp(1) + log_scale
        # A sample's drawn groups fill a row; where its own group was drawn, the row
        # has one entry less than in the others.
        samples = drawn // self.n_groups
        counts = torch.bincount(samples, minlength=len(own_scores))
        columns = torch.arange(len(drawn), device=drawn.device)
        columns = columns - (counts.cumsum(0) - counts)[samples]
        table = sums.new_full((len(own_scores), self.n_sampled_groups), -torch.inf)
        table = table.index_put((samples, columns), sums)
        # shape: (n, group_size + m)
        scores = torch.cat([own_scores, table], dim=1)
        return F.cross_entropy(scores, targets % self.group_size, reduction="none")

    def _bernoulli(self, own_scores, own, drawn_scores, drawn, positives, n):
        """Return the binary cross-entropies, the drawn groups' scaled by G / m."""
        keys = positives.samples * self.n_groups + self._group(positives)
        in_own = positives._replace(
            samples=torch.searchsorted(own, keys),
            labels=positives.labels % self.group_size,
        )
        losses = sum_by_sample(
            bernoulli_losses(own_scores, in_own), own // self.n_groups, n
        )
        scale = self.n_groups / self.n_sampled_groups
        negatives = scale * F.softplus(drawn_scores).sum(1)
        return losses + sum_by_sample(negatives, drawn // self.n_groups, n)

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        return (
            f"{super().extra_repr()}, group_size={self.group_size}, "
            f"n_sampled_groups={self.n_sampled_groups}"
        )
