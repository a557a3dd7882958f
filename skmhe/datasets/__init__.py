"""Data sets for extreme classification: bundled ones, and files of others."""

from skmhe.datasets._fetch import fetch_xmc
from skmhe.datasets._generator import make_extreme_classification
from skmhe.datasets._wordnet import load_wordnet
from skmhe.datasets._xmc import load_xmc
from skmhe.datasets._xmc_dump import dump_xmc
from skmhe.datasets._xmc_texts import load_xmc_texts

__all__ = [
    "dump_xmc",
    "fetch_xmc",
    "load_wordnet",
    "load_xmc",
    "load_xmc_texts",
    "make_extreme_classification",
]
