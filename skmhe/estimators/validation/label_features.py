"""Features of labels, in the order of the labels."""

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_array

from skmhe.estimators.validation.samples import canonical_rows, find_text
from skmhe.estimators.validation.targets import Target, shown
from skmhe.labels.containers import (
    check_comparable,
    distinct_labels,
    find_labels,
    label_array,
    names_of_labels,
)
from skmhe.scorers.batch import Rows, unit_rows
from skmhe.scorers.model import Model
from skmhe.scorers.parts import PART_NAMES, Parts, Samples, name_of_part, part_of

REMEDY = "Pass one row per label, in the order of the classes (of y's columns)"


def check_label_features(
    label_features: Any, target: Target, takes_any: bool
) -> tuple[Samples, Target]:
    """Return rows in the order of the classes, and the targets' classes.

    With `takes_any`, they may be of the forms that a user's network takes.

    Labels without a sample may have a row: those of an index (a DataFrame's) that y
    lacks, and, if y has integers, rows beyond the classes of y. The targets get them.
    """
    index = _index_of(label_features)
    Z = _checked(label_features, takes_any)
    if index is not None:
        Z, target = _aligned(Z, index, target)
    elif Z.shape[0] != len(target.classes):
        target = _with_integers(target, Z.shape[0])
    return Z, target


def check_feature_names(
    label_features: Any, known: np.ndarray | None, of: str
) -> np.ndarray | None:
    """Return the names of a DataFrame's columns; they must be those that are known.

    None where columns have no names, or not all of them are strings, as scikit-learn
    sees it for samples. `of` says what the known ones are the names of.
    """
    names = getattr(label_features, "columns", None)
    is_named = names is not None and all(isinstance(name, str) for name in names)
    if not is_named:
        return known
    found = np.asarray(names, dtype=object)
    if known is not None and not np.array_equal(found, known):
        raise ValueError(
            f"label_features has columns {shown(found)}, but those of {of} are "
            f"{shown(known)}: name the same features, in the same order."
        )
    return found


def set_aside(Z: Samples, target: Target) -> tuple[Target, Samples, Samples]:
    """Split off the labels without a sample, which training can say nothing of.

    Returns the targets with the other labels, and the features of both.
    """
    labels = target.y.indices if target.multilabel else target.y
    has_sample = np.bincount(labels, minlength=len(target.classes)) > 0
    if has_sample.all() or not has_sample.any():
        return target, Z, Z[:0]
    target = target._replace(
        y=target.renumbered(np.cumsum(has_sample) - 1, int(has_sample.sum())),
        classes=target.classes[has_sample],
        all_classes=target.classes,
    )
    return target, Z[has_sample], Z[~has_sample]


def check_added_labels(
    label_features: Any,
    labels: Any,
    target: Target,
    model: Model,
) -> tuple[Samples, np.ndarray]:
    """Return rows and names of labels to add to those of a target.

    The rows must be like those that the model knows. Without names, they are those of
    a DataFrame's index, or the next integers.
    """
    index, classes = _index_of(label_features), target.classes
    is_for_network = model.label_network is not None
    Z = label_rows(_checked(label_features, is_for_network), is_for_network)
    check_like_known(Z, model)
    is_numbered = target.is_indicator and np.array_equal(classes, range(len(classes)))
    if labels is None and index is not None and not is_numbered:
        labels = index
    if labels is None:
        return Z, _following(classes, Z.shape[0])
    names = _checked_names(labels, Z.shape[0], classes)
    if is_numbered:
        columns = _following(classes, Z.shape[0])
        if not np.array_equal(names, columns):
            raise ValueError(
                f"labels={shown(names)} would be new columns of an indicator of "
                f"{len(classes)} columns without names, which are {shown(columns)}: "
                "leave labels=None, or fit to a DataFrame whose columns have names."
            )
    return Z, names


