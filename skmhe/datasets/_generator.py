"""Made-up data sets with very many labels."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize
from sklearn.utils import Bunch, check_random_state

# Half of a label's own features occur in a sample with the label.
SHARE = 0.5


def make_extreme_classification(
    n_samples: int = 1000,
    n_features: int = 5000,
    n_labels: int = 1000,
    *,
    multilabel: bool = True,
    n_labels_per_sample: float = 3.0,
    exponent: float = 1.0,
    n_children: int = 8,
    n_informative: int = 10,
    n_noise: int = 10,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Generate a sparse problem with very many labels, which form a tree.

    Labels are the leaves of a tree: those that are next to each other share a parent,
    and so forth. A label has features of its own, half of which are its alone by
    chance, a quarter belong to its parent, an eighth to the parent's parent, and so on.
    Each of them occurs in a sample of the label with a probability of one half, and
    random features are added, a few of which are frequent, as words are. Rows of X have
    unit length.

    The number of a label's samples follows a power law: the label at rank r has a share
    proportional to ``r ** -exponent``. Ranks are assigned to labels at random. In the
    multi-label case, half of a sample's other labels are siblings of its first one, in
    proportion to their frequency, so that the shares are the same.

    Samples are independent of each other: split them as you like. Rare labels may have
    no sample.

    Parameters
    ----------
    n_samples, n_features, n_labels : int, default=1000, 5000, 1000
        The shape of the problem.
    multilabel : bool, default=True
        If True, samples have one or more labels; if False, one.
    n_labels_per_sample : float, default=3.0
        Only used when `multilabel=True`. The mean number of labels that are drawn for a
        sample: one, and others by a Poisson distribution. A label that is drawn twice
        counts once. At least 1.
    exponent : float, default=1.0
        How skewed the frequencies of labels are: 0 for labels of equal frequency; about
        1 in data sets of text.
    n_children : int, default=8
        The number of children of a node of the tree. With 1, there is no tree: all
        features of a label are its own, and no labels are siblings.
    n_informative : int, default=10
        The number of features of a label.
    n_noise : int, default=10
        The number of random features that are added to each sample.
    random_state : int, RandomState instance or None, default=None
        Determines what is generated. Pass an int for the same data in each call.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        data : csr_matrix of shape (n_samples, n_features), dtype float32
            The samples.
        target : csr_matrix of shape (n_samples, n_labels), dtype float32, or ndarray \
                of shape (n_samples,), dtype int64
            The indicator of the labels; for ``multilabel=False``, the label of each
            sample.
        label_features : csr_matrix of shape (n_labels, n_features), dtype float32
            The features of each label, of unit length.
        label_texts : list of str of length n_labels
            The features of each label as made-up words.
        parents : list of ndarray of shape (n_labels,), dtype int64
            For each level of the tree above the labels, from the lowest on, the node
            that a label is below.

    Raises
    ------
    TypeError
        If a parameter has a wrong type.
    ValueError
        If a parameter is too small.

    See Also
    --------
    sklearn.datasets.make_multilabel_classification : A dense problem with few labels.

    Examples
    --------
    >>> from skmhe.datasets import make_extreme_classification
    >>> problem = make_extreme_classification(n_samples=200, random_state=0)
    >>> problem.data.shape, problem.target.shape
    ((200, 5000), (200, 1000))
    >>> problem.label_texts[0]
    'w2732 w1064 w360 w4210 w649 w699 w1601 w3905 w2719 w198'
    """
    _check_parameters(locals())
    rng = check_random_state(random_state)
    parents = _tree(n_labels, n_children)
    own = _own_features(parents, n_labels, n_features, n_informative, rng)
    frequencies = np.arange(1, n_labels + 1, dtype=np.float64) ** -exponent
    frequencies = rng.permutation(frequencies / frequencies.sum())
    n_others = np.zeros(n_samples, dtype=np.int64)
    if multilabel:
        n_others = rng.poisson(n_labels_per_sample - 1, size=n_samples)
    rows, labels = _draw_labels(n_others, frequencies, parents, rng)
    Y = _ones(rows, labels, (n_samples, n_labels))
    return Bunch(
        data=_draw_samples(Y, own, n_features, n_noise, rng),
        target=Y if multilabel else labels,
        label_features=_unit_rows(own, n_features),
        label_texts=[" ".join(f"w{i}" for i in features) for features in own.tolist()],
        parents=parents,
    )


