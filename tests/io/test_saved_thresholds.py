"""Model files of classifiers with thresholds, and of their targets and splits."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from model_mutations import rewrite, set_in
from numpy.testing import assert_array_equal
from saved_models import N_LABELS, make, make_data, saved_and_loaded, shown
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

import skmhe.io
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
    MultiLabelTunedThresholdClassifierCV,
)

X, Y = make_data(multilabel=True)
NAMES = [f"label {i}" for i in range(N_LABELS)]
FORMS = {
    "dense": Y.toarray().astype(np.int8),
    "sparse": sp.csr_matrix(Y, dtype=np.float32),
    "names": pd.DataFrame(Y.toarray(), columns=NAMES),
    "lists": [[NAMES[j] for j in row.indices] for row in Y],
    "numbers": [(row.indices * 3 + 5).tolist() for row in Y],
}
CLASSIFIERS = {
    "fixed": lambda clf: MultiLabelFixedThresholdClassifier(clf, threshold=0.2),
    "best 2": lambda clf: MultiLabelFixedThresholdClassifier(
        clf, threshold=-np.inf, max_labels=2
    ),
    "each": lambda clf: MultiLabelFixedThresholdClassifier(
        clf, threshold=np.linspace(0.1, 0.4, N_LABELS)
    ),
    "tuned": lambda clf: MultiLabelTunedThresholdClassifierCV(clf, cv=2),
    "per label": lambda clf: MultiLabelTunedThresholdClassifierCV(
        clf, cv=2, scoring="f1_macro", per_label=True
    ),
}


def linear():
    return make(True, "full", model="linear")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def assert_same_thresholds(one, other, X):
    """Compare predictions, to the bit, and what users see."""
    found, expected = one.predict(X), other.predict(X)
    assert type(found) is type(expected)
    if isinstance(found, list):
        assert found == expected
    else:
        assert found.dtype == expected.dtype
        sparse = sp.issparse(found)
        pair = [p.toarray() if sparse else p for p in (found, expected)]
        assert_array_equal(*pair, strict=True)
    for found, expected in zip(one.predict_topk(X), other.predict_topk(X), strict=True):
        assert_array_equal(found, expected, strict=True)
    assert_array_equal(one.classes_, other.classes_, strict=True)
    for name in ("best_threshold_", "best_score_"):
        assert hasattr(one, name) == hasattr(other, name)
        if hasattr(one, name):
            assert type(getattr(one, name)) is type(getattr(other, name))
            assert_array_equal(getattr(one, name), getattr(other, name))
    assert shown(one) == shown(other)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("form", FORMS)
def test_thresholds_and_forms_of_targets(form, name, path):
    clf = CLASSIFIERS[name](linear()).fit(X, FORMS[form])
    assert clf.predict(X[:1]) is not None
    for mmap in (False, True):
        loaded = saved_and_loaded(clf, path, mmap=mmap)
        assert_same_thresholds(clf, loaded, X)
    again = skmhe.io.load(path).fit(X, FORMS[form])
    assert_same_thresholds(clf, again, X)


def test_around_and_inside_of_pipelines(path):
    texts = [" ".join(f"w{j}" for j in row.indices) for row in X]
    inside = MultiLabelTunedThresholdClassifierCV(linear(), cv=2)
    around = make_pipeline(TfidfVectorizer(), MaxAbsScaler(), linear())
    for clf in (
        make_pipeline(TfidfVectorizer(), inside),
        MultiLabelTunedThresholdClassifierCV(around, cv=2),
    ):
        clf.fit(texts, Y)
        loaded = saved_and_loaded(clf, path, mmap=True)
        assert_array_equal(
            loaded.predict(texts).toarray(), clf.predict(texts).toarray()
        )
        assert clf.predict(texts).nnz
        assert repr(loaded) == repr(clf)


def test_a_fitted_estimator_is_written_once(path):
    fitted = linear().fit(X[:50], Y[:50])
    skmhe.io.save(fitted, path)
    alone = path.stat().st_size
    clf = MultiLabelTunedThresholdClassifierCV(fitted, cv="prefit", refit=False)
    clf.fit(X[50:], Y[50:])
    loaded = saved_and_loaded(clf, path)
    assert path.stat().st_size < 1.5 * alone
    assert loaded.estimator_ is loaded.estimator
    assert_same_thresholds(clf, loaded, X)


@pytest.mark.parametrize(
    "cv",
    [
        0.3,
        MultiLabelStratifiedKFold(2, shuffle=True, random_state=3),
        MultiLabelStratifiedShuffleSplit(1, test_size=0.3, random_state=3),
        KFold(2),
        ShuffleSplit(1, test_size=20),
        [(np.arange(60), np.arange(60, 90))],
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_splits_are_parameters(cv, path):
    clf = MultiLabelTunedThresholdClassifierCV(linear(), cv=cv, random_state=0)
    loaded = saved_and_loaded(clf, path)
    assert repr(loaded.cv) == repr(cv)
    assert not hasattr(loaded, "estimator_")
    assert_same_thresholds(
        clf.set_params(cv=loaded.cv).fit(X, Y),
        saved_and_loaded(clf.fit(X, Y), path),
        X,
    )


FITTED = "fitted", "entries"
READ = *FITTED, "_form", "read"


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (("params", "entries", "threshold"), [0.2, 0.3], "threshold has shape .2,."),
        (("params", "entries", "estimator"), "float32", "its parameter estimator is a"),
        ((*READ, "n_labels"), N_LABELS + 1, "other columns"),
        ((*READ, "names"), {"is": "tuple", "items": ["a"]}, "names of its LabelIndi"),
        ((*READ, "dtype"), "<i4,O", "unknown dtype '<i4,O'"),
        ((*READ, "container", "name"), "float32", "container of its LabelIndicator"),
        ((*READ, "is"), "LabelSets", "unknown kind 'LabelSets'"),
        ((*FITTED, "_form"), 3, "_form of its MultiLabelFixedThresholdClassifier"),
        ((*FITTED, "estimator_"), 3, "is not what save writes"),
    ],
)
def test_what_does_not_fit_is_refused(place, value, match, path):
    clf = MultiLabelFixedThresholdClassifier(linear(), threshold=0.2).fit(X, Y)
    skmhe.io.save(clf, path)
    rewrite(path, set_in("estimator", *place, value))
    with pytest.raises(ValueError, match=match):
        skmhe.io.load(path)


def test_columns_outside_of_the_targets_are_refused(path):
    # SciPy would write to wherever such an index points.
    clf = MultiLabelFixedThresholdClassifier(linear()).fit(X, FORMS["lists"])
    clf._form = clf._form._replace(labels=clf._form.labels[:-1])
    skmhe.io.save(clf, path)
    with pytest.raises(ValueError, match="the columns of its labels are not from 0"):
        skmhe.io.load(path)


def test_searches_are_refused(path):
    search = GridSearchCV(linear(), {"random_state": [0]}, cv=2, scoring="f1_micro")
    search.fit(X, Y.toarray())
    with pytest.raises(TypeError, match=r"(?s)GridSearchCV, .*: save its best_est"):
        skmhe.io.save(search, path)
    for each in (search, clone(search)):
        clf = MultiLabelFixedThresholdClassifier(each).fit(X, Y.toarray())
        with pytest.raises(
            TypeError, match=r"(?s)params.estimator is Grid.*use its best_estimator_ in"
        ):
            skmhe.io.save(clf, path)
    assert not path.exists()
    skmhe.io.save(search.best_estimator_, path)
