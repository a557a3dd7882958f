"""The same numbers for the true and the predicted labels, in whatever form they are.

A label's number is its place in the user's `labels`, or among the names of a table's
columns; without any, labels are the indices of columns.
"""

from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skmhe.labels.containers import (
    check_comparable,
    find_columns,
    find_labels,
    label_array,
    label_list,
    names_of_labels,
    plain,
    rows_of_column,
)
from skmhe.labels.forms import (
    LabelColumn,
    LabelIndicator,
    LabelLists,
    Labels,
    read_labels,
)
from skmhe.metrics._predictions import Predictions, Ranking, Scores
from skmhe.metrics._topk import NO_PREDICTION
from skmhe.metrics._true_labels import TrueLabels

# Keeps sample * n_labels + label within int64 for up to 2**32 samples.
MAX_LABELS = 2**31

# What to do about labels of the test data that have no propensity.
ALL_LABELS = (
    "pass a list of all labels, those of the training and of the test data, both in "
    "propensities(y_train, labels=...) and as labels here."
)

Nested: TypeAlias = Literal["indicator", "refuse"]


def check_labels(labels: Any) -> NDArray[Any] | None:
    """Return the labels that a user names as an array, None if there are none."""
    if labels is None:
        return None
    names = names_of_labels(labels, "labels")
    if len(set(label_list(names))) < len(names):
        raise ValueError("labels contains a label twice; pass each label once.")
    return names


def read_true_labels(
    y: Any, name: str, known: NDArray[Any] | None, *, nested: Nested = "refuse"
) -> Labels:
    """Read true labels in every form that `fit` takes.

    Tuples are labels if they are among the known ones, and else lists of labels.
    `nested` says what nested sequences of zeros and ones are, see `read_labels`.
    """
    tuples = set()
    if known is not None and known.dtype == object:
        tuples = {label for label in known.ravel().tolist() if isinstance(label, tuple)}
    if tuples:
        rows = y if isinstance(y, list | tuple) else rows_of_column(y) or []
        if any(isinstance(row, tuple) and row in tuples for row in rows):
            return read_labels(label_array(rows), name, single=True)
    truth = read_labels(y, name, zeros_and_ones=nested)
    if truth.n_samples == 0:
        raise ValueError(f"{name} is empty; pass at least one sample.")
    return truth


def align(
    truth: Labels,
    predicted: Predictions,
    k: int,
    labels: NDArray[Any] | None,
    n_propensities: int | None,
) -> tuple[TrueLabels, NDArray[np.int64]]:
    """Give the true labels and the k best predicted ones, (n_samples, k), numbers.

    `NO_PREDICTION` stands where there is none; labels that cannot be predicted have
    numbers above all others. `n_propensities` is the number of labels that have one,
    if the metric uses them.
    """
    counts = {
        "labels": None if labels is None else len(labels),
        "y_true": truth.n_labels if isinstance(truth, LabelIndicator) else None,
        "y_pred": predicted.n_columns if isinstance(predicted, Scores) else None,
        "propensities": n_propensities,
    }
    n_labels = check_n_labels(counts)
    check_k_fits(k, predicted.n_columns, n_labels)
    source = "labels"
    if labels is None:
        labels, source = _names(truth, predicted, n_propensities is not None)
    best = predicted.top(k) if isinstance(predicted, Ranking) else predicted
    if labels is None and n_labels is None:
        assert isinstance(best, Ranking) and not isinstance(truth, LabelIndicator)
        labels, source = _predicted_labels(truth, best), "y_pred"
    if labels is None:
        where = " and ".join(name for name, n in counts.items() if n is not None)
        return _by_index(truth, n_labels, where), _rank_by_index(
            best, k, n_labels, where
        )
    ranked = rank_by_label(best, k, labels, source)
    true = number_labels(truth, labels, "y_true", source)
    if n_propensities is not None:
        check_all_known(truth, true, labels, "y_true")
    return true, ranked


