"""Label decomposition: a label's position in an order, written as digits."""

import copy
import math
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skmhe.labels.clustering import balanced_order

LABEL_ORDERS = ("natural", "random", "frequency", "cluster")


def balanced_head_sizes(n_labels: int, n_heads: int) -> tuple[int, ...]:
    """Return lengths of heads, as equal as possible, that can name all labels.

    Lengths near C^(1/H) for C labels and H heads, whose product is at least C and whose
    sum is the smallest possible (Liang et al., "Multi-Head Encoding for Extreme Label
    Classification", section 3.2): (97, 96) for 9227 labels and 2 heads. No length could
    be smaller, so every first digit is used.
    """
    _check_count("n_labels", n_labels)
    _check_count("n_heads", n_heads)
    sizes, rest = [], int(n_labels)
    for heads_left in range(n_heads, 0, -1):
        size = max(1, round(rest ** (1 / heads_left)))
        # The root is a float, whose rounding may be off.
        while size**heads_left < rest:
            size += 1
        while size > 1 and (size - 1) ** heads_left >= rest:
            size -= 1
        sizes.append(size)
        rest = -(-rest // size)
    return tuple(sorted(sizes, reverse=True))


def _is_positive_integer(value: Any) -> bool:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and int(value) >= 1


def _check_count(name: str, value: Any) -> None:
    if not _is_positive_integer(value):
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")


# More have lengths of 1 among them for any number of labels that int64 has.
MAX_HEADS = 64


def check_head_sizes(head_sizes: Iterable[int], n_labels: int) -> tuple[int, ...]:
    """Return `head_sizes` as a tuple of int; ValueError if they do not fit."""
    try:
        given = tuple(head_sizes)
    except TypeError:
        given = ()
    if not given or not all(map(_is_positive_integer, given)):
        raise ValueError(
            "head_sizes must be a sequence of positive integers, one length per "
            f"head, got {head_sizes!r}."
        )
    if len(given) > MAX_HEADS:
        raise ValueError(
            f"head_sizes has {len(given)} lengths, but must have at most {MAX_HEADS}: "
            "leave out those of 1."
        )
    sizes = tuple(int(size) for size in given)
    product = math.prod(sizes)
    if product < n_labels:
        raise ValueError(
            f"head_sizes={sizes} can name {product} of {n_labels} labels; the rest "
            "would have no code. Make the heads longer, for example head_sizes="
            f"{balanced_head_sizes(n_labels, len(sizes))}, or leave "
            "head_sizes=None to derive them from n_heads."
        )
    return sizes


def extended_head_sizes(head_sizes: tuple[int, ...], n_labels: int) -> tuple[int, ...]:
    """Return the lengths, the first of them made large enough for all labels."""
    first, *rest = head_sizes
    return (max(first, -(-n_labels // math.prod(rest))), *rest)


class LabelCodec:
    """Encode labels as codes, with one digit (local label) per head, and decode them.

    A label's position in the label order is written in mixed radix, most significant
    digit first: ``position = sum_h digit_h * prod_{g>h} L_g``. The one-hot vector of
    the position is the Kronecker product of those of the digits ([1]_, equation 4). If
    the product of the lengths exceeds the number of labels, the last codes name no
    label.

    Parameters
    ----------
    n_labels : int
        Number of labels C. Labels are the integers 0 to C - 1.
    head_sizes : sequence of int, default=None
        Lengths L_1, ..., L_H of the heads; their product must be at least `n_labels`.
        If None, they are derived from `n_heads`, as equal as possible.
    label_order : {"natural", "random", "frequency", "cluster"}, default="natural"
        Which label gets which position.

        - "natural": label i gets position i.
        - "random": a random permutation, drawn with `random_state`.
        - "frequency": the most frequent label first; needs `label_counts`.
        - "cluster": labels with similar features share their first digits; needs
          `label_features`.
    n_heads : int, default=2
        Number of heads H. Only used when ``head_sizes=None``.
    label_counts : array-like of shape (n_labels,), default=None
        Number of samples of each label. Only used when ``label_order="frequency"``.
    label_features : {array-like, sparse matrix} of shape (n_labels, n_features), \
            default=None
        A row of unit length (or of zeros) for each label, such as the normalized sum of
        its samples. Only used when ``label_order="cluster"``.
    random_state : int, RandomState instance or None, default=None
        Seed. Only used when ``label_order`` is "random" or "cluster".

    Attributes
    ----------
    head_sizes : tuple of int
        Lengths of the heads.
    n_labels : int
        Number of labels.
    order : ndarray of shape (n_labels,)
        ``order[position]`` is the label at this position.
    positions : ndarray of shape (n_labels,)
        ``positions[label]`` is the position of this label.

    Raises
    ------
    ValueError
        If the labels do not fit into `head_sizes`, an option is unknown, or
        what the label order needs is missing.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182.

    Examples
    --------
    >>> from skmhe import LabelCodec
    >>> codec = LabelCodec(10, head_sizes=(4, 3))
    >>> codec.encode([0, 5, 9])
    array([[0, 0],
           [1, 2],
           [3, 0]])
    >>> codec.decode([[3, 0], [1, 2]])
    array([9, 5])
    """

    def __init__(
        self,
        n_labels: int,
        head_sizes: Iterable[int] | None = None,
        label_order: str = "natural",
        *,
        n_heads: int = 2,
        label_counts: ArrayLike | None = None,
        label_features: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        _check_count("n_labels", n_labels)
        self.n_labels = int(n_labels)
        if head_sizes is None:
            self.head_sizes = balanced_head_sizes(n_labels, n_heads)
        else:
            self.head_sizes = check_head_sizes(head_sizes, n_labels)
        self.label_order = label_order
        self._set_order(self._make_order(label_counts, label_features, random_state))

    def _set_order(self, order: np.ndarray) -> None:
        self.order, self.positions = order, np.empty_like(order)
        self.positions[order] = np.arange(len(order))

    def __repr__(self) -> str:
        return (
            f"LabelCodec(n_labels={self.n_labels}, head_sizes={self.head_sizes}, "
            f"label_order={self.label_order!r})"
        )

    def _make_order(
        self, label_counts: Any, label_features: Any, random_state: Any
    ) -> np.ndarray:
        if self.label_order == "natural":
            return np.arange(self.n_labels)
        if self.label_order == "random":
            return check_random_state(random_state).permutation(self.n_labels)
        if self.label_order == "frequency":
            counts = self._check_rows("label_counts", label_counts, 1)
            return np.argsort(-np.asarray(counts, dtype=float), kind="stable")
        if self.label_order == "cluster":
            features = self._check_rows("label_features", label_features, 2)
            return balanced_order(
                features, self.group_sizes, check_random_state(random_state)
            )
        raise ValueError(
            f"label_order must be one of {', '.join(LABEL_ORDERS)}, "
            f"got {self.label_order!r}."
        )

    def _check_rows(self, name: str, value: Any, ndim: int) -> Any:
        """Return an array with a row for each label; raise ValueError if it is none."""
        if value is None:
            raise ValueError(
                f"label_order={self.label_order!r} needs {name}, a row for each "
                "label; pass it, or choose label_order='natural' or 'random'."
            )
        value = value if hasattr(value, "shape") else np.asarray(value)
        if value.ndim and value.shape[0] != self.n_labels:
            raise ValueError(
                f"{name} has {value.shape[0]} rows, but n_labels={self.n_labels}: "
                "it must have a row for each label."
            )
        if value.ndim != ndim:
            raise ValueError(
                f"{name} must have {ndim} dimensions, got shape {value.shape}."
            )
        return value

    @property
    def n_codes(self) -> int:
        """Number of codes, the product of the lengths; at least `n_labels`."""
        return math.prod(self.head_sizes)

    @property
    def group_sizes(self) -> list[int]:
        """Numbers of labels that share their first 1, 2, ..., H-1 digits."""
        n_heads = len(self.head_sizes)
        return [math.prod(self.head_sizes[h:]) for h in range(1, n_heads)]

    def encode(self, labels: ArrayLike) -> np.ndarray:
        """Return the code of each label.

        Parameters
        ----------
        labels : array-like of int, of shape (n,) or any other
            Labels from 0 to n_labels - 1.

        Returns
        -------
        ndarray of int64, of the shape of `labels` + (n_heads,)
            Codes: the local label of each head.

        Raises
        ------
        ValueError
            If a label is not an integer from 0 to n_labels - 1.
        """
        labels = _check_integers("labels", labels)
        self._check_range("labels", labels, self.n_labels)
        rest = self.positions[labels]
        digits = np.empty((*rest.shape, len(self.head_sizes)), dtype=np.int64)
        for h in reversed(range(len(self.head_sizes))):
            rest, digits[..., h] = np.divmod(rest, self.head_sizes[h])
        return digits

    def decode(self, codes: ArrayLike) -> np.ndarray:
        """Return the label that each code names.

        Parameters
        ----------
        codes : array-like of int, of shape (n, n_heads) or (..., n_heads)
            Local labels, the one of head h from 0 to head_sizes[h] - 1.

        Returns
        -------
        ndarray of int64, of shape (n,) or (...)
            Labels from 0 to n_labels - 1.

        Raises
        ------
        ValueError
            If a code has a wrong number of digits, a digit out of range, or names no
            label.
        """
        codes = _check_integers("codes", codes)
        if codes.ndim == 0 or codes.shape[-1] != len(self.head_sizes):
            raise ValueError(
                f"codes must have a last axis of length {len(self.head_sizes)}, a "
                f"local label for each head, got shape {codes.shape}."
            )
        positions = np.zeros(codes.shape[:-1], dtype=np.int64)
        for h, size in enumerate(self.head_sizes):
            self._check_range(f"codes[..., {h}]", codes[..., h], size)
            # Stop counting beyond the last label: the product may exceed 2^63.
            fits = positions <= self.n_labels // size
            positions = np.where(fits, positions, 0) * size + codes[..., h]
            positions = np.where(fits, positions.clip(max=self.n_labels), self.n_labels)
        if positions.size and positions.max() >= self.n_labels:
            n_unused = np.count_nonzero(positions >= self.n_labels)
            raise ValueError(
                f"{n_unused} of the codes name no label: the {self.n_labels} labels "
                f"use only the first {self.n_labels} of the {self.n_codes} codes."
            )
        return self.order[positions]

    def extend(self, order: ArrayLike) -> "LabelCodec":
        """Return a codec of more labels, for which the first head grows if needed.

        Parameters
        ----------
        order : array-like of int, of shape (n_labels,)
            Which label gets which position: a permutation of all labels, at least as
            many as this codec has.

        Returns
        -------
        LabelCodec
            The new codec; this one is left as it is.

        Raises
        ------
        ValueError
            If `order` is no permutation, or too short.

        Examples
        --------
        >>> from skmhe import LabelCodec
        >>> codec = LabelCodec(10, head_sizes=(4, 3)).extend(range(13))
        >>> codec.head_sizes
        (5, 3)
        """
        order = _check_integers("order", order)
        if len(order) < self.n_labels or not np.array_equal(
            np.sort(order), np.arange(len(order))
        ):
            raise ValueError(
                f"order must be a permutation of at least {self.n_labels} labels, got "
                f"{len(order)} values, {len(np.unique(order))} of them distinct."
            )
        codec = copy.copy(self)
        codec.n_labels = len(order)
        codec.head_sizes = extended_head_sizes(self.head_sizes, len(order))
        codec._set_order(order)
        return codec

    @staticmethod
    def _check_range(name: str, values: np.ndarray, stop: int) -> None:
        if values.size and not (values.min() >= 0 and values.max() < stop):
            bad = values[(values < 0) | (values >= stop)].flat[0]
            raise ValueError(f"{name} must be from 0 to {stop - 1}, got {bad}.")


def _check_integers(name: str, values: ArrayLike) -> np.ndarray:
    values = np.asarray(values)
    if values.size == 0:
        return values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be integers, got an array of dtype {values.dtype}."
        )
    return values.astype(np.int64, copy=False)
