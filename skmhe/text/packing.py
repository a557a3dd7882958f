"""Several texts in one row of tokens: where each of them stands."""

import numpy as np

# Rows hold about as many tokens at least: products of fewer rows take as long.
LEAST_WIDTH = 64


def pack(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the row of each text, the place in it where it starts, and rows' width.

    Texts of most tokens come first, each in the first row that has room for it. Those
    without any token are in no row: -1. Rows have room for a whole number of the
    longest texts, so that texts of one length leave none.
    """
    longest = int(lengths.max(initial=0))
    width = longest * max(1, -(-LEAST_WIDTH // max(longest, 1)))
    rows, starts = np.full((2, len(lengths)), -1)
    room = np.full(len(lengths), width)
    for text in np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]:
        row = int(np.argmax(room >= lengths[text]))
        rows[text], starts[text] = row, width - room[row]
        room[row] -= lengths[text]
    return rows, starts, width