def check_n_labels(counts: dict[str, int | None]) -> int | None:
    """Return the number of labels that all arguments agree on, None if none tells."""
    known = {name: count for name, count in counts.items() if count is not None}
    if len(set(known.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in known.items())
        raise ValueError(
            f"The numbers of labels differ ({listed}); pass one column or one value "
            "for each label in every argument."
        )
    return next(iter(known.values()), None)


def check_k_fits(k: int, n_columns: int, n_labels: int | None) -> None:
    """Raise ValueError if there are fewer than k predictions of a sample, or labels."""
    for limit, what in ((n_columns, "columns of y_pred"), (n_labels, "labels")):
        if limit is not None and k > limit:
            raise ValueError(
                f"k={k} is larger than the number of {what}, {limit}; pass k <= "
                f"{limit}."
            )


# ------------------------------------------------------------ by names


def names_of_columns(
    given: Mapping[str, Labels | Predictions],
) -> dict[str, NDArray[Any]]:
    """Return the names of the columns of those arguments that are tables.

    The numbers that a DataFrame has by default are no names.
    """
    named = {}
    for name, table in given.items():
        names = getattr(table, "names", None)
        if names is not None and not np.array_equal(names, np.arange(len(names))):
            named[name] = names
    return named


def _names(
    truth: Labels, predicted: Predictions, has_propensities: bool
) -> tuple[NDArray[Any] | None, str]:
    """Return the names of a table's columns, None without one, and its argument."""
    named = names_of_columns({"y_pred": predicted, "y_true": truth})
    of_both = list(named.values()) if len(named) == 2 else []
    if has_propensities and of_both and not np.array_equal(of_both[0], of_both[1]):
        raise ValueError(
            "y_true and y_pred do not have the same columns in the same order, so that "
            "nothing tells which label each value of propensities belongs to: pass it "
            "in labels."
        )
    source = next(iter(named), "")
    return named.get(source), source


def number_labels(
    truth: Labels, labels: NDArray[Any], name: str, source: str = "labels"
) -> TrueLabels:
    """Give true labels their places among `labels`, and others numbers after them."""
    if isinstance(truth, LabelIndicator):
        columns = find_columns(labels, truth.names, truth.n_labels)
        places = _places(columns, truth.names, name, source)[truth.rows.indices]
        return TrueLabels(truth.rows.indptr, places)
    check_comparable(truth.labels, labels, name)
    places = find_labels(truth.labels, labels)
    missed = np.flatnonzero(places < 0)
    number: dict[Any, int] = {}
    for place, label in zip(missed, label_list(truth.labels[missed]), strict=True):
        places[place] = len(labels) + number.setdefault(label, len(number))
    return as_true_labels(truth, places)


def as_true_labels(
    truth: LabelColumn | LabelLists, places: NDArray[np.integer]
) -> TrueLabels:
    """Return true labels, given the number of each label."""
    if isinstance(truth, LabelColumn):
        return TrueLabels(np.arange(len(places) + 1), places)
    return TrueLabels.from_flat(places, truth.lengths)


def check_all_known(
    truth: Labels, true: TrueLabels, labels: NDArray[Any], name: str
) -> None:
    """Raise ValueError if a true label is not among `labels`, as it must have one."""
    if isinstance(truth, LabelIndicator):
        return  # it has a column for each of them
    if true.indices.max(initial=-1) >= len(labels):
        unseen = truth.labels[find_labels(truth.labels, labels) < 0]
        raise ValueError(
            f"{name} has the label {plain(unseen[:1])[0]!r}, which has no propensity, "
            f"as it is not in labels: {ALL_LABELS}"
        )


def _places(
    columns: NDArray[np.int64] | None,
    names: NDArray[Any] | None,
    name: str,
    source: str,
) -> NDArray[np.int64]:
    """Return the place among the labels of each column, given those of the labels."""
    if columns is None:
        # There are as many of them, so that they have names.
        shown = [] if names is None else plain(names[:3])
        raise ValueError(
            f"{name} has columns with the names {shown}, which are not the same as the "
            f"labels of {source}: pass one column for each label."
        )
    return np.argsort(columns)


def _predicted_labels(
    truth: LabelColumn | LabelLists, best: Ranking
) -> NDArray[Any] | None:
    """Return the distinct labels that are predicted, None if all labels are indices."""
    predicted = best.labels if best.missing is None else best.labels[~best.missing]
    found, true = whole_numbers(predicted.ravel()), whole_numbers(truth.labels)
    if found.dtype.kind in "iu" and (true.dtype.kind in "iu" or len(true) == 0):
        if _largest(found) < MAX_LABELS and _largest(true) < MAX_LABELS:
            return None
        check_range(found[found < 0], NO_PREDICTION, None, "y_pred")
        check_range(true[true < 0], 0, None, "y_true")
        found = found[found != NO_PREDICTION]
    if found.dtype.kind in "iufmM":
        return np.unique(found)
    return label_array(list(dict.fromkeys(found.tolist())))


def _largest(numbers: NDArray[Any]) -> int:
    return int(numbers.max()) if len(numbers) else 0


def rank_by_label(
    best: Predictions, k: int, labels: NDArray[Any], source: str
) -> NDArray[np.int64]:
    """Return the places among `labels` of the k best ones, shape (n_samples, k)."""
    if isinstance(best, Scores):
        columns = find_columns(labels, best.names, best.n_columns)
        places = _places(columns, best.names, "y_pred", source)
        ranked = best.top_columns(k)
        return np.where(ranked < 0, NO_PREDICTION, places[ranked])
    flat = best.labels.ravel()
    missing = np.zeros(len(flat), dtype=bool)
    if best.missing is not None:
        missing = best.missing.ravel()
    elif flat.dtype.kind == "i" and find_labels([NO_PREDICTION], labels)[0] < 0:
        missing = flat == NO_PREDICTION
    check_comparable(flat[~missing], labels, "y_pred")
    places = find_labels(flat, labels)
    odd = (places < 0) & ~missing
    if odd.any():
        raise ValueError(
            f"y_pred has the label {plain(flat[odd][:1])[0]!r}, which is not among the "
            f"{len(labels)} labels of {source}, such as {plain(labels[:1])[0]!r}."
        )
    places[missing] = NO_PREDICTION
    ranked = places.reshape(best.labels.shape)
    check_not_repeated(ranked, labels)
    return ranked


def check_not_repeated(
    ranked: NDArray[np.int64], labels: NDArray[Any] | None = None
) -> None:
    """Raise ValueError if a label is ranked twice in a sample."""
    in_order = np.sort(ranked, axis=1)
    repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)
    if not repeated.any():
        return
    sample, place = np.argwhere(repeated)[0]
    number = in_order[sample, place]
    shown = f"label index {number}"
    if labels is not None:
        shown = f"label {plain(labels[number : number + 1])[0]!r}"
    raise ValueError(
        f"y_pred ranks the {shown} twice in sample {sample}; a label can be predicted "
        "only once per sample. An integer y_pred is interpreted as ranked labels: pass "
        "scores as floating-point numbers."
    )


