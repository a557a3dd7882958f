"""Which strategy, how many heads, and what contradicts them."""

import re

import numpy as np
import pytest

from skmhe import (
    Cascade,
    Full,
    LabelEncoder,
    MHEClassifier,
    Product,
    Sampling,
)
from skmhe.estimators import strategies
from skmhe.estimators.resolution import (
    make_setting,
    resolve_dropout,
    resolve_hidden_layer_sizes,
    resolve_strategy,
)
from skmhe.estimators.table import check_contradictions

FEW, SOME, MANY = 12, 2000, 2**17 + 1


def resolve(
    strategy="auto", model="both", n_heads="auto", head_sizes=None, n=FEW, levels=1
):
    params = {"model": model, "n_heads": n_heads, "head_sizes": head_sizes}
    resolved, heads = resolve_strategy(MHEClassifier(strategy, **params), n, levels)
    return type(resolved), heads


@pytest.mark.parametrize("model", ["both", "network"])
def test_auto_follows_the_number_of_labels(model):
    assert resolve(model=model, n=FEW) == (Full, 1)
    assert resolve(model=model, n=1024) == (Full, 1)
    assert resolve(model=model, n=1025) == (Sampling, 2)
    assert resolve(model=model, n=2**17) == (Sampling, 2)
    assert resolve(model=model, n=MANY) == (Cascade, 2)


def test_auto_follows_the_cost_of_linear_classifiers():
    assert resolve(model="linear", n=MANY, levels=1) == (Full, 1)
    for levels in (2, 3):
        assert resolve(model="linear", levels=levels) == (Cascade, levels)
        assert resolve("cascade", model="linear", levels=levels) == (Cascade, levels)
        # Its nodes are those of the linear classifiers, if there are any.
        assert resolve("cascade", levels=levels) == (Cascade, levels)
        assert resolve("cascade", model="network", levels=levels) == (Cascade, 2)
        assert resolve("sampling", levels=levels) == (Sampling, 2)
        assert resolve("cascade", n_heads=4, levels=levels) == (Cascade, 4)
    assert resolve("cascade", levels=1) == (Cascade, 2)


def test_limits_are_looked_up_when_fitting(monkeypatch):
    monkeypatch.setattr(strategies, "MAX_FULL_LABELS", 5)
    assert resolve() == (Sampling, 2)
    monkeypatch.setattr(strategies, "MAX_SAMPLED_LABELS", 5)
    assert resolve() == (Cascade, 2)


@pytest.mark.parametrize("n", [FEW, SOME, MANY])
def test_auto_follows_the_number_of_heads(n):
    assert resolve(n_heads=1, n=n) == (Full, 1)
    assert resolve(n_heads=2, n=n) == (Cascade, 2)
    assert resolve(n_heads=np.int64(3), n=n) == (Cascade, 3)
    assert resolve(head_sizes=(n,), n=n) == (Full, None)
    assert resolve(head_sizes=[2, n // 2 + 1], n=n) == (Cascade, None)


def test_explicit_strategies():
    assert resolve("full") == (Full, 1)
    assert resolve("product") == (Product, 2)
    assert resolve("cascade") == (Cascade, 2)
    assert resolve("sampling", n_heads=3) == (Sampling, 3)
    assert resolve("sampling", head_sizes=np.array([4, 3])) == (Sampling, None)
    strategy = Product(rank=3)
    assert resolve_strategy(MHEClassifier(strategy, n_heads=1), FEW) == (strategy, 1)


@pytest.mark.parametrize(
    ("head_sizes", "match"),
    [
        ((2, 2), r"\(2, 2\) can name 4 of 12 labels"),
        ((0, 9), "positive integers"),
        (("a", "b"), "positive integers"),
        ((), "positive integers"),
        ((2, 10**15), f"{10**15}, longer than the number of labels, 12.*head_sizes="),
    ],
)
@pytest.mark.parametrize("strategy", ["auto", "full", "cascade", "sampling"])
def test_head_sizes_are_bad(strategy, head_sizes, match):
    with pytest.raises(ValueError, match=match):
        resolve(strategy, head_sizes=head_sizes)


def contradict(params, match, n_labels=FEW, **setting):
    clf = MHEClassifier(**params)
    before = clf.get_params()
    strategy, _ = resolve_strategy(clf, n_labels)
    setting = make_setting(
        clf, strategy, n_labels=n_labels, **({"multilabel": False} | setting)
    )
    if match is None:
        check_contradictions(setting)
    else:
        with pytest.raises(ValueError, match=f"^{re.escape(match)}"):
            check_contradictions(setting)
    assert clf.get_params() == before


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"n_heads": 1, "strategy": "cascade"},
            "n_heads=1 is not possible with strategy='cascade', which has at least 2 "
            "heads: use n_heads='auto', or another strategy: 'full' has one head",
        ),
        (
            {"n_heads": 2, "strategy": "full"},
            "n_heads=2 is not possible with strategy='full', which has one head: ",
        ),
        (
            {"head_sizes": (FEW,), "strategy": Cascade()},
            "head_sizes=(12,) is not possible with strategy='cascade', which has at "
            "least 2 heads",
        ),
        (
            {"head_sizes": (4, 3), "strategy": "full"},
            "head_sizes=(4, 3) is not possible with strategy='full'",
        ),
        (
            {"head_sizes": (4, 3), "n_heads": 3, "strategy": "sampling"},
            "n_heads=3 is not the number of head_sizes: use n_heads='auto'",
        ),
        (
            {"strategy": "sampling", "model": "linear"},
            "strategy='sampling' is a strategy of networks, but model='linear' has "
            "none: use strategy='full' or 'cascade'",
        ),
        ({"strategy": "product", "model": "linear"}, "strategy='product' is a str"),
        (
            {"strategy": Full(margin="arcface")},
            "strategy__margin='arcface' is for a network alone, but model='both'",
        ),
        (
            {"backbone": lambda: None, "model": "linear"},
            "backbone=<lambda> needs a network, but model='linear' has none",
        ),
        (
            {"label_encoder": LabelEncoder(score_with="encoder")},
            "label_encoder__score_with='encoder' needs an encoder, but labels have no "
            "features: pass label_features to fit",
        ),
        (
            {"strategy": Sampling(n_sampled_groups=0, pool_labels="own_group")},
            "strategy__n_sampled_groups=0 leaves nothing to learn from with pool_la",
        ),
    ],
)
def test_contradictions(params, match):
    contradict(params, match)


