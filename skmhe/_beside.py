"""What stands beside the network: linear classifiers, and centroids."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe._centroids import Centroids, fit_centroids
from skmhe._linear import fit_levels
from skmhe._newton import N_NEWTON
from skmhe._rows import unit_rows
from skmhe._storage import round_to_half

__all__ = ["N_NEWTON", "Beside", "fit_beside"]


class Beside(NamedTuple):
    """What is put beside the network, each None if it is not.

    Centroids are never without linear classifiers.
    """

    linear: list | None = None  # levels of linear classifiers
    centroids: Centroids | None = None
    label_features: np.ndarray | sp.csr_array | None = None  # by position
    n_linear_labels: int = 0  # of which there are linear classifiers, the first ones
    own_label_score: float = 0.0  # of labels that have a sample's features


def fit_beside(data, sizes, C, prior, label_weight, is_multilabel, has_centroids):
    """Fit linear classifiers and, if wanted, centroids.

    Parameters
    ----------
    data : TrainingData
        Samples and an indicator of their labels, by position.
    sizes : sequence of int
        Numbers of children of the nodes of each level, see `fit_levels`.
    C, prior : float
        See `fit_levels`.
    label_weight : ndarray of shape (n_labels,)
        Weights of the labels, or None: those of their positive samples or, of one
        label a sample, of the samples in all problems.
    is_multilabel : bool
        Whether a sample may have several labels.
    has_centroids : bool
        Whether to fit centroids.

    Returns
    -------
    beside : Beside
        For predictions.
    centroids : TrainingCentroids or None
        To train the network with.
    """
    samples, centroids = unit_rows(data.X), None
    if has_centroids:
        Y = data.y
        if data.sample_weight is not None:
            Y = sp.csr_array(sp.diags_array(data.sample_weight) @ Y)
        centroids = fit_centroids(samples, Y)
    weight = data.sample_weight
    if label_weight is not None and not is_multilabel:
        # Not in centroids, from which a sample is left out with its own weight.
        own = label_weight[data.y.indices]
        weight, label_weight = own if weight is None else own * weight, None
    linear = fit_levels(
        samples,
        data.y,
        sizes,
        C,
        prior,
        weight,
        label_weight,
        n_threads=torch.get_num_threads(),
    )
    round_to_half(linear)
    return Beside(linear, centroids and centroids.for_predictions()), centroids
