"""A service answers single rows from several threads at once, with one estimator."""

import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import skmhe.io
from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.datasets import make_extreme_classification

N_THREADS = 8
SETTINGS = {
    "linear": {"model": "linear"},
    "linear, tree": {"model": "linear", "strategy": "cascade"},
    "full": {"strategy": "full"},
    "sampling": {"strategy": "sampling"},
    "cascade": {"strategy": "cascade"},
    "product": {"strategy": "product"},
}
METHODS = ("predict_topk", "predict", "predict_proba")


@cache
def fitted(name, multilabel):
    """Return a fitted estimator, and single rows."""
    problem = make_extreme_classification(
        120, n_labels=30, multilabel=multilabel, random_state=0
    )
    cls = MHEMultiLabelClassifier if multilabel else MHEClassifier
    clf = cls(max_iter=1, random_state=0, **SETTINGS[name])
    clf.fit(problem.data, problem.target)
    return clf, [problem.data[i : i + 1] for i in range(2 * N_THREADS)]


def pickled(clf, folder):
    return pickle.loads(pickle.dumps(clf))


def mapped(clf, folder):
    skmhe.io.save(clf, folder / "model.safetensors", compact=False)
    return skmhe.io.load(folder / "model.safetensors", mmap=True)


@pytest.fixture
def quick_switches():
    """Let threads take turns as often as Python can, not every few milliseconds."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def call(clf, method, row):
    """Return the result of a method as a list of arrays."""
    found = getattr(clf, method)(row)
    parts = found if isinstance(found, tuple) else (found,)
    return [part.toarray() if hasattr(part, "toarray") else part for part in parts]


def answers(clf, rows, map_rows=map):
    """Return what each method makes of each row, one row per call."""
    return [
        list(map_rows(lambda row, method=method: call(clf, method, row), rows))
        for method in METHODS
    ]


@pytest.mark.parametrize("multilabel", [True, False])
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("load", [pickled, mapped])
def test_threads_get_the_answers_of_one(
    load, name, multilabel, tmp_path, quick_switches
):
    if multilabel and name == "product":
        pytest.skip("product is for one label per sample")
    clf, rows = fitted(name, multilabel)
    expected = answers(load(clf, tmp_path), rows)
    # Loaded anew: what the first call makes is to be made by several at once.
    served, started = load(clf, tmp_path), threading.Barrier(N_THREADS)
    with ThreadPoolExecutor(N_THREADS, initializer=started.wait) as pool:
        found = answers(served, rows, pool.map)
    for parts, wanted in zip(found, expected, strict=True):
        for part, right in zip(parts, wanted, strict=True):
            for array, same in zip(part, right, strict=True):
                assert_array_equal(array, same)
    assert np.isfinite(found[0][0][1]).all()