@pytest.mark.parametrize(
    "params",
    [
        {"strategy": "full", "n_heads": 1},
        {"strategy": "full", "head_sizes": (FEW,)},
        {"strategy": "product", "n_heads": 1},
        {"strategy": "cascade", "n_heads": 3},
        {"strategy": "sampling", "head_sizes": (4, 3), "n_heads": 2},
        {"strategy": Full(margin="arcface"), "model": "network"},
        {"strategy": Full(margin="arcface"), "backbone": lambda: None},
        {"strategy": Sampling(n_sampled_groups=0)},
        # An object without label features is unused.
        {"label_encoder": LabelEncoder(loss_weight=0.5)},
        {"early_stopping": True, "class_weight": "balanced"},
    ],
)
def test_what_is_no_contradiction(params):
    contradict(params, None)


def test_contradictions_with_targets_and_features():
    product = {"strategy": "product"}
    contradict(product, "strategy='product' is for one label per sample", multilabel=1)
    features = {"n_label_features": 0}
    contradict(product, "strategy='product' cannot be used with label_fea", **features)
    for params, match in [
        ({"model": "linear"}, "model='linear' cannot be used with label_features"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes=() cannot be used with lab"),
        (
            {"strategy": Full(margin="arcface"), "model": "network"},
            "strategy__margin='arcface' cannot be used with label_features",
        ),
        (
            {"label_encoder": LabelEncoder(loss_weight=0.0, score_with="encoder")},
            "label_encoder__score_with='encoder' needs an encoder, but loss_weight=0",
        ),
        ({"label_encoder": LabelEncoder(score_with="encoder")}, None),
    ]:
        contradict(params, match, **features)
    contradict(
        {"strategy": Full(margin="arcface"), "model": "network"},
        "strategy__margin='arcface' is for one label per sample, but y is multi-label",
        multilabel=True,
    )
    part = {"is_partial_fit": True}
    contradict(
        {"early_stopping": True}, "early_stopping=True cannot be used in", **part
    )
    contradict({"class_weight": "balanced"}, "class_weight='balanced' cannot", **part)
    contradict({"class_weight": {0: 2.0}}, None, **part)


@pytest.mark.parametrize(
    ("sizes", "widths"),
    [(5, (5,)), (np.int64(5), (5,)), ([8, 4], (8, 4)), (np.array([3]), (3,)), ((), ())],
)
def test_hidden_layer_sizes(sizes, widths):
    assert resolve_hidden_layer_sizes(sizes, "balanced") == widths


@pytest.mark.parametrize("sizes", [(0,), (-3,), (2.5,), ("a",), (4, 0), (True,)])
def test_hidden_layer_sizes_are_bad(sizes):
    with pytest.raises(
        ValueError, match=r"hidden_layer_sizes=.*must hold positive int"
    ):
        resolve_hidden_layer_sizes(sizes, "balanced")


@pytest.mark.parametrize(
    ("dropout", "shares"),
    [
        (0.3, (0.3, 0.3)),
        (0, (0.0, 0.0)),
        ((0.1, 0), (0.1, 0.0)),
        ([0.2] * 2, (0.2,) * 2),
    ],
)
def test_dropout(dropout, shares):
    assert resolve_dropout(dropout) == shares


@pytest.mark.parametrize("dropout", [(0.1,), (0.1, 1.0), (-0.1, 0.0), ("a", 0.1), ()])
def test_dropout_is_bad(dropout):
    with pytest.raises(
        ValueError, match=r"dropout=.*must be a share in \[0, 1\), or a"
    ):
        resolve_dropout(dropout)


@pytest.mark.parametrize(
    ("backbone", "n_label_features", "expected"),
    [("auto", 3, True), ("auto", 2, False), ("shared", 3, True), (None, 3, False)],
)
def test_shared_layers(backbone, n_label_features, expected):
    clf = MHEClassifier(label_encoder=LabelEncoder(backbone=backbone))
    facts = {"n_features": 3, "n_label_features": n_label_features}
    setting = make_setting(clf, Full(), n_labels=FEW, multilabel=False, **facts)
    assert setting.shares_encoder is expected
    check_contradictions(setting)


def test_layers_that_cannot_be_shared():
    params = {"label_encoder": LabelEncoder(backbone="shared")}
    match = "label_encoder__backbone='shared' needs features of labels like those of"
    contradict(params, match, n_features=3, n_label_features=2)
    contradict(params, None, n_features=3)
