"""The network: backbone, head and label encoder, built from a description."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skmhe.nn import Backbone, DualEncoder, Head, InputLayer, SparseRows
from skmhe.nn.heads.base import Features, HeadScores
from skmhe.nn.scores import Search
from skmhe.scorers.batch import Batch, Rows, row_chunks, rows_to_tensor, to_tensor
from skmhe.scorers.combination import Scorer
from skmhe.scorers.generators import borrowed_generators
from skmhe.scorers.progress import SILENT, Progress
from skmhe.scorers.user_backbone import Patterns, UserBackbone, UserModule

Weights = dict[str, np.ndarray]


class HeadSpec(NamedTuple):
    """A head, but for the number of features that it scores."""

    kind: type[Head]
    options: dict[str, Any]

    def make(self, in_features: int) -> Head:
        """Return a new head."""
        return self.kind(in_features, **self.options)

    @property
    def search(self) -> Search:
        """How the head's labels are found."""
        with torch.device("meta"):
            return self.make(0).search

    def with_options(self, **options: Any) -> "HeadSpec":
        """Return the same head with other options, of those that it has."""
        own = {name: v for name, v in options.items() if name in self.options}
        return self._replace(options=self.options | own)


class EncoderSpec(NamedTuple):
    """A label encoder that is trained with the classifier."""

    n_features: int  # of a label
    shares_layer: bool  # samples and labels have one first layer
    loss_weight: float  # share of its loss in the joint loss


class NetworkSpec(NamedTuple):
    """All that is needed to build a network, but for its weights."""

    n_features: int
    head: HeadSpec
    hidden_layer_sizes: tuple[int, ...] = ()
    dropout: tuple[float, float] = (0.0, 0.0)  # of inputs, of hidden outputs
    # Where the network is trained to complete similarities to centroids: the factor
    # of these that training starts from.
    centroid_scale: float | None = None
    encoder: EncoderSpec | None = None
    user_backbone: UserBackbone | None = None  # in place of hidden layers
    freeze: bool | Patterns = False  # parameters of it


class Network(nn.Module):
    """A backbone and a head, and what is trained with them.

    Where the backbone is a user's, it is the module that `UserBackbone.make` made.
    """

    def __init__(self, spec: NetworkSpec, module: nn.Module | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.backbone: Backbone | UserModule
        if spec.user_backbone is not None:
            assert module is not None
            self.backbone = UserModule(spec.user_backbone, module, spec.freeze)
        else:
            input_dropout, dropout = spec.dropout
            self.backbone = Backbone(
                spec.n_features,
                spec.hidden_layer_sizes,
                dropout=dropout,
                input_dropout=input_dropout,
                sparse_grad=True,
            )
        if spec.centroid_scale is not None:
            # The logarithm: steps of the optimizer's size are then relative ones.
            start = torch.tensor(math.log(spec.centroid_scale))
            self.log_centroid_scale = nn.Parameter(start)
        self.head = spec.head.make(self.backbone.out_features)
        # After the head, whose starting values must not depend on it.
        self.encoder: DualEncoder | None = None
        if spec.encoder is not None:
            self.encoder = DualEncoder(
                spec.hidden_layer_sizes[0],
                None if spec.encoder.shares_layer else spec.encoder.n_features,
                sparse_grad=True,
            )

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.head.biases[0].device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of its scores."""
        return self.head.biases[0].dtype

    @property
    def centroid_scale(self) -> Tensor:
        """Factor of the similarities to centroids."""
        return self.log_centroid_scale.exp()

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone makes the same features of a sample in every epoch."""
        return isinstance(self.backbone, UserModule) and self.backbone.is_frozen

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of a sample with so many nonzero features.

        Of a user's network nothing is known: infinity.
        """
        if self.spec.user_backbone is not None:
            return math.inf
        widths = [n_stored, *self.spec.hidden_layer_sizes]
        scores = self.head.multiply_adds() / self.head.in_features
        return sum(a * b for a, b in pairwise([*widths, scores]))

    def features(self, rows: Features) -> Features:
        """Return the features that the head scores, shape (n, d)."""
        features = self.backbone(rows)
        # A user's backbone may compute in another precision.
        if isinstance(features, Tensor) and not self.training:
            return features.to(self.dtype)
        return features

    def _first_layer(self) -> InputLayer:
        layer = self.backbone.layers[0]  # type: ignore[index]
        assert isinstance(layer, InputLayer)
        return layer

    def embed_samples(self, rows: Features) -> Tensor:
        """Return the label encoder's embeddings of samples, shape (n, dim)."""
        assert self.encoder is not None
        return self.encoder.embed_samples(rows, self._first_layer())

    def embed_labels(self, Z: Rows) -> Tensor:
        """Return embeddings of labels from rows of features, shape (n_labels, dim)."""
        assert self.encoder is not None
        layer = self._first_layer()
        rows = rows_to_tensor(Z, layer.weight.device, layer.weight.dtype)
        return self.encoder.embed_labels(rows, layer)


def network_from_weights(
    spec: NetworkSpec, weights: Weights, device: torch.device, copy: bool = False
) -> Network:
    """Build a network on a device around arrays of weights.

    A network on the CPU shares their memory, and must not write to it, unless they are
    copied, as training needs.
    """
    if spec.user_backbone is not None:
        # The module is made anew, for what is not in its state; draws for its starting
        # values leave torch's generators as they were.
        with borrowed_generators():
            network = Network(spec, spec.user_backbone.make())
        network.load_state_dict({n: to_tensor(a) for n, a in weights.items()})
        return network.to(device)
    with torch.device("meta"):
        network = Network(spec)
    weights = {n: w.copy() if copy else w for n, w in weights.items()}
    state = {n: to_tensor(w).to(device) for n, w in weights.items()}
    network.load_state_dict(state, assign=True)
    return network


def weights_to_numpy(network: nn.Module) -> Weights:
    """Return the network's weights as arrays on no device.

    Of a network on the CPU they share the memory: it must not be used any more.
    """
    return {n: w.detach().cpu().numpy() for n, w in network.state_dict().items()}


def with_more_labels(spec: NetworkSpec, weights: Weights, head: HeadSpec) -> Weights:
    """Return weights of a network whose head has more labels, which are untrained."""
    network = network_from_weights(spec, weights, torch.device("cpu"))
    more = head.make(network.head.in_features)
    more.copy_labels(network.head)
    network.head = more
    return weights_to_numpy(network)


@torch.inference_mode()
def network_features(
    network: Network, X: Rows, progress: Progress = SILENT
) -> np.ndarray:
    """Return the backbone's features of each row, float32 of shape (n, d)."""
    network.eval()
    d = network.head.in_features
    result = np.empty((X.shape[0], d), np.float32)
    chunks = list(row_chunks(X.shape[0], d))
    for rows in progress.pieces(chunks, len(chunks)):
        features = network.features(Batch(X[rows], network.device).tensor)
        if isinstance(features, SparseRows):
            raise AssertionError("transform is offered with hidden layers only")
        result[rows] = features.cpu().numpy()
    return result


@dataclass(frozen=True, eq=False)
class NetworkScorer(Scorer):
    """The scores of the network's head."""

    network: Network  # in evaluation mode

    scores_labels = True
    can_steer = True

    def bind(self, batch: Batch) -> HeadScores:
        """Return the scores of a batch."""
        return self.network.head.bind(self.network.features(batch.tensor))

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of the network, see `Network.multiply_adds`."""
        return self.network.multiply_adds(n_stored)
