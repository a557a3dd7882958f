"""The interface that every head has, and the checks that they share."""

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from skmhe.nn._rows import SparseRows


class Positives(NamedTuple):
    """True labels of multi-label samples, as (sample, label) pairs."""

    samples: torch.Tensor  # shape: (n_positives,)
    labels: torch.Tensor  # shape: (n_positives,)
    weights: torch.Tensor | None  # shape: (n_positives,)


class Offsets:
    """Scores that a head adds to its own before it makes probabilities of them.

    So a model of another kind is put beside the network (see `Head.shifted`). A
    subclass has what the head that uses it asks for: `FullHead` the scores of all
    labels, `SamplingHead` in training those of a pool, and in predictions, where
    `groups` names some, those of groups of labels; `CascadeHead` those of children.
    """

    def join(self, scores, groups=None):
        """Return a head's scores with these.

        Of all labels, shape (n, n_labels), or of groups, shape (n, n_groups, size).
        """
        return scores + (self.labels() if groups is None else self.members(groups))

    n_added = 0

    def added(self):
        """Return the scores of `n_added` labels that the head does not have.

        In predictions; shape (n, n_added). They follow the head's own labels.
        """
        raise NotImplementedError(f"{type(self).__name__} adds no labels.")

    def groups(self):
        """Return the groups that the best labels are in, (n, n_groups); None for all.

        A group has consecutive labels, as many as the head's `group_size`.
        """
        return None

    def members(self, groups):
        """Return the scores of the labels of `groups()`, (n, n_groups, size)."""
        raise NotImplementedError(f"{type(self).__name__} has no scores of groups.")

    def labels(self):
        """Return the scores of all labels, shape (n, n_labels)."""
        raise NotImplementedError(f"{type(self).__name__} has no scores of all labels.")

    def pool(self, labels):
        """Return the scores of some labels, shape (n, n_pool)."""
        raise NotImplementedError(f"{type(self).__name__} has no scores of a pool.")

    def children(self, level, samples, nodes):
        """Return those of the children of (sample, node) pairs, (n_pairs, L_level)."""
        raise NotImplementedError(f"{type(self).__name__} has no scores of children.")

    def take(self, rows):
        """Return the offsets of some of the samples."""
        raise NotImplementedError(f"{type(self).__name__} cannot take samples.")


