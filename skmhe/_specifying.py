"""From the estimators' parameters to what the network and its training are."""

from numbers import Integral

import numpy as np

from skmhe._network import NetworkSpec, resolve_device, resolve_dtype
from skmhe._training import resolve_plan
from skmhe.nn import Margin
from skmhe.nn.margin import check_margin


class SpecMixin:
    """Descriptions of the network and of its training."""

    def _make_spec(self, target, head_sizes, Z, user_backbone):
        hidden = self.hidden_layer_sizes
        hidden = (hidden,) if isinstance(hidden, Integral) else tuple(hidden)
        if any(not isinstance(w, Integral) or w < 1 for w in hidden):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes} must hold positive "
                "integers, the width of each hidden layer; () for linear heads."
            )
        has_centroids = self.model == "both" and self.strategy_ == "sampling"
        has_centroids = has_centroids and user_backbone is None
        return NetworkSpec(
            n_features=self.n_features_in_,
            n_labels=len(target.classes),
            multilabel=target.kind != "labels",
            strategy=self.strategy_,
            head_sizes=head_sizes,
            rank=getattr(self, "rank", 1),
            beam_width=self.beam_width,
            hard_negatives=self._check_hard_negatives(target),
            n_sampled_groups=self.n_sampled_groups,
            has_network=self.model != "linear",
            has_centroids=has_centroids,
            linear_weight=float(self.linear_weight),
            hidden_layer_sizes=tuple(int(width) for width in hidden),
            activation=self.activation,
            dropout=float(self.dropout),
            input_dropout=float(self.input_dropout),
            n_label_features=0 if Z is None else Z.shape[1],
            shares_encoder=self._shares_encoder(Z),
            encoder_weight=float(self.encoder_weight),
            margin=self._check_margin(target),
            pool_labels=self._check_pool_labels(target),
            user_backbone=user_backbone,
            freeze=self._check_freeze(),
        )

    @property
    def _is_alone(self):
        """Whether nothing is put beside the network."""
        return self.model == "network" or self.backbone is not None

    def _check_hard_negatives(self, target):
        """Return whether "cascade" learns from hard negatives."""
        one_label = target.kind == "labels"
        if self.hard_negatives == "auto":
            return not one_label or self.backbone is not None
        if self.hard_negatives and one_label and self.strategy_ == "cascade":
            self._check_alone("hard_negatives")
        return bool(self.hard_negatives)

    def _check_pool_labels(self, target):
        """Return which labels a step of "sampling" scores."""
        strict = "batch_and_own_group"
        if self.pool_labels == "auto":
            hard = target.kind == "labels" and self.margin is None
            return strict if hard and self.backbone is not None else "batch"
        if self.pool_labels == strict and self.strategy_ == "sampling":
            if target.kind != "labels" or self.margin is not None:
                raise ValueError(
                    f"pool_labels={strict!r} is for one label a sample and no margin, "
                    f"but y has the form {target.kind!r} and margin={self.margin!r}: "
                    "use pool_labels='batch', 'batch_groups' or 'own_group'."
                )
            self._check_alone("pool_labels")
        return self.pool_labels

    def _check_alone(self, name):
        """Raise ValueError if a parameter is for a network alone, and this is not."""
        if not self._is_alone:
            raise ValueError(
                f"{name}={getattr(self, name)!r} is for a network alone, but model="
                f"{self.model!r}: use model='network'."
            )

    def _check_margin(self, target):
        """Return the margin, None for none."""
        if self.margin is None:
            return None
        if target.kind != "labels" or self.strategy_ not in ("full", "sampling"):
            raise ValueError(
                f"margin={self.margin!r} is for one label a sample and heads that "
                f"score all labels, but y has the form {target.kind!r} and strategy_="
                f"{self.strategy_!r}: use strategy='full' or 'sampling' and 1-D y, or "
                "margin=None."
            )
        self._check_alone("margin")
        margin = Margin(self.margin, float(self.margin_size), float(self.margin_scale))
        check_margin(margin, multilabel=False)
        return margin

    def _plan(self, X, weight, max_iter):
        return resolve_plan(
            X.shape[0] if weight is None else np.count_nonzero(weight),
            self._spec.multilabel,
            max_iter=max_iter,
            batch_size=self.batch_size,
            learning_rate_init=self.learning_rate_init,
            learning_rate=self.learning_rate,
            alpha=self.alpha,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=bool(self.verbose),
            dtype=resolve_dtype(self.precision, resolve_device(self.device)),
            user_backbone=self.backbone is not None,
            backbone_learning_rate=self.backbone_learning_rate,
            max_grad_norm=self.max_grad_norm,
            averaging_decay=self.averaging_decay,
        )

    def _check_freeze(self):
        """Return which parameters of the backbone are not trained."""
        if self.backbone is None:
            for name, given in [
                ("freeze", self.freeze is not False),
                ("backbone_learning_rate", self.backbone_learning_rate is not None),
            ]:
                if given:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} is for parts of a backbone, "
                        "but backbone=None: pass one, or leave it out."
                    )
        if isinstance(self.freeze, bool | str):
            return self.freeze
        return tuple(self.freeze)
