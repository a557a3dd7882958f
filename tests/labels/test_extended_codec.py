"""Codes of labels that are added."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmhe import LabelCodec


def test_codes_follow_those_that_are_taken():
    codec = LabelCodec(10, (4, 3), "random", random_state=0)
    order = np.r_[codec.order[:10] + 1, 0, 11, 12]
    more = codec.extend(order)
    assert (more.n_labels, more.head_sizes) == (13, (5, 3))
    assert_array_equal(more.order, order)
    assert_array_equal(more.positions[order], np.arange(13))
    assert_array_equal(more.encode(np.arange(10) + 1), codec.encode(np.arange(10)))
    assert_array_equal(more.decode(more.encode(range(13))), np.arange(13))
    assert (codec.n_labels, codec.head_sizes) == (10, (4, 3))
    assert codec.extend(range(12)).head_sizes == (4, 3)
    for bad in (range(9), [0, 0, *range(2, 12)], range(1, 12)):
        with pytest.raises(ValueError, match="order must be a permutation of at least"):
            codec.extend(bad)
