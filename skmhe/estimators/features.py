"""Features that a network makes of samples: the estimators as transformers."""

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin


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
        return self._features(X)
