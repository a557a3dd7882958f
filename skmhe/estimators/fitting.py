"""From the arguments of `fit` and `partial_fit` to a fitted model."""

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skmhe.estimators._sklearn import parameter_errors
from skmhe.estimators.callbacks import CallbackProgress, FitTask
from skmhe.estimators.recipe import check_same_shapes, make_recipe
from skmhe.estimators.resolution import (
    make_setting,
    resolve_strategy,
    takes_any_labels,
)
from skmhe.estimators.setting import Form, Setting
from skmhe.estimators.table import check_contradictions
from skmhe.estimators.validation.label_features import (
    check_feature_names,
    check_label_features,
    check_like_known,
    label_rows,
    set_aside,
)
from skmhe.estimators.validation.samples import (
    check_fit_samples,
    check_predict_samples,
    check_weight,
)
from skmhe.estimators.validation.targets import (
    Target,
    check_classes,
    check_label_weight,
    check_same_labels,
    check_target,
)
from skmhe.labels import LabelCodec
from skmhe.labels.clustering import indicator, label_centroids
from skmhe.labels.codec import (
    balanced_head_sizes,
    check_head_sizes,
    extended_head_sizes,
)
from skmhe.labels.containers import distinct_labels, find_labels, joined
from skmhe.scorers.batch import Rows
from skmhe.scorers.device import own_torch_settings
from skmhe.scorers.linear import Work, n_tree_levels
from skmhe.scorers.model import Model
from skmhe.scorers.parts import Parts, Samples, part_of
from skmhe.scorers.progress import Progress, make_progress
from skmhe.scorers.user_backbone import flat_rows
from skmhe.training.data import TrainingData
from skmhe.training.fit import TrainingState, fit_model, train_further
from skmhe.training.loop import History
from skmhe.training.networks import MAX_SEED
from skmhe.training.task import Recipe, Task


class Fitted(NamedTuple):
    """What fitting leaves behind."""

    model: Model
    state: TrainingState  # what training can go on from
    form: Target  # the form of the targets; without their values
    n_first_labels: int  # without those that were added
    feature_names: np.ndarray | None = None  # of the labels' features
    widths: tuple[int, int] | None = None  # of the parts of samples, if they have parts

    def with_labels(
        self, Z: Samples, names: np.ndarray, classes: np.ndarray | None = None
    ) -> "Fitted":
        """Return the same with labels of which only the features are known.

        Their codes follow those of the others, which are left as they are. `classes`
        are all labels in their order; without them, labels are sorted, but the columns
        of an indicator keep their places.
        """
        codec, known = self.model.codec, self.form.classes
        if classes is None:
            classes = joined(known, names)
            if not self.form.is_indicator:
                classes = distinct_labels(classes, "labels")[0]
        by_position = joined(known[codec.order], names)
        order = find_labels(by_position, classes)
        model = self.model.extend(codec.extend(order), Z)
        return self._replace(model=model, form=self.form._replace(classes=classes))


class Outcome(NamedTuple):
    """What was fitted, with what, and what happened."""

    fitted: Fitted
    setting: Setting
    history: History
    task: FitTask | None  # that callbacks are told of, and which is not over yet


class Inputs(NamedTuple):
    """Validated arguments of `fit` and `partial_fit`."""

    X: Samples
    target: Target
    weight: np.ndarray | None
    label_weight: np.ndarray | None
    Z: Samples | None  # features of the labels, in the order of the classes
    late: Any  # features of the labels without a sample
    feature_names: np.ndarray | None  # of the labels' features
    has_new_Z: bool  # whether Z was given, not kept from an earlier call


@own_torch_settings()
def fit(
    estimator: Any, *given: Any, classes: Any = None, is_partial_fit: bool = False
) -> Outcome:
    """Fit a model, or go on training the previous one, as `partial_fit` does.

    X, y, sample_weight and label_features are given.
    """
    previous: Fitted | None = None
    if is_partial_fit or estimator.warm_start:
        previous = getattr(estimator, "_fitted", None)
    if previous is not None:
        # Labels that were added since get rows of their own.
        previous = previous._replace(model=previous.model.grow())
    form, model = (None, None) if previous is None else (previous.form, previous.model)
    if is_partial_fit:
        classes = check_classes(classes, form, estimator._accepts_multilabel)
    # What has features, but no sample, is not trained, but added.
    sets_aside = previous is None and not is_partial_fit
    known = form.classes if is_partial_fit and form is not None else None
    inputs = _checked(estimator, given, (classes, known), previous, sets_aside)
    # partial_fit keeps the form of the first call.
    if form is None or not is_partial_fit:
        form = inputs.target._replace(y=None, all_classes=None)

    def so_far(model: Model) -> dict[str, Any]:
        shown = copy.copy(estimator)
        shown._show(_left_behind(model, state, form, setting, inputs, previous))
        return vars(shown)

    progress, told = make_progress(estimator.verbose), None
    if not is_partial_fit:
        told = estimator._start_fit_task(*given[:3])
    if told is not None:
        progress = CallbackProgress(progress, told, so_far)
    with progress:
        setting, recipe, task, state = _prepare(
            estimator, inputs, previous, is_partial_fit, progress
        )
        if is_partial_fit and model is not None:
            outcome = train_further(recipe, task, state, model)
        else:
            outcome = fit_model(recipe, task, state, model, is_partial_fit)
    model, state, history = outcome
    fitted = _left_behind(model, state, form, setting, inputs, previous)
    return Outcome(fitted, setting, history, told)


