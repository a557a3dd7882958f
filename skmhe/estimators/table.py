"""The table of parameters: where each one is used, and what contradicts it.

It drives the constraints of the estimators and of the parameter objects, the sentences
"Only used ..." in their docstrings, the errors about parameters that contradict each
other, and a test of every cell (parameter x setting): a parameter that is used changes
the result, one that is unused does not, and a contradiction raises.
"""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch

from skmhe.estimators import setting as when
from skmhe.estimators._sklearn import Interval, ObjectOf, StrOptions
from skmhe.estimators.setting import Contradiction, Parameter, Setting
from skmhe.labels.codec import LABEL_ORDERS, MAX_HEADS
from skmhe.nn import Margin
from skmhe.scorers.user_backbone import name_of


def _one_of(*names: str) -> StrOptions:
    return StrOptions(set(names))


AUTO = _one_of("auto")
AT_LEAST_0 = Interval(Real, 0, None, closed="left")
ABOVE_0 = Interval(Real, 0, None, closed="neither")
SHARE = Interval(Real, 0, 1, closed="left")
INNER_SHARE = Interval(Real, 0, 1, closed="neither")
COUNT = Interval(Integral, 1, None, closed="left")
COUNT_OR_0 = Interval(Integral, 0, None, closed="left")
N_HEADS = Interval(Integral, 1, MAX_HEADS, closed="both")
AT_LEAST_2 = Interval(Integral, 2, None, closed="left")
SCHEDULE = _one_of("constant", "linear", "cosine", "one_cycle")
STRATEGY = _one_of("auto", "full", "product", "cascade", "sampling")
POOL = _one_of("auto", "batch", "batch_and_own_group", "batch_groups", "own_group")
A_MODULE = (
    "Pass a torch.nn.Module, a class or function that makes one or, of texts, "
    "TransformerBackbone(path)"
)
NO_LINEAR = "For no linear classifiers, use model='network'"
MARGINS = [_one_of("arcface", "cosface"), ObjectOf(Margin, "skmhe.nn.Margin"), None]
MARGIN = Parameter("margin", MARGINS, when.ALONE)

