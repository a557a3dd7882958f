"""The label codec against plain Python, its orders, and its error texts."""

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmhe import LabelCodec
from skmhe.labels.codec import LABEL_ORDERS, balanced_head_sizes, check_head_sizes

# --------------------------------------------------------------- strategies


@st.composite
def codecs(draw):
    """Codecs of any sizes; the number of labels may be prime, or 1."""
    head_sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    n_labels = draw(st.integers(1, math.prod(head_sizes)))
    label_order = draw(st.sampled_from(["natural", "random", "frequency"]))
    counts = draw(st.lists(st.integers(0, 5), min_size=n_labels, max_size=n_labels))
    return LabelCodec(
        n_labels, head_sizes, label_order, label_counts=counts, random_state=0
    )


# --------------------------------------------------------------- round trip


@given(codecs())
def test_decode_inverts_encode_for_every_label_and_no_other_code(codec):
    labels = np.arange(codec.n_labels)
    codes = codec.encode(labels)
    assert_array_equal(codec.decode(codes), labels)
    assert ((codes >= 0) & (codes < codec.head_sizes)).all()

    used = set(map(tuple, codes.tolist()))
    assert len(used) == codec.n_labels
    every = itertools.product(*[range(size) for size in codec.head_sizes])
    for code in set(every) - used:
        with pytest.raises(ValueError, match="1 of the codes name no label"):
            codec.decode([code])


@given(codecs())
def test_codes_are_the_mixed_radix_digits_of_the_position(codec):
    order = codec.order.tolist()
    assert sorted(order) == list(range(codec.n_labels))
    for position, label in enumerate(order):
        assert codec.positions[label] == position
        digits = codec.encode(label).tolist()
        assert digits == list(np.unravel_index(position, codec.head_sizes))
        # The formula of the docstring, written out.
        weights = [
            math.prod(codec.head_sizes[h + 1 :]) for h in range(len(codec.head_sizes))
        ]
        assert position == sum(d * w for d, w in zip(digits, weights, strict=True))


def test_one_hot_is_the_kronecker_product_of_the_digits_one_hots():
    codec = LabelCodec(30, head_sizes=(2, 3, 5))
    for label in range(30):
        product = np.ones(1)
        for digit, size in zip(codec.encode(label), codec.head_sizes, strict=True):
            product = np.kron(product, np.eye(size)[digit])
        assert_array_equal(product, np.eye(30)[label])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64])
def test_any_shape_and_integer_dtype(shape, dtype):
    codec = LabelCodec(12, head_sizes=(4, 3), label_order="random", random_state=0)
    labels = np.random.default_rng(0).integers(0, 12, shape).astype(dtype)
    codes = codec.encode(labels)
    assert codes.shape == (*shape, 2)
    assert codes.dtype == np.int64
    assert_array_equal(codec.decode(codes.astype(dtype)), labels)
    assert np.shape(codec.decode(codes)) == shape


def test_lists_and_no_labels_at_all():
    codec = LabelCodec(12, head_sizes=(4, 3))
    assert_array_equal(codec.encode([0, 11]), [[0, 0], [3, 2]])
    assert_array_equal(codec.decode([[[0, 0]], [[3, 2]]]), [[0], [11]])
    assert codec.encode([]).shape == (0, 2)
    assert codec.encode([]).dtype == np.int64


def test_numpy_integers_and_arrays_as_sizes():
    codec = LabelCodec(np.int32(10), head_sizes=np.array([4, 3]))
    assert codec.head_sizes == (4, 3)
    assert all(type(size) is int for size in codec.head_sizes)
    assert type(codec.n_labels) is int
    assert LabelCodec(10, iter([4, 3])).head_sizes == (4, 3)
    assert LabelCodec(np.int64(10), n_heads=np.int64(2)).head_sizes == (4, 3)


def test_derived_attributes():
    codec = LabelCodec(150, head_sizes=(10, 5, 4))
    assert codec.n_codes == 200
    assert codec.group_sizes == [20, 4]
    assert LabelCodec(150, n_heads=1).group_sizes == []
    assert repr(codec) == (
        "LabelCodec(n_labels=150, head_sizes=(10, 5, 4), label_order='natural')"
    )


def test_number_of_codes_does_not_overflow():
    codec = LabelCodec(10, head_sizes=(2**40, 2**40))
    assert codec.n_codes == 2**80
    assert_array_equal(codec.decode(codec.encode(range(10))), range(10))


def test_unused_codes_beyond_int64_name_no_label():
    codec = LabelCodec(10, head_sizes=(2**40, 2**40))
    with pytest.raises(ValueError, match="name no label"):
        codec.decode([[2**39, 0]])


# --------------------------------------------------------------- head sizes


