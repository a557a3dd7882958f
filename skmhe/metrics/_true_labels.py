"""True labels of all samples, by the numbers of the labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrueLabels:
    """True labels of all samples, without duplicates: a CSR indicator without data.

    Sample i has the labels ``indices[indptr[i]:indptr[i + 1]]``.
    """

    indptr: NDArray[np.integer]  # shape: (n_samples + 1,)
    indices: NDArray[np.integer]  # shape: (n_true,)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> NDArray[np.integer]:
        """Number of true labels of each sample, ndarray of shape (n_samples,)."""
        return np.diff(self.indptr)

    @property
    def samples(self) -> NDArray[np.intp]:
        """Sample of each entry of `indices`, ndarray of shape (n_true,)."""
        return np.repeat(np.arange(self.n_samples), self.counts)

    @classmethod
    def from_flat(
        cls, indices: NDArray[np.integer], lengths: NDArray[np.integer]
    ) -> "TrueLabels":
        """Build true labels from the concatenated labels of all samples.

        `lengths` is the number of labels of each sample, shape (n_samples,). A label
        that a sample has twice counts once.
        """
        truth = cls(np.concatenate([[0], np.cumsum(lengths)]), indices)
        width = int(indices.max(initial=0)) + 1
        keys = np.sort(truth.samples * width + indices)
        is_new = np.ones(len(keys), dtype=bool)
        is_new[1:] = keys[1:] != keys[:-1]
        if is_new.all():
            return truth
        samples, indices = np.divmod(keys[is_new], width)
        counts = np.bincount(samples, minlength=len(lengths))
        return cls(np.concatenate([[0], np.cumsum(counts)]), indices)
