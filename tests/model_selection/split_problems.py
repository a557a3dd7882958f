"""Multi-label targets, and what splits of them are measured by."""

import numpy as np
import scipy.sparse as sp


def long_tailed(n_samples=300, n_labels=60, seed=0):
    """Draw an indicator with rare and frequent labels, and samples without any."""
    rng = np.random.default_rng(seed)
    frequency = 0.5 / np.arange(1, n_labels + 1)
    dense = rng.random((n_samples, n_labels)) < frequency
    return sp.csr_array(dense.astype(np.float64))


def brute_force(indicator, shares):
    """Assign the samples one by one, as Sechidis et al. write their algorithm."""
    y = indicator.toarray().astype(bool)
    n_samples = len(y)
    wanted = np.outer(y.sum(axis=0), shares)
    taken, sizes = np.zeros_like(wanted), np.zeros(len(shares))
    folds = np.full(n_samples, -1)
    while (folds < 0).any():
        left = y[folds < 0].sum(axis=0)
        samples = np.flatnonzero(folds < 0)
        label = None
        if left.any():
            label = min(np.flatnonzero(left), key=lambda i: (left[i], i))
            samples = [i for i in samples if y[i, label]]
        for i in samples:
            room = n_samples * shares - sizes
            lacking = room if label is None else wanted[label] - taken[label]
            j = max(range(len(shares)), key=lambda j: (lacking[j], room[j], -j))
            folds[i] = j
            taken[:, j] += y[i]
            sizes[j] += 1
    return folds


def label_deviation(indicator, test):
    """Return the mean deviation of the share of test samples, over true labels."""
    counts = indicator.sum(axis=0)
    present = counts > 0
    shares = indicator[test].sum(axis=0)[present] / counts[present]
    weights = counts[present] / counts.sum()
    return np.average(abs(shares - len(test) / indicator.shape[0]), weights=weights)
