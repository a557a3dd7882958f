"""The network: backbone, head and label encoder, built from a description."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skmhe.nn import Backbone, DualEncoder, Head, InputLayer, SparseRows
from skmhe.nn.backbone import InputDropout
from skmhe.nn.heads.base import Features, HeadScores
from skmhe.nn.scores import Search
from skmhe.scorers.batch import Batch, Rows, row_chunks, rows_to_tensor, to_tensor
from skmhe.scorers.combination import Scorer
from skmhe.scorers.generators import borrowed_generators
from skmhe.scorers.parameter_names import Frozen
from skmhe.scorers.progress import SILENT, Progress
from skmhe.scorers.user_backbone import UserBackbone, UserModule

Weights = dict[str, np.ndarray]

# Share of the features of samples and labels that are dropped in training where their
# embeddings are sums over features.
BAG_DROPOUT = 0.6
# Labels whose embeddings a step holds all of the computation of: a user's network is
# run again for these in the backward pass, so that memory does not grow with the pool.
LABELS_COMPUTED_AGAIN = 64


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
    """A label encoder that is trained with the classifier.

    What makes features of labels is a user's network, or a first layer of their own for
    labels of `n_features`; with neither, what makes those of samples: the user's
    backbone, or the first layer.
    """

    loss_weight: float  # share of its loss in the joint loss
    n_features: int | None = None
    user_backbone: UserBackbone | None = None
    freeze: Frozen = False  # parameters of it

    @property
    def is_shared(self) -> bool:
        """Whether one network makes features of samples and of labels."""
        return self.n_features is None and self.user_backbone is None


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
    freeze: Frozen = False  # parameters of it

    @property
    def label_network(self) -> UserBackbone | None:
        """The user's network that makes features of labels, if one does."""
        if self.encoder is None or self.encoder.n_features is not None:
            return None
        return self.encoder.user_backbone or self.user_backbone


class Network(nn.Module):
    """A backbone and a head, and what is trained with them.

    Where the backbone is a user's, it is the module that `UserBackbone.make` made; so
    is that of the label encoder.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        module: nn.Module | None = None,
        label_module: nn.Module | None = None,
    ) -> None:
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
        self.label_backbone: InputLayer | UserModule | None = None
        if spec.encoder is not None:
            self._add_encoder(spec.encoder, label_module)

    def _add_encoder(self, spec: EncoderSpec, module: nn.Module | None) -> None:
        """Add the label encoder, and what makes features of labels for it alone."""
        dim, label_dim = self.backbone.out_features, None
        if isinstance(self.backbone, Backbone):
            dim = self.spec.hidden_layer_sizes[0]
        if spec.user_backbone is not None:
            assert module is not None
            labels = UserModule(spec.user_backbone, module, spec.freeze)
            self.label_backbone, label_dim = labels, labels.out_features
        self.encoder = DualEncoder(dim, label_dim)
        if spec.n_features is not None:
            layer = InputLayer(spec.n_features, dim, sparse_grad=True)
            # Embeddings have no bias: it would make all of them alike.
            layer.bias.requires_grad_(False)
            self.label_backbone = layer
        self.bag_dropout = InputDropout(BAG_DROPOUT)

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

    @property
    def embeds_labels_slowly(self) -> bool:
        """Whether a user's network makes features of labels."""
        has_encoder = self.encoder is not None
        return has_encoder and isinstance(self._label_network, UserModule)

    @property
    def has_frozen_labels(self) -> bool:
        """Whether the same features are made of a label in every step."""
        network = self._label_network
        return isinstance(network, UserModule) and network.is_frozen

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

    @property
    def _sample_network(self) -> InputLayer | UserModule:
        """What makes features of samples for the label encoder."""
        if isinstance(self.backbone, UserModule):
            return self.backbone
        layer = self.backbone.layers[0]
        assert isinstance(layer, InputLayer)
        return layer

    @property
    def _label_network(self) -> InputLayer | UserModule:
        return self.label_backbone or self._sample_network

    def embed_samples(self, batch: Batch) -> Tensor:
        """Return the label encoder's embeddings of samples, shape (n, dim)."""
        assert self.encoder is not None
        network = self._sample_network
        if isinstance(network, InputLayer):
            features = network.without_bias(self.bag_dropout(batch.tensor))
        else:
            features = batch.features(self.features)
        return self.encoder.embed_samples(features)

    def embed_labels(self, Z: Rows, has_features: bool = False) -> Tensor:
        """Return embeddings of labels, shape (n_labels, dim).

        From their features, or from what `label_features` makes of these.
        """
        assert self.encoder is not None
        if has_features:
            return self.encoder.embed_labels(to_tensor(Z).to(self.device))
        return self.encoder.embed_labels(self.label_features(Z))

    def label_features(self, Z: Rows) -> Tensor:
        """Return what the label encoder maps to embeddings of labels."""
        network = self._label_network
        rows: Any = rows_to_tensor(Z, self.device)
        if isinstance(network, InputLayer):
            return network.without_bias(self.bag_dropout(rows))
        data = "label_features"
        if not self.training:
            return network(rows, data).to(self.dtype)
        n_chunks = -(-len(rows) // LABELS_COMPUTED_AGAIN)
        if n_chunks == 1 or network.has_batch_norm:
            return network(rows, data)
        # "Gradient cache" (Gao et al., 2021): each chunk is run without its
        # computation kept, and again when its gradient is known.
        parts = rows.tensor_split(n_chunks)
        return torch.cat(
            [checkpoint(network, part, data, use_reentrant=False) for part in parts]
        )


def network_from_weights(
    spec: NetworkSpec, weights: Weights, device: torch.device, copy: bool = False
) -> Network:
    """Build a network on a device around arrays of weights.

    A network on the CPU shares their memory, and must not write to it, unless they are
    copied, as training needs.
    """
    labels = None if spec.encoder is None else spec.encoder.user_backbone
    users = [spec.user_backbone, labels]
    if any(user is not None for user in users):
        # Modules are made anew, for what is not in their state; draws for their
        # starting values leave torch's generators as they were.
        with borrowed_generators():
            made = [None if user is None else user.make_again() for user in users]
            network = Network(spec, *made)
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


def network_features(
    network: Network, X: Rows, progress: Progress = SILENT
) -> np.ndarray:
    """Return the backbone's features of each row, float32 of shape (n, d)."""
    network.eval()
    d = network.head.in_features
    return features_of_rows(network.features, X, d, network.device, progress)


@torch.inference_mode()
def features_of_rows(
    make: Callable[[Any], Features],
    X: Rows,
    n_features: int,
    device: torch.device,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Return what a function makes of each row, float32 of shape (n, n_features)."""
    result = np.empty((X.shape[0], n_features), np.float32)
    chunks = list(row_chunks(X.shape[0], n_features))
    for rows in progress.pieces(chunks, len(chunks)):
        features = Batch(X[rows], device).features(make)
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
    part = "network"

    def bind(self, batch: Batch) -> HeadScores:
        """Return the scores of a batch."""
        return self.network.head.bind(batch.features(self.network.features))

    def multiply_adds(self, n_stored: float) -> float:
        """Estimate those of the network, see `Network.multiply_adds`."""
        return self.network.multiply_adds(n_stored)
