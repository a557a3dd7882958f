"""Clones, pickles, memory maps, processes and displays of estimators."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import torch
from estimator_problems import (
    assert_same_model,
    assert_same_predictions,
    both,
    differ,
    every,
    fitted,
    make,
    make_data,
    model_arrays,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from skmhe import (
    Cascade,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
)


def flat_params(clf):
    """Return the parameters without the objects, of which each copy has its own."""
    params = clf.get_params()
    return {name: v for name, v in params.items() if not hasattr(v, "get_params")}


# ------------------------------------------------------------ copies


@every
def test_clone(cls, strategy):
    clf = clone(fitted(cls, strategy))
    assert flat_params(clf) == flat_params(fitted(cls, strategy))
    assert vars(clf).keys() == clf.get_params(deep=False).keys()
    X, y = make_data(cls)
    assert_same_model(clf.fit(X, y), fitted(cls, strategy))
    assert_same_predictions(clf, fitted(cls, strategy), X)


@both
def test_copies_of_parameter_objects_are_their_own(cls):
    clf = make(cls, Cascade(beam_width=3), linear=LinearTree(C=2.0))
    for twin in (clone(clf), pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert flat_params(twin) == flat_params(clf)
        twin.set_params(strategy__beam_width=4, linear__C=3.0)
        assert (clf.strategy.beam_width, clf.linear.C) == (3, 2.0)


@every
def test_pickle(cls, strategy):
    X, y = make_data(cls)
    again = pickle.loads(pickle.dumps(fitted(cls, strategy)))
    assert_same_predictions(again, fitted(cls, strategy), X)
    # Training goes on in the copy as it would in the original.
    original = copy.deepcopy(fitted(cls, strategy))
    assert_same_predictions(again.partial_fit(X, y), original.partial_fit(X, y), X)
    again = pickle.loads(pickle.dumps(original))
    assert_same_predictions(again.partial_fit(X, y), original.partial_fit(X, y), X)


@pytest.mark.parametrize("strategy", ["full", "cascade"])
@both
def test_pickle_of_linear_classifiers(cls, strategy):
    X, y = make_data(cls)
    for form in (np.asarray, sp.csr_array):
        clf = make(cls, strategy, model="linear").fit(form(X), y)
        again = pickle.loads(pickle.dumps(clf))
        assert_same_model(again, clf)
        assert_same_predictions(again, clf, form(X))


@every
def test_pickle_of_an_unfitted_estimator(cls, strategy):
    again = pickle.loads(pickle.dumps(make(cls, strategy)))
    assert flat_params(again) == flat_params(make(cls, strategy))


@pytest.fixture
def every_warning():
    """Let torch warn of read-only arrays each time, not only the first one."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("every_warning")
