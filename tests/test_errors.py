"""Bad input: the message says what and why, and the estimator stays as it was."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import DataConversionWarning

from skmhe import LabelCodec, MHEClassifier, MHEMultiLabelClassifier, _training

N, D, C = 40, 4, 5
BOTH = [MHEClassifier, MHEMultiLabelClassifier]
both = pytest.mark.parametrize("cls", BOTH)

rng = np.random.RandomState(0)
X = X_FINE = rng.randn(N, D)
Y_1D = np.arange(N) % C
Y_2D = np.eye(C, dtype=int)[Y_1D]


def make(cls=MHEClassifier, **params):
    base = {
        "strategy": "cascade",
        "hidden_layer_sizes": (4,),
        "dropout": 0.1,
        "batch_size": 20,
        "max_iter": 2,
        "random_state": 0,
    }
    return cls(**(base | params))


def target(cls):
    return Y_1D if cls is MHEClassifier else Y_2D


def with_value(array, value):
    array = np.array(array, dtype=float)
    array[3, 1] = value
    return array


# ------------------------------------------------------------ nothing changes


def same(a, b):
    """Compare all that an estimator consists of, to the last bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.random.RandomState):
        return same(a.get_state(), b.get_state())
    if isinstance(a, LabelCodec):
        return same(vars(a), vars(b))
    return a == b


def test_same_sees_every_difference():
    clf = make().fit(X, Y_1D)
    before = copy.deepcopy(vars(clf))
    assert same(vars(clf), before)
    clf.weights_["head.biases.0"][0] += 1e-6
    assert not same(vars(clf), before)
    clf.weights_["head.biases.0"][:] = before["weights_"]["head.biases.0"]
    assert same(vars(clf), before)
    clf._random_state.rand()
    assert not same(vars(clf), before)


def check_error(clf, match, call, error=ValueError):
    """Check that a call fails with a message and leaves the estimator alone."""
    before = copy.deepcopy(vars(clf))
    with pytest.raises(error, match=match):
        call(clf)
    assert same(vars(clf), before)


def check_fit_error(cls, match, X, y, error=ValueError, sample_weight=None, **params):
    """Do so for fit, with an estimator that is not fitted and with one that is."""

    def fit(clf):
        clf.fit(X, y, sample_weight=sample_weight)

    check_error(make(cls, **params), match, fit, error)
    fitted = make(cls).fit(X_FINE, target(cls)).set_params(**params)
    before = make(cls).fit(X_FINE, target(cls)).predict_proba(X_FINE)
    check_error(fitted, match, fit, error)
    # So that one can still predict, the parameters of the fit are put back.
    defaults = make(cls).get_params()
    fitted.set_params(**{name: defaults[name] for name in params})
    assert_array_equal(fitted.predict_proba(X_FINE), before)


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
    fitted = make(cls).fit(X, target(cls))
    for method in ["predict", "predict_proba", "predict_topk", "decision_function"]:
        check_error(fitted, match, lambda clf, m=method: getattr(clf, m)(bad))
    check_error(fitted, match, lambda clf: clf.partial_fit(bad, target(cls)))


@both
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_predicted_as_they_are_must_be_finite(cls, value):
    fitted = make(cls).fit(X, target(cls))
    rows = sp.csr_array(with_value(X, value).astype(np.float32))
    match = "X contains NaN" if np.isnan(value) else "X contains infinity"
    check_error(fitted, match, lambda clf: clf.predict_topk(rows))
    # Without it, the short way gives what the long one does.
    rows = sp.csr_array(X.astype(np.float32))
    for plain, other in zip(
        fitted.predict_topk(rows), fitted.predict_topk(rows.tocsc()), strict=True
    ):
        np.testing.assert_array_equal(plain, other)


@both
def test_x_is_too_large_for_float32(cls):
    with np.errstate(over="ignore"):
        check_fit_error(cls, "too large for dtype", with_value(X, 1e39), target(cls))


@both
def test_x_has_another_width(cls):
    fitted = make(cls).fit(X, target(cls))
    match = f"X has {D - 1} features, but {cls.__name__} is expecting {D} features"
    for narrow in [X[:, :-1], sp.csr_array(X[:, :-1])]:
        for method in ["predict", "predict_proba", "predict_topk"]:
            check_error(
                fitted, match, lambda clf, m=method, x=narrow: getattr(clf, m)(x)
            )
        check_error(
            fitted, match, lambda clf, x=narrow: clf.partial_fit(x, target(cls))
        )
    fitted.set_params(warm_start=True)
    # A warm start that silently took other features would be another model.
    with pytest.raises(ValueError):
        fitted.fit(X[:, :-1], target(cls))


