"""From the arguments of `fit` and `partial_fit` to a fitted model."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skmhe.estimators.recipe import check_same_shapes, make_recipe
from skmhe.estimators.resolution import make_setting, resolve_strategy
from skmhe.estimators.setting import Setting
from skmhe.estimators.table import check_contradictions
from skmhe.estimators.validation import (
    Target,
    check_classes,
    check_fit_samples,
    check_label_features,
    check_label_weight,
    check_same_labels,
    check_target,
    check_weight,
    set_aside,
)
from skmhe.labels import LabelCodec
from skmhe.labels.clustering import label_centroids
from skmhe.labels.codec import (
    balanced_head_sizes,
    check_head_sizes,
    extended_head_sizes,
)
from skmhe.scorers.batch import Rows
from skmhe.scorers.device import resolve_device
from skmhe.scorers.model import Model
from skmhe.scorers.user_backbone import flat_rows
from skmhe.training.data import TrainingData
from skmhe.training.fit import (
    MAX_SEED,
    Recipe,
    Task,
    TrainingState,
    fit_model,
    train_further,
)
from skmhe.training.loop import History


class Fitted(NamedTuple):
    """What fitting leaves behind."""

    model: Model
    state: TrainingState  # what training can go on from
    form: Target  # the form of the targets; without their values
    n_first_labels: int  # without those that were added

    def with_labels(self, Z: Rows, names: np.ndarray) -> "Fitted":
        """Return the same with labels of which only the features are known.

        Their codes follow those of the others, which are left as they are.
        """
        codec, classes = self.model.codec, self.form.classes
        by_position = np.concatenate([classes[codec.order], names])
        classes, order = np.unique(by_position, return_inverse=True)
        model = self.model.extend(codec.extend(order), Z)
        return self._replace(model=model, form=self.form._replace(classes=classes))


class Outcome(NamedTuple):
    """What was fitted, with what, and what happened."""

    fitted: Fitted
    setting: Setting
    history: History


class Inputs(NamedTuple):
    """Validated arguments of `fit` and `partial_fit`."""

    X: Rows
    target: Target
    weight: np.ndarray | None
    Z: Rows | None  # features of the labels, in the order of the classes
    Y: sp.csr_array  # indicator of the labels
    label_weight: np.ndarray | None
    late: Rows | None = None  # features of labels without a sample


def fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, label_features: Any
) -> Outcome:
    """Fit a model, or go on training that of an estimator with a warm start."""
    known = _known(estimator) if estimator.warm_start else None
    # What has features, but no sample, is not trained, but added.
    inputs = _checked(
        estimator, X, y, sample_weight, label_features, known, sets_aside=known is None
    )
    form, late = inputs.target._replace(y=None, untrained=()), inputs.late
    names = inputs.target.untrained
    setting, recipe, task, state = _prepare(estimator, inputs, known)
    device = resolve_device(estimator.device)
    model = None if known is None else known.model
    model, state, history = fit_model(recipe, task, state, device, model)
    fitted = _fitted(model, state, form, known)
    if late is not None and late.shape[0]:
        fitted = fitted.with_labels(late, names)
    return Outcome(fitted, setting, history)


def partial_fit(
    estimator: Any,
    X: Any,
    y: Any,
    classes: Any,
    sample_weight: Any,
    label_features: Any,
) -> Outcome:
    """Train the network for one epoch on some samples."""
    known = _known(estimator)
    form = None if known is None else known.form
    classes = check_classes(classes, form, estimator._accepts_multilabel)
    inputs = _checked(estimator, X, y, sample_weight, label_features, known, classes)
    if form is None:  # predictions keep that of the first call
        form = inputs.target._replace(y=None, untrained=())
    setting, recipe, task, state = _prepare(estimator, inputs, known, True)
    device = resolve_device(estimator.device)
    if known is None:
        result = fit_model(recipe, task, state, device, keeps_moments=True)
    else:
        result = train_further(recipe, task, state, device, known.model)
    model, state, history = result
    return Outcome(_fitted(model, state, form, known), setting, history)


def _known(estimator: Any) -> Fitted | None:
    """Return what was fitted, with rows of their own for labels added since."""
    fitted: Fitted | None = getattr(estimator, "_fitted", None)
    if fitted is None:
        return None
    return fitted._replace(model=fitted.model.grow())


def _fitted(
    model: Model, state: TrainingState, form: Target, known: Fitted | None
) -> Fitted:
    n_first = len(form.classes) if known is None else known.n_first_labels
    return Fitted(model, state, form, n_first)


def _checked(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    label_features: Any,
    known: Fitted | None,
    classes: np.ndarray | None = None,
    sets_aside: bool = False,
) -> Inputs:
    """Validate the arguments of `fit` or `partial_fit`.

    Samples of weight 0 are as good as absent; labels without any other sample are set
    aside if they have features.
    """
    user = None if known is None else known.model.user_backbone
    X = check_fit_samples(
        estimator,
        X,
        reset=known is None,
        has_backbone=(user if known else estimator.backbone) is not None,
        user_backbone=user,
    )
    weight = check_weight(sample_weight, X)
    kind = None if known is None else known.form.kind
    multilabel = estimator._accepts_multilabel
    target = check_target(y, X.shape[0], multilabel, classes, kind)
    if weight is not None and not weight.all():
        rows = np.flatnonzero(weight)
        X, weight = X[rows], weight[rows]
        target = target._replace(y=target.y[rows])
    Z = late = None
    if label_features is not None:
        Z, target = check_label_features(label_features, target)
        if sets_aside:
            target, Z, late = set_aside(Z, target)
    elif known is not None and known.model.label_features is not None:
        Z = known.model.label_features[known.model.codec.positions]
    if known is not None:
        check_same_labels(target, known.form)
    label_weight = check_label_weight(estimator.class_weight, target, weight)
    return Inputs(X, target, weight, Z, target.indicator(), label_weight, late)


def _prepare(
    estimator: Any, inputs: Inputs, known: Fitted | None, is_partial_fit: bool = False
) -> tuple[Setting, Recipe, Task, TrainingState]:
    """Return the setting, what to fit, what to learn from, and to go on from."""
    n_labels, Y, weight = len(inputs.target.classes), inputs.Y, inputs.weight
    n_first = n_labels if known is None else known.n_first_labels
    setting, head_sizes = _resolved(
        estimator,
        n_first,
        n_labels=n_labels,
        multilabel=inputs.target.multilabel,
        n_samples=Y.shape[0],
        n_features=estimator.n_features_in_,
        n_label_features=None if inputs.Z is None else inputs.Z.shape[1],
        is_partial_fit=is_partial_fit,
    )
    counts = Y.T @ (np.ones(Y.shape[0]) if weight is None else weight)
    if known is None:
        state, model = TrainingState(_random_state(estimator.random_state)), None
        codec = _make_codec(setting, head_sizes, inputs.X, Y, counts, state.rng)
    else:
        state, model = known.state, known.model
        codec = model.codec
    task = _task(setting, inputs, codec, counts)
    device = resolve_device(estimator.device)
    head_sizes = extended_head_sizes(head_sizes, n_labels)
    recipe = make_recipe(setting, head_sizes, model, device)
    if model is not None:
        check_same_shapes(model, recipe)
    return setting, recipe, task, state


def _resolved(
    estimator: Any, n_first_labels: int, **facts: Any
) -> tuple[Setting, tuple[int, ...]]:
    """Return the setting, and the lengths of the heads before labels were added."""
    strategy, n_heads = resolve_strategy(
        estimator.strategy,
        estimator.model,
        estimator.n_heads,
        estimator.head_sizes,
        n_first_labels,
    )
    setting = make_setting(estimator, strategy, **facts)
    check_contradictions(setting)
    if n_heads is None:
        return setting, check_head_sizes(estimator.head_sizes, n_first_labels)
    return setting, balanced_head_sizes(n_first_labels, n_heads)


def _random_state(seed: Any) -> np.random.RandomState:
    if seed is None:
        # Must not draw from NumPy's global generator, as scikit-learn would.
        return np.random.RandomState()
    rng = check_random_state(seed)
    # An instance goes on, so that the next fit draws other numbers.
    return np.random.RandomState(rng.randint(MAX_SEED)) if rng is seed else rng


def _make_codec(
    setting: Setting,
    head_sizes: tuple[int, ...],
    X: Rows,
    Y: sp.csr_array,
    counts: np.ndarray,
    rng: np.random.RandomState,
) -> LabelCodec:
    """Return the label order and codes."""
    order, features = setting.values["label_order"], None
    if not setting.strategy.needs_order:
        # With a single head, there is nothing that an order could change.
        order = "natural"
    if order == "cluster":
        features = label_centroids(flat_rows(X) if setting.has_backbone else X, Y)
    return LabelCodec(
        setting.n_labels,
        head_sizes,
        order,
        label_counts=counts,
        label_features=features,
        random_state=rng,
    )


def _task(
    setting: Setting,
    inputs: Inputs,
    codec: LabelCodec,
    counts: np.ndarray,
) -> Task:
    """Return what is learned from, with labels at their positions."""
    weight, Z, label_weight = inputs.weight, inputs.Z, inputs.label_weight
    data = TrainingData(
        inputs.X,
        inputs.target.by_position(codec.positions),
        None if weight is None else weight.astype(np.float32),
    )
    order = codec.order
    return Task(
        codec,
        data,
        counts[order],
        setting.n_samples if weight is None else weight.sum(),
        None if label_weight is None else label_weight[order].astype(np.float32),
        None if Z is None else Z[order],
        setting.shares_layer,
    )