class Head(nn.Module, ABC):
    """What a head is: a table of weights, a loss, and a way to find the best labels.

    A subclass makes its tables by `_make_tables` and implements `_sample_losses`,
    `_log_prob` and `_topk` on dense features; this class checks arguments and
    turns sparse features into dense ones.

    Parameters
    ----------
    in_features : int
        Number d of features.
    n_labels : int
        Number C of labels.
    multilabel : bool
        Whether a sample may have any number of labels.
    sparse_grad : bool
        Whether tables of which a step uses some rows get sparse gradients.
    """

    def __init__(self, in_features, n_labels, multilabel, sparse_grad):
        super().__init__()
        if n_labels < 1 or in_features < 0:
            raise ValueError(
                "in_features must be at least 0 and n_labels at least 1, got "
                f"in_features={in_features} and n_labels={n_labels}."
            )
        self.in_features = in_features
        self.n_labels = n_labels
        self.multilabel = multilabel
        self.sparse_grad = sparse_grad
        self.offsets = None
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()

    def _make_tables(self, n_rows):
        """Create a table and a bias of each number of rows in `n_rows`."""
        for n in n_rows:
            self.weights.append(nn.Parameter(torch.empty(n, self.in_features)))
            self.biases.append(nn.Parameter(torch.empty(n)))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the tables anew, as `torch.nn.Linear` does; biases are 0."""
        bound = max(self.in_features, 1) ** -0.5
        for weight, bias in zip(self.weights, self.biases, strict=True):
            nn.init.uniform_(weight, -bound, bound)
            nn.init.zeros_(bias)

    @torch.no_grad()
    def set_prior(self, label_counts, n_samples):
        """Start the biases from how frequent the labels are.

        Parameters
        ----------
        label_counts : Tensor of shape (n_labels,)
            (Weighted) number of samples of each label.
        n_samples : float
            (Weighted) number of samples.
        """
        priors = self._prior_scores(label_counts.double(), float(n_samples))
        for bias, prior in zip(self.biases, priors, strict=True):
            bias.copy_(prior)

    @contextmanager
    def shifted(self, offsets):
        """Add scores from elsewhere to those of the features, for a while.

        Parameters
        ----------
        offsets : Offsets or None
            Scores for the samples that the methods are called with.
        """
        before, self.offsets = self.offsets, offsets
        try:
            yield self
        finally:
            self.offsets = before

    def loss(self, features, targets, sample_weight=None, label_weight=None):
        """Return the mean of the samples' losses.

        Parameters
        ----------
        features : Tensor or SparseRows of shape (n, in_features)
            Features of the samples.
        targets : Tensor
            Single-label: int64 label indices of shape (n,). Multi-label: a 0/1
            indicator of shape (n, n_labels), dense or sparse.
        sample_weight : Tensor of shape (n,), default=None
            Factor of each sample's loss.
        label_weight : Tensor of shape (n_labels,), default=None
            Factor of the loss of each true (sample, label) pair.

        Returns
        -------
        Tensor of shape ()
            ``sum_i sample_weight[i] * loss[i] / n``.

        Raises
        ------
        ValueError
            If the shape, dtype or values of an argument do not fit.
        """
        self._check_features(features)
        _check_vector("sample_weight", sample_weight, features.shape[0])
        _check_vector("label_weight", label_weight, self.n_labels)
        targets = self._check_targets(targets, features.shape[0], label_weight)
        features, weights = self._dense(features)
        losses = self._sample_losses(features, weights, targets)
        if label_weight is not None and not self.multilabel:
            losses = losses * label_weight[targets]
        if sample_weight is not None:
            losses = losses * sample_weight
        return losses.mean()

    def forward(self, features, targets, sample_weight=None, label_weight=None):
        """Return the mean loss: `loss`, for what wraps modules, as parallel training.

        Parameters
        ----------
        features, targets, sample_weight, label_weight
            See `loss`.

        Returns
        -------
        Tensor of shape ()
            Mean of the samples' losses.
        """
        return self.loss(features, targets, sample_weight, label_weight)

    def log_prob(self, features):
        """Return the log-probability of every label; dense in the labels.

        Parameters
        ----------
        features : Tensor or SparseRows of shape (n, in_features)
            Features of the samples.

        Returns
        -------
        Tensor of shape (n, n_labels)
            Single-label: the probabilities of a row sum to 1. Multi-label: the
            probability that the sample has the label.
        """
        self._check_features(features)
        return self._log_prob(*self._dense(features))

    def topk(self, features, k, exact=False):
        """Return the `k` most probable labels, best first.

        Parameters
        ----------
        features : Tensor or SparseRows of shape (n, in_features)
            Features of the samples.
        k : int
            Number of labels, 1..n_labels.
        exact : bool, default=False
            Make sure that no label is missed: widens the beam of the samples for
            which it was too narrow. Heads that search no beam are always exact.

        Returns
        -------
        labels : Tensor of int64, of shape (n, k)
            Label indices.
        scores : Tensor of shape (n, k)
            Their log-probabilities.
        """
        self._check_features(features)
        n_labels = self.n_labels
        if self.offsets is not None:
            n_labels += self.offsets.n_added
        if not 1 <= k <= n_labels:
            raise ValueError(f"k must be in 1..{n_labels}, got {k}.")
        return self._topk(*self._dense(features), k, exact)

    def above(self, features, threshold):
        """Return every (sample, label) pair of more than a log-probability.

        Parameters
        ----------
        features : Tensor or SparseRows of shape (n, in_features)
            Features of the samples.
        threshold : float
            A log-probability.

        Returns
        -------
        samples, labels : Tensor of int64, of shape (n_pairs,)
            The pairs, in ascending order.
        """
        self._check_features(features)
        return self._above(*self._dense(features), threshold)

    @abstractmethod
    def _sample_losses(self, features, weights, targets):
        """Return the loss of each sample, shape (n,)."""

    @abstractmethod
    def _log_prob(self, features, weights):
        """Return the log-probabilities, shape (n, n_labels)."""

    @abstractmethod
    def _prior_scores(self, counts, n_samples):
        """Return what each bias should be before training, a list of tensors."""

    @abstractmethod
    def multiply_adds(self, k=1):
        """Return the number of multiply-adds of `topk` for a sample.

        Parameters
        ----------
        k : int, default=1
            Number of labels wanted.
        """

    @abstractmethod
    def n_scores(self, k=1):
        """Return the largest number of scores that `topk` holds for a sample.

        Parameters
        ----------
        k : int, default=1
            Number of labels wanted.
        """

    def _topk(self, features, weights, k, exact):
        scores, labels = self._log_prob(features, weights).topk(k, dim=1)
        return labels, scores

    def _above(self, features, weights, threshold):
        return (self._log_prob(features, weights) > threshold).nonzero(as_tuple=True)

    def _with_added(self, scores):
        """Return scores with those of the labels that the offsets add."""
        if self.offsets is None or not self.offsets.n_added:
            return scores
        return torch.cat([scores, self.offsets.added().to(scores.dtype)], dim=1)

    def _dense(self, features):
        """Return dense features and the tables that score them.

        Of sparse features, only the columns that occur in the batch are kept.
        """
        weights = list(self.weights)
        if isinstance(features, SparseRows):
            columns, features = features.to_compact()
            weights = [weight.index_select(1, columns) for weight in weights]
        return features, weights

    def _check_features(self, features):
        shape = tuple(features.shape)
        if len(shape) != 2 or shape[1] != self.in_features:
            raise ValueError(
                f"features must have shape (n, {self.in_features}), got {shape}."
            )

    def _check_targets(self, targets, n_samples, label_weight):
        if self.multilabel:
            return self._check_indicator(targets, n_samples, label_weight)
        if targets.shape != (n_samples,) or targets.dtype != torch.int64:
            raise ValueError(
                f"targets must be int64 label indices of shape ({n_samples},), got "
                f"{targets.dtype} of shape {tuple(targets.shape)}."
            )
        if n_samples and not (targets.min() >= 0 and targets.max() < self.n_labels):
            raise ValueError(
                f"targets must be in 0..{self.n_labels - 1}, got values in "
                f"{int(targets.min())}..{int(targets.max())}."
            )
        return targets

    def _check_indicator(self, targets, n_samples, label_weight):
        if tuple(targets.shape) != (n_samples, self.n_labels):
            raise ValueError(
                "targets of a multi-label head must be an indicator of shape "
                f"({n_samples}, {self.n_labels}), got {tuple(targets.shape)}."
            )
        if targets.layout == torch.strided:
            values = targets[targets != 0]
            samples, labels = targets.nonzero(as_tuple=True)
        else:
            coo = targets.to_sparse_coo().coalesce()
            stored = coo.values() != 0
            samples, labels = coo.indices()[:, stored]
            values = coo.values()[stored]
        if not bool((values == 1).all()):
            bad = values[values != 1][0].item()
            raise ValueError(f"targets must be 0 or 1, got a value of {bad}.")
        weights = None if label_weight is None else label_weight[labels]
        return Positives(samples, labels, weights)

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        return (
            f"in_features={self.in_features}, n_labels={self.n_labels}, "
            f"multilabel={self.multilabel}"
        )


def _check_vector(name, vector, length):
    if vector is not None and tuple(vector.shape) != (length,):
        raise ValueError(
            f"{name} must have shape ({length},), got {tuple(vector.shape)}."
        )


def sum_by_sample(values, samples, n_samples):
    """Sum values of (sample, ..) entries by sample."""
    return values.new_zeros(n_samples).index_add(0, samples, values)


def bernoulli_losses(scores, positives):
    """Return each sample's sum of binary cross-entropies, shape (n,).

    The true labels are given as pairs, so that no dense target is made:
    ``softplus(s)`` for all labels, and for the true ones ``w * softplus(-s)``
    in its place.
    """
    losses = F.softplus(scores).sum(1)
    true_scores = scores[positives.samples, positives.labels]
    true_losses = F.softplus(-true_scores)
    if positives.weights is not None:
        true_losses = true_losses * positives.weights
    true_losses = true_losses - F.softplus(true_scores)
    return losses + sum_by_sample(true_losses, positives.samples, len(scores))


def log_odds(probabilities, n_samples):
    """Return the logits of frequencies, away from 0 and 1 by half a sample."""
    edge = 0.5 / (n_samples + 1)
    return torch.logit(probabilities.clamp(edge, 1 - edge))
