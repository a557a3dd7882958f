"""Samples that are labels themselves: whether a sample has its own label or not.

A product is a sample among products that are bought with it, a noun among those that it
is a kind of: its features are those of one of the labels, which is then found most like
it, and is seldom, or always, one of its own. How often, the training samples tell.
"""

import numpy as np
import scipy.sparse as sp

# Equal rows of unit length differ by rounding only, and so do their projections.
TOLERANCE = 1e-5
# Scores of labels are about twice as sure as they should be, and are calibrated later.
LOG_ODDS_FACTOR = 2.0
SEED = 0


def own_labels(X, Z):
    """Find the labels whose features are those of a sample.

    Parameters
    ----------
    X : {ndarray, CSR} of shape (n_samples, n_features)
        Samples of unit length.
    Z : {ndarray, CSR} of shape (n_labels, n_features)
        Features of the labels, of unit length.

    Returns
    -------
    CSR of shape (n_samples, n_labels)
        1 where a sample and a label have the same features, and not only zeros.
    """
    direction = np.random.RandomState(SEED).standard_normal(X.shape[1])
    sample_values, label_values = X @ direction, Z @ direction
    order = np.argsort(label_values, kind="stable")
    label_values = label_values[order]
    first = np.searchsorted(label_values, sample_values - TOLERANCE)
    counts = np.searchsorted(label_values, sample_values + TOLERANCE) - first
    samples = np.repeat(np.arange(X.shape[0]), counts)
    starts = np.cumsum(counts) - counts
    places = np.arange(len(samples)) + np.repeat(first - starts, counts)
    labels = order[places]
    difference = _squares(X[samples] - Z[labels])
    same = (difference < TOLERANCE) & (_squares(Z[labels]) > 0.5)
    entries = (np.ones(same.sum(), np.float32), (samples[same], labels[same]))
    return sp.csr_array(entries, shape=(X.shape[0], Z.shape[0]))


def _squares(rows):
    """Return the squared lengths of rows."""
    if sp.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


def count_own_labels(X, Z, y):
    """Count how often a sample is a label, and how often it has that label.

    Parameters
    ----------
    X, Z : as in `own_labels`
    y : ndarray of shape (n_samples,) or CSR of shape (n_samples, n_labels)
        The samples' labels.

    Returns
    -------
    ndarray of shape (2,)
        Numbers of pairs of a sample and its own label: those where it has the label,
        and the others.
    """
    own = own_labels(X, Z).tocoo()
    if isinstance(y, np.ndarray):
        n_true = np.count_nonzero(y[own.row] == own.col)
    else:
        n_true = own.tocsr().multiply(y != 0).nnz
    return np.array([n_true, own.nnz - n_true])


def own_label_score(counts):
    """Return what is added to the score of a sample's own label.

    Parameters
    ----------
    counts : ndarray of shape (2,)
        See `count_own_labels`.

    Returns
    -------
    float
        The log-odds that it is true, 0 if nothing is known; scaled.
    """
    return LOG_ODDS_FACTOR * float(np.log((counts[0] + 0.5) / (counts[1] + 0.5)))
