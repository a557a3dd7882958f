"""Backbones that users bring: made from what they pass, checked, and partly frozen."""

import copy
import inspect
from fnmatch import fnmatchcase

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch import nn

# Samples that a backbone is given to see what it makes of them.
N_PROBED = 2


class UserBackbone:
    """How to make a user's backbone, and what goes in and comes out.

    Parameters
    ----------
    backbone : nn.Module or callable
        A module, of which copies are made, or what makes one.
    params : dict
        What to call it with.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of a sample; set by `probe`.
    takes_tokens : bool
        Whether samples are integers.
    n_tokens : int or None
        Size of the largest embedding, which integers must be below.
    out_features : int
        Number of features that come out.
    """

    def __init__(self, backbone, params):
        self.backbone, self.params = backbone, params
        self.input_shape = self.takes_tokens = self.n_tokens = self.out_features = None

    def __eq__(self, other):
        if not isinstance(other, UserBackbone):
            return NotImplemented
        return self.backbone is other.backbone and self.params == other.params

    __hash__ = None

    @property
    def name(self):
        """What errors call it."""
        backbone = self.backbone
        if isinstance(backbone, nn.Module):
            return type(backbone).__name__
        return getattr(backbone, "__name__", type(backbone).__name__)

    def make(self):
        """Return a new module, in float32 and on the CPU.

        Raises
        ------
        ValueError, TypeError
            If none can be made with these parameters, or it cannot be trained.
        """
        if isinstance(self.backbone, nn.Module):
            if self.params:
                given = ", ".join(f"backbone__{name}" for name in self.params)
                raise ValueError(
                    f"{given} cannot be set: backbone={self.name} is a module that is "
                    "made already. Pass its class, or a function that makes it."
                )
            module = copy.deepcopy(self.backbone)
        else:
            module = self._call()
        tensors = [*module.parameters(), *module.buffers()]
        if not any(True for _ in module.parameters()):
            raise ValueError(
                f"backbone={self.name} has no parameters: there is nothing to train "
                "or to keep. Use backbone=None with hidden_layer_sizes=() for heads "
                "that are linear in X."
            )
        if any(tensor.is_meta for tensor in tensors):
            raise ValueError(
                f"backbone={self.name} is on the device 'meta', where tensors have no "
                "values: make it on the CPU or on the device to train on."
            )
        return module.float().cpu()

    def _call(self):
        try:
            inspect.signature(self.backbone).bind(**self.params)
        except TypeError as error:
            given = ", ".join(f"backbone__{n}={v!r}" for n, v in self.params.items())
            raise TypeError(
                f"backbone={self.name} cannot be called with "
                f"{given or 'no parameters'}: {error}. Set its parameters by "
                "backbone__<name>=value."
            ) from error
        module = self.backbone(**self.params)
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"backbone={self.name} made a {type(module).__name__}, but must be or "
                "make a torch.nn.Module."
            )
        return module

    def probe(self, module, X, device):
        """Look at what a module makes of the first samples; set the attributes.

        Raises
        ------
        ValueError
            If heads cannot work with it.
        """
        self.input_shape, self.takes_tokens = X.shape[1:], X.dtype.kind == "i"
        sizes = [m.num_embeddings for m in module.modules() if _is_embedding(m)]
        self.n_tokens = max(sizes, default=None) if self.takes_tokens else None
        self.check_inputs(X)
        module = module.to(device).eval()
        # A copy: torch warns of arrays that are read-only, as maps of memory are.
        inputs = torch.from_numpy(np.array(X[:N_PROBED])).to(device)
        with torch.no_grad():
            features = self.call(module, inputs)
        if not torch.isfinite(features).all():
            raise ValueError(
                f"backbone={self.name} puts out NaN or infinity for the first samples: "
                "scale X, or look at how its weights start."
            )
        self.out_features = features.shape[1]

    def check_inputs(self, X):
        """Raise ValueError for samples of another form than those that were fitted."""
        kind = "integers" if self.takes_tokens else "floats"
        if X.shape[1:] != self.input_shape or (X.dtype.kind == "i") != (
            self.takes_tokens
        ):
            raise ValueError(
                f"X has samples of shape {X.shape[1:]} and type {X.dtype}, but "
                f"backbone={self.name} was fitted with {kind} of shape "
                f"{self.input_shape}: pass the same (tokens padded to one length)."
            )
        if self.n_tokens is not None and X.size:
            low, high = int(X.min()), int(X.max())
            if low < 0 or high >= self.n_tokens:
                raise ValueError(
                    f"X has integers in {low}..{high}, but the largest embedding of "
                    f"backbone={self.name} has {self.n_tokens} rows: tokens must be in "
                    f"0..{self.n_tokens - 1}. Make its table larger, or map other "
                    "tokens to one for unknown ones."
                )

    def call(self, module, inputs):
        """Return the features of samples, and check their form."""
        n = len(inputs)
        try:
            features = module(inputs)
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            hint = ""
            if not inputs.is_floating_point():
                hint = (
                    " (Integers are passed on as they are, as token ids: make floats "
                    "of other numbers, such as images.)"
                )
            raise ValueError(
                f"backbone={self.name} failed for {n} samples of shape "
                f"{tuple(inputs.shape[1:])} and type {inputs.dtype}: {error}{hint}"
            ) from error
        if not isinstance(features, torch.Tensor):
            raise ValueError(
                f"backbone={self.name} puts out a {type(features).__name__}, but must "
                "put out one tensor of features (n, d)."
            )
        if features.ndim != 2 or len(features) != n or not features.shape[1]:
            raise ValueError(
                f"backbone={self.name} puts out {tuple(features.shape)} for {n} "
                "samples, but must put out features of shape "
                f"({n}, d): flatten or pool them, and keep one row a sample."
            )
        if features.device != inputs.device or not features.is_floating_point():
            raise ValueError(
                f"backbone={self.name} puts out {features.dtype} on the device "
                f"{str(features.device)!r} for samples on the device "
                f"{str(inputs.device)!r}, but must put out floats on the same one: "
                "do not name devices in it."
            )
        return features


