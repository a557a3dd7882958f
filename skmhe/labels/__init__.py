"""Labels: their order, their codes, and clusters of similar ones."""

from skmhe.labels.codec import LabelCodec

__all__ = ["LabelCodec"]
