"""Validation of the arguments of a metric, and the predictions that are correct."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.metrics._alignment import align, check_labels, read_true_labels
from skmhe.metrics._predictions import (
    Ranking,
    check_k,
    check_no_nan,
    read_predictions,
)
from skmhe.metrics._true_labels import TrueLabels


class Evaluation(NamedTuple):
    """Validated arguments of a metric, with the predictions that are correct."""

    truth: TrueLabels
    ranked: NDArray[np.int64]  # shape: (n_samples, k), -1 for no prediction
    hits: NDArray[np.bool_]  # shape: (n_samples, k), which of `ranked` are true labels
    weights: NDArray[np.float64] | None  # shape: (n_samples,)
    # Those of `ranked`, if there are some; of no prediction, they may be any.
    scores: NDArray[np.floating] | None = None

    @property
    def k(self) -> int:
        """Number of predictions of each sample."""
        return self.ranked.shape[1]

    def first(self, k: int) -> "Evaluation":
        """Return the same of the first k predictions of each sample."""
        return self._replace(ranked=self.ranked[:, :k], hits=self.hits[:, :k])

    def average(self, values: NDArray[Any]) -> float:
        """Average values of shape (n_samples,) over the samples, by their weights."""
        return float(np.average(values, weights=self.weights))


def assess(
    y_true: Any,
    y_pred: Any,
    k: int,
    labels: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    n_propensities: int | None = None,
    scored: bool = False,
    every: bool = False,
) -> Evaluation:
    """Validate the arguments of a metric and mark the correct predictions.

    `n_propensities` is the number of labels that have one, and `scored` tells whether
    there must be scores of the predictions, if the metric uses them. With `every`, k is
    the largest number of predictions of a sample.
    """
    check_k(k)
    known = check_labels(labels)
    predicted = read_predictions(y_pred, known)
    if scored and isinstance(predicted, Ranking) and predicted.scores is None:
        raise ValueError(
            "y_pred has ranked labels without scores, which this metric needs: pass "
            "the pair of labels and probabilities that predict_topk returns, or scores "
            "with a column for each label."
        )
    if every:
        k = predicted.n_largest
    hints = predicted.known if known is None else known
    truth = read_true_labels(y_true, "y_true", hints)
    true, ranked = align(truth, predicted, k, known, n_propensities)
    found = compare(true, ranked, sample_weight)
    if not scored:
        return found
    scores = predicted.top_scores(k)
    assert scores is not None
    check_no_nan(scores[ranked >= 0], "y_pred")
    return found._replace(scores=scores)


def compare(
    truth: TrueLabels,
    ranked: NDArray[np.int64],
    sample_weight: ArrayLike | None,
    names: tuple[str, str] = ("y_true", "y_pred"),
) -> Evaluation:
    """Mark the correct predictions among ranked labels, of shape (n_samples, k).

    `names` are those of the arguments that have true labels, and what is predicted.
    """
    check_same_samples(truth.n_samples, len(ranked), names)
    weights = check_sample_weight(sample_weight, truth.n_samples)
    return Evaluation(truth, ranked, _find_hits(truth, ranked), weights)


def check_same_samples(
    n_true: int, n_predicted: int, names: tuple[str, str] = ("y_true", "y_pred")
) -> None:
    """Raise ValueError unless there are predictions of as many samples as are true."""
    if n_true != n_predicted:
        raise ValueError(
            f"{names[0]} has {n_true} samples but {names[1]} has {n_predicted}; pass "
            "the same samples to both."
        )


def check_sample_weight(
    sample_weight: ArrayLike | None, n_samples: int
) -> NDArray[np.float64] | None:
    """Return the weights of the samples, None for equal ones."""
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
    samples = truth.samples
    # Comparing every true label with its sample's prediction at each rank is faster
    # than looking up the predictions, and needs no sorting.
    for rank in range(ranked.shape[1]):
        found = np.take(ranked[:, rank], samples) == truth.indices
        hits[samples[found], rank] = True
    return hits
