"""Targets of any form as an indicator, and predictions in the form of targets."""

from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length

from skmhe.labels.containers import distinct_labels, find_labels, joined, label_list
from skmhe.labels.forms import (
    LabelColumn,
    LabelIndicator,
    LabelLists,
    Labels,
    read_labels,
)
from skmhe.metrics._alignment import number_labels
from skmhe.metrics._classes import columns_of_classes


def indicator_of(X: Any, y: Any, name: str = "y") -> sp.csr_array:
    """Return the CSR indicator of the targets of samples, in any form `fit` takes."""
    labels = read_labels(y, name)
    check_consistent_length(X, np.empty(labels.n_samples))
    return as_indicator(labels, name)


def as_indicator(labels: Labels, name: str) -> sp.csr_array:
    """Return the CSR indicator of targets that are read."""
    if isinstance(labels, LabelIndicator):
        return labels.rows
    if isinstance(labels, LabelColumn):
        ones = np.ones(labels.n_samples, np.int64)
        labels = LabelLists(labels.labels, ones)
    names, places = distinct_labels(labels.labels, name)
    # At least one column, as an indicator without any is none.
    return labels.indicator(places, max(len(names), 1))


class TargetForm(NamedTuple):
    """The form of the targets that were fitted, which predictions have, too."""

    read: LabelIndicator | LabelLists
    labels: NDArray[Any]  # the numbers of columns, or the labels of lists, sorted

    def columns_of(self, classes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the place of each class among the labels."""
        if isinstance(self.read, LabelIndicator):
            return columns_of_classes(self.read, classes, "y")[0]
        return find_labels(classes, self.labels)

    def indicator(self) -> sp.csr_array:
        """Return the targets as an indicator, with a column for each label."""
        if isinstance(self.read, LabelIndicator):
            return self.read.rows
        places = find_labels(self.read.labels, self.labels)
        return self.read.indicator(places, len(self.labels))

    def without_targets(self) -> "TargetForm":
        """Return the form alone, which is kept with the fitted estimator."""
        if isinstance(self.read, LabelLists):
            empty = self.read.labels[:0], self.read.lengths[:0]
            return self._replace(read=LabelLists(*empty))
        names, dtype = self.read.names, self.read.dtype
        indicator = LabelIndicator(
            self.read.rows[:0], names, dtype, self.read.container
        )
        return self._replace(read=indicator)

    def are_equal(self, y: Any, predicted: sp.csr_array) -> NDArray[np.bool_]:
        """Tell which samples have exactly the labels of a predicted indicator."""
        is_lists = isinstance(self.read, LabelLists)
        # Lists of zeros and ones are what they were in the fit.
        read = read_multilabel(y, "lists" if is_lists else "indicator")
        check_consistent_length(np.empty(predicted.shape[0]), np.empty(read.n_samples))
        names = None if isinstance(self.read, LabelLists) else self.read.names
        labels = self.labels if names is None else names
        true = number_labels(read, labels, "y", "the y that was fitted")
        # Labels that were not known in the fit have numbers above all others.
        width = max(len(labels), int(true.indices.max(initial=0)) + 1)
        shape = read.n_samples, width
        entries = np.ones(len(true.indices)), true.indices, true.indptr
        chosen = predicted.data, predicted.indices, predicted.indptr
        differ = sp.csr_array(entries, shape) != sp.csr_array(chosen, shape)
        return differ.sum(axis=1) == 0

    def give(self, indicator: sp.csr_array) -> Any:
        """Return predicted labels in this form."""
        if isinstance(self.read, LabelIndicator):
            if self.read.container is None:
                return indicator.toarray().astype(self.read.dtype)
            return self.read.container(indicator.astype(self.read.dtype))
        flat, ends = label_list(self.labels[indicator.indices]), indicator.indptr
        return [tuple(flat[i:j]) for i, j in pairwise(ends.tolist())]


def read_multilabel(
    y: Any, zeros_and_ones: Literal["indicator", "lists"] = "indicator"
) -> LabelIndicator | LabelLists:
    """Read targets that may have several labels per sample; ValueError for others."""
    read = read_labels(y, zeros_and_ones=zeros_and_ones)
    if isinstance(read, LabelColumn):
        raise ValueError(
            "y has one label per sample, of which the best one is predicted without a "
            "threshold: pass an indicator or lists of labels, or use the estimator "
            "alone."
        )
    return read


def form_of(read: LabelIndicator | LabelLists, classes: NDArray[Any]) -> TargetForm:
    """Return the form of targets, with the classes that lists may lack."""
    if isinstance(read, LabelIndicator):
        return TargetForm(read, np.arange(read.n_labels))
    every = joined(read.labels, classes) if len(read.labels) else classes
    return TargetForm(read, distinct_labels(every, "y")[0])
