"""Download data sets into a folder of their own.

The package pooch does most of this, but not what large files need most: it starts
broken downloads anew. As in scikit-learn, this is a little code around urllib.
"""

import errno
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import tarfile
import time
import zipfile
import zlib
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from numbers import Integral, Real
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

SOURCE = "source.json"
TIMEOUT = 60  # seconds without any answer
LONGEST_DELAY = 3600  # seconds
LONGEST_NAME = 100  # as a file's may have 255 bytes, with a checksum and more
PIECE = 1 << 16
CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,18})-\d+/(?P<total>\d{1,18}|\*)")
NETWORK_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError)
# Of those below 500, the ones that another try may help: timeout, range, too many.
WORTH_RETRYING = (408, 416, 429)
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
# What damaged archives raise: RuntimeError is of passwords and unknown methods, and
# OSError of bz2 and of places outside of the file.
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, RuntimeError, ValueError, struct.error),
)
PAGE = "http://manikvarma.org/downloads/XC/XMLRepository.html"


def fetch_xmc(
    name: str,
    url: str | None = None,
    *,
    sha256: str | None = None,
    data_home: str | os.PathLike[str] | None = None,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: bool = True,
) -> Path:
    """Download a data set, unless it is there, and return its folder.

    The file is downloaded from `url`, checked, unpacked if it is a zip or tar archive,
    and put into the folder ``data_home / name``, which appears when all of this is
    done. A download that breaks off goes on where it stopped, if the server allows it;
    with `sha256`, also in a later call.

    The repository [1]_ publishes no checksums, and the addresses of its files change,
    so that this function has no list of them: take `url` from its page. Without
    `sha256`, nothing tells whether the file is the right one. The checksum that was
    found is in ``source.json`` in the folder: give it where the same file is needed
    again.

    Parameters
    ----------
    name : str
        Name of the data set, such as "EURLex-4K": of its folder.
    url : str, default=None
        Where to download it from, by http or https. Not needed where the folder exists.
    sha256 : str, default=None
        The SHA-256 of the file in hexadecimal digits.
    data_home : str or path-like, default=None
        The folder of all data sets. By default, the environment variable ``SKMHE_DATA``
        or, without it, ``~/skmhe_data``.
    n_retries : int, default=3
        How often to try again after errors of the network and the server.
    delay : float, default=1.0
        Seconds to wait before the first retry; before each further one, twice as long,
        but never more than an hour.
    verbose : bool, default=True
        Whether to show a progress bar, in terminals only.

    Returns
    -------
    folder : Path
        The folder with the files, for `load_xmc` or `load_xmc_texts`.

    Raises
    ------
    ValueError
        If a parameter has a wrong value, or if the folder is of another file than that
        of `sha256`.
    TypeError
        If a parameter has a wrong type.
    OSError
        If the file cannot be downloaded or unpacked, or has another checksum.

    References
    ----------
    .. [1] http://manikvarma.org/downloads/XC/XMLRepository.html

    Examples
    --------
    >>> from skmhe.datasets import fetch_xmc, load_xmc
    >>> folder = fetch_xmc("EURLex-4K", url, sha256=checksum)  # doctest: +SKIP
    >>> X, Y = load_xmc(folder / "train.txt")  # doctest: +SKIP
    """
    sha256 = _check_parameters(name, url, sha256, data_home, n_retries, delay, verbose)
    home = Path(data_home or os.environ.get("SKMHE_DATA") or "~/skmhe_data")
    home = home.expanduser()
    folder = home / name
    if folder.exists():
        return _checked_folder(folder, sha256)
    if url is None:
        raise ValueError(
            f"url must be given, as there is no folder {folder} yet: the addresses of "
            f"data sets are on {PAGE}."
        )
    with _folder_aside(home, name) as aside:
        part, files = Path(aside, "part"), Path(aside, "files")
        kept = home / f".{name}.{sha256}.part"
        with suppress(FileNotFoundError):  # two processes never get the same file
            os.replace(kept, part)
        try:
            found = _download(url, part, sha256, n_retries, delay, verbose)
            _unpack(url, part, files)
        except (OSError, HTTPException, KeyboardInterrupt) as error:
            is_full = getattr(error, "errno", None) == errno.ENOSPC
            if sha256 and not is_full and part.exists() and part.stat().st_size:
                os.replace(part, kept)
            raise
        source = json.dumps({"url": url, "sha256": found}, indent=1)
        (files / SOURCE).write_text(source + "\n", encoding="utf-8")
        try:
            os.rename(files, folder)
        except OSError:
            if not folder.exists():  # or else, another process was faster
                raise
    return _checked_folder(folder, sha256)