@both
def test_x_is_empty(cls):
    y = target(cls)
    check_fit_error(cls, "0 sample", np.empty((0, D)), y[:0])
    check_fit_error(cls, "0 feature", np.empty((N, 0)), y)
    check_fit_error(cls, "0 sample", sp.csr_array((0, D)), y[:0])
    fitted = make(cls).fit(X, y)
    check_error(fitted, "0 sample", lambda clf: clf.predict(X[:0]))


@both
def test_x_is_one_dimensional(cls):
    check_fit_error(cls, "Expected 2D array, got 1D array", X[:, 0], target(cls))


@both
def test_x_holds_strings(cls):
    check_fit_error(cls, "could not convert string", [["a"] * D] * N, target(cls))


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
    match = r"y should be a 1d array, got an array of shape \(40, 5\).*MultiLabel"
    check_fit_error(MHEClassifier, match, X, Y_2D)
    check_fit_error(MHEClassifier, match, X, pd.DataFrame(Y_2D))


def test_classifier_refuses_sparse_y():
    match = "y is a sparse matrix.*one label a sample.*MHEMultiLabelClassifier"
    check_fit_error(MHEClassifier, match, X, sp.csr_matrix(Y_2D))
    check_fit_error(MHEClassifier, match, X, sp.csr_array(Y_1D[:, None]))


def test_classifier_refuses_lists_of_labels():
    match = "rows of different lengths.*MHEMultiLabelClassifier takes lists"
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
        (sp.csr_matrix(with_value(Y_2D, np.nan)), "nan"),
        # Twice the same entry is 2.
        (sp.coo_array((np.ones(80), ([*range(40)] * 2, [0] * 80)), shape=(40, C)), "2"),
    ],
    ids=["2", "-1", "0.5", "str", "csr 2", "csr 0.5", "csr nan", "duplicates"],
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


def test_lists_that_are_all_empty_are_an_error_in_any_case():
    check_fit_error(MHEMultiLabelClassifier, "label", X, [[]] * N)


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
    check_fit_error(MHEMultiLabelClassifier, "different lengths", X, y)


def test_sparse_y_of_objects():
    y = sparse_objects([1], (N, C))
    match = "sparse matrix of dtype object.*astype"
    check_fit_error(MHEMultiLabelClassifier, match, X, y)


@pytest.mark.parametrize(
    "y",
    [Y_2D, sp.csr_matrix(Y_2D), [["a", "b"], ["a"]] * 20],
    ids=["2d", "csr", "list"],
)
def test_product_is_for_one_label_a_sample(y):
    match = "strategy='product' is for one label a sample.*'cascade', 'sampling' or"
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
    fitted = make().fit(X, Y_1D)
    check_error(fitted, match, lambda clf: clf.partial_fit(X, y))


def test_unseen_labels_in_lists():
    lists = [["a"], ["a", "b"]] * 20
    fitted = make(MHEMultiLabelClassifier).fit(X, lists)
    match = r"not among the 2 known ones, such as \['c'\]"
    check_error(fitted, match, lambda clf: clf.partial_fit(X, [["c"], ["a", "b"]] * 20))


def test_number_of_columns_changes():
    fitted = make(MHEMultiLabelClassifier).fit(X, Y_2D)
    match = "y has 4 columns, but this estimator has 5 labels"
    for y in [Y_2D[:, :4], sp.csr_array(Y_2D[:, :4])]:
        check_error(fitted, match, lambda clf, y=y: clf.partial_fit(X, y))


@both
def test_classes_change(cls):
    fitted = make(cls).fit(X, target(cls))
    match = "classes has 6 labels that are not the 5 of the first call"
    check_error(
        fitted, match, lambda clf: clf.partial_fit(X, target(cls), classes=range(6))
    )


def test_kind_of_y_changes():
    fitted = make(MHEMultiLabelClassifier).fit(X, Y_2D)
    check_error(
        fitted,
        r"y has 5 labels \(labels\) that are not the 5 \(dense\)",
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


# ------------------------------------------------------------ warm start


@both
def test_warm_start_refuses_other_labels(cls):
    fitted = make(cls, warm_start=True).fit(X, target(cls))
    y = Y_1D % 3 if cls is MHEClassifier else Y_2D[:, :3]
    match = r"y has 3 labels .*not the 5 .*warm_start=False"
    check_error(fitted, match, lambda clf: clf.fit(X, y))


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": (5,)},
        {"hidden_layer_sizes": ()},
        {"strategy": "full"},
        {"activation": "tanh"},
    ],
    ids=str,
)
@both
def test_warm_start_refuses_another_architecture(cls, params):
    fitted = make(cls, warm_start=True).fit(X, target(cls))
    fitted.set_params(**params)
    match = "shapes the network and was changed.*warm_start=False"
    check_error(fitted, match, lambda clf: clf.fit(X, target(cls)))
    check_error(fitted, match, lambda clf: clf.partial_fit(X, target(cls)))


