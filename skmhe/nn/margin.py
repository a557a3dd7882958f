"""Margins on angles, for training a softmax of cosines."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Lower bound of 1 - cos^2, below which the sine has no useful gradient.
SMALLEST_SQUARE = 1e-7


@dataclass(frozen=True)
class Margin:
    """A margin by which the true label has to lead the others.

    Features and the labels' weights are scaled to unit length, and the score of a
    label is ``scale * cos(theta)``, without a bias. In training, the score of the true
    label is lowered to:

    - "arcface": ``scale * cos(theta + margin)`` [1]_; if ``theta > pi - margin``, where
      this would rise again, ``scale * (cos(theta) - margin * sin(margin))``.
    - "cosface": ``scale * (cos(theta) - margin)`` [2]_.

    Parameters
    ----------
    kind : {"arcface", "cosface"}
        What the margin is added to or subtracted from: the angle or the cosine.
    margin : float, default=0.5
        For "arcface" an angle in radians, from 0 (no margin) to pi / 2; for "cosface" a
        difference of cosines, from 0 to 2.
    scale : float, default=64.0
        Factor of the cosines.

    References
    ----------
    .. [1] Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face
       Recognition", CVPR 2019, equation 3.
    .. [2] Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face
       Recognition", CVPR 2018, equation 4.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import FullHead, Margin
    >>> head = FullHead(4, n_labels=6, margin=Margin("arcface", 0.5, scale=16.0))
    >>> loss = head.loss(torch.ones(2, 4), torch.tensor([0, 5]))
    """

    kind: str
    margin: float = 0.5
    scale: float = 64.0


# With more, the score of "arcface" could jump up where theta exceeds pi - margin.
LARGEST_MARGINS = {"arcface": math.pi / 2, "cosface": 2.0}


def check_margin(margin: Margin | None, multilabel: bool) -> None:
    """Raise ValueError for a margin that has no meaning."""
    if margin is None:
        return
    kinds = ", ".join(map(repr, LARGEST_MARGINS))
    if margin.kind not in LARGEST_MARGINS:
        raise ValueError(f"margin.kind must be one of {kinds}, got {margin.kind!r}.")
    largest = LARGEST_MARGINS[margin.kind]
    if not 0 <= margin.margin <= largest:
        raise ValueError(
            f"margin.margin must be from 0 to {largest:.4g} for {margin.kind!r}, got "
            f"{margin.margin}."
        )
    if not 0 < margin.scale < math.inf:
        raise ValueError(f"margin.scale must be above 0, got {margin.scale}.")
    if multilabel:
        raise ValueError(
            f"margin={margin} cannot be used by a multi-label head: it separates "
            "the one true label from all others. Use margin=None."
        )


def cosines(features: Tensor, rows: Tensor) -> Tensor:
    """Return the cosines of features and rows of weights, in float32 at least.

    Rounded products can be beyond 1, where the sine would be NaN.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    features = F.normalize(features.to(wide), dim=1)
    rows = F.normalize(rows.to(wide), dim=1)
    # shape: (n, n_rows)
    return F.linear(features, rows).to(wide).clamp(-1, 1)


def with_margin(cosine: Tensor, true: Tensor | None, margin: Margin) -> Tensor:
    """Return the scores of cosines (n, n_rows): scaled cosines.

    In training, those of each sample's true row, shape (n,), are lowered.
    """
    if true is None:
        return margin.scale * cosine
    own = cosine.gather(1, true[:, None])
    if margin.kind == "cosface":
        lowered = own - margin.margin
    else:
        sine = (1 - own.square()).clamp(min=SMALLEST_SQUARE).sqrt()
        turned = own * math.cos(margin.margin) - sine * math.sin(margin.margin)
        behind = own - margin.margin * math.sin(margin.margin)
        lowered = torch.where(own > -math.cos(margin.margin), turned, behind)
    return margin.scale * cosine.scatter(1, true[:, None], lowered)