@given(st.integers(1, 5000), st.integers(1, 5))
def test_balanced_head_sizes_hold_the_labels_and_waste_no_digit(n_labels, n_heads):
    sizes = balanced_head_sizes(n_labels, n_heads)
    assert len(sizes) == n_heads
    assert all(type(size) is int for size in sizes)
    assert list(sizes) == sorted(sizes, reverse=True)
    assert math.prod(sizes) >= n_labels
    # The last label uses the first head's last digit, and no head could be shorter.
    assert np.unravel_index(n_labels - 1, sizes)[0] == sizes[0] - 1
    for h in range(n_heads):
        shorter = [size - (g == h) for g, size in enumerate(sizes)]
        assert math.prod(shorter) < n_labels


@pytest.mark.parametrize("n_heads", [1, 2, 3, 4])
def test_balanced_head_sizes_have_the_smallest_sum(n_heads):
    for n_labels in range(1, 130):
        sizes = balanced_head_sizes(n_labels, n_heads)
        smallest = min(
            sum(lengths)
            for lengths in itertools.combinations_with_replacement(
                range(1, n_labels + 1 if n_heads < 3 else 14), n_heads
            )
            if math.prod(lengths) >= n_labels
        )
        assert sum(sizes) == smallest, (n_labels, sizes)


@pytest.mark.parametrize(
    ("n_labels", "n_heads", "expected"),
    [
        (10**15, 3, (10**5, 10**5, 10**5)),
        (10**15 + 1, 3, (10**5 + 1, 10**5, 10**5)),
        ((2**26) ** 2 + 1, 2, (2**26 + 1, 2**26)),
        ((2**60 + 1) ** 2, 2, (2**60 + 1, 2**60 + 1)),
        ((2**60 - 1) ** 2, 2, (2**60 - 1, 2**60 - 1)),
        (1, 4, (1, 1, 1, 1)),
        (2, 3, (2, 1, 1)),
        (3956, 2, (63, 63)),
    ],
)
def test_balanced_head_sizes_where_a_float_root_is_off(n_labels, n_heads, expected):
    assert balanced_head_sizes(n_labels, n_heads) == expected


def test_default_head_sizes_are_the_balanced_ones():
    assert LabelCodec(1000).head_sizes == balanced_head_sizes(1000, 2)
    assert LabelCodec(1000, n_heads=3).head_sizes == (10, 10, 10)


# --------------------------------------------------------------- orders


def test_natural_is_the_default():
    assert_array_equal(LabelCodec(7).order, np.arange(7))


def test_random_depends_on_the_seed_only():
    def order(seed):
        return LabelCodec(50, label_order="random", random_state=seed).order

    assert_array_equal(order(0), order(0))
    assert_array_equal(order(0), order(np.random.RandomState(0)))
    assert (order(0) != order(1)).any()
    assert (order(0) != np.arange(50)).any()


def test_frequency_puts_frequent_labels_first_and_keeps_ties_in_order():
    counts = [2, 5, 2, 9, 0, 5]
    codec = LabelCodec(6, label_order="frequency", label_counts=counts)
    assert_array_equal(codec.order, [3, 1, 5, 0, 2, 4])
    # Unsigned counts would wrap around if they were negated as they are.
    unsigned = np.array(counts, dtype=np.uint8)
    same = LabelCodec(6, label_order="frequency", label_counts=unsigned)
    assert_array_equal(same.order, codec.order)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.coo_array])
def test_cluster_gives_similar_labels_the_same_first_digit(container):
    # 5 directions, 4 labels near each, shuffled: heads (5, 4) can name them.
    rng = np.random.default_rng(0)
    direction = rng.permutation(np.repeat(np.arange(5), 4))
    features = np.eye(5)[direction] + rng.uniform(0, 0.05, (20, 5))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    codec = LabelCodec(
        20, (5, 4), "cluster", label_features=container(features), random_state=0
    )
    first = codec.encode(np.arange(20))[:, 0]
    pairs = {(a, b) for a, b in zip(direction.tolist(), first.tolist(), strict=True)}
    assert len(pairs) == 5, pairs


def test_every_order_is_covered():
    assert set(LABEL_ORDERS) == {"natural", "random", "frequency", "cluster"}


# --------------------------------------------------------------- errors


@pytest.mark.parametrize("value", [0, -3, 2.0, True, None, "5"])
def test_counts_must_be_positive_integers(value):
    text = rf"n_labels must be an integer of at least 1, got {value!r}\."
    with pytest.raises(ValueError, match=text):
        LabelCodec(value)
    with pytest.raises(ValueError, match=text):
        balanced_head_sizes(value, 2)
    text = rf"n_heads must be an integer of at least 1, got {value!r}\."
    with pytest.raises(ValueError, match=text):
        LabelCodec(10, n_heads=value)


