"""Both estimators inside scikit-learn's and joblib's machinery."""

import copy
import functools
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from sklearn.utils import estimator_html_repr

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import get_scorer

N, N_LABELS = 72, 6
CLASSES = [MHEClassifier, MHEMultiLabelClassifier]
both = pytest.mark.parametrize("cls", CLASSES)
WORDS = [f"{a}{b}" for a in "bdfgkl" for b in ("ana", "olo", "iri")]


def make(cls=MHEClassifier, **params):
    base = {
        "hidden_layer_sizes": (8,),
        "dropout": 0.0,
        "input_dropout": 0.0,
        "learning_rate_init": 0.05,
        "batch_size": 24,
        "max_iter": 3,
        "random_state": 0,
        "device": "cpu",
    }
    return cls(**(base | params))


def make_documents():
    """Return texts of words that tell their topic, topics, and lists of tags."""
    rng = np.random.RandomState(0)
    topics = rng.permutation(np.arange(N) % N_LABELS)
    texts = [
        " ".join([*rng.choice(WORDS[3 * t : 3 * t + 3], 4), rng.choice(WORDS)])
        for t in topics
    ]
    names = np.array([f"topic {t}" for t in range(N_LABELS)])
    tags = [[names[t], names[(t + 1) % N_LABELS]] for t in topics]
    tags[0] = []
    return texts, names[topics], tags


@functools.cache
def make_data(cls):
    texts, topics, tags = make_documents()
    X = TfidfVectorizer().fit_transform(texts)
    if cls is MHEClassifier:
        return X, topics
    return X, MultiLabelBinarizer(sparse_output=True).fit_transform(tags)


@functools.cache
def fitted(cls):
    return make(cls).fit(*make_data(cls))


def assert_same_predictions(a, b, X):
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    for p, q in zip(a.predict_topk(X, 3), b.predict_topk(X, 3), strict=True):
        assert_array_equal(p, q)
    p, q = a.predict(X), b.predict(X)
    assert type(p) is type(q)
    dense = [v.toarray() if sp.issparse(v) else v for v in (p, q)]
    assert_array_equal(*dense)


# ------------------------------------------------------------ pipelines


def test_pipeline_of_texts():
    texts, topics, _ = make_documents()
    pipeline = make_pipeline(TfidfVectorizer(), make(max_iter=12))
    pipeline.fit(texts[:60], topics[:60])
    assert pipeline.score(texts[60:], topics[60:]) > 0.8
    assert_array_equal(pipeline.classes_, np.unique(topics))
    assert get_scorer("precision@1")(pipeline, texts[60:], topics[60:]) > 0.8


def test_pipeline_of_texts_with_tags():
    texts, _, tags = make_documents()
    pipeline = make_pipeline(
        TfidfVectorizer(), make(MHEMultiLabelClassifier, max_iter=12)
    )
    pipeline.fit(texts[:60], tags[:60])
    predicted = pipeline.predict(texts[60:])
    assert isinstance(predicted[0], tuple)
    assert get_scorer("precision@1")(pipeline, texts[60:], tags[60:]) > 0.8


def test_pipeline_of_a_data_frame():
    X, y = make_data(MHEClassifier)
    frame = pd.DataFrame(X.toarray(), columns=[f"word {i}" for i in range(X.shape[1])])
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, make()).fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == frame.columns.tolist()
    assert pipeline.predict(frame).shape == (N,)


# ------------------------------------------------------------ model selection


@pytest.mark.parametrize("scoring", [None, "precision@1"])
@both
def test_grid_search_in_processes(cls, scoring):
    X, y = make_data(cls)
    strategies = ["cascade", "full"]
    if cls is MHEClassifier:
        strategies.append("product")
    search = GridSearchCV(
        make(cls, max_iter=2),
        {"n_heads": [2, 3], "strategy": strategies},
        scoring=scoring and get_scorer(scoring),
        cv=KFold(2),
        n_jobs=2,
        error_score="raise",
    )
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 2 * len(strategies)
    assert np.isfinite(scores).all()
    # The same in this process, by hand.
    score = get_scorer(scoring) if scoring else lambda clf, X, y: clf.score(X, y)
    here = [
        score(clone(search.best_estimator_).fit(X[train], y[train]), X[test], y[test])
        for train, test in KFold(2).split(X)
    ]
    assert_allclose(search.best_score_, np.mean(here), rtol=1e-6)
    assert search.predict(X).shape[0] == N


