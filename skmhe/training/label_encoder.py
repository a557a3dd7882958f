"""The label encoder's part of training: shortlists, pools and its loss."""

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.nn import pick_some_label_loss
from skmhe.nn.heads.base import Features
from skmhe.scorers.batch import Rows, row_chunks, rows_to_tensor, to_tensor
from skmhe.scorers.label_encoder import label_table
from skmhe.scorers.network import Network
from skmhe.training.data import Targets
from skmhe.training.pools import (
    PoolPlan,
    draw_pool,
    neighbor_order,
    pairs_in_pool,
)
from skmhe.training.shortlists import SEARCHES

# Samples of a run of neighbors: a batch holds several runs.
RUN = 32


class LabelTraining:
    """What is kept from step to step.

    Features of the labels by position, how to draw pools, and the numbers of training
    samples of each label and in all.
    """

    def __init__(
        self, Z: Rows, plan: PoolPlan, counts: np.ndarray, n_samples: int
    ) -> None:
        self.Z, self.plan, self.counts = Z, plan, counts
        self.frequencies = counts / n_samples
        self.shortlists: np.ndarray | None = None

    def start_epoch(self, network: Network, X: Rows, epoch: int) -> None:
        """Find the labels that are near each sample anew, every few epochs.

        And whenever there are other samples. Before the first epoch, nothing is known
        that could tell near from far.
        """
        plan = self.plan
        wanted = plan.n_shortlisted or plan.neighbor_batches
        is_due = (epoch - 1) % plan.shortlist_refresh == 0
        if self.shortlists is not None:
            is_due = is_due or len(self.shortlists) != X.shape[0]
        if wanted and epoch and is_due:
            k = min(plan.shortlist_size, self.Z.shape[0])
            self.shortlists = nearest_labels(network, X, self.Z, k, plan.search)

    def multiply_adds(self, network: Network, n_samples: int, n_stored: float) -> float:
        """Estimate those of a batch: two embeddings, and the product of these."""
        n_pool, dim = self.plan.pool_size, network.spec.hidden_layer_sizes[0]
        n_stored_of_label = self.Z.size / self.Z.shape[0]
        of_samples = n_samples * (n_stored + dim + n_pool)
        return dim * (of_samples + n_pool * (n_stored_of_label + dim))

    def order(self, n_samples: int, rng: np.random.RandomState) -> np.ndarray:
        """Return the order of an epoch's samples."""
        if self.plan.neighbor_batches and self.shortlists is not None:
            return neighbor_order(self.shortlists[:, 0], RUN, rng)
        return rng.permutation(n_samples)

    def loss(
        self,
        network: Network,
        inputs: Features,
        y: Targets,
        sample_weight: Tensor | None,
        rows: np.ndarray,
        rng: np.random.RandomState,
        label_weight: Tensor | None,
    ) -> Tensor:
        """Return the mean pick-some-label loss of a batch.

        `rows` tells which of the training samples these are, and `rng` draws the pool.
        """
        shortlists = None if self.shortlists is None else self.shortlists[rows]
        pool = draw_pool(self.plan, y, shortlists, self.counts, rng)
        samples, places = map(torch.from_numpy, pairs_in_pool(y, pool))
        assert network.encoder is not None
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

    def _log_inclusion(self, pool: np.ndarray, y: Targets) -> np.ndarray:
        """Return log P(label in the pool) for labels that a sample does not have.

        Labels of the batch's other samples are in it, and a share of all labels. One
        label's scores need it, or frequent labels, which nearly every pool holds, are
        too low. Where there are several, the classifier's scores know how frequent they
        are, and on held-out samples the sum is better without.
        """
        n_labels, n = np.count_nonzero(self.counts), y.shape[0]
        if len(pool) == n_labels or sp.issparse(y):
            return np.zeros(len(pool), np.float32)
        share = 1 - np.isin(pool, y).sum() / len(pool)
        share *= len(pool) / n_labels
        others = (1 - self.frequencies[pool]) ** (n - 1)
        least = 1 / (n_labels + n)
        inclusion = 1 - (1 - share) * others
        return np.log(np.maximum(inclusion, least)).astype(np.float32)


@torch.inference_mode()
def nearest_labels(
    network: Network, X: Rows, Z: Rows, k: int, search: str
) -> np.ndarray:
    """Return the k labels nearest to each sample, by the encoder, nearest first."""
    network.eval()
    find = SEARCHES[search](label_table(network, Z))
    result = np.empty((X.shape[0], k), np.int64)
    for rows in row_chunks(X.shape[0], Z.shape[0]):
        samples = network.embed_samples(rows_to_tensor(X[rows], network.device))
        result[rows] = find(samples, k)
    return result
