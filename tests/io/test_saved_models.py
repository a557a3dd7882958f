"""What is loaded is what was saved: predictions, parameters, and further training."""

import datetime
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from saved_models import (
    N_FEATURES,
    N_LABELS,
    SMALL,
    assert_same,
    make,
    make_data,
    saved_and_loaded,
)

import skmhe.io
from skmhe import (
    Cascade,
    Full,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Parts,
)
from skmhe.nn import Margin

Z = np.eye(N_LABELS, N_FEATURES)
CASES = {
    f"{(multilabel and 'multi') or 'single'}-{strategy}-{model}": (
        multilabel,
        {"strategy": strategy, "model": model},
    )
    for multilabel in (False, True)
    for strategy, models in {
        "full": ("both", "network", "linear"),
        "cascade": ("both", "network", "linear"),
        "sampling": ("both", "network"),
        "product": () if multilabel else ("network",),
    }.items()
    for model in models
}


class CallbackOfNothing:
    """Has what scikit-learn asks of a callback."""

    def setup(self, estimator, context):
        """Do nothing, as all hooks do."""

    teardown = on_fit_task_begin = on_fit_task_end = setup


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
@pytest.mark.parametrize("name", CASES)
def test_predictions_are_the_same_to_the_bit(name, dense, path):
    multilabel, params = CASES[name]
    X, y = make_data(multilabel)
    X = X.toarray() if dense else X
    clf = make(multilabel, **params).fit(X, y)
    for compact in (True, False):
        assert_same(clf, saved_and_loaded(clf, path, compact), X)
        assert_same(clf, skmhe.io.load(path, mmap=True), X)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "max_iter": 4},
        {"combination": {"network": 1.0, "linear": 0.5}},
        {"class_weight": {3: 2.0, 4: 0.5}},
        {"strategy": Full(margin=Margin("cosface", 0.1, 8.0)), "model": "network"},
        {"strategy": Cascade(beam_width=2), "linear": LinearTree(C=np.float64(0.7))},
        {"head_sizes": [4, 3], "strategy": "cascade", "verbose": False},
        {"random_state": np.random.RandomState(3)},
        {"device": "cpu", "warm_start": True},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_are_the_same(params, path):
    X, y = make_data()
    clf = make(**params).fit(X, y)
    loaded = saved_and_loaded(clf, path)
    assert_same(clf, loaded, X)
    for name, value in clf.get_params().items():
        found = loaded.get_params()[name]
        assert type(found) is type(value), name
        if isinstance(value, np.random.RandomState):
            assert found.randint(2**31) == pickle.loads(pickle.dumps(value)).randint(
                2**31
            )
        elif not hasattr(value, "get_params"):
            assert found == value, name


@pytest.mark.parametrize("with_new", [False, True], ids=["fitted", "added"])
@pytest.mark.parametrize("multilabel", [False, True], ids=["single", "multi"])
def test_features_of_labels_and_added_labels(multilabel, with_new, path):
    X, y = make_data(multilabel)
    params = {"label_encoder": LabelEncoder(loss_weight=0.3), "strategy": "cascade"}
    clf = make(multilabel, **params).fit(X, y, label_features=sp.csr_array(Z))
    if with_new:
        clf.add_labels(np.eye(2, N_FEATURES, k=N_LABELS))
    for mmap in (False, True):
        loaded = saved_and_loaded(clf, path, mmap=mmap)
        assert_same(clf, loaded, X)
        both = [each.add_labels(np.eye(1, N_FEATURES, k=20)) for each in (clf, loaded)]
        assert_same(*both, X)


@pytest.mark.parametrize("mmap", [False, True])
def test_training_goes_on_as_that_of_pickles(mmap, path):
    X, y = make_data()
    clf = make(strategy="cascade").partial_fit(X, y, classes=np.unique(y))
    assert clf._fitted.state.moments is not None
    copies = [saved_and_loaded(clf, path, mmap=mmap), pickle.loads(pickle.dumps(clf))]
    for copy in copies:
        copy.partial_fit(X[:40], y[:40])
    assert_same(*copies, X)
    refitted = [copy.fit(X, y) for copy in copies]
    assert_same(*refitted, X)


@pytest.mark.parametrize("warm_start", [False, True])
def test_random_numbers_go_on(warm_start, path):
    X, y = make_data()
    clf = make(random_state=np.random.RandomState(0), warm_start=warm_start).fit(X, y)
    loaded = saved_and_loaded(clf, path)
    assert_same(clf.fit(X, y), loaded.fit(X, y), X)


