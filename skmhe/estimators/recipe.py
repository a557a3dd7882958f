"""From an estimator's parameters to what is fitted, and how."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch

from skmhe.estimators._sklearn import parameter_errors
from skmhe.estimators.parameters import Backbone, as_backbone
from skmhe.estimators.resolution import (
    resolve_dropout,
    resolve_hidden_layer_sizes,
    resolve_max_iter,
    resolve_validation_fraction,
)
from skmhe.estimators.setting import Setting
from skmhe.estimators.short_forms import long_form
from skmhe.estimators.strategies import MAX_BATCH
from skmhe.estimators.table import check_weights, shown_value
from skmhe.scorers.combination import ScorerWeights
from skmhe.scorers.device import resolve_device, resolve_dtype
from skmhe.scorers.model import CENTROID_SCALES, Model, Settings
from skmhe.scorers.network import EncoderSpec, HeadSpec, NetworkSpec
from skmhe.scorers.parameter_names import LABELS_ARGUMENT, Frozen
from skmhe.scorers.user_backbone import UserBackbone
from skmhe.training.plan import BackbonePlan, TrainingPlan, resolve_plan
from skmhe.training.pools import PoolPlan
from skmhe.training.shortlists import resolve_search
from skmhe.training.task import LinearPlan, Recipe

# The rates of strategies are for hidden layers of at most this width, see `_auto_rate`.
REFERENCE_WIDTH = 256
# The rate and the steps per epoch of users' networks, of any kind: torch's AdamW has
# the same rate.
BACKBONE_RATE, BACKBONE_STEPS = 1e-3, 64
# The rate of heads on a network that is frozen, which start from nothing and learn too
# little by smaller steps. Chosen on held-out samples.
FROZEN_RATE = 1e-2
# Shares of the label encoder's loss, by whether a user's network makes features of
# labels: what adds up their features needs less. Chosen on held-out samples.
LOSS_WEIGHTS = {False: 0.1, True: 0.5}


@parameter_errors()
def make_recipe(
    setting: Setting, head_sizes: tuple[int, ...], previous: Model | None
) -> Recipe:
    """Return what to fit, and how; `previous` is what is trained further."""
    values, device = setting.values, resolve_device(setting.values["device"])
    head = setting.strategy.head(setting, head_sizes)
    plan = _plan(setting, device)
    early = False if setting.is_partial_fit else values["early_stopping"]
    return Recipe(
        head.search,
        plan,
        device,
        spec=_network(setting, head, previous) if setting.has_network else None,
        linear=_linear(setting, head_sizes) if setting.has_linear else None,
        pools=_pools(setting, plan) if setting.has_encoder else None,
        validation_fraction=resolve_validation_fraction(early),
        learning=_learning(setting, device) if _learns(setting) else None,
        keeps_precision=bool(values["warm_start"]) or setting.is_partial_fit,
    )


def _learns(setting: Setting) -> bool:
    """Tell whether the combination is to be learned, if there are enough samples."""
    values = setting.values
    is_asked = values["combination"] == "learned"
    can_be = setting.strategy.adds_scores and not values["warm_start"]
    return is_asked and can_be and not setting.is_partial_fit


def _learning(setting: Setting, device: torch.device) -> Settings:
    """Return the predictions for which the combination is learned."""
    linear, has_network = setting.values["linear"], setting.has_network
    widths = _beam_widths(setting.strategy, linear, has_network)
    assert widths is not None  # fit validates them
    return Settings(*widths, device=device)


def _beam_widths(
    strategy: Any, linear: Any, has_network: bool
) -> tuple[int | None, int] | None:
    """Return the widths of the beam, None for "auto", and of the linear tree's own.

    Nothing if one of them is invalid.
    """
    own_width = linear.beam_width
    width = getattr(strategy, "beam_width", "auto") if has_network else own_width
    is_auto = isinstance(width, str) and width == "auto"
    for given in (own_width, own_width if is_auto else width):
        if not isinstance(given, Integral) or int(given) < 1:
            return None
    return None if is_auto else int(width), int(own_width)


def _linear(setting: Setting, head_sizes: tuple[int, ...]) -> LinearPlan:
    n_labels, linear = setting.n_labels, setting.values["linear"]
    has_tree = setting.strategy.has_linear_tree(setting)
    sizes = head_sizes if has_tree else (n_labels,)
    n_near = setting.strategy.n_near(setting)
    return LinearPlan(sizes, linear.C, linear.centroid_prior, n_near)


def _network(setting: Setting, head: HeadSpec, previous: Model | None) -> NetworkSpec:
    values, backbone = setting.values, setting.values["backbone"]
    effort = values["effort"]
    dropout = resolve_dropout(values["dropout"])
    spec = NetworkSpec(setting.n_features, head, dropout=dropout)
    if setting.strategy.adds_centroids and not setting.is_alone:
        spec = spec._replace(centroid_scale=CENTROID_SCALES[setting.multilabel])
    sizes = resolve_hidden_layer_sizes(values["hidden_layer_sizes"], effort)
    if setting.has_encoder:
        spec = spec._replace(encoder=_encoder(setting, previous))
    if backbone is not None:
        before = None if previous is None else previous.user_backbone
        return spec._replace(
            user_backbone=_user_backbone(backbone, before), freeze=_frozen(backbone)
        )
    return spec._replace(hidden_layer_sizes=sizes)


def _encoder(setting: Setting, previous: Model | None) -> EncoderSpec:
    loss_weight = setting.values["label_encoder"].loss_weight
    if isinstance(loss_weight, str):
        loss_weight = LOSS_WEIGHTS[setting.is_user_encoder]
    loss_weight = float(loss_weight)
    backbone = _label_backbone(setting)
    if backbone is None:
        return EncoderSpec(loss_weight, n_features=setting.n_label_features)
    if isinstance(backbone, str):  # "shared"
        return EncoderSpec(loss_weight)
    before = None if previous is None or previous.spec is None else previous.spec
    known = None if before is None else before.label_network
    user = _user_backbone(backbone, known, LABELS_ARGUMENT)
    return EncoderSpec(loss_weight, user_backbone=user, freeze=_frozen(backbone))


def _user_backbone(
    backbone: Backbone, before: UserBackbone | None, argument: str = "backbone"
) -> UserBackbone:
    """Return how to make a user's network; the previous one if it is the same."""
    now = UserBackbone(backbone.module, backbone.params, argument=argument)
    return before if before is not None and before == now else now