def _folder_aside(home: Path, name: str) -> TemporaryDirectory[str]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=f".{name}.", dir=home)
    except OSError as error:
        raise OSError(
            f"data_home must be a folder that may be written to, got {str(home)!r} "
            f"({error}): give another one, also by the variable SKMHE_DATA."
        ) from error


def _check_parameters(
    name: object,
    url: object,
    sha256: object,
    data_home: object,
    n_retries: object,
    delay: object,
    verbose: object,
) -> str | None:
    """Return the checksum in lower case."""
    is_name = isinstance(name, str) and re.fullmatch(r"\w[\w.+-]*", name)
    if not is_name or len(os.fsencode(str(name))) > LONGEST_NAME:
        raise ValueError(
            "name must be a str of letters, digits, '_', '.', '+' and '-', of at most "
            f"{LONGEST_NAME} bytes, as a folder gets it, got {name!r}."
        )
    if url is not None and not re.fullmatch(r"(?ai)https?://[\w\[][!-~]*", str(url)):
        raise ValueError(
            "url must begin with http:// or https:// and a host, and have no spaces or "
            f"other characters that need %, got {url!r}."
        )
    if data_home is not None and not isinstance(data_home, str | os.PathLike):
        raise TypeError(f"data_home must be a str or a path, got {data_home!r}.")
    for key, value, kind in (
        ("n_retries", n_retries, Integral),
        ("delay", delay, Real),
    ):
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = "an int" if kind is Integral else "a number"
            raise TypeError(f"{key} must be {expected}, got {value!r}.")
        if not 0 <= float(value) < float("inf"):
            raise ValueError(f"{key} must be finite and at least 0, got {value!r}.")
    if not isinstance(verbose, bool):
        raise TypeError(f"verbose must be True or False, got {verbose!r}.")
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(
            f"sha256 must be a str of 64 hexadecimal digits, got {sha256!r}."
        )
    return sha256.lower()


