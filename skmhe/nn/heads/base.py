"""The interface that every head has."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Self

import torch
from torch import Tensor, nn

from skmhe.nn.heads.reduction import IGNORE_INDEX, Rows, check_options
from skmhe.nn.heads.targets import (
    check_features,
    check_labels,
    check_shape,
    positives_of,
)
from skmhe.nn.products import grouped_linear, linear
from skmhe.nn.scores import Search
from skmhe.nn.sparse_rows import SparseRows, check_width

Features = Tensor | SparseRows
# Called with m labels, returns scores of another model for a batch, shape (..., m).
ExtraScores = Callable[[Tensor], Tensor]


class HeadScores:
    """A head's scores of (n, in_features) features, as searches ask for them."""

    head: Any

    def __init__(self, head: "Head", features: Features) -> None:
        self.head, self.features = head, features
        # Not a cached property: until Python 3.12, threads would wait for each other.
        self._dense: tuple[Tensor, list[Tensor]] | None = None

    @property
    def dense(self) -> tuple[Tensor, list[Tensor]]:
        """Dense features and the tables that score them; made once."""
        if self._dense is None:
            self._dense = self._make_dense()
        return self._dense

    def _make_dense(self) -> tuple[Tensor, list[Tensor]]:
        """Return dense features and the tables that score them.

        Of sparse features, only the columns that occur in the batch are kept.
        """
        weights = list(self.head.weights)
        if not isinstance(self.features, SparseRows):
            return self.features, weights
        columns, compact = self.features.to_compact()
        return compact, [weight.index_select(1, columns) for weight in weights]

    def of_table(self, level: int = 0) -> Tensor:
        """Return the scores of all rows of a table, shape (n, n_rows)."""
        features, weights = self.dense
        return linear(features, weights[level], self.head.biases[level])

    def of_groups(
        self, size: int, samples: Tensor, groups: Tensor, level: int = 0
    ) -> Tensor:
        """Return the scores of (sample, group) pairs, see `grouped_linear`."""
        features, weights = self.dense
        weight, bias = weights[level], self.head.biases[level]
        sparse_grad = self.head.sparse_grad and weight.is_leaf
        return grouped_linear(
            features, samples, groups, weight, bias, size, sparse_grad
        )

    def shortlist(self) -> None:
        """Return None: a head alone has no shortlist."""
        return None

    def take(self, rows: slice | Tensor) -> Self:
        """Return the scores of some of the samples."""
        if isinstance(rows, slice) and isinstance(self.features, SparseRows):
            return type(self)(self.head, self.features.slice(rows))
        features, weights = self.dense
        chosen = features[rows]
        part = type(self)(self.head, chosen)
        part._dense = chosen, weights
        return part


