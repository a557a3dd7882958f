"""Linear classifiers of all labels, or in a tree of labels."""

from skmhe.scorers.linear.fit import fit_levels
from skmhe.scorers.linear.scorer import LinearScorer

__all__ = ["LinearScorer", "fit_levels"]
