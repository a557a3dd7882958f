"""What the two estimators share: what users call, on one fitted model."""

from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators._sklearn import fit_context
from skmhe.estimators.available import available_if, has_partial_fit
from skmhe.estimators.callbacks import SupportsCallbacks, with_callbacks
from skmhe.estimators.docs import (
    LABEL_FEATURES,
    SAMPLES,
    TARGETS,
    WEIGHTS,
    documented,
)
from skmhe.estimators.explanations import Explanations
from skmhe.estimators.features import Features, has_features
from skmhe.estimators.fitting import Fitted, Outcome, fit
from skmhe.estimators.history import TrainingHistory
from skmhe.estimators.recipe import prediction_settings
from skmhe.estimators.restore import unchanged_on_error
from skmhe.estimators.short_forms import EstimatorParameters
from skmhe.estimators.validation.label_features import (
    check_added_labels,
    check_feature_names,
)
from skmhe.estimators.validation.samples import check_k, check_predict_samples
from skmhe.scorers.model import Bounds, Give, Model, Settings
from skmhe.scorers.parts import Samples

# Bounds inside (0, 1), as log loss and the logit need. The upper one is not the largest
# number below 1: the last bit of an exponential may be wrong.
LARGEST_LOG = -np.finfo(np.float64).eps
PROBABILITIES = np.finfo(np.float64).tiny, np.exp(LARGEST_LOG)


