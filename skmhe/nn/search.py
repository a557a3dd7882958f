"""Searches: which labels are scored, and which probabilities their scores give.

A search does not know where scores come from: from a head, or a sum of several models.
The one here scores all labels, or groups of them; others build on `OfSearch`.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.scores import FlatScores

# Labels whose scores tell how much probability is outside of a shortlist, spread evenly
# over all labels: the sum of all exponentials is then right to a few percent.
N_SPREAD = 256


def pairs_above(log_prob: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return the (sample, label) pairs of more than a log-probability, sorted."""
    samples, labels = (log_prob > threshold).nonzero(as_tuple=True)
    return samples, labels


@dataclass(frozen=True)
class FlatSearch:
    """Score all labels, or those of the groups that the scores propose.

    Parameters
    ----------
    multilabel : bool
        Whether a sample may have any number of labels.
    n_labels : int
        Number of labels.
    group_size : int
        Number of labels of a group of a shortlist.
    """

    multilabel: bool
    n_labels: int
    group_size: int = 1

    n_levels = 1
    steered = joint = has_late = False
    scores_all = True

    @property
    def head_sizes(self) -> tuple[int, ...]:
        """The labels, as the only head's."""
        return (self.n_labels,)

    def with_beam_width(self, _beam_width: int) -> Self:
        """Return the same: there is no beam."""
        return self

    def log_prob(self, scores: FlatScores) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels)."""
        found = scores.labels()
        return F.logsigmoid(found) if self.multilabel else found.log_softmax(1)

    def prob(self, scores: FlatScores) -> Tensor:
        """Return the probability of every label, shape (n, n_labels)."""
        return (
            scores.labels().sigmoid_()
            if self.multilabel
            else self.log_prob(scores).exp_()
        )

    def log_odds(self, scores: FlatScores) -> Tensor:
        """Return the log-odds of every label of a multi-label task, (n, n_labels)."""
        return scores.labels()

    def topk(
        self, scores: FlatScores, k: int, exact: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""
        groups = None if exact else scores.shortlist()
        if groups is None or groups.shape[1] <= -(-k // self.group_size):
            return self._best(scores.labels(), k)
        found = scores.candidates(groups).flatten(1)
        outside = None if self.multilabel else self._outside(scores, groups)
        places, log_p = self._best(found, k, outside)
        chosen = groups.gather(1, places // self.group_size)
        return chosen * self.group_size + places % self.group_size, log_p

    def spread(self, device: torch.device) -> Tensor:
        """Return the labels that stand for all of them, sorted."""
        n = min(N_SPREAD, self.n_labels)
        return (2 * torch.arange(n, device=device) + 1) * self.n_labels // (2 * n)

    def _outside(self, scores: FlatScores, groups: Tensor) -> Tensor:
        """Estimate the log of the sum of exponentials outside of groups, (n, 1)."""
        labels = self.spread(groups.device)
        n_groups = -(-self.n_labels // self.group_size)
        listed = torch.zeros(
            len(groups), n_groups, dtype=torch.bool, device=groups.device
        ).scatter_(1, groups.clamp(max=n_groups - 1), True)
        found = scores.outside(labels)
        found = found.masked_fill(listed[:, labels // self.group_size], -torch.inf)
        return found.logsumexp(1, keepdim=True) + math.log(self.n_labels / len(labels))

    def _best(
        self, scores: Tensor, k: int, outside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        best, places = scores.topk(k, dim=1)
        if self.multilabel:
            return places, F.logsigmoid(best)
        total = scores.logsumexp(1, keepdim=True)
        if outside is not None:
            total = torch.logaddexp(total, outside)
        return places, best - total

    def above(self, scores: FlatScores, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        return pairs_above(self.log_prob(scores), threshold)

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample."""
        return self.n_labels


class OfSearch:
    """All but the probabilities is that of another search."""

    def __init__(self, search: Any, *numbers: float) -> None:
        self._search, self._numbers = search, numbers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._search, name)

    def with_beam_width(self, beam_width: int) -> Self:
        """Return the same with another beam width, where there is a beam."""
        return type(self)(self._search.with_beam_width(beam_width), *self._numbers)
