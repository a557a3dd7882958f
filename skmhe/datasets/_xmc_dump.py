"""Write files in the text format of the extreme classification repository."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.utils import check_array

from skmhe.datasets._files import PathOrFile, check_path, open_to_write
from skmhe.datasets._xmc_lines import MAX_ID

# Entries that are formatted at once: their Python objects take some 100 bytes each.
N_ENTRIES = 100_000


def dump_xmc(
    X: ArrayLike,
    Y: ArrayLike,
    path: PathOrFile,
    *,
    header: bool = True,
    zero_based: bool = True,
) -> None:
    """Write a file in the text format of the extreme classification repository.

    `load_xmc` describes the format. What it reads is equal to what was written, to the
    bit: values have nine significant digits, which is enough for float32.

    The file is written aside, and replaces `path` when it is complete: if anything goes
    wrong, `path` is what it was before.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The features, which are written as float32. All that a sparse matrix stores is
        written, also zeros; of a dense one, all that is not 0.
    Y : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The indicator of the labels: 0 and 1.
    path : str, path-like or binary file
        A path that ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst`` is compressed; the
        last one needs ``pip install 'skmhe[zstd]'`` before Python 3.14. An open file is
        written to from its position, and not closed.
    header : bool, default=True
        Whether the first line is ``n_samples n_features n_labels``. Without it, columns
        after the last one that is used are lost.
    zero_based : bool, default=True
        Whether ids start at 0 or at 1. `load_xmc` finds out by itself where an id 0 or
        the last column is used; otherwise, tell it.

    Raises
    ------
    ValueError
        If X or Y is not of the form above, has nan or infinite values, or values beyond
        float32, or if X and Y have different numbers of samples.
    TypeError
        If a parameter has a wrong type.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_xmc : Read such a file.
    sklearn.datasets.dump_svmlight_file : With ``multilabel=True``, writes the same
        lines, without a header. Use it for files that other libraries read.

    Examples
    --------
    >>> from io import BytesIO
    >>> from skmhe.datasets import dump_xmc
    >>> file = BytesIO()
    >>> dump_xmc([[0.5, 0, 1.5], [0, 2, 0]], [[1, 0, 0, 1], [0, 0, 0, 0]], file)
    >>> print(file.getvalue().decode(), end="")
    2 3 4
    0,3 0:0.5 2:1.5
     1:2
    """
    check_path(path, "write")
    for name, value in {"header": header, "zero_based": zero_based}.items():
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False, got {value!r}.")
    features, labels = _check_features(X), _check_indicator(Y)
    if features.shape[0] != labels.shape[0]:
        raise ValueError(
            "X and Y must have a row for each sample, got X of shape "
            f"{features.shape} and Y of shape {labels.shape}."
        )
    with open_to_write(path) as stream:
        if header:
            stream.write(b"%d %d %d\n" % (*features.shape, labels.shape[1]))
        for start, stop in _parts(features, labels):
            X_part = _canonical(features[start:stop])
            Y_part = _canonical(labels[start:stop], no_zeros=True)
            stream.write(_text(X_part, Y_part, first_id=0 if zero_based else 1))


def _check_matrix(matrix: ArrayLike, name: str) -> csr_matrix:
    with np.errstate(over="ignore"):  # what becomes infinite is an error of its own
        checked = check_array(
            matrix,
            accept_sparse="csr",
            dtype=np.float32,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    if checked.shape[1] > MAX_ID:
        raise ValueError(
            f"{name} must have at most {MAX_ID} columns, got {checked.shape[1]}."
        )
    return checked if issparse(checked) else csr_matrix(checked)


def _check_features(X: ArrayLike) -> csr_matrix:
    with _explained("X must be a matrix of finite numbers, with a row for each sample"):
        return _check_matrix(X, "X")


def _check_indicator(Y: ArrayLike) -> csr_matrix:
    """Return Y; what is none is often a list of labels, or of lists of them."""
    with _explained(
        "Y must be an indicator, a matrix of 0 and 1 with a column for each label, as "
        "MultiLabelBinarizer and LabelBinarizer of sklearn.preprocessing make it"
    ):
        labels = _check_matrix(Y, "Y")
        if not (is_flag := np.isin(labels.data, (0, 1))).all():
            raise ValueError(f"got the value {labels.data[~is_flag][0]:g}")
    return labels


@contextmanager
def _explained(expected: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        why = str(error).partition("\n")[0].rstrip(".:")  # without general advice
        raise ValueError(f"{expected} ({why}).") from error


def _parts(X: csr_matrix, Y: csr_matrix) -> Iterator[tuple[int, int]]:
    """Yield slices of the rows, of about `N_ENTRIES` entries each."""
    n_entries = X.indptr.astype(np.int64) + Y.indptr + np.arange(len(X.indptr))
    marks = np.arange(0, n_entries[-1], N_ENTRIES)
    starts = np.searchsorted(n_entries, marks, side="right") - 1
    yield from pairwise([*np.unique(starts).tolist(), X.shape[0]])


def _canonical(rows: csr_matrix, no_zeros: bool = False) -> csr_matrix:
    """Return rows, which are a copy, with sorted ids that occur once."""
    rows.sum_duplicates()
    if not np.isfinite(rows.data).all():
        raise ValueError(
            "X has entries of one place that add up to more than float32 can hold: "
            "scale it."
        )
    if no_zeros:
        rows.eliminate_zeros()
    return rows


def _text(X: csr_matrix, Y: csr_matrix, first_id: int) -> bytes:
    """Return the lines of some rows."""
    labels = (Y.indices + first_id).tolist()
    pairs: list[Any] = [None] * (2 * X.nnz)
    pairs[::2] = (X.indices + first_id).tolist()
    pairs[1::2] = X.data.tolist()
    # One template for all: Python formats it in one call.
    template: list[str] = []
    values: list[Any] = []
    for labels_of, pairs_of in zip(_slices(Y.indptr), _slices(X.indptr), strict=True):
        n_labels = labels_of.stop - labels_of.start
        n_pairs = pairs_of.stop - pairs_of.start
        template += ["%d," * (n_labels - 1) + "%d" * (n_labels > 0)]
        template += [" %d:%.9g" * n_pairs, "\n"]
        values += labels[labels_of]
        values += pairs[2 * pairs_of.start : 2 * pairs_of.stop]
    return ("".join(template) % tuple(values)).encode("ascii")


def _slices(starts: NDArray[np.integer]) -> list[slice]:
    return [slice(*ends) for ends in pairwise(starts.tolist())]