def test_cross_validation_with_several_scorers():
    X, Y = make_data(MHEMultiLabelClassifier)
    names = ["precision@1", "ndcg@3"]
    result = cross_validate(
        make(MHEMultiLabelClassifier),
        X,
        Y.toarray(),  # cross_validate takes no sparse y, GridSearchCV does
        scoring={name: get_scorer(name) for name in names},
        cv=KFold(2),
        error_score="raise",
    )
    for name in names:
        assert ((result[f"test_{name}"] > 0) & (result[f"test_{name}"] <= 1)).all()


def test_scikit_learns_own_scorers():
    X, y = make_data(MHEClassifier)
    for name in ["accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr"]:
        scores = cross_val_score(make(), X, y, scoring=name, cv=2, error_score="raise")
        assert np.isfinite(scores).all()
    Y = make_data(MHEMultiLabelClassifier)[1].toarray()
    for name in ["f1_micro", "average_precision"]:
        clf = make(MHEMultiLabelClassifier)
        scores = cross_val_score(
            clf, X, Y, scoring=name, cv=KFold(2), error_score="raise"
        )
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict(method):
    X, y = make_data(MHEClassifier)
    result = cross_val_predict(make(), X, y, cv=2, method=method)
    assert result.shape == ((N,) if method == "predict" else (N, N_LABELS))


def test_classifier_chain():
    X, Y = make_data(MHEMultiLabelClassifier)
    chain = ClassifierChain(make(max_iter=1, strategy="full")).fit(X, Y.toarray())
    assert chain.predict(X).shape == (N, N_LABELS)


# ------------------------------------------------------------ copies


@both
def test_clone(cls):
    clf = clone(fitted(cls))
    assert clf.get_params() == fitted(cls).get_params()
    assert not hasattr(clf, "weights_")
    X, y = make_data(cls)
    assert_same_predictions(clf.fit(X, y), fitted(cls), X)


@both
def test_pickle(cls):
    X, y = make_data(cls)
    again = pickle.loads(pickle.dumps(fitted(cls)))
    assert_same_predictions(again, fitted(cls), X)
    # Training goes on in the copy as it would in the original.
    original = copy.deepcopy(fitted(cls))
    assert_same_predictions(again.partial_fit(X, y), original.partial_fit(X, y), X)
    again = pickle.loads(pickle.dumps(original))
    assert_same_predictions(again.partial_fit(X, y), original.partial_fit(X, y), X)


@both
def test_pickle_of_an_unfitted_estimator(cls):
    again = pickle.loads(pickle.dumps(make(cls)))
    assert again.get_params() == make(cls).get_params()