def _left_behind(
    model: Model,
    state: TrainingState,
    form: Target,
    setting: Setting,
    inputs: Inputs,
    previous: Fitted | None,
) -> Fitted:
    """Return a model with all else that is known after fitting it."""
    n_first = len(form.classes) if previous is None else previous.n_first_labels
    widths = inputs.X.widths if isinstance(inputs.X, Parts) else None
    fitted = Fitted(model, state, form, n_first, inputs.feature_names, widths)
    everything = inputs.target.all_classes
    if everything is not None:
        has_no_sample = find_labels(everything, form.classes) < 0
        names = everything[has_no_sample]
        late = label_rows(inputs.late, setting.is_user_encoder)
        fitted = fitted.with_labels(late, names, everything)
    return fitted


def _checked(
    estimator: Any,
    given: tuple[Any, ...],
    classes: tuple[np.ndarray | None, np.ndarray | None],
    previous: Fitted | None,
    sets_aside: bool,
) -> Inputs:
    """Validate the arguments of `fit` or `partial_fit`; see `check_target` for classes.

    Samples of weight 0 are as good as absent; labels without any other sample are set
    aside if they have features.
    """
    X, y, sample_weight, label_features = given
    form, Z, late = None, None, None
    if previous is None:
        X = check_fit_samples(estimator, X, estimator.backbone is not None)
    else:
        form, model = previous.form, previous.model
        X = check_predict_samples(estimator, X, model.user_backbone, previous.widths)
        if model.label_features is not None:
            Z = model.label_features[model.codec.positions]
    weight = check_weight(sample_weight, X)
    target = check_target(y, X.shape[0], estimator._accepts_multilabel, *classes, form)
    if weight is not None and not weight.all():
        rows = np.flatnonzero(weight)
        X, weight = X[rows], weight[rows]
        target = target._replace(y=target.y[rows])
    if label_features is not None:
        takes_any = takes_any_labels(estimator)
        Z, target = check_label_features(label_features, target, takes_any)
        if sets_aside:
            target, Z, late = set_aside(Z, target)
    if form is not None:
        check_same_labels(target, form, Z is not None)
    names = None if previous is None else previous.feature_names
    names = check_feature_names(label_features, names, "the earlier call")
    label_weight = check_label_weight(estimator.class_weight, target, weight)
    has_new_Z = label_features is not None
    return Inputs(X, target, weight, label_weight, Z, late, names, has_new_Z)


def _prepare(
    estimator: Any,
    inputs: Inputs,
    previous: Fitted | None,
    is_partial_fit: bool,
    progress: Progress,
) -> tuple[Setting, Recipe, Task, TrainingState]:
    """Return the setting, what to fit, what to learn from, and to go on from."""
    setting, head_sizes = _settle(estimator, inputs, previous, is_partial_fit)
    if inputs.Z is not None and inputs.has_new_Z:
        Z = label_rows(inputs.Z, setting.is_user_encoder)
        inputs = inputs._replace(Z=Z)
        if is_partial_fit and previous is not None:
            check_like_known(Z, previous.model)
    n_labels, weight = setting.n_labels, inputs.weight
    Y = indicator(inputs.target.y, n_labels)
    counts = Y.T @ (np.ones(Y.shape[0]) if weight is None else weight)
    if previous is None:
        state, model = TrainingState(_random_state(estimator.random_state)), None
        features = None
        if setting.label_order == "cluster":  # no other order takes long
            progress.start("label order")
            rows = part_of(inputs.X, "linear")
            features = label_centroids(rows if setting.has_rows else flat_rows(rows), Y)
        codec = _make_codec(setting, head_sizes, features, counts, state.rng)
        if features is not None:
            progress.end_round()
    else:
        state, model = previous.state, previous.model
        codec = model.codec
    recipe = make_recipe(setting, extended_head_sizes(head_sizes, n_labels), model)
    if model is not None:
        check_same_shapes(model.spec, recipe.spec, setting)
    recipe = recipe._replace(progress=progress)
    return setting, recipe, _task(setting, inputs, codec, counts), state