TABLE: dict[str, tuple[Parameter, ...]] = {
    "estimator": (
        Parameter("strategy", [STRATEGY], when.ALWAYS),
        Parameter("model", [_one_of("both", "linear", "network")], when.ADDED_MODELS),
        Parameter(
            "effort", [_one_of("fast", "balanced", "accurate")], when.AUTO_NETWORK
        ),
        Parameter("n_heads", [AUTO, N_HEADS], when.DERIVED_HEADS),
        Parameter(
            "head_sizes",
            ["array-like", None],
            when.SEVERAL_HEADS,
            "It is a length for each head, such as (97, 96)",
        ),
        Parameter("label_order", [_one_of(*LABEL_ORDERS)], when.SEVERAL_HEADS),
        Parameter(
            "linear",
            [None],
            when.LINEAR,
            f"None is the short form of LinearTree(). {NO_LINEAR}",
        ),
        Parameter(
            "label_encoder",
            [None],
            when.LABEL_FEATURES,
            "None is the short form of LabelEncoder(). There is none without "
            "label_features, nor with LabelEncoder(loss_weight=0)",
        ),
        Parameter("combination", [_one_of("learned", "equal"), Mapping], when.SUMS),
        Parameter("backbone", [callable, None], when.NETWORK, A_MODULE),
        Parameter(
            "hidden_layer_sizes",
            ["array-like", COUNT, AUTO],
            when.OWN_LAYERS,
            "It is the width of each hidden layer, such as (256,); () is none",
        ),
        Parameter(
            "dropout",
            [SHARE, "array-like"],
            when.OWN_LAYERS,
            "It is a share, or a pair of them: of the input features, and of the "
            "hidden layers' outputs",
        ),
        Parameter("batch_size", [AUTO, COUNT], when.NETWORK),
        Parameter(
            "learning_rate",
            [SCHEDULE],
            when.NETWORK_IN_FIT,
            "It is a schedule; the number is learning_rate_init",
        ),
        Parameter("learning_rate_init", [AUTO, ABOVE_0], when.NETWORK),
        Parameter("max_iter", [AUTO, COUNT], when.NETWORK_IN_FIT),
        Parameter("class_weight", [dict, _one_of("balanced"), None], when.ALWAYS),
        Parameter(
            "early_stopping",
            ["boolean", INNER_SHARE],
            when.NETWORK_IN_FIT,
            "It is whether to hold samples out, or the share of them",
        ),
        Parameter("n_iter_no_change", [COUNT], when.NETWORK_IN_FIT),
        Parameter("warm_start", ["boolean"], when.NETWORK_IN_FIT),
        Parameter("random_state", ["random_state"], when.CHANCE),
        Parameter("verbose", ["verbose"], when.ALWAYS),
        Parameter("device", [str, torch.device], when.ALWAYS),
        Parameter("dtype", [_one_of("auto", "float32", "bfloat16")], when.NETWORK),
    ),
    "Full": (MARGIN,),
    "Product": (Parameter("rank", [COUNT], when.ALWAYS),),
    "Cascade": (
        Parameter("beam_width", [AUTO, COUNT], when.NETWORK),
        Parameter("hard_negatives", ["boolean"], when.NETWORK),
    ),
    "Sampling": (
        Parameter("n_sampled_groups", [AUTO, COUNT_OR_0], when.ALWAYS),
        Parameter("pool_labels", [POOL], when.ALWAYS),
        MARGIN,
    ),
    "LinearTree": (
        Parameter("C", [ABOVE_0], when.ALWAYS),
        Parameter("centroid_prior", [AT_LEAST_0], when.ALWAYS),
        Parameter("beam_width", [COUNT], when.OWN_BEAM),
    ),
    "LabelEncoder": (
        Parameter("loss_weight", [AUTO, SHARE], when.ALWAYS),
        Parameter(
            "backbone",
            [_one_of("auto", "shared"), callable, None],
            when.ENCODER,
            A_MODULE,
        ),
        Parameter("pool_size", [AUTO, AT_LEAST_2], when.ENCODER),
        Parameter("n_positives", [COUNT], when.SEVERAL_LABELS),
        Parameter("n_shortlisted", [COUNT_OR_0], when.ENCODER),
        Parameter("shortlist_size", [COUNT], when.SHORTLISTED),
        Parameter("shortlist_refresh", [COUNT], when.SHORTLISTS),
        Parameter(
            "shortlist_search",
            [_one_of("auto", "exact", "approximate")],
            when.SHORTLISTS,
        ),
        Parameter("neighbor_batches", ["boolean"], when.ENCODER),
        Parameter(
            "score_with", [_one_of("both", "classifier", "encoder")], when.ENCODER
        ),
    ),
    "Backbone": (
        Parameter("module", [callable], when.ALWAYS, A_MODULE),
        Parameter("freeze", ["boolean", str, "array-like", callable], when.ALWAYS),
        Parameter("learning_rate", [ABOVE_0, dict, callable, None], when.ALWAYS),
        Parameter("weight_decay", [AT_LEAST_0], when.ALWAYS),
        Parameter("max_grad_norm", [ABOVE_0, None], when.ALWAYS),
        Parameter("averaging_decay", [INNER_SHARE, None], when.IN_FIT),
    ),
}
# The estimators' parameter that holds each object.
PARENTS = dict.fromkeys(("Full", "Product", "Cascade", "Sampling"), "strategy") | {
    "LinearTree": "linear",
    "LabelEncoder": "label_encoder",
    "Backbone": "backbone",
}

