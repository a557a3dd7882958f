"""A search whose probabilities are corrected: of multi-label tasks, label by label."""

import math
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

# Log-probabilities nearer to 0 have no finite log-odds.
LARGEST_LOG = -torch.finfo(torch.float32).tiny


def odds_of(log_prob: Tensor) -> Tensor:
    """Return the log-odds of log-probabilities."""
    log_prob = log_prob.clamp(max=LARGEST_LOG)
    return log_prob - torch.log(-torch.expm1(log_prob))


class CalibratedSearch:
    """Makes of the log-odds of a multi-label search ``slope * log_odds + intercept``.

    With a positive slope, no sample's ranking changes. All but the probabilities is
    that of the other search.
    """

    # Searches of several labels have log-odds, which those of one label have not.
    def __init__(self, search: Any, slope: float, intercept: float) -> None:
        assert search.multilabel and slope > 0
        self._search, self._slope, self._intercept = search, slope, intercept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._search, name)

    def with_beam_width(self, beam_width: int) -> Self:
        """Return the same with another beam width, where there is a beam."""
        search = self._search.with_beam_width(beam_width)
        return type(self)(search, self._slope, self._intercept)

    def log_odds(self, scores: Any) -> Tensor:
        """Return the log-odds of every label, shape (n, n_labels)."""
        found: Tensor = self._search.log_odds(scores)
        return found.mul(self._slope).add_(self._intercept)

    def log_prob(self, scores: Any) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""
        return F.logsigmoid(self.log_odds(scores))

    def prob(self, scores: Any) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""
        return self.log_odds(scores).sigmoid_()

    def topk(self, scores: Any, k: int, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""
        labels, log_p = self._search.topk(scores, k, exact)
        log_odds = odds_of(log_p) * self._slope + self._intercept
        return labels, F.logsigmoid(log_odds)

    def above(self, scores: Any, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        log_odds = odds_of(torch.tensor(threshold, dtype=torch.float64)).item()
        before = (log_odds - self._intercept) / self._slope
        return self._search.above(scores, -math.log1p(math.exp(min(-before, 700.0))))
