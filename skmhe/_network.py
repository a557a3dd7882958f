"""Networks from a description, and their weights as NumPy arrays."""

import math
import threading
import weakref
from contextlib import contextmanager
from operator import is_
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from skmhe._backbones import UserBackbone, freeze_parameters
from skmhe.nn import (
    Backbone,
    CascadeHead,
    DualEncoder,
    FullHead,
    Margin,
    ProductHead,
    SamplingHead,
    SparseRows,
)

# What the scale of the similarities to centroids is before training, by whether a
# sample may have several labels: near what it is after it, on samples of short texts.
CENTROID_SCALES = {False: 20.0, True: 5.0}
# The weight of linear classifiers that stand alone: their scores are near log-odds.
LINEAR_ALONE = 2.0
# Labels that are embedded at a time, and samples that a user's backbone is given, whose
# layers may be much wider than what goes in and comes out.
LABELS_PER_CHUNK = 2**14
SAMPLES_PER_CHUNK = 256


class NetworkSpec(NamedTuple):
    """All that is needed to build a network, but for its weights."""

    n_features: int
    n_labels: int
    multilabel: bool
    strategy: str
    head_sizes: tuple[int, ...]
    rank: int
    beam_width: int
    hard_negatives: bool
    n_sampled_groups: int
    has_network: bool  # or linear classifiers only
    has_centroids: bool
    linear_weight: float
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    dropout: float
    input_dropout: float
    n_label_features: int = 0  # of labels that have features, or 0
    shares_encoder: bool = False  # one first layer for samples and labels
    encoder_weight: float = 0.0  # share of the label encoder's loss
    scoring: str = "both"
    margin: Margin | None = None
    pool_labels: str = "batch"
    user_backbone: UserBackbone | None = None  # in place of hidden layers
    freeze: bool | str | tuple[str, ...] = False  # parameters of it

    @property
    def scores_labels(self):
        """Whether the classifier's scores count, or those of the encoder alone."""
        return self.scoring != "encoder" or not self.n_label_features

    @property
    def linear_scale(self):
        """Factor of the linear classifiers' scores."""
        return self.linear_weight if self.has_network else LINEAR_ALONE


def _full_head(spec, d):
    return FullHead(d, spec.n_labels, spec.multilabel, True, spec.margin)


def _product_head(spec, d):
    return ProductHead(d, spec.head_sizes, spec.n_labels, spec.rank, sparse_grad=True)


def _cascade_head(spec, d):
    return CascadeHead(
        d,
        spec.head_sizes,
        spec.n_labels,
        spec.multilabel,
        beam_width=spec.beam_width,
        hard_negatives=spec.hard_negatives,
        sparse_grad=True,
    )


def _sampling_head(spec, d):
    return SamplingHead(
        d,
        spec.n_labels,
        group_size=min(spec.head_sizes[-1], spec.n_labels),
        n_sampled_groups=spec.n_sampled_groups,
        multilabel=spec.multilabel,
        sparse_grad=True,
        margin=spec.margin,
        pool_labels=spec.pool_labels,
    )


BUILD_HEAD = {
    "cascade": _cascade_head,
    "product": _product_head,
    "sampling": _sampling_head,
    "full": _full_head,
}


