"""Bundled data sets for extreme label classification."""

from ._wordnet import load_wordnet

__all__ = ["load_wordnet"]
