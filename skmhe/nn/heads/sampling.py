"""A score for every label, of which a step of training uses only some."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.heads.base import ExtraScores
from skmhe.nn.heads.full import FlatHeadScores, FullHead
from skmhe.nn.heads.targets import bernoulli_losses
from skmhe.nn.margin import Margin, cosines, with_margin
from skmhe.nn.products import linear, product, product_dtype, row_gradient
from skmhe.nn.search import FlatSearch

POOL_LABELS = "batch", "batch_and_own_group", "batch_groups", "own_group"


class PoolProduct(torch.autograd.Function):
    """``features @ weight[pool].T + bias[pool]``, with sparse gradients."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, pool: Tensor
    ) -> Tensor:
        """Return the scores of the pool, shape (n, n_pool)."""
        rows = weight.index_select(0, pool)
        ctx.save_for_backward(features, rows, pool)
        ctx.shapes, ctx.dtype = (weight.shape, bias.shape), product_dtype(weight)
        if ctx.dtype is None:
            return torch.addmm(bias[pool], features, rows.T)
        return product(features, rows.T, ctx.dtype) + bias[pool]

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """Return the gradients; those of weight and bias hold the pool's rows."""
        features, rows, pool = ctx.saved_tensors
        weight_shape, bias_shape = ctx.shapes
        grad_features = None
        if ctx.needs_input_grad[0]:
            grad_features = product(grad_output, rows, ctx.dtype)
        grad_rows = product(grad_output.T, features, ctx.dtype)
        return (
            grad_features,
            row_gradient(pool, grad_rows.to(rows.dtype), weight_shape),
            row_gradient(pool, grad_output.sum(0), bias_shape),
            None,
        )


class SamplingHeadScores(FlatHeadScores):
    """The scores of all labels, of groups, or of a pool."""

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of the labels of groups, (n, n_groups, group_size)."""
        n, n_groups = groups.shape
        samples = torch.arange(n, device=groups.device).repeat_interleave(n_groups)
        found = self.of_groups(self.head.group_size, samples, groups.flatten())
        return found.view(n, n_groups, -1)

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of some labels, shape (n, m)."""
        return self.pool(labels)

    def pool(self, pool: Tensor, places: Tensor | None = None) -> Tensor:
        """Return the scores of a pool, shape (n, n_pool).

        In training, places are those of the samples' true labels in it.
        """
        features, (weight,) = self.dense
        bias, margin = self.head.biases[0], self.head.margin
        sparse = self.head.sparse_grad and weight.is_leaf
        if margin is not None:
            rows = F.embedding(pool, weight, sparse=sparse)
            return with_margin(cosines(features, rows), places, margin)
        if sparse:
            return PoolProduct.apply(features, weight, bias, pool)
        return linear(features, weight.index_select(0, pool), bias[pool])


