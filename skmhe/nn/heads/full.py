"""The head without a decomposition: a score for every label."""

import torch
import torch.nn.functional as F

from skmhe.nn._precision import linear
from skmhe.nn._rows import SparseRows
from skmhe.nn.heads._base import Head, bernoulli_losses, log_odds
from skmhe.nn.margin import check_margin, cosines, with_margin


class FullHead(Head):
    """Linear scores of all labels: one-hot encoding (OHE in [1]_).

    Single-label: softmax cross-entropy. Multi-label: the sum over the labels of
    the binary cross-entropies.

    Parameters
    ----------
    in_features : int
        Number d of features.
    n_labels : int
        Number C of labels.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    sparse_grad : bool, default=False
        Accepted so that all heads can be made alike. Every step uses the whole
        table, so the gradient is dense in any case.
    margin : Margin, default=None
        Scores are scaled cosines, without a bias, and the true label is trained to be
        ahead by a margin. For one label a sample.

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

    def __init__(
        self,
        in_features,
        n_labels,
        multilabel=False,
        sparse_grad=False,
        margin=None,
    ):
        super().__init__(in_features, n_labels, multilabel, sparse_grad)
        check_margin(margin, multilabel)
        self.margin = margin
        self._make_tables([n_labels])
        # Cosines have no bias. One that no loss depends on must not ask for gradients:
        # DistributedDataParallel would wait for them.
        self.biases[0].requires_grad_(margin is None)

    def _scores(self, features, weights, true=None):
        """Return the scores of all labels, shape (n, n_labels); of `true`, to train."""
        if self.margin is None:
            scores = linear(features, weights[0], self.biases[0])
        else:
            scores = self._cosine_scores(features, weights[0], true)
        if self.offsets is not None:
            scores = self.offsets.join(scores)
        return self._with_added(scores)

    def _cosine_scores(self, features, rows, true):
        """Return scaled cosines, those of `true` (n,), if given, less the margin."""
        cosine = cosines(features, rows)
        if true is None:
            return self.margin.scale * cosine
        return with_margin(cosine, true, self.margin)

    def _sample_losses(self, features, weights, targets):
        true = None if self.multilabel else targets
        scores = self._scores(features, weights, true)
        if self.multilabel:
            return bernoulli_losses(scores, targets)
        return F.cross_entropy(scores, targets, reduction="none")

    def _log_prob(self, features, weights):
        scores = self._scores(features, weights)
        return F.logsigmoid(scores) if self.multilabel else scores.log_softmax(1)

    def _dense(self, features):
        if self.margin is not None and isinstance(features, SparseRows):
            # Cosines need whole rows of weights, for their lengths.
            columns, values = features.to_compact()
            features = values.new_zeros(features.shape)
            features = features.index_copy(1, columns, values)
        return super()._dense(features)

    def _prior_scores(self, counts, n_samples):
        if self.margin is not None:
            return [torch.zeros_like(counts)]
        if self.multilabel:
            return [log_odds(counts / n_samples, n_samples)]
        return [((counts + 0.5) / (counts + 0.5).sum()).log()]

    def multiply_adds(self, k=1):
        """Return d * C, for any `k`: every label is scored."""
        return self.in_features * self.n_labels

    def n_scores(self, k=1):
        """Return C, for any `k`."""
        return self.n_labels

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        margin = "" if self.margin is None else f", margin={tuple(self.margin)}"
        return super().extra_repr() + margin
