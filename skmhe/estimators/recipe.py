"""From an estimator's parameters to what is fitted, and how."""

import math
from numbers import Integral, Real
from typing import Any

import torch

from skmhe.estimators.parameters import Backbone
from skmhe.estimators.resolution import resolve_dropout, resolve_hidden_layer_sizes
from skmhe.estimators.setting import Setting
from skmhe.estimators.short_forms import long_form
from skmhe.estimators.strategies import Cascade
from skmhe.scorers.device import resolve_dtype
from skmhe.scorers.model import CENTROID_SCALES, Model, Settings
from skmhe.scorers.network import EncoderSpec, HeadSpec, NetworkSpec
from skmhe.scorers.user_backbone import UserBackbone
from skmhe.training.fit import LinearPlan, Recipe
from skmhe.training.plan import TrainingPlan, resolve_plan
from skmhe.training.pools import PoolPlan
from skmhe.training.shortlists import resolve_search


def make_recipe(
    setting: Setting,
    head_sizes: tuple[int, ...],
    known: Model | None,
    device: torch.device,
) -> Recipe:
    """Return what to fit, and how; `known` is what is trained further."""
    values = setting.values
    head = setting.strategy.head(setting, head_sizes)
    linear = _linear(setting, head_sizes)
    plan = _plan(setting, device)
    if not setting.has_network:
        return Recipe(head.search, setting.multilabel, plan, linear=linear)
    early = values["early_stopping"] and not setting.is_partial_fit
    return Recipe(
        head.search,
        setting.multilabel,
        plan,
        _network(setting, head, known),
        linear,
        _pools(setting, plan) if setting.has_encoder else None,
        values["validation_fraction"] if early else None,
        bool(values["warm_start"]) or setting.is_partial_fit,
    )


def _linear(setting: Setting, head_sizes: tuple[int, ...]) -> LinearPlan | None:
    n_labels, values = setting.n_labels, setting.values
    if not setting.has_linear:
        return None
    has_tree = setting.strategy.has_linear_tree(n_labels)
    sizes = head_sizes if has_tree else (n_labels,)
    return LinearPlan(
        sizes,
        values["linear__C"],
        values["linear__centroid_prior"],
        float(values["linear__weight"]),
    )


def _network(setting: Setting, head: HeadSpec, known: Model | None) -> NetworkSpec:
    values = setting.values
    adds_centroids = setting.strategy.adds_centroids and not setting.is_alone
    hidden = resolve_hidden_layer_sizes(values["hidden_layer_sizes"])
    encoder = user = None
    if setting.has_encoder:
        assert setting.n_label_features is not None
        loss_weight = float(values["label_encoder__loss_weight"])
        shares_layer = setting.shares_layer
        encoder = EncoderSpec(setting.n_label_features, shares_layer, loss_weight)
    if setting.has_backbone:
        user = _user_backbone(values["backbone"], known)
    return NetworkSpec(
        setting.n_features,
        head,
        hidden if user is None else (),
        resolve_dropout(values["dropout"]),
        CENTROID_SCALES[setting.multilabel] if adds_centroids else None,
        encoder,
        user,
        _frozen(values["backbone__freeze"]) if user is not None else False,
    )


def _user_backbone(backbone: Backbone, known: Model | None) -> UserBackbone:
    """Return how to make a user's network; the known one if it is the same."""
    now = UserBackbone(backbone.module, backbone.params)
    before = None if known is None else known.user_backbone
    return before if before is not None and before == now else now


def _frozen(freeze: object) -> bool | str | tuple[str, ...]:
    return freeze if isinstance(freeze, bool | str) else tuple(freeze)  # type: ignore[arg-type]