def check_like_known(Z: Samples, model: Model) -> None:
    """Raise ValueError unless features of labels are like those of a model, if any."""
    known, network = model.label_features, model.label_network
    if known is None:
        return
    if isinstance(Z, Parts) != isinstance(known, Parts):
        raise ValueError(
            f"label_features is {type(Z).__name__}, but this estimator was fitted with "
            f"{type(known).__name__}: make both by one transformer."
        )
    if network is not None:
        network.check_inputs(Z, "label_features")
    for part in PART_NAMES if network is None else PART_NAMES[1:]:
        width, fitted = part_of(Z, part).shape[1], part_of(known, part).shape[1]
        if width != fitted:
            name = name_of_part(Z, part, "label_features")
            raise ValueError(
                f"{name} has {width} features, but those that this estimator was "
                f"fitted with have {fitted}: make both by one transformer."
            )


def _following(classes: np.ndarray, n: int) -> np.ndarray:
    """Return the integers that follow the largest label."""
    if not _are_integers(classes):
        raise ValueError(
            "labels=None, but the known labels are no integers that could go on: pass "
            "a name for each row of label_features, or a DataFrame whose index has "
            "them."
        )
    first = int(classes.max()) + 1
    if first + n <= np.iinfo(np.int64).max:
        return _typed_as(classes, np.arange(first, first + n))
    return _typed_as(classes, label_array(range(first, first + n)))


def _are_integers(labels: np.ndarray) -> bool:
    """Tell whether labels are integers: objects, if they have more than 64 bits."""
    if labels.dtype.kind != "O":
        return labels.dtype.kind in "iu"
    return all(type(label) is int for label in labels)


