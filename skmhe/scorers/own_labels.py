"""Samples that are labels themselves: whether a sample has its own label or not.

A product is a sample among products that are bought with it, a noun among those that it
is a kind of: its features are those of one of the labels, which is then found most like
it, and is seldom, or always, one of its own. How often, the training samples tell.
"""

import numpy as np
import scipy.sparse as sp

from skmhe.scorers.batch import Rows, row_chunks, squared_lengths

# Equal rows of unit length differ by rounding only, and so do their projections.
TOLERANCE = 1e-5
# Scores of labels are about twice as sure as they should be, and are calibrated later.
LOG_ODDS_FACTOR = 2.0
SEED = 0


def own_labels(X: Rows, Z: Rows) -> sp.csr_array:
    """Find the labels whose features are those of a sample.

    Samples X and features of labels Z are `comparable_rows`. Returns a CSR of shape
    (n_samples, n_labels): 1 where both are the same, and not only zeros.
    """
    direction = np.random.RandomState(SEED).standard_normal(X.shape[1])
    # Rows of zeros would all be like one another.
    named = np.flatnonzero(squared_lengths(Z) > 0.5)
    sample_values, label_values = X @ direction, (Z @ direction)[named]
    order = np.argsort(label_values, kind="stable")
    label_values = label_values[order]
    first = np.searchsorted(label_values, sample_values - TOLERANCE)
    counts = np.searchsorted(label_values, sample_values + TOLERANCE) - first
    samples = np.repeat(np.arange(X.shape[0]), counts)
    starts = np.cumsum(counts) - counts
    places = np.arange(len(samples)) + np.repeat(first - starts, counts)
    labels = named[order[places]]
    same = np.empty(len(samples), bool)
    # Where many samples and labels have no text, there are many pairs.
    for pairs in row_chunks(len(samples), X.shape[1]):
        same[pairs] = squared_lengths(X[samples[pairs]] - Z[labels[pairs]]) < TOLERANCE
    entries = (np.ones(same.sum(), np.float32), (samples[same], labels[same]))
    return sp.csr_array(entries, shape=(X.shape[0], Z.shape[0]))


def count_own_labels(X: Rows, Z: Rows, y: np.ndarray | sp.csr_array) -> np.ndarray:
    """Count the pairs of a sample and its own label: those that are true, and others.

    X and Z are as in `own_labels`, y are the samples' labels or their indicator.
    """
    own = own_labels(X, Z).tocoo()
    if isinstance(y, np.ndarray):
        n_true = np.count_nonzero(y[own.row] == own.col)
    else:
        n_true = own.tocsr().multiply(y != 0).nnz
    return np.array([n_true, own.nnz - n_true])


def own_label_score(counts: np.ndarray) -> float:
    """Return what is added to the score of a sample's own label.

    By `count_own_labels`, the log-odds that it is true, scaled; 0 if nothing is known.
    """
    return LOG_ODDS_FACTOR * float(np.log((counts[0] + 0.5) / (counts[1] + 0.5)))
