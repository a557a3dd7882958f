"""Random problems in every input form, and the metrics in pure Python."""

import math

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from skmhe.metrics import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    propensity_scored_precision_at_k,
    recall_at_k,
)

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None, derandomize=True)


# `truth` is a list of sets, `ranked` a list of lists with -1 for no prediction.


def oracle_precision(truth, ranked, k):
    return sum(
        sum(label in t for label in r[:k]) / k
        for t, r in zip(truth, ranked, strict=True)
    ) / len(truth)


def oracle_recall(truth, ranked, k):
    total = 0
    for t, r in zip(truth, ranked, strict=True):
        if t:
            total += sum(label in t for label in r[:k]) / len(t)
    return total / len(truth)


def oracle_ndcg(truth, ranked, k):
    total = 0
    for t, r in zip(truth, ranked, strict=True):
        if t:
            dcg = sum(1 / math.log2(i + 2) for i, v in enumerate(r[:k]) if v in t)
            total += dcg / sum(1 / math.log2(i + 2) for i in range(min(k, len(t))))
    return total / len(truth)


def oracle_psp(truth, ranked, k, p):
    gained = best = 0
    for t, r in zip(truth, ranked, strict=True):
        gained += sum(1 / p[label] for label in r[:k] if label in t) / k
        best += sum(sorted((1 / p[label] for label in t), reverse=True)[:k]) / k
    return gained / best if best else 0


def oracle_coverage(truth, ranked, k):
    present = set().union(*truth)
    found = set().union(
        *(t.intersection(r[:k]) for t, r in zip(truth, ranked, strict=True))
    )
    return len(found) / len(present) if present else 0


def oracle_top_k(row, k):
    """Rank the columns of a dense row of scores, the lower one first if tied."""
    return sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]


ORACLES = {
    precision_at_k: oracle_precision,
    recall_at_k: oracle_recall,
    ndcg_at_k: oracle_ndcg,
    coverage_at_k: oracle_coverage,
}
METRICS = list(ORACLES)


def all_metrics(y_true, y_pred, k, p, **kwargs):
    values = [metric(y_true, y_pred, k=k, **kwargs) for metric in METRICS]
    psp = propensity_scored_precision_at_k(y_true, y_pred, p, k=k, **kwargs)
    return np.array([*values, psp])


def all_oracles(truth, ranked, k, p):
    values = [oracle(truth, ranked, k) for oracle in ORACLES.values()]
    return np.array([*values, oracle_psp(truth, ranked, k, p)])


class Problem:
    """A random problem in every input form."""

    def __init__(self, seed, n_samples=None, n_labels=None, single=False, full=False):
        rng = np.random.default_rng(seed)
        self.n_samples = n_samples or int(rng.integers(1, 15))
        self.n_labels = n_labels or int(rng.integers(3, 12))
        shape = (self.n_samples, self.n_labels)
        self.dense = (rng.random(shape) < rng.random()).astype(np.int64)
        if single:
            self.dense = np.eye(self.n_labels, dtype=np.int64)[
                rng.integers(self.n_labels, size=self.n_samples)
            ]
        elif full:
            self.dense[:, 0] = 1
        # A permutation of distinct positive numbers in each row: no ties.
        self.scores = 1.0 + rng.permuted(
            np.tile(np.arange(self.n_labels), (self.n_samples, 1)), axis=1
        )
        self.ranked = np.argsort(-self.scores, axis=1)
        self.truth = [set(np.flatnonzero(row).tolist()) for row in self.dense]
        self.k = int(rng.integers(1, self.n_labels + 1))
        self.p = rng.uniform(0.05, 1, size=self.n_labels)
        self.weights = rng.integers(0, 4, size=self.n_samples) + (rng.random() < 0.5)
        self.weights[0] = 1
        self.rng = rng