@pytest.mark.parametrize("model", ["both", "network", "linear"])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@every
def test_memory_mapped_estimators_predict(cls, strategy, model, form, tmp_path):
    if model == "linear" and strategy in ("product", "sampling"):
        strategy = "cascade"
    X, y = make_data(cls)
    clf = make(cls, strategy, model=model, max_iter=1).fit(form(X), y)
    joblib.dump(clf, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert not any(array.flags.writeable for array in model_arrays(mapped).values())
    assert_same_predictions(mapped, clf, form(X))
    # A few rows go other ways than many.
    assert_same_predictions(mapped, clf, form(X[:2]))


def weight(clf):
    return clf._fitted.model.weights["backbone.layers.0.weight"]


@pytest.mark.usefixtures("every_warning")
@both
def test_memory_mapped_estimator(cls, tmp_path):
    X, y = make_data(cls)
    joblib.dump(fitted(cls), tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert isinstance(weight(mapped), np.memmap)
    assert not weight(mapped).flags.writeable
    assert_same_predictions(mapped, fitted(cls), X)
    # Training goes on in memory; the file stays as it was.
    mapped.set_params(warm_start=True).fit(X, y)
    assert weight(mapped).flags.writeable
    assert differ(mapped, fitted(cls))
    again = joblib.load(tmp_path / "model.joblib")
    assert_same_predictions(again, fitted(cls), X)


@pytest.mark.usefixtures("every_warning")
@both
def test_memory_mapped_estimator_and_partial_fit(cls, tmp_path):
    X, y = make_data(cls)
    original = copy.deepcopy(fitted(cls)).partial_fit(X, y)
    joblib.dump(original, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    # The optimizer's moments are read-only, too.
    assert_same_predictions(mapped.partial_fit(X, y), original.partial_fit(X, y), X)


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_dump_of_an_estimator(compress, tmp_path):
    X, _ = make_data()
    joblib.dump(fitted(), tmp_path / "model.joblib", compress=compress)
    again = joblib.load(tmp_path / "model.joblib")
    assert_same_predictions(again, fitted(), X)


# ------------------------------------------------------------ processes


def predict_part(clf, X):
    return clf.predict_proba(X)


def fit_part(clf, X, y):
    return clone(clf).fit(X, y)


@both
def test_workers(cls):
    X, y = make_data(cls)
    X = sp.csr_matrix(X)
    clf = make(cls).fit(X, y)
    parallel = joblib.Parallel(n_jobs=2, backend="loky", max_nbytes=100)
    # Small as they are, the arrays reach the workers as memory maps.
    parts = parallel(
        joblib.delayed(predict_part)(clf, X[start : start + 48]) for start in (0, 48)
    )
    assert_allclose(np.vstack(parts), clf.predict_proba(X), rtol=1e-6)
    dense = X.toarray()
    fits = parallel(joblib.delayed(fit_part)(clf, x, y) for x in (X, dense))
    assert_allclose(fits[0].predict_proba(X), clf.predict_proba(X), rtol=1e-4)
    assert_allclose(fits[1].predict_proba(X), clf.predict_proba(X), atol=1e-2)


def test_threads():
    X, _ = make_data()
    clf = fitted()
    parallel = joblib.Parallel(n_jobs=2, backend="threading")
    parts = parallel(joblib.delayed(predict_part)(clf, X) for _ in range(4))
    for part in parts:
        assert_array_equal(part, clf.predict_proba(X))


# ------------------------------------------------------------ displays


@both
def test_repr_names_what_differs_from_the_defaults(cls):
    # Only names of the defaults: their values are free to change.
    text = repr(cls(strategy="sampling", max_iter=77))
    assert text == f"{cls.__name__}(max_iter=77, strategy='sampling')"
    clf = cls(Cascade(beam_width=77), label_encoder=LabelEncoder(), max_iter=77)
    assert repr(clf).split() == [
        f"{cls.__name__}(label_encoder=LabelEncoder(),",
        "max_iter=77,",
        "strategy=Cascade(beam_width=77))",
    ]
    assert repr(cls()) == f"{cls.__name__}()"
    clf = cls().set_params(linear__C=77.0)
    assert repr(clf) == f"{cls.__name__}(linear=LinearTree(C=77.0))"


@both
def test_repr_of_all_parameters(cls):
    with sklearn.config_context(print_changed_only=False):
        text = repr(cls(Cascade()))
    for name, value in cls().get_params(deep=False).items():
        if name != "strategy":
            assert f"{name}={value!r}" in text
    shown = "strategy=Cascade(beam_width='auto', hard_negatives=True)"
    assert shown in " ".join(text.split())


@both
def test_html(cls):
    for clf in (make(cls), fitted(cls), make_pipeline(TfidfVectorizer(), make(cls))):
        assert cls.__name__ in estimator_html_repr(clf)
    # The diagram's text has the parameters that were changed, or all of them.
    clf = cls("cascade", max_iter=77).set_params(linear__C=77.0)
    for changed_only in (True, False):
        with sklearn.config_context(print_changed_only=changed_only):
            html = estimator_html_repr(clf)
            assert repr(clf).split("(")[0] in html
        assert "max_iter=77" in html
        assert "linear=LinearTree(C=77.0" in html
        assert ("n_iter_no_change=3" in html) != changed_only


@both
def test_a_device_object_is_as_good_as_its_name(cls):
    (X, y), device = make_data(cls), torch.device("cpu")
    clf = make(cls, device=device, max_iter=1)
    assert "device=device(type='cpu')" in repr(clf)
    assert "device" in estimator_html_repr(clf)
    named = make(cls, device="cpu", max_iter=1).fit(X, y)
    for twin in (clf, clone(clf), pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert twin.get_params()["device"] == device
        assert not differ(twin.fit(X, y), named)
        assert_array_equal(twin.transform(X), named.transform(X))
    restored = pickle.loads(pickle.dumps(clf))
    assert_array_equal(restored.predict_proba(X), named.predict_proba(X))
    assert "device" in estimator_html_repr(restored)
    grid = {"device": [device, "cpu"]}
    search = GridSearchCV(make(cls, max_iter=1), grid, cv=2).fit(X, y)
    assert set(search.cv_results_["mean_test_score"]) == {search.best_score_}
    assert search.best_params_ == {"device": device}
    assert list(search.cv_results_["param_device"]) == grid["device"]


def test_html_of_parameter_objects():
    clf = MHEMultiLabelClassifier(Cascade(beam_width=77))
    html = estimator_html_repr(clf)
    assert "beam_width" in html
    assert "77" in html
    assert isinstance(MHEClassifier(Cascade())._repr_html_(), str)
