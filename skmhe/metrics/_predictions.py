"""The forms of predictions: scores of all labels, or the best labels of each sample."""

from dataclasses import dataclass, replace
from itertools import chain
from numbers import Integral, Real
from typing import Any, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skmhe.labels.containers import (
    is_missing,
    is_row,
    label_array,
    names_of_table,
    rows_of_column,
    without_mask,
)
from skmhe.metrics._topk import canonical_csr, top_k_dense, top_k_sparse


@dataclass(frozen=True)
class Scores:
    """A column of scores for each label."""

    values: NDArray[Any] | sp.csr_array  # without NaN, canonical if sparse
    names: NDArray[Any] | None  # those of a table's columns, of shape (n_labels,)

    @property
    def n_columns(self) -> int:
        """Number of columns, one for each label."""
        return self.values.shape[1]

    @property
    def n_largest(self) -> int:
        """Number of predictions of the sample that has most of them, at least 1."""
        if isinstance(self.values, np.ndarray):
            return self.n_columns
        return max(int(np.diff(self.values.indptr).max()), 1)

    @property
    def known(self) -> NDArray[Any] | None:
        """Labels that the predictions tell."""
        return self.names

    def top_columns(self, k: int) -> NDArray[np.int64]:
        """Rank the columns, shape (n_samples, k), with -1 for no prediction."""
        rank = top_k_sparse if sp.issparse(self.values) else top_k_dense
        return rank(self.values, k)

    def top_scores(self, k: int) -> NDArray[np.floating]:
        """Return the scores of the columns that are ranked, shape (n_samples, k).

        Those of no prediction may be any.
        """
        columns = self.top_columns(k)
        rows = np.arange(len(columns))[:, None]
        return _dense(self.values[rows, columns])


@dataclass(frozen=True)
class Ranking:
    """The best labels of each sample, best first."""

    labels: NDArray[Any]  # shape: (n_samples, m); integer -1 is no prediction
    # Where there is no prediction; None where no label can be missing.
    missing: NDArray[np.bool_] | None = None
    scores: NDArray[np.floating] | None = None  # shape: (n_samples, m), if there are

    @property
    def n_columns(self) -> int:
        """Number of ranks."""
        return self.labels.shape[1]

    @property
    def n_largest(self) -> int:
        """Number of predictions of a sample."""
        return self.n_columns

    @property
    def known(self) -> NDArray[Any]:
        """Labels that the predictions tell."""
        return self.labels

    def top(self, k: int) -> "Ranking":
        """Return the first k ranks."""
        missing = None if self.missing is None else self.missing[:, :k]
        return Ranking(self.labels[:, :k], missing, self.top_scores(k))

    def top_scores(self, k: int) -> NDArray[np.floating] | None:
        """Return the scores of the first k ranks, None if there are none."""
        return None if self.scores is None else self.scores[:, :k]


Predictions: TypeAlias = Scores | Ranking


def _dense(values: Any) -> NDArray[Any]:
    return values.toarray() if sp.issparse(values) else np.asarray(values)


def check_k(k: Any, name: str = "k") -> None:
    """Raise ValueError unless a number, such as k, is a positive integer."""
    if not isinstance(k, Integral) or isinstance(k, (bool, np.bool_)) or k < 1:
        raise ValueError(f"{name}={k!r} must be an integer of at least 1.")


def check_no_nan(scores: NDArray[Any], name: str) -> None:
    """Raise ValueError if a score is NaN."""
    # The minimum of an array with NaN is NaN; np.isnan would copy all scores.
    if scores.size and np.isnan(scores.min()):
        raise ValueError(
            f"{name} contains NaN, which cannot be ranked; replace NaN scores, for "
            "example by -inf for labels that must never be predicted."
        )


def read_predictions(y_pred: Any, labels: NDArray[Any] | None) -> Predictions:
    """Read predictions in any form; ValueError for what is none.

    `labels` are those that may be predicted, if the user has named them.
    """
    if is_pair(y_pred):
        return _first_of_pair(y_pred[0], y_pred[1], labels)
    if sp.issparse(y_pred):
        if y_pred.ndim != 2 or y_pred.dtype.kind != "f":
            _raise_no_predictions(y_pred)
        csr = canonical_csr(y_pred)
        check_no_nan(csr.data, "y_pred")
        return Scores(csr, None)
    predicted = _read_dense(y_pred)
    if isinstance(predicted, Ranking):
        if predicted.labels.dtype.kind == "b":  # these may be a predicted indicator
            _raise_no_predictions(predicted.labels)
        return predicted
    check_no_nan(predicted, "y_pred")
    return Scores(predicted, names_of_table(y_pred))


