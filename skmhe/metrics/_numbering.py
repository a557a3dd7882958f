"""One numbering of all labels, for metrics that compare more than two arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skmhe.labels.containers import (
    check_comparable,
    distinct_labels,
    find_labels,
    joined,
    label_array,
)
from skmhe.labels.forms import LabelColumn, LabelIndicator, LabelLists, Labels
from skmhe.metrics._alignment import (
    check_n_labels,
    label_indices,
    names_of_columns,
    number_labels,
    rank_by_label,
    read_true_labels,
)
from skmhe.metrics._predictions import (
    Predictions,
    Ranking,
    Scores,
    is_pair,
    read_predictions,
)
from skmhe.metrics._topk import NO_PREDICTION
from skmhe.metrics._true_labels import TrueLabels


@dataclass(frozen=True)
class Numbering:
    """The labels that may be predicted, followed by others that are true."""

    labels: NDArray[Any]  # of columns, if an argument has some
    source: str  # the argument that tells them
    every: NDArray[Any]  # begins with `labels`

    def number(self, read: Labels, name: str) -> TrueLabels:
        """Return the numbers of true labels."""
        is_indicator = isinstance(read, LabelIndicator)
        known = self.labels if is_indicator else self.every
        return number_labels(read, known, name, self.source)

    def number_predicted(self, read: Labels) -> TrueLabels:
        """Return the numbers of predicted labels, all of which must be known."""
        found = number_labels(read, self.labels, "y_pred", self.source)
        if found.indices.max(initial=-1) >= len(self.labels):
            assert not isinstance(read, LabelIndicator)
            odd = read.labels[find_labels(read.labels, self.labels) < 0]
            raise ValueError(
                f"y_pred has the label {odd[:1].tolist()[0]!r}, which is not among the "
                f"{len(self.labels)} labels of {self.source}."
            )
        return found

    def rank(self, predicted: Predictions, k: int) -> NDArray[np.int64]:
        """Return the numbers of the k best labels, shape (n_samples, k)."""
        best = predicted.top(k) if isinstance(predicted, Ranking) else predicted
        return rank_by_label(best, k, self.labels, self.source)

    def indicator(self, labels: TrueLabels) -> sp.csr_array:
        """Return a CSR indicator with a column for each label of `every`."""
        entries = np.ones(len(labels.indices)), labels.indices, labels.indptr
        # At least one, as an indicator without columns cannot be multiplied.
        shape = labels.n_samples, max(len(self.every), 1)
        rows = sp.csr_array(entries, shape=shape)
        rows.sort_indices()
        return rows


def find_numbering(
    labels: NDArray[Any] | None,
    given: Mapping[str, Labels | Predictions],
) -> Numbering:
    """Return numbers of the labels of columns, or else all that occur."""
    counts = {name: _n_columns(read) for name, read in given.items()}
    n_labels = check_n_labels(
        {"labels": None if labels is None else len(labels), **counts}
    )
    source = "labels"
    if labels is None:
        source, labels = next(iter(names_of_columns(given).items()), ("", None))
    if labels is None and n_labels is not None:
        source = " and ".join(name for name, n in counts.items() if n is not None)
        labels = np.arange(n_labels)
        for name, read in given.items():
            if name != "y_pred":  # of which each label must be known, see `rank`
                label_indices(_listed(read), name, source, 0, n_labels)
    listed = {name: _listed(read) for name, read in given.items()}
    if labels is None:
        every = _distinct(listed)
        return Numbering(every, "y_pred", every)
    others = {}
    for name, found in listed.items():
        if name != "y_pred" and len(found):
            check_comparable(found, labels, name)
            others[name] = found[find_labels(found, labels) < 0]
    unseen = _distinct(others)
    return Numbering(labels, source, joined(labels, unseen) if len(unseen) else labels)


def _n_columns(read: Labels | Predictions) -> int | None:
    if isinstance(read, Scores):
        return read.n_columns
    return read.n_labels if isinstance(read, LabelIndicator) else None


def _listed(read: Labels | Predictions) -> NDArray[Any]:
    """Return the labels of an argument that has no columns for them."""
    if isinstance(read, LabelColumn | LabelLists):
        return read.labels
    if not isinstance(read, Ranking):
        return label_array([])
    return lists_of_ranking(read, None).labels


def _distinct(listed: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the distinct labels of arguments, sorted."""
    every = label_array([])
    for name, found in listed.items():
        if len(found):
            check_comparable(found, every, name)
            every = joined(every, found) if len(every) else found
    return distinct_labels(every, "y_true")[0]


# ------------------------------------------------------------ predicted sets


def lists_of_ranking(ranking: Ranking, labels: NDArray[Any] | None) -> LabelLists:
    """Return ranked labels as lists, without places that have no prediction."""
    missing = ranking.missing
    if missing is None:
        missing = np.zeros(ranking.labels.shape, dtype=bool)
        is_label = labels is not None and find_labels([NO_PREDICTION], labels)[0] >= 0
        if ranking.labels.dtype.kind in "if" and not is_label:
            missing = ranking.labels == NO_PREDICTION
    flat = label_array(ranking.labels[~missing])
    return LabelLists(flat, np.count_nonzero(~missing, axis=1))


def read_predicted_sets(y_pred: Any, labels: NDArray[Any] | None) -> Labels:
    """Read the predicted labels of samples, whose order does not matter."""
    if not is_ranking(y_pred):
        return read_true_labels(y_pred, "y_pred", labels)
    ranking = read_predictions(y_pred, labels)
    if isinstance(ranking, Scores):
        raise ValueError(
            "y_pred has scores of labels, but this metric needs the labels that are "
            "predicted: pass the result of predict, or an indicator such as "
            "y_pred > 0.5."
        )
    return lists_of_ranking(ranking, labels)


def is_ranking(y_pred: Any) -> bool:
    """Tell scores and ranked labels from sets of labels.

    They are the pair that `predict_topk` returns, or an array of more than zeros and
    ones with several columns; of nested lists, those of floating-point numbers only.
    """
    if is_pair(y_pred):
        return True
    if sp.issparse(y_pred):
        # Not every format has an array of its values, and some of them hold zeros.
        stored = y_pred.tocsr().data
        return y_pred.dtype.kind == "f" and bool(((stored != 0) & (stored != 1)).any())
    if isinstance(y_pred, list | tuple) and not _has_floats(y_pred):
        return False
    values = np.asarray(y_pred)
    if values.ndim != 2:
        return False
    if values.shape[1] == 1:
        # One label per sample, which is no fraction, or the scores of a single label.
        return values.dtype.kind == "f" and bool((values != np.floor(values)).any())
    if values.dtype.kind in "iuf":
        return bool(((values != 0) & (values != 1)).any())
    return values.dtype.kind in "US" or (
        values.dtype.kind == "O" and any(isinstance(v, str) for v in values.ravel())
    )


def _has_floats(rows: Any) -> bool:
    """Tell whether all rows have as many floating-point numbers."""
    return all(
        isinstance(row, list | tuple | np.ndarray)
        and len(row) == len(rows[0])
        and all(isinstance(value, float | np.floating) for value in row)
        for row in rows
    )