class Network(nn.Module):
    """A backbone and a head.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    module : nn.Module, default=None
        What `UserBackbone.make` made, where the backbone is a user's.
    """

    def __init__(self, spec, module=None):
        super().__init__()
        self.spec = spec
        self._resting = []
        self.backbone, n_features = module, 0
        if module is not None:
            n_features = spec.user_backbone.out_features
            self._resting = freeze_parameters(module, spec.freeze)
        elif spec.has_network:
            self.backbone = Backbone(
                spec.n_features,
                spec.hidden_layer_sizes,
                spec.activation,
                spec.dropout,
                spec.input_dropout,
                sparse_grad=True,
            )
            n_features = self.backbone.out_features
        if spec.has_centroids:
            # The logarithm: steps of the optimiser's size are then relative ones.
            start = torch.tensor(math.log(CENTROID_SCALES[spec.multilabel]))
            self.log_centroid_scale = nn.Parameter(start)
        if spec.scores_labels:
            self.head = BUILD_HEAD[spec.strategy](spec, n_features)
        else:
            self.head = FullHead(0, spec.n_labels, spec.multilabel)
        # Behind the head, whose starting values must not depend on it.
        self.encoder = None
        if spec.n_label_features:
            self.encoder = DualEncoder(
                spec.hidden_layer_sizes[0],
                None if spec.shares_encoder else spec.n_label_features,
                sparse_grad=True,
            )
        self._label_table = self._added_texts = self._added_bias = None
        self._takes_features = False

    @property
    def is_frozen(self):
        """Whether the backbone makes the same features of a sample in every epoch."""
        return any(module is self.backbone for module in self._resting)

    @contextmanager
    def taking_features(self, given=True):
        """Take what `features` gave in place of samples for a while, if it is given."""
        self._takes_features = given
        try:
            yield self
        finally:
            self._takes_features = False

    def train(self, mode=True):
        """Set the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._resting:
            module.eval()
        return self

    def double(self):
        """Compute in float64, but for a user's backbone, which may not be able to."""
        if self.spec.user_backbone is None:
            return super().double()
        self.head.double()
        return self

    def features(self, rows):
        """Return the features that the head takes of samples."""
        if self._takes_features:
            return rows
        if self.spec.user_backbone is not None:
            return self._user_features(rows)
        if not self.head.in_features:
            return self.head.biases[0].new_zeros(rows.shape[0], 0)
        return self.backbone(rows)

    def _user_features(self, rows):
        call, module = self.spec.user_backbone.call, self.backbone
        if self.training:
            return call(module, rows)
        starts = range(0, len(rows), SAMPLES_PER_CHUNK)
        chunks = [rows[start : start + SAMPLES_PER_CHUNK] for start in starts]
        features = torch.cat([call(module, chunk) for chunk in chunks])
        return features.to(self.head.biases[0].dtype)

    def embed_samples(self, rows):
        """Return embeddings of samples, None where the encoder has no part."""
        if self.encoder is None or self.spec.scoring == "classifier":
            return None
        return self.encoder.embed_samples(rows, self.backbone.layers[0])

    def embed_labels(self, Z):
        """Return embeddings of labels from rows of features, dense or CSR."""
        weight = self.backbone.layers[0].weight
        rows = rows_to_tensor(Z, weight.device, weight.dtype)
        return self.encoder.embed_labels(rows, self.backbone.layers[0])

    def label_table(self, Z, keep=True):
        """Return the scaled embeddings of all labels, and keep them if told to.

        Only to be kept by a network that is not trained any more.
        """
        if self._label_table is not None:
            return self._label_table
        parts = [
            self.embed_labels(Z[start : start + LABELS_PER_CHUNK])
            for start in range(0, Z.shape[0], LABELS_PER_CHUNK)
        ]
        table = torch.cat(parts) * self.encoder.log_scale.exp()
        self._label_table = table if keep else None
        return table

    def added_texts(self, Z):
        """Return, in columns, the features of labels that the head does not have."""
        if self._added_texts is None:
            texts = Z[self.spec.n_labels :].T
            self._added_texts = sp.csr_array(texts) if sp.issparse(Z) else texts
        return self._added_texts

    def added_bias(self, has_linear):
        """Return the score of a label of which only its features are known.

        That of the median label, for a sample that says nothing of it: its linear
        classifier has a margin of 0, and so a loss of 1.
        """
        if not self.spec.scores_labels:
            return 0.0
        if self._added_bias is None:
            medians = [bias.median().item() for bias in self.head.biases]
            self._added_bias = sum(medians) - has_linear * self.spec.linear_scale
        return self._added_bias


def network_from_weights(spec, weights, device, copy=False):
    """Build a network on a device around arrays of weights.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    weights : dict of str to ndarray
        What `weights_to_numpy` gave.
    device : torch.device
        Where to put it.
    copy : bool, default=False
        Copy the arrays: needed to train. Otherwise a network on the CPU shares
        their memory, and must not write to it.
    """
    if spec.user_backbone is not None:
        return _user_network_from_weights(spec, weights, device)
    with torch.device("meta"):
        network = Network(spec)
    if not spec.scores_labels:
        weights = {n: w for n, w in weights.items() if not n.startswith("head.")}
        weights["head.weights.0"] = np.zeros((spec.n_labels, 0), np.float32)
        weights["head.biases.0"] = np.zeros(spec.n_labels, np.float32)
    state = {
        name: to_tensor(array.copy() if copy else array).to(device)
        for name, array in weights.items()
    }
    network.load_state_dict(state, assign=True)
    return network


def _user_network_from_weights(spec, weights, device):
    """Build a network with a user's backbone around copies of arrays of weights.

    Its module is made anew, for what is not in its state; draws for its starting
    values leave torch's generators as they were.
    """
    with torch.random.fork_rng(devices=[]):
        network = Network(spec, spec.user_backbone.make())
    state = {name: to_tensor(array) for name, array in weights.items()}
    network.load_state_dict(state)
    return network.to(device)


