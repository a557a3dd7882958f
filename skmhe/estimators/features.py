"""Features that a network makes of samples: the estimators as transformers."""

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators.validation.samples import check_predict_samples
from skmhe.scorers.device import resolve_device


def has_features(estimator: Any) -> bool:
    """Tell `available_if` whether there is a layer below the heads.

    Of what was fitted, or will be.
    """
    if hasattr(estimator, "_fitted"):
        spec = estimator._fitted.model.spec
        has_layer = spec is not None and (
            spec.user_backbone is not None or len(spec.hidden_layer_sizes) > 0
        )
    else:
        has_hidden = len(np.ravel(estimator.hidden_layer_sizes)) > 0
        has_layer = estimator.backbone is not None or has_hidden
        has_layer = has_layer and estimator.model != "linear"
    if not has_layer:
        raise AttributeError(
            f"model={estimator.model!r} with hidden_layer_sizes="
            f"{estimator.hidden_layer_sizes} has no features but X: transform needs a "
            "hidden layer or a backbone, when the estimator is fitted."
        )
    return True


class Features(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """`transform`, which scikit-learn wraps here, where it has no condition."""

    def transform(self, X: Any) -> np.ndarray:
        """Return the features that the heads score."""
        check_is_fitted(self, "_fitted")
        model, widths = self._fitted.model, self._fitted.widths
        X = check_predict_samples(self, X, model.user_backbone, widths)
        return model.features(X, resolve_device(self.device))

    @property
    def _n_features_out(self) -> int:
        """Number of features of `transform`, which names them."""
        check_is_fitted(self, "_fitted")
        has_features(self)  # no other error than AttributeError, for `dir`
        return self._fitted.model.weights["head.weights.0"].shape[1]
