"""What a row of the table of parameters is made of: settings, conditions, errors."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple


class Form(NamedTuple):
    """What samples are, or features of labels: numbers, or integers for token ids."""

    is_tokens: bool
    shape: tuple[int, ...]  # of one of them

    def __str__(self) -> str:
        kind = "integers" if self.is_tokens else "numbers"
        return f"{kind} of shape ({', '.join(map(str, ('n', *self.shape)))})"


class Setting(NamedTuple):
    """What decides whether a parameter is used."""

    # Of all parameters, with those of parameter objects under nested names
    # (strategy__beam_width).
    values: Mapping[str, Any]
    strategy: Any  # a Strategy, with "auto" resolved
    n_labels: int
    multilabel: bool  # whether `y` is
    n_samples: int = 0
    n_features: int = 0  # that the network reads
    has_parts: bool = False  # whether samples are Parts
    n_label_features: int | None = None  # None: labels have no features
    has_other_names: bool = False  # whether features of labels and of X are named apart
    # Of X, and of features of labels; None where only their numbers of features count.
    forms: tuple[Form, Form] | None = None
    is_partial_fit: bool = False
    n_tree_levels: int = 1  # that linear classifiers should have, by their cost
    keeps_linear: bool = False  # of an earlier call of fit

    @property
    def has_label_features(self) -> bool:
        """Whether labels have features."""
        return self.n_label_features is not None

    @property
    def has_labels_like_samples(self) -> bool:
        """Whether features of labels may mean what those of samples do."""
        if self.forms is not None and self.forms[0] != self.forms[1]:
            return False
        same_number = self.n_label_features == self.n_features
        return same_number and not self.has_other_names

    @property
    def label_backbone(self) -> Any:
        """What makes features of labels: "shared", None, or a network of the user's."""
        value = self.values["label_encoder__backbone"]
        if isinstance(value, str) and value == "auto":
            return "shared" if self.has_labels_like_samples else None
        return value

    @property
    def shares_encoder(self) -> bool:
        """Whether one network makes features of labels and of samples."""
        return self.has_label_features and isinstance(self.label_backbone, str)

    @property
    def is_user_encoder(self) -> bool:
        """Whether a user's network makes features of labels."""
        if not self.has_encoder:
            return False
        if self.shares_encoder:
            return self.has_backbone
        return self.label_backbone is not None

    @property
    def has_label_tokens(self) -> bool:
        """Whether features of labels are token ids, or numbers that look like them."""
        if self.forms is None:
            return False
        of_samples, of_labels = self.forms
        looks_like_them = of_samples.is_tokens and of_samples.shape == of_labels.shape
        return of_labels.is_tokens or looks_like_them

    @property
    def sample_form(self) -> Form:
        """What X is."""
        return Form(False, (self.n_features,)) if self.forms is None else self.forms[0]

    @property
    def label_form(self) -> Form | None:
        """What features of labels are."""
        if self.forms is not None:
            return self.forms[1]
        n = self.n_label_features
        return None if n is None else Form(False, (n,))

    @property
    def label_order(self) -> str:
        """The order of labels; with a single head, there is nothing that it changes."""
        order: str = self.values["label_order"]
        return order if self.strategy.needs_order else "natural"

    @property
    def has_backbone(self) -> bool:
        """Whether there is a user's backbone."""
        return self.values["backbone"] is not None

    @property
    def has_rows(self) -> bool:
        """Whether samples have rows of features, as linear classifiers need them."""
        return self.has_parts or not self.has_backbone

    @property
    def has_network(self) -> bool:
        """Whether there is a network."""
        return self.values["model"] != "linear"

    @property
    def is_alone(self) -> bool:
        """Whether no linear classifiers or centroids are added to the network."""
        return self.values["model"] == "network" or not self.has_rows

    @property
    def has_linear(self) -> bool:
        """Whether there are linear classifiers."""
        can_be_fitted = self.strategy.adds_linear and not self.is_partial_fit
        return can_be_fitted and not self.is_alone

    @property
    def has_encoder(self) -> bool:
        """Whether there is a label encoder."""
        return (
            self.has_label_features and self.values["label_encoder__loss_weight"] != 0
        )

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names of the scorers whose scores are added up."""
        exists = {
            "network": self.has_network,
            "linear": self.has_linear or self.keeps_linear,
            "label_encoder": self.has_encoder,
            "own_labels": self.has_encoder and self.shares_encoder,
        }
        return tuple(name for name, there in exists.items() if there)


# The scorers that can do without the others: a sum needs one of them.
CLASSIFIERS = {"network", "linear"}
# The scorer whose weight may be left out.
OPTIONAL = {"own_labels"}


def wrong_weights(weights: Mapping[Any, Any], scorers: Sequence[str]) -> str:
    """Return what is wrong with weights of scorers, and what to do; "" for nothing."""
    shown = ", ".join(map(repr, scorers))
    if len(scorers) < 2:
        return (
            f"has weights of several scorers, but this model has {shown} alone: use "
            "'learned' or 'equal'"
        )
    for name in weights:
        if name not in scorers:
            return f"has a weight for {name!r}, but this model has {shown}: use these"
    remedy = "use 0 to leave a scorer out"
    for name in scorers:
        if name not in weights and name not in OPTIONAL:
            return f"has no weight for {name!r}: {remedy}"
    for name, weight in weights.items():
        is_number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not (is_number and 0 <= float(weight) < math.inf):
            wrong = f"has {weight!r} for {name!r}, but a weight is a finite number of"
            return f"{wrong} at least 0: {remedy}"
    classifiers = [name for name in scorers if name in CLASSIFIERS]
    if not any(weights[name] for name in classifiers):
        shown = " or ".join(map(repr, classifiers))
        return f"needs a weight above 0 for {shown}: use 1, for example"
    return ""


class Condition(NamedTuple):
    """When a parameter is used."""

    # What follows "Only used" in docstrings, short enough for one line; empty where
    # the text of the class says it for all of its parameters.
    clause: str
    holds: Callable[[Setting], bool]


class Parameter(NamedTuple):
    """A row of the table."""

    name: str  # in its own class
    # Types and ranges, as scikit-learn validates them; `skmhe.estimators.short_forms`
    # adds the parameter objects.
    constraint: list[Any]
    used: Condition  # given that its object is used
    hint: str = ""  # what the error of an invalid value says as well


class Contradiction(NamedTuple):
    """When the value of a parameter is an error."""

    name: str  # of the parameter, nested
    where: Callable[[Any, Setting], bool]  # for a value and a setting
    # What follows "name=value" in the error; "{model}", "{strategy}" and "{heads}" are
    # filled in.
    reason: str
    remedy: str  # what to do


ALWAYS = Condition("", lambda s: True)

# Conditions of the estimators' parameters.
NETWORK = Condition(
    'with ``model="both"`` or ``model="network"``', lambda s: s.has_network
)
NETWORK_IN_FIT = Condition(
    'by `fit`, with ``model="both"`` or ``model="network"``',
    lambda s: s.has_network and not s.is_partial_fit,
)
OWN_LAYERS = Condition(
    'without a `backbone`, and not with ``model="linear"``',
    lambda s: s.has_network and not s.has_backbone,
)
AUTO_NETWORK = Condition(
    'where `max_iter` or `hidden_layer_sizes` is "auto"',
    lambda s: (
        (NETWORK_IN_FIT.holds(s) and isinstance(s.values["max_iter"], str))
        or (OWN_LAYERS.holds(s) and isinstance(s.values["hidden_layer_sizes"], str))
    ),
)
ADDED_MODELS = Condition(
    'by `fit`, with `Parts` or no `backbone`, and not with "product"',
    lambda s: s.strategy.adds_linear and s.has_rows and not s.is_partial_fit,
)
LINEAR = Condition(
    'with ``model="linear"`` or ``model="both"``', lambda s: s.has_linear
)
SUMS = Condition(
    'with strategies other than "product"', lambda s: s.strategy.adds_scores
)
SEVERAL_HEADS = Condition(
    'with strategies other than "full"', lambda s: s.strategy.needs_order
)
DERIVED_HEADS = Condition(
    "where `head_sizes` is None",
    lambda s: s.strategy.needs_order and s.values["head_sizes"] is None,
)
LABEL_FEATURES = Condition(
    "where `fit` is given `label_features`", lambda s: s.has_label_features
)
CHANCE = Condition(
    "where something is left to chance: by networks and by `label_order`",
    lambda s: (
        s.has_network
        or (s.strategy.needs_order and s.values["label_order"] in ("random", "cluster"))
    ),
)

# Conditions of parameter objects, given that the object is used.
ALONE = Condition(
    'with 1-D `y` and ``model="network"`` or a `backbone` without `Parts`',
    lambda s: s.is_alone and not s.multilabel,
)
OWN_BEAM = Condition(
    "where the network has no beam of its own (see Notes)",
    lambda s: (
        s.strategy.has_linear_tree(s) and not (s.has_network and s.strategy.has_beam)
    ),
)
IN_FIT = Condition("by `fit`", lambda s: not s.is_partial_fit)
ENCODER = Condition("", lambda s: s.has_encoder)
SEVERAL_LABELS = Condition(
    "with multi-label `y`", lambda s: s.has_encoder and s.multilabel
)
SHORTLISTED = Condition(
    "with ``n_shortlisted > 0``",
    lambda s: s.has_encoder and s.values["label_encoder__n_shortlisted"] > 0,
)
SHORTLISTS = Condition(
    "with ``n_shortlisted > 0`` or ``neighbor_batches=True``",
    lambda s: (
        s.has_encoder
        and bool(
            s.values["label_encoder__n_shortlisted"]
            or s.values["label_encoder__neighbor_batches"]
        )
    ),
)
