"""Data sets for extreme classification: bundled ones, and files of others."""

from skmhe.datasets._wordnet import load_wordnet
from skmhe.datasets._xmc import load_xmc
from skmhe.datasets._xmc_dump import dump_xmc

__all__ = ["dump_xmc", "load_wordnet", "load_xmc"]
