"""Training data: samples with targets, batches, and samples held out."""

from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.scorers.batch import to_tensor
from skmhe.scorers.centroids import Centroids
from skmhe.scorers.parts import Featured, Samples, part_of
from skmhe.scorers.training_centroids import TrainingCentroids

Targets: TypeAlias = np.ndarray | sp.csr_array


def true_pairs(y: Targets) -> tuple[np.ndarray, np.ndarray]:
    """Return the (sample, label) pairs of a batch's targets, sorted by sample."""
    if isinstance(y, np.ndarray):
        return np.arange(len(y)), y
    samples = np.repeat(np.arange(y.shape[0]), np.diff(y.indptr))
    return samples, y.indices.astype(np.int64)


class TrainingData(NamedTuple):
    """Samples in rows, with targets as positions in the label order."""

    X: Samples  # of n rows, float32 or tokens
    y: Targets  # shape: (n,) positions, or (n, n_labels) 0/1
    sample_weight: np.ndarray | None = None  # shape: (n,), float32, of mean 1
    # Of these samples, by position; or of others, which leaves no sample out.
    centroids: TrainingCentroids | Centroids | None = None

    @property
    def has_features(self) -> bool:
        """Whether it is known what the backbone makes of the samples."""
        return isinstance(self.X, Featured)

    @property
    def network(self) -> Any:
        """What the network reads of the samples."""
        return part_of(self.X, "network")

    @property
    def linear(self) -> Any:
        """What linear classifiers and centroids read of the samples."""
        return part_of(self.X, "linear")

    def take(self, rows: Any) -> "TrainingData":
        """Return some rows."""
        weight, centroids = self.sample_weight, self.centroids
        if isinstance(centroids, TrainingCentroids):
            own, scale = centroids.own[rows], centroids.scale[rows]
            centroids = centroids._replace(own=own, scale=scale)
        return self._replace(
            X=self.X[rows],
            y=self.y[rows],
            sample_weight=None if weight is None else weight[rows],
            centroids=centroids,
        )

    def targets(self, device: torch.device) -> Tensor:
        """Return the targets as a tensor: positions, or a sparse indicator."""
        y = self.y
        if isinstance(y, np.ndarray):
            return to_tensor(y).to(device)
        # Canonical CSR is sorted by row and column, which is what coalesced means.
        return torch.sparse_coo_tensor(
            torch.from_numpy(np.stack(true_pairs(y))),
            torch.ones(y.nnz),
            y.shape,
            is_coalesced=True,
            check_invariants=False,
        ).to(device)


def optional_tensor(array: np.ndarray | None, device: torch.device) -> Tensor | None:
    """Return an array, if there is one, as a tensor on a device."""
    return None if array is None else to_tensor(array).to(device)


def batch_slices(n: int, batch_size: int) -> list[slice]:
    """Return the places of an epoch's batches in its order of n samples.

    A single sample that is left over joins the last batch: batch normalization cannot
    be trained on one.
    """
    starts = list(range(0, n, batch_size))
    if n > batch_size > 1 and n % batch_size == 1:
        starts.pop()
    return [slice(a, b) for a, b in pairwise([*starts, n])]


def hold_out(
    y: Targets, fraction: float, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows at random: those to train on, and those that are held out.

    With one label per sample, the first sample of each label, in random order, is
    trained on, so that no label is lost.
    """
    n = y.shape[0]
    order = rng.permutation(n)
    eligible = np.ones(n, dtype=bool)
    if isinstance(y, np.ndarray):
        eligible[np.unique(y[order], return_index=True)[1]] = False
    n_held_out = max(1, round(fraction * n))
    held_out = np.flatnonzero(eligible)[:n_held_out]
    if len(held_out) == 0 or len(held_out) == n:
        raise ValueError(
            f"early_stopping={fraction} leaves no samples to validate or to train on, "
            f"of {n}: use more samples, or early_stopping=False."
        )
    kept = np.ones(n, dtype=bool)
    kept[held_out] = False
    return order[kept], order[held_out]


def in_halves(
    y: Targets, rng: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split rows at random twice: each half is held out once, and the other one kept.

    With one label per sample, those of each label are dealt out in turn, and the only
    sample of a label is kept both times.
    """
    n = y.shape[0]
    order, eligible = rng.permutation(n), np.ones(n, bool)
    if isinstance(y, np.ndarray):
        order = order[np.argsort(y[order], kind="stable")]
        eligible = np.bincount(y)[y] > 1
    second = np.empty(n, bool)
    second[order] = np.arange(n) % 2 == 1
    halves = [eligible & (second == half) for half in (False, True)]
    return [(np.flatnonzero(~half), np.flatnonzero(half)) for half in halves]


# Labels of 2 ** N_OCTAVES samples or more are alike: one sample less of so many makes
# no difference.
N_OCTAVES = 4


def as_all(data: TrainingData, kept: np.ndarray, held_out: np.ndarray) -> TrainingData:
    """Return the samples held out, weighted so that they are like new samples.

    A sample of each label stays, see `hold_out`, so that rare labels are rarer among
    those held out. They are weighted by the frequency of their label among those kept:
    each octave of it has the share that it has in all samples (post-stratification).
    Multi-label samples are held out at random, and are as they are.
    """
    y, rest = data.y, data.take(held_out)
    if not isinstance(y, np.ndarray):
        return rest
    weight = np.ones(len(y)) if data.sample_weight is None else data.sample_weight

    def octaves(samples: np.ndarray, of: np.ndarray) -> np.ndarray:
        counts = np.bincount(y[samples], minlength=y.max() + 1)[y[of]]
        return np.minimum(np.log2(counts).astype(int), N_OCTAVES)

    everything = np.arange(len(y))
    target = np.bincount(
        octaves(everything, everything), weight, minlength=N_OCTAVES + 1
    )
    found = octaves(kept, held_out)
    shares = np.bincount(found, weight[held_out], minlength=N_OCTAVES + 1)
    factor = target[found] / shares[found]
    if not factor.any():
        # Such as where each label has 8 samples, of which 7 are kept.
        return rest
    weight = weight[held_out] * factor
    return rest._replace(sample_weight=(weight / weight.mean()).astype(np.float32))
