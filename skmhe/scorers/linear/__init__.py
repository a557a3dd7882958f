"""Linear classifiers of all labels, or in a tree of labels."""

from skmhe.scorers.linear.fit import fit_levels
from skmhe.scorers.linear.scaling import Scaling, fit_scaling
from skmhe.scorers.linear.scorer import LinearScorer
from skmhe.scorers.linear.shape import Work, n_tree_levels
from skmhe.scorers.linear.tables import label_weights

__all__ = [
    "LinearScorer",
    "Scaling",
    "Work",
    "fit_levels",
    "fit_scaling",
    "label_weights",
    "n_tree_levels",
]
