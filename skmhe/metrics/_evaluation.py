"""Validation of the arguments of a metric, and the predictions that are correct."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.metrics._predictions import check_k, check_y_pred, rank_top_k
from skmhe.metrics._true_labels import (
    LabelsLike,
    TrueLabels,
    check_index_range,
    check_y_true,
)


class Evaluation(NamedTuple):
    """Validated arguments of a metric, with the predictions that are correct."""

    truth: TrueLabels
    ranked: NDArray[np.int64]  # shape: (n_samples, k), -1 for no prediction
    hits: NDArray[np.bool_]  # shape: (n_samples, k), which of `ranked` are true labels
    weights: NDArray[np.float64] | None  # shape: (n_samples,)

    def average(self, values: NDArray[Any]) -> float:
        """Average values of shape (n_samples,) over the samples, by their weights."""
        return float(np.average(values, weights=self.weights))


def evaluate(
    y_true: LabelsLike | TrueLabels,
    y_pred: Any,
    k: int,
    sample_weight: ArrayLike | None,
    *,
    n_propensities: int | None = None,
) -> Evaluation:
    """Validate the arguments of a metric and mark the correct predictions.

    `n_propensities` is the number of labels that have one, if the metric uses them.
    """
    check_k(k)
    truth = check_y_true(y_true)
    y_pred, n_scored = check_y_pred(y_pred)
    n_labels = _check_n_labels(
        y_true=truth.n_labels, y_pred=n_scored, propensities=n_propensities
    )
    ranked = rank_top_k(y_pred, k, n_labels)
    if truth.n_samples != len(ranked):
        raise ValueError(
            f"y_true has {truth.n_samples} samples but y_pred has {len(ranked)}; pass "
            "the same samples to both."
        )
    check_index_range(truth.indices, 0, n_labels, "y_true")
    weights = _check_sample_weight(sample_weight, truth.n_samples)
    return Evaluation(truth, ranked, _find_hits(truth, ranked), weights)


def _check_n_labels(**known: int | None) -> int | None:
    """Return the number of labels that all arguments agree on, None if none tells."""
    counts = {name: count for name, count in known.items() if count is not None}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise ValueError(
            f"The numbers of labels differ ({listed}); pass one column or one value "
            "for each label in every argument."
        )
    return next(iter(counts.values()), None)


def _check_sample_weight(
    sample_weight: ArrayLike | None, n_samples: int
) -> NDArray[np.float64] | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.shape != (n_samples,) or weights.dtype.kind not in "buif":
        raise ValueError(
            f"sample_weight has shape {weights.shape} and dtype {weights.dtype}; pass "
            f"one number for each of the {n_samples} samples."
        )
    weights = weights.astype(np.float64, copy=False)
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() == 0:
        raise ValueError(
            "sample_weight must be finite, non-negative and not zero for every sample; "
            f"got values from {weights.min()} to {weights.max()}."
        )
    return weights


def _find_hits(truth: TrueLabels, ranked: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the predictions that are true labels, shape (n_samples, k)."""
    hits = np.zeros(ranked.shape, dtype=bool)
    counts, samples = truth.counts, truth.samples
    # Comparing every true label with its sample's prediction at each rank is faster
    # than looking up the predictions, and needs no sorting.
    for rank in range(ranked.shape[1]):
        found = np.repeat(ranked[:, rank], counts) == truth.indices
        hits[samples[found], rank] = True
    return hits
