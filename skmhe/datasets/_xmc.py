"""Read files in the text format of the extreme classification repository."""

from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from skmhe.datasets._files import PathOrFile, check_path, name_of, numbered_blocks
from skmhe.datasets._xmc_blocks import Rows, parse_block
from skmhe.datasets._xmc_lines import MAX_ID, Bounds, clean, explain

ZeroBased: TypeAlias = bool | str | tuple[bool | str, bool | str]
Scalar = TypeVar("Scalar", bound=np.generic)


class Growing(Generic[Scalar]):
    """An array that grows at its end, without a second copy of what it has."""

    def __init__(self, dtype: type[Scalar]) -> None:
        self._buffer: NDArray[Scalar] = np.empty(0, dtype=dtype)
        self._size = 0

    def append(self, values: NDArray[Scalar]) -> None:
        """Add values at the end."""
        size = self._size + len(values)
        if size > len(self._buffer):
            # No other array refers to the buffer, which realloc may move.
            self._buffer.resize(size + size // 8, refcheck=False)
        self._buffer[self._size : size] = values
        self._size = size

    def pop(self) -> NDArray[Scalar]:
        """Return the array, which this object then no longer has."""
        values, self._buffer = self._buffer, self._buffer[:0]
        values.resize(self._size, refcheck=False)
        return values


@dataclass
class Columns:
    """The features or the labels of the rows that have been read."""

    bounds: Bounds
    ids: Growing[np.int32] = field(default_factory=lambda: Growing(np.int32))
    # Of each row, after a 0: its sums are where rows start.
    n_of_rows: Growing[np.int32] = field(default_factory=lambda: Growing(np.int32))
    largest: int = -1

    def __post_init__(self) -> None:
        self.n_of_rows.append(np.zeros(1, np.int32))

    def append(self, ids: NDArray[np.int32], n_of_rows: NDArray[np.int64]) -> None:
        """Add the ids of rows; they must be within the bounds."""
        self.ids.append(ids)
        self.n_of_rows.append(n_of_rows.astype(np.int32))
        self.largest = max(self.largest, int(ids.max(initial=-1)))

    def matrix(self, values: NDArray[np.float32] | None) -> csr_matrix:
        """Return the rows; without values, they are an indicator."""
        ids, starts = self.ids.pop(), self.n_of_rows.pop()
        if values is None:
            values = np.ones(len(ids), dtype=np.float32)
        ids -= self.bounds.lowest
        n_columns = self.bounds.n_columns
        if n_columns is None:
            n_columns = self.largest + 1 - self.bounds.lowest if len(ids) else 0
        if len(ids) > MAX_ID:
            starts = starts.astype(np.int64)
        np.cumsum(starts, dtype=starts.dtype, out=starts)  # which takes no copy
        matrix = csr_matrix((values, ids, starts), (len(starts) - 1, n_columns))
        matrix.has_canonical_format = True  # it is sorted and has no duplicates
        return matrix


class Table:
    """Reads a file of rows, with labels or without."""

    def __init__(
        self,
        source: PathOrFile,
        has_labels: bool,
        zero_based: tuple[bool | str, bool | str],
        n_columns: tuple[int | None, int | None],
    ) -> None:
        self.source, self.name = source, name_of(source)
        self.has_labels = has_labels
        self.n_rows: int | None = None  # by the header
        self.n_read = 0
        self.features, self.labels = (
            Columns(Bounds.of(kind, n, base))
            for kind, n, base in zip(
                ("feature", "label"), n_columns, zero_based, strict=True
            )
        )
        self.values: Growing[np.float32] = Growing(np.float32)

    def read(self) -> "Table":
        """Read the whole file; a ValueError tells the line that is wrong."""
        line, at_start = 0, True
        for line, lines in numbered_blocks(self.source):
            n_lines = n_bytes = 0
            if at_start:
                n_lines, n_bytes = self._take_header(line, lines)
                at_start = not clean(lines)  # nothing but comments so far
            self._append(line + n_lines, lines[n_bytes:])
            line += lines.count(b"\n") - 1
        if at_start:
            raise ValueError(
                f"{self.name}, line 1: expected a header or a row, but the file is "
                "empty or has nothing but comments."
            )
        if self.n_rows is not None and self.n_read < self.n_rows:
            raise ValueError(
                f"{self.name}, line {line}: expected {self.n_rows} rows by the header, "
                f"got {self.n_read} at the end of the file, which is not complete or "
                "has another header."
            )
        return self

    def _take_header(self, line: int, lines: bytes) -> tuple[int, int]:
        """Return how many lines and bytes the header takes, comments before it, too.

        Three numbers without a colon are no row: only a header looks like that.
        """
        start = 0
        for n_lines in range(1, lines.count(b"\n") + 1):
            end = lines.index(b"\n", start) + 1
            if text := clean(lines[start:end]):
                numbers = text.split()
                if len(numbers) != 2 + self.has_labels or not all(
                    number.isdigit() for number in numbers
                ):
                    return 0, 0
                self._set_header(line + n_lines - 1, numbers)
                return n_lines, end
            start = end
        return 0, 0

    def _set_header(self, line: int, numbers: list[bytes]) -> None:
        if max(map(len, numbers)) > 18:
            raise ValueError(
                f"{self.name}, line {line}: expected a header of numbers of at most 18 "
                f"digits, got {b' '.join(numbers)[:80]!r}."
            )
        self.n_rows, *n_columns = map(int, numbers)
        for columns, n in zip((self.features, self.labels), n_columns, strict=False):
            kind, given = columns.bounds.kind, columns.bounds.n_columns
            if n > MAX_ID or (given is not None and given != n):
                expected = f"at most {MAX_ID}" if given is None else f"{given} as given"
                raise ValueError(
                    f"{self.name}, line {line}: expected n_{kind}s to be {expected}, "
                    f"got {n} in the header."
                )
            base = columns.bounds
            zero_based = "auto" if base.is_open else not base.lowest
            columns.bounds = Bounds.of(kind, n, zero_based)

    def _append(self, line: int, lines: bytes) -> None:
        n_left = None if self.n_rows is None else self.n_rows - self.n_read
        bounds = self.features.bounds, self.labels.bounds
        rows = parse_block(clean(lines), self.has_labels)
        if rows is not None and n_left is not None:
            rows = _without_empty_rest(rows, n_left)
        narrowed = rows and (
            _narrowed(bounds[0], rows.features),
            _narrowed(bounds[1], rows.labels),
        )
        if rows is None or narrowed is None or None in narrowed:
            raise explain(self.name, line, lines, bounds, self.has_labels, n_left)
        self.features.bounds, self.labels.bounds = narrowed  # type: ignore[assignment]
        self.features.append(rows.features, rows.n_features)
        self.labels.append(rows.labels, rows.n_labels)
        self.values.append(rows.values)
        self.n_read += len(rows.n_features)


def _narrowed(bounds: Bounds, ids: NDArray[np.int32]) -> Bounds | None:
    return bounds.narrowed(int(ids.min()), int(ids.max())) if len(ids) else bounds


def _without_empty_rest(rows: Rows, n: int) -> Rows | None:
    """Return the first n rows; None if those that follow are not empty."""
    if rows.n_features[n:].any() or rows.n_labels[n:].any():
        return None
    return rows._replace(n_features=rows.n_features[:n], n_labels=rows.n_labels[:n])


def load_xmc(
    path: PathOrFile,
    labels_path: PathOrFile | None = None,
    *,
    zero_based: ZeroBased = "auto",
    n_features: int | None = None,
    n_labels: int | None = None,
) -> tuple[csr_matrix, csr_matrix]:
    r"""Load a file in the text format of the extreme classification repository.

    The first line is a header, ``n_samples n_features n_labels``, or missing. Each
    other line is a sample: its labels, separated by commas, and its features as
    ``id:value``, separated by spaces. A sample without labels begins with a space, or
    with its first feature; one without features ends after its labels; an empty line is
    a sample with neither (with a header, empty lines after the last sample are
    ignored). What follows a ``#`` is a comment, and a line that is nothing else is no
    sample. Lines may end as on Windows, and have at most 16 MiB. Ids may be in any
    order.

    The file is read in blocks, and takes little more memory than what is returned.

    Parameters
    ----------
    path : str, path-like or binary file
        A path that ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst`` is decompressed; the
        last one needs ``pip install 'skmhe[zstd]'`` before Python 3.14. An open file is
        read as it is, and not closed.
    labels_path : str, path-like or binary file, default=None
        The file of the labels, where they have one of their own, such as
        ``trn_X_Y.txt``, and `path` is ``trn_X_Xf.txt``. Then both are matrices: a
        header ``n_rows n_columns``, or none, and a row of ``id:value`` for each sample.
        All values but 0 make a label.
    zero_based : bool, "auto" or tuple of two of these, default="auto"
        Whether ids start at 0 or at 1; a tuple is for features and labels, which are
        decided separately. With "auto", an id 0 tells that they start at 0, and an id
        as large as the number of columns (of the header, `n_features` or `n_labels`)
        that they start at 1. Without either, ids are taken as they are: they start at
        0, as in the repository. Parts of one data set may be decided differently: if
        in doubt, say what they are.
    n_features, n_labels : int, default=None
        Number of columns of X and Y. If the file has a header, it must say the same.
        By default, the numbers of the header or, without one, such that the largest
        id is the last column: give the numbers of the training file for a test file
        without a header.

    Returns
    -------
    X : csr_matrix of shape (n_samples, n_features), dtype float32
        The features, with sorted indices. Zeros that the file names are stored.
    Y : csr_matrix of shape (n_samples, n_labels), dtype float32
        The indicator of the labels: 1 for each label, with sorted indices.

    Raises
    ------
    ValueError
        If the file is not of this format, is damaged, or contradicts its header or a
        parameter. The message names the file, the line, what was expected and what was
        found.
    TypeError
        If a parameter has a wrong type.
    OSError
        If the file cannot be opened.
    ImportError
        If a file ends in ``.zst`` and the package for these is not installed.

    See Also
    --------
    dump_xmc : Write such a file.
    load_xmc_texts : Load the texts of samples and labels.
    sklearn.datasets.load_svmlight_file : Reads the same lines, without a header, but
        skips empty ones and returns the labels as tuples. Use it for files with
        query ids, or with one number per sample to predict.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: Multi-label
           datasets and code", 2016.
           http://manikvarma.org/downloads/XC/XMLRepository.html

    Examples
    --------
    >>> from io import BytesIO
    >>> from skmhe.datasets import load_xmc
    >>> X, Y = load_xmc(BytesIO(b"2 3 4\n0,3 0:0.5 2:1.5\n 1:2\n"))
    >>> X.toarray()
    array([[0.5, 0. , 1.5],
           [0. , 2. , 0. ]], dtype=float32)
    >>> Y.toarray().astype(int)
    array([[1, 0, 0, 1],
           [0, 0, 0, 0]])
    >>> load_xmc(BytesIO(b"2 3 4\n0,3 0:0.5 2:1.5\n 1;2\n"))
    Traceback (most recent call last):
        ...
    ValueError: <file>, line 3: expected id:value, got '1;2' without a colon.
    """
    check_path(path, "read")
    bases = _check_zero_based(zero_based)
    for name, n in {"n_features": n_features, "n_labels": n_labels}.items():
        _check_number(name, n)
    if labels_path is None:
        table = Table(path, True, bases, (n_features, n_labels)).read()
        return table.features.matrix(table.values.pop()), table.labels.matrix(None)
    check_path(labels_path, "read", "labels_path")
    X = load_matrix(path, bases[0], n_features)
    Y = load_matrix(labels_path, bases[1], n_labels, kind="label")
    Y.data = (Y.data != 0).astype(np.float32)
    Y.eliminate_zeros()
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            f"{name_of(labels_path)}: expected {X.shape[0]} rows, as in "
            f"{name_of(path)}, got {Y.shape[0]}: are they of the same samples?"
        )
    return X, Y


