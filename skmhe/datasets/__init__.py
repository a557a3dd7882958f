"""Bundled data sets for extreme classification."""

from skmhe.datasets._wordnet import load_wordnet

__all__ = ["load_wordnet"]
