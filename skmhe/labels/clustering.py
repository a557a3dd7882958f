"""Balanced clustering of labels: similar labels get adjacent positions."""

from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

# Upper bound on the rounds of a bisection, which stops earlier if nothing changes.
N_ROUNDS = 8

Rows: TypeAlias = np.ndarray | sp.csr_array


def indicator(y: np.ndarray | sp.csr_array, n_labels: int) -> sp.csr_array:
    """Return targets as a CSR indicator."""
    if sp.issparse(y):
        return y
    n = len(y)
    entries = np.ones(n, np.float32), y, np.arange(n + 1)
    return sp.csr_array(entries, shape=(n, n_labels))


def label_centroids(X: Rows, Y: sp.csr_array) -> Rows:
    """Return the L2-normalized sums of each label's samples, 0 if it has none."""
    sums = Y.T.tocsr().astype(X.dtype) @ X
    # scikit-learn takes lengths below about 1e-6 for zero, whatever the scale of X.
    largest = abs(sums).max()
    return normalize(
        sums * sums.dtype.type(1 / largest if largest > 0 else 1), copy=False
    )


def _split(rows: Rows, n_left: int, rng: np.random.RandomState) -> np.ndarray:
    """Divide rows into two similar parts by balanced 2-means.

    Returns a permutation of the rows, the `n_left` ones of the first part in front.
    """
    first, second = rng.choice(rows.shape[0], size=2, replace=False)
    is_left = np.zeros(rows.shape[0], dtype=rows.dtype)
    is_left[first], is_right = 1, np.zeros_like(is_left)
    is_right[second] = 1
    for _ in range(N_ROUNDS):
        # Spherical 2-means: only the direction between the two centers matters.
        centers = normalize(np.stack([rows.T @ is_left, rows.T @ is_right]))
        # Stable, so that equal rows keep their order on every machine.
        order = np.argsort(rows @ (centers[1] - centers[0]), kind="stable")
        previous = is_left
        is_left = np.zeros_like(previous)
        is_left[order[:n_left]] = 1
        is_right = 1 - is_left
        if np.array_equal(is_left, previous):
            break
    return order


def balanced_order(
    features: Rows, group_sizes: list[int], rng: np.random.RandomState
) -> np.ndarray:
    """Order rows so that each group of consecutive rows is similar.

    Recursive balanced bisection as in Prabhu et al., "Parabel", WWW 2018, section 4.1,
    except that each half is a whole number of groups, so that the groups are the labels
    that share their first digits. `rng` draws the two rows that each bisection starts
    from.

    Rows have unit length or are zero; the sizes of the nested groups are in descending
    order, ``[20, 4]`` for heads of lengths 10, 5 and 4. Returns the rows by position.
    """
    features = sp.csr_array(features) if sp.issparse(features) else features
    order = np.arange(features.shape[0])
    # The stack holds slices of `order` that are still to be divided.
    stack = [(0, len(order))]
    while stack:
        start, stop = stack.pop()
        size = stop - start
        unit = next((g for g in group_sizes if g < size), None)
        if unit is None:
            continue
        n_units = -(-size // unit)
        n_left = (n_units + 1) // 2 * unit
        part = order[start:stop]
        order[start:stop] = part[_split(features[part], n_left, rng)]
        stack += [(start, start + n_left), (start + n_left, stop)]
    return order
