"""Scores of what is beside the network, in the form in which heads add them."""

import math
from functools import reduce
from operator import add

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from skmhe._centroids import (
    group_similarities,
    left_out_similarities,
    similarities,
)
from skmhe._levels import child_scores
from skmhe.nn import Offsets
from skmhe.nn._rows import grouped_linear

# The log-score of a label that the beam does not reach, and of less likely ones.
FLOOR = -6.0
# The sum of models' scores is surer than it should be. By logistic regression on
# held-out samples of five data sets, with linear classifiers of a weight of w: of
# several labels a sample, slope and intercept of the log-odds are near 1 / (1 + w)
# and 0.7 w; one label's scores are best divided by 1.1 + 0.3 w beside centroids, and
# left alone without. Linear classifiers alone are not sure enough, by a factor of
# 1.5. None of it changes a sample's ranking.
INTERCEPT = 0.7
TEMPERATURE, TEMPERATURE_BY_WEIGHT = 1.1, 0.3
LINEAR_SLOPE = 1.5
# With a label encoder in the sum: one label's scores are divided once more, several
# labels' have this slope and intercept; on held-out samples of a data set of each kind.
ENCODER_TEMPERATURE = 1.5
ENCODER_SLOPE, ENCODER_INTERCEPT = 0.8, -3.0
# Alone, and of several labels a sample, its softmax of C labels has log-odds of this
# slope with an intercept of -log(C).
ENCODER_ALONE = 0.8


def calibrated(scores, spec, has_linear, has_encoder=False):
    """Return the sums of all models' scores, calibrated; may write to them.

    Parameters
    ----------
    scores : Tensor of shape (n, n_labels)
        Sums.
    spec : NetworkSpec
        Which models, and whether a sample may have several labels.
    has_linear, has_encoder : bool
        Whether linear classifiers, and a label encoder beside a classifier, are among
        them.
    """
    if not spec.has_network:
        return scores if spec.multilabel else scores * LINEAR_SLOPE
    if spec.multilabel and not spec.scores_labels:
        return scores.mul_(ENCODER_ALONE).sub_(math.log(spec.n_labels))
    weight = spec.linear_scale * has_linear
    if spec.multilabel:
        scores = scores.mul_(1 / (1 + weight)).add_(INTERCEPT * weight)
        if has_encoder:
            scores = scores.mul_(ENCODER_SLOPE).add_(ENCODER_INTERCEPT)
        return scores
    if spec.has_centroids and has_linear:
        scores = scores.div_(TEMPERATURE + TEMPERATURE_BY_WEIGHT * weight)
    return scores.div_(ENCODER_TEMPERATURE) if has_encoder else scores


