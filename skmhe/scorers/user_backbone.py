"""Backbones that users bring: built from what they pass, checked, and partly frozen."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch import Tensor, nn

from skmhe.scorers.parameter_names import (
    LABELS_ARGUMENT,
    OWN_ARGUMENT,
    Frozen,
    freeze_parameters,
)
from skmhe.scorers.parts import Samples, name_of_part, part_of

# Samples that a backbone is given to see what it makes of them.
N_PROBED = 2
# Samples that it is given at a time in predictions: its layers may be much wider than
# what goes in and comes out.
SAMPLES_PER_CHUNK = 256


def name_of(backbone: Any) -> str:
    """Return what errors call a module, or what makes one."""
    return getattr(backbone, "__name__", type(backbone).__name__)


class SampleForm(NamedTuple):
    """What goes into a user's backbone, and how many features come out."""

    shape: tuple[int, ...]  # of a sample
    is_tokens: bool  # whether samples are integers
    n_tokens: int | None  # size of the largest embedding, which integers must be below
    out_features: int


def same_values(one: Any, other: Any) -> bool:
    """Compare what users pass, of which arrays alone have no truth value."""
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same_values(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        same_form = type(one) is type(other) and len(one) == len(other)
        return same_form and all(map(same_values, one, other))
    if isinstance(one, np.ndarray | Tensor) or isinstance(other, np.ndarray | Tensor):
        same_form = type(one) is type(other) and one.shape == other.shape
        return same_form and one.dtype == other.dtype and bool((one == other).all())
    equal = one == other
    # Tables, for example, are told apart unless they are the same object.
    return isinstance(equal, bool | np.bool_) and bool(equal)


@dataclass(frozen=True, eq=False)
class UserBackbone:
    """How to make a user's backbone, and what goes in and comes out.

    Two are equal if they make the same, whatever goes in and comes out.
    """

    backbone: nn.Module | Callable[..., nn.Module]  # it is copied, or makes a module
    params: dict[str, Any]  # what to call it with
    form: SampleForm | None = None  # None: see `probed`
    # How the fitted module is made again, to be given its weights; None: as it was.
    blueprint: Callable[[], nn.Module] | None = None
    argument: str = OWN_ARGUMENT  # that users pass it as, or LABELS_ARGUMENT

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UserBackbone):
            return NotImplemented
        same_module = same_values(self.backbone, other.backbone)
        return same_module and same_values(self.params, other.params)

    __hash__ = None  # type: ignore[assignment]  # as params has none

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"{self.argument}={name_of(self.backbone)}"

    @property
    def data(self) -> str:
        """The argument whose rows it takes."""
        return "label_features" if self.argument == LABELS_ARGUMENT else "X"

    def make(self) -> nn.Module:
        """Return a new module, in float32 and on the CPU.

        It is an error if none can be made with these parameters, or trained.
        """
        if isinstance(self.backbone, nn.Module):
            if self.params:
                raise ValueError(
                    f"{self._given()} cannot be set: {self.name} is a module that is "
                    "made already. Pass its class, or a function that makes it."
                )
            module = copy.deepcopy(self.backbone)
        else:
            module = self._call()
        tensors = [*module.parameters(), *module.buffers()]
        if not any(True for _ in module.parameters()):
            raise ValueError(
                f"{self.name} has no parameters: there is nothing to train or to keep. "
                f"Use {self.argument}=None for a first layer of {self.data}."
            )
        if any(tensor.is_meta for tensor in tensors):
            raise ValueError(
                f"{self.name} is on the device 'meta', where tensors have no values: "
                "make it on the CPU or on the device to train on."
            )
        return module.float().cpu()

    def make_again(self) -> nn.Module:
        """Return a module that is to be given the weights of the fitted one.

        What its weights once came from, such as a file, may be gone.
        """
        return self.make() if self.blueprint is None else self.blueprint().float()

    def _call(self) -> nn.Module:
        try:
            module = self.backbone(**self.params)
        except TypeError as error:
            if self._takes_params():
                raise  # an error of what it does
            raise TypeError(
                f"{self.name} cannot be called with {self._given()}: {error}. Set its "
                f"parameters by {self.argument}=Backbone({name_of(self.backbone)}, "
                f"<name>=value), or {self.argument}__<name> in set_params."
            ) from error
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"{self.name} made an object of type {type(module).__name__}, but must "
                "be or make a torch.nn.Module: pass a module, or a class or function "
                "that makes one."
            )
        return module

    def _takes_params(self) -> bool:
        """Tell whether what makes a module can be called with the parameters."""
        try:
            inspect.signature(self.backbone).bind(**self.params)
        except (TypeError, ValueError):  # ValueError: it is not written in Python
            return False
        return True

    def _given(self) -> str:
        given = (f"{self.argument}__{n}={v!r}" for n, v in self.params.items())
        return ", ".join(given) or "no parameters"

    def probed(self, module: nn.Module, samples: Samples, device: torch.device) -> Self:
        """Return the same with the form of samples, and of what a module makes of them.

        It is an error if heads cannot work with that.
        """
        X = part_of(samples, "network")
        is_tokens, n_tokens = X.dtype.kind == "i", None
        if is_tokens:
            tables = (nn.Embedding, nn.EmbeddingBag)
            parts = (part for part in module.modules() if isinstance(part, tables))
            n_tokens = max((part.num_embeddings for part in parts), default=None)
        form = SampleForm(X.shape[1:], is_tokens, n_tokens, 0)
        replace(self, form=form).check_inputs(samples, self.data)
        module = module.to(device).eval()
        # A copy: torch warns of arrays that are read-only, as maps of memory are.
        inputs = torch.from_numpy(np.array(X[:N_PROBED])).to(device)
        with torch.no_grad():
            features = self.call(module, inputs, self.data)
        if not torch.isfinite(features).all():
            raise ValueError(
                f"{self.name} puts out NaN or infinity for the first "
                f"{_rows_of(self.data)}: scale {self.data}, or look at how its weights "
                "start."
            )
        form = form._replace(out_features=features.shape[1])
        blueprint = getattr(module, "blueprint", None)
        return replace(self, form=form, blueprint=blueprint and blueprint())

    def check_inputs(self, samples: Samples, name: str = "X") -> None:
        """Raise ValueError for samples of another form than those that were fitted.

        Or for features of labels: the name is that of the argument.
        """
        assert self.form is not None
        X, name = part_of(samples, "network"), name_of_part(samples, "network", name)
        shape, is_tokens, n_tokens, _ = self.form
        if X.shape[1:] != shape or (X.dtype.kind == "i") != is_tokens:
            kind = "integers" if is_tokens else "floats"
            raise ValueError(
                f"{name} has rows of shape {X.shape[1:]} and type {X.dtype}, but "
                f"{self.name} was fitted with {kind} of shape {shape}: pass the same "
                "(tokens padded to one length)."
            )
        if n_tokens is not None and X.size:
            low, high = int(X.min()), int(X.max())
            if low < 0 or high >= n_tokens:
                raise ValueError(
                    f"{name} has integers from {low} to {high}, but the largest "
                    f"embedding of {self.name} has {n_tokens} rows: tokens must be "
                    f"from 0 to {n_tokens - 1}. Make its table larger, or map other "
                    "tokens to one for unknown ones."
                )

    def call(self, module: nn.Module, inputs: Tensor, data: str) -> Tensor:
        """Return the features of rows of the argument `data`, and check their form."""
        n, rows, shape = len(inputs), _rows_of(data), tuple(inputs.shape[1:])
        try:
            features = module(inputs)
        except Exception as error:  # what users' modules do has no bounds
            if _is_left_alone(error):
                raise
            hint = ""
            if not inputs.is_floating_point():
                hint = (
                    " Integers are passed on as they are, as token ids: make floats of "
                    "other numbers, such as images."
                )
            elif any(isinstance(part, nn.Embedding) for part in module.modules()):
                hint = (
                    " It has embeddings, which take integers: make token ids of texts, "
                    "by skmhe.text.Tokenizer for example."
                )
            raise ValueError(
                f"{self.name} failed for {n} {rows} of shape {shape} and type "
                f"{inputs.dtype}: {type(error).__name__}: {error}. It "
                f"must take a tensor of them, of shape {(n, *shape)}.{hint}"
            ) from error
        if not isinstance(features, torch.Tensor):
            raise ValueError(
                f"{self.name} puts out a {type(features).__name__} for {n} {rows}, but "
                "must put out one tensor of features (n, d)."
            )
        if features.ndim != 2 or len(features) != n or not features.shape[1]:
            raise ValueError(
                f"{self.name} puts out {tuple(features.shape)} for {n} {rows}, but "
                f"must put out features of shape ({n}, d): flatten or pool them, and "
                "keep one row for each."
            )
        if features.device != inputs.device or not features.is_floating_point():
            raise ValueError(
                f"{self.name} puts out {features.dtype} on the device "
                f"{str(features.device)!r} for {rows} on the device "
                f"{str(inputs.device)!r}, but must put out floats on the same one: "
                "do not name devices in it."
            )
        return features


