"""Scores of labels by the similarity of samples to their centroids, or features."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skmhe.nn.heads.base import ExtraScores
from skmhe.nn.search import FlatSearch
from skmhe.scorers.batch import Batch, Rows, dense_product
from skmhe.scorers.centroids import Centroids, SparseCentroids
from skmhe.scorers.combination import (
    RowScores,
    Scorer,
)
from skmhe.scorers.training_centroids import TrainingCentroids

# Groups of labels that similarities add to a shortlist. With one label per sample, a
# tenth of the best five labels are outside of the linear classifiers' ten groups; on
# held-out samples, precision is the same with five more as with all labels scored.
N_NEAREST_GROUPS = 5
# Where all labels are fewer than so many times those of the shortlist, to score all of
# them takes less time: it is one product of contiguous weights.
MIN_TIMES_SHORTLIST = 5


@dataclass(frozen=True, eq=False)
class CentroidScorer(Scorer):
    """Scaled cosines of samples and the labels' centroids."""

    centroids: Centroids
    scale: Tensor  # factor of the cosines; shape: ()
    search: FlatSearch

    scores_labels = True
    proposes_groups = True

    @property
    def group_size(self) -> int:
        """Number of labels of a group of a shortlist."""
        return self.search.group_size

    def prepare(self, X: Rows) -> None:
        """Make the table of all labels, which dense samples do not need."""
        if isinstance(self.centroids, SparseCentroids):
            _ = self.centroids.label_table

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of all labels, as if no weight were 0."""
        return n_stored * self.centroids.n_labels

    def bind(self, batch: Batch) -> "CentroidScores":
        """Return the scores of a batch."""
        sparse = isinstance(self.centroids, SparseCentroids)
        return CentroidScores(self, batch.unit_rows(sparse=sparse))


class CentroidScores(RowScores):
    """The same, for some samples."""

    # Not a cached property, see `Batch`.
    _cosines: Tensor | None = None

    def _summary(self) -> Tensor:
        """Return the largest cosines in groups, and those of the search's spread."""
        if self._cosines is None:
            table = self.scorer.centroids.summary_table
            self._cosines = table.all_scores(self.X)
        return self._cosines

    def labels(self) -> Tensor:
        """Return the scores of all labels, shape (n, n_labels)."""
        scale = self.scorer.scale
        found = self.scorer.centroids.cosines(self.X, scale=scale.item())
        return torch.from_numpy(found).to(scale.device)

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of the labels of groups, (n, n_groups, group_size)."""
        scorer, chosen = self.scorer, groups.cpu().numpy()
        found = scorer.centroids.group_cosines(self.X, chosen, scorer.group_size)
        return _scaled(found, scorer.scale)

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of the search's spread, shape (n, m)."""
        return self._summary()[:, -len(labels) :].to(labels.device) * self.scorer.scale

    def shortlist(self, groups: Tensor | None) -> Tensor | None:
        """Return groups, followed by some that may have the nearest centroids.

        With several labels per sample, those of the linear classifiers are enough. With
        one, groups tell too little about their labels where samples are dense: None, as
        where the shortlist would not be short.
        """
        if groups is None or self.scorer.search.multilabel:
            return groups
        n_groups = -(-self.scorer.search.n_labels // self.scorer.group_size)
        n_listed = groups.shape[1] + N_NEAREST_GROUPS
        is_short = n_groups >= MIN_TIMES_SHORTLIST * n_listed
        if isinstance(self.X, np.ndarray) or not is_short:
            return None
        found = self._summary()[:, :n_groups].to(groups.device)
        found = found.scatter(1, groups, -torch.inf)
        nearest = found.topk(N_NEAREST_GROUPS, dim=1).indices
        return torch.cat([groups, nearest], dim=1)


@dataclass(frozen=True, eq=False)
class LabelSimilarityScorer(Scorer):
    """Similarities of samples and features of labels, where both are of the same kind.

    Scaled cosines, as those to the centroids of labels' samples; 0 for all labels if
    there is nothing to compare.
    """

    n_labels: int  # of all labels, also late ones
    scale: Tensor  # factor of the cosines; shape: ()
    columns: Rows | None = None  # in columns of unit length; (n_features, n_labels)

    scores_by_features = True

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of all labels, as if no feature were 0."""
        return n_stored * self.n_labels

    def bind(self, batch: Batch) -> "LabelSimilarities":
        """Return the scores of a batch."""
        return LabelSimilarities(self, batch.unit_rows())


class LabelSimilarities(RowScores):
    """The same, for some samples."""

    def by_features(self) -> Tensor:
        """Return the scores of all labels, shape (n, n_labels)."""
        scorer = self.scorer
        if scorer.columns is None:
            return scorer.scale.new_zeros(self.X.shape[0], scorer.n_labels)
        return _scaled(dense_product(self.X, scorer.columns), scorer.scale)


def _scaled(cosines: np.ndarray, scale: Tensor) -> Tensor:
    return torch.from_numpy(cosines).to(scale.device) * scale


def scores_to_complete(
    centroids: Centroids | TrainingCentroids, X: Rows, scale: Tensor
) -> ExtraScores:
    """Return the scores that a head is trained to complete.

    X has rows of unit length. Of its own labels' centroids, a training sample is left
    out. The scale, a factor of the cosines, is to be trained.
    """

    def extra_scores(labels: Tensor) -> Tensor:
        return _scaled(centroids.cosines(X, labels.cpu().numpy()), scale)

    return extra_scores
