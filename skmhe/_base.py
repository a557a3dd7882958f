"""What the two estimators share: parameters, fitting and predicting."""

import copy

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skmhe import _training
from skmhe._backbones import flat_rows
from skmhe._beside import N_NEWTON, fit_beside
from skmhe._clustering import label_centroids
from skmhe._featured_labels import FeaturedLabelsMixin
from skmhe._label_features import set_aside
from skmhe._network import (
    Network,
    network_from_weights,
    resolve_device,
    root_mean_square_scale,
    to_tensor,
    weights_to_numpy,
)
from skmhe._optimizing import make_optimizer, optimizer_state_to_numpy
from skmhe._own_backbone import BackboneMixin
from skmhe._predicting import PredictMixin
from skmhe._specifying import SpecMixin
from skmhe._storage import compacted, restored, round_to_half
from skmhe._targets import check_label_weight, check_target
from skmhe._training import TrainingData
from skmhe._validation import (
    MAX_FULL_LABELS,
    PARAMETER_CONSTRAINTS,
    check_fit_samples,
    check_weight,
    resolve_strategy,
)
from skmhe.label_codec import (
    LabelCodec,
    balanced_head_sizes,
    check_head_sizes,
    extended_head_sizes,
)

MAX_SEED = 2**31 - 1
# What holds tables, which are on disk in 16 bits where this loses nothing.
STORED = ("weights_", "linear_")
# What cannot be changed when training goes on.
SHAPES = (
    "strategy",
    "has_network",
    "has_centroids",
    "head_sizes",
    "rank",
    "hidden_layer_sizes",
    "activation",
    "n_label_features",
    "shares_encoder",
    "margin",
    "user_backbone",
)


def has_partial_fit(estimator):
    """Tell `available_if` whether a part of the samples can be learned from."""
    if estimator.model == "linear":
        raise AttributeError(
            "model='linear' has no partial_fit: linear classifiers are fitted to all "
            "samples at once. Use model='network' or 'both', or fit."
        )
    return True


