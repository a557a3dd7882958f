"""Labels with features: an encoder of samples and labels, and its loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmhe.nn.backbone import InputDropout, InputLayer
from skmhe.nn.products import RowProduct, product, product_dtype
from skmhe.nn.sparse_rows import SparseRows

# Factor of the cosines at the start, as in UniDEC.
START_SCALE = 18.0


class DualEncoder(nn.Module):
    """Cosines of embedded samples and embedded labels (UniDEC [1]_).

    A sample is embedded by a first layer without bias, usually the backbone's; a label
    by the same layer if its features are of the same kind, or else by one of its own.
    Two linear maps, which start as the identity, let the two embeddings differ: the
    text of a label is rarely a typical sample of it.

    Parameters
    ----------
    dim : int
        Length d of the embeddings: the outputs of the first layer.
    n_label_features : int, default=None
        Number of features of a label if labels have a first layer of their own; None
        if they share that of the samples.
    dropout : float, default=0.6
        Share of the features of samples and labels that are dropped in training.
    sparse_grad : bool, default=False
        See `InputLayer`.

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
    >>> from skmhe.nn import DualEncoder, InputLayer
    >>> layer, encoder = InputLayer(20, 8), DualEncoder(8)
    >>> samples = encoder.embed_samples(torch.rand(2, 20), layer)
    >>> labels = encoder.embed_labels(torch.rand(5, 20), layer)
    >>> encoder(samples, labels).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        dim: int,
        n_label_features: int | None = None,
        dropout: float = 0.6,
        sparse_grad: bool = False,
    ) -> None:
        super().__init__()
        self.sample_map = nn.Linear(dim, dim, bias=False)
        self.label_map = nn.Linear(dim, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))
        self.label_layer: InputLayer | None = None
        if n_label_features is not None:
            self.label_layer = InputLayer(n_label_features, dim, sparse_grad)
            # Embeddings have no bias: it would make all of them alike.
            self.label_layer.bias.requires_grad_(False)
        self.dropout = InputDropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start the maps as the identity, to which their weights are added."""
        nn.init.zeros_(self.sample_map.weight)
        nn.init.zeros_(self.label_map.weight)

    def embed_samples(self, inputs: Tensor | SparseRows, layer: InputLayer) -> Tensor:
        """Return embeddings of samples, of unit length.

        Parameters
        ----------
        inputs : Tensor or SparseRows of shape (n, n_features)
            Samples.
        layer : InputLayer
            The samples' first layer.

        Returns
        -------
        Tensor of shape (n, dim)
            Embeddings; 0 for a row of zeros.
        """
        return self._embed(inputs, layer, self.sample_map)

    def embed_labels(self, inputs: Tensor | SparseRows, layer: InputLayer) -> Tensor:
        """Return embeddings of labels, of unit length.

        Parameters
        ----------
        inputs : Tensor or SparseRows of shape (n_labels, n_label_features)
            Features of labels.
        layer : InputLayer
            The samples' first layer; only used if labels have none of their own.

        Returns
        -------
        Tensor of shape (n_labels, dim)
            Embeddings; 0 for a row of zeros.
        """
        return self._embed(inputs, self.label_layer or layer, self.label_map)

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Return the scaled cosines of embeddings, shape (n, n_labels)."""
        labels = labels * self.log_scale.exp()
        return product(samples, labels.T, product_dtype(labels))

    def _embed(
        self, inputs: Tensor | SparseRows, layer: InputLayer, linear: nn.Linear
    ) -> Tensor:
        rows = self.dropout(inputs)
        embedded = RowProduct.apply(layer.weight, rows, layer.sparse_grad)
        return F.normalize(embedded + linear(embedded))


def pick_some_label_loss(
    scores: Tensor, samples: Tensor, places: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return each sample's loss over a pool, which is some of the labels (PSL in [1]_).

    With P_i the labels of sample i in the pool, it is the mean over p in P_i of
    ``log(sum_l exp(s_il)) - s_ip``, and 0 if P_i is empty. If the pool holds all
    labels, this is the softmax loss.

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