def _typed_as(classes: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return names of labels in the type of numbers that the known labels have.

    Integers that it does not hold are left as they are: all labels get a wider type.
    """
    dtype = classes.dtype
    if _are_integers(classes) and _are_integers(names):
        limits = None if dtype.kind == "O" else np.iinfo(dtype)
        if limits and limits.min <= names.min() and names.max() <= limits.max:
            return names.astype(dtype)
        return names
    if dtype.kind != "O":
        try:
            with np.errstate(invalid="ignore", over="ignore"):
                typed = names.astype(dtype)
        except (OverflowError, TypeError, ValueError):
            typed = None
        if typed is not None and typed.tolist() == names.tolist():
            return typed
    raise ValueError(
        f"labels={shown(names)} cannot be of type "
        f"{'int' if dtype.kind == 'O' else dtype}, which the known labels have: name "
        "labels by such numbers, or fit to y.astype(float)."
    )


def _index_of(label_features: Any) -> np.ndarray | None:
    """Return a DataFrame's index, None of anything else."""
    # Lists have an index, too, which is a method.
    if not hasattr(label_features, "iloc"):
        return None
    return names_of_labels(label_features.index, "The index of label_features")


def _checked_names(labels: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Return names of labels, which must be new and distinct."""
    names = names_of_labels(labels, "labels")
    if len(names) != n_rows:
        raise ValueError(
            f"labels has shape {names.shape}, but label_features has {n_rows} rows: "
            "pass a name for each."
        )
    check_comparable(names, classes, "labels")
    _, places = distinct_labels(names, "labels")
    is_repeated = np.bincount(places)[places] > 1
    repeated = names[is_repeated | (find_labels(names, classes) >= 0)]
    if len(repeated):
        raise ValueError(
            f"labels={shown(names)} has {repeated.tolist()[0]!r}, which is repeated or "
            "known already: each label can be added once. Train known labels by "
            "partial_fit."
        )
    is_typed = classes.dtype.kind in "biuf" or _are_integers(classes)
    return _typed_as(classes, names) if is_typed else names


def label_rows(Z: Samples, is_for_network: bool) -> Samples:
    """Return features of labels as the label encoder takes them.

    That is rows of unit length, or what a user's network takes; and rows of unit length
    for what linear classifiers read of labels that have parts.
    """
    if isinstance(Z, Parts):
        network = label_rows(Z.network, is_for_network)
        return Parts(network=network, linear=label_rows(Z.linear, False))
    if not is_for_network:
        if Z.ndim != 2:
            raise ValueError(
                f"label_features has shape {Z.shape}, but must have one row per label, "
                "(n_labels, d): pass a network that takes such features as "
                "label_encoder__backbone."
            )
        return unit_rows(Z.astype(np.float32, copy=False))
    if sp.issparse(Z):
        raise ValueError(
            "label_features is a sparse matrix, but the network that makes features of "
            "labels takes arrays: pass label_features.toarray(), or "
            "label_encoder__backbone=None for a layer of sparse features."
        )
    return Z


def _checked(label_features: Any, takes_any: bool) -> Samples:
    """Return finite rows, or parts with such rows."""
    if not isinstance(label_features, Parts):
        return _checked_rows(label_features, takes_any, "label_features")
    network, linear = label_features.network, label_features.linear
    return Parts(
        network=_checked_rows(network, takes_any, "label_features.network"),
        linear=_checked_rows(linear, False, "label_features.linear"),
    )


def _checked_rows(label_features: Any, takes_any: bool, shown: str) -> Rows:
    """Return finite rows, dense or CSR, float32 or, if they may be token ids, int64."""
    if isinstance(label_features, Mapping):
        raise ValueError(
            f"{shown} is a {type(label_features).__name__}, but must be an array with "
            "a row for each label: pass [features[label] for label in sorted(features)]"
            ", or a DataFrame whose index names the labels."
        )
    takes_any = takes_any and not sp.issparse(label_features)
    options: dict[str, Any] = {
        "accept_sparse": "csr",
        "order": "C",
        "allow_nd": takes_any,
        "input_name": shown,
        "estimator": "label_features",
    }
    try:
        Z = check_array(
            label_features, dtype="numeric" if takes_any else np.float32, **options
        )
        if takes_any and Z.dtype.kind in "iu":
            return Z.astype(np.int64, copy=False)
        Z = check_array(Z, dtype=np.float32, **options)
    except ValueError as error:
        text = find_text(label_features)
        if text is None:
            raise
        raise ValueError(
            f"{shown} holds texts, such as {reprlib.repr(text)}, but must hold "
            "numbers: pass what the vectorizer of the samples makes of these texts, "
            "vectorizer.transform(texts), in the order of the labels. A Pipeline does "
            "so with transform_input=['label_features']."
        ) from error
    return canonical_rows(Z)


def _aligned(Z: Samples, names: np.ndarray, target: Target) -> tuple[Samples, Target]:
    """Return the rows in the order of all classes, those of y and of the index."""
    found, places = distinct_labels(names, "The index of label_features")
    counts = np.bincount(places)
    if counts.max() > 1:
        raise ValueError(
            f"label_features has {counts.max()} rows for the label "
            f"{found.tolist()[counts.argmax()]!r}: its index must name each label once."
        )
    missing = target.classes[find_labels(target.classes, found) < 0]
    if len(missing):
        raise ValueError(
            f"label_features has no row for {len(missing)} of the "
            f"{len(target.classes)} labels of y, {missing.tolist()[0]!r} among them: "
            "add one to its index (zeros, if nothing is known of the label)."
        )
    if len(found) > len(target.classes):
        if target.is_indicator:
            raise ValueError(
                f"label_features names {len(found)} labels, but y has "
                f"{len(target.classes)} columns: give y a column for each of them."
            )
        target = _extended(target, found)
    return Z[find_labels(target.classes, names)], target


def _with_integers(target: Target, n_rows: int) -> Target:
    """Return the targets with the labels 0 to n_rows - 1, if y has such integers."""
    n_labels = len(target.classes)
    integers = not target.is_indicator and target.classes.dtype.kind in "iu"
    if integers and target.classes[0] >= 0 and target.classes[-1] < n_rows:
        return _extended(target, _typed_as(target.classes, np.arange(n_rows)))
    raise ValueError(
        f"label_features has {n_rows} rows, but y has {n_labels} labels. {REMEDY}; or "
        "a DataFrame whose index names the labels."
    )


def _extended(target: Target, classes: np.ndarray) -> Target:
    """Return the targets with more classes than y has."""
    places = find_labels(target.classes, classes)
    y = target.renumbered(places, len(classes))
    return target._replace(y=y, classes=classes)
