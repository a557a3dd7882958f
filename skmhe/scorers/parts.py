"""Samples of two parts: what the network reads, and what linear classifiers read."""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import scipy.sparse as sp

from skmhe.labels.clustering import Rows

PartName: TypeAlias = Literal["network", "linear"]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)


class Parts:
    """Samples of two parts, each for some of the scorers.

    A network and linear classifiers are good at different features: token ids or the
    embedding of a text, and the TF-IDF weights of its words. Estimators take `Parts` as
    X, in `fit` and in all predictions. What splits, searches and validates in
    scikit-learn takes them, too.

    Parameters
    ----------
    network : array-like of shape (n_samples, ...), or sparse matrix
        What the network reads: with a `backbone`, what this takes; otherwise features,
        dense or sparse.
    linear : {array-like, sparse matrix} of shape (n_samples, n_features)
        What linear classifiers, the centroids of labels and ``label_order="cluster"``
        read.

    Attributes
    ----------
    network : ndarray or csr_array
        The part of the network.
    linear : ndarray or csr_array
        The part of the linear classifiers.
    shape : tuple
        ``(n_samples,)``: samples have no single number of features.
    widths : tuple of int
        Numbers of features of both parts.

    See Also
    --------
    FeatureParts : Makes them in a pipeline.

    Notes
    -----
    Rows are taken by a slice, a mask or an array of row numbers: ``X[:10]``.

    DataFrames become arrays, without the names of their columns: estimators that were
    fitted with parts have no `feature_names_in_`, and do not compare names.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe import MHEClassifier, Parts
    >>> words, vectors = np.eye(3).repeat(4, axis=0), np.arange(24.0).reshape(12, 2)
    >>> X = Parts(network=vectors, linear=words)
    >>> X
    Parts(network=float64 of shape (12, 2), linear=float64 of shape (12, 3))
    >>> clf = MHEClassifier(random_state=0).fit(X, np.arange(3).repeat(4))
    >>> clf.predict(X[::4])
    array([0, 1, 2])
    """

    def __init__(self, *, network: Any, linear: Any) -> None:
        self.network = _as_rows(network, "network")
        self.linear = _as_rows(linear, "linear")
        n, n_linear = self.network.shape[0], self.linear.shape[0]
        if n != n_linear:
            raise ValueError(
                f"network has {n} rows and linear {n_linear}, but both parts are of "
                "the same samples: pass a row for each sample, in the same order."
            )

    @property
    def shape(self) -> tuple[int]:
        """The number of samples, as scikit-learn asks for it."""
        return (self.network.shape[0],)

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of features: of the second dimension, where there are more."""
        return self.network.shape[1], self.linear.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> "Parts":
        # scikit-learn takes rows of an array by (key, ...).
        rows = key[0] if isinstance(key, tuple) and key[1:] == (...,) else key
        if isinstance(rows, tuple) or not (isinstance(rows, slice) or np.ndim(rows)):
            raise TypeError(
                f"{key!r} cannot index Parts, which are taken by rows: use a slice, a "
                "mask or an array of row numbers, or one of the parts (.network, "
                ".linear)."
            )
        return Parts(network=self.network[rows], linear=self.linear[rows])

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "Parts are two arrays, not one: pass them to MHEClassifier or "
            "MHEMultiLabelClassifier, or pass one of the parts (.network, .linear)."
        )

    def __repr__(self) -> str:
        shown = (
            f"{name}={'sparse ' * sp.issparse(part)}{part.dtype} of shape {part.shape}"
            for name, part in (("network", self.network), ("linear", self.linear))
        )
        return f"Parts({', '.join(shown)})"


Samples: TypeAlias = Rows | Parts


class Featured(Parts):
    """Samples with what the network's backbone makes of them, which is not made again.

    Features of shape (n_samples, d); see `Batch.features`.
    """

    def __init__(self, X: Samples, features: np.ndarray) -> None:
        super().__init__(network=part_of(X, "network"), linear=part_of(X, "linear"))
        self.features = features

    def __getitem__(self, key: Any) -> "Featured":
        return Featured(super().__getitem__(key), self.features[key])


def _as_rows(part: Any, name: PartName) -> Any:
    """Return a part as an array or as CSR, of which rows can be taken."""
    try:
        rows = sp.csr_array(part) if sp.issparse(part) else np.asarray(part)
    except ValueError as error:
        raise ValueError(
            f"{name} is no array: {error}. Pass the same number of values for each "
            "sample: pad tokens to one length, or pass a sparse matrix of features."
        ) from error
    if rows.ndim < 2:
        raise ValueError(
            f"{name} has shape {rows.shape} and type {rows.dtype}, but a part needs a "
            "row of numbers for each sample: pass an array of shape (n_samples, "
            "n_features), such as a vectorizer makes of texts (see FeatureParts)."
        )
    return rows


def part_of(X: Samples, name: PartName) -> Any:
    """Return what some scorers read of samples: all, unless these have parts."""
    # Arrays have no such attributes.
    return getattr(X, name, X)


def name_of_part(X: Samples, name: PartName, shown: str = "X") -> str:
    """Return what errors call what some scorers read of the argument `shown`."""
    return f"{shown}.{name}" if isinstance(X, Parts) else shown


def stacked(one: Samples, other: Samples) -> Samples:
    """Return the rows of both, in the form of the first."""
    if isinstance(one, Parts):
        assert isinstance(other, Parts)
        network = stacked(one.network, other.network)
        return Parts(network=network, linear=stacked(one.linear, other.linear))
    if sp.issparse(one):
        return sp.csr_array(sp.vstack([one, sp.csr_array(other)]))
    rows: Any = other
    return np.concatenate([one, rows.toarray() if sp.issparse(rows) else rows])