def _is_embedding(module):
    return isinstance(module, nn.Embedding | nn.EmbeddingBag)


def flat_rows(X):
    """Return samples as rows that can be compared, to cluster labels by their mean.

    Tokens become TF-IDF weights of their counts, as their numbers have no meaning.
    """
    if X.dtype.kind != "i":
        return X.reshape(len(X), -1)
    tokens = X.reshape(len(X), -1)
    tokens = tokens - tokens.min(initial=0)
    n, length = tokens.shape
    shape = n, tokens.max(initial=0) + 1
    counts = sp.csr_array(
        (
            np.ones(tokens.size, np.float32),
            tokens.ravel(),
            np.arange(0, n * length + 1, length),
        ),
        shape=shape,
    )
    counts.sum_duplicates()
    return sp.csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(counts))


def frozen_names(module, freeze):
    """Return the names of the parameters that a `freeze` parameter asks for.

    Raises
    ------
    ValueError
        If a pattern matches nothing.
    """
    names = [name for name, _ in module.named_parameters()]
    if isinstance(freeze, bool):
        return set(names) if freeze else set()
    return {name for pattern in _patterns(freeze) for name in _matching(pattern, names)}


def _patterns(patterns):
    return [patterns] if isinstance(patterns, str) else list(patterns)


def _matching(pattern, names):
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise ValueError(
            f"the pattern {pattern!r} matches none of the backbone's {len(names)} "
            f"parameters, which are {', '.join(names[:5])}, ..: use names of "
            "backbone.named_parameters(), or patterns such as 'layers.0.*'."
        )
    return found


def freeze_parameters(module, freeze):
    """Keep parameters from training; return the modules that have no others.

    These must stay in evaluation mode, where they drop nothing and their statistics
    stay as they are.
    """
    frozen = frozen_names(module, freeze)
    for name, parameter in module.named_parameters():
        # Assigned, as parameters of lazy modules, which have no shape yet, allow that.
        parameter.requires_grad = parameter.requires_grad and name not in frozen
    return [
        part
        for name, part in module.named_modules()
        if frozen
        and any(True for _ in part.parameters())
        and all(_joined(name, own) in frozen for own, _ in part.named_parameters())
    ]


def _joined(*names):
    return ".".join(name for name in names if name)


def rates_by_name(module, rates):
    """Return {parameter name: learning rate} of those that have one of their own.

    Parameters
    ----------
    module : nn.Module
        The backbone.
    rates : float, dict or None
        One for all, or {pattern of names: rate}; the last pattern that matches counts.
    """
    names = [name for name, _ in module.named_parameters()]
    if rates is None:
        return {}
    if not isinstance(rates, dict):
        return dict.fromkeys(names, float(rates))
    found = {}
    for pattern, rate in rates.items():
        if not rate > 0:
            raise ValueError(
                f"backbone_learning_rate={{{pattern!r}: {rate!r}}} must have rates "
                "above 0: name what is not to be trained in freeze."
            )
        found |= dict.fromkeys(_matching(pattern, names), float(rate))
    return found
