"""Scores of labels of which only the features are known: no sample was trained on."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe._network import CENTROID_SCALES
from skmhe._offsets import add_entries


class AddedLabels(NamedTuple):
    """Labels that were added to a fitted estimator, for some samples.

    A label's score is the sum of three: a constant, that of a label of which the
    samples say nothing; the cosine of the sample and the label's features, where both
    are of the same kind, in place of that to the centroid of the label's samples; and
    the label encoder's, with what is known of samples that are labels themselves. Each
    is None if the scores do without it.
    """

    n_labels: int
    n_samples: int
    bias: torch.Tensor  # shape: ()
    X: np.ndarray | sp.csr_array | None = None  # samples of unit length
    texts: np.ndarray | sp.csr_array | None = None  # shape: (n_features, n_labels)
    text_scale: torch.Tensor | float = 0.0
    samples: torch.Tensor | None = None  # embeddings; shape: (n, d)
    table: torch.Tensor | None = None  # scaled; shape: (n_labels, d)
    own: sp.csr_array | None = None  # of samples that are labels; (n, n_labels)

    def take(self, rows):
        """Return the same for some of the samples, a slice or a tensor of rows."""
        if isinstance(rows, slice):
            n_samples, index = len(range(self.n_samples)[rows]), rows
        else:
            n_samples, index = len(rows), rows.cpu().numpy()
        return self._replace(
            n_samples=n_samples,
            X=None if self.X is None else self.X[index],
            samples=None if self.samples is None else self.samples[rows],
            own=None if self.own is None else self.own[index],
        )

    def scores(self):
        """Return the scores of all these labels, shape (n, n_labels)."""
        scores = self.bias.expand(self.n_samples, self.n_labels).clone()
        if self.texts is not None:
            cosines = self.X @ self.texts
            if sp.issparse(cosines):
                cosines = cosines.toarray()
            cosines = torch.from_numpy(cosines).to(scores)
            scores += cosines * self.text_scale
        if self.samples is not None:
            scores += self.samples @ self.table.T
        return add_entries(scores, self.own)


def added_labels(network, X, texts, samples, table, own, has_linear):
    """Return the labels that were added, for some samples.

    Parameters
    ----------
    network : Network
        The fitted network.
    X : {ndarray, CSR} of shape (n, n_features)
        Samples of unit length.
    texts : {ndarray, CSR} of shape (n_features, n_added)
        Features of the labels, in columns of unit length.
    samples : Tensor of shape (n, d) or None
        Embeddings of the samples, if the label encoder has a part in the scores.
    table : Tensor of shape (n_added, d) or None
        The network's label table of these labels.
    own : CSR of shape (n, n_added) or None
        What is added where a sample is a label itself.
    has_linear : bool
        Whether there are linear classifiers.

    Returns
    -------
    AddedLabels
    """
    spec = network.spec
    bias = next(network.head.parameters()).new_tensor(network.added_bias(has_linear))
    found = AddedLabels(texts.shape[1], X.shape[0], bias)
    if samples is not None:
        found = found._replace(samples=samples, table=table, own=own)
    if spec.shares_encoder and spec.scores_labels:
        scale = CENTROID_SCALES[spec.multilabel]
        if spec.has_centroids:
            scale = network.log_centroid_scale.exp()
        found = found._replace(X=X, texts=texts, text_scale=scale)
    return found