@parameter_errors()
def _settle(
    estimator: Any, inputs: Inputs, previous: Fitted | None, is_partial_fit: bool
) -> tuple[Setting, tuple[int, ...]]:
    """Return the setting, without contradictions, and the lengths of the heads.

    Those of the first labels: what `add_labels` brought is not counted.
    """
    X, Z, n_labels = inputs.X, inputs.Z, len(inputs.target.classes)
    n_first = n_labels if previous is None else previous.n_first_labels
    n_levels = _n_levels(estimator, inputs, previous)
    strategy, n_heads = resolve_strategy(estimator, n_first, n_levels)
    setting = make_setting(
        estimator,
        strategy,
        n_labels=n_labels,
        multilabel=inputs.target.multilabel,
        n_samples=X.shape[0],
        n_features=part_of(X, "network").shape[1],
        has_parts=isinstance(X, Parts),
        n_label_features=None if Z is None else part_of(Z, "network").shape[1],
        has_other_names=_are_other_names(estimator, inputs.feature_names),
        forms=_forms(estimator, inputs),
        is_partial_fit=is_partial_fit,
        n_tree_levels=n_levels,
        keeps_linear=is_partial_fit and _has_linear(previous),
    )
    check_contradictions(setting)
    if n_heads is None:
        return setting, check_head_sizes(estimator.head_sizes, n_first)
    return setting, balanced_head_sizes(n_first, n_heads)


def _n_levels(estimator: Any, inputs: Inputs, previous: Fitted | None) -> int:
    """Return the number of levels that linear classifiers should have."""
    X, y = inputs.X, inputs.target.y
    if previous is not None:  # all is as it was
        return len(previous.model.linear or previous.model.codec.head_sizes)
    if estimator.backbone is not None and not isinstance(X, Parts):
        return 1  # there are none
    # A sparse array's size is the number of stored values.
    n_values = part_of(X, "linear").size
    return n_tree_levels(Work(X.shape[0], n_values, y.size, len(inputs.target.classes)))


def _has_linear(previous: Fitted | None) -> bool:
    return previous is not None and previous.model.linear is not None


def _make_codec(
    setting: Setting,
    head_sizes: tuple[int, ...],
    features: Rows | None,
    counts: np.ndarray,
    rng: np.random.RandomState,
) -> LabelCodec:
    """Return the label order and codes."""
    return LabelCodec(
        setting.n_labels,
        head_sizes,
        setting.label_order,
        label_counts=counts,
        label_features=features,
        random_state=rng,
    )


def _are_other_names(estimator: Any, names: np.ndarray | None) -> bool:
    """Tell whether the features of labels and of samples have other names."""
    of_samples = getattr(estimator, "feature_names_in_", None)
    if names is None or of_samples is None:
        return False
    return not np.array_equal(names, of_samples)


def _forms(estimator: Any, inputs: Inputs) -> tuple[Form, Form] | None:
    """Return the forms of X and of features of labels, if a user's network takes one.

    Otherwise, only the numbers of their columns count.
    """
    if inputs.Z is None or not takes_any_labels(estimator):
        return None
    X, Z = (part_of(rows, "network") for rows in (inputs.X, inputs.Z))
    of_samples = Form(X.dtype.kind == "i", X.shape[1:])
    return of_samples, Form(Z.dtype.kind == "i", Z.shape[1:])


def _are_comparable(setting: Setting, inputs: Inputs) -> bool:
    """Tell whether linear classifiers could read features of labels, as samples.

    Both have parts of the same features for them, or no parts at all.
    """
    X, Z = inputs.X, inputs.Z
    if isinstance(X, Parts) and isinstance(Z, Parts):
        return bool(X.linear.shape[1] == Z.linear.shape[1])
    has_parts = isinstance(X, Parts) or isinstance(Z, Parts)
    # What a network reads may be tokens, which are no numbers to compare.
    return setting.shares_encoder and not (setting.has_backbone or has_parts)


def _random_state(seed: Any) -> np.random.RandomState:
    if seed is None:
        # Must not draw from NumPy's global generator, as scikit-learn would.
        return np.random.RandomState()
    rng = check_random_state(seed)
    # An instance goes on, so that the next fit draws other numbers.
    return np.random.RandomState(rng.randint(MAX_SEED)) if rng is seed else rng


def _task(
    setting: Setting, inputs: Inputs, codec: LabelCodec, counts: np.ndarray
) -> Task:
    """Return what is learned from, with labels at their positions."""
    X, target, weight, label_weight, Z, *_ = inputs
    order, y = codec.order, target.renumbered(codec.positions, setting.n_labels)
    data = TrainingData(X, y, None if weight is None else weight.astype(np.float32))
    return Task(
        codec,
        data,
        counts[order],
        setting.n_samples if weight is None else weight.sum(),
        None if label_weight is None else label_weight[order].astype(np.float32),
        None if Z is None else Z[order],
        _are_comparable(setting, inputs),
    )
