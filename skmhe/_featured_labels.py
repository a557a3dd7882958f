"""Labels with features: checks, what trains the label encoder, and labels to add."""

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils.validation import check_is_fitted

from skmhe._label_features import check_added_labels, check_label_features
from skmhe._label_training import LabelTraining
from skmhe._network import Network, to_tensor
from skmhe._own_labels import count_own_labels
from skmhe._pools import PoolPlan, label_counts
from skmhe._rows import unit_rows
from skmhe._search import resolve_search
from skmhe._validation import unchanged_on_error


class FeaturedLabelsMixin:
    """What an estimator does with features of labels."""

    @unchanged_on_error
    def add_labels(self, label_features, labels=None):
        """Add labels of which only the features are known, without training.

        Predictions may then return them. Their scores are those of the label encoder
        and, where samples and labels have the same features, the similarity to these;
        the samples of trained labels say how likely a label is that they know nothing
        of. `partial_fit` goes on to train them with samples.

        Parameters
        ----------
        label_features : {array-like, sparse matrix} of shape \
                (n_added, n_label_features)
            A row for each label to add, made like those that were given to `fit`.
        labels : array-like of shape (n_added,), default=None
            Names of the labels, none of them known already. None takes a DataFrame's
            index, or the integers that follow the largest label (of an indicator: the
            columns that follow the last one).

        Returns
        -------
        self : object
            The estimator, with more `classes_`.

        Raises
        ------
        ValueError
            If the estimator was fitted without features of labels, or the features or
            names do not fit. The estimator is then as it was before the call.

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
        check_is_fitted(self, "weights_")
        if self._label_features is None:
            raise ValueError(
                "add_labels needs an estimator that was fitted with features of "
                "labels: call fit(X, y, label_features=Z) first."
            )
        form = self._target_form
        Z, names = check_added_labels(
            label_features,
            labels,
            self.classes_,
            form.kind,
            self._label_features.shape[1],
        )
        self._append(Z, names)
        return self

    def _append(self, Z, names):
        """Give labels codes behind those of the others, which are left as they are."""
        by_position = np.concatenate([self.classes_[self.codec_.order], names])
        self.classes_, order = np.unique(by_position, return_inverse=True)
        self.codec_ = self.codec_.extend(order)
        self._label_features = _stacked(self._label_features, Z)
        self._target_form = self._target_form._replace(classes=self.classes_)

    def _make_room(self):
        """Give the head rows for the labels that were added, so as to train them."""
        old, n_labels = self._spec, self.codec_.n_labels
        if n_labels == old.n_labels:
            return
        texts = self._label_features[old.n_labels :]
        self.head_sizes_ = self.codec_.head_sizes
        self._spec = old._replace(n_labels=n_labels, head_sizes=self.head_sizes_)
        with torch.device("meta"):
            parameters = dict(Network(self._spec).state_dict(keep_vars=True))
        self.weights_ = {
            name: _grown(
                array,
                tuple(parameters[name].shape),
                to_tensor(array).median() if name.startswith("head.biases") else 0,
            )
            for name, array in self.weights_.items()
        }
        trained = [p for p in parameters.values() if isinstance(p, torch.nn.Parameter)]
        self._optimizer_state = self._optimizer_state and {
            i: {
                name: _grown(array, tuple(trained[i].shape), 0) if array.ndim else array
                for name, array in state.items()
            }
            for i, state in self._optimizer_state.items()
        }
        if self.centroids_ is not None:
            rows = sp.csr_array(texts)
            if not self._spec.shares_encoder:  # nothing that samples could be like
                rows = sp.csr_array((texts.shape[0], self.n_features_in_))
            self.centroids_ = self.centroids_.extended(rows)
        if self._label_counts is not None:
            counts, n_samples = self._label_counts
            self._label_counts = _grown(counts, (n_labels,), 0), n_samples

    def _check_label_features(self, label_features, target):
        """Return the targets with all labels that have features, and these or None."""
        if label_features is None:
            return target, None
        Z, target = check_label_features(label_features, target)
        if self.backbone is not None or self.margin is not None:
            name = "margin" if self.backbone is None else "backbone"
            raise ValueError(
                f"label_features cannot be used with {name}: the label encoder shares "
                "the estimator's own hidden layers, and its scores are added to those "
                f"of the heads. Use {name}=None."
            )
        hidden = np.ravel(self.hidden_layer_sizes)
        if self.model == "linear" or self.strategy == "product" or not len(hidden):
            raise ValueError(
                f"label_features cannot be used with model={self.model!r}, "
                f"strategy={self.strategy!r} and hidden_layer_sizes="
                f"{self.hidden_layer_sizes}: they need a network with a hidden layer "
                "(model='both' or 'network') and heads that score labels one by one "
                "(any strategy but 'product')."
            )
        return target, Z

    def _shares_encoder(self, Z):
        """Tell whether samples and labels have one first layer."""
        if Z is None:
            return False
        same = Z.shape[1] == self.n_features_in_
        if self.share_encoder == "auto":
            return same
        if self.share_encoder and not same:
            raise ValueError(
                f"share_encoder=True, but label_features has {Z.shape[1]} features and "
                f"X {self.n_features_in_}: make both by one vectorizer, or use "
                "share_encoder='auto'."
            )
        return self.share_encoder

    def _count_own_labels(self, X, y):
        """Count samples that are labels, beside those of earlier calls."""
        Z = self._label_features
        if Z is None or not self._spec.shares_encoder:
            return
        if sp.issparse(Z) != sp.issparse(X):
            Z = sp.csr_array(Z) if sp.issparse(X) else Z.toarray()
        counts = count_own_labels(unit_rows(X), Z, y)
        self._own_label_counts = self._own_label_counts + counts

    def _label_training(self, y, batch_size):
        """Return what trains the label encoder, None without one."""
        if self._label_features is None or not self.encoder_weight:
            return None
        pool_size = self.pool_size
        if pool_size == "auto":
            pool_size = 2 * batch_size
        plan = PoolPlan(
            pool_size=pool_size,
            n_pool_positives=self.n_pool_positives,
            n_hard_negatives=self.n_hard_negatives,
            shortlist_size=self.shortlist_size,
            shortlist_refresh=self.shortlist_refresh,
            neighbor_batches=bool(self.neighbor_batches),
            search=resolve_search(self.shortlist_search, len(self.classes_)),
        )
        # Of all samples that were ever trained on.
        before, n_before = self._label_counts or (0, 0)
        counts = before + label_counts(y, len(self.classes_))
        self._label_counts = counts, n_before + y.shape[0]
        return LabelTraining(self._label_features, plan, *self._label_counts)


def _stacked(above, below):
    """Return the rows of both, in the form of the first."""
    if sp.issparse(above):
        return sp.vstack([above, sp.csr_array(below)], format="csr")
    below = below.toarray() if sp.issparse(below) else below
    return np.concatenate([above, below])


def _grown(array, shape, value):
    """Return an array with more rows of a value."""
    if array.shape == shape:
        return array
    more = np.full((shape[0] - len(array), *shape[1:]), value, array.dtype)
    return np.concatenate([array, more])