@pytest.mark.parametrize("params", [{"n_heads": 3}, {"head_sizes": (5, 1)}], ids=str)
def test_warm_start_refuses_other_heads(params):
    fitted = make(warm_start=True).fit(X, Y_1D).set_params(**params)
    check_error(fitted, "warm_start=False", lambda clf: clf.fit(X, Y_1D))


# ------------------------------------------------------------ weights


@both
def test_sample_weight_is_bad(cls):
    y = target(cls)
    check_fit_error(
        cls, "Negative values.*sample_weight", X, y, sample_weight=np.full(N, -1.0)
    )
    check_fit_error(
        cls, "at least one non-zero|0 for every sample", X, y, sample_weight=np.zeros(N)
    )
    check_fit_error(cls, "sample_weight.shape", X, y, sample_weight=np.ones(N - 1))
    check_fit_error(cls, "NaN", X, y, sample_weight=np.full(N, np.nan))


@pytest.mark.parametrize("value", [-1.0, np.inf, "a"])
@both
def test_class_weight_is_bad(cls, value):
    match = "class_weight"
    check_fit_error(cls, match, X, target(cls), class_weight={0: value})


@both
def test_class_weight_names_no_label(cls):
    match = r"class_weight has keys that are no labels: \['x'\].*The labels are \[0, 1"
    check_fit_error(cls, match, X, target(cls), class_weight={0: 2.0, "x": 1.0})


# ------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    ("head_sizes", "match"),
    [
        ((-2, 3), r"head_sizes must be .*positive integers.*got \(-2, 3\)"),
        ((0, 9), r"positive integers.*got \(0, 9\)"),
        ((2.5, 3), r"positive integers.*got \(2.5, 3\)"),
        ((True, 9), r"positive integers.*got \(True, 9\)"),
        (("a", "b"), "positive integers"),
        ((), r"positive integers.*got \(\)"),
        ((2, 2), r"\(2, 2\) can name 4 labels, but there are 5.*n_heads"),
    ],
    ids=str,
)
@both
def test_head_sizes_are_bad(cls, head_sizes, match):
    for strategy in ["cascade", "sampling", "full"]:
        check_fit_error(
            cls, match, X, target(cls), strategy=strategy, head_sizes=head_sizes
        )


@pytest.mark.parametrize("head_sizes", [(2, 10**15), (10**15, 2), (2, C + 1)], ids=str)
@pytest.mark.parametrize("strategy", ["cascade", "product", "sampling", "full"])
def test_head_sizes_are_absurd(strategy, head_sizes):
    match = f"{max(head_sizes)}, longer than the number of labels, {C}.*head_sizes=None"
    check_fit_error(
        MHEClassifier, match, X, Y_1D, strategy=strategy, head_sizes=head_sizes
    )


@both
def test_cascade_needs_two_heads(cls):
    y = target(cls)
    match = "n_heads=1, but strategy='cascade' needs at least 2 heads.*'full'"
    check_fit_error(cls, match, X, y, n_heads=1)
    match = r"head_sizes=\(5,\) has one head.*strategy='full'"
    check_fit_error(cls, match, X, y, head_sizes=(5,))


@pytest.mark.parametrize("value", [(0,), (-3,), (2.5,), ("a",), (4, 0)], ids=str)
@both
def test_hidden_layer_sizes_are_bad(cls, value):
    match = "hidden_layer_sizes=.*must hold positive integers"
    check_fit_error(cls, match, X, target(cls), hidden_layer_sizes=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strategy", "tree"),
        ("n_heads", 0),
        ("beam_width", 0),
        ("n_sampled_groups", -1),
        ("label_order", "best"),
        ("activation", "gelu"),
        ("dropout", 1.0),
        ("input_dropout", -0.1),
        ("alpha", -1.0),
        ("batch_size", 0),
        ("learning_rate", "adaptive"),
        ("learning_rate_init", 0.0),
        ("max_iter", 0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("tol", -1.0),
        ("device", 0),
    ],
)
@both
def test_parameter_out_of_range(cls, name, value):
    match = f"The '{name}' parameter of {cls.__name__} must be .*{value}"
    check_fit_error(cls, match, X, target(cls), **{name: value})


@pytest.mark.parametrize("k", [0, -1, C + 1, 10**12, 1.0, 2.5, True, "1", None])
@both
def test_k_is_out_of_range(cls, k):
    fitted = make(cls).fit(X, target(cls))
    match = rf"k={k!r} must be an integer in 1\.\.{C}"
    check_error(fitted, match, lambda clf: clf.predict_topk(X, k=k))
    assert fitted.predict_topk(X, k=np.int64(C))[0].shape == (N, C)


