"""The search for labels of which some came after training."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.scores import FeatureScores
from skmhe.nn.search import OfSearch, pairs_above

# Scores that were trained for other labels are surer of these than they should be.
LATE_FACTOR = 0.5
# With one label per sample, they also find these more often, and what the best of them
# leaves is less than what late labels have: a factor of their odds.
LATE_ODDS = 5.0
# What the best label leaves is not known better than this.
LARGEST_BEST = -torch.finfo(torch.float32).eps


class LateSearch(OfSearch):
    """Adds labels that came after training to those that another search finds.

    They follow these. Of all labels, also the known ones, there are scores that their
    features give. Those of a late label and of all known ones, by `LATE_FACTOR`, make
    its odds as in a softmax. Where samples have several labels, these odds are
    multiplied by their mean number, and none changes the probability of another one.
    With one label per sample, they are multiplied by `LATE_ODDS` and by what the best
    of the others leaves, its improbability; all probabilities are divided by the sum of
    these odds and 1, that of the known labels.
    """

    has_late = True

    def __init__(self, search: Any, n_late: int, labels_per_sample: float) -> None:
        super().__init__(search, n_late, labels_per_sample)
        self._n_all = search.n_labels + n_late
        self._odds = labels_per_sample if search.multilabel else LATE_ODDS

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample."""
        # Those by features, of two kinds and their sum, and exponentials of them.
        inside: int = self._search.n_scores(k)
        return inside + 4 * self._n_all

    def _late_log_odds(self, scores: FeatureScores) -> Tensor:
        """Return the log-odds of late labels, shape (n, n_late)."""
        found, n_known = scores.by_features() * LATE_FACTOR, self.n_labels
        known = found[:, :n_known].logsumexp(1, keepdim=True)
        return found[:, n_known:] - known + math.log(self._odds)

    def _with_late(self, known: Tensor, best: Tensor, late: Tensor) -> Tensor:
        """Return log-probabilities of known labels (n, m), and of late ones after them.

        Of the known ones, they are those without any late ones; `best` has that of each
        sample's best label, shape (n, 1).
        """
        late = late.to(known.dtype)
        if self.multilabel:
            return torch.cat([known, F.logsigmoid(late)], dim=1)
        late = late + torch.log(-torch.expm1(best.clamp(max=LARGEST_BEST)))
        total = F.softplus(late.logsumexp(1, keepdim=True))
        return torch.cat([known - total, late - total], dim=1)

    def log_prob(self, scores: Any) -> Tensor:
        """Return the log-probability of every label, shape (n, n_labels + n_late)."""
        known, late = self._search.log_prob(scores), self._late_log_odds(scores)
        return self._with_late(known, known.amax(1, keepdim=True), late)

    def prob(self, scores: Any) -> Tensor:
        """Return the probability of every label, shape (n, n_labels + n_late)."""
        return self.log_prob(scores).exp_()

    def log_odds(self, scores: Any) -> Tensor:
        """Return the log-odds of every label of a multi-label task."""
        known = self._search.log_odds(scores)
        late = self._late_log_odds(scores).to(known.dtype)
        return torch.cat([known, late], dim=1)

    def topk(self, scores: Any, k: int, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k best labels and their log-probabilities, both (n, k)."""
        n_known = self.n_labels
        labels, known = self._search.topk(scores, min(k, n_known), exact)
        late = self._late_log_odds(scores)
        best, places = self._with_late(known, known[:, :1], late).topk(k, dim=1)
        beyond = torch.arange(n_known, n_known + late.shape[1], device=labels.device)
        labels = torch.cat([labels, beyond.expand(len(labels), -1)], dim=1)
        return labels.gather(1, places), best

    def above(self, scores: Any, threshold: float) -> tuple[Tensor, Tensor]:
        """Return the (sample, label) pairs of more than a log-probability, sorted."""
        if not self.multilabel:
            return pairs_above(self.log_prob(scores), threshold)
        samples, labels = self._search.above(scores, threshold)
        rows, beyond = pairs_above(F.logsigmoid(self._late_log_odds(scores)), threshold)
        samples = torch.cat([samples, rows])
        labels = torch.cat([labels, beyond + self.n_labels])
        # A sample's late labels follow its others.
        order = torch.argsort(samples, stable=True)
        return samples[order], labels[order]