def _frozen(backbone: Backbone) -> Frozen:
    """Return which parameters of a user's network are frozen."""
    freeze = backbone.freeze
    if isinstance(freeze, bool | np.bool_):
        return bool(freeze)
    return freeze if isinstance(freeze, str) or callable(freeze) else tuple(freeze)


def _label_backbone(setting: Setting) -> Any:
    """Return what makes features of labels; of a user's network, the plain object."""
    backbone = as_backbone(setting.label_backbone)
    return backbone.plain() if isinstance(backbone, Backbone) else backbone


def _plan(setting: Setting, device: torch.device) -> TrainingPlan:
    values = setting.values
    plan = resolve_plan(
        setting.n_samples,
        batch_size=values["batch_size"],
        learning_rate_init=values["learning_rate_init"],
        auto_rate=_auto_rate(setting),
        steps_per_epoch=BACKBONE_STEPS
        if setting.has_backbone
        else setting.strategy.steps_per_epoch,
        max_auto_batch=MAX_BATCH
        if setting.has_backbone
        else setting.strategy.max_auto_batch(setting.n_labels),
        max_iter=resolve_max_iter(
            values["max_iter"], values["effort"], setting.n_samples
        ),
        learning_rate=values["learning_rate"],
        n_iter_no_change=values["n_iter_no_change"],
        dtype=resolve_dtype(values["dtype"], device),
        **_of_user_backbones(setting),
    )
    if not setting.is_partial_fit:
        return plan
    return plan._replace(max_iter=1, learning_rate="constant", averaging_decay=None)


def _of_user_backbones(setting: Setting) -> dict[str, Any]:
    """Return the settings of a plan that users' networks have.

    What concerns all of a step is that of the estimator's backbone, if there is one.
    """
    backbone, result = setting.values["backbone"], dict[str, Any]()
    labels = _label_backbone(setting) if setting.has_encoder else None
    plans = {"label_backbone": labels, "backbone": backbone}
    for name, part in plans.items():
        if isinstance(part, Backbone):
            plan = BackbonePlan(part.learning_rate, float(part.weight_decay))
            of_step = ("max_grad_norm", "averaging_decay")
            result |= {name: plan} | {key: getattr(part, key) for key in of_step}
    return result


