"""Classifiers with thresholds: what they predict, in which form, and their errors."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from threshold_problems import N_LABELS, NAMES, X, Y, clf, fixed, lists_of, tuned

from skmhe import predict_topk
from skmhe.metrics import f1_score, get_scorer
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelStratifiedKFold,
    MultiLabelTunedThresholdClassifierCV,
)

FITTED = clf().fit(X, Y)
PROBA = FITTED.predict_proba(X)


# ------------------------------------------------------------ a given threshold
def test_default_predicts_what_the_estimator_does():
    found = fixed().fit(X, Y).predict(X)
    np.testing.assert_array_equal(found.toarray(), FITTED.predict(X).toarray())


def test_threshold_of_all_and_of_each_label():
    each = np.linspace(0.1, 0.6, N_LABELS)
    for threshold in (0.3, each, each.tolist()):
        found = fixed(threshold=threshold).fit(X, Y).predict(X)
        np.testing.assert_array_equal(found.toarray(), np.greater(PROBA, threshold))
    model = fixed().fit(X, Y).set_params(threshold=0.3)  # without a fit
    np.testing.assert_array_equal(model.predict(X).toarray(), PROBA > 0.3)


def test_best_labels_without_a_threshold():
    model = fixed(threshold=-np.inf, max_labels=3).fit(X, Y)
    labels, _ = FITTED.predict_topk(X, k=3)
    expected = np.zeros(Y.shape)
    np.put_along_axis(expected, labels, 1, axis=1)
    np.testing.assert_array_equal(model.predict(X).toarray(), expected)


@pytest.mark.parametrize("model", [fixed(threshold=0.3), tuned()], ids=str)
def test_predictions_have_the_form_of_the_targets(model):
    expected = model.fit(X, Y).predict(X)
    assert type(expected) is sp.csr_array
    dense = expected.toarray()
    for form, is_form in (
        (sp.csc_matrix(Y), lambda p: isinstance(p, sp.csr_matrix)),
        (Y.toarray().astype(np.int8), lambda p: p.dtype == np.int8),
        (pd.DataFrame(Y.toarray(), columns=NAMES), lambda p: isinstance(p, np.ndarray)),
    ):
        found = clone(model).fit(X, form).predict(X)
        assert is_form(found)
        found = found.toarray() if sp.issparse(found) else found
        np.testing.assert_array_equal(found, dense)
    found = clone(model).fit(X, lists_of(Y)).predict(X)
    assert found == [tuple(row) for row in lists_of(expected)]


def test_other_classifiers_pipelines_and_searches_have_thresholds():
    inner = OneVsRestClassifier(LogisticRegression())
    proba = clone(inner).fit(X, Y).predict_proba(X)
    for model in (
        inner,
        make_pipeline(FunctionTransformer(), inner),
        GridSearchCV(inner, {"estimator__C": [1.0]}, cv=2),
    ):
        outer = MultiLabelFixedThresholdClassifier(model, threshold=0.2).fit(X, Y)
        np.testing.assert_array_equal(outer.predict(X).toarray(), proba > 0.2)


def test_methods_of_the_estimator_are_passed_on():
    model = fixed().fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), PROBA)
    expected = FITTED.predict_log_proba(X)
    np.testing.assert_array_equal(model.predict_log_proba(X), expected)
    expected = FITTED.decision_function(X)
    np.testing.assert_array_equal(model.decision_function(X), expected)
    np.testing.assert_array_equal(model.classes_, FITTED.classes_)
    assert model.n_features_in_ == N_LABELS
    for found in (model.predict_topk(X, k=2), predict_topk(model, X, k=2)):
        np.testing.assert_array_equal(found[0], FITTED.predict_topk(X, k=2)[0])
    scorer = get_scorer("precision@1")
    assert scorer(model, X, Y) == scorer(FITTED, X, Y)
    assert not hasattr(
        fixed().set_params(estimator=FunctionTransformer()), "predict_proba"
    )
    frame = pd.DataFrame(X, columns=NAMES)
    assert fixed().fit(frame, Y).feature_names_in_.tolist() == NAMES.tolist()


def test_score_is_the_share_of_samples_with_exactly_the_predicted_labels():
    weights = np.arange(len(X))
    frame = pd.DataFrame(Y.toarray(), columns=NAMES)
    given = {"threshold": -np.inf, "max_labels": 1}
    predicted = fixed(**given).fit(X, Y).predict(X).toarray()
    is_equal = (predicted == Y.toarray()).all(axis=1)
    assert is_equal.any()
    for fitted, others in (
        (Y, (Y, sp.coo_matrix(Y), Y.toarray(), Y.toarray().astype(int).tolist())),
        (frame, (frame, frame.iloc[:, ::-1], Y.toarray(), lists_of(Y))),
        (lists_of(Y), (lists_of(Y), frame, Y, pd.Series(lists_of(Y)))),
    ):
        model = fixed(**given).fit(X, fitted)
        for y in others:
            assert model.score(X, y) == is_equal.mean()
            expected = np.average(is_equal, weights=weights)
            assert model.score(X, y, weights) == pytest.approx(expected)
    unknown = lists_of(Y)
    unknown[is_equal.argmax()].append("new")
    assert model.score(X, unknown) == (is_equal.sum() - 1) / len(X)
    assert model.score(X[:1], [["new"]]) == 0
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, Y[1:])


def test_searches_score_lists_of_labels():
    search = GridSearchCV(
        fixed(), {"threshold": [0.3]}, cv=MultiLabelStratifiedKFold(2)
    )
    assert search.fit(X, lists_of(Y)).best_score_ > 0


def test_auto_is_half_of_probabilities_and_0_of_decision_scores():
    for inner in (LinearSVC(), LogisticRegression()):
        model = MultiLabelFixedThresholdClassifier(OneVsRestClassifier(inner)).fit(X, Y)
        expected = clone(model.estimator).fit(X, Y).predict(X)
        np.testing.assert_array_equal(model.predict(X).toarray(), expected.toarray())
        given = 0.5 if hasattr(inner, "predict_proba") else 0.0
        found = clone(model).set_params(threshold=given).fit(X, Y).predict(X)
        np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_thresholds_beyond_all_scores():
    model = fixed().fit(X, Y)
    for threshold in (1.0, 7, np.inf):
        assert model.set_params(threshold=threshold).predict(X).nnz == 0
    for threshold in (0, -3.0, -np.inf):
        found = model.set_params(threshold=threshold).predict(X)
        assert found.nnz == Y.shape[0] * N_LABELS


def test_thresholds_are_checked_where_they_are_set():
    model = fixed().fit(X, Y)
    for threshold in (np.nan, "high", [0.1, 0.2], ["0.1"] * N_LABELS, None):
        with pytest.raises(ValueError, match="threshold has shape"):
            model.set_params(threshold=threshold).predict(X)


@pytest.mark.parametrize("make", [fixed, tuned])
def test_estimators_of_several_outputs_are_refused_by_fit(make):
    forest = RandomForestClassifier(2, random_state=0)
    with pytest.raises(TypeError, match="has no array classes_ to rank"):
        make(max_labels=2).set_params(estimator=forest).fit(X, Y.toarray())


def test_frozen_estimators_are_used_as_they_are():
    frozen = FrozenEstimator(clf().fit(X[:48], Y[:48]))
    proba = frozen.predict_proba(X)
    model = MultiLabelFixedThresholdClassifier(frozen, threshold=0.2).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X).toarray(), proba > 0.2)
    model = MultiLabelTunedThresholdClassifierCV(frozen, cv=2).fit(X[48:], Y[48:])
    fitted = MultiLabelTunedThresholdClassifierCV(
        frozen.estimator, cv="prefit", refit=False
    ).fit(X[48:], Y[48:])
    assert model.best_threshold_ == fitted.best_threshold_


# ------------------------------------------------------------ a tuned threshold
@pytest.mark.parametrize("average", ["micro", "macro", "samples"])
def test_tuned_threshold_maximizes_f1_of_held_out_samples(average):
    model = tuned(scoring=f"f1_{average}").fit(X, Y)
    chosen, truth = [], []
    for train, test in MultiLabelStratifiedKFold(2).split(X, Y):
        chosen.append(clf().fit(X[train], Y[train]).predict_proba(X[test]))
        truth.append(Y[test].toarray())
    chosen, truth = np.vstack(chosen), np.vstack(truth)

    def f1(threshold):
        return f1_score(truth, chosen > threshold, average=average)

    assert model.best_score_ == pytest.approx(f1(model.best_threshold_))
    assert model.best_score_ >= max(map(f1, np.linspace(0.01, 0.99, 99))) - 1e-12
    assert model.best_score_ > f1(0.5)
    found = model.predict(X).toarray()
    np.testing.assert_array_equal(found, model.best_threshold_ < PROBA)


def test_thresholds_of_labels():
    shared = tuned(scoring="f1_macro").fit(X, Y)
    model = tuned(scoring="f1_macro", per_label=True, shrinkage=0.0).fit(X, Y)
    assert model.best_threshold_.shape == (N_LABELS,)
    assert model.best_score_ > shared.best_score_
    found = model.predict(X).toarray()
    # Those of predict_proba differ by their rounding, and a threshold may be as near.
    labels, ranked = FITTED.predict_topk(X, k=N_LABELS)
    proba = np.take_along_axis(ranked, np.argsort(labels, axis=1), axis=1)
    np.testing.assert_array_equal(found, proba > model.best_threshold_)
    shrunk = tuned(scoring="f1_macro", per_label=True, shrinkage=1e12).fit(X, Y)
    expected = np.full(N_LABELS, shared.best_threshold_)
    np.testing.assert_allclose(shrunk.best_threshold_, expected)


def test_thresholds_belong_to_classes_in_any_order():
    names = NAMES[::-1]
    frame = pd.DataFrame(Y.toarray(), columns=names)
    given = {"scoring": "f1_macro", "per_label": True}
    by_column = tuned(**given).fit(X, frame)
    by_name = tuned(**given).fit(
        X, [names[row.indices].tolist() for row in sp.csr_matrix(Y)]
    )
    assert by_name.classes_.tolist() == sorted(names)
    by_label = dict(zip(by_column.classes_, by_column.best_threshold_, strict=True))
    expected = [by_label[name] for name in by_name.classes_]
    np.testing.assert_allclose(by_name.best_threshold_, expected)


def test_max_labels_limits_predictions():
    model = tuned(max_labels=1).fit(X, Y)
    assert model.predict(X).sum(axis=1).max() == 1
    assert model.best_score_ < tuned().fit(X, Y).best_score_


def test_ways_to_hold_samples_out():
    half = tuned(cv=0.5, random_state=0).fit(X, Y)
    same = tuned(cv=0.5, random_state=0).fit(X, Y)
    other = tuned(cv=0.5, random_state=1).fit(X, Y)
    assert half.best_threshold_ == same.best_threshold_ != other.best_threshold_
    folds = list(MultiLabelStratifiedKFold(2).split(X, Y))
    for cv in (folds, MultiLabelStratifiedKFold(2)):
        assert (
            tuned(cv=cv).fit(X, Y).best_threshold_ == tuned().fit(X, Y).best_threshold_
        )
    default = tuned(cv=None).fit(X, Y)
    assert default.best_threshold_ == tuned(cv=5).fit(X, Y).best_threshold_


def test_estimator_without_the_held_out_samples():
    splitter = ShuffleSplit(1, test_size=0.5, random_state=0)
    [(train, _)] = splitter.split(X)
    model = tuned(cv=splitter, refit=False).fit(X, Y)
    expected = clf().fit(X[train], Y[train]).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    refitted = tuned(cv=splitter).fit(X, Y)
    np.testing.assert_array_equal(refitted.predict_proba(X), PROBA)
    assert refitted.best_threshold_ == model.best_threshold_


def test_fitted_estimator_is_used_as_it_is():
    inner = clf().fit(X[:48], Y[:48])
    model = MultiLabelTunedThresholdClassifierCV(inner, cv="prefit", refit=False)
    model.fit(X[48:], Y[48:])
    assert model.estimator_ is inner
    proba = inner.predict_proba(X[48:])
    expected = f1_score(Y[48:], proba > model.best_threshold_)
    assert model.best_score_ == pytest.approx(expected)


def test_sample_weights_reach_the_estimators_of_splits():
    weights = np.where(np.arange(len(X)) < 24, 1.0, 1e-6)
    weighted = tuned(cv=0.5, random_state=0).fit(X, Y, sample_weight=weights)
    plain = tuned(cv=0.5, random_state=0).fit(X, Y)
    assert weighted.best_threshold_ != plain.best_threshold_


@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "dok", "lil"])
def test_every_sparse_format_has_the_same_threshold(form):
    expected = tuned().fit(X, Y).best_threshold_
    samples, targets = sp.csr_matrix(X).asformat(form), Y.asformat(form)
    model = tuned().fit(samples, targets)
    assert model.best_threshold_ == pytest.approx(expected)
    assert type(model.predict(X)) is sp.csr_array


def test_splits_may_be_masks_or_an_iterator():
    is_test = np.arange(len(X)) % 2 == 0
    numbers = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    expected = tuned(cv=[numbers]).fit(X, Y).best_threshold_
    for cv in ([(~is_test, is_test)], iter([numbers])):
        assert tuned(cv=cv).fit(X, Y).best_threshold_ == expected


def test_labels_that_are_in_one_fold_only():
    rare = [["a"]] * 6 + [["b"]] * 5 + [["c", "a"]]
    given = {"scoring": "f1_macro", "per_label": True, "cv": KFold(2)}
    model = tuned(**given).fit(X[:12], rare)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert np.isfinite(model.best_threshold_).all()
    # The label that no fold finds has the threshold of all.
    assert (
        model.best_threshold_[2]
        == tuned(**given)
        .set_params(shrinkage=1e12)
        .fit(X[:12], rare)
        .best_threshold_[2]
    )


# ------------------------------------------------------------ errors
class WithoutScores(OneVsRestClassifier):
    """Predicts NaN, as a classifier does whose training has diverged."""

    def predict_proba(self, X):
        return super().predict_proba(X) * np.nan


@pytest.mark.parametrize("make", [fixed, tuned])
def test_scores_that_are_nan(make):
    inner = WithoutScores(LogisticRegression())
    with pytest.raises(ValueError, match="What WithoutScores predicts contains NaN"):
        make().set_params(estimator=inner).fit(X, Y).predict(X)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (fixed(threshold="high"), "'threshold' parameter"),
        (fixed(threshold=[0.1, 0.2]), r"threshold has shape \(2,\)"),
        (fixed(threshold=[np.nan] * N_LABELS), "none of which is NaN"),
        (fixed(max_labels=0), "'max_labels' parameter"),
        (tuned(scoring="f1"), "'scoring' parameter"),
        (tuned(cv=1.5), "'cv' parameter"),
        (tuned(shrinkage=-1), "'shrinkage' parameter"),
        (tuned(n_jobs=0.5), "'n_jobs' parameter"),
        (tuned(cv=[]), r"cv=\[\] has no splits"),
        (tuned(per_label=True), "per_label=True .* scoring='f1_macro'"),
        (tuned(refit=False), "refit=False needs the estimator of a single split"),
        (tuned(cv="prefit"), "cv='prefit' uses the estimator as it is"),
    ],
)
def test_errors_of_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


def test_errors_of_data():
    for model in (fixed(), tuned()):
        with pytest.raises(ValueError, match="y has one label per sample"):
            model.fit(X, np.arange(len(X)) % 3)
        with pytest.raises(NotFittedError):
            model.predict(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        tuned().fit(X[1:], Y)
    with pytest.raises(NotFittedError):
        tuned(cv="prefit", refit=False).fit(X, Y)
