"""Labels with features: an encoder of samples and labels, and its loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmhe.nn.products import product, product_dtype

# Factor of the cosines at the start, as in UniDEC.
START_SCALE = 18.0


class DualEncoder(nn.Module):
    """Cosines of embedded samples and embedded labels.

    This is the head of UniDEC [1]_. It maps what a network makes of samples, and what
    the same network or another one makes of labels, to embeddings of unit length. Both
    maps start as the identity, and let the two embeddings differ: the text of a label
    is rarely a typical sample of it.

    Parameters
    ----------
    dim : int
        Number d of features of a sample, and length of the embeddings.
    label_dim : int, default=None
        Number of features of a label, if another network makes them. The map of labels
        then starts at random. None is `dim`.

    Attributes
    ----------
    log_scale : Parameter of shape ()
        Logarithm of the factor of the cosines; trained. The factor starts at 18.

    References
    ----------
    .. [1] Kharbanda et al., "UniDEC: Unified Dual Encoder and Classifier Training for
       Extreme Multi-Label Classification", arXiv:2405.03714, section 3.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import DualEncoder
    >>> network, encoder = torch.nn.Linear(20, 8), DualEncoder(8)
    >>> samples = encoder.embed_samples(network(torch.rand(2, 20)))
    >>> labels = encoder.embed_labels(network(torch.rand(5, 20)))
    >>> encoder(samples, labels).shape
    torch.Size([2, 5])
    """

    def __init__(self, dim: int, label_dim: int | None = None) -> None:
        super().__init__()
        self.is_residual = label_dim is None
        self.sample_map = nn.Linear(dim, dim, bias=False)
        self.label_map = nn.Linear(label_dim or dim, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start the maps as the identity, to which their weights are added."""
        nn.init.zeros_(self.sample_map.weight)
        if self.is_residual:
            nn.init.zeros_(self.label_map.weight)
        else:
            self.label_map.reset_parameters()

    def embed_samples(self, features: Tensor) -> Tensor:
        """Return embeddings of samples, of unit length.

        Parameters
        ----------
        features : Tensor of shape (n, dim)
            What a network makes of samples.

        Returns
        -------
        Tensor of shape (n, dim)
            Embeddings; 0 for a row of zeros.
        """
        return F.normalize(features + self.sample_map(features))

    def embed_labels(self, features: Tensor) -> Tensor:
        """Return embeddings of labels, of unit length.

        Parameters
        ----------
        features : Tensor of shape (n_labels, label_dim)
            What a network makes of labels.

        Returns
        -------
        Tensor of shape (n_labels, dim)
            Embeddings; 0 for a row of zeros.
        """
        mapped = self.label_map(features)
        return F.normalize(features + mapped if self.is_residual else mapped)

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Return the scaled cosines of embeddings, shape (n, n_labels)."""
        labels = labels * self.log_scale.exp()
        return product(samples, labels.T, product_dtype(labels))


def pick_some_label_loss(
    scores: Tensor, samples: Tensor, places: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return each sample's loss over a pool, which is some of the labels.

    This is the "pick some label" loss (PSL) of [1]_. With P_i the labels of sample i in
    the pool, it is the mean over p in P_i of ``log(sum_l exp(s_il)) - s_ip``, and 0 if
    P_i is empty. If the pool holds all labels, this is the softmax loss.

    Parameters
    ----------
    scores : Tensor of shape (n, n_pool)
        Scores of the pool's labels.
    samples, places : Tensor of int64, of shape (n_positives,)
        All true (sample, place in the pool) pairs.
    weights : Tensor of shape (n_positives,), default=None
        Factors of the pairs' losses.

    Returns
    -------
    Tensor of shape (n,)
        Losses.

    References
    ----------
    .. [1] Kharbanda et al., "UniDEC: Unified Dual Encoder and Classifier Training for
       Extreme Multi-Label Classification", arXiv:2405.03714, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import pick_some_label_loss
    >>> scores, zero = torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)
    >>> pick_some_label_loss(scores, zero, zero)  # log(4)
    tensor([1.3863])
    """
    n = len(scores)
    losses = scores.logsumexp(1)[samples] - scores[samples, places]
    if weights is not None:
        losses = losses * weights
    counts = torch.bincount(samples, minlength=n).clamp(min=1)
    return scores.new_zeros(n).index_add(0, samples, losses / counts[samples])
