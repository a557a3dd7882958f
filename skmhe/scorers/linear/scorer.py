"""Scores of a tree of linear classifiers."""

from dataclasses import dataclass, field
from math import inf, prod
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.scores import Search
from skmhe.nn.tree_search import Beam, beam_search, child_nodes
from skmhe.scorers.batch import Batch, Rows, take_rows
from skmhe.scorers.combination import Scorer
from skmhe.scorers.linear.feature_table import FeatureTable
from skmhe.scorers.linear.scaling import Scaling
from skmhe.scorers.linear.tables import DenseLevel, Level, child_scores

# The log-score of a label that the beam does not reach, and of less likely ones.
FLOOR = -6.0
# That of a label that the classifiers do not know: its margin is 0.
UNKNOWN = -1.0


@dataclass(frozen=True, eq=False)
class LinearScorer(Scorer):
    """Scores of linear classifiers, of all labels or in a tree.

    Labels have log-scores, which saturate as the loss of the classifiers does: the
    sum along a label's path of ``-max(0, 1 - s)^2``, as in Parabel [1]_. Where they
    steer a search of the tree, the children of a node have scores 2 s, which have the
    same slope at s = 0; nodes have log-scores, too, if probabilities do not multiply
    along the path (see `TreeSearch`). Classifiers of all labels, which have no nodes,
    give a node the log-score of its best label. Labels that the classifiers do not know
    have a margin of 0.

    Parameters
    ----------
    levels : list of SparseLevel or DenseLevel
        The tree, as `fit_levels` gives it; of one level for no tree.
    n_known : int
        Number of labels that the classifiers know, the first ones.
    search : Search
        The search for labels. The scores steer one of a tree; otherwise a beam of
        their own finds the labels with log-scores above `FLOOR`.
    beam_width : int
        Number of nodes that their own beam expands at each level.
    weight : float
        Factor of the scores.
    scaling : Scaling, default=None
        That of the samples that were fitted; None for rows of unit length.

    References
    ----------
    .. [1] Prabhu et al., "Parabel", WWW 2018, section 4.
    """

    levels: list[Level]
    n_known: int
    search: Search
    beam_width: int
    weight: float
    scaling: Scaling | None = None
    _tables: dict[int, FeatureTable | DenseLevel] = field(
        default_factory=dict, init=False
    )

    scores_labels = True
    can_steer = True
    proposes_groups = True

    def table(self, level: int) -> FeatureTable | DenseLevel:
        """Return what scores all nodes of a level; made once."""
        if level not in self._tables:
            made = self.levels[level]
            self._tables[level] = (
                made if isinstance(made, DenseLevel) else FeatureTable(made)
            )
        return self._tables[level]

    @property
    def has_nodes(self) -> bool:
        """Whether there are classifiers of the nodes that are searched."""
        return self.search.steered and len(self.levels) > 1

    def prepare(self, X: Rows) -> None:
        """Make the tables of all levels, if scores of nodes are asked for."""
        for level in range(len(self.levels) if self.has_nodes else 0):
            self.table(level)

    def n_scores(self) -> int:
        """Return how many scores of a sample are held, whatever is searched."""
        return 0 if self.has_nodes else self.n_known * (len(self.levels) == 1)

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of the beam's nodes, with all weights of their features."""
        shapes = [level.intercepts.shape for level in self.levels]
        return n_stored * sum(min(n, self.beam_width) * size for n, size in shapes)

    def bind(self, batch: Batch) -> "LinearScores":
        """Return the scores of a batch."""
        if self.scaling is None:
            is_dense = isinstance(self.levels[0], DenseLevel)
            X = batch.unit_rows(sparse=not is_dense)
        else:
            X = self.scaling.rows(batch.part("linear"))
        scores = LinearScores(self, X, batch.device)
        if not self.has_nodes:
            scores.found()  # for all samples at once, before parts are taken
        return scores


