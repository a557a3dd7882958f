"""Searches whose probabilities are corrected, without another ranking."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.search import OfSearch

# Log-probabilities nearer to 0 have no finite log-odds.
LARGEST_LOG = -torch.finfo(torch.float32).tiny
# The best labels of a sample: those that are more probable than this one.
N_CUT = 20
# What is part of a cut in proportion to the probabilities themselves: where these are
# all the same, rounding would decide otherwise.
UNCUT = 1e-3


def odds_of(log_prob: Tensor) -> Tensor:
    """Return the log-odds of log-probabilities."""
    log_prob = log_prob.clamp(max=LARGEST_LOG)
    return log_prob - torch.log(-torch.expm1(log_prob))


def cut_off(log_prob: Tensor) -> tuple[Tensor, Tensor]:
    """Cut the probabilities of the `N_CUT` best labels off at that of the last one.

    Takes log-probabilities of shape (n, N_CUT), best first. Returns what is above the
    last one, of the same shape, divided by its sum: at most 1 (next to no more than 0
    where no label is better than others), which is returned as well, (n, 1).
    """
    p = torch.exp(log_prob - log_prob[:, :1])
    above = p - p[:, -1:]
    total = above.sum(1, keepdim=True) + UNCUT * p.sum(1, keepdim=True)
    cut = above / total
    return cut, cut.sum(1, keepdim=True)


class CutSearch(OfSearch):
    """Mixes a softmax with what is left of it if the best labels alone are kept.

    A softmax of very many labels gives all that are improbable much in total. Of each
    probability, a `share` is replaced by that of the probabilities that are cut off at
    the `N_CUT`-th best one, see `cut_off`. Sums stay 1, and rankings what they are.
    """

    def __init__(self, search: Any, share: float) -> None:
        assert not search.multilabel and search.n_labels >= N_CUT and 0 < share < 1
        super().__init__(search, share)
        self._share = share

    def _mixed(self, best: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities of the best labels, and what others lose."""
        cut, total = cut_off(best)
        loss = torch.log1p(-self._share * total)
        return torch.logaddexp(best + loss, torch.log(self._share * cut)), loss

    def log_prob(self, scores: Any) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""
        found: Tensor = self._search.log_prob(scores)
        best, labels = found.topk(N_CUT, dim=1)
        mixed, loss = self._mixed(best)
        return found.add_(loss).scatter_(1, labels, mixed)

    def prob(self, scores: Any) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""
        found: Tensor = self._search.prob(scores)
        best, labels = found.topk(N_CUT, dim=1)
        mixed, loss = self._mixed(best.log())
        return found.mul_(loss.exp()).scatter_(1, labels, mixed.exp())

    def topk(self, scores: Any, k: int, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""
        labels, log_p = self._search.topk(scores, max(k, N_CUT), exact)
        mixed, loss = self._mixed(log_p[:, :N_CUT])
        log_p = torch.cat([mixed, log_p[:, N_CUT:] + loss], dim=1)
        return labels[:, :k], log_p[:, :k]

    def above(self, scores: Any, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        samples, labels = (self.log_prob(scores) > threshold).nonzero(as_tuple=True)
        return samples, labels


class CalibratedSearch(OfSearch):
    """Corrects the log-odds of a multi-label search, label by label.

    Log-odds x of a probability p become ``slope * x + bend * log(p) + intercept``:
    their slope is `slope` where p is large, and ``slope + bend`` where it is small.
    As both are positive, no sample's ranking changes.
    """

    # Searches of several labels have log-odds, which those of one label have not.
    def __init__(
        self, search: Any, slope: float, intercept: float, bend: float = 0.0
    ) -> None:
        assert search.multilabel and min(slope, slope + bend) > 0
        super().__init__(search, slope, intercept, bend)
        self._slope, self._intercept, self._bend = slope, intercept, bend

    def _corrected(self, log_odds: Tensor) -> Tensor:
        """Correct log-odds, which may be written to."""
        bend = self._bend and F.logsigmoid(log_odds).mul_(self._bend)
        return log_odds.mul_(self._slope).add_(self._intercept).add_(bend)

    def log_odds(self, scores: Any) -> Tensor:
        """Return the log-odds of every label, shape (n, n_labels)."""
        return self._corrected(self._search.log_odds(scores))

    def log_prob(self, scores: Any) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""
        return F.logsigmoid(self.log_odds(scores))

    def prob(self, scores: Any) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""
        return self.log_odds(scores).sigmoid_()

    def topk(self, scores: Any, k: int, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""
        labels, log_p = self._search.topk(scores, k, exact)
        return labels, F.logsigmoid(self._corrected(odds_of(log_p)))

    def above(self, scores: Any, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        log_odds = odds_of(torch.tensor(threshold, dtype=torch.float64))
        before = self._before(log_odds.item())
        return self._search.above(scores, -math.log1p(math.exp(min(-before, 700.0))))

    def _before(self, log_odds: float) -> float:
        """Return the log-odds that become some others: with a bend, by bisection."""
        if math.isinf(log_odds):
            return log_odds
        if not self._bend:
            return (log_odds - self._intercept) / self._slope
        slopes = self._slope, self._slope + self._bend
        # log(p) is between min(x, 0) - log(2) and min(x, 0).
        reach = abs(log_odds - self._intercept) + abs(self._bend)
        high = reach / min(slopes)
        low = -high
        for _ in range(100):
            middle = (low + high) / 2
            found = self._corrected(torch.tensor(middle, dtype=torch.float64))
            low, high = (middle, high) if found < log_odds else (low, middle)
        return (low + high) / 2
