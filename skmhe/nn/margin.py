"""Margins on angles: what the softmax of normalised features is trained with."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

# What 1 - cos^2 is at least: where it is less, the sine has no useful gradient.
SMALLEST_SQUARE = 1e-7


class Margin(NamedTuple):
    """A margin that the true label's angle must keep from the others'.

    Features and the labels' weights are scaled to unit length, and the score of a
    label is ``scale * cos(theta)``, without a bias. In training, the true label's
    score is lower:

    - "arcface": ``scale * cos(theta + margin)`` [1]_; beyond ``theta = pi - margin``,
      where this would rise again, ``scale * (cos(theta) - margin * sin(margin))``.
    - "cosface": ``scale * (cos(theta) - margin)`` [2]_.

    Parameters
    ----------
    kind : {"arcface", "cosface"}
        Which margin.
    margin : float, default=0.5
        The margin: for "arcface" an angle, from 0 (none) to pi / 2, in radians; for
        "cosface" a difference of cosines, from 0 to 2.
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


# Beyond a right angle, what stands for "arcface" behind the turn would be higher than
# what is before it.
LARGEST_MARGINS = {"arcface": math.pi / 2, "cosface": 2.0}


def check_margin(margin, multilabel):
    """Raise ValueError for a margin that has no meaning."""
    if margin is None:
        return
    kinds = ", ".join(map(repr, LARGEST_MARGINS))
    if margin.kind not in LARGEST_MARGINS:
        raise ValueError(f"margin.kind must be one of {kinds}, got {margin.kind!r}.")
    largest = LARGEST_MARGINS[margin.kind]
    if not 0 <= margin.margin <= largest:
        raise ValueError(
            f"margin.margin must be in 0..{largest:.4g} for {margin.kind!r}, got "
            f"{margin.margin}."
        )
    if not 0 < margin.scale < math.inf:
        raise ValueError(f"margin.scale must be above 0, got {margin.scale}.")
    if multilabel:
        raise ValueError(
            f"margin={tuple(margin)} is for one label a sample: it tells the true "
            "label from all others. Use margin=None for a multi-label head."
        )


def cosines(features, rows):
    """Return the cosines of features and rows of weights, in float32 at least.

    Rounded products can be beyond 1, where the sine would be NaN.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    features = F.normalize(features.to(wide), dim=1)
    rows = F.normalize(rows.to(wide), dim=1)
    # shape: (n, n_rows)
    return F.linear(features, rows).to(wide).clamp(-1, 1)


def with_margin(cosine, true, margin):
    """Return the scores to train with, of cosines (n, n_rows).

    Parameters
    ----------
    cosine : Tensor of shape (n, n_rows)
        What `cosines` gave.
    true : Tensor of int64, of shape (n,)
        Row of each sample's label.
    margin : Margin
        The margin.
    """
    own = cosine.gather(1, true[:, None])
    if margin.kind == "cosface":
        lowered = own - margin.margin
    else:
        sine = (1 - own.square()).clamp(min=SMALLEST_SQUARE).sqrt()
        turned = own * math.cos(margin.margin) - sine * math.sin(margin.margin)
        behind = own - margin.margin * math.sin(margin.margin)
        lowered = torch.where(own > -math.cos(margin.margin), turned, behind)
    return margin.scale * cosine.scatter(1, true[:, None], lowered)
