"""The container of a model: arrays and a JSON document in one safetensors file.

The format is that of https://github.com/huggingface/safetensors: the length of a header
(8 bytes), the header in JSON, and the arrays. It is read and written here, as the
library's side of NumPy can neither map files nor write them without a copy of all
arrays.

The document is an array of bytes like the others. It has the dtype, shape and SHA-256
of each array, and the header has the SHA-256 of the document.
"""

import collections
import hashlib
import json
import math
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from skmhe.whole_file import check_readable, written_whole

FORMAT = "skmhe"
# Of what files hold, and how. A reader of a version that writes in another way reads
# the older ones, or says that it does not.
VERSION = 1
DOCUMENT = "document"
PICKLE = 0x80  # the first byte of pickles, before their protocol of 2 to 5
# The largest header that the library reads.
MAX_HEADER = 100_000_000
# What the place of each array in the file is a multiple of. Products with a matrix at
# another place are rounded otherwise: MKL adds up in the order of whole registers.
ALIGNMENT = 64
PADDING = "padding~"
# Of the dimensions of an array, which NumPy 1 has.
MAX_NDIM = 32
# Bytes that are read at a time.
CHUNK = 2**18
# By their names in the file.
DTYPES = {
    "BOOL": np.dtype(bool),
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Stored(NamedTuple):
    """An array in a file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int  # place in the file
    sha256: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Refused(ValueError):
    """Why a file is not loaded, without its name."""

    remedy = ""


class Damaged(Refused):
    """What is wrong with a file."""

    remedy = " Save the model again by skmhe.io.save, or copy the file again."


class NotOurs(Refused):
    """A pickle, of which a copy would be no better."""

    remedy = (
        " If you trust it, load it by pickle or joblib, as it was written, and save "
        "the estimator by skmhe.io.save."
    )


def require(holds: Any, what: str) -> None:
    """Raise an error that says what is wrong with a file, unless something holds."""
    if not holds:
        raise Damaged(what)


# Writing


def write(path: str | os.PathLike[str], document: Any, arrays: dict[str, Any]) -> None:
    """Write a document and arrays, C-contiguous and of `DTYPES`, to a file.

    The document is given its entries "version" and "arrays".
    """
    arrays = _padded({name: arrays[name] for name in sorted(arrays)})
    entries = {name: _described(array) for name, array in arrays.items()}
    document = document | {"version": VERSION, "arrays": entries}
    text = json.dumps(document, allow_nan=False).encode()
    last = np.frombuffer(text, np.uint8)
    tables = arrays | {DOCUMENT: last}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    header: dict[str, Any] = {"__metadata__": metadata}
    place = 0
    for name, array in tables.items():
        entry = {"dtype": NAMES[array.dtype], "shape": list(array.shape)}
        header[name] = entry | {"data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-(8 + len(head)) % ALIGNMENT)
    if len(head) > MAX_HEADER:
        raise ValueError(
            f"the model has {len(arrays)} arrays, more than a file's header can list: "
            "use pickle."
        )
    with written_whole(path) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for array in tables.values():
            file.write(memoryview(array.reshape(-1)).cast("B") if array.size else b"")


def _padded(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return arrays, each of which begins at a multiple of `ALIGNMENT`.

    The format has no gaps between arrays, so that these are arrays of their own.
    """
    padded: dict[str, Any] = {}
    for name, array in arrays.items():
        padded[name] = array
        if missing := -array.nbytes % ALIGNMENT:
            padded[f"{PADDING}{len(padded)}"] = np.zeros(missing, np.uint8)
    return padded


def _described(array: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()
    dtype, shape = NAMES[array.dtype], list(array.shape)
    return {"dtype": dtype, "shape": shape, "sha256": digest}


# Reading


class Container:
    """A file that is open for reading: its document, and its arrays by name.

    Nothing of the header is believed before it agrees with the file's size and with the
    document, nor the document before its hash is right.
    """

    def __init__(self, file: BinaryIO, mapped: bool, verify: bool) -> None:
        self._file, self._verify, self._used = file, verify, set[str]()
        size = os.fstat(file.fileno()).st_size
        header, start = _read_header(file, size)
        metadata = header.pop("__metadata__", None)
        is_ours = isinstance(metadata, dict) and metadata.get("format") == FORMAT
        require(is_ours, "it is a safetensors file, but none of skmhe.io.save")
        self._stored = _check_header(header, start, size)
        # Before all that newer versions may do in another way.
        _check_version(metadata.get("version"))
        digest = metadata.get("sha256")
        stored = self._stored.pop(DOCUMENT, None)
        require(stored and stored.dtype == np.uint8, "it has no document")
        assert stored is not None
        text = self._read(stored._replace(sha256=str(digest)), DOCUMENT).tobytes()
        self.document = _loads(text, "document")
        same = self.document.get("version") == VERSION
        require(same, "its header and its document have two versions")
        self._map: mmap.mmap | None = None
        if mapped:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._check_entries(self.document.pop("arrays", None))

    def _check_entries(self, entries: Any) -> None:
        """Compare the arrays that the document has with those of the header."""
        names = entries.keys() if isinstance(entries, dict) else None
        same = names == self._stored.keys()
        require(same, "its header and its document name other arrays")
        for name, stored in self._stored.items():
            expected = {"dtype": NAMES[stored.dtype], "shape": list(stored.shape)}
            entry = entries[name]
            require(
                isinstance(entry, dict) and expected.items() <= entry.items(),
                f"its array {name!r} is not of the dtype and shape that were saved",
            )
            self._stored[name] = stored._replace(sha256=str(entry.get("sha256")))

    @property
    def is_mapped(self) -> bool:
        """Whether arrays stay in the file."""
        return self._map is not None

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def array(self, name: str, widen: bool = False) -> np.ndarray:
        """Return an array, read-only if the file is mapped.

        With `widen`, float16 becomes float32, which is always a copy.
        """
        # Or a small file could name its largest array for any amount of memory.
        require(name not in self._used, f"it uses its array {name!r} twice")
        self._used.add(name)
        stored = self._stored[name]
        is_aligned = stored.start % stored.dtype.itemsize == 0  # as save writes it
        is_widened = widen and stored.dtype == np.float16
        if self._map is None or is_widened or not is_aligned:
            return self._read(stored, name, widen)
        if self._verify:
            for _ in self._chunks(stored, name):
                pass  # what is read is hashed
        view = np.frombuffer(self._map, stored.dtype, stored.size, stored.start)
        return view.reshape(stored.shape)

    def forget_pages(self) -> None:
        """Give the memory back that checks of a mapped file have read into."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _read(self, stored: Stored, name: str, widen: bool = False) -> np.ndarray:
        is_half = stored.dtype == np.float16
        result = np.empty(
            stored.size, np.float32 if widen and is_half else stored.dtype
        )
        place = 0
        for part in self._chunks(stored, name):
            result[place : place + len(part)] = part
            place += len(part)
        return result.reshape(stored.shape)

    def _chunks(self, stored: Stored, name: str) -> Iterator[np.ndarray]:
        """Yield the parts of an array, and compare their hash at the end."""
        digest, left = hashlib.sha256(), stored.size * stored.dtype.itemsize
        self._file.seek(stored.start)
        while left:
            data = self._file.read(min(left, CHUNK))
            require(len(data) == min(left, CHUNK), "it ends too early")
            digest.update(data)
            left -= len(data)
            yield np.frombuffer(data, stored.dtype)
        if self._verify or name == DOCUMENT:
            same = digest.hexdigest() == stored.sha256
            require(same, f"its {name!r} is not what was saved: the hash differs")


def _read_header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Return the header, and where it ends."""
    require(size > 8, f"it has {size} bytes, and is no safetensors file")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    fits = 2 <= length <= min(size - 8, MAX_HEADER)
    if not fits and start[0] == PICKLE and 2 <= start[1] <= 5:
        raise NotOurs("it looks like a pickle")
    require(
        fits,
        f"its header would have {length} bytes of the file's {size}: it is cut, "
        "damaged, or no safetensors file",
    )
    return _loads(file.read(length), "header"), 8 + length


def _loads(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # also of what is not UTF-8
        raise Damaged(f"its {what} is no JSON ({error})") from error
    require(isinstance(value, dict), f"its {what} is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; another reader may take the other one of two values."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = collections.Counter(name for name, _ in pairs)
        raise ValueError(f"it has the entry {names.most_common(1)[0][0]!r} twice")
    return entries


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"it has {name}, which JSON has not")


def _check_header(header: dict[str, Any], start: int, size: int) -> dict[str, Stored]:
    """Return what is stored; each byte after the header is of exactly one array."""
    spans, stored = [], {}
    for name, entry in header.items():
        require(isinstance(entry, dict), f"its header has no description of {name!r}")
        dtype, shape = DTYPES.get(str(entry.get("dtype"))), entry.get("shape")
        require(dtype is not None, f"its array {name!r} has an unknown dtype")
        assert dtype is not None
        require(is_shape(shape), f"its array {name!r} has no valid shape")
        span = entry.get("data_offsets")
        require(
            is_shape(span)
            and len(span) == 2
            and span[1] - span[0] == math.prod(shape) * dtype.itemsize,
            f"its array {name!r} has another size than its shape says",
        )
        spans.append(tuple(span))
        stored[name] = Stored(dtype, tuple(shape), start + span[0])
    ends = [0, *(end for _, end in sorted(spans))]
    starts = [*(begin for begin, _ in sorted(spans)), size - start]
    message = "its arrays do not fill it exactly: it is cut, or has been added to"
    require(starts == ends, message)
    return stored


def is_shape(values: Any) -> bool:
    """Tell whether something is a list of a few sizes, whose product takes no time."""
    is_short = isinstance(values, list) and len(values) <= MAX_NDIM
    return is_short and all(
        type(value) is int and 0 <= value < 2**62 for value in values
    )


def _check_version(version: Any) -> None:
    is_number = isinstance(version, str) and version.isascii() and version.isdigit()
    require(is_number and 0 < len(version) < 9, "its version is no number")
    if int(version) > VERSION:
        raise Refused(
            f"it is of version {version} of the format, and this skmhe reads version "
            f"{VERSION}: install a newer skmhe"
        )
    require(int(version) == VERSION, "there is no such version")


# What damage that no check foresees ends in, wherever it is met.
UNFORESEEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _unforeseen(error: Exception) -> Damaged:
    return Damaged(f"it is not what save writes ({type(error).__name__}: {error})")


@contextmanager
def opened(
    path: str | os.PathLike[str], mapped: bool = False, verify: bool = True
) -> Iterator[Container]:
    """Open a file for reading; every error of its content is a ValueError."""
    check_readable(path, "a file that skmhe.io.save has written")
    with open(path, "rb") as file:
        try:
            yield Container(file, mapped, verify)
        except UNFORESEEN as error:
            known = error if isinstance(error, Refused) else _unforeseen(error)
            raise ValueError(
                f"{os.fspath(path)!r} cannot be loaded: {known}.{known.remedy}"
            ) from error
