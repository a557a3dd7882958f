"""Numbers of heads, which users search over first: what is used, and that it counts."""

import itertools
import warnings

import numpy as np
import pytest
from estimator_problems import (
    N_CLASSES,
    assert_same_model,
    assert_same_predictions,
    both,
    differ,
    every,
    fitted,
    make,
    make_data,
    partial_classes,
)
from numpy.testing import assert_array_equal
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, KFold

from skmhe import Cascade, Full, MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators import strategies

N_HEADS = [1, 2, 3]


def noisy_data(cls, n, n_labels, n_features=20):
    """Return samples of labels that are hard to tell apart."""
    rng = np.random.RandomState(0)
    y = np.arange(n) % n_labels
    X = 0.7 * rng.randn(n_labels, n_features)[y] + rng.randn(n, n_features)
    if cls is MHEClassifier:
        return X, y
    Y = np.zeros((n, n_labels), dtype=int)
    Y[np.arange(n), y] = Y[np.arange(n), rng.permutation(y)] = 1
    return X, Y


def log_likelihood(true, p):
    return np.mean(np.where(true == 1, np.log(p), np.log1p(-p)))


SCORERS = {
    MHEClassifier: get_scorer("neg_log_loss"),
    MHEMultiLabelClassifier: make_scorer(
        log_likelihood, response_method="predict_proba"
    ),
}


@pytest.mark.parametrize("n_labels", [12, 200, 1024])
@both
def test_rows_of_a_search_over_head_counts_differ(cls, n_labels):
    X, y = noisy_data(cls, 2 * n_labels if n_labels > 200 else 4 * n_labels, n_labels)
    # The defaults, but for the time that they take.
    clf = cls(random_state=0, max_iter=1)
    folds = list(KFold(2).split(X))
    search = GridSearchCV(
        clf, {"n_heads": N_HEADS}, scoring=SCORERS[cls], cv=folds, error_score="raise"
    )
    with warnings.catch_warnings():
        # Some versions of scikit-learn ask it of `classes_`.
        warnings.filterwarnings("ignore", "The number of unique classes")
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == len(N_HEADS)
    assert min(np.abs(a - b) for a, b in itertools.combinations(scores, 2)) > 1e-6
    best = search.best_estimator_
    assert best.n_heads_ == len(best.head_sizes_) == search.best_params_["n_heads"]


@pytest.mark.parametrize("model", ["both", "network", "linear"])
@both
def test_models_of_other_head_counts_differ(cls, model):
    X, y = noisy_data(cls, 48, N_CLASSES)
    p = [
        cls(model=model, n_heads=n_heads, random_state=0, max_iter=2)
        .fit(X, y)
        .predict_proba(X)
        for n_heads in N_HEADS
    ]
    for a, b in itertools.combinations(p, 2):
        assert np.abs(a - b).max() > 1e-4


@pytest.mark.parametrize("model", ["both", "network", "linear"])
@pytest.mark.parametrize("max_full_labels", [1024, 5])
@both
def test_one_head_is_the_full_strategy(cls, model, max_full_labels, monkeypatch):
    # Also of so many labels that "auto" would not score them all.
    monkeypatch.setattr(strategies, "MAX_FULL_LABELS", max_full_labels)
    X, y = make_data(cls)
    options = {"model": model, "dropout": (0.1, 0.2)}
    full = make(cls, "full", **options).fit(X, y)
    same = [
        {"strategy": "auto", "n_heads": 1},
        {"strategy": "auto", "head_sizes": (N_CLASSES,)},
        {"strategy": Full(), "n_heads": 1},
    ]
    if max_full_labels > N_CLASSES:
        same.append({"strategy": "auto"})
    for params in same:
        clf = make(cls, **params, **options).fit(X, y)
        assert_same_model(clf, full)
        assert_same_predictions(clf, full, X)
        assert clf.loss_curve_ == full.loss_curve_
        assert (clf.strategy_, clf.n_heads_, clf.head_sizes_) == ("full", 1, (12,))


@pytest.mark.parametrize("model", ["both", "network", "linear"])
@both
def test_several_heads_are_the_cascade(cls, model):
    X, y = make_data(cls)
    for n_heads in (2, 3):
        clf = make(cls, "auto", model=model, n_heads=n_heads).fit(X, y)
        cascade = make(cls, Cascade(), model=model, n_heads=n_heads).fit(X, y)
        assert_same_model(clf, cascade)
        assert_same_predictions(clf, cascade, X)


