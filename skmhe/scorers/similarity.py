"""Scores of labels by the similarity of samples to their centroids, or features."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.nn.heads.base import ExtraScores
from skmhe.nn.search import FlatSearch
from skmhe.scorers.batch import Batch, Rows, in_form
from skmhe.scorers.centroids import Centroids, TrainingCentroids
from skmhe.scorers.combination import (
    LINEAR_AT_MARGIN,
    RowScores,
    Scorer,
    ScorerWeights,
)
from skmhe.scorers.linear.feature_table import FeatureTable
from skmhe.scorers.network import Network

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

    @cached_property
    def table(self) -> FeatureTable:
        """Table for the cosines of sparse samples and all labels."""
        return FeatureTable(self.centroids.level(self.group_size))

    @cached_property
    def summary(self) -> FeatureTable:
        """Table for sparse samples and groups, followed by the search's spread."""
        labels = self.search.spread(torch.device("cpu")).numpy()
        return FeatureTable(self.centroids.summary(self.group_size, labels))

    def prepare(self, X: Rows) -> None:
        """Make the table, which dense samples do not need."""
        if not isinstance(X, np.ndarray):
            _ = self.table

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of all labels, as if no weight were 0."""
        return n_stored * len(self.centroids.block)

    def bind(self, batch: Batch) -> "CentroidScores":
        """Return the scores of a batch."""
        return CentroidScores(self, batch.unit_rows())


class CentroidScores(RowScores):
    """The same, for some samples."""

    # Not a cached property, see `Batch`.
    _cosines: Tensor | None = None

    def _summary(self) -> Tensor:
        """Return the largest cosines in groups, and those of the search's spread."""
        if self._cosines is None:
            self._cosines = self.scorer.summary.all_scores(self.X)
        return self._cosines

    def labels(self) -> Tensor:
        """Return the scores of all labels, shape (n, n_labels)."""
        centroids, scale = self.scorer.centroids, self.scorer.scale
        if isinstance(self.X, np.ndarray):
            return _scaled(centroids.cosines(self.X), scale)
        scores = self.scorer.table.all_scores(self.X, scale.item())
        return scores[:, : len(centroids.block)].to(scale.device)

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
class LateLabelScorer(Scorer):
    """Scores of labels that came later, of which only the features are known.

    A label's score is a constant, that of a label of which the sample says nothing;
    and the cosine of the sample and the label's features, where both are of the same
    kind, in place of that to the centroid of the label's samples.
    """

    n_late: int
    constant: float
    scale: Tensor  # factor of the cosines; shape: ()
    texts: Rows | None = None  # in columns of unit length; (n_features, n_late)

    scores_late = True

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of all labels, as if no feature were 0."""
        return n_stored * self.n_late

    def bind(self, batch: Batch) -> "LateLabelScores":
        """Return the scores of a batch."""
        return LateLabelScores(self, batch.unit_rows())


class LateLabelScores(RowScores):
    """The same, for some samples."""

    def late(self) -> Tensor:
        """Return the scores of labels that came later, shape (n, n_late)."""
        scorer = self.scorer
        shape = self.X.shape[0], scorer.n_late
        scores = scorer.scale.new_full(shape, scorer.constant)
        if scorer.texts is None:
            return scores
        cosines = in_form(self.X @ scorer.texts, sparse=False)
        return scores.add_(torch.from_numpy(cosines).to(scores) * scorer.scale)


def late_label_scorer(
    network: Network,
    weights: ScorerWeights,
    n_late: int,
    texts: Rows | None,
    start_scale: float,
) -> LateLabelScorer:
    """Return the scorer of labels of which nothing is learned.

    Its constant is the score of the median label for a sample that says nothing of it:
    its linear classifier has a margin of 0. Cosines with the labels' texts, in rows of
    unit length if they are like samples, have the scale of those with centroids, or
    where there are none, that which its training starts from.
    """
    biases = network.head.biases
    constant = LINEAR_AT_MARGIN * weights.linear
    if weights.network:
        constant += sum(bias.median().item() for bias in biases)
    scale = biases[0].new_tensor(start_scale)
    if texts is None or not weights.network:
        return LateLabelScorer(n_late, constant, scale)
    if network.spec.centroid_scale is not None:
        scale = network.centroid_scale.detach()
    columns = sp.csr_array(texts.T) if sp.issparse(texts) else texts.T
    return LateLabelScorer(n_late, constant, scale, columns)


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