def objects(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


LABELS = {
    "int": np.array([-5, 0, 7]),
    "uint64": np.array([1, 2, 2**64 - 1], np.uint64),
    "large": objects(3, 2**70, -(10**30)),
    "bool": np.array([False, True, True]),
    "float": np.array([0.0, 1.0, 2.0]),
    "str": np.array(["a", "\u00e9\u4e2d", "x" * 20]),
    "str objects": objects("a", "\ud800", ""),
    "bytes": np.array([b"a", b"bc", b"d"]),
    "tuples": objects(("a", 1), ("a", 2), ("b", 0)),
    "dates": objects(*(datetime.date(2000, 1, day) for day in (1, 2, 3))),
    "times": np.array(["2001-01-01", "2002-01-01", "NaT"], "M8[D]")[[0, 1, 0]],
    "decimals": objects(Decimal("0.1"), Decimal("1e50"), Decimal(3)),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_all_kinds(name, path):
    labels, X = LABELS[name], np.eye(3).repeat(6, axis=0)
    clf = MHEMultiLabelClassifier(**SMALL).fit(X, [[lab] for lab in labels.repeat(6)])
    loaded = saved_and_loaded(clf, path)
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert loaded.classes_.tolist() == clf.classes_.tolist()
    assert list(map(type, loaded.classes_)) == list(map(type, clf.classes_))
    assert loaded.predict(X) == clf.predict(X)


@pytest.mark.parametrize(
    "form", [np.asarray, sp.csr_matrix, sp.csc_array, pd.DataFrame]
)
def test_forms_of_targets(form, path):
    X, Y = make_data(multilabel=True)
    dtype = np.int8 if form is sp.csr_matrix else np.int64
    clf = make(True, "full").fit(X, form(Y.toarray().astype(dtype)))
    assert_same(clf, saved_and_loaded(clf, path), X)


def test_names_of_features(path):
    X, y = make_data()
    X = pd.DataFrame(X.toarray(), columns=[f"c{i}" for i in range(N_FEATURES)])
    clf = make().fit(X, y)
    loaded = saved_and_loaded(clf, path)
    assert_array_equal(loaded.feature_names_in_, clf.feature_names_in_, strict=True)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(X[X.columns[::-1]])
    assert_array_equal(loaded.get_feature_names_out(), clf.get_feature_names_out())


def test_samples_of_two_parts(path):
    X, y = make_data()
    X = Parts(network=X[:, :10].toarray(), linear=X)
    clf = make().fit(X, y)
    assert_same(clf, saved_and_loaded(clf, path), X)


def test_estimators_that_are_not_fitted(path):
    loaded = saved_and_loaded(make(strategy="cascade"), path)
    assert repr(loaded) == repr(make(strategy="cascade"))
    assert not hasattr(loaded, "classes_")


def test_callbacks_are_left_out(path):
    clf = MHEClassifier(max_iter=1, random_state=0)
    if not hasattr(clf, "set_callbacks"):
        pytest.skip("scikit-learn 1.9 has callbacks")
    loaded = saved_and_loaded(clf.set_callbacks(CallbackOfNothing()), path)
    assert vars(loaded) == vars(clf.set_callbacks())


def test_tables_are_compact(path):
    X, y = make_data()
    clf = make(hidden_layer_sizes=(512,)).fit(X, y)
    sizes = []
    for compact in (True, False):
        skmhe.io.save(clf, path, compact=compact)
        sizes.append(path.stat().st_size)
    assert sizes[0] < 0.8 * sizes[1]


@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
@pytest.mark.parametrize("compact", [True, False])
def test_arrays_are_mapped(compact, strategy, path):
    # Of enough weights to be written in 16 bits.
    rng = np.random.default_rng(0)
    X = sp.random_array((600, 80), density=0.2, rng=rng, format="csr")
    y = np.arange(600) % 100
    clf = make(strategy=strategy, hidden_layer_sizes=(64,), n_heads="auto").fit(X, y)
    loaded = saved_and_loaded(clf, path, compact, mmap=True)
    model, expected = loaded._fitted.model, clf._fitted.model
    for level in model.linear:
        assert not any(part.flags.writeable for part in level)
    dtype = np.float16 if compact else np.float32
    assert model.linear[-1].values.dtype == dtype
    is_mapped = not model.weights["backbone.layers.0.weight"].flags.writeable
    assert is_mapped == (not compact)
    assert_same(loaded, clf, X)
    assert_same(loaded, clf, X[:1])
    for found, wanted in zip(
        loaded.top_features(3, 5), clf.top_features(3, 5), strict=True
    ):
        assert_array_equal(found, wanted, strict=True)
    copied = saved_and_loaded(clf, path, compact)._fitted.model
    for found, wanted in zip(copied.linear, expected.linear, strict=True):
        for part, known in zip(found, wanted, strict=True):
            assert part.flags.writeable
            assert_array_equal(part, known, strict=True)
    # A copy of what is mapped stands on its own.
    copy = pickle.loads(pickle.dumps(loaded))
    path.unlink()
    assert_same(copy, clf, X)


def test_products_with_mapped_weights_are_rounded_as_before(path):
    # Of odd sizes: without padding, some would begin in the middle of a register.
    X, y = make_data(n=120)
    X = X.toarray()
    clf = make(strategy="product", model="network", hidden_layer_sizes=(33, 21))
    clf.fit(X, y)
    loaded = saved_and_loaded(clf, path, compact=False, mmap=True)
    for array in loaded._fitted.model.weights.values():
        assert array.ctypes.data % 64 == 0 and not array.flags.writeable
    for row in X[:20]:
        assert_same(loaded, clf, row[None])


@pytest.mark.parametrize(
    ("saved", "asked", "expected"),
    [
        ("auto", "auto", "auto"),
        ("cpu", "auto", "cpu"),
        ("cuda:99", "auto", "auto"),
        ("cuda:99", "cpu", "cpu"),
        ("auto", "cpu", "cpu"),
    ],
)
def test_device(saved, asked, expected, path):
    X, y = make_data()
    clf = make().fit(X, y).set_params(device=saved)
    assert saved_and_loaded(clf, path, device=asked).device == expected


@pytest.mark.parametrize("of", [MHEClassifier, MHEMultiLabelClassifier])
def test_attributes_of_others_are_refused(of, path):
    clf = of()
    clf.note_ = "mine"
    with pytest.raises(TypeError, match="the attribute 'note_', which model files do"):
        skmhe.io.save(clf, path)
    assert not list(path.parent.iterdir())
