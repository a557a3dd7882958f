"""Numbers that are read all at once are those that Python reads one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmhe.datasets._numbers import read_numbers

DIGITS = st.text("0123456789", max_size=18)
WRITTEN = st.one_of(
    st.builds(str, st.integers(0, 10**20)),
    st.builds(repr, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds("{}.{}".format, DIGITS, DIGITS).filter(lambda text: text != "."),
    st.builds("0.{:09d}".format, st.integers(0, 10**9 - 1)),
)


def read(written, separator=" "):
    text = separator.join([*written, ""]).encode()
    ends = np.cumsum([len(one) + 1 for one in written]) - 1
    starts = ends - [len(one) for one in written]
    points = [one.find(".") if "." in one else len(one) for one in written]
    plain = [not set("+-e") & set(one) for one in written]
    return read_numbers(text, starts, ends, starts + points, np.array(plain, bool))


@given(
    st.lists(WRITTEN, min_size=1, max_size=8), st.sampled_from([" ", ":", ",", "\n"])
)
def test_numbers_are_those_of_python(written, separator):
    expected = np.array([float(one) for one in written])
    np.testing.assert_array_equal(read(written, separator), expected)


@pytest.mark.parametrize("n_digits", range(1, 25))
def test_lengths(n_digits):
    digits = "1234567890987654321234567"[:n_digits]
    written = [digits[:at] + "." + digits[at:] for at in range(n_digits + 1)]
    written += [digits, "0" * n_digits, "9" * n_digits, "0." + "0" * n_digits + "7"]
    expected = np.array([float(one) for one in written])
    np.testing.assert_array_equal(read(written), expected)
