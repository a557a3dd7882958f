"""Scores of the label encoder: cosines of embedded samples and embedded labels."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skmhe.nn.products import grouped_linear
from skmhe.nn.scores import Search
from skmhe.scorers.batch import (
    Batch,
    Rows,
    add_entries,
    comparable_rows,
    take_rows,
    to_tensor,
)
from skmhe.scorers.combination import Scorer, ScorerWeights
from skmhe.scorers.network import Network
from skmhe.scorers.own_labels import own_labels
from skmhe.scorers.storage import compacted, restored

# Labels that are embedded at a time.
LABELS_PER_CHUNK = 2**14


@torch.no_grad()
def embed_all_labels(network: Network, Z: Rows, has_features: bool = False) -> Tensor:
    """Return the embeddings of labels, chunk by chunk, shape (n_labels, dim)."""
    parts = [
        network.embed_labels(Z[start : start + LABELS_PER_CHUNK], has_features)
        for start in range(0, Z.shape[0], LABELS_PER_CHUNK)
    ]
    return torch.cat(parts)


class LabelTable:
    """What a user's network makes of labels: made when it is asked for, and kept."""

    def __init__(self, known: np.ndarray | None = None) -> None:
        self.known = known  # of the first labels; (n_known, dim)

    def __getstate__(self) -> dict[str, Any]:
        return compacted(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(restored(state))

    def embeddings(self, network: Network, Z: Rows) -> Tensor:
        """Return those of all labels, shape (n_labels, dim)."""
        known = self.known
        if known is None or len(known) < Z.shape[0]:
            n_known = 0 if known is None else len(known)
            rest = embed_all_labels(network, Z[n_known:]).cpu().numpy()
            self.known = rest if known is None else np.concatenate([known, rest])
            known = self.known
        return to_tensor(known).to(network.device)


class LabelEncoderScorer(Scorer):
    """Scaled cosines of embedded samples and embedded labels.

    The network is in evaluation mode. Z has the features of all labels, those that came
    later last; `own_score` is added to the score of a label whose features are those of
    the sample. `embeddings` are those of all labels, if they are known already.

    `weights` are those of cosines and own scores where labels are searched.
    """

    part = "network"

    def __init__(
        self,
        network: Network,
        Z: Rows,
        search: Search,
        own_score: float = 0.0,
        weights: ScorerWeights = ScorerWeights(),  # noqa: B008, a tuple
        embeddings: Tensor | None = None,
    ) -> None:
        assert network.encoder is not None and network.spec.encoder is not None
        self.network, self.own_score = network, own_score
        self.weight, self.own_weight = weights.label_encoder, weights.own_labels
        self.own_rows: Rows | None = None
        if own_score and network.spec.encoder.is_shared:
            self.own_rows = comparable_rows(Z)
        # Of a tree, a group holds the children of a node above the labels.
        self.group_size, self.n_labels = search.group_size, search.n_labels
        self.last_level = search.n_levels - 1
        if embeddings is None:
            embeddings = embed_all_labels(network, Z)
        self.whole_table = embeddings * network.encoder.log_scale.detach().exp()
        self.table = self.whole_table[: self.n_labels]
        self.scores_by_features = len(self.whole_table) > self.n_labels
        has_weight = bool(self.weight or (own_score and self.own_weight))
        self.scores_labels = self.can_steer = has_weight
        # With one label per sample, the best label may be found by the encoder alone.
        self.needs_all_labels = has_weight and not search.multilabel

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of an embedding, and of its products with all labels."""
        return self.table.shape[1] * (n_stored + sum(self.whole_table.shape))

    def bind(self, batch: Batch) -> "LabelEncoderScores":
        """Return the scores of a batch."""
        samples = self.network.embed_samples(batch)
        return LabelEncoderScores(self, samples, self._own(batch))

    def _own(self, batch: Batch) -> sp.csr_array | None:
        """Return what is added where samples are labels, CSR of shape (n, n_all)."""
        if self.own_rows is None:
            return None
        X = batch.unit_rows(sp.issparse(self.own_rows), self.part)
        return own_labels(X, self.own_rows) * np.float32(self.own_score)


class LabelEncoderScores:
    """The same, for embeddings of some samples, shape (n, dim).

    `own` is what is added where a sample is a label itself: CSR of shape (n, n_all).
    """

    def __init__(
        self, scorer: LabelEncoderScorer, samples: Tensor, own: sp.csr_array | None
    ) -> None:
        self.scorer, self.samples, self.own = scorer, samples, own
        self._cosines: Tensor | None = None  # of all labels

    def take(self, rows: slice | Tensor) -> "LabelEncoderScores":
        """Return the scores of some of the samples."""
        own = None if self.own is None else take_rows(self.own, rows)
        return LabelEncoderScores(self.scorer, self.samples[rows], own)

    def _known_own(self) -> sp.csr_array | None:
        """Return the weighted entries of labels that are searched."""
        if self.own is None:
            return None
        return self.own[:, : self.scorer.n_labels] * np.float32(self.scorer.own_weight)

    def cosines(self) -> Tensor:
        """Return the scaled cosines with all labels, late ones last, (n, n_all)."""
        if self._cosines is None:
            self._cosines = self.samples @ self.scorer.whole_table.T
        return self._cosines

    def labels(self) -> Tensor:
        """Return the scores of all labels that are searched, shape (n, n_labels)."""
        scorer = self.scorer
        if scorer.scores_by_features:  # which takes the same cosines
            found = self.cosines()[:, : scorer.n_labels] * scorer.weight
        else:
            found = self.samples * scorer.weight @ scorer.table.T
        return add_entries(found, self._known_own())

    def by_features(self) -> Tensor:
        """Return the scores of all labels, late ones last, shape (n, n_all)."""
        cosines = self.cosines()
        return cosines if self.own is None else add_entries(cosines.clone(), self.own)

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of the labels of groups, (n, n_groups, group_size)."""
        samples = torch.arange(len(groups), device=groups.device)
        samples = samples.repeat_interleave(groups.shape[1])
        return self._of_groups(samples, groups.flatten()).view(*groups.shape, -1)

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of some labels, shape (n, m)."""
        return self.labels()[:, labels]

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level; 0 above the labels."""
        if level < self.scorer.last_level:
            return self.samples.new_zeros(())
        return self.labels()

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return those of the labels below nodes; 0 for nodes above the labels."""
        if level < self.scorer.last_level:
            return self.samples.new_zeros(())
        return self._of_groups(samples, nodes)

    def _of_groups(self, samples: Tensor, groups: Tensor) -> Tensor:
        table = self.scorer.table
        zeros = table.new_zeros(len(table))
        rows = self.samples * self.scorer.weight
        size = self.scorer.group_size
        scores = grouped_linear(rows, samples, groups, table, zeros, size)
        # A label that does not exist: its head's score is -inf already.
        scores = scores.masked_fill_(scores == -torch.inf, 0)
        own = self._known_own()
        if own is not None:
            own = _entries_of_groups(own.tocoo(), samples, groups, scores.shape)
        return add_entries(scores, own)


def _entries_of_groups(
    own: sp.coo_array, samples: Tensor, groups: Tensor, shape: tuple[int, ...]
) -> sp.csr_array | None:
    """Return entries of a table of labels in one of (sample, group) pairs."""
    size = shape[1]
    concerned = np.zeros(own.shape[0], bool)
    concerned[own.row] = True
    rows, parents = samples.cpu().numpy(), groups.cpu().numpy()
    pairs = np.flatnonzero(concerned[rows])
    if not len(pairs):
        return None
    n_groups = -(-own.shape[1] // size)
    keys = rows[pairs] * n_groups + parents[pairs]
    order = np.argsort(keys, kind="stable")
    wanted = own.row * np.int64(n_groups) + own.col // size
    places = np.searchsorted(keys[order], wanted)
    places = order[np.minimum(places, len(order) - 1)]
    found = keys[places] == wanted
    cells = pairs[places[found]], own.col[found] % size
    return sp.csr_array((own.data[found], cells), shape=shape)