ONE_LABEL = "is for one label per sample, but y is multi-label"
ALONE = "is for a network alone, but model={model!r}"
NEEDS_SCORES = "cannot be used with label_features, whose encoder "
NUMBER_OF_HEADS = "is not possible with strategy={strategy!r}, which has {heads}"
ANOTHER_STRATEGY = "another strategy: 'full' has one head, 'cascade' at least two"
SINGLE_SCORES = "use strategy='cascade', 'sampling' or 'full'"
ANOTHER_POOL = "use pool_labels='batch', 'batch_groups' or 'own_group'"


def _is_wrong_number(value: int, s: Setting) -> bool:
    """Whether a strategy cannot have a number of heads."""
    most = s.strategy.max_heads
    return value < s.strategy.min_heads or (most is not None and value > most)


def _has_other_length(value: Any, s: Setting) -> bool:
    sizes = s.values["head_sizes"]
    return value != "auto" and sizes is not None and len(sizes) != value


def _needs_hidden_layer(value: Any, s: Setting) -> bool:
    has_none = not isinstance(value, Integral) and len(value) == 0
    return has_none and s.has_label_features and not s.has_backbone


# In the order in which they are looked for.
CONTRADICTIONS = (
    Contradiction(
        "strategy",
        lambda v, s: s.multilabel and not s.strategy.multilabel,
        "is for one label per sample (independent softmaxes cannot give a sample "
        "several labels), but y is multi-label",
        SINGLE_SCORES,
    ),
    Contradiction(
        "strategy",
        lambda v, s: not (s.has_network or s.strategy.linear_alone),
        "is a strategy of networks, but model='linear' has none",
        "use strategy='full' or 'cascade', or model='network'",
    ),
    Contradiction(
        "strategy",
        lambda v, s: s.has_label_features and not s.strategy.adds_scores,
        NEEDS_SCORES + "adds its scores to those of single labels",
        SINGLE_SCORES,
    ),
    Contradiction(
        "model",
        lambda v, s: v == "linear" and s.has_label_features,
        NEEDS_SCORES + "is trained together with a network",
        "use model='both' or 'network'",
    ),
    Contradiction(
        "n_heads",
        _has_other_length,
        "is not the number of head_sizes",
        "use n_heads='auto', or head_sizes=None",
    ),
    Contradiction(
        "n_heads",
        lambda v, s: v != "auto" and _is_wrong_number(v, s),
        NUMBER_OF_HEADS,
        f"use n_heads='auto', or {ANOTHER_STRATEGY}",
    ),
    Contradiction(
        "head_sizes",
        lambda v, s: v is not None and _is_wrong_number(len(v), s),
        NUMBER_OF_HEADS,
        f"use head_sizes=None, or {ANOTHER_STRATEGY}",
    ),
    Contradiction(
        "backbone",
        lambda v, s: v is not None and not s.has_network,
        "needs a network, but model='linear' has none",
        "use model='network', or backbone=None",
    ),
    Contradiction(
        "hidden_layer_sizes",
        _needs_hidden_layer,
        NEEDS_SCORES + "needs a hidden layer",
        "use hidden_layer_sizes=(256,), for example",
    ),
    Contradiction(
        "class_weight",
        lambda v, s: isinstance(v, str) and s.is_partial_fit,
        "cannot be used in partial_fit, which sees some of the samples",
        "use a dict of weights",
    ),
    Contradiction(
        "early_stopping",
        lambda v, s: bool(v) and s.is_partial_fit,
        "cannot be used in partial_fit, which trains for one epoch",
        "use early_stopping=False, or fit",
    ),
    Contradiction(
        "strategy__n_sampled_groups",
        lambda v, s: v == 0 and s.values["strategy__pool_labels"] == "own_group",
        "leaves nothing to learn from with pool_labels='own_group'",
        "use a larger number, or another pool_labels",
    ),
    Contradiction(
        "strategy__pool_labels",
        lambda v, s: v == "batch_and_own_group" and s.multilabel,
        ONE_LABEL,
        ANOTHER_POOL,
    ),
    Contradiction(
        "strategy__pool_labels",
        lambda v, s: v == "batch_and_own_group" and s.values["strategy__margin"],
        "cannot be used with a margin",
        ANOTHER_POOL,
    ),
    Contradiction(
        "strategy__pool_labels",
        lambda v, s: v == "batch_and_own_group" and not s.is_alone,
        ALONE,
        "use model='network', or pool_labels='auto'",
    ),
    Contradiction(
        "strategy__margin",
        lambda v, s: v is not None and s.multilabel,
        ONE_LABEL,
        "use margin=None, or 1-D y",
    ),
    Contradiction(
        "strategy__margin",
        lambda v, s: v is not None and not s.is_alone,
        ALONE,
        "use model='network', or margin=None",
    ),
    Contradiction(
        "strategy__margin",
        lambda v, s: v is not None and s.has_label_features,
        NEEDS_SCORES + "adds its scores to those of the network",
        "use margin=None",
    ),
    Contradiction(
        "label_encoder__backbone",
        lambda v, s: (
            isinstance(v, str)
            and v == "shared"
            and s.has_label_features
            and not s.has_labels_like_samples
        ),
        "needs features of labels like those of samples, but label_features is "
        "{label_form} and X {sample_form}, or their columns have other names",
        "use one fitted tokenizer or vectorizer for both, or backbone='auto'",
    ),
    Contradiction(
        "label_encoder__backbone",
        lambda v, s: (
            isinstance(v, str)
            and s.has_encoder
            and not s.is_user_encoder
            and s.has_label_tokens
        ),
        "is for token ids of labels like those of samples, but X is {sample_form} and "
        "label_features {label_form}",
        "use one fitted tokenizer for both, or backbone=None for features that are "
        "added up, or a network for labels",
    ),
    Contradiction(
        "label_encoder__score_with",
        lambda v, s: v == "encoder" and not s.has_label_features,
        "needs an encoder, but labels have no features",
        "pass label_features to fit, or use score_with='both'",
    ),
    Contradiction(
        "label_encoder__score_with",
        lambda v, s: v == "encoder" and not s.has_encoder,
        "needs an encoder, but loss_weight=0 trains none",
        "raise loss_weight, or use score_with='both'",
    ),
)


