"""The label encoder's part of training: shortlists, pools and its loss."""

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.nn import pick_some_label_loss
from skmhe.scorers.batch import Batch, Rows, row_chunks, to_tensor
from skmhe.scorers.label_encoder import embed_all_labels
from skmhe.scorers.network import Network
from skmhe.training.data import Targets, TrainingData
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
    samples of each label and in all. With `has_features`, Z is what the network that
    the encoder maps to embeddings, a frozen one, made of the labels.
    """

    def __init__(
        self,
        Z: Rows,
        plan: PoolPlan,
        counts: np.ndarray,
        n_samples: int,
        has_features: bool = False,
    ) -> None:
        self.Z, self.plan, self.counts = Z, plan, counts
        self.has_features = has_features
        self.frequencies = counts / n_samples
        self.shortlists: np.ndarray | None = None

    def start_epoch(self, network: Network, data: TrainingData, epoch: int) -> None:
        """Find the labels that are near each sample anew, every few epochs.

        And whenever there are other samples. Before the first epoch, nothing is known
        that could tell near from far.
        """
        plan = self.plan
        wanted = plan.n_shortlisted or plan.neighbor_batches
        is_due = (epoch - 1) % plan.shortlist_refresh == 0
        if self.shortlists is not None:
            is_due = is_due or len(self.shortlists) != data.X.shape[0]
        if wanted and epoch and is_due:
            self.shortlists = self.nearest(network, data)

    @torch.inference_mode()
    def embeddings(self, network: Network) -> Tensor:
        """Return those of all labels, shape (n_labels, dim)."""
        network.eval()
        return embed_all_labels(network, self.Z, self.has_features)

    @torch.inference_mode()
    def nearest(self, network: Network, data: TrainingData) -> np.ndarray:
        """Return the labels nearest to each sample, by the encoder, nearest first."""
        assert network.encoder is not None
        k = min(self.plan.shortlist_size, self.Z.shape[0])
        find = SEARCHES[self.plan.search](self.embeddings(network))
        result = np.empty((data.X.shape[0], k), np.int64)
        for rows in row_chunks(data.X.shape[0], self.Z.shape[0]):
            batch = Batch(data.X[rows], network.device)
            result[rows] = find(network.embed_samples(batch), k)
        return result

    def multiply_adds(self, network: Network, n_samples: int, n_stored: float) -> float:
        """Estimate those of a batch: two embeddings, and the product of these."""
        assert network.encoder is not None
        n_pool, dim = self.plan.pool_size, network.encoder.sample_map.in_features
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
        batch: Batch,
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
            network.embed_samples(batch),
            network.embed_labels(self.Z[pool], self.has_features),
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
