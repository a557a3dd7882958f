"""Bad parameters, devices and training: messages, and nothing that changes."""

import numpy as np
import pytest
import torch
from error_checks import (
    Y_1D,
    Y_2D,
    C,
    N,
    X,
    both,
    check_error,
    check_fit_error,
    fitted,
    make,
    target,
)
from estimator_problems import assert_same_model
from numpy.testing import assert_array_equal

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators._sklearn import InvalidParameterError
from skmhe.estimators.short_forms import long_form
from skmhe.training.loop import Trainer


@pytest.mark.parametrize(
    "params",
    [
        {"max_iter": 0},
        {"model": "linear", "strategy": "sampling"},
        {"model": "linear", "combination": {"network": 1}},
        {"head_sizes": (C + 1,)},
        {"head_sizes": (2,)},
        {"hidden_layer_sizes": (0,)},
        {"dropout": (1, 2, 3)},
        {"device": "gpu"},
        {"class_weight": {0: -1}},
    ],
    ids=str,
)
def test_errors_of_parameters_are_told_from_those_of_data(params):
    with pytest.raises(InvalidParameterError):
        make(MHEClassifier, **params).fit(X, Y_1D)
    for y in Y_1D[1:], np.zeros(N):
        with pytest.raises(ValueError, match=r"inconsistent|y has one class") as raised:
            make(MHEClassifier).fit(X, y)
        assert not isinstance(raised.value, InvalidParameterError)


# ------------------------------------------------------------ warm start


@both
def test_warm_start_refuses_other_labels(cls):
    clf = make(cls, warm_start=True).fit(X, target(cls))
    y = Y_1D % 3 if cls is MHEClassifier else Y_2D[:, :3]
    match = r"y lacks 2 of the 5 labels .*, \[3, 4\]: .*warm_start=False"
    check_error(clf, match, lambda clf: clf.fit(X, y))


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": (5,)},
        {"hidden_layer_sizes": ()},
        {"strategy": "full"},
    ],
    ids=str,
)
@both
def test_warm_start_refuses_another_architecture(cls, params):
    clf = make(cls, warm_start=True).fit(X, target(cls))
    clf.set_params(**params)
    match = "=.* does not fit the network that was fitted.*warm_start=False"
    check_error(clf, match, lambda clf: clf.fit(X, target(cls)))
    check_error(clf, match, lambda clf: clf.partial_fit(X, target(cls)))


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
    match = f"^sample_weight must be {N} finite numbers .* one for each sample: .*"
    for weight in ("balanced", ["a"] * N, np.ones((N, 2)), np.ones(3)):
        check_fit_error(cls, match + "class_weight", X, y, sample_weight=weight)


@pytest.mark.parametrize("value", [-1.0, np.inf, "a"])
@both
def test_class_weight_is_bad(cls, value):
    match = "class_weight"
    check_fit_error(cls, match, X, target(cls), class_weight={0: value})


@both
def test_class_weight_names_no_label(cls):
    match = r"class_weight has no key that is a label, but \['x'\].*labels are \[0, 1"
    check_fit_error(cls, match, X, target(cls), class_weight={"x": 1.0})


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
        ((2, 2), r"\(2, 2\) can name 4 of 5 labels.*n_heads"),
        ((10**15, 2), f"{10**15}, longer than the number of labels, {C}.*=None"),
        ((2, C + 1), f"{C + 1}, longer than the number of labels, {C}.*=None"),
    ],
    ids=str,
)
@both
def test_head_sizes_are_bad(cls, head_sizes, match):
    for strategy in ["cascade", "sampling", "full"]:
        check_fit_error(
            cls, match, X, target(cls), strategy=strategy, head_sizes=head_sizes
        )


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
        ("strategy__beam_width", 0),
        ("linear__C", 0.0),
        ("label_encoder__pool_size", 1),
        ("label_order", "best"),
        ("dropout", 1.0),
        ("batch_size", 0),
        ("learning_rate", "adaptive"),
        ("learning_rate_init", 0.0),
        ("max_iter", 0),
        ("early_stopping", 1.0),
        ("effort", "most"),
        ("n_iter_no_change", 0),
        ("combination", "best"),
        ("combination", 2.0),
        ("device", 0),
    ],
)
@both
def test_parameter_out_of_range(cls, name, value):
    parent, _, inner = name.rpartition("__")
    owner = type(long_form(make(cls), parent) if parent else make(cls)).__name__
    shown = rf"{owner} \({parent}\)" if parent else owner
    match = f"The '{inner}' parameter of {shown} must be .*{value}"
    check_fit_error(cls, match, X, target(cls), **{name: value})


