"""True labels of a batch: their checks, and losses of given scores."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.sparse_rows import SparseRows, check_tensor


class Positives(NamedTuple):
    """True labels of multi-label samples, as (sample, label) pairs."""

    samples: Tensor  # shape: (n_positives,)
    labels: Tensor  # shape: (n_positives,)
    weights: Tensor | None  # shape: (n_positives,)


def check_features(features: Tensor | SparseRows, width: int) -> tuple[int, ...]:
    """Return the leading dimensions of features; raise if these have another width."""
    check_tensor("features", features, SparseRows)
    shape = tuple(features.shape)
    if not shape or shape[-1] != width:
        raise ValueError(f"features must have shape (..., {width}), got {shape}.")
    return shape[:-1]


def check_shape(name: str, weights: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise ValueError if there are weights, but of another shape."""
    if weights is not None:
        check_tensor(name, weights)
    if weights is not None and tuple(weights.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(weights.shape)}.")


def check_labels(
    targets: Tensor, shape: tuple[int, ...], n_labels: int, ignore_index: int
) -> None:
    """Raise ValueError if these are no label indices of samples."""
    check_tensor("targets", targets)
    if tuple(targets.shape) != shape or targets.dtype != torch.int64:
        raise ValueError(
            f"targets must be int64 label indices of shape {shape}, got "
            f"{targets.dtype} of shape {tuple(targets.shape)}."
        )
    is_label = (targets >= 0) & (targets < n_labels)
    if not bool((is_label | (targets == ignore_index)).all()):
        labels = targets[targets != ignore_index]
        raise ValueError(
            f"targets must be from 0 to {n_labels - 1}, or ignore_index="
            f"{ignore_index}, got values from {int(labels.min())} to "
            f"{int(labels.max())}."
        )


def positives_of(
    targets: Tensor, shape: tuple[int, ...], label_weight: Tensor | None
) -> Positives:
    """Return the true pairs of a dense or sparse indicator; raise if it is none.

    The samples are those of flattened leading dimensions.
    """
    check_tensor("targets", targets)
    if tuple(targets.shape) != shape:
        raise ValueError(
            f"targets of a multi-label head must be an indicator of shape {shape}, got "
            f"{tuple(targets.shape)}."
        )
    if targets.layout == torch.strided:
        targets = targets.reshape(math.prod(shape[:-1]), shape[-1])
        values = targets[targets != 0]
        samples, labels = targets.nonzero(as_tuple=True)
    elif len(shape) != 2:
        raise ValueError(
            "targets must be dense if features have more or fewer than 2 dimensions, "
            f"got {targets.layout} of shape {shape}: use targets.to_dense(), or "
            "features and targets of shapes (n, in_features) and (n, n_labels)."
        )
    else:
        coo = targets.to_sparse_coo().coalesce()
        stored = coo.values() != 0
        samples, labels = coo.indices()[:, stored]
        values = coo.values()[stored]
    if not bool((values == 1).all()):
        bad = values[values != 1][0].item()
        raise ValueError(f"targets must be 0 or 1, got a value of {bad}.")
    weights = None if label_weight is None else label_weight[labels]
    return Positives(samples, labels, weights)


def sum_by_sample(values: Tensor, samples: Tensor, n_samples: int) -> Tensor:
    """Return the sum of each sample's values, shape (n_samples,)."""
    return values.new_zeros(n_samples).index_add(0, samples, values)


def bernoulli_losses(scores: Tensor, positives: Positives) -> Tensor:
    """Return each sample's sum of binary cross-entropies, shape (n,).

    ``softplus(s)`` for all labels, which true ones replace by ``w * softplus(-s)``. No
    dense target is made.
    """
    losses = F.softplus(scores).sum(1)
    true_scores = scores[positives.samples, positives.labels]
    true_losses = F.softplus(-true_scores)
    if positives.weights is not None:
        true_losses = true_losses * positives.weights
    true_losses = true_losses - F.softplus(true_scores)
    return losses + sum_by_sample(true_losses, positives.samples, len(scores))


def softmax_losses(scores: Tensor, places: Tensor, label_smoothing: float) -> Tensor:
    """Return each sample's softmax cross-entropy, shape (n,).

    Those whose scores are -inf do not exist: none of the smoothed target is theirs.
    """
    losses = F.cross_entropy(scores, places, reduction="none")
    if not label_smoothing:
        return losses
    missing = scores == -torch.inf
    log_p = scores.log_softmax(1).masked_fill(missing, 0.0)
    of_uniform = -log_p.sum(1) / (~missing).sum(1)
    return torch.lerp(losses, of_uniform, label_smoothing)