def _auto_rate(setting: Setting) -> float:
    """Return the strategy's rate, less for wide and deep networks; or a backbone's.

    A step of Adam changes each weight by about as much. It changes outputs by more, the
    wider layers are and the more of them follow each other. With the width, the rate of
    hidden layers should fall, and that of the weights of features should not (Yang et
    al., "Tensor Programs V", 2022): the single rate of both falls with its root.
    """
    if setting.has_backbone:
        is_frozen = _frozen(setting.values["backbone"]) is True
        return FROZEN_RATE if is_frozen else BACKBONE_RATE
    values, rate = setting.values, setting.strategy.learning_rates[setting.multilabel]
    widths = resolve_hidden_layer_sizes(values["hidden_layer_sizes"], values["effort"])
    widest = max((REFERENCE_WIDTH, *widths))
    return rate * (REFERENCE_WIDTH / widest) ** 0.5 / max(1, len(widths))


def _pools(setting: Setting, plan: TrainingPlan) -> PoolPlan:
    encoder = setting.values["label_encoder"]
    is_auto = encoder.pool_size == "auto"
    # A network of the user's takes as long for a label as for a sample.
    times = 1 if setting.is_user_encoder else 2
    return PoolPlan(
        pool_size=times * plan.batch_size if is_auto else encoder.pool_size,
        n_positives=encoder.n_positives,
        n_shortlisted=encoder.n_shortlisted,
        shortlist_size=encoder.shortlist_size,
        shortlist_refresh=encoder.shortlist_refresh,
        neighbor_batches=bool(encoder.neighbor_batches),
        search=resolve_search(encoder.shortlist_search, setting.n_labels),
    )


def prediction_settings(estimator: Any, model: Model) -> Settings:
    """Return what may be changed after fitting."""
    settings = _settings(estimator, model)
    if settings is None:
        # To validate all of them in each call would take as long as to predict a row.
        estimator._validate_params()
        raise AssertionError("parameters are invalid, but were not refused")
    has_encoder = model.spec is not None and model.spec.encoder is not None
    if settings.score_with == "encoder" and not has_encoder:
        raise ValueError(
            "score_with='encoder', but this estimator was fitted without a label "
            "encoder: pass label_features to fit, and loss_weight > 0."
        )
    return settings


def _settings(estimator: Any, model: Model) -> Settings | None:
    """Return the settings of predictions, None if they are invalid."""
    try:
        linear = long_form(estimator, "linear")
        score_with = long_form(estimator, "label_encoder").score_with
        strategy = long_form(estimator, "strategy")
        widths = _beam_widths(strategy, linear, model.spec is not None)
    except (AttributeError, KeyError):
        return None
    if widths is None or score_with not in {"both", "classifier", "encoder"}:
        return None
    combination, weights = estimator.combination, None
    check_weights(combination, model.scorer_names)
    if isinstance(combination, Mapping):
        given = {name: float(weight) for name, weight in combination.items()}
        weights = ScorerWeights(**given)
    elif combination == "equal":
        weights = ScorerWeights()
    elif combination != "learned":
        return None
    device = resolve_device(estimator.device)
    return Settings(*widths, weights, score_with, device)


def check_same_shapes(
    before: NetworkSpec | None, now: NetworkSpec | None, setting: Setting
) -> None:
    """Raise ValueError if the weights of a network cannot be trained further."""
    changed = _changed_shapes(before, now, setting)
    if changed:
        shown = ", ".join(f"{name}={shown_value(name, setting)}" for name in changed)
        if "label_encoder" in changed:
            shown += " with these label_features"
        raise ValueError(
            f"{shown} does not fit the network that was fitted, whose weights cannot "
            "be trained further: set it back, or call fit with warm_start=False."
        )


def _changed_shapes(
    before: NetworkSpec | None, now: NetworkSpec | None, setting: Setting
) -> list[str]:
    """Return the parameters that were changed so that weights do not fit any more."""
    if before is None or now is None:
        return [] if before is now else ["model"]
    if before.head.kind is not now.head.kind:
        return ["strategy"]
    options, new_options = before.head.options, now.head.options
    heads = "n_heads" if setting.values["head_sizes"] is None else "head_sizes"
    pairs = {
        heads: (options.get("head_sizes"), new_options.get("head_sizes")),
        "strategy__rank": (options.get("rank"), new_options.get("rank")),
        "strategy__margin": (options.get("margin"), new_options.get("margin")),
        "hidden_layer_sizes": (before.hidden_layer_sizes, now.hidden_layer_sizes),
        "model": (before.centroid_scale is None, now.centroid_scale is None),
        "label_encoder": (
            before.encoder and before.encoder[1:3],
            now.encoder and now.encoder[1:3],
        ),
        "backbone": (before.user_backbone, now.user_backbone),
    }
    return [name for name, (old, new) in pairs.items() if old != new]