@pytest.mark.parametrize("k", [0, -1, C + 1, 10**12, 1.0, 2.5, True, "1"])
@both
def test_k_is_out_of_range(cls, k):
    clf = fitted(cls)
    match = rf"k={k!r} must be an integer from 1 to {C}"
    check_error(clf, match, lambda clf: clf.predict_topk(X, k=k))
    assert clf.predict_topk(X, k=np.int64(C))[0].shape == (N, C)


@both
def test_beam_width_is_spoilt_after_fitting(cls):
    clf = fitted(cls).set_params(strategy__beam_width=0)
    check_error(clf, "beam_width", lambda clf: clf.predict_topk(X, k=1))


@both
def test_nothing_to_hold_out(cls):
    match = "early_stopping=0.9 leaves no samples"
    small = X[:C], target(cls)[:C]
    if cls is MHEMultiLabelClassifier:
        small = X[:1], Y_2D[:1]  # any of the samples may be held out, but not all
    check_fit_error(cls, match, *small, early_stopping=0.9)


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
    clf = fitted(cls).set_params(device="cuda")
    check_error(clf, match, lambda clf: clf.predict(X))


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
    clf = make(cls, warm_start=True).fit(X, target(cls))
    p = clf.predict_proba(X)
    clf.set_params(learning_rate_init=1e30)
    check_error(clf, "diverged", lambda clf: clf.fit(X, target(cls)))
    assert_array_equal(clf.predict_proba(X), p)


def diverge(clf, cls):
    clf.set_params(learning_rate_init=1e38)
    check_error(clf, "diverged", lambda clf: clf.partial_fit(X, target(cls)))
    clf.set_params(learning_rate_init="auto")


@both
def test_partial_fit_diverges(cls):
    clf = make(cls).partial_fit(X, target(cls), classes=np.arange(C))
    p = clf.predict_proba(X)
    diverge(clf, cls)
    assert_array_equal(clf.predict_proba(X), p)
    assert clf.n_iter_ == 1


@both
def test_training_on_after_divergence_is_as_if_it_had_not_been(cls):
    once = make(cls).partial_fit(X, target(cls), classes=np.arange(C))
    again = make(cls).partial_fit(X, target(cls), classes=np.arange(C))
    diverge(again, cls)
    once.partial_fit(X, target(cls))
    again.partial_fit(X, target(cls))
    assert_same_model(once, again)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@both
def test_an_interrupted_fit_leaves_the_old_one(cls, error, monkeypatch):
    clf = fitted(cls)

    def interrupt(*args, **kwargs):
        raise error

    monkeypatch.setattr(Trainer, "step", interrupt)
    check_error(clf, None, lambda clf: clf.fit(X, target(cls)), error)
    check_error(make(cls), None, lambda clf: clf.fit(X, target(cls)), error)


# ------------------------------------------------------------ contradictions


@both
def test_an_encoder_that_is_not_there_cannot_score(cls):
    match = "label_encoder__score_with='encoder' needs an encoder, but labels have no"
    check_fit_error(
        cls, match, X, target(cls), label_encoder__score_with="encoder", model="network"
    )
    clf = fitted(cls).set_params(label_encoder__score_with="encoder")
    for method in ("predict", "predict_topk", "predict_proba", "decision_function"):
        check_error(
            clf,
            "score_with='encoder', but this estimator was fitted without a label enc",
            lambda clf, method=method: getattr(clf, method)(X),
        )
    clf.transform(X)  # needs no scores


@pytest.mark.parametrize("strategy", ["sampling", "product"])
def test_linear_classifiers_have_no_strategies_of_networks(strategy):
    match = f"strategy='{strategy}' is a strategy of networks, but model='linear' has"
    check_fit_error(MHEClassifier, match, X, Y_1D, strategy=strategy, model="linear")


@pytest.mark.parametrize(
    "params",
    [
        {"linear__beam_width": 0},
        {"combination": "best"},
        {"strategy": "tree"},
        {"strategy": "cascade", "strategy__beam_width": 0},
        {"strategy": "cascade", "strategy__beam_width": 2.5},
        {"combination": 3.0},
        {"linear__beam_width": None},
        {"label_encoder__score_with": "nonsense"},
        {"linear": "x"},
    ],
)
def test_values_that_were_changed_after_fitting(params):
    X, y = np.eye(6, dtype=np.float32).repeat(4, axis=0), np.arange(6).repeat(4)
    clf = MHEClassifier(max_iter=1, random_state=0).fit(X, y).set_params(**params)
    match = next(reversed(params)).split("__")[-1]
    with pytest.raises(ValueError, match=f"'{match}' parameter of"):
        clf.predict_topk(X, k=2)