class LinearScores:
    """The same, for some samples, rows of unit length; on a device."""

    def __init__(self, scorer: LinearScorer, X: Rows, device: torch.device) -> None:
        self.scorer, self.X, self.device = scorer, X, device
        self._found: tuple[Tensor, Tensor] | None = None
        self._first_paths: Tensor | None = None
        self._best: dict[int, Tensor] = {}  # what `_best_below` returned

    def take(self, rows: slice | Tensor) -> "LinearScores":
        """Return the scores of some of the samples."""
        part = LinearScores(self.scorer, take_rows(self.X, rows), self.device)
        if self._found is not None:
            nodes, path = self._found
            part._found = nodes[rows], path[rows]
        return part

    def shortlist(self, groups: Tensor | None = None) -> Tensor | None:
        """Return the groups that the beam reached.

        None if there are labels that the classifiers do not know, or the beam has room
        for all groups; otherwise each of its groups has a label.
        """
        scorer = self.scorer
        if scorer.n_known < scorer.search.n_labels or len(scorer.levels) == 1:
            return None
        size = scorer.levels[-1].intercepts.shape[1]
        own = self.found()[0][:, ::size] // size
        return own if own.shape[1] * size < scorer.n_known else None

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the log-scores of the labels of `shortlist()`, and of more groups.

        `FLOOR` in the groups that follow the shortlist's, and -inf of codes that name
        no label.
        """
        n, size = len(groups), self.scorer.levels[-1].intercepts.shape[1]
        path = self.found()[1].view(n, -1, size).clamp(min=FLOOR)
        n_more = groups.shape[1] - path.shape[1]
        path = F.pad(path, (0, 0, 0, n_more), value=FLOOR) if n_more else path
        scores = path.mul_(self.scorer.weight).view(-1, size)
        _fill_beyond(scores, groups.flatten(), self.scorer.n_known, -inf)
        return scores.view(n, -1, size)

    def outside(self, labels: Tensor) -> Tensor:
        """Return the log-score of labels that the beam did not reach, (n, m)."""
        path = self.found()[1]
        return path.new_full((len(path), len(labels)), FLOOR * self.scorer.weight)

    def labels(self) -> Tensor:
        """Return the log-scores of all labels; `FLOOR` outside of the beam."""
        scorer, n = self.scorer, self.X.shape[0]
        n_unknown = scorer.search.n_labels - scorer.n_known
        nodes, path = self.found()
        if len(scorer.levels) == 1:
            scores = path[:, : scorer.n_known].clamp(min=FLOOR)
        else:
            scores = path.new_full((n, scorer.n_known), FLOOR)
            # Codes that name no label fall on the last one, to which they add nothing.
            gain = (path - FLOOR).clamp_(min=0)
            scores.scatter_add_(1, nodes.clamp(max=scorer.n_known - 1), gain)
        if n_unknown:
            scores = F.pad(scores, (0, n_unknown), value=-1.0)
        return scores.mul_(scorer.weight)

    def _best_below(self, level: int) -> Tensor:
        """Return the log-scores of each node's best label, (n, n_nodes); made once."""
        if level not in self._best:
            size = prod(self.scorer.search.head_sizes[level + 1 :])
            labels = self.labels()
            n_missing = -labels.shape[1] % size
            labels = F.pad(labels, (0, n_missing), value=-inf)
            self._best[level] = labels.unflatten(1, (-1, size)).amax(2)
        return self._best[level]

    def nodes(self, level: int) -> Tensor:
        """Return the weighted scores of all nodes of a level, shape (n, n_nodes)."""
        if not self.scorer.has_nodes:
            return self._best_below(level).clone()
        n_known, n_nodes = self._n_nodes(level)
        if self.scorer.search.joint:
            path = self._all_paths(level).clamp(min=FLOOR)
            found = F.pad(path, (0, n_nodes - n_known), value=UNKNOWN)
            return found.mul_(self.scorer.weight)
        found = self._of_all_nodes(level, 2 * self.scorer.weight)
        return F.pad(found, (0, n_nodes - n_known)) if n_nodes > n_known else found

    def _of_all_nodes(self, level: int, factor: float = 1.0) -> Tensor:
        """Return the scores of all known nodes times a factor, shape (n, n_known)."""
        scores = self.scorer.table(level).all_scores(self.X, factor)
        return scores[:, : self._n_nodes(level)[0]].to(self.device)

    def _all_paths(self, level: int) -> Tensor:
        """Return the log-scores of all known nodes of a level, shape (n, n_known)."""
        if level == 0 and self._first_paths is not None:
            return self._first_paths
        scores = self._of_all_nodes(level)
        if level == 0:
            self._first_paths = _add_loss(torch.zeros_like(scores), scores)
            return self._first_paths
        size = self.scorer.search.head_sizes[level]
        above = self._all_paths(level - 1).repeat_interleave(size, dim=1)
        return _add_loss(above[:, : scores.shape[1]], scores)

    def _paths(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the log-scores of pairs of samples and known nodes."""
        if level < 0:  # the root
            return torch.zeros(len(samples), device=self.device)
        if level == 0:
            return self._all_paths(0)[samples, nodes]
        size = self.scorer.search.head_sizes[level]
        parents, places = nodes // size, (nodes % size)[:, None]
        scores = self._raw(level, samples, parents).gather(1, places)[:, 0]
        return _add_loss(self._paths(level - 1, samples, parents), scores)

    def _n_nodes(self, level: int) -> tuple[int, int]:
        """Return how many nodes of a level have known labels below, or any labels."""
        search = self.scorer.search
        size = prod(search.head_sizes[level + 1 :])
        return -(-self.scorer.n_known // size), -(-search.n_labels // size)

    def children(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the weighted scores of the children of (sample, node) pairs.

        -inf where there is no such child.
        """
        size, weight = self.scorer.search.head_sizes[level], self.scorer.weight
        if not self.scorer.has_nodes:
            best = self._best_below(level)
            places = child_nodes(nodes[:, None], size)
            exists = places < best.shape[1]
            found = best[samples[:, None], places.clamp(max=best.shape[1] - 1)]
            return found.masked_fill_(~exists, -inf)
        scores, unknown = self._raw(level, samples, nodes), 0.0
        if self.scorer.search.joint:
            known = nodes.clamp(max=self._n_nodes(level - 1)[0] - 1)
            path = self._paths(level - 1, samples, known)[:, None]
            scores, unknown = _add_loss(path, scores).clamp_(min=FLOOR), UNKNOWN
            scores.mul_(weight)
        else:
            scores.mul_(2 * weight)
        if scores.shape[1] < size:
            # The first level may have more nodes than the classifiers know.
            scores = F.pad(scores, (0, size - scores.shape[1]))
        bounds = zip(self._n_nodes(level), (unknown * weight, -inf), strict=True)
        for n, value in bounds:
            _fill_beyond(scores, nodes, n, value)
        return scores

    def _raw(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        table = self.scorer.levels[level]
        rows = samples.cpu().numpy()
        # Codes that name no label may lie after the last node.
        parents = np.minimum(nodes.cpu().numpy(), len(table.intercepts) - 1)
        scores = child_scores(table, self.X, rows, parents)
        return torch.from_numpy(scores).to(self.device)

    def _own(self, level: int, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of children in the classifiers' own tree.

        -inf of those that do not exist, which would take places in the beam.
        """
        scores = self._raw(level, samples, nodes)
        below = prod(
            made.intercepts.shape[1] for made in self.scorer.levels[level + 1 :]
        )
        _fill_beyond(scores, nodes, -(-self.scorer.n_known // below), -inf)
        return scores

    def found(self) -> tuple[Tensor, Tensor]:
        """Return labels below the best nodes, and log-scores of their paths; once."""
        if self._found is None:
            n = self.X.shape[0]
            zeros = torch.zeros(n, 1, device=self.device)
            start = Beam(zeros.long(), zeros, zeros[:, 0])
            levels = range(len(self.scorer.levels))
            width, own = self.scorer.beam_width, SimpleNamespace(children=self._own)
            best = beam_search(own, start, levels, width, _add_loss)
            self._found = best.nodes, best.scores
        return self._found


def _fill_beyond(scores: Tensor, nodes: Tensor, n: int, value: float) -> None:
    """Fill in the scores of children (n_pairs, size) beyond the first n of a level."""
    size = scores.shape[1]
    rows = (nodes >= n // size).nonzero().squeeze(1)
    if len(rows):
        places = torch.arange(size, device=nodes.device)
        beyond = nodes[rows, None] * size + places >= n
        scores[rows] = scores[rows].masked_fill(beyond, value)


def _add_loss(path: Tensor, scores: Tensor) -> Tensor:
    return path - (1 - scores).clamp_(min=0).square_()
