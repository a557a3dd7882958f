"""Which nodes of a tree are near samples: those that its classifiers favor."""

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.nn.search import FlatSearch
from skmhe.scorers.batch import Rows, row_chunks
from skmhe.scorers.linear.scorer import LinearScorer, LinearScores
from skmhe.scorers.linear.tables import Level


def most_probable(
    levels: list[Level], X: Rows, n_nodes: int, width: int
) -> sp.csr_array:
    """Return the indicator of each sample's `width` best nodes of the last level.

    As a beam of that width finds them; of `n_nodes` that exist, in the levels that have
    been fitted so far.
    """
    scorer = LinearScorer(levels, n_nodes, FlatSearch(True, n_nodes), width, 1.0)
    width = min(width, n_nodes)
    best = np.empty((X.shape[0], width), np.int32)
    for rows in row_chunks(X.shape[0], width * levels[-1].intercepts.shape[1]):
        found = LinearScores(scorer, X[rows], torch.device("cpu")).found()
        places = found[1].topk(width, dim=1).indices
        best[rows] = found[0].gather(1, places).numpy()
    ones = np.ones(best.size, np.float32)
    starts = np.arange(0, best.size + 1, width)
    return sp.csr_array((ones, best.ravel(), starts), shape=(X.shape[0], n_nodes))