class BaseMHE(
    BackboneMixin,
    FeaturedLabelsMixin,
    SpecMixin,
    PredictMixin,
    BaseEstimator,
):
    """Orchestration of fitting: validation, codec, network, training."""

    _parameter_constraints = PARAMETER_CONSTRAINTS
    _accepts_multilabel = False

    def __sklearn_tags__(self):
        """Return what scikit-learn asks about an estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.backbone is None
        tags.input_tags.three_d_array = self.backbone is not None
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self):
        state = super().__getstate__()
        stored = {name: state[name] for name in STORED if name in state}
        return state | compacted(stored)

    def __setstate__(self, state):
        stored = {name: state[name] for name in STORED if name in state}
        super().__setstate__(state | restored(stored))

    # Fitting

    def _fit(self, X, y, sample_weight, label_features):
        going_on = self.warm_start and hasattr(self, "weights_")
        X = check_fit_samples(self, X, reset=not going_on)
        target = check_target(y, X.shape[0], self._accepts_multilabel)
        weight = check_weight(sample_weight, X)
        target, Z = self._check_label_features(label_features, target)
        untrained = None
        if going_on:
            self._make_room()
            self._check_same_task(target, Z)
        else:
            if Z is not None:
                target, Z, untrained = set_aside(Z, target)
            self._start(X, target, weight, Z)
        self._label_features = None if Z is None else Z[self.codec_.order]
        self._target_form = target._replace(y=None, untrained=())
        centroids = self._fit_beside(X, target, weight)
        self.n_iter_ = 0 if self._spec.has_network else N_NEWTON
        self.loss_curve_ = []
        self._optimizer_state = None
        self._own_label_counts = np.zeros(2, int)
        if self._spec.has_network:
            plan = self._plan(X, weight, self.max_iter)
            self._train(X, target, weight, plan, centroids)
        if untrained is not None and untrained.shape[0]:
            self._append(untrained, target.untrained)
        return self

    def _partial_fit(self, X, y, classes, sample_weight, label_features):
        first = not hasattr(self, "weights_")
        X = check_fit_samples(self, X, reset=first)
        known = self._known_classes(classes)
        kind = None if first else self._target_form.kind
        target = check_target(y, X.shape[0], self._accepts_multilabel, known, kind)
        weight = check_weight(sample_weight, X)
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' cannot be used in partial_fit, which sees a "
                "part of the samples only: pass a dict of weights instead."
            )
        Z = None
        if label_features is not None:
            target, Z = self._check_label_features(label_features, target)
        elif not first and self._label_features is not None:
            Z = self._label_features[self.codec_.positions]
        if first:
            self._start(X, target, weight, Z)
            self._target_form = target._replace(y=None)
            self.linear_ = self.centroids_ = None
            self._n_linear_labels = 0
            self.n_iter_, self.loss_curve_, self._optimizer_state = 0, [], None
            self._own_label_counts = np.zeros(2, int)
        else:
            self._make_room()
            self._check_same_task(target, Z)
        self._label_features = None if Z is None else Z[self.codec_.order]
        plan = self._plan(X, weight, 1)._replace(
            learning_rate="constant", averaging_decay=None
        )
        self._train(X, target, weight, plan, self.centroids_, keep_optimizer=True)
        return self

    def _known_classes(self, classes):
        """Return the labels of a call of partial_fit, None if y has to tell them."""
        if not hasattr(self, "weights_"):
            if classes is None:
                if not self._accepts_multilabel:
                    raise ValueError(
                        "classes=None, but the first call of partial_fit must name "
                        "all labels: pass classes=np.unique(y_all)."
                    )
                return None
            return np.unique(classes)
        if classes is not None and not np.array_equal(
            np.unique(classes), self.classes_
        ):
            raise ValueError(
                f"classes has {len(np.unique(classes))} labels that are not the "
                f"{len(self.classes_)} of the first call of partial_fit or of fit: "
                "leave it out, or call fit again."
            )
        return self.classes_

    def _check_same_task(self, target, Z):
        form = self._target_form
        same_kind = (form.kind == "labels") == (target.kind == "labels")
        if not same_kind or not np.array_equal(target.classes, self.classes_):
            raise ValueError(
                f"y has {len(target.classes)} labels ({target.kind}) that are not the "
                f"{len(self.classes_)} ({form.kind}) that this estimator was fitted "
                "with: use the same labels, or fit with warm_start=False."
            )
        # What the first labels asked for; more of them have codes behind these.
        n_labels = self._n_first_labels
        self.strategy_ = resolve_strategy(self.strategy, self.model, n_labels)
        head_sizes = self.head_sizes
        if head_sizes is None:
            head_sizes = balanced_head_sizes(n_labels, self.n_heads)
        head_sizes = check_head_sizes(head_sizes, n_labels)
        head_sizes = extended_head_sizes(head_sizes, len(self.classes_))
        user = self._same_backbone(self._spec.user_backbone)
        spec = self._make_spec(target, head_sizes, Z, user)
        changed = [
            name for name in SHAPES if getattr(spec, name) != getattr(self._spec, name)
        ]
        if changed:
            raise ValueError(
                f"{', '.join(changed)} shapes the network and was changed since it was "
                "fitted, so its weights cannot be trained further: fit with "
                "warm_start=False."
            )
        self._spec = spec

    def _start(self, X, target, weight, Z):
        """Set everything that training starts from but does not change."""
        multilabel = target.kind != "labels"
        self.strategy_ = resolve_strategy(
            self.strategy, self.model, len(target.classes)
        )
        if multilabel and self.strategy == "product":
            raise ValueError(
                "strategy='product' is for one label a sample (a product of softmaxes "
                "cannot give several labels), but y has a multi-label form. Use "
                "strategy='cascade', 'sampling' or 'full'."
            )
        self.classes_ = target.classes
        self._n_first_labels = len(target.classes)
        # None must not draw from NumPy's global generator, as scikit-learn would.
        seed = self.random_state
        self._random_state = (
            np.random.RandomState() if seed is None else check_random_state(seed)
        )
        used = slice(None) if weight is None else weight > 0
        indicator = self._indicator(target)[used]
        counts = indicator.T @ (
            np.ones(indicator.shape[0]) if weight is None else weight[used]
        )
        self.codec_ = self._make_codec(X[used], indicator, counts)
        self.head_sizes_ = self.codec_.head_sizes
        n_samples = indicator.shape[0] if weight is None else weight.sum()
        device = resolve_device(self.device)
        with _training.seeded(self._random_state.randint(MAX_SEED), device):
            user, module = self._make_user_backbone(X, device)
            self._spec = self._make_spec(target, self.head_sizes_, Z, user)
            network = Network(self._spec, module)
        if network.backbone is not None:
            if user is None:
                network.backbone.input_scale.fill_(root_mean_square_scale(X[used]))
            network.head.set_prior(to_tensor(counts[self.codec_.order]), n_samples)
        elif multilabel:
            # Log-scores are at most 0: with this, a score of 1 - sqrt(1.25) = -0.12
            # gives a probability of 1/2, as is best on held-out samples.
            for bias in network.head.biases:
                bias.data.fill_(
                    1.25 * self._spec.linear_scale * (self.strategy_ == "full")
                )
        self.weights_ = weights_to_numpy(network)
        self._label_counts = None

    def _fit_beside(self, X, target, weight):
        """Fit what is put beside the network; return centroids to train it with."""
        self.linear_ = self.centroids_ = None
        n_labels = self._n_linear_labels = len(self.classes_)
        # With independent heads, linear classifiers of labels would be a full head.
        if self._is_alone or self.strategy_ == "product" or n_labels < 2:
            return None
        few = self.strategy_ == "sampling" and n_labels <= MAX_FULL_LABELS
        no_tree = self.strategy_ == "full" or few
        data = self._training_data(X, target, weight)
        label_weight = check_label_weight(self.class_weight, target, weight)
        if label_weight is not None:
            label_weight = label_weight[self.codec_.order].astype(np.float32)
        if target.kind == "labels":
            data = data._replace(y=self._indicator(target._replace(y=data.y)))
        beside, centroids = fit_beside(
            data,
            (n_labels,) if no_tree else self.head_sizes_,
            self.C,
            self.centroid_prior,
            label_weight,
            self._spec.multilabel,
            self._spec.has_centroids,
        )
        self.linear_, self.centroids_ = beside.linear, beside.centroids
        return centroids

    def _indicator(self, target):
        if target.kind != "labels":
            return target.y
        n = len(target.y)
        return sp.csr_array(
            (np.ones(n, np.float32), target.y, np.arange(n + 1)),
            shape=(n, len(target.classes)),
        )

    def _make_codec(self, X, indicator, counts):
        n_heads = self.n_heads
        if self.strategy_ == "cascade" and self.head_sizes is None and n_heads < 2:
            raise ValueError(
                f"n_heads={n_heads}, but strategy='cascade' needs at least 2 heads: "
                "raise n_heads, or use strategy='full'."
            )
        self._check_longest_head(indicator.shape[1])
        by_features = self.label_order == "cluster" and self.strategy_ != "full"
        return LabelCodec(
            indicator.shape[1],
            self.head_sizes,
            # Without heads, there is nothing that an order could change.
            self.label_order if self.strategy_ != "full" else "natural",
            n_heads=n_heads,
            label_counts=counts,
            label_features=self._label_means(X, indicator) if by_features else None,
            random_state=self._random_state,
        )

    def _label_means(self, X, indicator):
        """Return the means of the labels' samples."""
        rows = X if self.backbone is None else flat_rows(X)
        return label_centroids(rows, indicator)

    def _check_longest_head(self, n_labels):
        if self.head_sizes is None:
            return
        sizes = check_head_sizes(self.head_sizes, n_labels)
        if max(sizes) > n_labels:
            raise ValueError(
                f"head_sizes={sizes} has a head of {max(sizes)}, longer than the "
                f"number of labels, {n_labels}: most of its codes would name no label. "
                "Make it shorter, or leave head_sizes=None to derive lengths from "
                "n_heads."
            )

    def _train(self, X, target, weight, plan, centroids=None, keep_optimizer=False):
        """Train the weights, and record what happened."""
        device = resolve_device(self.device)
        label_weight = check_label_weight(self.class_weight, target, weight)
        if label_weight is not None:
            label_weight = to_tensor(label_weight[self.codec_.order].astype(np.float32))
            label_weight = label_weight.to(device)
        data = self._training_data(X, target, weight)._replace(centroids=centroids)
        self._count_own_labels(data.X, data.y)
        # A copy, so that a failure leaves the generator where it was.
        rng, validation = copy.deepcopy(self._random_state), None
        if self.early_stopping and not keep_optimizer:
            kept, held_out = _training.hold_out(data.y, self.validation_fraction, rng)
            data, validation = data.take(kept), data.take(held_out)
        network = network_from_weights(self._spec, self.weights_, device, copy=True)
        optimizer = make_optimizer(network, plan, self._optimizer_state)
        if network.is_frozen:
            # They are the same in every epoch.
            data, validation = (
                _training.with_features(network, part) for part in (data, validation)
            )
        with (
            _training.seeded(rng.randint(MAX_SEED), device),
            network.taking_features(network.is_frozen),
        ):
            history = _training.train(
                network,
                data,
                plan,
                rng,
                validation,
                label_weight,
                optimizer,
                self._label_training(data.y, plan.batch_size),
                self.n_iter_,
            )
        self._random_state = rng
        self.weights_ = weights_to_numpy(network)
        # Training that goes on needs every digit: its steps may be small.
        if not (keep_optimizer or self.warm_start):
            round_to_half(self.weights_)
        self.loss_curve_ = self.loss_curve_ + history.loss_curve
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ += history.n_iter
        self.validation_scores_ = history.validation_scores or None
        if keep_optimizer:
            self._optimizer_state = optimizer_state_to_numpy(network, optimizer)

    def _training_data(self, X, target, weight):
        y = target.y
        if target.kind == "labels":
            y = self.codec_.positions[y]
        else:
            columns = self.codec_.positions[y.indices]
            y = sp.csr_array((y.data, columns, y.indptr), shape=y.shape)
            y.sort_indices()
        data = TrainingData(X, y, None)
        if weight is None:
            return data
        # A sample of weight 0 is as good as absent, also for the batches.
        data = data._replace(sample_weight=weight.astype(np.float32))
        return data if weight.all() else data.take(np.flatnonzero(weight))
