"""The measures of predictions that have been compared with the true labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmhe.metrics._evaluation import Evaluation
from skmhe.metrics._true_labels import TrueLabels


def precision(found: Evaluation) -> float:
    """Return the fraction of the predictions that are correct."""
    return found.average(found.hits.mean(axis=1))


def recall(found: Evaluation) -> float:
    """Return the fraction of the true labels that are predicted."""
    # Samples without true labels have no hits: dividing by 1 gives 0.
    return found.average(found.hits.sum(axis=1) / np.maximum(found.truth.counts, 1))


def ndcg(found: Evaluation) -> float:
    """Return the discounted gain of the predictions, divided by the largest one."""
    discounts = 1 / np.log2(np.arange(2, found.k + 2))
    ideal = np.cumsum(discounts)[np.clip(found.truth.counts, 1, found.k) - 1]
    return found.average(found.hits @ discounts / ideal)


def coverage(found: Evaluation) -> float:
    """Return the fraction of the labels that are predicted correctly at least once."""
    present, hits = found.truth.indices, found.hits
    if found.weights is not None:
        counted = found.weights > 0
        present = present[counted[found.truth.samples]]
        hits = hits & counted[:, None]
    return _count_distinct(found.ranked[hits]) / max(_count_distinct(present), 1)


def _count_distinct(labels: NDArray[np.integer]) -> int:
    # np.unique uses a hash table, which takes ten times as long for millions of labels.
    in_order = np.sort(labels)
    return int(np.count_nonzero(np.diff(in_order))) + min(len(labels), 1)


MEASURES: dict[str, Callable[[Evaluation], float]] = {
    "coverage": coverage,
    "ndcg": ndcg,
    "precision": precision,
    "recall": recall,
}


def propensity_scored_precision(
    found: Evaluation, propensities: NDArray[np.float64]
) -> float:
    """Return the precision weighted by inverse propensities, of shape (n_labels,)."""
    inverse = 1 / propensities
    gains = np.where(found.hits, inverse[found.ranked], 0).sum(axis=1)
    best = found.average(_best_gains(found.truth, inverse, found.k))
    if best == 0:
        return 0.0
    # For the best ranking, rounding may make the ratio slightly larger than 1.
    return min(found.average(gains) / best, 1.0)


def _best_gains(
    truth: TrueLabels, inverse: NDArray[np.float64], k: int
) -> NDArray[Any]:
    """Sum the k largest inverse propensities of each sample's true labels.

    `inverse` has shape (n_labels,), the sums have shape (n_samples,).
    """
    n_labels = len(inverse)
    by_gain = np.argsort(-inverse, kind="stable")
    rank_of_label = np.empty(n_labels, dtype=np.int64)
    rank_of_label[by_gain] = np.arange(n_labels)
    samples = truth.samples
    # Sorting sample * n_labels + rank orders the labels within each sample.
    keys = np.sort(samples * n_labels + rank_of_label[truth.indices])
    leading = np.arange(len(keys)) - truth.indptr[samples] < k
    gains = inverse[by_gain[keys[leading] % n_labels]]
    return np.bincount(samples[leading], weights=gains, minlength=truth.n_samples)
