"""Fixtures of the tests of the scorers."""

import numpy as np
import pytest


@pytest.fixture
def multilabel():
    rng = np.random.default_rng(0)
    X = rng.random((60, 8))
    y = (X + 0.4 * rng.random(X.shape) > 0.9).astype(np.int64)
    y[3] = 0
    return X, y
