"""The label encoder's part of training: shortlists, pools and its loss."""

import numpy as np
import scipy.sparse as sp
import torch

from skmhe._decoding import row_chunks
from skmhe._network import rows_to_tensor, to_tensor
from skmhe._pools import (
    draw_pool,
    neighbour_order,
    pairs_in_pool,
    true_pairs,
)
from skmhe._search import SEARCHES
from skmhe.nn import pick_some_label_loss

# Samples of a run of neighbours: a batch holds several runs.
RUN = 32


class LabelTraining:
    """What is kept from step to step.

    Parameters
    ----------
    Z : {ndarray, CSR} of shape (n_labels, n_label_features)
        Features of the labels, by position.
    plan : PoolPlan
        How to draw pools.
    counts : ndarray of shape (n_labels,)
        Number of training samples of each label.
    n_samples : int
        Number of training samples.
    """

    def __init__(self, Z, plan, counts, n_samples):
        self.Z, self.plan, self.counts = Z, plan, counts
        self.frequencies = counts / n_samples
        self.shortlists = None

    def start_epoch(self, network, X, epoch):
        """Find the labels that are near each sample anew, every few epochs.

        Before the first epoch, nothing is known that could tell near from far.
        """
        plan = self.plan
        wanted = plan.n_hard_negatives or plan.neighbor_batches
        if wanted and epoch and (epoch - 1) % plan.shortlist_refresh == 0:
            k = min(plan.shortlist_size, self.Z.shape[0])
            self.shortlists = nearest_labels(network, X, self.Z, k, plan.search)

    def order(self, n_samples, rng):
        """Return the order of an epoch's samples."""
        if self.plan.neighbor_batches and self.shortlists is not None:
            return neighbour_order(self.shortlists[:, 0], RUN, rng)
        return rng.permutation(n_samples)

    def loss(self, network, inputs, y, sample_weight, *, rows, rng, label_weight):
        """Return the mean pick-some-label loss of a batch.

        Parameters
        ----------
        network : Network
            In training.
        inputs : Tensor or SparseRows of shape (n, n_features)
            Samples.
        y : ndarray of shape (n,) or CSR of shape (n, n_labels)
            Targets.
        sample_weight : Tensor of shape (n,) or None
            Weights of the samples.
        rows : ndarray of shape (n,)
            Which of the training samples these are.
        rng : RandomState
            Draws the pool.
        label_weight : Tensor of shape (n_labels,) or None
            Weights of the labels.
        """
        shortlists = None if self.shortlists is None else self.shortlists[rows]
        pool = draw_pool(self.plan, y, shortlists, self.counts, rng)
        samples, places = map(torch.from_numpy, pairs_in_pool(y, pool))
        scores = network.encoder(
            network.embed_samples(inputs), network.embed_labels(self.Z[pool])
        )
        scores = scores - to_tensor(self._log_inclusion(pool, y)).to(scores.device)
        samples, places = samples.to(scores.device), places.to(scores.device)
        weights = None
        if label_weight is not None:
            weights = label_weight[to_tensor(pool).to(scores.device)[places]]
        losses = pick_some_label_loss(scores, samples, places, weights)
        if sample_weight is not None:
            losses = losses * sample_weight
        return losses.mean()

    def _log_inclusion(self, pool, y):
        """Return log P(label in the pool) for labels that a sample does not have.

        Labels of the batch's other samples are in it, and a share of all labels. One
        label's scores need it, or frequent labels, which nearly every pool holds, are
        too low. Of several labels, the classifier's scores know how frequent they
        are, and on held-out samples the sum is better without.
        """
        n_labels, n = np.count_nonzero(self.counts), y.shape[0]
        if len(pool) == n_labels or sp.issparse(y):
            return np.zeros(len(pool), np.float32)
        _, labels = true_pairs(y)
        share = 1 - np.isin(pool, labels).sum() / len(pool)
        share *= len(pool) / n_labels
        others = (1 - self.frequencies[pool]) ** (n - 1)
        least = 1 / (n_labels + n)
        inclusion = 1 - (1 - share) * others
        return np.log(np.maximum(inclusion, least)).astype(np.float32)


@torch.inference_mode()
def nearest_labels(network, X, Z, k, search):
    """Return the k labels nearest to each sample, by the encoder, nearest first.

    Parameters
    ----------
    network : Network
        The network; put into evaluation mode.
    X : {ndarray, CSR} of shape (n, n_features)
        Samples.
    Z : {ndarray, CSR} of shape (n_labels, n_label_features)
        Features of the labels.
    k : int
        Number of labels.
    search : {"exact", "approximate"}
        How to find them.

    Returns
    -------
    ndarray of int64, of shape (n, k)
        Positions of labels.
    """
    network.eval()
    device = next(network.parameters()).device
    find = SEARCHES[search](network.label_table(Z, keep=False))
    result = np.empty((X.shape[0], k), np.int64)
    for rows in row_chunks(X.shape[0], Z.shape[0]):
        samples = network.embed_samples(rows_to_tensor(X[rows], device))
        result[rows] = find(samples, k)
    return result