def _plan(setting: Setting, device: torch.device) -> TrainingPlan:
    values, settings = setting.values, {}
    if setting.has_backbone:
        settings = {
            "backbone_learning_rate": values["backbone__learning_rate"],
            "weight_decay": float(values["backbone__weight_decay"]),
            "max_grad_norm": values["backbone__max_grad_norm"],
            "averaging_decay": values["backbone__averaging_decay"],
        }
    plan = resolve_plan(
        setting.n_samples,
        setting.multilabel,
        batch_size=values["batch_size"],
        learning_rate_init=values["learning_rate_init"],
        has_user_backbone=setting.has_backbone,
        max_iter=values["max_iter"],
        learning_rate=values["learning_rate"],
        tol=values["tol"],
        n_iter_no_change=values["n_iter_no_change"],
        verbose=bool(values["verbose"]),
        dtype=resolve_dtype(values["dtype"], device),
        **settings,
    )
    if not setting.is_partial_fit:
        return plan
    return plan._replace(max_iter=1, learning_rate="constant", averaging_decay=None)


def _pools(setting: Setting, plan: TrainingPlan) -> PoolPlan:
    values = setting.values
    pool_size = values["label_encoder__pool_size"]
    return PoolPlan(
        pool_size=2 * plan.batch_size if pool_size == "auto" else pool_size,
        n_positives=values["label_encoder__n_positives"],
        n_shortlisted=values["label_encoder__n_shortlisted"],
        shortlist_size=values["label_encoder__shortlist_size"],
        shortlist_refresh=values["label_encoder__shortlist_refresh"],
        neighbor_batches=bool(values["label_encoder__neighbor_batches"]),
        search=resolve_search(
            values["label_encoder__shortlist_search"], setting.n_labels
        ),
    )


# What cannot be changed while training goes on: parts of the spec, and the parameters
# that make them. Options of heads that only concern training may change.
_TRAINING_OPTIONS = {
    "beam_width",
    "group_size",
    "hard_negatives",
    "n_sampled_groups",
    "pool_labels",
}


def prediction_settings(estimator: Any, model: Model) -> Settings:
    """Return what may be changed after fitting."""
    settings = _settings(estimator, model)
    if settings is None:
        # Not always, as that takes as long as to predict a row.
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
        own_width, weight = linear.beam_width, linear.weight
    except (AttributeError, KeyError):
        return None
    width = own_width
    if model.spec is not None:
        width = getattr(strategy, "beam_width", Cascade().beam_width)
    valid = all(isinstance(w, Integral) and int(w) >= 1 for w in (width, own_width))
    valid = valid and isinstance(weight, Real) and 0 < float(weight) < math.inf
    if not valid or score_with not in {"both", "classifier", "encoder"}:
        return None
    return Settings(int(width), int(own_width), float(weight), score_with)


def check_same_shapes(model: Model, recipe: Recipe) -> None:
    """Raise ValueError if the weights of a model cannot be trained further."""
    changed = _changed_shapes(model.spec, recipe.spec)
    if changed:
        raise ValueError(
            f"{', '.join(changed)} shapes the network and was changed since it was "
            "fitted, so its weights cannot be trained further: fit with "
            "warm_start=False."
        )


def _changed_shapes(before: NetworkSpec | None, now: NetworkSpec | None) -> list[str]:
    """Return the parameters that were changed so that weights do not fit any more."""
    if before is None or now is None:
        return [] if before is now else ["model"]
    options = (
        {n: v for n, v in spec.head.options.items() if n not in _TRAINING_OPTIONS}
        for spec in (before, now)
    )
    pairs = {
        "strategy": (before.head.kind, now.head.kind),
        "n_heads, head_sizes, or a parameter of the strategy": tuple(options),
        "hidden_layer_sizes": (before.hidden_layer_sizes, now.hidden_layer_sizes),
        "model": (before.centroid_scale is None, now.centroid_scale is None),
        "label_encoder": (
            before.encoder and before.encoder[:2],
            now.encoder and now.encoder[:2],
        ),
        "backbone": (before.user_backbone, now.user_backbone),
    }
    return [name for name, (old, new) in pairs.items() if old != new]
