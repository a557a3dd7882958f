"""The head without a decomposition: a score for every label."""

import torch.nn.functional as F

from skmhe.nn._precision import linear
from skmhe.nn.heads._base import Head, bernoulli_losses, log_odds


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

    def __init__(self, in_features, n_labels, multilabel=False, sparse_grad=False):
        super().__init__(in_features, n_labels, multilabel, sparse_grad)
        self._make_tables([n_labels])

    def _scores(self, features, weights):
        # shape: (n, n_labels)
        scores = linear(features, weights[0], self.biases[0])
        if self.offsets is not None:
            scores = self.offsets.join(scores)
        return self._with_added(scores)

    def _sample_losses(self, features, weights, targets):
        scores = self._scores(features, weights)
        if self.multilabel:
            return bernoulli_losses(scores, targets)
        return F.cross_entropy(scores, targets, reduction="none")

    def _log_prob(self, features, weights):
        scores = self._scores(features, weights)
        return F.logsigmoid(scores) if self.multilabel else scores.log_softmax(1)

    def _prior_scores(self, counts, n_samples):
        if self.multilabel:
            return [log_odds(counts / n_samples, n_samples)]
        return [((counts + 0.5) / (counts + 0.5).sum()).log()]

    def multiply_adds(self, k=1):
        """Return d * C, for any `k`: every label is scored."""
        return self.in_features * self.n_labels

    def n_scores(self, k=1):
        """Return C, for any `k`."""
        return self.n_labels
