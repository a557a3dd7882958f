"""The vanilla head: a score for every label."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.heads.base import ExtraScores, Head, HeadScores, log_odds
from skmhe.nn.heads.targets import bernoulli_losses
from skmhe.nn.margin import Margin, check_margin, cosines, with_margin
from skmhe.nn.search import FlatSearch
from skmhe.nn.sparse_rows import SparseRows


class FlatHeadScores(HeadScores):
    """The scores of all labels."""

    def _make_dense(self) -> tuple[Tensor, list[Tensor]]:
        if self.head.margin is None or not isinstance(self.features, SparseRows):
            return super()._make_dense()
        # The lengths in cosines are those of whole rows of weights.
        columns, values = self.features.to_compact()
        whole = values.new_zeros(self.features.shape)
        return whole.index_copy(1, columns, values), list(self.head.weights)

    def labels(self, true: Tensor | None = None) -> Tensor:
        """Return the scores of all labels, shape (n, n_labels).

        In training, the scores of the true labels, shape (n,), are lowered by a margin.
        """
        if self.head.margin is None:
            return self.of_table()
        features, weights = self.dense
        return with_margin(cosines(features, weights[0]), true, self.head.margin)

    def candidates(self, groups: Tensor) -> Tensor:
        """Return the scores of groups of one label each, (n, n_groups, 1)."""
        return self.labels().gather(1, groups)[:, :, None]

    def outside(self, labels: Tensor) -> Tensor:
        """Return the scores of some labels, shape (n, m)."""
        return self.labels()[:, labels]


class FullHead(Head):
    """A linear layer that scores every label: one-hot encoding.

    This is OHE of [1]_. The loss is the softmax cross-entropy or, if multi-label, the
    sum of the labels' binary cross-entropies.

    Parameters
    ----------
    in_features : int
        Number d of features.
    n_labels : int
        Number C of labels.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    sparse_grad : bool, default=False
        Not used, present for consistency with other heads: every step uses the whole
        table, so its gradient is dense.
    margin : Margin, default=None
        If given, scores are scaled cosines without a bias, of which that of the true
        label is trained to lead by a margin. Single-label only.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import FullHead
    >>> head = FullHead(4, n_labels=6)
    >>> features = torch.ones(2, 4)
    >>> head.loss(features, torch.tensor([0, 5])).shape
    torch.Size([])
    >>> labels, log_prob = head.topk(features, k=3)
    >>> labels.shape
    torch.Size([2, 3])
    """

    _scores_class = FlatHeadScores
    takes_extra_scores = True
    _shown = (*Head._shown, "margin")

    def __init__(
        self,
        in_features: int,
        n_labels: int,
        multilabel: bool = False,
        sparse_grad: bool = False,
        margin: Margin | None = None,
    ) -> None:
        super().__init__(in_features, n_labels, multilabel, sparse_grad)
        check_margin(margin, multilabel)
        self.margin = margin
        self._make_tables([n_labels])
        # Cosines have no bias. One that no loss depends on must not ask for gradients:
        # DistributedDataParallel would wait for them.
        self.biases[0].requires_grad_(margin is None)

    @property
    def search(self) -> FlatSearch:
        """Scores all labels."""
        return FlatSearch(self.multilabel, self.n_labels)

    @property
    def takes_label_smoothing(self) -> bool:
        """Whether it is a plain softmax: single-label, without a margin."""
        return not self.multilabel and self.margin is None

    def _sample_losses(
        self,
        scores: FlatHeadScores,
        targets: Any,
        extra_scores: ExtraScores | None,
        label_smoothing: float,
    ) -> Tensor:
        found = scores.labels(None if self.multilabel else targets)
        if extra_scores is not None:
            found = found + extra_scores(
                torch.arange(self.n_labels, device=found.device)
            )
        if self.multilabel:
            return bernoulli_losses(found, targets)
        return F.cross_entropy(
            found, targets, reduction="none", label_smoothing=label_smoothing
        )

    def _prior_scores(self, counts: Tensor, n_samples: float) -> list[Tensor]:
        if self.margin is not None:
            return [torch.zeros_like(counts)]
        if self.multilabel:
            return [log_odds(counts / n_samples, n_samples)]
        return [((counts + 0.5) / (counts + 0.5).sum()).log()]
