"""Independent heads whose log-probabilities add up."""

import math

import torch

from skmhe.label_codec import check_head_sizes
from skmhe.nn._beam import last_label_prefixes, product_topk
from skmhe.nn._precision import linear
from skmhe.nn.heads._base import Head

# A mixture's exact top-k scans the labels; so many scores of a sample at a time.
SCAN_SCORES = 65_536


class ProductHead(Head):
    """A softmax for each digit of the label's code (MHP in [1]_); single-label.

    With ``rank=1``, P(label) is the product over the heads of the probability of
    the label's digit, and the loss is the sum of the heads' cross-entropies.

    With ``rank=R > 1``, P(label) is a mixture of R such products, with weights
    that depend on the sample: ``sum_r pi_r prod_h p_rh[digit_h]``. It is the
    CP-rank generalisation of [1]_, equation 16, with factors made positive by the
    softmax before they are multiplied, not after they are summed: that keeps
    theorem 1's condition (positive outputs), and the normaliser a product of
    short sums. The loss is the negative logarithm of the mixture.

    `log_prob` and `topk` give probabilities among the used codes only: divided by
    their sum, which is computed from the digits of the last label without listing
    the labels.

    Parameters
    ----------
    in_features : int
        Number d of features.
    head_sizes : sequence of int
        Lengths L_1..L_H of the heads.
    n_labels : int, default=None
        Number of labels C, at most the product of the lengths, which is the
        default. The labels are the first C codes.
    rank : int, default=1
        Number R of products in the mixture.
    sparse_grad : bool, default=False
        Accepted so that all heads can be made alike. Every step uses the whole
        table, so the gradient is dense in any case.

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

    def __init__(
        self, in_features, head_sizes, n_labels=None, rank=1, sparse_grad=False
    ):
        self.head_sizes = check_head_sizes(head_sizes, n_labels or 1)
        n_codes = math.prod(self.head_sizes)
        super().__init__(
            in_features, n_codes if n_labels is None else n_labels, False, sparse_grad
        )
        if rank < 1:
            raise ValueError(f"rank must be at least 1, got {rank}.")
        self.rank = rank
        self.last_prefixes = last_label_prefixes(self.n_labels, self.head_sizes)
        # One table for all heads: a single matrix product scores them.
        self._make_tables([rank * sum(self.head_sizes)] + [rank] * (rank > 1))

    def _digit_log_probs(self, features, weights):
        """Return log pi, shape (n, rank), and each head's log p, (n, rank, L_h)."""
        n = len(features)
        scores = linear(features, weights[0], self.biases[0]).view(
            n, self.rank, sum(self.head_sizes)
        )
        heads = [s.log_softmax(2) for s in scores.split(self.head_sizes, dim=2)]
        if self.rank == 1:
            return features.new_zeros(n, 1), heads
        return linear(features, weights[1], self.biases[1]).log_softmax(1), heads

    def _sample_losses(self, features, weights, targets):
        log_prob, heads = self._digit_log_probs(features, weights)
        rest = targets
        for size, head in zip(reversed(self.head_sizes), reversed(heads), strict=True):
            digit = (rest % size)[:, None, None].expand(-1, self.rank, 1)
            log_prob = log_prob + head.gather(2, digit).squeeze(2)
            rest = rest // size
        return -log_prob.logsumexp(1)

    def _used_log_prob(self, log_mix, heads):
        """Return the logarithm of the probability of all used codes, shape (n, 1).

        The codes up to the last label's are, for each head h, those that agree
        with it before h and have a smaller digit at h; and the last label itself.
        """
        terms, prefix = [], log_mix
        previous = 0
        for h, (size, head) in enumerate(zip(self.head_sizes, heads, strict=True)):
            digit = self.last_prefixes[h] - previous * size
            previous = self.last_prefixes[h]
            if digit:
                terms.append(prefix + head[:, :, :digit].logsumexp(2))
            prefix = prefix + head[:, :, digit]
        terms.append(prefix)
        return torch.cat(terms, dim=1).logsumexp(1, keepdim=True)

    def _log_prob(self, features, weights):
        log_mix, heads = self._digit_log_probs(features, weights)
        n_first = self.last_prefixes[0] + 1
        scores = self._block_log_prob(log_mix, heads, 0, n_first)
        return scores[:, : self.n_labels] - self._used_log_prob(log_mix, heads)

    def _block_log_prob(self, log_mix, heads, start, stop):
        """Return log P, not normalised, of the codes with first digits in a range."""
        # shape: (n, rank, n_codes so far)
        scores = log_mix[:, :, None] + heads[0][:, :, start:stop]
        for head in heads[1:]:
            scores = (scores[:, :, :, None] + head[:, :, None, :]).flatten(2)
        return scores.squeeze(1) if self.rank == 1 else scores.logsumexp(1)

    def _topk(self, features, weights, k, exact):
        log_mix, heads = self._digit_log_probs(features, weights)
        used = self._used_log_prob(log_mix, heads)
        if self.rank == 1:
            log_probs = [head.squeeze(1) for head in heads]
            labels, scores = product_topk(log_probs, self.last_prefixes, k)
        else:
            labels, scores = self._scan_topk(log_mix, heads, k)
        return labels, scores - used

    def _scan_topk(self, log_mix, heads, k):
        """Find the top k of a mixture, whose parts need not be the parts' top k."""
        n_per_digit = 1
        for size in self.head_sizes[1:]:
            n_per_digit *= size
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

    def _prior_scores(self, counts, n_samples):
        codes = torch.zeros(
            self.head_sizes, dtype=counts.dtype, device=counts.device
        ).flatten()
        codes[: self.n_labels] = counts
        codes = codes.view(self.head_sizes)
        priors = []
        for h in range(codes.ndim):
            others = [g for g in range(codes.ndim) if g != h]
            digit_counts = codes.sum(others) if others else codes
            priors.append(((digit_counts + 0.5) / (digit_counts + 0.5).sum()).log())
        tables = [torch.cat(priors).repeat(self.rank)]
        return tables + [counts.new_zeros(self.rank)] * (self.rank > 1)

    def multiply_adds(self, k=1):
        """Return d * R * sum(L_h), plus d * R for the mixture's weights if R > 1.

        Parameters
        ----------
        k : int, default=1
            Has no influence: combining scores takes additions only.
        """
        return self.in_features * sum(len(weight) for weight in self.weights)

    def n_scores(self, k=1):
        """Return the largest number of scores that `topk` holds for a sample.

        Parameters
        ----------
        k : int, default=1
            Number of labels wanted.
        """
        own = self.rank * sum(self.head_sizes)
        if self.rank == 1:
            return own + (k + 1) * max(self.head_sizes)
        n_per_digit = self.n_labels // max(1, self.last_prefixes[0])
        return own + 3 * max(SCAN_SCORES, self.rank * n_per_digit)

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        return f"{super().extra_repr()}, head_sizes={self.head_sizes}, rank={self.rank}"