def _rows_of(data: str) -> str:
    """Return what errors call the rows of an argument."""
    return "samples" if data == "X" else f"rows of {data}"


def _is_left_alone(error: Exception) -> bool:
    """Tell whether an error says nothing about the module that was called."""
    # By an exception, torch ends what it computes again for gradients. For the CPU's
    # memory, it has no class of errors.
    is_control = type(error).__module__ == "torch.utils.checkpoint"
    is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    is_control |= isinstance(error, Warning)  # which users may turn into errors
    return is_control or is_memory or "DefaultCPUAllocator" in str(error)


class UserModule(nn.Module):
    """A user's module in a network: called in chunks, and trained, or frozen in part.

    The user's backbone is the one that made the module; see `frozen_names` for
    `freeze`.
    """

    def __init__(self, user: UserBackbone, module: nn.Module, freeze: Frozen) -> None:
        super().__init__()
        self.user, self.module = user, module
        self._resting = freeze_parameters(module, freeze, user.argument)

    @property
    def out_features(self) -> int:
        """Number of features that come out."""
        assert self.user.form is not None
        return self.user.form.out_features

    @property
    def is_frozen(self) -> bool:
        """Whether it makes the same features of a sample in every epoch."""
        return any(part is self.module for part in self._resting)

    @property
    def has_batch_norm(self) -> bool:
        """Whether its features depend on what is in a batch, and on how often it runs.

        In training, as statistics of batches are used, and gathered.
        """
        kinds = nn.modules.batchnorm._BatchNorm
        return any(isinstance(part, kinds) for part in self.module.modules())

    def train(self, mode: bool = True) -> Self:
        """Set the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for part in self._resting:
            part.eval()
        return self

    def forward(self, rows: Tensor, data: str = "X") -> Tensor:
        """Return the features of rows of the argument `data`, (n, out_features)."""
        if self.training:
            return self.user.call(self.module, rows, data)
        # Copies: a module may write to its inputs, which may be the caller's.
        chunks = (chunk.clone() for chunk in rows.split(SAMPLES_PER_CHUNK))
        return torch.cat([self.user.call(self.module, part, data) for part in chunks])


def flat_rows(X: np.ndarray) -> np.ndarray | sp.csr_array:
    """Return samples as rows that can be compared, to cluster labels by their mean.

    Tokens become TF-IDF weights of their counts, as their numbers have no meaning.
    """
    rows = X.reshape(len(X), -1)
    if X.dtype.kind != "i":
        return rows
    tokens = rows - rows.min(initial=0)
    n, length = tokens.shape
    starts = np.arange(0, n * length + 1, length)
    entries = np.ones(tokens.size, np.float32), tokens.ravel(), starts
    counts = sp.csr_array(entries, shape=(n, tokens.max(initial=0) + 1))
    counts.sum_duplicates()
    return sp.csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(counts))
