"""Strategies: what they can do, and the heads that they ask for."""

import numpy as np
import pytest
from sklearn.base import clone

from skmhe import (
    Cascade,
    Full,
    MHEMultiLabelClassifier,
    Product,
    Sampling,
)
from skmhe.estimators.setting import Setting
from skmhe.estimators.strategies import N_NEAR, STRATEGIES, as_margin
from skmhe.nn import CascadeHead, FullHead, Margin, ProductHead, SamplingHead
from skmhe.scorers.linear import fit_levels

SIZES, N_LABELS = (4, 3), 12
ALL = [Full(), Product(), Cascade(), Sampling()]
by_name = pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)


def head(strategy, multilabel=False, alone=True, has_backbone=False, sizes=SIZES):
    model = "network" if alone else "both"
    values = {"model": model, "backbone": object() if has_backbone else None}
    return strategy.head(Setting(values, strategy, N_LABELS, multilabel), sizes)


def test_names():
    assert {
        "full": Full,
        "product": Product,
        "cascade": Cascade,
        "sampling": Sampling,
    } == STRATEGIES


def test_capabilities():
    assert [(s.min_heads, s.max_heads) for s in ALL] == [
        (1, 1),
        (1, None),
        (2, None),
        (1, None),
    ]
    assert [s.multilabel for s in ALL] == [True, False, True, True]
    assert [s.needs_order for s in ALL] == [False, True, True, True]
    assert [s.linear_alone for s in ALL] == [True, False, True, False]
    assert [s.adds_linear for s in ALL] == [True, False, True, True]
    assert [s.adds_centroids for s in ALL] == [False, False, False, True]
    assert [s.has_beam for s in ALL] == [False, False, True, False]


def test_trees_of_linear_classifiers():
    def have_tree(strategies, model, n_levels):
        values = {"model": model, "backbone": None}
        settings = [
            Setting(values, s, N_LABELS, False, n_tree_levels=n_levels)
            for s in strategies
        ]
        return [s.strategy.has_linear_tree(s) for s in settings]

    assert have_tree(ALL, "both", 1) == [False, False, False, False]
    assert have_tree(ALL, "both", 2) == [False, False, True, True]
    # Where probabilities multiply along the path.
    assert have_tree([Cascade()], "linear", 1) == [True]
    assert have_tree([Cascade(hard_negatives=False)], "both", 1) == [True]


