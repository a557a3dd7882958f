"""What users pass as samples, targets, weights and features of labels."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning

from skmhe.estimators.restore import unchanged_on_error
from skmhe.estimators.validation import samples
from skmhe.estimators.validation.label_features import (
    check_added_labels,
    check_label_features,
    set_aside,
)
from skmhe.estimators.validation.samples import (
    check_fit_samples,
    check_k,
    check_predict_samples,
    check_weight,
)
from skmhe.estimators.validation.targets import (
    Target,
    check_classes,
    check_label_weight,
    check_target,
)

N, D, C = 6, 4, 3
X = np.random.RandomState(0).randn(N, D)
Y_1D = np.arange(N) % C
Y_2D = np.eye(C, dtype=int)[Y_1D]


class Estimator(BaseEstimator):
    pass


class Tokens:
    """Stands for a fitted `UserBackbone`."""

    def check_inputs(self, X):
        if X.dtype.kind != "i":
            raise ValueError("no tokens")


# ------------------------------------------------------------ methods


def test_nothing_changes_on_errors():
    class Fitted(BaseEstimator):
        @unchanged_on_error
        def fit(self, fails):
            """Fit."""
            self.new_, self.old = 1, 2
            if fails:
                raise KeyboardInterrupt

    clf = Fitted()
    clf.old = 1
    with pytest.raises(KeyboardInterrupt):
        clf.fit(True)
    assert vars(clf) == {"old": 1}
    clf.fit(False)
    assert vars(clf) == {"old": 2, "new_": 1}
    assert Fitted.fit.__doc__ == "Fit."


# ------------------------------------------------------------ samples


def fitted_samples(X, has_backbone=False):
    clf = Estimator()
    return clf, check_fit_samples(clf, X, has_backbone)


def test_dense_samples():
    clf, rows = fitted_samples(np.asfortranarray(X))
    assert (rows.dtype, rows.flags.c_contiguous) == (np.float32, True)
    assert_array_equal(rows, X.astype(np.float32))
    assert clf.n_features_in_ == D


def test_sparse_samples_are_canonical_and_the_users_are_left_alone():
    given = sp.csr_matrix(
        (np.array([2.0, 1.0, 0.0, 3.0]), [1, 0, 2, 1], [0, 3, 4]), shape=(2, D)
    )
    before = given.copy()
    _, rows = fitted_samples(given)
    assert isinstance(rows, sp.csr_array)
    assert rows.has_canonical_format
    assert (rows.nnz, rows.dtype) == (3, np.float32)
    assert_array_equal(rows.toarray(), before.toarray())
    assert_array_equal(given.indices, before.indices)
    assert given.nnz == 4


# The last is too large for float32.
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_samples_must_be_finite(value, form):
    bad = X.copy()
    bad[3, 1] = value
    with pytest.raises(ValueError, match="X contains"):
        fitted_samples(form(bad))
    clf, _ = fitted_samples(X)
    with pytest.raises(ValueError, match="X contains"):
        check_predict_samples(clf, form(bad.astype(np.float32)))
    with pytest.raises(ValueError, match="X contains"):
        check_predict_samples(clf, form(bad))


def test_other_samples_than_those_that_were_fitted():
    clf, _ = fitted_samples(pd.DataFrame(X, columns=list("abcd")))
    with pytest.raises(ValueError, match="feature names"):
        check_predict_samples(clf, pd.DataFrame(X, columns=list("abce")))
    clf, _ = fitted_samples(X)
    for bad in (X[:, :2], sp.csr_array(X[:, :2], dtype=np.float32)):
        with pytest.raises(ValueError, match="X has 2 features"):
            check_predict_samples(clf, bad)


def test_rows_that_are_as_wanted_take_the_short_way(monkeypatch):
    clf, _ = fitted_samples(X)
    given = sp.csr_matrix(X)  # of float64, as vectorizers make them
    plain = sp.csr_array(given.astype(np.float32))
    wanted = check_predict_samples(clf, plain.tocsc())
    monkeypatch.setattr(samples, "validate_data", None)
    for form in (plain, given):
        rows = check_predict_samples(clf, form)
        assert rows.dtype == np.float32
        assert_array_equal(rows.toarray(), wanted.toarray())
    with pytest.raises(TypeError):
        check_predict_samples(clf, plain.astype(np.int64))
    # A user's backbone takes none that are sparse.
    with pytest.raises(TypeError):
        check_predict_samples(clf, plain, Tokens())


def test_samples_of_a_backbone():
    images = np.arange(24.0).reshape(2, 3, 4)
    _, rows = fitted_samples(images, has_backbone=True)
    assert (rows.shape, rows.dtype) == ((2, 3, 4), np.float32)
    clf, tokens = fitted_samples([[1, 2], [3, 4]], has_backbone=True)
    assert tokens.dtype == np.int64
    assert check_predict_samples(clf, tokens, Tokens()) is not None
    with pytest.raises(ValueError, match="no tokens"):
        check_predict_samples(clf, tokens.astype(float), Tokens())
    with pytest.raises(ValueError, match="NaN"):
        fitted_samples(np.where(images > 9, np.nan, images), has_backbone=True)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        fitted_samples(sp.csr_array(X), has_backbone=True)


# ------------------------------------------------------------ weights and numbers


def test_weights_have_a_mean_of_1_above_0():
    assert check_weight(None, X) is None
    weight = check_weight([0, 2, 4, 0, 0, 0], X)
    assert_array_equal(weight, np.array([0, 2, 4, 0, 0, 0]) / 3)
    assert_array_equal(check_weight(2.5, X), np.ones(N))


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.full(N, -1.0), "Negative values.*sample_weight"),
        (np.zeros(N), "at least one non-zero|0 for every sample"),
        (np.ones(N - 1), "sample_weight.shape"),
        (np.full(N, np.nan), "NaN"),
    ],
)
def test_weights_are_bad(weight, match):
    with pytest.raises(ValueError, match=match):
        check_weight(weight, X)


def test_k():
    assert check_k(np.int64(3), 3) == 3
    assert (check_k(None, 3), check_k(None, 9)) == (3, 5)
    for k in [0, 4, -1, 1.0, True, "1"]:
        with pytest.raises(ValueError, match=rf"k={k!r} must be an integer from 1"):
            check_k(k, 3)


# ------------------------------------------------------------ targets


def test_labels():
    target = check_target(np.array(["b", "a", "b"]), 3, multilabel=False)
    assert_array_equal(target.y, [1, 0, 1])
    assert target.classes.tolist() == ["a", "b"]
    assert (target.kind, target.multilabel, target.is_indicator) == (
        "labels",
        False,
        False,
    )
    assert check_target([0, 1], 2, True).kind == "labels"
    with pytest.warns(DataConversionWarning):
        check_target(np.array([[0], [1]]), 2, False)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_indicators(form):
    target = check_target(form(Y_2D.astype(np.uint8)), N, multilabel=True)
    assert_array_equal(target.y.toarray(), Y_2D)
    assert target.y.dtype == np.float32
    assert_array_equal(target.classes, np.arange(C))
    assert target.dtype == np.uint8
    assert target.container is (None if form is np.asarray else form)
    assert target.is_indicator
    known = np.array([3, 4, 5])
    assert_array_equal(check_target(form(Y_2D), N, True, known).classes, known)


def test_lists_of_labels():
    target = check_target([["b", "a"], [], ["b", "b"]], 3, multilabel=True)
    assert target.kind == "lists"
    assert_array_equal(target.y.toarray(), [[1, 1], [0, 0], [0, 1]])
    # An indicator, unless earlier calls tell otherwise.
    assert check_target([[0, 1], [1, 0]], 2, True).kind == "dense"
    form = Target(None, np.array([0, 1]), "lists")
    target = check_target([[0, 1], [1, 0]], 2, True, None, form.classes, form)
    assert target.kind == "lists"
    # Of lists of names, it can only be an indicator.
    form = Target(None, np.array(["a", "b"]), "lists")
    target = check_target([[0, 1], [1, 0]], 2, True, None, form.classes, form)
    assert_array_equal(target.y.toarray(), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("y", "multilabel", "match"),
    [
        (None, False, "requires y to be passed"),
        (np.full(N, 3), False, "y has one class, 3: .*at least 2"),
        (np.full(N, "a"), True, "y has one class, 'a'"),
        (np.arange(N + 1), False, "inconsistent numbers of samples"),
        ([np.nan, 1, 2, 1, 2, 1], False, "y contains NaN"),
        (np.array([None, "a"] * 3, dtype=object), False, "y contains NaN"),
        (X[:, 0], False, "Unknown label type"),
        (Y_2D, False, "y should be a 1d array.*multi-label y.*MultiLabelClassifier"),
        (sp.csr_array(Y_2D), False, "with one label per sample.*MultiLabelClassifier"),
        ([[1], [1, 2]] * 3, False, "got lists of labels.*MHEMultiLabelClassifier"),
        (2 * Y_2D, True, "Unknown label|zeros and ones.*values such as .*2"),
        (sp.csr_array(2 * Y_2D), True, "zeros and ones .one column per label.*2"),
        (sp.csr_array((N, 0)), True, "y has no columns .*at least one label"),
        ([[]] * N, True, "label"),
        ([["a", None], ["a"]] * 3, True, "y contains NaN"),
    ],
)
def test_targets_are_bad(y, multilabel, match):
    with pytest.raises(ValueError, match=match):
        check_target(y, N, multilabel)


def test_types_that_cannot_be_sorted():
    y = np.array([1, "a"] * 3, dtype=object)
    with pytest.raises(TypeError, match=r"\['int', 'str'\].*astype\(str\)"):
        check_target(y, N, multilabel=False)


def test_labels_that_are_not_known():
    for y, multilabel in [([0, 9] * 3, False), ([[0], [0, 9]] * 3, True)]:
        with pytest.raises(ValueError, match=r"not among the 3 known.*\[9\].*classes="):
            check_target(y, N, multilabel, np.arange(3))
    with pytest.raises(ValueError, match="with 3 columns, but there are 4 labels"):
        check_target(Y_2D, N, True, np.arange(4))


def test_label_weights():
    target = check_target([0, 0, 0, 1], 4, False)
    assert check_label_weight(None, target, None) is None
    assert_array_equal(check_label_weight({1: 3.0}, target, None), [1, 3])
    assert_array_equal(check_label_weight("balanced", target, None), [4 / 6, 2])
    weight = np.array([1.0, 1, 1, 3])
    assert_array_equal(check_label_weight("balanced", target, weight), [1, 1])
    target = check_target(np.array([[1, 1], [1, 0], [1, 0]]), 3, True)
    assert_array_equal(check_label_weight("balanced", target, None), [4 / 6, 2])
    late = target._replace(all_classes=np.array([0, 1, 7]))
    assert_array_equal(check_label_weight({7: 2.0}, late, None), [1, 1])


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ({0: -1.0}, r"class_weight\[0\]=-1.0 must be a finite number"),
        ({0: np.inf}, "class_weight"),
        ({0: "a"}, "class_weight"),
        ({"x": 1.0}, r"no key that is a label, but \['x'\].*labels are \[0, 1"),
    ],
)
def test_label_weights_are_bad(class_weight, match):
    with pytest.raises(ValueError, match=match):
        check_label_weight(class_weight, check_target([0, 1], 2, False), None)


# ------------------------------------------------------------ features of labels

Z = np.arange(1.0, 7.0).reshape(3, 2)


def unit(Z):
    return (Z / np.linalg.norm(Z, axis=1, keepdims=True)).astype(np.float32)


KNOWN = SimpleNamespace(label_features=np.ones((3, 2)), label_network=None)


def test_label_features():
    target = check_target([0, 1, 2], 3, False)
    rows, same = check_label_features(Z, target, False)
    assert_array_equal(rows, Z.astype(np.float32))
    assert_array_equal(same.classes, target.classes)
    rows, _ = check_label_features(sp.csr_array(Z), target, False)
    assert isinstance(rows, sp.csr_array)


def test_label_features_are_aligned_by_an_index():
    target = check_target(["a", "b"], 2, False)
    frame = pd.DataFrame(Z, index=["c", "a", "b"])
    rows, more = check_label_features(frame, target, False)
    assert_array_equal(rows, Z[[1, 2, 0]].astype(np.float32))
    assert more.classes.tolist() == ["a", "b", "c"]
    assert_array_equal(more.y, [0, 1])
    kept, trained, late = set_aside(rows, more)
    assert kept.classes.tolist() == ["a", "b"]
    assert kept.all_classes.tolist() == ["a", "b", "c"]
    assert (len(trained), len(late)) == (2, 1)


def test_integers_may_have_more_rows():
    target = check_target([[0, 2], [2], []], 3, True)
    rows, more = check_label_features(Z, target, False)
    assert_array_equal(more.y.toarray(), [[1, 0, 1], [0, 0, 1], [0, 0, 0]])
    kept, trained, late = set_aside(rows, more)
    assert_array_equal(kept.y.toarray(), [[1, 1], [0, 1], [0, 0]])
    assert_array_equal(kept.all_classes, [0, 1, 2])
    assert (len(trained), len(late)) == (2, 1)


@pytest.mark.parametrize(
    ("features", "y", "match"),
    [
        (Z[:2], [0, 1, 2], "has 2 rows, but y has 3 labels.*one row per label"),
        (Z, ["a", "b"], "has 3 rows, but y has 2 labels"),
        (pd.DataFrame(Z, index=list("aab")), ["a", "b"], "2 rows for the label 'a'"),
        (pd.DataFrame(Z, index=list("abc")), ["a", "d"], "no row for 1 of the 2"),
        (
            pd.DataFrame(Z, index=[0, 1, np.nan]),
            [0, 1],
            "has nan at place 2, but every",
        ),
        (Z * np.nan, [0, 1, 2], "label_features contains NaN"),
    ],
)
def test_label_features_are_bad(features, y, match):
    with pytest.raises(ValueError, match=match):
        check_label_features(features, check_target(y, len(y), False), False)


def test_an_index_has_more_labels_than_an_indicator():
    with pytest.raises(ValueError, match="names 4 labels, but y has 3 columns"):
        check_label_features(
            pd.DataFrame(np.ones((4, 2))), check_target(Y_2D, N, True), False
        )


def test_added_labels():
    target = Target(None, np.arange(3), "labels")
    rows, names = check_added_labels(Z, None, target, KNOWN)
    np.testing.assert_allclose(rows, unit(Z), rtol=1e-6)
    assert_array_equal(names, [3, 4, 5])
    frame = pd.DataFrame(Z, index=[7, 8, 9])
    assert_array_equal(check_added_labels(frame, None, target, KNOWN)[1], [7, 8, 9])
    indicator = target._replace(kind="dense")
    assert_array_equal(check_added_labels(frame, None, indicator, KNOWN)[1], [3, 4, 5])
    strings = Target(None, np.array(["a"]), "lists")
    names = check_added_labels(Z, ["b", "c", "long"], strings, KNOWN)[1]
    assert names.tolist() == ["b", "c", "long"]


@pytest.mark.parametrize(
    ("labels", "classes", "kind", "match"),
    [
        (None, ["a"], "labels", "no integers that could go on"),
        ([4], [0, 1], "labels", r"labels has shape \(1,\), but .* 3 rows"),
        (
            ["a", "b", "c"],
            [0, 1],
            "labels",
            "labels of type str.*those of type number",
        ),
        ([4, 4, 5], [0, 1], "labels", r"labels=\[4, 4, 5\] has 4, which is repeated"),
        ([4, 1, 5], [0, 1], "labels", r"labels=\[4, 1, 5\] has 1, which is repeated"),
        ([4.5, 5, 6], [0, 1], "labels", "cannot be of type int"),
        ([4, 5, 6], [0, 1], "dense", r"\[4, 5, 6\] would be new columns.*\[2, 3, 4\]"),
    ],
)
def test_added_labels_are_bad(labels, classes, kind, match):
    with pytest.raises(ValueError, match=match):
        check_added_labels(Z, labels, Target(None, np.array(classes), kind), KNOWN)


def test_added_labels_need_the_same_features():
    known = SimpleNamespace(label_features=np.ones((3, 5)), label_network=None)
    with pytest.raises(ValueError, match=r"has 2 features, but .* have 5"):
        check_added_labels(Z, None, Target(None, np.arange(3), "labels"), known)


def test_labels_of_all_samples_as_classes():
    given = check_classes(["b", "a", "b"], None, multilabel=False)
    assert_array_equal(given, ["b", "a"])
