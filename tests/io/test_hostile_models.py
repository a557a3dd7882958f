"""Model files that are made up by hand, and what is no file at all."""

import os
import tracemalloc

import numpy as np
import pytest
from model_mutations import parts_of, rewrite, set_in
from saved_models import assert_same, make, make_data
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.preprocessing import Normalizer, StandardScaler

import skmhe.io
from skmhe.scorers.centroids import DenseCentroids

FITTED = "estimator", "fitted", "entries", "_fitted"
MODEL = *FITTED, "model"
OPTIONS = *MODEL, "spec", "head", "options", "entries"
PARAMS = "estimator", "params", "entries"
ORDER = {"is": "array", "name": "estimator.fitted._fitted.model.codec.order"}


@pytest.fixture
def saved(tmp_path):
    """Return a fitted estimator and its file."""
    X, y = make_data()
    clf, path = make(strategy="cascade").fit(X, y), tmp_path / "model.safetensors"
    skmhe.io.save(clf, path)
    return clf, path


def nested(depth):
    """Return lists inside of each other."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


CHANGES = {
    # These would take any amount of memory or time.
    "array": (set_in(*PARAMS, "tol", [ORDER] * 2), "uses its array '.*order' twice"),
    "layers": (
        set_in(*MODEL, "spec", "hidden_layer_sizes", "items", [8] * 9999),
        "more layers than weights",
    ),
    "levels": (
        set_in(*OPTIONS, "head_sizes", "items", [2] * 9999),
        "more layers than weights",
    ),
    "level": (
        set_in(*MODEL, "search", "head_sizes", "items", [1, 2**40]),
        "its search is one for other labels",
    ),
    "fraction": (
        set_in(*PARAMS, "tol", {"is": "Fraction", "text": "1e999999999"}),
        "is not what save writes",
    ),
    "depth": (set_in(*PARAMS, "tol", nested(600)), "is not what save writes"),
    "cycle": (
        set_in(
            *(*PARAMS, "tol"),
            {"is": "first", "number": 0, "value": [{"is": "same", "number": 0}]},
        ),
        "is not what save writes",
    ),
    "number": (
        set_in(*MODEL, "search", "beam_width", 10**400),
        "beam_width of its TreeSearch is not an integer",
    ),
    # These would fail when something is predicted, or worse.
    "dtype": (set_in(*PARAMS, "tol", ORDER | {"dtype": "<U1,O", "shape": [3]}), "dtyp"),
    "weights": (
        set_in(
            *(*MODEL, "mix"),
            {
                "is": "Mix",
                "calibrations": {"is": "named", "entries": {}},
                "weights": {"is": "ScorerWeights", "network": 0, "linear": 0}
                | {"label_encoder": 1, "own_labels": 1},
            },
        ),
        "it adds nothing up",
    ),
    "no estimator": (set_in("estimator", [[]]), "it holds no estimator"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_made_up_descriptions_are_refused(name, saved):
    _, path = saved
    change, match = CHANGES[name]
    rewrite(path, change)
    for mmap in (False, True):
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=match):
                skmhe.io.load(path, mmap=mmap)
            assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 2**20
        finally:
            tracemalloc.stop()


def test_a_model_that_has_seen_nothing_is_refused(tmp_path):
    X, y = make_data()
    clf = make(strategy="cascade").fit(X, y, label_features=np.eye(12, 30))
    clf._fitted.model.pair_counts[:] = 0
    skmhe.io.save(clf, tmp_path / "model")
    with pytest.raises(ValueError, match="it has seen no samples"):
        skmhe.io.load(tmp_path / "model")


def of_one_label(centroids):
    object.__setattr__(centroids, "n_labels", 1)


def with_intercepts(name, shape):
    def change(centroids):
        table = getattr(centroids, name)._replace(intercepts=np.zeros(shape, "f4"))
        object.__setattr__(centroids, name, table)

    return change


def without_summary(centroids):
    object.__setattr__(centroids, "summary", None)


WRONG_TABLES = {
    "other labels": (of_one_label, "its centroids are of other labels"),
    "other groups": (
        with_intercepts("level", (2, 9)),
        "the table of its centroids has",
    ),
    "wide": (with_intercepts("summary", (1, 99)), "of its centroids has the shape"),
    "no summary": (without_summary, "its centroids are of another task"),
    "child": (lambda c: c.level.children.fill(99), "children of its tables"),
    "feature": (lambda c: c.summary.features.fill(99), "features of its tables"),
    "start": (lambda c: c.summary.indptr.fill(9), "indptr of its tables"),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_tables_of_centroids_that_do_not_fit_are_refused(name, tmp_path):
    clf, (change, match) = (
        make(strategy="sampling").fit(*make_data()),
        WRONG_TABLES[name],
    )
    change(clf._fitted.model.centroids)
    skmhe.io.save(clf, tmp_path / "model")
    with pytest.raises(ValueError, match=match):
        skmhe.io.load(tmp_path / "model")


def test_dense_centroids_of_other_features_are_refused(tmp_path):
    X, y = make_data()
    clf = make(strategy="sampling").fit(X.toarray(), y)
    rows = clf._fitted.model.centroids.rows
    object.__setattr__(
        clf._fitted.model, "centroids", DenseCentroids(rows[:, 1:].copy())
    )
    skmhe.io.save(clf, tmp_path / "model")
    with pytest.raises(ValueError, match="the table of its centroids has the shape"):
        skmhe.io.load(tmp_path / "model")


def test_what_another_version_has_is_named(saved):
    _, path = saved
    change = set_in(*PARAMS, "magic", 3)
    rewrite(path, lambda document: (change(document), document.pop("versions")))
    with pytest.raises(ValueError, match=r"MHEClassifier cannot be made .*'magic'"):
        skmhe.io.load(path)
    rewrite(path, set_in("versions", {"scikit-learn": "9.7"}))
    with pytest.raises(
        ValueError, match=r"saved with, \{'scikit-learn': '9.7'\}; here are \{'skmhe'"
    ):
        skmhe.io.load(path)


def test_arrays_at_odd_places_are_copied(saved):
    clf, path = saved
    X, _ = make_data()
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    head = data[8 : 8 + length] + b" "
    path.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + length :])
    loaded = skmhe.io.load(path, mmap=True)
    assert loaded._fitted.model.codec.order.flags.aligned
    assert_same(clf, loaded, X)
    header = parts_of(data)[0]
    assert header["document"]["dtype"] == "U8"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices of POSIX")
def test_pipes_and_devices_are_no_files(saved, tmp_path):
    clf, _ = saved
    os.mkfifo(tmp_path / "pipe")  # opened, it would wait for a writer
    for name in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        for use in (skmhe.io.load, lambda name: skmhe.io.save(clf, name)):
            with pytest.raises(OSError, match="is a pipe or device: name a file"):
                use(name)
    assert not os.path.isfile("/dev/null")  # which a new file would have replaced


@pytest.mark.parametrize("path", [None, 0, 3.5, ["model"]])
def test_names_that_are_no_names(path, saved):
    for use in (skmhe.io.load, lambda path: skmhe.io.save(saved[0], path)):
        with pytest.raises(TypeError, match=r"path=.* is no name of a f"):
            use(path)


def test_names_are_of_any_type(saved):
    clf, path = saved
    X, _ = make_data()
    other = os.fsencode(path) + b"2"
    skmhe.io.save(clf, other)
    assert_same(clf, skmhe.io.load(other), X)


@pytest.mark.parametrize(
    ("make_step", "name", "value", "match"),
    [
        (TfidfVectorizer, "norm", "l3", "'norm' parameter of TfidfVectorizer must be"),
        (CountVectorizer, "lowercase", "yes", "'lowercase' parameter of CountVectori"),
        (HashingVectorizer, "n_features", 2**40, "'n_features' parameter of Hashing"),
        (TfidfTransformer, "use_idf", [], "'use_idf' parameter of TfidfTransformer"),
        (StandardScaler, "with_mean", 7, "'with_mean' parameter of StandardScaler"),
        (Normalizer, "norm", None, "'norm' parameter of Normalizer must be"),
        (TruncatedSVD, "n_components", 0, "'n_components' parameter of TruncatedSVD"),
        (TfidfVectorizer, "ngram_range", (0, 2), "ngram_range of TfidfVectorizer must"),
        (TfidfVectorizer, "ngram_range", (2, 1), r"must be two .*got \(2, 1\)"),
        (CountVectorizer, "ngram_range", (1, "x"), r"must be two .*got \(1, 'x'\)"),
        (HashingVectorizer, "ngram_range", (1,), r"must be two .*got \(1,\)"),
        (TfidfVectorizer, "token_pattern", "(", r"regular expression, got '\('"),
    ],
    ids=str,
)
def test_parameters_of_transformers_are_validated(
    make_step, name, value, match, tmp_path
):
    path, step = tmp_path / "model", make_step()
    skmhe.io.save(step, path)
    written = {"is": "tuple", "items": list(value)} if type(value) is tuple else value
    rewrite(path, set_in(*PARAMS, name, written))
    with pytest.raises(ValueError, match=f"{path}.* cannot be loaded: .*{match}"):
        skmhe.io.load(path)
    # What cannot be read is not written.
    path.unlink()
    with pytest.raises(ValueError, match=match):
        skmhe.io.save(step.set_params(**{name: value}), path)
    assert not path.exists()


def test_parameters_that_are_not_used_may_be_none(tmp_path):
    step = CountVectorizer(analyzer="char", token_pattern=None, ngram_range=(2, 3))
    expected = step.fit_transform(["tea", "beer"]).toarray()
    skmhe.io.save(step, tmp_path / "model")
    found = skmhe.io.load(tmp_path / "model").transform(["tea", "beer"])
    np.testing.assert_array_equal(found.toarray(), expected)