def _checked_folder(folder: Path, sha256: str | None) -> Path:
    """Return a folder of an earlier download; it must be of the file that is meant."""
    if not folder.is_dir():
        raise ValueError(
            f"{folder} must be a folder, or not there, but it is a file: move it, or "
            "give another name or data_home."
        )
    if sha256 is None:
        return folder
    try:
        found = json.loads((folder / SOURCE).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        found = "unknown"
    if found != sha256:
        raise ValueError(
            f"{folder} must be of the file with the SHA-256 {sha256}, got one of "
            f"{found}: delete the folder to download it anew, or leave sha256 out."
        )
    return folder


def _download(
    url: str, part: Path, sha256: str | None, n_retries: int, delay: float, show: bool
) -> str:
    """Download a file, beginning with what `part` has; return its checksum."""
    # By which the server knows whether the file is still the same.
    validator: str | None = None
    attempt = 0
    if part.exists() and _sha256_of(part) == sha256:
        return sha256  # an earlier call was interrupted while it unpacked the file
    while True:
        may_resume = part.exists() and bool(sha256 or validator)
        try:
            validator = _get(url, part, validator, may_resume, show)
        except NETWORK_ERRORS as error:
            if isinstance(error, HTTPError):
                error.close()
            _raise_if_final(error, url, attempt, n_retries)
            if isinstance(error, HTTPError) and error.code == 416:
                part.unlink()  # it is longer than the file
            validator = getattr(error, "validator", validator)
            delay = min(delay, LONGEST_DELAY)
            time.sleep(delay)
            delay *= 2
            attempt += 1
            continue
        found = _sha256_of(part)
        if sha256 in (None, found):
            return found
        part.unlink()
        if not may_resume:
            raise OSError(
                f"{url}: expected a file with the SHA-256 {sha256}, got {found}: it is "
                "another file, or damaged."
            )


def _sha256_of(part: Path) -> str:
    with open(part, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Dropped(ConnectionError):
    """The connection ended before the file did."""

    def __init__(self, message: str, validator: str | None) -> None:
        super().__init__(message)
        self.validator = validator


def _raise_if_final(error: Exception, url: str, attempt: int, n_retries: int) -> None:
    """Raise errors of the server that stay, and any error after the last try."""
    code = error.code if isinstance(error, HTTPError) else 500
    if code < 500 and code not in WORTH_RETRYING:
        raise OSError(
            f"{url}: expected a file, got HTTP error {code}: is the address right?"
        ) from error
    if attempt >= n_retries:
        raise URLError(
            f"{url} could not be downloaded in {attempt + 1} attempts ({error}). Call "
            "again to go on, if you give sha256, or to start anew."
        ) from error


def _get(
    url: str, part: Path, validator: str | None, may_resume: bool, show: bool
) -> str | None:
    """Get a file, or the rest of it, and return what tells its version."""
    start = part.stat().st_size if may_resume else 0
    headers = {"User-Agent": "skmhe", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:
        got = response.headers
        tag = got.get("ETag", "")
        # A weak tag does not tell whether bytes are the same.
        validator = tag if tag and not tag.startswith("W/") else got["Last-Modified"]
        if got.get_content_type() == "text/html":
            raise OSError(
                f"{url}: expected a file, got a web page: is it one that asks for a "
                "confirmation? Download the file by a browser then."
            )
        span = None
        if response.status != 206:
            start = 0
        elif not (span := CONTENT_RANGE.fullmatch(got.get("Content-Range", ""))) or (
            int(span["start"]) != start
        ):
            part.unlink(missing_ok=True)
            raise _Dropped("the server sent another part than was asked for", validator)
        total = _total(span, start, response.length)
        _check_space(url, (total or start) - start, part.parent)
        bar = tqdm(
            desc=Path(urlsplit(url).path).name,
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            disable=None if show else True,
        )
        with open(part, "ab" if start else "wb") as file, bar:
            while piece := _read(response, validator):
                file.write(piece)
                bar.update(len(piece))
            size = file.tell()
    if total is not None and size < total:
        raise _Dropped(f"the connection ended after {size} of {total} bytes", validator)
    return validator


def _total(span: re.Match[str] | None, start: int, length: int | None) -> int | None:
    """Return the size of the whole file, None if it is not told."""
    if span and span["total"] != "*":
        return int(span["total"])  # the response may be a part of the rest only
    return None if length is None else start + length


def _read(response: HTTPResponse, validator: str | None) -> bytes:
    try:
        return response.read(PIECE)
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise _Dropped(str(error) or repr(error), validator) from error


def _check_space(url: str, size: int, folder: Path) -> None:
    if size > (free := shutil.disk_usage(folder).free):
        raise OSError(
            errno.ENOSPC,
            f"{url}: expected what fits into the {free:,} bytes free in data_home, got "
            f"{size:,} bytes: make room, or give another one",
        )


def _unpack(url: str, part: Path, folder: Path) -> None:
    """Make a folder of a file: what an archive has, or the file itself."""
    folder.mkdir()
    url_name = unquote(urlsplit(url).path).rpartition("/")[2]
    try:
        if tarfile.is_tarfile(part):
            if not hasattr(tarfile, "data_filter"):
                raise RuntimeError(
                    "only tarfile of Python 3.11.4 or newer keeps what an archive has "
                    "inside of a folder: update Python, or unpack it by another program"
                )
            with tarfile.open(part) as tar:
                _check_space(url, sum(member.size for member in tar), folder)
                tar.extractall(folder, filter="data")  # nothing outside, no devices
        elif zipfile.is_zipfile(part):
            with zipfile.ZipFile(part) as archive:
                size = sum(member.file_size for member in archive.infolist())
                _check_space(url, size, folder)
                archive.extractall(folder)  # nothing outside of it, whatever names say
        elif url_name.lower().endswith(ARCHIVES):
            raise ValueError("it has no beginning or no end")
        else:
            is_name = url_name.strip(".") and url_name.isprintable()
            os.replace(part, folder / (url_name if is_name else "data"))
    except BROKEN as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        why = str(error) or repr(error)
        raise OSError(
            f"{url}: expected an archive, but it cannot be unpacked ({why})."
        ) from error
