"""Contents of files in the repository's format, and a reader to compare with."""

import re

import numpy as np
import scipy.sparse as sp

VALID = b"""3 5 4
0,3 0:0.5 2:1.5
 1:2 4:-0.25
1
"""


def random_problem(seed=0, n_samples=60, n_features=40, n_labels=15):
    """Return sparse X and Y, with empty rows of all kinds."""
    rng = np.random.default_rng(seed)
    X = sp.random(n_samples, n_features, 0.1, "csr", np.float32, random_state=rng)
    Y = sp.random(n_samples, n_labels, 0.1, "csr", np.float32, random_state=rng)
    Y.data[:] = 1
    keep = sp.diags_array((np.arange(n_samples) % 7 > 0).astype(np.float32))
    X = sp.csr_matrix((keep @ X).astype(np.float32))
    X.eliminate_zeros()
    return X, Y


def mutated(content, rng):
    """Return a content with a few bytes changed, cut, doubled, or moved."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not content:
            break
        start, stop = sorted(rng.integers(0, len(content) + 1, size=2))
        kind = rng.integers(6)
        if kind == 0:  # another byte
            content[rng.integers(len(content))] = rng.integers(256)
        elif kind == 1:  # another one of those that occur
            content[rng.integers(len(content))] = content[rng.integers(len(content))]
        elif kind == 2:
            del content[start:stop]
        elif kind == 3:
            del content[start:]
        elif kind == 4:
            content[start:start] = content[start:stop]
        else:
            digits = b"%d" % 10 ** int(rng.integers(1, 25))
            content[start:start] = digits
    return bytes(content)


def read_slowly(text):
    """Return lists of labels and of (id, value), by splitting strings."""
    rows = []
    for line in text.decode().splitlines():
        line = re.sub("#.*", "", line)
        first, *rest = line.split() or [""]
        has_labels = first and not line[0].isspace() and ":" not in first
        labels = [int(label) for label in first.split(",")] if has_labels else []
        pairs = [pair.split(":") for pair in (rest if has_labels else line.split())]
        rows.append((labels, [(int(i), float(v)) for i, v in pairs]))
    return rows


def assert_same(found, expected):
    """Assert that matrices are equal to the bit, signs of zeros included."""
    for a, b in zip(found, expected, strict=True):
        a, b = sp.csr_array(a), sp.csr_array(b)
        b.sort_indices()
        assert a.shape == b.shape
        np.testing.assert_array_equal(a.indptr, b.indptr)
        np.testing.assert_array_equal(a.indices, b.indices)
        assert a.data.dtype == np.float32
        np.testing.assert_array_equal(
            a.data.view(np.int32), b.data.astype(np.float32).view(np.int32)
        )
