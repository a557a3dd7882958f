"""Linear classifiers of all labels, or in a tree of labels."""

from skmhe.scorers.linear.fit import fit_levels
from skmhe.scorers.linear.scorer import LinearScorer
from skmhe.scorers.linear.shape import Work, n_tree_levels

__all__ = ["LinearScorer", "Work", "fit_levels", "n_tree_levels"]
