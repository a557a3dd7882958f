"""Saving fitted estimators to a file, and loading them."""

import os
from collections.abc import Iterable
from typing import Any

import torch

from skmhe.io.container import opened, require, write
from skmhe.io.estimators import ATTRIBUTES, VERSIONS, Estimators
from skmhe.io.trusted import Trusted, is_search
from skmhe.io.values import Reader, Writer
from skmhe.scorers.device import resolve_device


def save(estimator: Any, path: str | os.PathLike[str], *, compact: bool = True) -> None:
    """Write an estimator to a file that runs no code when it is loaded.

    The file is in the safetensors format: arrays, and a description in JSON. It takes
    the place of a file of this name once all of it is on the disk; if anything fails,
    that file is as it was.

    Parameters
    ----------
    estimator : estimator
        `MHEClassifier` or `MHEMultiLabelClassifier`; a transformer of `skmhe.text`, a
        `FeatureParts`, a vectorizer of `sklearn.feature_extraction.text`, a
        `StandardScaler`, `MaxAbsScaler`, `Normalizer` or `TruncatedSVD`; a `Pipeline`
        or `FeatureUnion` of these; or one of them with thresholds, a
        `MultiLabelFixedThresholdClassifier` or `MultiLabelTunedThresholdClassifierCV`.
        Of a search, save `best_estimator_`.
    path : str or path
        Name of the file, of any ending; ".safetensors" tells others what it is.
    compact : bool, default=True
        Whether large tables are written in 16 bits where that loses nothing, as pickles
        do. With False, a file may be twice as large, and `load` with ``mmap=True`` maps
        all of it.

    Raises
    ------
    TypeError, ValueError
        If the estimator holds something that files do not, such as a transformer of
        another library. The error names it.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Reads the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import skmhe.io
    >>> from skmhe import MHEClassifier
    >>> X, y = np.eye(5).repeat(4, axis=0), np.arange(5).repeat(4)
    >>> clf = MHEClassifier(random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.safetensors")
    ...     skmhe.io.save(clf, path)
    ...     loaded = skmhe.io.load(path)
    >>> loaded.predict(np.eye(5))
    array([0, 1, 2, 3, 4])
    """
    _check_flag("compact", compact)
    if type(estimator) not in ATTRIBUTES:
        known = ", ".join(kind.__name__ for kind in ATTRIBUTES)
        remedy = "its best_estimator_" if is_search(estimator) else "one of these"
        raise TypeError(
            f"estimator={estimator!r} is of type {type(estimator).__name__}, but model "
            f"files hold {known}: save {remedy}, or use pickle or joblib."
        )
    path = _file_name(path)
    writer = Writer(Estimators().tables(), compact)
    try:
        root = writer.value(estimator, "estimator")
    except RecursionError as error:
        raise ValueError(
            "estimator has a list or dict that holds itself, or too many inside each "
            "other: use pickle or joblib."
        ) from error
    write(path, {"estimator": root, "versions": VERSIONS}, writer.arrays)


def load(
    path: str | os.PathLike[str],
    *,
    mmap: bool = False,
    device: str | torch.device = "auto",
    trusted: Iterable[Any] = (),
    verify: bool | str = "auto",
) -> Any:
    """Read an estimator from a file that `save` has written.

    Nothing of the file is run, and no name of it is imported. What it says of sizes,
    types and indices is checked against the file before memory is allocated for it.

    Parameters
    ----------
    path : str or path
        Name of the file.
    mmap : bool, default=False
        Whether arrays stay in the file, of which the system reads the parts that
        predictions need, and which processes share. Tables of 16 bits need memory
        nevertheless, but for those of sparse linear classifiers: `save` with
        ``compact=False`` writes none. The file must not be changed as long as the
        estimator is used; `save` puts a new one in its place.
    device : str or torch.device, default="auto"
        Where to compute: the `device` of all estimators of the file. "auto" is the one
        that they were saved with, or "auto" if this machine does not have it.
    trusted : list of class, function or module, default=()
        Networks and functions of yours that the file may use, found among these by
        their names: the class or function that was given as `backbone`, or, for a
        module, one of its class that was made in the same way, of which a copy is given
        the weights. They run as they do in `fit`.
    verify : bool or "auto", default="auto"
        Whether to compare the hashes of all arrays, for which all of the file is read.
        "auto" is False with `mmap`. The description and all indices are checked in any
        case.

    Returns
    -------
    estimator
        With the same parameters, predictions and attributes. `partial_fit` goes on
        where it was.

    Raises
    ------
    ValueError
        If the file is damaged, was not written by `save` or by a newer version of
        skmhe, or needs something that is not trusted. The error names the file.
    OSError
        If the file cannot be read.
    ImportError
        If it needs transformers or tokenizers, and they are not installed.

    See Also
    --------
    save : Writes the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import skmhe.io
    >>> from skmhe import MHEClassifier
    >>> clf = MHEClassifier(model="linear", random_state=0).fit(np.eye(4), [*"abcd"])
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.safetensors")
    ...     skmhe.io.save(clf, path)
    ...     mapped = skmhe.io.load(path, mmap=True)
    ...     print(mapped.predict(np.eye(4)))
    ['a' 'b' 'c' 'd']
    """
    _check_flag("mmap", mmap)
    if not (isinstance(verify, str) and verify == "auto"):
        _check_flag("verify", verify)
    resolve_device(device)
    verify = not mmap if verify == "auto" else bool(verify)
    known = Trusted(trusted)
    path = _file_name(path)
    with opened(path, mmap, verify) as container:
        tables = Estimators(device, container.document.get("versions")).tables()
        reader = Reader(tables, container, known)
        estimator = reader.value(container.document["estimator"])
        require(type(estimator) in ATTRIBUTES, "it holds no estimator")
        container.forget_pages()
    return estimator


def _file_name(path: Any) -> str:
    """Return the name of a file, which may not exist, but is nothing else."""
    try:
        name = os.fsdecode(path)
    except TypeError as error:
        raise TypeError(f"path={path!r} is no name of a file: {error}.") from error
    is_other = os.path.exists(name) and not os.path.isfile(name)
    # Pipes would be waited for, and devices replaced by a file.
    if is_other and not os.path.isdir(name):
        raise OSError(f"path={name!r} is a pipe or device: name a file.")
    return name


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