USED = [
    ({}, "full", (12,)),
    ({"n_heads": 1}, "full", (12,)),
    ({"n_heads": 2}, "cascade", (4, 3)),
    ({"n_heads": 3}, "cascade", (3, 2, 2)),
    ({"head_sizes": (12,)}, "full", (12,)),
    ({"head_sizes": (2, 6)}, "cascade", (2, 6)),
    ({"head_sizes": [2, 3, 2]}, "cascade", (2, 3, 2)),
    ({"head_sizes": np.array([2, 6]), "n_heads": 2}, "cascade", (2, 6)),
    ({"strategy": "full"}, "full", (12,)),
    ({"strategy": "cascade"}, "cascade", (4, 3)),
    ({"strategy": "cascade", "n_heads": 3}, "cascade", (3, 2, 2)),
    ({"strategy": "sampling"}, "sampling", (4, 3)),
    ({"strategy": "sampling", "n_heads": 1}, "sampling", (12,)),
    ({"strategy": "sampling", "head_sizes": (2, 6)}, "sampling", (2, 6)),
    ({"strategy": "product"}, "product", (4, 3)),
    ({"strategy": "product", "n_heads": 1}, "product", (12,)),
    ({"strategy": "product", "n_heads": 3}, "product", (3, 2, 2)),
]


@pytest.mark.parametrize(("params", "strategy", "head_sizes"), USED, ids=str)
@both
def test_fitted_attributes_tell_what_was_used(cls, params, strategy, head_sizes):
    if strategy == "product" and cls is MHEMultiLabelClassifier:
        X, y = make_data()
    else:
        X, y = make_data(cls)
    clf = make(cls, **({"strategy": "auto", "max_iter": 1} | params)).fit(X, y)
    assert clf.strategy_ == strategy
    assert clf.head_sizes_ == clf.codec_.head_sizes == head_sizes
    assert all(type(size) is int for size in clf.head_sizes_)
    assert clf.n_heads_ == len(head_sizes)
    clf.partial_fit(X, y)
    assert (clf.strategy_, clf.n_heads_) == (strategy, len(head_sizes))


def test_many_labels():
    X, y = make_data()
    classes = np.arange(1025)
    for params, strategy, head_sizes in [
        ({}, "sampling", (33, 32)),
        ({"n_heads": 1}, "full", (1025,)),
        ({"n_heads": 3}, "cascade", (11, 10, 10)),
    ]:
        clf = make(**{"strategy": "auto"} | params).partial_fit(X, y, classes=classes)
        assert (clf.strategy_, clf.head_sizes_) == (strategy, head_sizes)


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        ("full", {"n_heads": 2}),
        ("full", {"head_sizes": (4, 3)}),
        ("cascade", {"n_heads": 1}),
        ("cascade", {"head_sizes": (12,)}),
    ],
)
@both
def test_head_counts_are_never_ignored(cls, strategy, params):
    X, y = make_data(cls)
    ((name, _),) = params.items()
    with pytest.raises(ValueError, match=rf"{name}=.* is not possible with strategy="):
        make(cls, strategy, **params).fit(X, y)
    # Nor while training goes on.
    clf = make(cls, strategy, warm_start=True, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=f"{name}=.* is not possible with strategy="):
        clf.set_params(**params).fit(X, y)


@every
def test_head_counts_cannot_change_while_training_goes_on(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, "auto", n_heads=2, warm_start=True, max_iter=1).fit(X, y)
    for train in (clf.fit, clf.partial_fit):
        with pytest.raises(ValueError, match=r"^n_heads=3 does not fit"):
            clf.set_params(n_heads=3)
            train(X, y)
    assert clf.n_heads_ == 2
    clf = make(cls, strategy).partial_fit(X, y, **partial_classes(cls))
    assert clf.n_heads_ == (1 if strategy == "full" else 2)


def test_product_and_sampling_have_one_head_if_asked():
    X, y = make_data()
    for strategy in ("product", "sampling"):
        one = make(strategy=strategy, n_heads=1, max_iter=12).fit(X, y)
        assert one.score(X, y) > 0.8
        assert one.head_sizes_ != fitted(strategy=strategy).head_sizes_
    # A product of one factor is a softmax of all labels.
    full = make(strategy="full", model="network").fit(X, y)
    product = make(strategy="product", n_heads=1, label_order="natural").fit(X, y)
    np.testing.assert_allclose(
        product.predict_proba(X), full.predict_proba(X), rtol=1e-3, atol=1e-5
    )
    assert differ(full, make(strategy="full", model="network", max_iter=1).fit(X, y))


@both
@pytest.mark.parametrize("hard_negatives", [True, False])
@pytest.mark.parametrize(
    ("head_sizes", "n_labels"), [((2, 4, 64), 320), ((4, 2, 3, 40), 150)]
)
def test_nodes_that_do_not_exist_are_never_scored(
    cls, hard_negatives, head_sizes, n_labels
):
    # Beams of many places hold them, and heads of so many weights are read in place.
    y = np.arange(n_labels)
    X = np.random.RandomState(0).randn(n_labels, 5)
    Y = y if cls is MHEClassifier else np.eye(n_labels, dtype=int)
    strategy = Cascade(hard_negatives=hard_negatives)
    clf = cls(strategy, head_sizes=head_sizes, max_iter=1, model="network")
    clf.set_params(random_state=0, hidden_layer_sizes=256).fit(X, Y)
    labels, _ = clf.predict_topk(X[:5], k=n_labels)
    assert_array_equal(np.sort(labels, 1), np.tile(np.arange(n_labels), (5, 1)))
    assert len(clf.predict(X[:5])) == 5
