"""Linear classifiers of all labels, or in a tree of labels."""

from skmhe.scorers.linear.fit import fit_levels
from skmhe.scorers.linear.newton import N_NEWTON
from skmhe.scorers.linear.scorer import LinearScorer

__all__ = ["N_NEWTON", "LinearScorer", "fit_levels"]
