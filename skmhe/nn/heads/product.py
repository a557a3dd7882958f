"""Independent heads whose log-probabilities are added, and their search."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.labels.codec import check_head_sizes
from skmhe.nn.heads.base import ExtraScores, Head, HeadScores
from skmhe.nn.search import pairs_above
from skmhe.nn.tree_search import child_nodes

# Scores of a sample that the top-k search of a mixture scans at a time.
SCAN_SCORES = 65_536


def product_topk(
    log_probs: list[Tensor], last_prefixes: list[int], k: int
) -> tuple[Tensor, Tensor]:
    """Find the k labels with the largest sums of the heads' log-probabilities.

    Codes beyond the last label name no label. Any digits may follow a prefix (the first
    digits of a code) below the last label's, so the best k of these suffice. The last
    label's own prefix, which not all digits may follow, is kept in addition; later
    prefixes never are. Removing unused codes after the search would lose labels.

    Given those, each of shape (n, L_h), and the last label's prefixes of 1, ..., H
    digits, it returns the labels, best first, and their sums, both (n, k).
    """
    n = len(log_probs[0])
    # shape: (n, n_prefixes)
    prefixes = torch.zeros(n, 1, dtype=torch.int64, device=log_probs[0].device)
    scores = log_probs[0].new_zeros(n, 1)
    for head, last in zip(log_probs[:-1], last_prefixes[:-1], strict=True):
        prefixes = child_nodes(prefixes, head.shape[1])
        scores = (scores[:, :, None] + head[:, None, :]).flatten(1)
        # The last label's prefix occurs once in every row: move it aside.
        is_last = prefixes == last
        last_score = scores.masked_fill(~is_last, -torch.inf).amax(1, keepdim=True)
        scores = scores.masked_fill(prefixes >= last, -torch.inf)
        scores, kept = scores.topk(min(k, last, scores.shape[1]), dim=1)
        prefixes = torch.cat(
            [prefixes.gather(1, kept), torch.full_like(prefixes[:, :1], last)], dim=1
        )
        scores = torch.cat([scores, last_score], dim=1)
    labels = child_nodes(prefixes, log_probs[-1].shape[1])
    scores = (scores[:, :, None] + log_probs[-1][:, None, :]).flatten(1)
    scores = scores.masked_fill(labels > last_prefixes[-1], -torch.inf)
    scores, kept = scores.topk(k, dim=1)
    return labels.gather(1, kept), scores


class ProductHeadScores(HeadScores):
    """Log-probabilities of the digits."""

    def local_log_probs(self, wide: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return log pi, shape (n, rank), and each head's log p, (n, rank, L_h).

        If `wide`, in float64 on the CPU.
        """
        rank, sizes = self.head.rank, self.head.head_sizes
        tables = [self.of_table(i) for i in range(1 if rank == 1 else 2)]
        if wide:
            tables = [scores.cpu().double() for scores in tables]
        scores = tables[0].unflatten(1, (rank, sum(sizes)))
        heads = [part.log_softmax(2) for part in scores.split(sizes, dim=2)]
        if rank == 1:
            return scores.new_zeros(len(scores), 1), heads
        return tables[1].log_softmax(1), heads


