"""Read many numbers at once from an array of bytes.

Eight digits are eight bytes of one integer, in which neighbors are added up in three
steps: pairs of digits, pairs of these, and both halves. So the cost of a number hardly
depends on its length. NumPy's parser of text, which takes several times as long, reads
what is left: long numbers, and those with a sign or an exponent.
"""

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]

WIDTH = 8
# A number of so many digits is exact in float64, and so is a power of ten: their
# quotient is the nearest float64, as it should be.
MOST_DIGITS = 15
# By how many digits there are: the last bytes of eight, which are those of the digits,
# and "0" in each of them.
_BITS = [(1 << 8 * WIDTH) - (1 << 8 * (WIDTH - n)) for n in range(WIDTH + 1)]
DIGIT_BYTES = np.array(_BITS, dtype=np.uint64)
ZEROS = DIGIT_BYTES & np.uint64(int.from_bytes(b"0" * WIDTH, "little"))
POWERS = 10.0 ** np.arange(MOST_DIGITS + 1)
STEPS = tuple(
    (np.uint64(factor), np.uint64(bits), np.uint64(mask))
    for factor, bits, mask in (
        (10, 8, 0x00FF00FF00FF00FF),
        (100, 16, 0x0000FFFF0000FFFF),
        (10_000, 32, 0xFFFFFFFF),
    )
)


def read_numbers(
    text: bytes,
    starts: Places,
    ends: Places,
    points: Places,
    is_plain: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return numbers whose places in a text are known, shape (n_numbers,).

    Parameters
    ----------
    text : bytes
        What the numbers are in. What comes directly after one is not part of it.
    starts, ends : ndarray of shape (n_numbers,)
        Where each number begins, and the place after its end.
    points : ndarray of shape (n_numbers,)
        Where its point is; `ends` of the number if it has none.
    is_plain : ndarray of shape (n_numbers,)
        Whether a number has no sign and no exponent.
    """
    n_whole = points - starts
    n_decimals = np.maximum(ends - points - 1, 0)
    is_short = (n_whole <= WIDTH) & (n_whole + n_decimals <= MOST_DIGITS) & is_plain
    # Eight bytes before the first one, for numbers that begin earlier than that.
    padded = b"0" * WIDTH + text
    windows = np.ndarray(len(text) + 1, "<u8", padded, strides=(1,))
    numbers = _digits(windows, points, np.minimum(n_whole, WIDTH))
    with_point = np.flatnonzero((n_decimals > 0) & is_short)
    end, n = ends[with_point], n_decimals[with_point]
    decimals = _digits(windows, end, np.minimum(n, WIDTH))
    if n.max(initial=0) > WIDTH:
        more = _digits(windows, end - WIDTH, np.maximum(n - WIDTH, 0))
        decimals += more * POWERS[WIDTH]
    power = POWERS[n]
    numbers[with_point] = (numbers[with_point] * power + decimals) / power
    rest = np.flatnonzero(~is_short)
    numbers[rest] = _read_by_numpy(text, starts[rest], ends[rest])
    return numbers


def _digits(
    windows: NDArray[np.uint64], ends: Places, n_digits: Places
) -> NDArray[np.float64]:
    """Return the numbers of up to eight digits that end at some places."""
    values = (windows[ends] & DIGIT_BYTES[n_digits]) - ZEROS[n_digits]
    for factor, bits, mask in STEPS:
        values = (values * factor + (values >> bits)) & mask
    return values.astype(np.float64)


def _read_by_numpy(text: bytes, starts: Places, ends: Places) -> NDArray[np.float64]:
    if not len(starts):
        return np.empty(0)
    # Each number with the byte after it, which becomes a space.
    bounds = np.zeros(len(text) + 2, dtype=np.int8)
    bounds[starts] += 1
    bounds[ends + 1] -= 1
    data = np.frombuffer(text + b" ", dtype=np.uint8).copy()
    data[ends] = ord(" ")
    numbers = np.fromstring(data[np.cumsum(bounds[:-1]) > 0].tobytes(), sep=" ")
    assert len(numbers) == len(starts)
    return numbers
