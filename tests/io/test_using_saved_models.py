"""What is done with models that were loaded, and who saves and loads at once."""

import errno
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from saved_models import (
    N_FEATURES,
    N_LABELS,
    assert_same,
    make,
    make_data,
    saved_and_loaded,
)
from sklearn.base import clone

import skmhe.io
from skmhe import MHEClassifier

X, y = make_data()
# Of enough weights to be written in 16 bits.
WIDE = {"hidden_layer_sizes": (64,)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def test_a_mapped_model_is_saved_as_before(path):
    clf = make(strategy="cascade", **WIDE).fit(X, y)
    skmhe.io.save(clf, path)
    before = path.read_bytes()
    mapped = skmhe.io.load(path, mmap=True)
    skmhe.io.save(mapped, path)  # over the file that it is mapped from
    assert path.read_bytes() == before
    assert_same(clf, mapped, X)
    loaded = saved_and_loaded(mapped, path, compact=False)
    for level in loaded._fitted.model.linear:
        assert level.values.dtype == np.float32
    assert_same(clf, loaded, X)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("strategy", ["cascade", "full", "sampling"])
def test_loaded_models_learn_on(strategy, mmap, path):
    Z = np.eye(N_LABELS, N_FEATURES)
    clf = make(strategy=strategy, warm_start=True, class_weight={3: 2.0}, **WIDE)
    clf.fit(X, y, label_features=Z)
    loaded = saved_and_loaded(clf, path, mmap=mmap)
    for each in (clf, loaded):
        each.fit(X, y, label_features=Z)
    assert_same(clf, loaded, X)
    for each in (clf, loaded):
        each.add_labels(np.eye(2, N_FEATURES, k=N_LABELS))
        each.partial_fit(X[:40], y[:40])
    assert_same(clf, loaded, X)
    weights = {"network": 1.0, "linear": 0.2, "label_encoder": 0.5, "own_labels": 0}
    for each in (clf, loaded):
        each.set_params(combination=weights)
    assert_same(clf, loaded, X)
    for each in (clf, loaded):
        each.set_params(combination="learned")
    assert_same(clone(clf).fit(X, y), clone(loaded).fit(X, y), X)


def test_a_mapped_model_is_copied_by_joblib(path, tmp_path):
    clf = make(strategy="cascade", **WIDE).fit(X, y)
    mapped = saved_and_loaded(clf, path, mmap=True)
    joblib.dump(mapped, tmp_path / "dumped")
    path.unlink()
    assert_same(clf, joblib.load(tmp_path / "dumped"), X)


@pytest.mark.skipif(os.name != "posix", reason="processes are forked")
def test_a_forked_process_predicts_from_the_same_file(path):
    clf = make(strategy="cascade", **WIDE).fit(X, y)
    mapped = saved_and_loaded(clf, path, mmap=True)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(mapped.predict_proba, [X])
    assert_array_equal(found, clf.predict_proba(X), strict=True)


def test_threads_save_and_load_at_once(path):
    clf = make(strategy="cascade").fit(X, y)
    skmhe.io.save(clf, path)

    def both(i):
        skmhe.io.save(clf, path, compact=bool(i % 2))
        return skmhe.io.load(path, mmap=bool(i % 3))

    with ThreadPoolExecutor(4) as pool:
        for loaded in pool.map(both, range(12)):
            assert_same(clf, loaded, X)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX")
def test_a_disk_that_is_full(path):
    import resource

    clf = make().fit(X, y)
    path.write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            skmhe.io.save(clf, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "before"


class Mine(MHEClassifier):
    """An estimator of the user's."""


def test_classes_of_users_are_refused(path):
    with pytest.raises(TypeError, match="is of type Mine, but model files hold MHEC"):
        skmhe.io.save(Mine().fit(X, y), path)
    assert not path.exists()


def test_a_list_that_holds_itself_is_refused(path):
    weights = []
    weights.append(weights)
    with pytest.raises(ValueError, match="holds itself, or too many"):
        skmhe.io.save(MHEClassifier(class_weight=weights), path)