@pytest.mark.parametrize(
    ("strategy", "n_labels", "largest"),
    [
        (Sampling(), 10**6, 1024),
        (Cascade(), 128 * 1024, 1024),
        (Cascade(), 10**6, 10**6 // 128),
    ],
)
def test_batches_of_a_cascade_grow_with_its_labels(strategy, n_labels, largest):
    assert strategy.max_auto_batch(n_labels) == largest


@pytest.mark.parametrize(
    ("sizes", "width"), [((100, 100), 10), ((9, 1000), 4), ((9, 10**4), 1)]
)
def test_beams_of_training_are_narrower_in_large_trees(sizes, width):
    assert head(Cascade(), sizes=sizes).options["beam_width"] == width
    assert head(Cascade(beam_width=7), sizes=sizes).options["beam_width"] == 7


def test_linear_classifiers_reject_what_the_network_rejects():
    def n_near(strategy, model="both", multilabel=True, n_levels=2):
        values = {"model": model, "backbone": None}
        setting = Setting(
            values, strategy, N_LABELS, multilabel, n_tree_levels=n_levels
        )
        return strategy.n_near(setting)

    assert n_near(Cascade()) == N_NEAR
    assert n_near(Cascade(), n_levels=3) == 0
    assert n_near(Cascade(), multilabel=False) == 0
    assert n_near(Cascade(), model="linear") == 0
    assert n_near(Cascade(hard_negatives=False)) == 0
    assert [n_near(strategy) for strategy in (Full(), Sampling())] == [0, 0]


def test_near_nodes_reach_the_linear_classifiers(monkeypatch):
    found = []
    monkeypatch.setattr(
        "skmhe.training.fit.fit_levels",
        lambda *args: found.append(args[-1]) or fit_levels(*args),
    )
    Y = np.eye(N_LABELS, dtype=int)
    params = {"max_iter": 1, "hidden_layer_sizes": 2, "random_state": 0}
    for strategy in ("cascade", "sampling"):
        MHEMultiLabelClassifier(strategy, **params).fit(Y, Y)
    assert found == [N_NEAR, 0]


@by_name
def test_heads_can_be_made_and_trained(strategy):
    sizes = (N_LABELS,) if strategy.max_heads == 1 else SIZES
    spec = head(strategy, sizes=sizes)
    heads = [FullHead, ProductHead, CascadeHead, SamplingHead]
    kinds = dict(zip(STRATEGIES, heads, strict=True))
    assert spec.kind is kinds[strategy.name]
    made = spec.make(5)
    assert (made.in_features, made.n_labels) == (5, N_LABELS)


def test_options_reach_the_head():
    assert head(Product(rank=3)).options["rank"] == 3
    assert head(Cascade(beam_width=7)).options["beam_width"] == 7
    options = head(Sampling(n_sampled_groups=3)).options
    assert (options["n_sampled_groups"], options["group_size"]) == (3, 3)
    assert head(Sampling(), sizes=(1, 99)).options["group_size"] == N_LABELS
    assert head(Full(), multilabel=True).options["multilabel"] is True


@pytest.mark.parametrize("strategy", [Full, Sampling])
def test_margins(strategy):
    assert head(strategy()).options["margin"] is None
    margin = Margin("cosface", 0.2, 8.0)
    assert head(strategy(margin=margin)).options["margin"] == margin
    assert head(strategy(margin="arcface")).options["margin"] == Margin("arcface")
    assert as_margin("cosface") == Margin("cosface", 0.5, 64.0)


@pytest.mark.parametrize(
    ("given", "multilabel", "has_backbone", "resolved"),
    [
        (False, False, False, False),
        (True, True, False, True),
        (True, False, False, True),
        (np.True_, False, False, True),
        (False, True, True, False),
    ],
)
def test_hard_negatives(given, multilabel, has_backbone, resolved):
    spec = head(Cascade(hard_negatives=given), multilabel, has_backbone=has_backbone)
    assert spec.options["hard_negatives"] is resolved


def test_linear_classifiers_alone_know_no_hard_negatives():
    for model, hard in (("linear", False), ("both", True), ("network", True)):
        values = {"model": model, "backbone": None}
        setting = Setting(values, Cascade(), N_LABELS, multilabel=False)
        options = Cascade().head(setting, SIZES).options
        assert options["hard_negatives"] is hard


@pytest.mark.parametrize(
    ("params", "multilabel", "has_backbone", "resolved"),
    [
        ({}, False, False, "batch"),
        ({}, False, True, "batch_and_own_group"),
        ({}, True, True, "batch"),
        ({"margin": "arcface"}, False, True, "batch"),
        ({"pool_labels": "own_group"}, False, True, "own_group"),
    ],
)
def test_pool_labels(params, multilabel, has_backbone, resolved):
    spec = head(Sampling(**params), multilabel, has_backbone=has_backbone)
    assert spec.options["pool_labels"] == resolved


@by_name
def test_strategies_are_parameter_objects(strategy):
    changed = clone(strategy)
    assert changed.get_params() == strategy.get_params()
    assert repr(strategy) == f"{type(strategy).__name__}()"
    before = strategy.get_params()
    head(strategy)
    assert strategy.get_params() == before


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (Full(margin="angle"), "'margin' parameter of Full must be .*'angle'"),
        (Full(margin=0.5), "'margin' parameter of Full"),
        (Product(rank=0), "'rank' parameter of Product"),
        (Cascade(beam_width=0), "'beam_width' parameter of Cascade"),
        (Cascade(hard_negatives="yes"), "'hard_negatives' parameter of Cascade"),
        (Sampling(n_sampled_groups=-1), "'n_sampled_groups' parameter of Sampling"),
        (Sampling(pool_labels="all"), "'pool_labels' parameter of Sampling"),
    ],
)
def test_invalid_values(strategy, match):
    with pytest.raises(ValueError, match=match):
        strategy._validate_params()
