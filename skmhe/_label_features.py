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
    Z = check_array(
        label_features,
        accept_sparse="csr",
        dtype=np.float32,
        order="C",
        input_name="label_features",
        estimator="label_features",
    )
    if index is not None:
        Z, target = _aligned(Z, np.asarray(index), target)
    elif Z.shape[0] != len(target.classes):
        target = _with_integers(target, Z.shape[0])
    return unit_rows(canonical_rows(Z)), target


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
