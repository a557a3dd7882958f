"""Why a label: the features that speak for it in its linear classifier."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators.available import available_if
from skmhe.labels.containers import find_labels, label_list, names_of_labels
from skmhe.scorers.linear import label_weights


def has_linear(estimator: Any) -> bool:
    """Tell `available_if` whether there are linear classifiers.

    Of what was fitted, or will be.
    """
    if hasattr(estimator, "_fitted"):
        has_them = estimator._fitted.model.linear is not None
    else:
        strategy = getattr(estimator.strategy, "name", estimator.strategy)
        has_them = estimator.model != "network" and strategy != "product"
    if not has_them:
        raise AttributeError(
            "top_features tells the weights of linear classifiers, and there are none: "
            "call fit with model='linear' or 'both', a strategy other than 'product' "
            "and, with a backbone, samples that are Parts; partial_fit alone fits none."
        )
    return True


class Explanations:
    """`top_features`, of estimators with linear classifiers."""

    _fitted: Any
    n_features_in_: int

    @available_if(has_linear)
    def top_features(self, label: Any, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Return the features that speak for a label in its linear classifier.

        A sample's margin is the sum of its values, scaled to unit length, times the
        label's weights of them, plus a constant. Values of dense samples are first
        standardized, so that their weights can be compared. In a tree ("cascade", or a
        tree next to "sampling"), the weights are the sums of those of the classifiers
        on the label's path: features may then speak for a cluster of similar labels.

        Margins of a classifier count up to 1, a clear yes. What the network adds with
        ``model="both"`` is not told, see `combination_` for how much it counts.

        Parameters
        ----------
        label : object
            A label, as in `classes_`.
        k : int, default=10
            Largest number of features.

        Returns
        -------
        features : ndarray of shape (n_found,)
            Features with the largest weights, largest first; only positive weights
            count, so that there may be fewer than `k`. Their `feature_names_in_` or,
            without names, the indices of their columns; of `Parts`, those of the part
            `linear`.
        weights : ndarray of float64, of shape (n_found,)
            Their weights.

        Examples
        --------
        >>> from sklearn.feature_extraction.text import TfidfVectorizer
        >>> from sklearn.pipeline import make_pipeline
        >>> from skmhe import MHEClassifier
        >>> texts = ["a tabby cat", "my old cat", "a barking dog", "an old dog"]
        >>> labels = ["cat", "cat", "dog", "dog"]
        >>> pipe = make_pipeline(TfidfVectorizer(), MHEClassifier(model="linear"))
        >>> clf = pipe.fit(texts, labels)[-1]
        >>> columns, weights = clf.top_features("cat", k=1)
        >>> pipe[0].get_feature_names_out()[columns]
        array(['cat'], dtype=object)
        """
        check_is_fitted(self, "_fitted")
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(
                f"k={k!r} must be an integer of at least 1, the largest number of "
                "features."
            )
        model, position = self._fitted.model, self._position_of(label)
        features, weights = label_weights(model.linear, position)
        speaking = weights > 0
        if model.scaling is not None:
            # The column that it adds is no feature of the samples.
            speaking &= features < len(model.scaling.mean)
        features, weights = features[speaking], weights[speaking]
        best = np.argsort(-weights, kind="stable")[: int(k)]
        features, weights = features[best], weights[best]
        names = getattr(self, "feature_names_in_", None)
        return features if names is None else names[features], weights

    def _position_of(self, label: Any) -> int:
        """Return the position of a label that the linear classifiers know."""
        model, classes = self._fitted.model, self._fitted.form.classes
        place = find_labels(names_of_labels([label], "label"), classes)[0]
        if place < 0:
            known = label_list(classes)[0]
            raise ValueError(
                f"label={label!r} is none of the {len(classes)} labels in classes_, "
                f"such as {known!r} of type {type(known).__name__}."
            )
        position = int(model.codec.positions[place])
        if position >= model.n_linear:
            raise ValueError(
                f"label={label!r} has no linear classifier, as it had no sample when "
                "they were fitted: call fit with samples of it."
            )
        return position