class LinearOffsets(Offsets):
    """Scores of a tree of linear classifiers for some samples.

    Labels have log-scores, which saturate as the loss of the classifiers does: the
    sum along a label's path of ``-max(0, 1 - s)^2``, as in Parabel [1]_.
    The children of a node have scores 2 s, which have the same slope at s = 0.

    Parameters
    ----------
    levels : list of SparseLevel or DenseLevel
        The tree, as `skmhe._linear.fit_levels` gives it; of one level for no tree.
    n_labels : int
        Number of labels that the classifiers know, the first ones. Those of the others
        have a margin of 0.
    X : {CSR, ndarray} of shape (n, n_features)
        Samples of unit length.
    spec : NetworkSpec
        Number of labels, the beam's width and the weight of the scores.
    device : torch.device
        Where to put the scores.

    References
    ----------
    .. [1] Prabhu et al., "Parabel", WWW 2018, section 4.
    """

    def __init__(self, levels, n_labels, X, spec, device):
        self.levels, self.n_labels, self.X = levels, n_labels, X
        self.spec, self.device = spec, device
        self._found = None

    def take(self, rows):
        """Return the offsets of some of the samples."""
        X = self.X[_to_index(rows)]
        part = LinearOffsets(self.levels, self.n_labels, X, self.spec, self.device)
        if self.spec.strategy != "cascade":  # which asks for children only
            part._found = tuple(found[rows] for found in self.search())
        return part

    def groups(self):
        """Return the groups that the beam reached, of several labels a sample.

        Of one label a sample, others may still be among the best five, and so may
        labels that the classifiers do not know.
        """
        all_known = self.n_labels == self.spec.n_labels
        if not (self.spec.multilabel and all_known) or len(self.levels) == 1:
            return None
        size = self.levels[-1].intercepts.shape[1]
        return self.search()[0][:, ::size] // size

    def members(self, groups):
        """Return the weighted log-scores of the labels of the groups of `groups`."""
        path = self.search()[1].clamp(min=FLOOR).mul_(self.spec.linear_scale)
        return path.view(*groups.shape, -1)

    def children(self, level, samples, nodes):
        """Return the weighted scores of the children of (sample, node) pairs."""
        scores = 2 * self.spec.linear_scale * self._scores(level, samples, nodes)
        if self.n_labels == self.spec.n_labels:
            return scores
        sizes = self.spec.head_sizes
        # The first level may have more nodes than the classifiers know.
        scores = F.pad(scores, (0, sizes[level] - scores.shape[1]))
        children = nodes[:, None] * sizes[level]
        children = children + torch.arange(sizes[level], device=nodes.device)
        first_labels = children * math.prod(sizes[level + 1 :])
        return scores.masked_fill_(first_labels >= self.n_labels, 0)

    def labels(self):
        """Return the weighted log-scores of all labels; `FLOOR` outside of the beam."""
        n, n_labels = self.X.shape[0], self.n_labels
        scale, n_unknown = self.spec.linear_scale, self.spec.n_labels - n_labels
        nodes, path = self.search()
        if len(self.levels) == 1:
            scores = path[:, :n_labels].clamp(min=FLOOR)
            return F.pad(scores, (0, n_unknown), value=-1.0).mul_(scale)
        scores = path.new_full((n, n_labels), FLOOR)
        # Codes that name no label fall on the last one, to which they add nothing.
        gain = (path - FLOOR).clamp_(min=0).masked_fill_(nodes >= n_labels, 0)
        scores.scatter_add_(1, nodes.clamp(max=n_labels - 1), gain)
        if n_unknown:
            scores = F.pad(scores, (0, n_unknown), value=-1.0)
        return scores.mul_(scale)

    def _scores(self, level, samples, nodes):
        samples, nodes = samples.cpu().numpy(), nodes.cpu().numpy()
        # Codes that name no label may lie behind the last node.
        nodes = np.minimum(nodes, len(self.levels[level].intercepts) - 1)
        scores = child_scores(self.levels[level], self.X, samples, nodes)
        return torch.from_numpy(scores).to(self.device)

    def search(self):
        """Return the labels below the best nodes, and the log-scores of their paths.

        Found once for all samples, and kept for parts of them.
        """
        if self._found is None:
            self._found = self._beam()
        return self._found

    def _beam(self):
        n = self.X.shape[0]
        nodes = torch.zeros(n, 1, dtype=torch.int64, device=self.device)
        path = torch.zeros(n, 1, device=self.device)
        for depth in range(len(self.levels)):
            if path.shape[1] > self.spec.beam_width:
                path, kept = path.topk(self.spec.beam_width, dim=1, sorted=False)
                nodes = nodes.gather(1, kept)
            samples = torch.arange(n, device=self.device)
            samples = samples.repeat_interleave(nodes.shape[1])
            scores = self._scores(depth, samples, nodes.flatten())
            size = scores.shape[1]
            loss = (1 - scores).clamp_(min=0).square_()
            path = (path[:, :, None] - loss.view(*nodes.shape, size)).flatten(1)
            digits = torch.arange(size, device=self.device)
            nodes = (nodes[:, :, None] * size + digits).flatten(1)
        return nodes, path


class CentroidOffsets(Offsets):
    """Similarities of samples to the labels' centroids, scaled.

    Parameters
    ----------
    centroids : Centroids
        The centroids.
    X : {CSR, ndarray} of shape (n, n_features)
        Samples of unit length.
    scale : Tensor of shape ()
        Factor of the cosines.
    size : int, default=None
        Number of labels of a group, if groups are asked for.
    """

    def __init__(self, centroids, X, scale, size=None):
        self.centroids, self.X, self.scale, self.size = centroids, X, scale, size

    def take(self, rows):
        """Return the offsets of some of the samples."""
        own = self.X[_to_index(rows)]
        return CentroidOffsets(self.centroids, own, self.scale, self.size)

    def labels(self):
        """Return the scaled similarities to all labels."""
        cosines = similarities(self.centroids, self.X)
        return torch.from_numpy(cosines).to(self.scale.device) * self.scale

    def pool(self, labels):
        """Return those to some labels, shape (n, n_pool)."""
        return self.labels()[:, labels]

    def members(self, groups):
        """Return those to the labels of some groups, shape (n, n_groups, size)."""
        cosines = group_similarities(
            self.centroids, self.X, groups.cpu().numpy(), self.size
        )
        return torch.from_numpy(cosines).to(self.scale.device) * self.scale


class TrainingOffsets(Offsets):
    """The same for training samples, each left out of its own labels' centroids.

    Parameters
    ----------
    centroids : TrainingCentroids
        The centroids, of these samples.
    X : {CSR, ndarray} of shape (n, n_features)
        Samples of unit length.
    scale : Tensor of shape ()
        Factor of the cosines.
    """

    def __init__(self, centroids, X, scale):
        self.centroids, self.X, self.scale = centroids, X, scale

    def labels(self):
        """Return the scaled similarities to all labels."""
        return self.pool(torch.arange(len(self.centroids.block)))

    def pool(self, labels):
        """Return those to some labels, shape (n, n_pool)."""
        cosines = left_out_similarities(self.centroids, self.X, labels.cpu().numpy())
        return torch.from_numpy(cosines).to(self.scale.device) * self.scale