# Methods with a condition are not wrapped: scikit-learn would drop the condition.
class BaseMHE(  # type: ignore[call-arg]
    Explanations,
    Features,
    TrainingHistory,
    SupportsCallbacks,
    EstimatorParameters,
    auto_wrap_output_keys=None,
):
    """The methods of both estimators."""

    _accepts_multilabel = False

    @fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_error
    @with_callbacks
    @documented(X=SAMPLES, y=TARGETS, sample_weight=WEIGHTS, Z=LABEL_FEATURES)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, label_features: Any = None
    ) -> Self:
        """Fit the classifier.

        Parameters
        ----------
        {X}
        {y}
        {sample_weight}
        {Z}

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, MemoryError
            If a parameter or the data is invalid, training diverges, or more memory is
            needed than there is. The estimator is then the same as before the call.

        Warns
        -----
        UserWarning
            If the user interrupts training (Ctrl-C). The weights so far are kept; a
            second Ctrl-C leaves the estimator as it was.
        """
        outcome = fit(self, X, y, sample_weight, label_features)
        return self._keep(outcome, goes_on=self.warm_start)

    @available_if(has_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_error
    @documented(X=SAMPLES, y=TARGETS, sample_weight=WEIGHTS)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        label_features: Any = None,
    ) -> Self:
        """Train the network for one epoch on some samples.

        Linear classifiers and centroids stay as `fit` left them; without a call of
        `fit`, there are none. Not available with ``model="linear"``.

        Parameters
        ----------
        {X}
        {y}
        classes : array-like of shape (n_labels,), default=None
            All labels, for an indicator without names in the order of its columns.
            Needed in the first call, unless `fit` was called before or `y` is an
            indicator; lists of labels may hold all of them instead.
        {sample_weight}
        label_features : {{array-like, sparse matrix}}, default=None
            See `fit`; known from the first call on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            See `fit`. The estimator is then the same as before the call.
        """
        given = X, y, sample_weight, label_features
        outcome = fit(self, *given, classes=classes, is_partial_fit=True)
        return self._keep(outcome, goes_on=True)

    @unchanged_on_error
    def add_labels(self, label_features: Any, labels: Any = None) -> Self:
        """Add labels of which only the features are known, without training.

        Predictions may then return them. No classifier knows them: they are as probable
        as the label encoder, and the similarity of samples and features of labels where
        these are of one kind, find them likely beside all known labels. Predictions
        score all labels for that, whatever the beam holds. `partial_fit` trains them.

        Parameters
        ----------
        label_features : {array-like, sparse matrix} of shape (n_added, d)
            A row for each label to add, made like those that were given to `fit`.
        labels : array-like of shape (n_added,), default=None
            Names of the labels, none of which is known already. None takes a
            DataFrame's index, or the integers that follow the largest label (for an
            indicator without names, the columns that follow the last one).

        Returns
        -------
        self : object
            The estimator, with more `classes_`.

        Raises
        ------
        ValueError
            If the estimator was fitted without `label_features`, or the features or
            names do not fit. The estimator is then the same as before the call.

        Examples
        --------
        >>> import numpy as np
        >>> from skmhe import MHEClassifier
        >>> X, y = np.eye(5, 6).repeat(4, axis=0), np.arange(5).repeat(4)
        >>> clf = MHEClassifier(random_state=0).fit(X, y, label_features=np.eye(5, 6))
        >>> clf.add_labels(np.eye(6)[5:]).classes_
        array([0, 1, 2, 3, 4, 5])
        >>> clf.predict(np.eye(6)[5:])
        array([5])
        """
        fitted = self._checked_fitted()
        if fitted.model.label_features is None:
            raise ValueError(
                "add_labels needs an estimator that was fitted with features of "
                "labels: call fit(X, y, label_features=Z) first."
            )
        check_feature_names(label_features, fitted.feature_names, "fit")
        added = check_added_labels(label_features, labels, fitted.form, fitted.model)
        extended = fitted.with_labels(*added)
        extended.model.embed_labels(prediction_settings(self, extended.model))
        self._show(extended)
        return self

    @documented(X=SAMPLES)
    def predict_topk(
        self, X: Any, k: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict the k most probable labels of each sample, best first.

        "cascade" and "product" do not score all labels for it. Of many labels,
        "sampling" does so for dense `X` or features of labels, but not if multi-label.
        After `add_labels`, features of labels are compared with all of them.

        Parameters
        ----------
        {X}
        k : int, default=None
            Number of labels, from 1 to n_labels. None is 5, or all where there are
            fewer.

        Returns
        -------
        labels : ndarray of shape (n_samples, k)
            Labels, from `classes_`: for an indicator, its columns.
        probabilities : ndarray of float64, of shape (n_samples, k)
            Their probabilities.

        See Also
        --------
        skmhe.predict_topk : The same for pipelines and searches.
        """
        model, X, settings = self._arguments(X)
        positions, log_p = model.topk(X, check_k(k, len(self.classes_)), settings)
        probabilities = np.clip(np.exp(log_p.astype(np.float64)), *PROBABILITIES)
        return self.classes_[self.codec_.order[positions]], probabilities

    @documented(X=SAMPLES)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of every label.

        Parameters
        ----------
        {X}

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_labels)
            Probabilities inside (0, 1), in the order of `classes_`. Rows sum to 1,
            except for multi-label targets, where each label has a probability of its
            own. Prefer `predict_topk` where there are very many labels.
        """
        return self._of_all_labels(
            X, lambda search, scores: search.prob(scores), PROBABILITIES
        )

    @documented(X=SAMPLES)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithm of the probability of every label.

        Parameters
        ----------
        {X}

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_labels)
            Log-probabilities, in the order of `classes_`; see `predict_proba`.
        """
        return np.minimum(self._log_prob(X), LARGEST_LOG)

    @documented(X=SAMPLES)
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the score of every label.

        Parameters
        ----------
        {X}

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_labels) or (n_samples,)
            Log-probabilities; for two classes, the log-odds of the second one, of shape
            (n_samples,). For multi-label targets, the log-odds of every label: positive
            where the label is more probable than not.
        """
        if self._checked_fitted().form.multilabel:
            return self._of_all_labels(X, lambda search, sums: search.log_odds(sums))
        log_p = self._log_prob(X)
        return log_p[:, 1] - log_p[:, 0] if len(self.classes_) == 2 else log_p

    @available_if(has_features)
    @documented(X=SAMPLES)
    def transform(self, X: Any) -> np.ndarray:
        """Return the features that the heads score: the network's output below them.

        Parameters
        ----------
        {X}

        Returns
        -------
        ndarray of float32, of shape (n_samples, n_features_out)
            The features of the backbone, or of the last hidden layer. With a margin,
            labels are told apart by angles: compare features by their cosines.
        """
        return super().transform(X)

    @available_if(has_features)
    @documented(X=SAMPLES, y=TARGETS)
    def fit_transform(self, X: Any, y: Any, **fit_params: Any) -> np.ndarray:
        """Fit the classifier, and return the features that the heads score.

        Parameters
        ----------
        {X}
        {y}
        **fit_params : dict
            Other arguments of `fit`.

        Returns
        -------
        ndarray of float32, of shape (n_samples, n_features_out)
            Features, see `transform`.
        """
        return self.fit(X, y, **fit_params).transform(X)

    @available_if(has_features)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only used to validate that they are the names of the samples' features.

        Returns
        -------
        ndarray of str objects
            The lowercase name of the class, followed by a number.
        """
        return super().get_feature_names_out(input_features)

    def _predict_best(self, X: Any) -> np.ndarray:
        """Return the most probable label of each sample."""
        places = self._best_places(X)
        return self.classes_[places]

    def _best_places(self, X: Any) -> np.ndarray:
        """Return the place in `classes_` of the most probable label of each sample."""
        model, X, settings = self._arguments(X)
        return self.codec_.order[model.best(X, settings)]

    # Fitting

    def _keep(self, outcome: Outcome, goes_on: bool) -> Self:
        """Keep what was fitted, and publish what happened."""
        fitted, setting, history, task = outcome
        self._show(fitted)
        self.strategy_ = setting.strategy.name
        self._set_history(history.epochs, goes_on)
        has_network, n_steps = setting.has_network, history.n_linear_steps
        self.n_iter_ = len(self.history_) if has_network else n_steps
        if task is not None:
            task.end(dict)
        return self

    def _show(self, fitted: Fitted) -> None:
        """Keep what was fitted, and publish its labels."""
        self._fitted = fitted
        self.classes_, self.codec_ = fitted.form.classes, fitted.model.codec
        self.head_sizes_ = self.codec_.head_sizes
        self.n_heads_ = len(self.head_sizes_)

    @property
    def combination_(self) -> dict[str, float]:
        """Weights of the scorers; a property, as they may change after fitting."""
        model = self._checked_fitted().model
        return model.combination(prediction_settings(self, model))

    def _checked_fitted(self) -> Fitted:
        check_is_fitted(self, "_fitted")
        return self._fitted

    def _arguments(self, X: Any) -> tuple[Model, Samples, Settings]:
        """Return the model, and what it predicts with."""
        model, widths = self._checked_fitted().model, self._fitted.widths
        X = check_predict_samples(self, X, model.user_backbone, widths)
        return model, X, prediction_settings(self, model)

    def _of_all_labels(
        self, X: Any, give: Give, bounds: Bounds | None = None
    ) -> np.ndarray:
        """Return what a search gives of each label, in the order of `classes_`."""
        model, X, settings = self._arguments(X)
        return model.of_all_labels(X, settings, give, bounds)

    def _log_prob(self, X: Any) -> np.ndarray:
        return self._of_all_labels(X, lambda search, scores: search.log_prob(scores))

    def _above(self, X: Any, log_threshold: float) -> sp.csr_array:
        """Return the labels of more than a log-probability as a CSR indicator."""
        model, X, settings = self._arguments(X)
        return model.above(X, log_threshold, settings)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks about an estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.backbone is None
        tags.input_tags.three_d_array = self.backbone is not None
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