@dataclass(frozen=True)
class ProductSearch:
    """Find the best codes of the heads' digits; always exact."""

    n_labels: int  # the first codes
    head_sizes: tuple[int, ...]
    rank: int  # number of products in the mixture

    multilabel = False
    n_levels = group_size = 1
    steered = joint = scores_all = has_late = False

    def with_beam_width(self, _beam_width: int) -> Self:
        """Return the same: there is no beam."""
        return self

    @property
    def last_prefixes(self) -> list[int]:
        """The last label's prefixes of 1, 2, ..., H digits, as integers."""
        last, sizes = self.n_labels - 1, self.head_sizes
        return [last // math.prod(sizes[h + 1 :]) for h in range(len(sizes))]

    def _used_log_prob(self, log_mix: Tensor, heads: list[Tensor]) -> Tensor:
        """Return the log-probability of all used codes together, shape (n, 1).

        These are the last label and, for each head h, the codes that have the last
        label's digits before h and a smaller one at h.
        """
        terms, prefix = [], log_mix
        for head, last in zip(heads, self.last_prefixes, strict=True):
            digit = last % head.shape[2]
            if digit:
                terms.append(prefix + head[:, :, :digit].logsumexp(2))
            prefix = prefix + head[:, :, digit]
        terms.append(prefix)
        return torch.cat(terms, dim=1).logsumexp(1, keepdim=True)

    def log_prob(self, scores: ProductHeadScores) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""
        log_mix, heads = scores.local_log_probs()
        n_first = self.last_prefixes[0] + 1
        found = self._block_log_prob(log_mix, heads, 0, n_first)
        return found[:, : self.n_labels] - self._used_log_prob(log_mix, heads)

    def prob(self, scores: ProductHeadScores) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""
        return self.log_prob(scores).exp_()

    def _block_log_prob(
        self, log_mix: Tensor, heads: list[Tensor], start: int, stop: int
    ) -> Tensor:
        """Return unnormalized log P of the codes whose first digits are in a range."""
        # shape: (n, rank, n_codes so far)
        scores = log_mix[:, :, None] + heads[0][:, :, start:stop]
        for head in heads[1:]:
            scores = (scores[:, :, :, None] + head[:, :, None, :]).flatten(2)
        return scores.squeeze(1) if self.rank == 1 else scores.logsumexp(1)

    def topk(
        self, scores: ProductHeadScores, k: int, exact: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""
        log_mix, heads = scores.local_log_probs()
        used = self._used_log_prob(log_mix, heads)
        if self.rank == 1:
            log_probs = [head.squeeze(1) for head in heads]
            labels, best = product_topk(log_probs, self.last_prefixes, k)
        else:
            labels, best = self._scan_topk(log_mix, heads, k)
        return labels, best - used

    def above(
        self, scores: ProductHeadScores, threshold: float
    ) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        return pairs_above(self.log_prob(scores), threshold)

    def _scan_topk(
        self, log_mix: Tensor, heads: list[Tensor], k: int
    ) -> tuple[Tensor, Tensor]:
        """Find the top k of a mixture, which may be in no product's own top k."""
        n_per_digit = math.prod(self.head_sizes[1:])
        step = max(1, SCAN_SCORES // (n_per_digit * self.rank))
        best_scores = log_mix.new_empty(len(log_mix), 0)
        best_labels = best_scores.long()
        for start in range(0, self.last_prefixes[0] + 1, step):
            first = start * n_per_digit
            stop = min(start + step, self.last_prefixes[0] + 1)
            block = self._block_log_prob(log_mix, heads, start, stop)
            block = block[:, : self.n_labels - first]
            labels = torch.arange(first, first + block.shape[1], device=block.device)
            scores = torch.cat([best_scores, block], dim=1)
            labels = torch.cat([best_labels, labels.expand(len(block), -1)], dim=1)
            best_scores, kept = scores.topk(min(k, scores.shape[1]), dim=1)
            best_labels = labels.gather(1, kept)
        return best_labels, best_scores

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample."""
        own = self.rank * sum(self.head_sizes)
        if self.rank == 1:
            return own + (k + 1) * max(self.head_sizes)
        n_per_digit = self.n_labels // max(1, self.last_prefixes[0])
        return own + 3 * max(SCAN_SCORES, self.rank * n_per_digit)


class ProductHead(Head):
    """A softmax for each digit of the label's code; single-label only.

    This is MHP of [1]_. A label is written as a code of H digits (see
    `skmhe.LabelCodec`), each of which is the local label of one head.

    With ``rank=1``, P(label) is the product of the probabilities of its digits, and the
    loss is the sum of the heads' cross-entropies. With ``rank=R > 1``, P(label) is a
    mixture of R such products, with weights that depend on the sample: ``sum_r pi_r
    prod_h p_rh[digit_h]``, and the loss is its negative logarithm. This is the CP-rank
    generalization of [1]_, equation 16, but with a softmax of each factor, not of the
    sum of products: so outputs are positive, as theorem 1 requires, and the normalizer
    is a product of short sums.

    `log_prob` and `topk` divide by the probability of the codes that name a label. It
    is computed from the digits of the last label, without listing the labels.

    Parameters
    ----------
    in_features : int
        Number d of features.
    head_sizes : sequence of int
        Lengths L_1, ..., L_H of the heads.
    n_labels : int, default=None
        Number of labels C, at most the product of the lengths, which is the
        default. The labels are the first C codes.
    rank : int, default=1
        Number R of products in the mixture.
    sparse_grad : bool, default=False
        Not used, present for consistency with other heads: every step uses the whole
        table, so its gradient is dense.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import ProductHead
    >>> head = ProductHead(4, head_sizes=(3, 4), n_labels=11)
    >>> probabilities = head.log_prob(torch.ones(2, 4)).exp()
    >>> torch.allclose(probabilities.sum(1), torch.ones(2))
    True
    """

    _scores_class = ProductHeadScores
    _shown = (*Head._shown, "head_sizes", "rank")

    def __init__(
        self,
        in_features: int,
        head_sizes: Sequence[int],
        n_labels: int | None = None,
        rank: int = 1,
        sparse_grad: bool = False,
    ) -> None:
        self.head_sizes = check_head_sizes(head_sizes, n_labels or 1)
        n_codes = math.prod(self.head_sizes)
        super().__init__(
            in_features, n_codes if n_labels is None else n_labels, False, sparse_grad
        )
        if rank < 1:
            raise ValueError(f"rank must be at least 1, got {rank}.")
        self.rank = rank
        # One table for all heads: a single matrix product scores them.
        self._make_tables([rank * sum(self.head_sizes)] + [rank] * (rank > 1))

    @property
    def search(self) -> ProductSearch:
        """An exact search of the codes."""
        return ProductSearch(self.n_labels, self.head_sizes, self.rank)

    @torch.no_grad()
    def copy_labels(self, other: Self) -> None:
        """Copy the tables of a head with the same `head_sizes` and `rank`."""
        if (other.head_sizes, other.rank) != (self.head_sizes, self.rank):
            raise ValueError(
                "copy_labels needs a head with the same head_sizes and rank, got "
                f"{other.head_sizes} and {other.rank}."
            )
        super().copy_labels(other)

    @property
    def takes_label_smoothing(self) -> bool:
        """Whether the loss is a sum of the heads' cross-entropies: rank 1."""
        return self.rank == 1

    def _sample_losses(
        self,
        scores: ProductHeadScores,
        targets: Any,
        extra_scores: ExtraScores | None,
        label_smoothing: float,
    ) -> Tensor:
        log_prob, heads = scores.local_log_probs()
        rest = targets
        for size, head in zip(reversed(self.head_sizes), reversed(heads), strict=True):
            digit = (rest % size)[:, None, None].expand(-1, self.rank, 1)
            own = head.gather(2, digit).squeeze(2)
            if label_smoothing:
                own = torch.lerp(own, head.mean(2), label_smoothing)
            log_prob = log_prob + own
            rest = rest // size
        return -log_prob.logsumexp(1)

    def _prior_scores(self, counts: Tensor, n_samples: float) -> list[Tensor]:
        n_unused = math.prod(self.head_sizes) - self.n_labels
        codes = F.pad(counts, (0, n_unused)).view(self.head_sizes)
        priors = []
        for h in range(codes.ndim):
            others = [g for g in range(codes.ndim) if g != h]
            digit_counts = codes.sum(others) if others else codes
            priors.append(((digit_counts + 0.5) / (digit_counts + 0.5).sum()).log())
        tables = [torch.cat(priors).repeat(self.rank)]
        return tables + [counts.new_zeros(self.rank)] * (self.rank > 1)