class EncoderOffsets(Offsets):
    """Scaled cosines of embedded samples and embedded labels.

    Parameters
    ----------
    samples : Tensor of shape (n, d)
        Embeddings of the samples.
    labels : Tensor of shape (n_labels, d)
        Embeddings of the labels by position, times the scale.
    spec : NetworkSpec
        Strategy and lengths of the heads.
    own : CSR of shape (n, n_labels), default=None
        What is added where a sample is a label itself.
    """

    def __init__(self, samples, labels, spec, own=None):
        self.samples, self.table, self.spec, self.own = samples, labels, spec, own

    def take(self, rows):
        """Return the offsets of some of the samples."""
        own = None if self.own is None else self.own[_to_index(rows)]
        return EncoderOffsets(self.samples[rows], self.table, self.spec, own)

    def labels(self):
        """Return the scores of all labels."""
        return add_entries(self.samples @ self.table.T, self.own)

    def members(self, groups):
        """Return those of the labels of some groups, shape (n, n_groups, size)."""
        samples = torch.arange(len(groups), device=groups.device)
        samples = samples.repeat_interleave(groups.shape[1])
        return self._of_groups(samples, groups.flatten()).view(*groups.shape, -1)

    def children(self, level, samples, nodes):
        """Return those of the labels below nodes; 0 for nodes above the labels."""
        if level < len(self.spec.head_sizes) - 1:
            size = self.spec.head_sizes[level]
            return self.samples.new_zeros(len(nodes), size)
        return self._of_groups(samples, nodes)

    def _of_groups(self, samples, groups):
        size = self.spec.head_sizes[-1]
        zeros = self.table.new_zeros(len(self.table))
        scores = grouped_linear(self.samples, samples, groups, self.table, zeros, size)
        # A label that does not exist: its head's score is -inf already.
        scores = scores.masked_fill_(scores == -torch.inf, 0)
        return scores if self.own is None else self._with_own(scores, samples, groups)

    def _with_own(self, scores, samples, groups):
        """Add to the scores of (sample, group) pairs where a sample is a label."""
        own = self.own.tocoo()
        size = scores.shape[1]
        concerned = np.zeros(self.own.shape[0], bool)
        concerned[own.row] = True
        samples, groups = samples.cpu().numpy(), groups.cpu().numpy()
        pairs = np.flatnonzero(concerned[samples])
        if not len(pairs):
            return scores
        n_groups = -(-self.own.shape[1] // size)
        keys = samples[pairs] * n_groups + groups[pairs]
        order = np.argsort(keys, kind="stable")
        wanted = own.row * np.int64(n_groups) + own.col // size
        places = np.searchsorted(keys[order], wanted)
        places = order[np.minimum(places, len(order) - 1)]
        found = keys[places] == wanted
        rows, columns = pairs[places[found]], own.col[found] % size
        return add_entries(
            scores, sp.coo_array((own.data[found], (rows, columns)), scores.shape)
        )


class SumOffsets(Offsets):
    """The sum of offsets, and with a head's scores, calibrated.

    Parameters
    ----------
    parts : list of Offsets
        What to add up.
    calibrate : callable
        Makes of sums of all models' scores those that probabilities come from.
    more : AddedLabels, default=None
        Labels that the head does not have.
    """

    def __init__(self, parts, calibrate, more=None):
        self.parts, self.calibrate, self.more = parts, calibrate, more
        self.n_added = 0 if more is None else more.n_labels

    def take(self, rows):
        """Return the offsets of some of the samples."""
        more = None if self.more is None else self.more.take(rows)
        parts = [part.take(rows) for part in self.parts]
        return SumOffsets(parts, self.calibrate, more)

    def added(self):
        """Return the scores of the labels that the head does not have."""
        return self.calibrate(self.more.scores())

    def join(self, scores, groups=None):
        """Return a head's scores with these, calibrated."""
        return self.calibrate(super().join(scores, groups) if self.parts else scores)

    def groups(self):
        """Return the groups of the linear classifiers' beam, None without one."""
        found = (part.groups() for part in self.parts)
        return next((groups for groups in found if groups is not None), None)

    def members(self, groups):
        """Return the sum for the labels of the groups of `groups`."""
        return reduce(add, (part.members(groups) for part in self.parts))

    def labels(self):
        """Return the sum for all labels."""
        # Not `sum`, which would copy the first part to add 0 to it.
        return reduce(add, (part.labels() for part in self.parts))

    def children(self, level, samples, nodes):
        """Return the sum for the children of (sample, node) pairs."""
        if not self.parts:
            return torch.zeros(len(samples), 1, device=samples.device)
        found = (part.children(level, samples, nodes) for part in self.parts)
        return reduce(add, found)


def add_entries(scores, entries):
    """Add the entries of a sparse array, or None, to a tensor in place."""
    if entries is not None and entries.nnz:
        entries = entries.tocoo()
        rows, columns, values = map(
            torch.from_numpy, (entries.row, entries.col, entries.data)
        )
        place = rows.to(scores.device).long(), columns.to(scores.device).long()
        scores.index_put_(place, values.to(scores), accumulate=True)
    return scores


def _to_index(rows):
    """Return rows for NumPy: a slice as it is, a tensor as an array."""
    return rows if isinstance(rows, slice) else rows.cpu().numpy()
