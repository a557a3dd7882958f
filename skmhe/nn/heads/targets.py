"""True labels of a batch: their checks, and the losses of multi-label heads."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Positives(NamedTuple):
    """True labels of multi-label samples, as (sample, label) pairs."""

    samples: Tensor  # shape: (n_positives,)
    labels: Tensor  # shape: (n_positives,)
    weights: Tensor | None  # shape: (n_positives,)


def check_vector(name: str, vector: Tensor | None, length: int) -> None:
    """Raise ValueError if there is a vector, but of another length."""
    if vector is not None and tuple(vector.shape) != (length,):
        raise ValueError(
            f"{name} must have shape ({length},), got {tuple(vector.shape)}."
        )


def check_labels(targets: Tensor, n_samples: int, n_labels: int) -> None:
    """Raise ValueError if these are no label indices of samples."""
    if targets.shape != (n_samples,) or targets.dtype != torch.int64:
        raise ValueError(
            f"targets must be int64 label indices of shape ({n_samples},), got "
            f"{targets.dtype} of shape {tuple(targets.shape)}."
        )
    if n_samples and not (targets.min() >= 0 and targets.max() < n_labels):
        raise ValueError(
            f"targets must be from 0 to {n_labels - 1}, got values from "
            f"{int(targets.min())} to {int(targets.max())}."
        )


def positives_of(
    targets: Tensor, shape: tuple[int, int], label_weight: Tensor | None
) -> Positives:
    """Return the true pairs of a dense or sparse indicator; raise if it is none."""
    if tuple(targets.shape) != shape:
        raise ValueError(
            f"targets of a multi-label head must be an indicator of shape {shape}, got "
            f"{tuple(targets.shape)}."
        )
    if targets.layout == torch.strided:
        values = targets[targets != 0]
        samples, labels = targets.nonzero(as_tuple=True)
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
