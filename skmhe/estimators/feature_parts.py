"""A transformer that makes samples of two parts."""

from typing import Any, Self

from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from skmhe.scorers.parts import PART_NAMES, Parts

PASSTHROUGH = "passthrough"


class FeatureParts(TransformerMixin, BaseEstimator):
    """Make features for the network and others for the linear classifiers.

    Like `sklearn.pipeline.FeatureUnion`, but the results are kept apart, as `Parts`:
    the network and the linear classifiers each see their own. It is for a pipeline that
    ends in `MHEClassifier` or `MHEMultiLabelClassifier`.

    Parameters
    ----------
    network : transformer or "passthrough"
        Makes what the network reads. "passthrough" is X as it is.
    linear : transformer or "passthrough"
        Makes what the linear classifiers, the centroids of labels and
        ``label_order="cluster"`` read.

    Attributes
    ----------
    network_ : transformer or "passthrough"
        The fitted copy of `network`.
    linear_ : transformer or "passthrough"
        The fitted copy of `linear`.

    See Also
    --------
    Parts : What it makes.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmhe import FeatureParts, MHEClassifier
    >>> texts = ["green tea", "black tea", "cold beer", "dark beer"] * 5
    >>> dense = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))
    >>> parts = FeatureParts(network=dense, linear=TfidfVectorizer())
    >>> parts.fit_transform(texts)
    Parts(network=float64 of shape (20, 2), linear=sparse float64 of shape (20, 6))
    >>> clf = make_pipeline(parts, MHEClassifier(random_state=0))
    >>> clf.fit(texts, ["tea", "tea", "beer", "beer"] * 5).predict(["tea, please"])
    array(['tea'], dtype='<U4')
    """

    def __init__(self, *, network: Any, linear: Any):
        self.network = network
        self.linear = linear

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit both transformers.

        Parameters
        ----------
        X : sequence of length n_samples
            Samples, in any form that both transformers take.
        y : array-like of shape (n_samples,), default=None
            Labels, for transformers that need them.

        Returns
        -------
        self : FeatureParts
            This object.
        """
        self.network_, self.linear_ = (
            part if is_passed(part) else part.fit(X, y) for part in self._copies()
        )
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Parts:
        """Fit both transformers, and return what they make.

        Parameters
        ----------
        X : sequence of length n_samples
            Samples, in any form that both transformers take.
        y : array-like of shape (n_samples,), default=None
            Labels, for transformers that need them.

        Returns
        -------
        Parts
            The two parts of the samples.
        """
        parts = self._copies()
        network, linear = (_fitted_features(part, X, y) for part in parts)
        self.network_, self.linear_ = parts
        return Parts(network=network, linear=linear)

    def transform(self, X: Any) -> Parts:
        """Return what the transformers make.

        Parameters
        ----------
        X : sequence of length n_samples
            Samples, in any form that both transformers take.

        Returns
        -------
        Parts
            The two parts of the samples.
        """
        check_is_fitted(self)
        network, linear = (
            X if is_passed(part) else part.transform(X)
            for part in (self.network_, self.linear_)
        )
        return Parts(network=network, linear=linear)

    def _copies(self) -> list[Any]:
        """Return copies of the transformers to fit, which are what they should be."""
        for name in PART_NAMES:
            part = getattr(self, name)
            if isinstance(part, type) or not (
                is_passed(part) or (hasattr(part, "fit") and hasattr(part, "transform"))
            ):
                raise TypeError(
                    f"{name}={part!r} is not a transformer: pass an object with the "
                    f"methods fit and transform, or {PASSTHROUGH!r} for X as it is."
                )
        given = (getattr(self, name) for name in PART_NAMES)
        return [part if is_passed(part) else clone(part) for part in given]


def is_passed(part: Any) -> bool:
    """Tell whether X is a part as it is."""
    return isinstance(part, str) and part == PASSTHROUGH


def _fitted_features(part: Any, X: Any, y: Any) -> Any:
    """Fit a transformer, and return what it makes."""
    if is_passed(part):
        return X
    if hasattr(part, "fit_transform"):
        return part.fit_transform(X, y)
    return part.fit(X, y).transform(X)
