"""Iterative stratification of sparse multi-label data, label by label."""

from heapq import heapify, heappop, heappush

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


def assign_folds(
    indicator: sp.csr_array,
    shares: NDArray[np.float64],
    rng: np.random.RandomState | None,
) -> NDArray[np.int64]:
    """Return the fold of each sample, so that folds have their share of each label.

    `shares`, of shape (n_folds,), sum to 1. With `rng`, samples that can take each
    other's place do so at random, and so do labels of equal frequency.

    This is the algorithm of Sechidis et al. (2011): the label with the fewest samples
    left comes first, and each of its samples goes to the fold that lacks most of them,
    of equal ones to the fold that lacks most samples. All samples of a label are
    assigned at once, see `_allot`.
    """
    if rng is None:
        return _Assignment(indicator, shares).run()
    samples, labels = map(rng.permutation, indicator.shape)
    shuffled = indicator[samples]
    entries = shuffled.data, labels[shuffled.indices], shuffled.indptr
    folds = np.empty(len(samples), np.int64)
    folds[samples] = _Assignment(sp.csr_array(entries, indicator.shape), shares).run()
    return folds


class _Assignment:
    """Samples and their folds, and how many of each label the folds have so far."""

    def __init__(self, rows: sp.csr_array, shares: NDArray[np.float64]) -> None:
        assert np.isclose(shares.sum(), 1)
        self.rows, self.columns, self.shares = rows, rows.tocsc(), shares
        self.folds = np.full(rows.shape[0], -1)
        self.counts = np.diff(self.columns.indptr).astype(np.int64)
        self.n_left = self.counts.copy()  # samples without a fold, of each label
        self.n_taken = np.zeros((rows.shape[1], len(shares)), np.int64)
        self.sizes = np.zeros(len(shares), np.int64)

    def run(self) -> NDArray[np.int64]:
        """Return the folds of all samples."""
        n_labels = len(self.counts)
        # A heap of single integers, which it compares fastest. The count of a label
        # may have become smaller since; it is then there again, with that.
        present = np.flatnonzero(self.counts)
        heap = (self.counts[present] * n_labels + present).tolist()
        heapify(heap)
        while heap:
            count, label = divmod(heappop(heap), n_labels)
            if count != self.n_left[label]:
                continue
            changed = self._assign_label(label)
            for key in (self.n_left[changed] * n_labels + changed).tolist():
                heappush(heap, key)
        without_labels = np.flatnonzero(self.folds < 0)
        room = self._room()
        self.folds[without_labels] = _allot(len(without_labels), room, room)
        return self.folds

    def _room(self) -> NDArray[np.float64]:
        """Return the number of samples that each fold lacks."""
        return len(self.folds) * self.shares - self.sizes

    def _assign_label(self, label: int) -> NDArray[np.int64]:
        """Assign the samples of a label; return the labels with fewer samples left."""
        start, stop = self.columns.indptr[label : label + 2]
        samples = self.columns.indices[start:stop]
        samples = samples[self.folds[samples] < 0]
        lacking = self.counts[label] * self.shares - self.n_taken[label]
        folds = _allot(len(samples), lacking, self._room())
        self.folds[samples] = folds
        self.sizes += np.bincount(folds, minlength=len(self.sizes))
        starts, stops = self.rows.indptr[samples], self.rows.indptr[samples + 1]
        lengths = stops - starts
        skipped = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        labels = self.rows.indices[np.arange(len(skipped)) + skipped]
        np.add.at(self.n_taken, (labels, np.repeat(folds, lengths)), 1)
        np.subtract.at(self.n_left, labels, 1)
        changed = np.unique(labels)
        return changed[self.n_left[changed] > 0]


def _allot(
    n: int, lacking: NDArray[np.float64], room: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the folds of n samples of a label, one after the other: shape (n,).

    A fold that gets a sample lacks one less of the label, and has room for one less.
    Each time, the best fold is the one that lacks most, of equal ones that of most
    room. The values of each fold only fall, so that this is the order of all values.
    """
    steps = np.arange(n)
    order = np.lexsort(
        ((steps - room[:, None]).ravel(), (steps - lacking[:, None]).ravel())
    )
    return order[:n] // max(n, 1)


def move_to_first(
    indicator: sp.csr_array, folds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return folds of which the first one has a sample of each label that occurs."""
    of_entries = np.repeat(folds, np.diff(indicator.indptr))
    n_labels = indicator.shape[1]
    in_first = np.bincount(indicator.indices[of_entries == 0], minlength=n_labels)
    columns = indicator.tocsc()
    lost = np.flatnonzero((np.diff(columns.indptr) > 0) & (in_first == 0))
    folds = folds.copy()
    folds[columns.indices[columns.indptr[lost]]] = 0
    return folds


def meet_sizes(
    indicator: sp.csr_array,
    folds: NDArray[np.int64],
    sizes: NDArray[np.int64],
    rng: np.random.RandomState,
) -> NDArray[np.int64]:
    """Return folds of the given sizes, with samples of too large ones moved at random.

    Rare labels are why there are such: of three samples, the smaller fold has a share
    of less than a half, so that it gets none of them, label after label. The last
    sample of a label in the first fold stays there, which may then be too large. A
    third fold, of what is left over, has what the other two do not need.
    """
    lacking = sizes - np.bincount(folds, minlength=len(sizes))
    in_first = indicator[folds == 0].sum(axis=0)  # samples of each label
    folds = folds.copy()
    order = rng.permutation(np.flatnonzero((lacking[folds] < 0) | (folds == 2)))
    for sample in order[np.argsort(-folds[order], kind="stable")].tolist():
        source, target = folds[sample], lacking[:2].argmax()
        if lacking[target] <= 0 and source < 2:
            target = lacking.argmax()
        if lacking[target] <= 0 or (source < 2 and lacking[source] >= 0):
            continue
        start, stop = indicator.indptr[sample : sample + 2]
        labels = indicator.indices[start:stop]
        if source == 0 and (in_first[labels] < 2).any():
            continue
        in_first[labels] += int(target == 0) - int(source == 0)
        lacking[[source, target]] += 1, -1
        folds[sample] = target
    return folds
