"""Which samples of a batch have a loss, and how their losses are added up."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from torch import Tensor

IGNORE_INDEX = -100  # that of torch.nn.CrossEntropyLoss
REDUCTIONS = "none", "mean", "sum"


def check_options(
    head: Any,
    has_extra: bool,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> None:
    """Raise ValueError for options that the loss of a head does not take."""
    name = type(head).__name__
    if has_extra and not head.takes_extra_scores:
        raise ValueError(
            f"extra_scores must be None: the loss of this {name} does not score the "
            "same labels for all samples. Use FullHead or "
            "SamplingHead(pool_labels='batch')."
        )
    if not isinstance(ignore_index, int):
        raise ValueError(
            f"ignore_index must be an integer, got {ignore_index!r}. Use the default, "
            f"{IGNORE_INDEX}, to ignore none of the labels."
        )
    if head.multilabel and ignore_index != IGNORE_INDEX:
        raise ValueError(
            f"ignore_index must be the default, {IGNORE_INDEX}, for a multi-label "
            f"head, got {ignore_index}: its targets are an indicator, without label "
            "indices. Leave out samples, or give them a sample_weight of 0."
        )
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"reduction must be one of {', '.join(map(repr, REDUCTIONS))}, got "
            f"{reduction!r}."
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}.")
    if label_smoothing and (has_extra or not head.takes_label_smoothing):
        raise ValueError(
            f"label_smoothing must be 0 for this {name}"
            f"{' with extra_scores' * has_extra}, got {label_smoothing}. Only softmax "
            "cross-entropies over all alternatives can be smoothed. Use a single-label "
            "FullHead without a margin, ProductHead(rank=1) or "
            "CascadeHead(hard_negatives=False), without extra_scores."
        )


class Rows(NamedTuple):
    """The samples that have a loss, as rows.

    Leading dimensions are flattened, and ignored samples are left out.
    """

    leading: tuple[int, ...]  # shape of the batch, such as (batch, time)
    kept: Tensor | None = None  # which samples have a loss, sorted; None for all

    @classmethod
    def of_targets(cls, targets: Tensor, ignore_index: int) -> Self:
        """Return the samples whose targets are not ignored."""
        is_kept = targets.flatten() != ignore_index
        if bool(is_kept.all()):
            return cls(tuple(targets.shape))
        return cls(tuple(targets.shape), is_kept.nonzero().squeeze(1))

    @property
    def n_samples(self) -> int:
        """Number of all samples, ignored ones included."""
        return math.prod(self.leading)

    def take(self, values: Tensor) -> Tensor:
        """Return the rows of values (*leading, ...), shape (n_kept, ...)."""
        rest = values.shape[len(self.leading) :]
        values = values.reshape(self.n_samples, *rest)
        return values if self.kept is None else values[self.kept]

    def of(
        self, function: Callable[[Tensor], Tensor] | None
    ) -> Callable[[Tensor], Tensor] | None:
        """Return a function that gives these rows of what `function` gives."""
        if function is None:
            return None
        return lambda labels: self.take(function(labels))

    def reduce(self, losses: Tensor, reduction: str) -> Tensor:
        """Return the mean or sum of losses (n_kept,), or put them back in place."""
        if reduction == "mean":
            return losses.mean()
        if reduction == "sum":
            return losses.sum()
        if self.kept is not None:
            losses = losses.new_zeros(self.n_samples).index_copy(0, self.kept, losses)
        return losses.view(self.leading)