class Head(nn.Module, ABC):
    """Tables of weights, a loss, and a search for the best labels.

    A subclass makes its tables by `_make_tables` and has `search`, `_scores_class`,
    `_sample_losses` and `_prior_scores`. This class checks arguments and turns sparse
    features into dense ones.

    Parameters
    ----------
    in_features : int
        Number d of features.
    n_labels : int
        Number C of labels.
    multilabel : bool
        Whether a sample may have any number of labels.
    sparse_grad : bool
        Whether tables of which a step uses only some rows get sparse gradients.

    Examples
    --------
    >>> from skmhe.nn import CascadeHead, Head
    >>> isinstance(CascadeHead(8, head_sizes=(10, 10), n_labels=100), Head)
    True
    """

    # What `search` asks for scores.
    _scores_class: type[HeadScores]
    # Whether `loss` takes `extra_scores`: all samples score the same labels.
    takes_extra_scores = False
    # What the module's repr shows, where it is not None.
    _shown: tuple[str, ...] = ("in_features", "n_labels", "multilabel")

    def __init__(
        self, in_features: int, n_labels: int, multilabel: bool, sparse_grad: bool
    ) -> None:
        super().__init__()
        integers = isinstance(in_features, Integral) and isinstance(n_labels, Integral)
        if not integers or n_labels < 1 or in_features < 0:
            raise ValueError(
                "in_features must be an integer of at least 0 and n_labels one of at "
                f"least 1, got in_features={in_features!r} and n_labels={n_labels!r}."
            )
        self.in_features = in_features
        self.n_labels = n_labels
        self.multilabel = multilabel
        self.sparse_grad = sparse_grad
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()

    def _make_tables(self, n_rows: Sequence[int]) -> None:
        """Create a table and a bias of each number of rows in `n_rows`."""
        for n in n_rows:
            self.weights.append(nn.Parameter(torch.empty(n, self.in_features)))
            self.biases.append(nn.Parameter(torch.empty(n)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the tables anew, as `torch.nn.Linear` does; biases are 0."""
        bound = max(self.in_features, 1) ** -0.5
        for weight, bias in zip(self.weights, self.biases, strict=True):
            nn.init.uniform_(weight, -bound, bound)
            nn.init.zeros_(bias)

    @torch.no_grad()
    def set_prior(self, label_counts: Tensor, n_samples: float) -> None:
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

    @torch.no_grad()
    def copy_labels(self, other: Self) -> None:
        """Copy the tables of a head of the same kind with only the first labels.

        New labels start with weights of 0 and the median of the known biases.
        """
        for table, known in zip(self.weights, other.weights, strict=True):
            table.zero_()[: len(known)] = known
        for bias, known in zip(self.biases, other.biases, strict=True):
            bias.fill_(known.median())[: len(known)] = known

    def loss(
        self,
        features: Features,
        targets: Tensor,
        sample_weight: Tensor | None = None,
        label_weight: Tensor | None = None,
        extra_scores: ExtraScores | None = None,
        *,
        ignore_index: int = IGNORE_INDEX,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the mean loss of the samples, their sum, or the loss of each.

        Parameters
        ----------
        features : Tensor of shape (..., in_features), or SparseRows
            Features of the samples, with any leading dimensions, such as (n,) or
            (batch, time).
        targets : Tensor
            Single-label: int64 label indices of shape (...). Multi-label: a 0/1
            indicator of shape (..., n_labels), or a sparse one of shape (n, n_labels).
        sample_weight : Tensor of shape (...), default=None
            Factor of each sample's loss.
        label_weight : Tensor of shape (n_labels,), default=None
            Factor of the loss of each label's true (sample, label) pairs: single-label,
            of all samples with the label.
        extra_scores : callable, default=None
            Scores of another model, to which the head's are added, so that it learns
            what they lack. Called with sorted label indices (m,), returns scores
            (..., m). Only used by heads with `takes_extra_scores`.
        ignore_index : int, default=-100
            Samples with this target have no loss and no gradient, and do not count.
            Single-label only.
        reduction : {"mean", "sum", "none"}, default="mean"
            What is returned, see below.
        label_smoothing : float, default=0.0
            Share e of the target, from 0 to 1, that is spread evenly: over all labels
            or, if there are several heads, over the digits of each, in a cascade those
            that may follow the true prefix. The cross-entropy of each softmax becomes
            ``-(1 - e) * log(p[true]) - e * mean(log(p))``. Only used by heads with
            `takes_label_smoothing`, without `extra_scores`.

        Returns
        -------
        Tensor
            With ``l[i]`` the loss of sample i, smoothed, ``w[i]`` its `sample_weight`,
            if single-label times the `label_weight` of its target, and n samples that
            are not ignored:

            - "mean": ``sum_i w[i] * l[i] / n``, of shape (); NaN if n is 0. (With
              weights, `torch.nn.CrossEntropyLoss` divides by ``sum_i w[i]`` instead.)
            - "sum": ``sum_i w[i] * l[i]``, of shape ().
            - "none": ``w[i] * l[i]``, 0 if ignored, of shape (...).

        Raises
        ------
        ValueError
            If the shape, dtype or values of an argument do not fit, or the head does
            not take `extra_scores`, `ignore_index` or `label_smoothing`.
        """
        has_extra = extra_scores is not None
        check_options(self, has_extra, ignore_index, reduction, label_smoothing)
        leading = check_features(features, self.in_features)
        check_shape("sample_weight", sample_weight, leading)
        check_shape("label_weight", label_weight, (self.n_labels,))
        true: Any
        if self.multilabel:
            rows = Rows(leading)
            true = positives_of(targets, (*leading, self.n_labels), label_weight)
        else:
            check_labels(targets, leading, self.n_labels, ignore_index)
            rows = Rows.of_targets(targets, ignore_index)
            true = rows.take(targets)
        scores, extra = self._bind_rows(features, rows), rows.of(extra_scores)
        losses = self._sample_losses(scores, true, extra, label_smoothing)
        if label_weight is not None and not self.multilabel:
            losses = losses * label_weight[true]
        if sample_weight is not None:
            losses = losses * rows.take(sample_weight)
        return rows.reduce(losses, reduction)

    def _bind_rows(self, features: Features, rows: Rows) -> HeadScores:
        """Return the scores of the samples that have a loss."""
        if isinstance(features, Tensor):
            return self.bind(rows.take(features))
        scores = self.bind(features)
        return scores if rows.kept is None else scores.take(rows.kept)

    def forward(
        self,
        features: Features,
        targets: Tensor,
        sample_weight: Tensor | None = None,
        label_weight: Tensor | None = None,
        *,
        ignore_index: int = IGNORE_INDEX,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return `loss`, for what wraps modules, such as parallel training."""
        return self.loss(
            features,
            targets,
            sample_weight,
            label_weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )

    def log_prob(self, features: Features) -> Tensor:
        """Return the log-probability of every label.

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
        return self.search.log_prob(self.bind(features))

    def topk(
        self, features: Features, k: int, exact: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the k most probable labels, best first.

        Parameters
        ----------
        features : Tensor or SparseRows of shape (n, in_features)
            Features of the samples.
        k : int
            Number of labels, from 1 to n_labels.
        exact : bool, default=False
            Whether to search on until no label can have been missed. Only used by
            `CascadeHead`; the other heads are always exact.

        Returns
        -------
        labels : Tensor of int64, of shape (n, k)
            Label indices.
        scores : Tensor of shape (n, k)
            Their log-probabilities.
        """
        scores = self.bind(features)
        if not 1 <= k <= self.n_labels:
            raise ValueError(f"k must be from 1 to {self.n_labels}, got {k}.")
        return self.search.topk(scores, k, exact)

    def above(self, features: Features, threshold: float) -> tuple[Tensor, Tensor]:
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
            The pairs, sorted.
        """
        return self.search.above(self.bind(features), threshold)

    @property
    def takes_label_smoothing(self) -> bool:
        """Whether `loss` takes `label_smoothing`."""
        return False

    @property
    @abstractmethod
    def search(self) -> Search:
        """How the best labels are found."""

    def bind(self, features: Features) -> HeadScores:
        """Return the scores of (n, in_features) features, as `search` asks for them."""
        check_width("features", features, self.in_features)
        return self._scores_class(self, features)

    @abstractmethod
    def _sample_losses(
        self,
        scores: Any,
        targets: Any,
        extra_scores: ExtraScores | None,
        label_smoothing: float,
    ) -> Tensor:
        """Return the loss of each sample, shape (n,).

        Scores are what `bind` returns, targets label indices or, if multi-label,
        `Positives`.
        """

    @abstractmethod
    def _prior_scores(self, counts: Tensor, n_samples: float) -> list[Tensor]:
        """Return what each table's biases are to be before training."""

    def multiply_adds(self, k: int = 1) -> int:
        """Return the number of multiply-adds of `topk` with `k` labels for a sample.

        By default d for each row of the tables, for any `k`: all of them are scored.
        """
        return self.in_features * sum(len(weight) for weight in self.weights)

    def n_scores(self, k: int = 1) -> int:
        """Return the largest number of scores that `topk` holds for a sample."""
        return self.search.n_scores(k)

    def extra_repr(self) -> str:
        """Return the sizes, for the module's repr."""
        values = {name: getattr(self, name) for name in self._shown}
        shown = (f"{name}={v!r}" for name, v in values.items() if v is not None)
        return ", ".join(shown)


def log_odds(probabilities: Tensor, n_samples: float) -> Tensor:
    """Return the logits of frequencies, kept half a sample away from 0 and 1."""
    edge = 0.5 / (n_samples + 1)
    return torch.logit(probabilities.clamp(edge, 1 - edge))
