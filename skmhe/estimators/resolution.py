"""From parameters to what they stand for: the strategy, and the setting it makes."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from skmhe.estimators import strategies
from skmhe.estimators.parameters import Backbone, as_backbone
from skmhe.estimators.setting import Setting
from skmhe.estimators.short_forms import BASES, long_form
from skmhe.estimators.strategies import Cascade, Full, Sampling, Strategy
from skmhe.labels.codec import check_head_sizes

# The share of samples that early_stopping=True holds out.
VALIDATION_FRACTION = 0.1


class Effort(NamedTuple):
    """How much the network is trained: what "auto" stands for in its parameters.

    A pass over more samples takes longer and teaches more: the number of samples seen
    in training grows with the root of theirs. Chosen on held-out samples.
    """

    width: int  # of the hidden layer
    root_epochs: float  # epochs times the root of the number of samples
    epochs: tuple[int, int]  # least and most

    def max_iter(self, n_samples: int) -> int:
        """Return the number of epochs."""
        least, most = self.epochs
        return min(max(round(self.root_epochs / n_samples**0.5), least), most)


EFFORTS = {
    "fast": Effort(128, 500.0, (1, 10)),
    "balanced": Effort(256, 1000.0, (2, 20)),
    "accurate": Effort(512, 2500.0, (5, 50)),
}


def resolve_strategy(
    estimator: Any, n_labels: int, n_tree_levels: int = 1
) -> tuple[Strategy, int | None]:
    """Return the strategy, and the number of heads, with "auto" resolved.

    The number is None if `head_sizes` has the lengths, which must be possible for this
    number of labels. `n_tree_levels` is that of levels that linear classifiers should
    have, 1 where there can be none. Whether all of it fits together is what
    `check_contradictions` tells.
    """
    n_heads, head_sizes = estimator.n_heads, estimator.head_sizes
    resolved = long_form(estimator, "strategy")
    n_given = None if isinstance(n_heads, str) else int(n_heads)
    if head_sizes is not None:
        sizes = check_head_sizes(head_sizes, n_labels)
        if max(sizes) > n_labels:
            raise ValueError(
                f"head_sizes={sizes} has a head of {max(sizes)}, longer than the "
                f"number of labels, {n_labels}: most of its codes would name no label. "
                "Make it shorter, or leave head_sizes=None to derive lengths from "
                "n_heads."
            )
        n_given = len(sizes)
    if resolved is None:
        resolved = _auto_strategy(estimator.model, n_given, n_labels, n_tree_levels)
    if head_sizes is not None:
        return resolved, None
    n_heads = resolved.max_heads or 2
    if resolved.has_beam and estimator.model != "network":
        # The nodes are those of the linear classifiers.
        n_heads = max(n_heads, n_tree_levels)
    return resolved, n_given or n_heads


def _auto_strategy(
    model: str, n_heads: int | None, n_labels: int, n_tree_levels: int
) -> Strategy:
    """Return the strategy for a number of heads, if it is given, or of labels."""
    if n_heads is not None:
        return Full() if n_heads == 1 else Cascade()
    if model == "linear":
        return Full() if n_tree_levels == 1 else Cascade()
    if n_labels <= strategies.MAX_FULL_LABELS:
        return Full()
    if n_labels <= strategies.MAX_SAMPLED_LABELS:
        return Sampling()
    return Cascade()


def make_setting(
    estimator: BaseEstimator,
    strategy: Strategy,
    **facts: Any,
) -> Setting:
    """Return what decides which of an estimator's parameters are used.

    `strategy` is what `resolve_strategy` returned; see `Setting` for the rest.
    """
    values: dict[str, Any] = estimator.get_params(deep=False)
    for parent in BASES:
        value = strategy if parent == "strategy" else long_form(estimator, parent)
        values[parent] = value
        if value is not None:
            nested = value.get_params(deep=False)
            values |= {f"{parent}__{name}": inner for name, inner in nested.items()}
        if isinstance(value, Backbone):
            values[parent] = value.plain()
    return Setting(values, strategy, **facts)


def takes_any_labels(estimator: Any) -> bool:
    """Tell whether a user's network may make features of labels."""
    own = as_backbone(long_form(estimator, "label_encoder").backbone)
    return estimator.backbone is not None or isinstance(own, Backbone)


def resolve_hidden_layer_sizes(
    sizes: str | int | Sequence[int], effort: str
) -> tuple[int, ...]:
    """Return the widths of the hidden layers."""
    if isinstance(sizes, str):
        return (EFFORTS[effort].width,)
    widths: Any = (sizes,) if np.ndim(sizes) == 0 else tuple(sizes)  # type: ignore[arg-type]
    if any(
        not isinstance(width, Integral) or isinstance(width, bool) or width < 1
        for width in widths
    ):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must hold positive integers, the width of "
            "each hidden layer; () for heads that are linear in X."
        )
    return tuple(int(width) for width in widths)


def resolve_max_iter(max_iter: str | int, effort: str, n_samples: int) -> int:
    """Return the number of epochs."""
    if isinstance(max_iter, str):
        return EFFORTS[effort].max_iter(n_samples)
    return int(max_iter)


def resolve_validation_fraction(early_stopping: bool | float) -> float | None:
    """Return the share of samples that early stopping holds out, None for none."""
    if isinstance(early_stopping, bool | np.bool_):
        return VALIDATION_FRACTION if early_stopping else None
    return float(early_stopping)


def resolve_dropout(dropout: float | Sequence[float]) -> tuple[float, float]:
    """Return the shares of input features and of hidden outputs that are dropped."""
    shares: Any = (dropout, dropout) if np.ndim(dropout) == 0 else tuple(dropout)  # type: ignore[arg-type]
    valid = all(isinstance(share, Real) and 0 <= float(share) < 1 for share in shares)
    if len(shares) != 2 or not valid:
        raise ValueError(
            f"dropout={dropout!r} must be a share in [0, 1), or a pair of them: that "
            "of the input features, and that of the hidden layers' outputs."
        )
    return float(shares[0]), float(shares[1])
