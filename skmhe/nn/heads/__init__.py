"""The heads: one interface for each way to score labels."""

from skmhe.nn.heads.base import Head
from skmhe.nn.heads.cascade import CascadeHead
from skmhe.nn.heads.full import FullHead
from skmhe.nn.heads.product import ProductHead
from skmhe.nn.heads.sampling import SamplingHead

__all__ = ["CascadeHead", "FullHead", "Head", "ProductHead", "SamplingHead"]