@both
def test_memory_mapped_estimator(cls, tmp_path):
    X, y = make_data(cls)
    joblib.dump(fitted(cls), tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    name = "backbone.layers.0.weight"
    assert isinstance(mapped.weights_[name], np.memmap)
    assert not mapped.weights_[name].flags.writeable
    assert_same_predictions(mapped, fitted(cls), X)
    # Training goes on in memory; the file stays as it was.
    mapped.set_params(warm_start=True).fit(X, y)
    assert mapped.weights_[name].flags.writeable
    assert not np.array_equal(mapped.weights_[name], fitted(cls).weights_[name])
    again = joblib.load(tmp_path / "model.joblib")
    assert_same_predictions(again, fitted(cls), X)


@both
def test_memory_mapped_estimator_and_partial_fit(cls, tmp_path):
    X, y = make_data(cls)
    original = copy.deepcopy(fitted(cls)).partial_fit(X, y)
    joblib.dump(original, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    # The optimiser's moments are read-only, too.
    assert_same_predictions(mapped.partial_fit(X, y), original.partial_fit(X, y), X)


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_dump_of_an_estimator(compress, tmp_path):
    X, _ = make_data(MHEClassifier)
    joblib.dump(fitted(MHEClassifier), tmp_path / "model.joblib", compress=compress)
    again = joblib.load(tmp_path / "model.joblib")
    assert_same_predictions(again, fitted(MHEClassifier), X)


# ------------------------------------------------------------ processes


def predict_part(clf, X):
    return clf.predict_proba(X)


def fit_part(clf, X, y):
    return clone(clf).fit(X, y)


@both
def test_workers(cls):
    X, y = make_data(cls)
    clf = fitted(cls)
    parallel = joblib.Parallel(n_jobs=2, backend="loky", max_nbytes=100)
    # Small as they are, the arrays reach the workers as memory maps.
    parts = parallel(
        joblib.delayed(predict_part)(clf, X[start : start + 36]) for start in (0, 36)
    )
    assert_allclose(np.vstack(parts), clf.predict_proba(X), rtol=1e-6)
    dense = X.toarray()
    fits = parallel(joblib.delayed(fit_part)(clf, x, y) for x in (X, dense))
    assert_allclose(fits[0].predict_proba(X), clf.predict_proba(X), rtol=1e-4)
    assert_allclose(fits[1].predict_proba(X), clf.predict_proba(X), atol=1e-2)


def test_threads():
    X, _ = make_data(MHEClassifier)
    clf = fitted(MHEClassifier)
    parallel = joblib.Parallel(n_jobs=2, backend="threading")
    parts = parallel(joblib.delayed(predict_part)(clf, X) for _ in range(4))
    for part in parts:
        assert_array_equal(part, clf.predict_proba(X))


# ------------------------------------------------------------ metadata


@both
def test_sample_weight_is_routed(cls):
    X, y = make_data(cls)
    weight = np.where(np.arange(N) % 2, 1.0, 0.01)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(cls).set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler(with_mean=False), clf)
        pipeline[0].set_fit_request(sample_weight=False)
        routed = pipeline.fit(X, y, sample_weight=weight)
        plain = clone(pipeline).fit(X, y)
        search = GridSearchCV(clf, {"max_iter": [1, 2]}, cv=KFold(2))
        search.fit(X, y, sample_weight=weight)
    by_hand = make(cls).fit(pipeline[0].transform(X), y, sample_weight=weight)
    assert_array_equal(
        routed[-1].predict_proba(pipeline[0].transform(X)),
        by_hand.predict_proba(pipeline[0].transform(X)),
    )
    assert not np.array_equal(routed.predict_proba(X), plain.predict_proba(X))
    direct = make(cls, **search.best_params_).fit(X, y, sample_weight=weight)
    assert_array_equal(search.predict_proba(X), direct.predict_proba(X))


@both
def test_what_can_be_routed(cls):
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(cls)
        clf.set_partial_fit_request(classes=True, sample_weight=True)
        request = clf.get_metadata_routing()
    assert set(request.fit.requests) == {"label_features", "sample_weight"}
    assert set(request.partial_fit.requests) == {
        "classes",
        "label_features",
        "sample_weight",
    }
    assert set(request.score.requests) == {"sample_weight"}
    assert request.predict.requests == {}


# ------------------------------------------------------------ displays


@both
def test_html(cls):
    assert cls.__name__ in estimator_html_repr(make(cls))
    assert cls.__name__ in estimator_html_repr(fitted(cls))
    pipeline = make_pipeline(TfidfVectorizer(), make(cls))
    assert cls.__name__ in estimator_html_repr(pipeline)


@both
def test_repr_names_what_differs_from_the_defaults(cls):
    # Only names of the defaults: their values are free to change.
    text = repr(cls(strategy="sampling", max_iter=77))
    assert text == f"{cls.__name__}(max_iter=77, strategy='sampling')"
