"""Centroids of the labels' samples, as predictions read them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.nn.products import grouped_linear, product, product_dtype
from skmhe.nn.search import FlatSearch
from skmhe.scorers.batch import Rows, in_form, to_tensor
from skmhe.scorers.linear.feature_table import FeatureTable
from skmhe.scorers.linear.tables import (
    SparseLevel,
    child_scores,
    level_of,
    stored_weights,
)
from skmhe.scorers.storage import compacted, restored

CPU = torch.device("cpu")


class DenseCentroids(NamedTuple):
    """Centroids of unit length of dense samples."""

    rows: np.ndarray  # float32, shape: (n_labels, n_features)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.rows)

    def cosines(
        self, X: Rows, labels: np.ndarray | None = None, scale: float = 1.0
    ) -> np.ndarray:
        """Return the cosines of rows of unit length and labels, times a factor.

        Of all labels, or of some; shape (n, m).
        """
        products = dense_cosines(in_form(X, sparse=False), self.rows)
        found: np.ndarray = products.mul_(scale).numpy()
        return found if labels is None else found[:, labels]

    def group_cosines(self, X: Rows, groups: np.ndarray, size: int) -> np.ndarray:
        """Return the cosines of rows of unit length and the labels of some groups.

        Groups of `size` consecutive labels for each sample, shape (n, n_groups), give
        an array of shape (n, n_groups, size); of any value where the last group has no
        such label, to which other scores add -inf.
        """
        n, n_groups = groups.shape
        samples = torch.arange(n).repeat_interleave(n_groups)
        pairs = samples, torch.from_numpy(groups.ravel())
        table = to_tensor(self.rows)
        zeros = table.new_zeros(self.n_labels)
        dense = torch.from_numpy(in_form(X, sparse=False))
        found = grouped_linear(dense, *pairs, table, zeros, size)
        return found.view(n, n_groups, size).numpy()

    def extended(self, rows: Rows | None, search: FlatSearch) -> "DenseCentroids":
        """Return the same with more labels, by rows; of zeros if there are none."""
        shape = search.n_labels - self.n_labels, self.rows.shape[1]
        more = np.zeros(shape) if rows is None else in_form(rows, sparse=False)
        return DenseCentroids(np.concatenate([self.rows, more.astype(np.float32)]))


@dataclass(frozen=True, eq=False)
class SparseCentroids:
    """Centroids of unit length of sparse samples, in tables by group of labels.

    The tables are what a search reads for a row, and are stored as they are: to make
    them takes far longer than the row.
    """

    level: SparseLevel  # a node is a group, and its children are the group's labels
    n_labels: int
    # A table of one node, whose children are the groups and the labels that stand for
    # all of them in the search; if it asks for these, with one label per sample.
    summary: SparseLevel | None

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        features: np.ndarray,
        values: np.ndarray,
        search: FlatSearch,
    ) -> "SparseCentroids":
        """Return those of some values, of (label, feature) pairs in any order."""
        n_labels, size = search.n_labels, search.group_size
        n_groups = -(-n_labels // size)
        level = level_of(labels, features, values, (n_groups, size))
        spread = search.spread(CPU).numpy()
        summary = None if search.multilabel else _summary(level, spread)
        return cls(level, n_labels, summary)

    def __getstate__(self) -> dict[str, Any]:
        names = ("level", "n_labels", "summary")  # not the tables made of them
        return compacted({name: getattr(self, name) for name in names})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(restored(state))

    @cached_property
    def label_table(self) -> FeatureTable:
        """Table for the cosines of all labels."""
        return FeatureTable(self.level)

    @cached_property
    def summary_table(self) -> FeatureTable:
        """Table for all groups, followed by the labels that stand for all."""
        assert self.summary is not None
        return FeatureTable(self.summary)

    def cosines(
        self, X: Rows, labels: np.ndarray | None = None, scale: float = 1.0
    ) -> np.ndarray:
        """Return the same as those of dense samples do."""
        scores = self.label_table.all_scores(in_form(X, sparse=True), scale)
        found: np.ndarray = scores[:, : self.n_labels].numpy()
        return found if labels is None else found[:, labels]

    def group_cosines(self, X: Rows, groups: np.ndarray, size: int) -> np.ndarray:
        """Return the same as those of dense samples do."""
        assert size == self.level.intercepts.shape[1]
        n, n_groups = groups.shape
        samples = np.repeat(np.arange(n), n_groups)
        # A beam may propose groups after the last label, of codes without one.
        owners = np.minimum(groups.ravel(), len(self.level.intercepts) - 1)
        found = child_scores(self.level, in_form(X, sparse=True), samples, owners)
        return found.reshape(n, n_groups, size)

    def extended(self, rows: Rows | None, search: FlatSearch) -> "SparseCentroids":
        """Return the same with more labels, by rows; of zeros if there are none."""
        features, labels, values = stored_weights(self.level)
        if rows is not None:
            more = sp.coo_array(rows)
            labels = np.concatenate([labels, self.n_labels + more.row])
            features = np.concatenate([features, more.col])
            values = np.concatenate([values, more.data])
        return SparseCentroids.of(labels, features, values, search)


Centroids: TypeAlias = DenseCentroids | SparseCentroids


def dense_cosines(X: np.ndarray, rows: np.ndarray) -> Tensor:
    """Return the products of dense rows.

    By torch, whose threads would wait for those of NumPy's products.
    """
    dense = torch.from_numpy(X)
    return product(dense, to_tensor(rows).T, product_dtype(dense))


def _summary(level: SparseLevel, labels: np.ndarray) -> SparseLevel:
    """Return a table of one node: the groups of a level, and some labels.

    Values of a group are the largest of its labels': with samples without negative
    values, its scores are at least the cosines of all of its labels. The labels are
    sorted.
    """
    n_groups = len(level.intercepts)
    groups = np.repeat(np.arange(n_groups), np.diff(level.node_rows))
    largest = np.maximum.reduceat(level.values, level.indptr[:-1])
    features, owners, values = stored_weights(level)
    places = np.searchsorted(labels, owners)
    places[places == len(labels)] = 0
    kept = labels[places] == owners
    return level_of(
        np.concatenate([groups, n_groups + places[kept]]),
        np.concatenate([level.features, features[kept]]),
        np.concatenate([largest, values[kept]]),
        (1, n_groups + len(labels)),
    )
