"""Samples that are labels themselves: whether a sample has its own label or not.

A product is a sample among products that are bought with it, a noun among those that it
is a kind of: its features are those of one of the labels, which is then found most like
it, and is seldom, or always, one of its own. How often, the training samples tell.
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from skmhe.scorers.batch import Rows, row_chunks, squared_lengths

# Equal rows of unit length differ by rounding only, and so do their projections.
TOLERANCE = 1e-5
# Features that more labels than this share, such as those of no text, do not tell which
# label a sample is, and are those of none. (Of ten million labels, about 80 have nearly
# the projection of a sample by chance.)
MAX_ALIKE = 1000
# What a pair takes while it is looked at: seven numbers of 8 bytes, in scores of 4.
SCORES_PER_PAIR = 14
# Scores of labels are about twice as sure as they should be, and are calibrated later.
LOG_ODDS_FACTOR = 2.0
SEED = 0


def own_labels(X: Rows, Z: Rows) -> sp.csr_array:
    """Find the labels whose features are those of a sample.

    Samples X and features of labels Z are `comparable_rows`. Returns a CSR of shape
    (n_samples, n_labels): 1 where both are the same, and not only zeros.
    """
    pairs = np.concatenate([np.zeros((2, 0), np.int64), *_pairs(X, Z)], axis=1)
    return _as_entries(pairs, (X.shape[0], Z.shape[0]))


def count_own_labels(X: Rows, Z: Rows, y: np.ndarray | sp.csr_array) -> np.ndarray:
    """Count the pairs of a sample and its own label: those that are true, and others.

    X and Z are as in `own_labels`, y are the samples' labels or their indicator.
    """
    n_true, n_pairs = 0, 0
    true = None if isinstance(y, np.ndarray) else y != 0
    for pairs in _pairs(X, Z):
        n_pairs += pairs.shape[1]
        if true is None:
            n_true += int((y[pairs[0]] == pairs[1]).sum())
        else:
            n_true += _as_entries(pairs, true.shape).multiply(true).nnz
    return np.array([n_true, n_pairs - n_true])


def _as_entries(pairs: np.ndarray, shape: tuple[int, int]) -> sp.csr_array:
    ones = np.ones(pairs.shape[1], np.float32)
    return sp.csr_array((ones, (pairs[0], pairs[1])), shape=shape)


def _pairs(X: Rows, Z: Rows) -> Iterator[np.ndarray]:
    """Yield the pairs of samples and labels of the same features, (2, n_pairs) each."""
    direction = np.random.RandomState(SEED).standard_normal(X.shape[1])
    # Rows of zeros would all be like one another.
    named = np.flatnonzero(squared_lengths(Z) > 0.5)
    sample_values, label_values = X @ direction, (Z @ direction)[named]
    order = np.argsort(label_values, kind="stable")
    label_values = label_values[order]
    first = np.searchsorted(label_values, sample_values - TOLERANCE)
    counts = np.searchsorted(label_values, sample_values + TOLERANCE) - first
    counts[counts > MAX_ALIKE] = 0
    most = max(1, int(counts.max(initial=0)))
    for rows in row_chunks(X.shape[0], SCORES_PER_PAIR * most):
        samples = np.repeat(np.arange(rows.start, rows.stop), counts[rows])
        starts = np.cumsum(counts[rows]) - counts[rows]
        places = np.arange(len(samples)) + np.repeat(first[rows] - starts, counts[rows])
        labels = named[order[places]]
        same = np.empty(len(samples), bool)
        for part in row_chunks(len(samples), X.shape[1]):
            difference = X[samples[part]] - Z[labels[part]]
            same[part] = squared_lengths(difference) < TOLERANCE
        yield np.stack([samples[same], labels[same]])


def own_label_score(counts: np.ndarray) -> float:
    """Return what is added to the score of a sample's own label.

    By `count_own_labels`, the log-odds that it is true, scaled; 0 if nothing is known.
    """
    return LOG_ODDS_FACTOR * float(np.log((counts[0] + 0.5) / (counts[1] + 0.5)))