# The last network of each estimator and thread: to build one takes longer than to
# predict a row. Threads do not share them, as heads are given offsets for a while.
_kept = weakref.WeakKeyDictionary()


def kept_network(owner, spec, weights, device, label_features=None):
    """Return a network on a device around arrays of weights, of which one is kept.

    It may keep what it made of the features of labels, too.

    Parameters
    ----------
    owner : object
        Whose network it is; while it lives, the network is kept for it.
    spec, weights, device
        See `network_from_weights`.
    label_features : {ndarray, CSR}, default=None
        Features of the labels; with others, the network is made anew.
    """
    networks = _kept.setdefault(owner, {})
    thread, arrays = threading.get_ident(), [*weights.values(), label_features]
    if thread in networks:
        *known, kept_arrays, network = networks[thread]
        same = len(arrays) == len(kept_arrays) and all(map(is_, arrays, kept_arrays))
        if same and known == [spec, device]:
            return network
    network = network_from_weights(spec, weights, device)
    networks[thread] = spec, device, arrays, network
    return network


def weights_to_numpy(network):
    """Return the network's weights as arrays on no device.

    Of a network on the CPU they share the memory: it must not be used any more.
    """
    return {
        name: tensor.detach().cpu().numpy()
        for name, tensor in network.state_dict().items()
    }


class _Writable:
    """A buffer that claims to be writable."""

    def __init__(self, array):
        self.array = array  # keeps the memory alive
        address = array.__array_interface__["data"][0]
        self.__array_interface__ = array.__array_interface__ | {
            "data": (address, False)
        }


def to_tensor(array):
    """Wrap an array as a tensor on the CPU: the only way from NumPy to torch.

    No memory is copied if torch can use the array's. Read-only arrays (a memory
    map of another process's data) are shared, too: nothing here writes to what it
    was given, but torch, which has no read-only tensors, would warn each time.
    """
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        array = np.asarray(_Writable(array)) if array.size else array.copy()
    return torch.from_numpy(array)


def rows_to_tensor(X, device, dtype=torch.float32):
    """Return a batch of samples, dense or CSR, on a device; tokens stay integers."""
    if isinstance(X, np.ndarray) and X.dtype.kind == "i":
        return to_tensor(X).to(device)
    if isinstance(X, np.ndarray):
        return to_tensor(X).to(device, dtype)
    rows = SparseRows(*map(to_tensor, (X.indices, X.indptr, X.data)), X.shape[1])
    return rows.to(device)._replace(values=rows.values.to(device, dtype))


def root_mean_square_scale(X):
    """Return the factor that gives the rows a root mean square length of 1."""
    data = X.data if sp.issparse(X) else X
    total = np.square(data, dtype=np.float64).sum()
    return np.sqrt(X.shape[0] / total) if total > 0 else 1.0


def resolve_dtype(precision, device):
    """Return the type of products that the parameter `precision` asks for.

    None for that of the weights. Only what multiplies 16-bit numbers faster is worth
    the digits: AMX or AVX-512 with BF16 of a processor, CUDA from compute capability 8.
    """
    if precision == "auto":
        if device.type == "cuda":
            has_units = torch.cuda.get_device_capability(device) >= (8, 0)
        else:
            # Older versions of torch cannot tell.
            features = getattr(torch.cpu, "get_capabilities", dict)()
            has_units = features.get("amx_bf16") or features.get("avx512_bf16")
            has_units = device.type == "cpu" and bool(has_units)
        precision = "bfloat16" if has_units else "float32"
    return torch.bfloat16 if precision == "bfloat16" else None


def resolve_device(device):
    """Return the `torch.device` that the parameter `device` asks for.

    Raises
    ------
    ValueError
        If torch does not know the device, or this machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    remedy = "use device='auto' or device='cpu'"
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows: {remedy}."
        ) from error
    if resolved.type not in ("cpu", "cuda"):
        try:
            torch.zeros(1, device=resolved).cpu()
        except Exception as error:  # each kind of device raises another one
            raise ValueError(
                f"device={device!r} cannot be used on this machine: {remedy}."
            ) from error
    if resolved.type == "cuda":
        n_devices = torch.cuda.device_count()
        if (resolved.index or 0) >= n_devices:
            raise ValueError(
                f"device={device!r} was asked for, but torch finds {n_devices} CUDA "
                f"devices here: {remedy}."
            )
    return resolved