def constraints(owner: str) -> dict[str, list[Any]]:
    """Return the constraints of a class's parameters, by name."""
    return {row.name: row.constraint for row in TABLE[owner]}


def only_used(owner: str) -> dict[str, str]:
    """Return the sentences of a docstring that say when parameters are used, if any."""
    clauses = {row.name: row.used.clause for row in TABLE[owner]}
    return {name: f"Only used {clause}." for name, clause in clauses.items() if clause}


def shown_value(name: str, setting: Setting) -> str:
    """Return the value of a parameter, for an error."""
    value = setting.values[name]
    if name == "strategy":  # of which "auto" and objects say less
        return repr(setting.strategy.name)
    module = getattr(value, "module", None)
    return repr(value) if module is None else name_of(module)


def check_contradictions(setting: Setting) -> None:
    """Raise ValueError for the first parameter that contradicts its setting."""
    for name, where, reason, remedy in CONTRADICTIONS:
        if name in setting.values and where(setting.values[name], setting):
            reason = reason.format(
                model=setting.values["model"],
                strategy=setting.strategy.name,
                heads=setting.strategy.heads_text,
                sample_form=setting.sample_form,
                label_form=setting.label_form,
            )
            shown = shown_value(name, setting)
            raise ValueError(f"{name}={shown} {reason}: {remedy}.")
    check_weights(setting.values["combination"], setting.scorers)


def check_weights(combination: Any, scorers: Sequence[str]) -> None:
    """Raise ValueError for weights that are not those of the scorers."""
    if isinstance(combination, Mapping):
        wrong = when.wrong_weights(combination, scorers)
        if wrong:
            raise ValueError(f"combination={combination!r} {wrong}.")