# ------------------------------------------------------------ by indices


def _by_index(truth: Labels, n_labels: int | None, where: str) -> TrueLabels:
    if isinstance(truth, LabelIndicator):
        return TrueLabels(truth.rows.indptr, truth.rows.indices)
    return as_true_labels(
        truth, label_indices(truth.labels, "y_true", where, 0, n_labels)
    )


def _rank_by_index(
    best: Predictions, k: int, n_labels: int | None, where: str
) -> NDArray[np.int64]:
    if isinstance(best, Scores):
        return best.top_columns(k)
    flat = best.labels.ravel()
    if best.missing is not None:  # of labels that are no integers
        flat = flat[~best.missing.ravel()]
    ranked = label_indices(flat, "y_pred", where, NO_PREDICTION, n_labels)
    if len(ranked) < best.labels.size:
        ranked = np.full(best.labels.size, NO_PREDICTION)
    ranked = ranked.reshape(best.labels.shape)
    check_not_repeated(ranked)
    return ranked


def label_indices(
    values: NDArray[Any], name: str, where: str, lowest: int, n_labels: int | None
) -> NDArray[np.int64]:
    """Return labels as indices from `lowest`; ValueError for what is none.

    `where` names the arguments whose columns or values the indices count.
    """
    numbers = whole_numbers(values)
    if numbers.dtype.kind not in "iu" and len(numbers):
        found = plain(label_list(numbers))
        odd = (v for v in found if not isinstance(v, Real) or v % 1 != 0)
        raise ValueError(
            f"{name} has the label {next(odd, found[0])!r} instead of a label index, "
            f"and nothing tells which label each column or value of {where} belongs "
            "to: pass it in labels, for example labels=classifier.classes_."
        )
    check_range(numbers, lowest, n_labels, name)
    return numbers.astype(np.int64, copy=False)


def whole_numbers(labels: NDArray[Any]) -> NDArray[Any]:
    """Return booleans, and floating-point numbers that are whole, as integers."""
    is_whole = labels.dtype.kind == "b" or (
        labels.dtype.kind == "f" and (labels % 1 == 0).all()
    )
    return labels.astype(np.int64) if is_whole else labels


def check_range(
    indices: NDArray[Any], lowest: int, n_labels: int | None, name: str
) -> None:
    """Raise ValueError unless lowest <= index < n_labels for every index."""
    if indices.size == 0:
        return
    limit = MAX_LABELS if n_labels is None else n_labels
    worst = indices.min() if indices.min() < lowest else indices.max()
    if worst < lowest or worst >= limit:
        padding = f" or {lowest} (no prediction)" if lowest < 0 else ""
        raise ValueError(
            f"{name} contains the label index {worst}, but label indices must be from "
            f"0 to {limit - 1}{padding}. Number the labels from 0, in the same way in "
            "y_true and y_pred, or pass the labels in labels."
        )