@both
def test_beam_width_is_spoilt_after_fitting(cls):
    fitted = make(cls).fit(X, target(cls)).set_params(beam_width=0)
    check_error(fitted, "beam_width", lambda clf: clf.predict_topk(X, k=1))


@both
def test_nothing_to_hold_out(cls):
    match = "early_stopping=True with validation_fraction=0.9.*leaves no samples"
    small = X[:C], target(cls)[:C]
    if cls is MHEMultiLabelClassifier:
        small = X[:1], Y_2D[:1]  # any of the samples may be held out, but not all
    check_fit_error(cls, match, *small, early_stopping=True, validation_fraction=0.9)


# ------------------------------------------------------------ devices


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@both
def test_cuda_is_absent(cls, no_cuda):
    match = "device='cuda(:1)?' was asked for, but torch finds 0 CUDA.*device='cpu'"
    for device in ["cuda", "cuda:1"]:
        check_fit_error(cls, match, X, target(cls), device=device)
    # An estimator that was fitted elsewhere tells the same.
    fitted = make(cls).fit(X, target(cls)).set_params(device="cuda")
    check_error(fitted, match, lambda clf: clf.predict(X))


@both
def test_device_is_unknown(cls):
    match = "device='nonsense' is not a device that torch knows.*device='auto'"
    check_fit_error(cls, match, X, target(cls), device="nonsense")


# ------------------------------------------------------------ divergence


@pytest.mark.parametrize("learning_rate_init", [1e20, 1e30])
@both
def test_training_diverges(cls, learning_rate_init):
    match = "Training diverged: the loss became .*StandardScaler.*learning_rate_init=1e"
    check_fit_error(
        cls, match, X, target(cls), learning_rate_init=learning_rate_init, max_iter=5
    )


@both
def test_the_last_step_diverges(cls):
    # One step: its loss is fine, the weights that it leaves are not.
    options = {"learning_rate_init": 1e38, "max_iter": 1, "batch_size": N}
    check_fit_error(cls, "diverged", X, target(cls), **options)


@both
def test_warm_start_diverges(cls):
    fitted = make(cls, warm_start=True).fit(X, target(cls))
    p = fitted.predict_proba(X)
    fitted.set_params(learning_rate_init=1e30)
    with pytest.raises(ValueError, match="diverged"):
        fitted.fit(X, target(cls))
    assert_array_equal(fitted.predict_proba(X), p)


def diverge(clf, cls):
    rate = clf.learning_rate_init
    clf.set_params(learning_rate_init=1e38)
    try:
        clf.partial_fit(X, target(cls))
    finally:
        clf.set_params(learning_rate_init=rate)


@both
def test_partial_fit_diverges(cls):
    clf = make(cls).partial_fit(X, target(cls), classes=np.arange(C))
    weights = copy.deepcopy(clf.weights_)
    p = clf.predict_proba(X)
    with pytest.raises(ValueError, match="diverged"):
        diverge(clf, cls)
    assert same(clf.weights_, weights)
    assert_array_equal(clf.predict_proba(X), p)
    assert clf.n_iter_ == 1


@both
def test_training_on_after_divergence_is_as_if_it_had_not_been(cls):
    once = make(cls).partial_fit(X, target(cls), classes=np.arange(C))
    again = make(cls).partial_fit(X, target(cls), classes=np.arange(C))
    with pytest.raises(ValueError, match="diverged"):
        diverge(again, cls)
    once.partial_fit(X, target(cls))
    again.partial_fit(X, target(cls))
    assert same(once.weights_, again.weights_)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@both
def test_an_interrupted_fit_leaves_the_old_one(cls, error, monkeypatch):
    fitted = make(cls).fit(X, target(cls))

    def interrupt(*args, **kwargs):
        raise error

    monkeypatch.setattr(_training, "train_step", interrupt)
    check_error(fitted, None, lambda clf: clf.fit(X, target(cls)), error)
    check_error(make(cls), None, lambda clf: clf.fit(X, target(cls)), error)


# ------------------------------------------------------------ models


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_linear_classifiers_have_no_partial_fit(cls):
    clf = make(cls, model="linear")
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError) as error:
        clf.partial_fit(X, target(cls))
    assert "model='linear' has no partial_fit" in str(error.value.__cause__)
    assert hasattr(clf.set_params(model="both"), "partial_fit")


def test_linear_classifiers_have_no_independent_heads():
    clf = make(model="linear", strategy="product")
    with pytest.raises(ValueError, match="no independent heads, but strategy='prod"):
        clf.fit(X, Y_1D)
