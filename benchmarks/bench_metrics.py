"""Time the ranking measures on a million rows with 5 predictions each.

Usage: python benchmarks/bench_metrics.py [n_rows]
"""

import sys
import time

import numpy as np
import scipy.sparse as sp

from skmhe import metrics

N_LABELS = 100_000
K = 5


def make_data(n_rows, rng):
    """Draw a CSR indicator with about 5 labels per row; half of the predictions hit."""
    labels = rng.integers(N_LABELS, size=(n_rows, K))
    rows = np.repeat(np.arange(n_rows), K)
    data = np.ones(n_rows * K, dtype=bool)  # bool: a label drawn twice counts once
    y_true = sp.csr_array((data, (rows, labels.ravel())), shape=(n_rows, N_LABELS))
    start = rng.integers(N_LABELS, size=(n_rows, 1))
    other = (start + np.arange(K)) % N_LABELS
    mixed = np.where(rng.random((n_rows, K)) < 0.5, labels, other)
    in_order = np.sort(mixed, axis=1)
    clash = (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
    y_pred = np.where(clash[:, None], other, mixed)
    return y_true, y_pred


def sparse_scores(y_pred, rng):
    """Return ten random scores per row, as a CSR matrix."""
    n_rows = len(y_pred)
    start = rng.integers(N_LABELS - 10, size=(n_rows, 1))
    indices = (start + np.arange(10)).ravel()
    indptr = np.arange(0, 10 * n_rows + 1, 10)
    return sp.csr_array((rng.random(10 * n_rows), indices, indptr), (n_rows, N_LABELS))


def timed(name, function, *args):
    start = time.perf_counter()
    value = function(*args)
    print(f"{name:<46}{time.perf_counter() - start:6.2f} s")
    return value


def main():
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    y_true, y_pred = make_data(n_rows, rng)
    print(f"{n_rows} rows, {N_LABELS} labels, k={K}, {y_true.nnz} true labels (CSR)")
    p = timed("propensities", metrics.propensities, y_true)
    timed("precision_at_k", metrics.precision_at_k, y_true, y_pred, K)
    timed("recall_at_k", metrics.recall_at_k, y_true, y_pred, K)
    timed("ndcg_at_k", metrics.ndcg_at_k, y_true, y_pred, K)
    psp = metrics.propensity_scored_precision_at_k
    timed("propensity_scored_precision_at_k", psp, y_true, y_pred, p, K)
    timed("coverage_at_k", metrics.coverage_at_k, y_true, y_pred, K)
    labels = y_true.indices[y_true.indptr[:-1]]
    timed("recall_at_k, single-label", metrics.recall_at_k, labels, y_pred, K)
    scores = sparse_scores(y_pred, rng)
    timed("precision_at_k, CSR scores", metrics.precision_at_k, y_true, scores, K)
    dense = rng.random((max(1, n_rows // 1000), N_LABELS), dtype=np.float32)
    subset = y_true[: len(dense)]
    name = f"precision_at_k, dense scores, {len(dense)} rows"
    timed(name, metrics.precision_at_k, subset, dense, K)


if __name__ == "__main__":
    main()