def load_matrix(
    source: PathOrFile,
    zero_based: bool | str = "auto",
    n_columns: int | None = None,
    kind: str = "feature",
) -> csr_matrix:
    """Return the matrix of a file of ``id:value``, without labels before them."""
    table = Table(source, False, (zero_based, True), (n_columns, None))
    table.features.bounds = Bounds.of(kind, n_columns, zero_based)
    table.read()
    return table.features.matrix(table.values.pop())


def _check_zero_based(zero_based: object) -> tuple[bool | str, bool | str]:
    both = zero_based if isinstance(zero_based, tuple) else (zero_based,) * 2
    if len(both) != 2 or not all(
        isinstance(one, bool | np.bool_) or (isinstance(one, str) and one == "auto")
        for one in both
    ):
        raise ValueError(
            "zero_based must be True, False or 'auto', or a tuple of two of these, for "
            f"features and labels, got {zero_based!r}."
        )
    features, labels = (one if isinstance(one, str) else bool(one) for one in both)
    return features, labels


def _check_number(name: str, n: object) -> None:
    if n is None:
        return
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise TypeError(f"{name} must be an int or None, got {n!r}.")
    if not 0 <= n <= MAX_ID:
        raise ValueError(f"{name} must be from 0 to {MAX_ID}, got {n}.")
