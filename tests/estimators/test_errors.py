"""Bad data: the message says what and why, and the estimator stays as it was."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from error_checks import (
    Y_1D,
    Y_2D,
    C,
    D,
    N,
    X,
    both,
    check_error,
    check_fit_error,
    fitted,
    make,
    target,
)
from numpy.testing import assert_array_equal
from sklearn.exceptions import DataConversionWarning
from torch import nn

from skmhe import MHEClassifier, MHEMultiLabelClassifier


def with_value(array, value):
    array = np.array(array, dtype=float)
    array[3, 1] = value
    return array


# ------------------------------------------------------------ samples


@both
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("value", "match"), [(np.nan, "X contains NaN"), (np.inf, "X contains infinity")]
)
def test_x_is_not_finite(cls, value, match, sparse):
    bad = with_value(X, value)
    bad = sp.csr_matrix(bad) if sparse else bad
    check_fit_error(cls, match, bad, target(cls))
    clf = fitted(cls)
    for method in ["predict", "predict_proba", "predict_topk", "decision_function"]:
        check_error(clf, match, lambda clf, m=method: getattr(clf, m)(bad))
    check_error(clf, match, lambda clf: clf.partial_fit(bad, target(cls)))


@both
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_predicted_as_they_are_must_be_finite(cls, value):
    clf = fitted(cls)
    rows = sp.csr_array(with_value(X, value).astype(np.float32))
    match = "X contains NaN" if np.isnan(value) else "X contains infinity"
    check_error(clf, match, lambda clf: clf.predict_topk(rows))
    # Without it, the short way gives what the long one does.
    rows = sp.csr_array(X.astype(np.float32))
    for plain, other in zip(
        clf.predict_topk(rows), clf.predict_topk(rows.tocsc()), strict=True
    ):
        np.testing.assert_array_equal(plain, other)


@both
def test_x_is_too_large_for_float32(cls):
    with np.errstate(over="ignore"):
        check_fit_error(cls, "too large for dtype", with_value(X, 1e39), target(cls))


@both
def test_x_has_another_width(cls):
    clf = fitted(cls)
    match = f"X has {D - 1} features, but {cls.__name__} is expecting {D} features"
    for narrow in [X[:, :-1], sp.csr_array(X[:, :-1])]:
        for method in ["predict", "predict_proba", "predict_topk"]:
            check_error(clf, match, lambda clf, m=method, x=narrow: getattr(clf, m)(x))
        check_error(clf, match, lambda clf, x=narrow: clf.partial_fit(x, target(cls)))
    clf.set_params(warm_start=True)
    # A warm start that silently took other features would be another model.
    with pytest.raises(ValueError):
        clf.fit(X[:, :-1], target(cls))


@both
def test_x_is_empty(cls):
    y = target(cls)
    check_fit_error(cls, "0 sample", np.empty((0, D)), y[:0])
    check_fit_error(cls, "0 feature", np.empty((N, 0)), y)
    check_fit_error(cls, "0 sample", sp.csr_array((0, D)), y[:0])
    clf = make(cls).fit(X, y)
    check_error(clf, "0 sample", lambda clf: clf.predict(X[:0]))


@both
def test_x_is_one_dimensional(cls):
    check_fit_error(cls, "Expected 2D array, got 1D array", X[:, 0], target(cls))


@both
def test_x_holds_strings(cls):
    match = rf"X holds texts, such as 'a',.*make_pipeline\(.*{cls.__name__}\(\)\)"
    check_fit_error(cls, match, [["a"] * D] * N, target(cls))


TEXTS = ["a ship", "a dog that barks", "a cat", "an oil tanker"] * (N // 4)
FORMS_OF_TEXTS = {
    "list": list,
    "array": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "Series": pd.Series,
    "strings": lambda texts: pd.Series(texts, dtype="string"),
    "column": lambda texts: np.array(texts)[:, None],
    "DataFrame": lambda texts: pd.DataFrame({"number": 1.0, "text": texts}),
    "tokens": lambda texts: [text.split() for text in texts],
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@both
@pytest.mark.parametrize("form", FORMS_OF_TEXTS)
def test_x_holds_texts(cls, form):
    texts, name = FORMS_OF_TEXTS[form](TEXTS), cls.__name__
    match = (
        rf"^X holds texts, such as 'a( ship)?', but {name} needs numbers: use "
        rf"make_pipeline\(TfidfVectorizer\(\), {name}\(\)\) for a list of texts"
    )
    check_fit_error(cls, match, texts, target(cls))
    clf = fitted(cls)
    for method in ["predict", "predict_topk", "transform"]:
        check_error(clf, match, lambda clf, m=method: getattr(clf, m)(texts))
    check_error(clf, match, lambda clf: clf.partial_fit(texts, target(cls)))
    match = "^X holds texts, such as 'a.*pass token ids, integers of shape .* padded to"
    check_fit_error(cls, match, texts, target(cls), backbone=nn.Embedding(3, 2))


@both
def test_sparse_samples_of_a_backbone(cls):
    match = r"^X is sparse, but a backbone .*X.toarray\(\), the tokens .*Tokenizer"
    X = sp.csr_array(np.eye(N, 5))
    check_fit_error(cls, match, X, target(cls), TypeError, backbone=nn.Linear(5, 2))


@both
def test_x_has_more_dimensions(cls):
    match = (
        rf"X has shape \(40, 2, 3\), but {cls.__name__} takes \(n_samples, n_features\)"
        r": pass backbone=, a torch.nn.Module .*\(2, 3\); or X.reshape\(len\(X\), -1\)"
    )
    images = np.zeros((N, 2, 3))
    check_fit_error(cls, match, images, target(cls))
    check_error(fitted(cls), match, lambda clf: clf.predict(images))


@both
@pytest.mark.parametrize("backbone", [None, nn.Embedding(3, 2)])
def test_rows_of_x_have_different_lengths(cls, backbone):
    rows = [[1, 2], [1]] * (N // 2)
    match = "X has rows of different lengths.*pad tokens to one length"
    check_fit_error(cls, match, rows, target(cls), backbone=backbone)


@both
def test_a_sample_that_is_no_row(cls):
    check_error(fitted(cls), "Reshape your data", lambda clf: clf.predict(X[0]))


def sparse_objects(values, shape):
    """Return CSR of dtype object, which SciPy itself does not make any more."""
    matrix = sp.csr_matrix(np.ones(shape))
    matrix.data = np.resize(np.array(values, dtype=object), matrix.nnz)
    return matrix


@both
def test_sparse_x_of_objects(cls):
    # Whatever of the two refuses first, the dtype is named.
    match = "dtype object|could not convert string"
    check_fit_error(cls, match, sparse_objects(["a", "b"], (N, D)), target(cls))


# ------------------------------------------------------------ targets


@both
def test_y_is_none(cls):
    check_fit_error(cls, "requires y to be passed", X, None)


@both
@pytest.mark.parametrize("n", [N - 1, N + 1])
def test_y_has_another_length(cls, n):
    match = rf"inconsistent numbers of samples: \[{N}, {n}\]"
    check_fit_error(cls, match, X, np.arange(n) % C)
    if cls is MHEMultiLabelClassifier:
        check_fit_error(cls, match, X, np.eye(C, dtype=int)[np.arange(n) % C])
        check_fit_error(cls, match, X, sp.csr_array(np.eye(C)[np.arange(n) % C]))
        check_fit_error(cls, match, X, [["a"], ["a", "b"], []] + [["b"]] * (n - 3))


@both
@pytest.mark.parametrize(
    "y",
    [
        [np.nan] + [1.0, 2.0] * 20,
        [np.inf] + [1.0, 2.0] * 20,
        np.array([np.nan] + ["a", "b"] * 20, dtype=object),
        np.array([None] + ["a", "b"] * 20, dtype=object),
        pd.Series([None] + ["a", "b"] * 20),
        pd.Series([None] + [1, 2] * 20, dtype="float"),
    ],
    ids=["nan", "inf", "object nan", "object None", "Series None", "Series nan"],
)
def test_y_holds_a_missing_label(cls, y):
    check_fit_error(cls, "y contains NaN", X[[0, *range(N)]], y)


def test_y_holds_pandas_na():
    y = pd.Series(["a", "b"] * 19 + [pd.NA, "a"], dtype=object)
    check_fit_error(MHEClassifier, "y contains NaN", X, y)


@both
def test_y_has_one_class(cls):
    check_fit_error(cls, "y has one class, .*3.*at least 2", X, np.full(N, 3))
    check_fit_error(cls, "y has one class, .*'a'", X, np.full(N, "a"))


def test_partial_fit_with_one_class():
    check_error(make(), "class", lambda clf: clf.partial_fit(X, [0] * N, classes=[0]))


@both
def test_y_is_continuous(cls):
    check_fit_error(cls, "Unknown label type: continuous", X, X[:, 0])


@both
def test_y_mixes_types(cls):
    y = np.array([1, "a"] * 20, dtype=object)
    check_fit_error(cls, "label", X, y, error=(ValueError, TypeError))


def test_mixed_types_are_told_with_the_remedy():
    y = np.array([1, "a"] * 20, dtype=object)
    check_fit_error(MHEClassifier, r"astype\(str\)", X, y, error=TypeError)


def test_classifier_refuses_several_columns():
    match = r"y should be a 1d array.*, got shape \(40, 5\).*MultiLabel"
    check_fit_error(MHEClassifier, match, X, Y_2D)
    check_fit_error(MHEClassifier, match, X, pd.DataFrame(Y_2D))


def test_classifier_refuses_sparse_y():
    match = "one label per sample, got shape.*MHEMultiLabelClassifier"
    check_fit_error(MHEClassifier, match, X, sp.csr_matrix(Y_2D))
    check_fit_error(MHEClassifier, match, X, sp.csr_array(Y_1D[:, None]))


def test_classifier_refuses_lists_of_labels():
    match = "got lists of labels.*use MHEMultiLabelClassifier"
    check_fit_error(MHEClassifier, match, X, [[1], [1, 2]] * 20)


def test_column_of_labels_is_warned_of():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        clf = make().fit(X, Y_1D[:, None])
    assert_array_equal(clf.predict(X), make().fit(X, Y_1D).predict(X))


# ------------------------------------------------------------ multi-label targets

NOT_01 = "must be an indicator of zeros and ones.*values such as .*{}"


@pytest.mark.parametrize(
    ("y", "value"),
    [
        (2 * Y_2D, "2"),
        (-Y_2D, "-1"),
        (Y_2D * 0.5, "0.5"),
        (np.where(Y_2D, "yes", "no"), "no"),
        (sp.csr_matrix(2 * Y_2D), "2"),
        (sp.csr_array(Y_2D * 0.5), "0.5"),
        (np.where(Y_2D, np.inf, -np.inf), "-inf"),
        # Twice the same entry is 2.
        (sp.coo_array((np.ones(80), ([*range(40)] * 2, [0] * 80)), shape=(40, C)), "2"),
    ],
    ids=["2", "-1", "0.5", "str", "csr 2", "csr 0.5", "inf", "duplicates"],
)
def test_indicator_is_not_of_zeros_and_ones(y, value):
    error = "Unknown label type|" + NOT_01.format(value)
    check_fit_error(MHEMultiLabelClassifier, error, X, y)


def test_indicator_holds_nan():
    y = with_value(Y_2D, np.nan)
    check_fit_error(MHEMultiLabelClassifier, "y contains NaN", X, y)


def test_no_labels():
    match = "y has no columns .*at least one label"
    check_fit_error(MHEMultiLabelClassifier, match, X, sp.csr_array((N, 0)))
    check_fit_error(MHEMultiLabelClassifier, match, X, sp.csr_matrix((N, 0)))


def test_no_columns_in_a_dense_indicator():
    match = "y has no columns"
    check_fit_error(MHEMultiLabelClassifier, match, X, np.zeros((N, 0)))


def test_all_lists_are_empty():
    check_fit_error(MHEMultiLabelClassifier, "at least one label", X, [[]] * N)


def test_lists_mix_types():
    y = [["a", 1], ["a"]] * 20
    match = "'<' not supported|cannot be sorted"
    check_fit_error(MHEMultiLabelClassifier, match, X, y, error=TypeError)


@pytest.mark.parametrize("missing", [np.nan, None])
def test_lists_hold_a_missing_label(missing):
    y = [[1.0, missing], [1.0]] * 20
    check_fit_error(MHEMultiLabelClassifier, "y contains NaN", X, y)


def test_some_rows_are_no_lists():
    y = [["a", "b"], "a"] * 20
    check_fit_error(MHEMultiLabelClassifier, "mixes lists of labels", X, y)


def test_sparse_y_of_objects():
    y = sparse_objects([1], (N, C))
    match = "sparse matrix of dtype object.*astype"
    check_fit_error(MHEMultiLabelClassifier, match, X, y)


@pytest.mark.parametrize(
    "y",
    [Y_2D, sp.csr_matrix(Y_2D), [["a", "b"], ["a"]] * 20],
    ids=["2d", "csr", "list"],
)
def test_product_is_for_one_label_per_sample(y):
    match = "strategy='product' is for one label per sample.*'cascade', 'sampling' or"
    check_fit_error(MHEMultiLabelClassifier, match, X, y, strategy="product")


# ------------------------------------------------------------ partial_fit


def test_first_partial_fit_needs_classes():
    check_error(
        make(), r"classes=None.*np\.unique", lambda clf: clf.partial_fit(X, Y_1D)
    )


@pytest.mark.parametrize("unseen", [C, -1, "x"])
def test_unseen_labels(unseen):
    y = np.array([unseen] * N)
    match = f"not among the {C} known ones, such as .*{unseen}.*fit again"
    check_error(make(), match, lambda clf: clf.partial_fit(X, y, classes=np.arange(C)))
    clf = fitted()
    check_error(clf, match, lambda clf: clf.partial_fit(X, y))


def test_unseen_labels_in_lists():
    lists = [["a"], ["a", "b"]] * 20
    clf = make(MHEMultiLabelClassifier).fit(X, lists)
    match = r"not among the 2 known ones, such as \['c'\]"
    check_error(clf, match, lambda clf: clf.partial_fit(X, [["c"], ["a", "b"]] * 20))


def test_number_of_columns_changes():
    clf = fitted(MHEMultiLabelClassifier)
    match = "with 4 columns, but there are 5 labels"
    for y in [Y_2D[:, :4], sp.csr_array(Y_2D[:, :4])]:
        check_error(clf, match, lambda clf, y=y: clf.partial_fit(X, y))


@both
def test_classes_change(cls):
    clf = fitted(cls)
    match = "classes has 6 labels, .* that are not the 5 of the first"
    check_error(
        clf, match, lambda clf: clf.partial_fit(X, target(cls), classes=range(6))
    )


def test_kind_of_y_changes():
    clf = fitted(MHEMultiLabelClassifier)
    check_error(
        clf,
        r"y is one label per sample.* fitted to an indicator",
        lambda clf: clf.partial_fit(X, Y_1D),
    )


@both
def test_balanced_weights_need_all_samples(cls):
    match = "class_weight='balanced' cannot be used in partial_fit.*dict"
    check_error(
        make(cls, class_weight="balanced"),
        match,
        lambda clf: clf.partial_fit(X, target(cls), classes=np.arange(C)),
    )