@pytest.mark.parametrize(
    "head_sizes",
    [(), [], 12, "43", (4, -3), (4, 0), (4.0, 3), (4, True), (4, None), ((4, 3),)],
)
def test_absurd_head_sizes(head_sizes):
    with pytest.raises(ValueError) as error:
        LabelCodec(10, head_sizes)
    assert str(error.value) == (
        "head_sizes must be a sequence of positive integers, one length per head, "
        f"got {head_sizes!r}."
    )


def test_head_sizes_that_are_too_small_name_a_remedy():
    with pytest.raises(ValueError) as error:
        LabelCodec(100, (9, 10))
    assert str(error.value) == (
        "head_sizes=(9, 10) can name 90 of 100 labels; the rest would "
        "have no code. Make the heads longer, for example head_sizes=(10, 10), or "
        "leave head_sizes=None to derive them from n_heads."
    )
    # The remedy works.
    assert check_head_sizes((10, 10), 100) == (10, 10)


@pytest.mark.parametrize("label_order", ["clusters", None, 3])
def test_unknown_order(label_order):
    with pytest.raises(ValueError) as error:
        LabelCodec(10, label_order=label_order)
    assert str(error.value) == (
        "label_order must be one of natural, random, frequency, cluster, "
        f"got {label_order!r}."
    )


@pytest.mark.parametrize(
    ("label_order", "name"),
    [("frequency", "label_counts"), ("cluster", "label_features")],
)
def test_orders_need_their_argument(label_order, name):
    with pytest.raises(ValueError) as error:
        LabelCodec(10, label_order=label_order)
    assert str(error.value) == (
        f"label_order={label_order!r} needs {name}, a row for each label; pass it, "
        "or choose label_order='natural' or 'random'."
    )
    with pytest.raises(ValueError) as error:
        LabelCodec(10, label_order=label_order, **{name: np.ones((9, 2))})
    assert str(error.value) == (
        f"{name} has 9 rows, but n_labels=10: it must have a row for each label."
    )


@pytest.mark.parametrize("label", [-1, 10, 2**40])
def test_labels_out_of_range(label):
    with pytest.raises(ValueError, match=rf"labels must be from 0 to 9, got {label}\."):
        LabelCodec(10).encode([[0, 3], [label, 2]])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0.0, 1.0], "float64"), ([True], "bool"), (["a"], "<U1"), ([None], "object")],
)
def test_labels_and_codes_must_be_integers(values, dtype):
    codec = LabelCodec(10)
    with pytest.raises(ValueError) as error:
        codec.encode(values)
    assert str(error.value) == (
        f"labels must be integers, got an array of dtype {dtype}."
    )
    with pytest.raises(ValueError) as error:
        codec.decode(values)
    assert str(error.value) == f"codes must be integers, got an array of dtype {dtype}."


@pytest.mark.parametrize(
    ("codes", "shape"),
    [(3, r"\(\)"), ([1, 2, 3], r"\(3,\)"), ([[1], [2]], r"\(2, 1\)")],
)
def test_codes_need_a_digit_for_each_head(codes, shape):
    text = (
        "codes must have a last axis of length 2, a local label for each head, "
        rf"got shape {shape}\."
    )
    with pytest.raises(ValueError, match=text):
        LabelCodec(10, (4, 3)).decode(codes)


@pytest.mark.parametrize(("code", "h", "last"), [((4, 0), 0, 3), ((0, 3), 1, 2)])
def test_digits_out_of_range(code, h, last):
    codec = LabelCodec(10, (4, 3))
    text = rf"codes\[\.\.\., {h}\] must be from 0 to {last}, got "
    with pytest.raises(ValueError, match=rf"{text}{code[h]}\."):
        codec.decode([(0, 0), code])
    with pytest.raises(ValueError, match=rf"{text}-1\."):
        codec.decode([np.where(np.arange(2) == h, -1, 0)])


def test_unused_codes_are_counted():
    with pytest.raises(ValueError) as error:
        LabelCodec(10, (4, 3)).decode([(3, 0), (3, 1), (3, 2), (0, 0)])
    assert str(error.value) == (
        "2 of the codes name no label: the 10 labels use only the first 10 of the "
        "12 codes."
    )


@pytest.mark.parametrize(
    ("order", "argument"),
    [
        ("frequency", {"label_counts": np.ones((4, 1))}),
        ("cluster", {"label_features": np.ones(4)}),
    ],
)
def test_what_orders_need_has_a_number_of_dimensions(order, argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"{name} must have . dimensions, got shape"):
        LabelCodec(4, label_order=order, **argument)