class SamplingHead(FullHead):
    """`FullHead`, trained on a pool of labels.

    This is MHS of [1]_. Labels are divided into G groups: runs of `group_size`
    consecutive labels, whose codes differ in the last digit only (see
    `skmhe.LabelCodec`). A training step scores only a pool of labels: those of m
    randomly drawn groups, and labels of the batch or similar to these (see
    `pool_labels`). The log-probability that a label is in the pool of a sample that
    does not have it is subtracted from its score, so that scores estimate those of the
    full loss: the correction of the sampled softmax [2]_ or, if multi-label, of the
    odds in case-control studies. With m = G, the loss is that of `FullHead`.

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
        Number m of groups that a step draws, at most G. With more groups, a step is
        slower and its loss closer to the full one. At least 1 with
        ``pool_labels="own_group"``, at least 0 otherwise.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    sparse_grad : bool, default=False
        Whether the table gets a sparse gradient, of the rows that were scored.
    margin : Margin, default=None
        See `FullHead`.
    pool_labels : {"batch", "batch_and_own_group", "batch_groups", "own_group"}, \
            default="batch"
        Which labels the pool holds in addition to those of the drawn groups.

        - "batch": the true labels of the batch, for all samples.
        - "batch_and_own_group": these and, for each sample, all labels of the group of
          its own label, which are always scored and so are not corrected. If similar
          labels share a group, these are the ones that are hard to tell apart.
          Single-label only, without a margin.
        - "batch_groups": all labels of the groups of the batch's true labels, for all
          samples.
        - "own_group": for each sample, all labels of the groups of its own labels, as
          in [1]_.

    Attributes
    ----------
    frequencies : Tensor of shape (n_labels,)
        Share of the samples that have each label, set by `set_prior`; until then,
        1 / n_labels.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182, section 3.4.
    .. [2] Bengio & Senecal, "Adaptive Importance Sampling to Accelerate Training of a
       Neural Probabilistic Language Model", IEEE Transactions on Neural Networks
       2008.

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

    _scores_class = SamplingHeadScores
    _shown = (*FullHead._shown, "group_size", "n_sampled_groups", "pool_labels")

    def __init__(
        self,
        in_features: int,
        n_labels: int,
        group_size: int,
        n_sampled_groups: int = 8,
        multilabel: bool = False,
        sparse_grad: bool = False,
        margin: Margin | None = None,
        pool_labels: str = "batch",
    ) -> None:
        super().__init__(in_features, n_labels, multilabel, sparse_grad, margin)
        if not 1 <= group_size <= n_labels:
            raise ValueError(
                f"group_size must be from 1 to {n_labels} (n_labels), got {group_size}."
            )
        if pool_labels not in POOL_LABELS:
            raise ValueError(
                f"pool_labels must be one of {', '.join(map(repr, POOL_LABELS))}, got "
                f"{pool_labels!r}."
            )
        if pool_labels == "batch_and_own_group" and (multilabel or margin is not None):
            raise ValueError(
                f"pool_labels={pool_labels!r} is for single-label heads without a "
                f"margin, got multilabel={multilabel} and margin={margin}: use "
                "pool_labels='batch', 'batch_groups' or 'own_group'."
            )
        least = int(pool_labels == "own_group")
        if n_sampled_groups < least:
            raise ValueError(
                f"n_sampled_groups must be at least {least} with pool_labels="
                f"{pool_labels!r}, got {n_sampled_groups}."
            )
        self.pool_labels = pool_labels
        self.takes_extra_scores = pool_labels != "batch_and_own_group"
        self.group_size = group_size
        self.n_groups = -(-n_labels // group_size)
        self.n_sampled_groups = min(n_sampled_groups, self.n_groups)
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.full((n_labels,), 1 / n_labels))

    @torch.no_grad()
    def set_prior(self, label_counts: Tensor, n_samples: float) -> None:
        """Start the biases and set `frequencies`; see `Head.set_prior`."""
        super().set_prior(label_counts, n_samples)
        self.frequencies.copy_(label_counts / n_samples)

    @torch.no_grad()
    def copy_labels(self, other: Self) -> None:
        """Copy tables and frequencies of a head of the same kind with fewer labels."""
        super().copy_labels(other)
        self.frequencies.zero_()[: other.n_labels] = other.frequencies

    @property
    def search(self) -> FlatSearch:
        """A search of all labels, or of a shortlist of groups."""
        return FlatSearch(self.multilabel, self.n_labels, self.group_size)

    @property
    def takes_label_smoothing(self) -> bool:
        """False: a step does not score the labels that would share the target."""
        return False

    def _sample_losses(
        self,
        scores: Any,
        targets: Any,
        extra_scores: ExtraScores | None,
        label_smoothing: float,
    ) -> Tensor:
        n = scores.features.shape[0]
        true = targets.labels if self.multilabel else targets
        drawn = self._draw(true.device)
        pool = self._pool(true, drawn)
        places = torch.searchsorted(pool, true.contiguous())
        found = scores.pool(pool, places)
        if extra_scores is not None:
            found = found + extra_scores(pool)
        # shape: (n, n_pool)
        found = found - self._log_inclusion(pool, n)
        if self.pool_labels == "batch_and_own_group":
            return self._stratified_losses(scores, pool, found, targets)
        if self.pool_labels == "own_group":
            own = self._own(pool, drawn, targets, n)
            found = found.masked_fill(~own, -torch.inf)
        if self.multilabel:
            return bernoulli_losses(found, targets._replace(labels=places))
        return F.cross_entropy(found, places, reduction="none")

    def _stratified_losses(
        self, scores: SamplingHeadScores, pool: Tensor, found: Tensor, targets: Tensor
    ) -> Tensor:
        """Return the losses if each sample also scores all labels of its own group."""
        groups = targets // self.group_size
        samples = torch.arange(len(targets), device=pool.device)
        # shape: (n, group_size)
        own = scores.of_groups(self.group_size, samples, groups)
        is_own = pool // self.group_size == groups[:, None]
        found = torch.cat([own, found.masked_fill(is_own, -torch.inf)], dim=1)
        return F.cross_entropy(found, targets % self.group_size, reduction="none")

    def _draw(self, device: torch.device) -> Tensor:
        """Return which groups a step draws, shape (n_groups,)."""
        drawn = torch.zeros(self.n_groups, dtype=torch.bool, device=device)
        # From torch's generator, like dropout.
        order = torch.randperm(self.n_groups, device=device)
        drawn[order[: self.n_sampled_groups]] = True
        return drawn

    def _pool(self, true: Tensor, drawn: Tensor) -> Tensor:
        """Return the sorted labels that a step scores."""
        wanted = drawn[:, None].repeat(1, self.group_size)
        if self.pool_labels in ("batch", "batch_and_own_group"):
            wanted.view(-1)[true] = True
        else:
            wanted[true // self.group_size] = True
        return wanted.view(-1)[: self.n_labels].nonzero().squeeze(1)

    def _own(self, pool: Tensor, drawn: Tensor, targets: Any, n_samples: int) -> Tensor:
        """Return which labels of the pool are each sample's, shape (n, n_pool)."""
        if self.multilabel:
            samples, true = targets.samples, targets.labels
        else:
            samples, true = torch.arange(n_samples, device=pool.device), targets
        own = drawn.repeat(n_samples, 1)  # shape: (n, n_groups)
        own[samples, true // self.group_size] = True
        return own[:, pool // self.group_size]

    def _log_inclusion(self, pool: Tensor, n_samples: int) -> Tensor:
        """Return log P(label in the pool) for labels that a sample does not have.

        A label is missing if its group is not drawn and no other sample has it or,
        depending on `pool_labels`, has any label of its group.
        """
        missed = 1 - self.n_sampled_groups / self.n_groups
        if self.pool_labels in ("batch", "batch_and_own_group"):
            others = (1 - self.frequencies[pool]).clamp(min=0) ** (n_samples - 1)
        elif self.pool_labels == "batch_groups":
            others = self._absent(pool) ** (n_samples - 1)
        elif self.multilabel:
            others = self._absent(pool)  # as no other label of the sample
        else:
            # The pool would be as likely if any other label of it were the true one.
            return self.frequencies.new_zeros(len(pool))
        # A label of frequency 0 can be in the pool, too, by its own sample.
        least = 1 / (self.n_labels + n_samples)
        return (1 - missed * others).clamp(min=least).log()

    def _absent(self, pool: Tensor) -> Tensor:
        """Return the share of samples without any label of each pooled one's group."""
        rest = self.n_groups * self.group_size - self.n_labels
        by_group = F.pad(self.frequencies, (0, rest)).view(self.n_groups, -1)
        if self.multilabel:
            absent = (1 - by_group).clamp(min=0).prod(1)
        else:
            absent = (1 - by_group.sum(1)).clamp(min=0)
        return absent[pool // self.group_size]
