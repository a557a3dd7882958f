"""Targets of any form as the indicator that splits are made from."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_consistent_length

from skmhe.labels.containers import distinct_labels
from skmhe.labels.forms import LabelColumn, LabelIndicator, LabelLists, read_labels


def indicator_of(X: Any, y: Any, name: str = "y") -> sp.csr_array:
    """Return the CSR indicator of the targets of samples, in any form `fit` takes."""
    labels = read_labels(y, name)
    check_consistent_length(X, np.empty(labels.n_samples))
    if isinstance(labels, LabelIndicator):
        return labels.rows
    if isinstance(labels, LabelColumn):
        ones = np.ones(labels.n_samples, np.int64)
        labels = LabelLists(labels.labels, ones)
    names, places = distinct_labels(labels.labels, name)
    return labels.indicator(places, len(names))
