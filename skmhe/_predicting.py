"""Predicting: what the two estimators share of it."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmhe import _decoding
from skmhe._beside import Beside
from skmhe._network import kept_network, network_from_weights, resolve_device
from skmhe._own_labels import own_label_score
from skmhe._validation import check_k, check_predict_samples

# Probabilities stay inside (0, 1), as log loss and the logit need.
SMALLEST_LOG = np.log(np.finfo(np.float64).tiny)
LARGEST_LOG = -np.finfo(np.float64).epsneg


class PredictMixin:
    """Predictions of a fitted estimator."""

    def predict_topk(self, X, k=5):
        """Predict the k most probable labels of each sample, best first.

        Neither "cascade" nor "product" scores all labels for it, nor, of several labels
        a sample and beside a tree of linear classifiers, "sampling".

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        k : int, default=5
            Number of labels, 1..n_labels.

        Returns
        -------
        labels : ndarray of shape (n_samples, k)
            Labels, from `classes_`: for an indicator, its columns.
        scores : ndarray of float64, of shape (n_samples, k)
            Their probabilities.
        """
        labels, scores = self._topk(X, k)
        return self.classes_[labels], scores

    def _network(self, keep=True, scoring=None):
        check_is_fitted(self, "weights_")
        spec = self._spec._replace(
            beam_width=self.beam_width,
            linear_weight=float(self.linear_weight),
            scoring=scoring or self.scoring,
        )
        device = resolve_device(self.device)
        if keep:
            return kept_network(self, spec, self.weights_, device, self._label_features)
        return network_from_weights(spec, self.weights_, device)

    def _beside(self):
        return Beside(
            self.linear_,
            self.centroids_,
            self._label_features,
            self._n_linear_labels,
            own_label_score(self._own_label_counts),
        )

    def _fitted_form(self):
        """Return the form of the targets that were fitted."""
        check_is_fitted(self, "weights_")
        return self._target_form

    def _log_prob(self, X):
        """Return the log-probability of each label, in the order of `classes_`."""
        network = self._network(keep=False)  # it is converted to float64
        X = check_predict_samples(self, X)
        return _decoding.log_prob(network, self._beside(), X, self.codec_.positions)

    def _topk(self, X, k, exact=False):
        """Return the indices and probabilities of the k best labels."""
        network = self._network()
        X = check_predict_samples(self, X)
        k = check_k(k, len(self.classes_))
        positions, log_p = _decoding.topk(network, self._beside(), X, k, exact)
        return self.codec_.order[positions], probabilities(log_p.astype(np.float64))

    def _above(self, X, log_threshold):
        """Return the labels of more than a log-probability as a CSR indicator."""
        network = self._network()
        X = check_predict_samples(self, X)
        return _decoding.above(
            network, self._beside(), X, log_threshold, self.codec_.order
        )


def probabilities(log_p):
    return np.exp(np.clip(log_p, SMALLEST_LOG, LARGEST_LOG))
