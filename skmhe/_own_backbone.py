"""The part of the estimators that takes a user's backbone, and gives its features."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if

from skmhe import _decoding
from skmhe._backbones import UserBackbone
from skmhe._validation import check_predict_samples

PREFIX = "backbone__"


def has_features(estimator):
    """Tell `available_if` whether there is a layer before the heads."""
    if estimator.backbone is None and (
        estimator.model == "linear" or not len(np.ravel(estimator.hidden_layer_sizes))
    ):
        raise AttributeError(
            f"model={estimator.model!r} with hidden_layer_sizes="
            f"{estimator.hidden_layer_sizes} has no features but X: transform needs a "
            "hidden layer or a backbone."
        )
    return True


class BackboneMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Parameters of a backbone, and features that come out of it."""

    def _set_backbone_params(self, params):
        """Set what a backbone is made with, from keywords of the constructor."""
        for name, value in params.items():
            if not name.startswith(PREFIX) or name == PREFIX:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword "
                    f"argument {name!r}"
                )
            setattr(self, name, value)

    def _backbone_params(self):
        """Return what a backbone is made with, by name."""
        return {
            name.removeprefix(PREFIX): value
            for name, value in vars(self).items()
            if name.startswith(PREFIX)
        }

    def get_params(self, deep=True):
        """Return the parameters, with those of the backbone as ``backbone__<name>``.

        Parameters
        ----------
        deep : bool, default=True
            Also return the parameters of parameters that are estimators.

        Returns
        -------
        dict
            Values by name.
        """
        params = super().get_params(deep)
        own = self._backbone_params()
        return params | {PREFIX + name: value for name, value in own.items()}

    def set_params(self, **params):
        """Set parameters; ``backbone__<name>`` are what a backbone is made with.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        estimator
            This one.
        """
        backbone = params.get("backbone", self.backbone)
        own = {}
        # A backbone that has parameters of its own is set as any estimator.
        if not hasattr(backbone, "set_params"):
            own = {name: v for name, v in params.items() if name.startswith(PREFIX)}
        super().set_params(**{n: v for n, v in params.items() if n not in own})
        self._set_backbone_params(own)
        return self

    def _same_backbone(self, known):
        """Return the backbone that was fitted, if it is still the same.

        Otherwise another one, which is not equal to it.
        """
        if self.backbone is None:
            return None
        now = UserBackbone(self.backbone, self._backbone_params())
        return known if now == known else now

    def _make_user_backbone(self, X, device):
        """Return how to make the user's backbone, and one; None for the own one."""
        params = self._backbone_params()
        if self.backbone is None:
            if params:
                given = ", ".join(PREFIX + name for name in params)
                raise ValueError(
                    f"{given} was given, but backbone=None: pass a class or a function "
                    "that makes a torch.nn.Module as backbone."
                )
            return None, None
        if not callable(self.backbone):
            raise TypeError(
                f"backbone={self.backbone!r} must be a torch.nn.Module, or a class or "
                "function that makes one."
            )
        if self.model == "linear":
            raise ValueError(
                "model='linear' has no network, but backbone="
                f"{UserBackbone(self.backbone, params).name}: use model='network'."
            )
        user = UserBackbone(self.backbone, params)
        module = user.make()
        user.probe(module, X, device)
        return user, module

    def fit_transform(self, X, y, **fit_params):
        """Fit, and return the features that the heads score (see `transform`).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or as the backbone takes it
            Samples.
        y : array-like
            Targets, as `fit` takes them.
        **fit_params : dict
            What else `fit` takes.

        Returns
        -------
        ndarray of float32, of shape (n_samples, n_features_out)
            Features.
        """
        return self.fit(X, y, **fit_params).transform(X)

    def transform(self, X):
        """Return the features that the heads score: what the network makes of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or as the backbone takes it
            Samples.

        Returns
        -------
        ndarray of float32, of shape (n_samples, n_features_out)
            The backbone's features, or those of the last hidden layer. With `margin`,
            labels are told apart by their angles: compare them by their cosines.
        """
        network = self._network(scoring="both")
        return _decoding.features(network, check_predict_samples(self, X))

    @property
    def _n_features_out(self):
        """Number of features of `transform`, which names them."""
        return self.weights_["head.weights.0"].shape[1]


# Not as decorators: what wraps these methods for `set_output`, when the class is made,
# would lose the condition.
for _name in ("fit_transform", "transform"):
    _method = getattr(BackboneMixin, _name)
    setattr(BackboneMixin, _name, available_if(has_features)(_method))
