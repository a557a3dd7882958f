"""The closed table of what a file may hold of a fitted model, and of what type.

A row is a class of this package: its fields, and what each may be. How they fit each
other is checked when all of them are there, see `checks`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmhe.estimators.fitting import Fitted
from skmhe.estimators.validation.targets import KINDS, Target
from skmhe.io.container import require
from skmhe.io.fields import (
    ANY,
    FLAG,
    NUMBER,
    TEXT,
    Field,
    array,
    check_below,
    check_fields,
    check_starts,
    count,
    either,
    instance,
    mapping,
    one_of,
    optional,
    sequence,
)
from skmhe.io.values import Kind, dtype_of
from skmhe.labels import LabelCodec
from skmhe.labels.codec import LABEL_ORDERS
from skmhe.nn import CascadeHead, FullHead, Margin, ProductHead, SamplingHead
from skmhe.nn.heads.product import ProductSearch
from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import TreeSearch
from skmhe.scorers.backbone_features import BackboneFeatures
from skmhe.scorers.centroids import DenseCentroids, SparseCentroids
from skmhe.scorers.combination import Calibration, Mix, ScorerWeights
from skmhe.scorers.label_encoder import LabelTable
from skmhe.scorers.linear import Scaling
from skmhe.scorers.linear.tables import DenseLevel, SparseLevel
from skmhe.scorers.model import Model
from skmhe.scorers.network import EncoderSpec, HeadSpec, NetworkSpec
from skmhe.scorers.parts import Parts
from skmhe.scorers.user_backbone import SampleForm, UserBackbone
from skmhe.text.transformer import embedding_names, untrained
from skmhe.training.fit import TrainingState

HEADS = (CascadeHead, FullHead, ProductHead, SamplingHead)
# Classes and functions that files may name.
CONSTANTS: dict[str, Any] = {
    **{head.__name__: head for head in HEADS},
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    # As the dtype of vectorizers.
    **{of.__name__: of for of in (np.float32, np.float64, np.int32, np.int64)},
    "embedding_names": embedding_names,
    "untrained": untrained,
}
# Words of the state of NumPy's MT19937.
N_WORDS = 624
CALLABLE = Field(callable, "a class, function or module")
# What is called: of the constants, none is.
MAKES_MODULES = Field(
    lambda value: callable(value) and not is_constant(value),
    "a class, function or module of the caller's",
)
SIZES = sequence(tuple, count(1))
WEIGHTS = mapping(TEXT, array("f i u b"))
LABELS = array("b i u f U S M m O", 1)
FROZEN = either(FLAG, TEXT, sequence(tuple, TEXT), CALLABLE)


def is_constant(value: Any) -> bool:
    """Tell whether a class or function is one that files may name."""
    return any(value is known for known in CONSTANTS.values())


def csr_made(entries: dict[str, Any]) -> sp.csr_array:
    """Return a sparse array whose indices are checked, which SciPy does not do."""
    kind = "sparse array"
    integers = array("i4 i8", 1)
    fields = {"data": array("f4 f8", 1), "indices": integers, "indptr": integers}
    check_fields(kind, entries, fields | {"shape": sequence(tuple, count(), 2)})
    data, indices, indptr = (entries[name] for name in fields)
    n_rows, n_columns = entries["shape"]
    require(len(data) == len(indices), f"its {kind} has values without a column")
    check_starts(f"indptr of its {kind}", indptr, n_rows, len(indices))
    check_below(f"indices of its {kind}", indices, n_columns)
    return sp.csr_array((data, indices, indptr), shape=(n_rows, n_columns))


def _csr_entries(value: sp.csr_array) -> dict[str, Any]:
    shape = tuple(map(int, value.shape))
    return {
        "data": value.data,
        "indices": value.indices,
        "indptr": value.indptr,
        "shape": shape,
    }


def record(
    of: type, fields: Mapping[str, Field], make: Callable[..., Any] | None = None
) -> Kind:
    """Return the kind of a class that is made of its fields, which are checked."""

    def made(entries: dict[str, Any]) -> Any:
        check_fields(of.__name__, entries, dict(fields))
        return (make or of)(**entries)

    return Kind(of, lambda value: {n: getattr(value, n) for n in fields}, made)


def _codec(
    n_labels: int, head_sizes: tuple[int, ...], label_order: str, order: np.ndarray
) -> LabelCodec:
    require(len(order) == n_labels, "its label order is of another number of labels")
    codec = LabelCodec(n_labels, head_sizes).extend(order)
    codec.label_order = label_order
    return codec


def _random_state_entries(rng: np.random.RandomState) -> dict[str, Any]:
    state: Any = rng.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise TypeError(
            f"a RandomState of {state['bit_generator']} cannot be written: use an "
            "integer as random_state, or pickle."
        )
    own = state["state"]
    gauss = {name: state[name] for name in ("has_gauss", "gauss")}
    return {"key": own["key"], "pos": int(own["pos"])} | gauss


def _random_state(entries: dict[str, Any]) -> np.random.RandomState:
    fields = {
        "key": array("u4", 1),
        "pos": count(),
        "has_gauss": count(),
        "gauss": NUMBER,
    }
    check_fields("RandomState", entries, fields)
    # NumPy does not look whether its next word exists.
    fits = len(entries["key"]) == N_WORDS and entries["pos"] <= N_WORDS
    require(fits and entries["has_gauss"] <= 1, "its RandomState has no valid state")
    rng = np.random.RandomState(0)
    own = {name: entries.pop(name) for name in ("key", "pos")}
    rng.set_state({"bit_generator": "MT19937", "state": own} | entries)
    return rng


def _target_entries(form: Target) -> dict[str, Any]:
    dtype = None if form.dtype is None else np.dtype(form.dtype).str
    names = ("classes", "kind", "container")
    return {name: getattr(form, name) for name in names} | {"dtype": dtype}


def _target(entries: dict[str, Any]) -> Target:
    fields = {
        "classes": LABELS,
        "kind": one_of(*KINDS),
        "container": one_of(None, sp.csr_array, sp.csr_matrix),
        "dtype": ANY,
    }
    check_fields("Target", entries, fields)
    if entries["dtype"] is not None:
        entries["dtype"] = dtype_of(entries["dtype"], "biuf")
    form = Target(None, **entries)
    same = form.is_indicator == (form.dtype is not None)
    require(same, "its Target has a dtype without an indicator, or none")
    return form


def _partial(entries: dict[str, Any]) -> functools.partial[Any]:
    fields = {"function": CALLABLE, "items": sequence(list, ANY)}
    check_fields("partial", entries, fields | {"named": mapping(TEXT, ANY)})
    function = entries["function"]
    may_be = function is untrained or not is_constant(function)
    require(may_be, "it calls what it may not")
    return functools.partial(function, *entries["items"], **entries["named"])


def _partial_entries(value: functools.partial[Any]) -> dict[str, Any]:
    items, named = list(value.args), value.keywords
    return {"function": value.func, "items": items, "named": named}


KINDS_OF_MODEL: dict[str, Kind] = {
    "partial": Kind(functools.partial, _partial_entries, _partial),
    "csr": Kind(sp.csr_array, _csr_entries, csr_made),
    "RandomState": Kind(np.random.RandomState, _random_state_entries, _random_state),
    "Parts": record(
        Parts,
        {
            "network": either(array("f i"), instance(sp.csr_array)),
            "linear": either(array("f i", 2), instance(sp.csr_array)),
        },
    ),
    "LabelCodec": record(
        LabelCodec,
        {
            "n_labels": count(1),
            "head_sizes": SIZES,
            "label_order": one_of(*LABEL_ORDERS),
            "order": array("i8", 1),
        },
        _codec,
    ),
    "FlatSearch": record(
        FlatSearch,
        {"multilabel": FLAG, "n_labels": count(1), "group_size": count(1)},
    ),
    "ProductSearch": record(
        ProductSearch, {"n_labels": count(1), "head_sizes": SIZES, "rank": count(1)}
    ),
    "TreeSearch": record(
        TreeSearch,
        {
            "multilabel": FLAG,
            "n_labels": count(1),
            "head_sizes": SIZES,
            "beam_width": count(1),
            "joint": FLAG,
        },
    ),
    "Margin": record(Margin, {"kind": TEXT, "margin": NUMBER, "scale": NUMBER}),
    "HeadSpec": record(
        HeadSpec, {"kind": one_of(*HEADS), "options": mapping(TEXT, ANY)}
    ),
    "SampleForm": record(
        SampleForm,
        {
            "shape": sequence(tuple, count()),
            "is_tokens": FLAG,
            "n_tokens": optional(count()),
            "out_features": count(1),
        },
    ),
    "UserBackbone": record(
        UserBackbone,
        {
            "backbone": MAKES_MODULES,
            "params": mapping(TEXT, ANY),
            "form": optional(instance(SampleForm)),
            "blueprint": optional(MAKES_MODULES),
            "argument": TEXT,
        },
    ),
    "EncoderSpec": record(
        EncoderSpec,
        {
            "loss_weight": NUMBER,
            "n_features": optional(count(1)),
            "user_backbone": optional(instance(UserBackbone)),
            "freeze": FROZEN,
        },
    ),
    "NetworkSpec": record(
        NetworkSpec,
        {
            "n_features": count(1),
            "head": instance(HeadSpec),
            "hidden_layer_sizes": SIZES,
            "dropout": sequence(tuple, NUMBER, 2),
            "centroid_scale": optional(NUMBER),
            "encoder": optional(instance(EncoderSpec)),
            "user_backbone": optional(instance(UserBackbone)),
            "freeze": FROZEN,
        },
    ),
    "SparseLevel": record(
        SparseLevel,
        {
            "node_rows": array("i4", 1),
            "features": array("i4", 1),
            "indptr": array("i4", 1),
            "children": array("u2 i4", 1),
            "values": array("f4 f2", 1),
            "intercepts": array("f4", 2),
        },
    )._replace(narrow=("values",)),
    "DenseLevel": record(
        DenseLevel, {"weights": array("f4", 3), "intercepts": array("f4", 2)}
    ),
    "Scaling": record(Scaling, {"mean": array("f8", 1), "factor": array("f8", 1)}),
    "DenseCentroids": record(DenseCentroids, {"rows": array("f4", 2)}),
    "SparseCentroids": record(
        SparseCentroids,
        {
            "level": instance(SparseLevel),
            "n_labels": count(1),
            "summary": optional(instance(SparseLevel)),
        },
    ),
    "LabelTable": record(LabelTable, {"known": optional(array("f4", 2))}),
    "ScorerWeights": record(
        ScorerWeights, dict.fromkeys(ScorerWeights._fields, NUMBER)
    ),
    "Calibration": record(Calibration, dict.fromkeys(Calibration._fields, NUMBER)),
    "Mix": record(
        Mix,
        {
            "weights": instance(ScorerWeights),
            "calibrations": mapping(
                one_of("both", "classifier", "encoder"), instance(Calibration)
            ),
        },
    ),
    "Model": record(
        Model,
        {
            "codec": instance(LabelCodec),
            "search": instance(FlatSearch, ProductSearch, TreeSearch),
            "spec": optional(instance(NetworkSpec)),
            "weights": WEIGHTS,
            "linear": optional(sequence(list, instance(SparseLevel, DenseLevel))),
            "n_linear": count(),
            "scaling": optional(instance(Scaling)),
            "centroids": optional(instance(DenseCentroids, SparseCentroids)),
            "pair_counts": array("f8", 1),
            "label_features": optional(
                either(array("f i"), instance(sp.csr_array, Parts))
            ),
            "label_table": optional(instance(LabelTable)),
            "labels_are_like_samples": FLAG,
            "own_label_counts": array("i8 f8", 1),
            "mix": optional(instance(Mix)),
        },
    ),
    "TrainingState": record(
        TrainingState,
        {
            "rng": instance(np.random.RandomState),
            "moments": optional(mapping(count(), mapping(TEXT, array("f i")))),
            "label_counts": optional(sequence(tuple, ANY, 2)),
            "n_epochs": count(),
        },
    ),
    "Target": Kind(Target, _target_entries, _target),
    "Fitted": record(
        Fitted,
        {
            "model": instance(Model),
            "state": instance(TrainingState),
            "form": instance(Target),
            "n_first_labels": count(1),
            "feature_names": optional(array("U O", 1)),
            "widths": optional(sequence(tuple, count(), 2)),
        },
    ),
    "BackboneFeatures": record(
        BackboneFeatures, {"user": instance(UserBackbone), "weights": WEIGHTS}
    ),
}
