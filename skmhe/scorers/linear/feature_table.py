"""Scores of all nodes of a level of linear classifiers, for sparse samples."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.nn.sparse_rows import SparseRows, sparse_product
from skmhe.scorers.linear.tables import (
    SparseLevel,
    ranges,
    run_bounds,
    starts_of,
    stored_weights,
)

# Of a feature with at least this share of nonzero weights, a dense row is added in less
# time than these one by one.
DENSE_ROW_SHARE = 0.03
# Bytes of dense rows at most.
DENSE_BYTES = 2**26
# Columns that are added at a time: the dense rows of all features stay in cache.
TILE = 256
# Numbers that a processor adds at a time: other widths of tiles take longer.
VECTOR = 16
# Products of a sample and a tile that are made in one call.
BAGS_PER_CALL = 256
# Products of values and weights that are made at a time: about 100 MiB.
MAX_PRODUCTS = 2**22


class FeatureTable:
    """The weights of a level turned around, from nodes to features.

    Features with weights in many nodes have a dense row, the others a sparse one. Each
    sample is summed in an order of its own: its scores do not depend on the other
    samples.
    """

    def __init__(self, level: SparseLevel) -> None:
        n_nodes, n_features = level.intercepts.size, level.features.max(initial=-1) + 1
        counts = np.bincount(level.features, np.diff(level.indptr), n_features)
        # Of the densest features, as many as fit into DENSE_BYTES.
        often = np.argsort(-counts, kind="stable")[: DENSE_BYTES // (4 * n_nodes)]
        often = np.sort(often[counts[often] > DENSE_ROW_SHARE * n_nodes])
        # A feature's dense row, or -1; the last feature stands for unknown ones.
        self.dense_row = np.full(n_features + 1, -1, np.int32)
        self.dense_row[often] = np.arange(1, len(often) + 1)

        order = np.argsort(level.features, kind="stable")
        is_dense = self.dense_row[level.features[order]] >= 0
        features, nodes, values = stored_weights(level, order[is_dense])
        dense = np.zeros((1 + len(often), n_nodes), np.float32)
        dense[0] = level.intercepts.ravel()
        dense[self.dense_row[features], nodes] = values
        n_tiles = -(-n_nodes // TILE)
        width = VECTOR * -(-n_nodes // (VECTOR * n_tiles))
        padded = np.pad(dense, ((0, 0), (0, n_tiles * width - n_nodes)))
        tiles = padded.reshape(len(dense), n_tiles, width).swapaxes(0, 1)
        self.n_nodes = n_nodes
        # shape: (n_tiles, n_rows, width)
        self.tiles = torch.from_numpy(np.ascontiguousarray(tiles))
        features, self.nodes, self.values = stored_weights(level, order[~is_dense])
        self.starts = starts_of(np.bincount(features, minlength=n_features + 1))

    def all_scores(self, X: sp.csr_array, scale: float = 1.0) -> Tensor:
        """Return the scores of all nodes times a factor, shape (n, n_nodes)."""
        features = np.minimum(X.indices, len(self.dense_row) - 1)
        factors = X.data * np.float32(scale)
        rows = self.dense_row[features]
        kept = rows >= 0
        starts = starts_of(kept)[X.indptr]
        # Every sample has the first dense row, the intercepts.
        rows = np.insert(rows[kept], starts[:-1], 0)
        dense_factors = np.insert(factors[kept], starts[:-1], scale)
        starts += np.arange(len(starts), dtype=starts.dtype)
        scores = self._dense_products(rows, starts, dense_factors)
        samples = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        starts = self.starts[features]
        lengths = self.starts[features + 1] - starts
        # Where the number of products so far passes a multiple of the bound.
        runs = np.cumsum(lengths, dtype=np.int64) // MAX_PRODUCTS
        for first, last in pairwise(run_bounds(runs)):
            pairs = (part[first:last] for part in (samples, factors, starts, lengths))
            self._add_products(scores, *pairs)
        return scores

    def _dense_products(
        self, rows: np.ndarray, starts: np.ndarray, factors: np.ndarray
    ) -> Tensor:
        """Return sums of dense rows for each sample, (n, n_nodes).

        Few samples are multiplied with many tiles in one call, which takes longer than
        what it computes for one of them.
        """
        n = len(starts) - 1
        if n >= BAGS_PER_CALL:
            bags = _bags(rows, starts, factors, self.tiles.shape[1])
            sums = [sparse_product(bags, tile) for tile in self.tiles]
        else:
            tiles = self.tiles.split(max(1, BAGS_PER_CALL // max(1, n)))
            sums = [_products(rows, starts, factors, some) for some in tiles]
        # The last tile is padded; without that, all that follows is contiguous.
        n_padded = self.tiles.shape[0] * self.tiles.shape[2] - self.n_nodes
        sums[-1] = sums[-1][:, : sums[-1].shape[1] - n_padded]
        return torch.cat(sums, dim=1)

    def _add_products(
        self,
        scores: Tensor,
        samples: np.ndarray,
        factors: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
    ) -> None:
        """Add the products of samples' values and the sparse rows of weights."""
        stored = ranges(starts, lengths)
        cells = np.repeat(samples * scores.shape[1], lengths)
        cells += self.nodes[stored]
        products = np.repeat(factors, lengths)
        products *= self.values[stored]
        scores.view(-1).index_add_(
            0, torch.from_numpy(cells), torch.from_numpy(products)
        )


def _bags(
    rows: np.ndarray, starts: np.ndarray, factors: np.ndarray, n_rows: int
) -> SparseRows:
    """Return samples as sums of rows of a table times factors."""
    parts = [torch.from_numpy(part) for part in (rows, starts, factors)]
    return SparseRows(parts[0], parts[1], parts[2], n_rows)


def _products(
    rows: np.ndarray, starts: np.ndarray, factors: np.ndarray, tiles: Tensor
) -> Tensor:
    """Return the sums of all tiles side by side, by one product of them stacked."""
    n_tiles, n_rows, width = tiles.shape
    n, places = len(starts) - 1, np.arange(n_tiles, dtype=np.int32)[:, None]
    begins = np.append(starts[:-1] + len(rows) * places, len(rows) * n_tiles)
    stacked = (rows + n_rows * places).ravel(), begins.astype(np.int32)
    bags = _bags(*stacked, np.tile(factors, n_tiles), n_tiles * n_rows)
    found = sparse_product(bags, tiles.flatten(0, 1)).view(n_tiles, n, width)
    return found.transpose(0, 1).reshape(n, n_tiles * width)
