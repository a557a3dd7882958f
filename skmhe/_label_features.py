"""From what users pass as label_features to rows in the order of the labels."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_array

from skmhe._rows import unit_rows
from skmhe._validation import canonical_rows

REMEDY = "Pass one row a label, in the order of the classes (of y's columns)"


def check_label_features(label_features, target):
    """Validate features of labels, and find the label of each row.

    Labels without a sample may have a row: those of an index (a DataFrame's) that y
    lacks, and, if y has integers, rows beyond the classes of y.

    Parameters
    ----------
    label_features : {array-like, sparse matrix} of shape (n_rows, n_label_features)
        Features, one row a label; a DataFrame is aligned by its index.
    target : Target
        Validated targets.

    Returns
    -------
    Z : {ndarray, CSR} of float32, of shape (n_labels, n_label_features)
        Rows of unit length, in the order of the classes.
    target : Target
        The targets, with all labels that have a row.
    """
    # Lists have an index, too, which is a method.
    index = label_features.index if hasattr(label_features, "iloc") else None
    Z = _checked_rows(label_features)
    if index is not None:
        Z, target = _aligned(Z, np.asarray(index), target)
    elif Z.shape[0] != len(target.classes):
        target = _with_integers(target, Z.shape[0])
    return Z, target


def set_aside(Z, target):
    """Split off the labels without a sample, which training can say nothing of.

    Parameters
    ----------
    Z : {ndarray, CSR} of shape (n_labels, n_label_features)
        Features of the labels.
    target : Target
        Validated targets.

    Returns
    -------
    target : Target
        The targets with the labels that have samples, and the others' names.
    Z, untrained : {ndarray, CSR}
        Features of both.
    """
    labels = target.y if target.kind == "labels" else target.y.indices
    has_sample = np.bincount(labels, minlength=len(target.classes)) > 0
    if has_sample.all() or not has_sample.any():
        return target, Z, Z[:0]
    places = np.cumsum(has_sample) - 1
    if target.kind == "labels":
        y = places[target.y]
    else:
        y = sp.csr_array(
            (target.y.data, places[target.y.indices], target.y.indptr),
            shape=(target.y.shape[0], has_sample.sum()),
        )
    target = target._replace(
        y=y, classes=target.classes[has_sample], untrained=target.classes[~has_sample]
    )
    return target, Z[has_sample], Z[~has_sample]


def check_added_labels(label_features, labels, classes, kind, n_features):
    """Validate features and names of labels to add.

    Parameters
    ----------
    label_features : {array-like, sparse matrix} of shape (n_added, n_label_features)
        Features, one row a label.
    labels : array-like of shape (n_added,) or None
        Their names; None for those of a DataFrame's index, or the next integers.
    classes : ndarray of shape (n_labels,)
        The labels that are known already.
    kind : str
        That of the targets, see `Target`.
    n_features : int
        Number of features of the labels that are known.

    Returns
    -------
    Z : {ndarray, CSR} of float32, of shape (n_added, n_label_features)
        Rows of unit length.
    names : ndarray of shape (n_added,)
        Names.
    """
    index = label_features.index if hasattr(label_features, "iloc") else None
    Z = _checked_rows(label_features)
    if Z.shape[1] != n_features:
        raise ValueError(
            f"label_features has {Z.shape[1]} features, but those that this estimator "
            f"was fitted with have {n_features}: make both by one transformer."
        )
    if labels is None and index is not None and kind not in ("dense", "sparse"):
        labels = index
    following = None
    if classes.dtype.kind in "iu":
        following = np.arange(Z.shape[0], dtype=classes.dtype) + classes[-1] + 1
    if labels is None:
        if following is None:
            raise ValueError(
                "labels=None, but the known labels are no integers that could go on: "
                "pass a name for each row of label_features, or a DataFrame whose "
                "index has them."
            )
        return Z, following
    names = _checked_names(labels, Z.shape[0], classes)
    if kind in ("dense", "sparse") and not np.array_equal(names, following):
        raise ValueError(
            f"labels={names[:5].tolist()} .. would be new columns of an indicator of "
            f"{len(classes)} columns, which are {following[:5].tolist()} ..: leave "
            "labels=None."
        )
    return Z, names


def _checked_names(labels, n_rows, classes):
    """Return names of labels, which must be new and distinct."""
    names = np.asarray(labels)
    if names.shape != (n_rows,):
        raise ValueError(
            f"labels has shape {names.shape}, but label_features has {n_rows} rows: "
            "pass a name for each."
        )
    if (names.dtype.kind in "biuf") != (classes.dtype.kind in "biuf"):
        raise ValueError(
            f"labels are of type {names.dtype}, but the known labels of type "
            f"{classes.dtype}: pass the same type."
        )
    found, counts = np.unique(names, return_counts=True)
    repeated = found[(counts > 1) | np.isin(found, classes)]
    if len(repeated):
        raise ValueError(
            f"labels has {len(repeated)} names that are repeated or known already, "
            f"{repeated.tolist()[0]!r} among them: each label can be added once. Train "
            "known labels by partial_fit."
        )
    if names.dtype.kind in "biuf" and not np.array_equal(
        names, names.astype(classes.dtype)
    ):
        raise ValueError(
            f"labels={names[:5].tolist()} .. cannot be of type {classes.dtype}, which "
            "the known labels have."
        )
    return names.astype(classes.dtype) if names.dtype.kind in "biuf" else names


def _checked_rows(label_features):
    """Return finite rows, dense or CSR, of unit length."""
    Z = check_array(
        label_features,
        accept_sparse="csr",
        dtype=np.float32,
        order="C",
        input_name="label_features",
        estimator="label_features",
    )
    return unit_rows(canonical_rows(Z))


def _aligned(Z, names, target):
    """Return the rows in the order of all classes, those of y and of the index."""
    found, counts = np.unique(names, return_counts=True)
    if counts.max(initial=1) > 1:
        raise ValueError(
            f"label_features has {counts.max()} rows for the label "
            f"{found.tolist()[counts.argmax()]!r}: its index must name each label once."
        )
    missing = np.setdiff1d(target.classes, found)
    if len(missing):
        raise ValueError(
            f"label_features has no row for {len(missing)} of the "
            f"{len(target.classes)} labels of y, {missing.tolist()[0]!r} among them: "
            "add one to its index (zeros, if nothing is known of the label)."
        )
    if len(found) > len(target.classes):
        if target.kind in ("dense", "sparse"):
            raise ValueError(
                f"label_features names {len(found)} labels, but y has "
                f"{len(target.classes)} columns: give y a column for each of them."
            )
        target = _extended(target, found)
    order = np.argsort(names, kind="stable")
    return Z[order], target


def _with_integers(target, n_rows):
    """Return the targets with the labels 0..n_rows - 1, if y has such integers."""
    n_labels = len(target.classes)
    integers = target.kind in ("labels", "lists") and target.classes.dtype.kind in "iu"
    if integers and target.classes[0] >= 0 and target.classes[-1] < n_rows:
        return _extended(target, np.arange(n_rows, dtype=target.classes.dtype))
    raise ValueError(
        f"label_features has {n_rows} rows, but y has {n_labels} labels. {REMEDY}; or "
        "a DataFrame whose index names the labels."
    )


def _extended(target, classes):
    """Return the targets with more classes than y has."""
    places = np.searchsorted(classes, target.classes)
    if target.kind == "labels":
        return target._replace(y=places[target.y], classes=classes)
    y = sp.csr_array(
        (target.y.data, places[target.y.indices], target.y.indptr),
        shape=(target.y.shape[0], len(classes)),
    )
    return target._replace(y=y, classes=classes)