def is_pair(y_pred: Any) -> bool:
    """Tell the pair of arrays that `predict_topk` returns from a tuple of two rows."""
    if not isinstance(y_pred, tuple) or len(y_pred) != 2:
        return False
    return all(len(getattr(part, "shape", ())) == 2 for part in y_pred)


def _first_of_pair(ranked: Any, scores: Any, labels: NDArray[Any] | None) -> Ranking:
    """Return the labels of a pair, and their scores."""
    found, scores = _read_dense(ranked), np.asarray(scores)
    ranking = found if isinstance(found, Ranking) else Ranking(found)
    values = ranking.labels
    # Floating-point labels are those that are known, or whole numbers.
    is_fraction = values.dtype.kind == "f" and (values % 1 != 0).any()
    fits = values.shape == scores.shape and scores.dtype.kind == "f"
    if not fits or (is_fraction and labels is None):
        raise ValueError(
            f"y_pred is a pair of arrays of shapes {values.shape} and {scores.shape} "
            f"and dtypes {values.dtype} and {scores.dtype}, but it must be (labels, "
            "probabilities), as predict_topk returns them. Pass scores as one array, "
            "and labels=classifier.classes_ if the labels are fractions."
        )
    return replace(ranking, scores=scores)


def _read_dense(y_pred: Any) -> Ranking | NDArray[Any]:
    """Return ranked labels, or an array of floating-point numbers."""
    values = _as_array(y_pred)
    kind = values.dtype.kind
    if values.ndim != 2 or kind in "cV":
        _raise_no_predictions(values)
    if kind == "f":
        return values
    if kind in "mM":
        return Ranking(values, np.isnat(values))
    return _of_objects(values) if kind == "O" else Ranking(values)


def _as_array(y_pred: Any) -> NDArray[Any]:
    y_pred = without_mask(y_pred)
    rows = rows_of_column(y_pred)
    if rows is None and isinstance(y_pred, list | tuple) and any(map(is_row, y_pred)):
        rows = list(y_pred)
    if rows is None:
        return np.asarray(y_pred)
    if not all(map(is_row, rows)) or len(set(map(len, rows))) > 1:
        raise ValueError(
            "y_pred has rows of different lengths. Pass what predict_topk returns, or "
            "rank the same number of labels for every sample, with None (of integers, "
            "-1) for no prediction."
        )
    if any(isinstance(row, set | frozenset) for row in rows):
        raise ValueError(
            "y_pred has sets, whose labels are in no order. Rank the labels of every "
            "sample in a list, best first."
        )
    flat = list(chain.from_iterable(rows))
    if all(isinstance(value, Real) for value in flat):
        return np.array(rows)
    # NumPy would turn numbers among strings into strings, and tuples into dimensions.
    objects = np.fromiter(flat, dtype=object, count=len(flat))
    return objects.reshape(len(rows), -1)


def _of_objects(values: NDArray[Any]) -> Ranking | NDArray[Any]:
    """Return objects as labels, or as numbers where all are."""
    missing = np.frompyfunc(is_missing, 1, 1)(values).astype(bool)
    present = label_array(values[~missing])
    if any(type(label).__hash__ is None for label in present[:1].tolist()):
        _raise_no_predictions(values)
    if present.dtype.kind == "f":
        scores = np.full(values.shape, np.nan)
        scores[~missing] = present
        return scores
    if present.dtype.kind == "b" and not missing.any():
        return Ranking(present.reshape(values.shape))
    if present.dtype.kind != "i":
        return Ranking(values, missing)
    numbers = np.full(values.shape, -1, dtype=np.int64)
    numbers[~missing] = present
    return Ranking(numbers)


def _raise_no_predictions(y_pred: Any) -> NoReturn:
    raise ValueError(
        f"y_pred has shape {y_pred.shape} and dtype {y_pred.dtype}; pass a dense array "
        "of shape (n_samples, m) of the best labels of each sample (label indices, or "
        "the labels themselves), or floating-point scores of shape (n_samples, "
        "n_labels), dense or sparse. Convert integer scores with y_pred.astype(float)."
    )