def _check_parameters(parameters: dict[str, object]) -> None:
    lowest = {"n_samples": 1, "n_features": 1, "n_labels": 1, "n_children": 1}
    lowest |= {"n_labels_per_sample": 1, "exponent": 0, "n_informative": 1}
    lowest |= {"n_noise": 0}
    for name, least in lowest.items():
        value = parameters[name]
        kind = Real if name in ("n_labels_per_sample", "exponent") else Integral
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = "a number" if kind is Real else "an int"
            raise TypeError(f"{name} must be {expected}, got {value!r}.")
        if not least <= float(value) < np.inf:
            raise ValueError(
                f"{name} must be finite and at least {least}, got {value}."
            )
    if not isinstance(multilabel := parameters["multilabel"], bool | np.bool_):
        raise TypeError(f"multilabel must be True or False, got {multilabel!r}.")


def _tree(n_labels: int, n_children: int) -> list[NDArray[np.int64]]:
    """Return the node of each label at each level above the labels, up to the root."""
    levels: list[NDArray[np.int64]] = []
    node = np.arange(n_labels)
    while n_children > 1 and node[-1] > 0:
        node = node // n_children
        levels.append(node)
    return levels


def _own_features(
    parents: list[NDArray[np.int64]],
    n_labels: int,
    n_features: int,
    n_informative: int,
    rng: np.random.RandomState,
) -> NDArray[np.int64]:
    """Return the features of each label, shape (n_labels, n_informative)."""
    levels = [np.arange(n_labels), *parents]
    # Half of what is left is of this level.
    left = n_informative - np.arange(n_informative)
    level_of = np.floor(np.log2(n_informative / left)).astype(np.int64)
    columns = []
    for level in np.minimum(level_of, len(levels) - 1):
        node = levels[level]
        columns.append(rng.randint(n_features, size=node[-1] + 1)[node])
    return np.stack(columns, axis=1)


def _draw_labels(
    n_others: NDArray[np.int64],
    frequencies: NDArray[np.float64],
    parents: list[NDArray[np.int64]],
    rng: np.random.RandomState,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return samples and labels, which may repeat; first one label of each sample."""
    n_samples, n_labels = len(n_others), len(frequencies)
    sums = np.concatenate(([0.0], np.cumsum(frequencies)))
    first = _at(sums, rng.random_sample(n_samples) * sums[-1])
    rows = np.repeat(np.arange(n_samples), n_others)
    low, high = np.zeros(len(rows)), np.full(len(rows), sums[-1])
    if parents:
        # The labels below a node are a range.
        starts = np.searchsorted(parents[0], np.arange(parents[0][-1] + 2))
        is_sibling = rng.random_sample(len(rows)) < SHARE
        node = parents[0][first[rows[is_sibling]]]
        low[is_sibling], high[is_sibling] = sums[starts[node]], sums[starts[node + 1]]
    others = _at(sums, low + rng.random_sample(len(rows)) * (high - low))
    assert others.max(initial=0) < n_labels
    return np.concatenate((np.arange(n_samples), rows)), np.concatenate((first, others))


def _at(sums: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which of the intervals between sums holds each value."""
    places = np.searchsorted(sums, values, side="right") - 1
    return np.minimum(places, len(sums) - 2).astype(np.int64)


def _draw_samples(
    Y: csr_matrix,
    own: NDArray[np.int64],
    n_features: int,
    n_noise: int,
    rng: np.random.RandomState,
) -> csr_matrix:
    """Return samples with features of their labels, and others."""
    n_samples = Y.shape[0]
    pairs = np.repeat(np.arange(n_samples), np.diff(Y.indptr))
    kept, places = np.nonzero(rng.random_sample((Y.nnz, own.shape[1])) < SHARE)
    # Features of powers with equal probabilities: as frequent as words.
    noise = n_features ** rng.random_sample(n_samples * n_noise)
    rows = np.concatenate((pairs[kept], np.repeat(np.arange(n_samples), n_noise)))
    columns = (own[Y.indices[kept], places], noise.astype(np.int64) - 1)
    shape = (n_samples, n_features)
    return normalize(_ones(rows, np.concatenate(columns), shape), copy=False)


def _unit_rows(columns: NDArray[np.int64], n_columns: int) -> csr_matrix:
    n, width = columns.shape
    rows = np.repeat(np.arange(n), width)
    return normalize(_ones(rows, columns.ravel(), (n, n_columns)), copy=False)


def _ones(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> csr_matrix:
    """Return a matrix with ones at these places, each once."""
    matrix = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    matrix.data[:] = 1
    return matrix
