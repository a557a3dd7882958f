"""Torch modules: heads for very many labels, and a backbone for sparse input.

All of them work in a plain torch loop, on any backbone.
"""

from skmhe.nn.backbone import Backbone, InputLayer
from skmhe.nn.dual_encoder import DualEncoder, pick_some_label_loss
from skmhe.nn.heads import (
    CascadeHead,
    FullHead,
    Head,
    ProductHead,
    SamplingHead,
)
from skmhe.nn.margin import Margin
from skmhe.nn.optim import RowAdamW
from skmhe.nn.sparse_rows import SparseRows

__all__ = [
    "Backbone",
    "CascadeHead",
    "DualEncoder",
    "FullHead",
    "Head",
    "InputLayer",
    "Margin",
    "ProductHead",
    "RowAdamW",
    "SamplingHead",
    "SparseRows",
    "pick_some_label_loss",
]
