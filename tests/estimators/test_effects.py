"""Which effect parameters have; `test_table` tells only whether they have one."""

import numpy as np
import pytest
from estimator_problems import (
    N_CLASSES,
    N_FEATURES,
    both,
    differ,
    make,
    make_data,
)
from lone_networks import fit, network_alone, weights
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmhe import (
    Cascade,
    Full,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Sampling,
)
from skmhe.nn import Margin
from skmhe.scorers.linear import fit_scaling

N = 96


def fit_linear(cls, strategy="full", **params):
    return make(cls, strategy, model="linear", **params).fit(*make_data(cls))


# ------------------------------------------------------------ models and labels


@both
def test_models(cls):
    both_of_them, linear, network = (
        fit(cls, model=model) for model in ("both", "linear", "network")
    )
    assert not differ(both_of_them, network)
    assert network._fitted.model.linear is None
    assert both_of_them._fitted.model.linear is not None
    assert (linear.loss_curve_, weights(linear)) == ([], {})
    # Steps of the classifiers' solver, of which smaller errors in training need fewer.
    easy = fit(cls, model="linear", linear=LinearTree(C=1e-3))
    assert 0 < easy.n_iter_ < linear.n_iter_


@both
@pytest.mark.parametrize(
    "params",
    [{"model": "linear"}, {"model": "both", "strategy__hard_negatives": False}],
)
def test_linear_classifiers_are_the_cascades_tree_where_paths_multiply(cls, params):
    clf = make(cls, "cascade").set_params(**params).fit(*make_data(cls))
    assert len(clf._fitted.model.linear) == 2


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
@both
def test_linear_classifiers_of_few_labels_have_no_tree_unless_paths_multiply(
    cls, strategy
):
    model = fit(cls, strategy, model="both")._fitted.model
    assert len(model.linear) == 1
    # Centroids go with sampling.
    assert (model.centroids is not None) == (strategy == "sampling")
    assert ("log_centroid_scale" in model.weights) == (strategy == "sampling")


@both
def test_c(cls):
    lengths = [
        np.square(clf._fitted.model.linear[0].weights).sum()
        for clf in (
            fit_linear(cls, linear__C=C, linear__centroid_prior=0.0)
            for C in (0.01, 1.0)
        )
    ]
    assert lengths[1] > 2 * lengths[0]


@both
def test_centroid_prior(cls):
    X, y = make_data(cls)
    Y = np.eye(N_CLASSES)[y] if y.ndim == 1 else y
    centroids = Y.T @ fit_scaling(X).rows(X)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    # With next to no cost of errors, the weights are the prior's.
    for prior in (0.0, 1.5):
        clf = fit_linear(cls, linear__C=1e-9, linear__centroid_prior=prior)
        found = clf._fitted.model.linear[0].weights[0].T
        assert_allclose(found, prior * centroids, atol=1e-5)


@both
def test_weights_of_scorers(cls):
    X, _ = make_data(cls)
    clf, network = fit(cls, "full", model="both"), fit(cls, "full")
    equal = clf.predict_proba(X)
    clf.set_params(combination={"network": 3, "linear": 0})  # after fitting, too
    assert_array_equal(clf.predict_proba(X), network.predict_proba(X))
    assert clf.combination_ == {"network": 1, "linear": 0}  # in units of the first
    clf.set_params(combination={"network": 0, "linear": 2})
    linear = fit(cls, "full", model="linear")
    assert_allclose(clf.predict_proba(X), linear.predict_proba(X), rtol=1e-5)
    clf.set_params(combination={"network": 2, "linear": 2})
    assert_array_equal(clf.predict_proba(X), equal)
    clf.set_params(combination="equal")
    assert_array_equal(clf.predict_proba(X), equal)
    clf.set_params(combination={"network": 2, "linear": 3})
    assert abs(clf.predict_proba(X) - equal).max() > 0.01
    assert clf.combination_ == {"network": 1, "linear": 1.5}
    assert not hasattr(clone(clf), "combination_")


@both
def test_label_order(cls):
    X, y = make_data(cls)
    labels = np.arange(N_CLASSES)
    assert_array_equal(fit(cls).codec_.order, labels)
    a, b = fit(cls, label_order="random"), fit(cls, label_order="random")
    assert_array_equal(a.codec_.order, b.codec_.order)
    assert not np.array_equal(a.codec_.order, labels)
    assert_array_equal(np.sort(a.codec_.order), labels)
    # By the samples' weights, the last label is the most frequent one.
    is_last = y == 11 if cls is MHEClassifier else y[:, 11] == 1
    weighted = network_alone(cls, label_order="frequency")
    weighted.fit(X, y, sample_weight=np.where(is_last, 10.0, 1.0))
    assert weighted.codec_.order[0] == 11
    # Four directions, three labels of each: the first part of a code is the direction.
    rng = np.random.RandomState(0)
    label = np.arange(N) % N_CLASSES
    X = np.eye(4)[label % 4] + 0.01 * rng.randn(N, 4)
    y = label if cls is MHEClassifier else np.eye(N_CLASSES, dtype=int)[label]
    clustered = network_alone(cls, label_order="cluster").fit(X, y)
    groups = clustered.codec_.order.reshape(4, 3) % 4
    assert_array_equal(groups, groups[:, :1].repeat(3, axis=1))
    # "full" has no parts of codes that an order could change.
    assert_array_equal(fit(cls, "full", label_order="random").codec_.order, labels)


# ------------------------------------------------------------ strategies


@both
def test_a_wider_beam_finds_more(cls):
    clf = fit(cls, label_order="random", max_iter=3)
    X = np.random.RandomState(1).randn(300, N_FEATURES)
    exact = -np.sort(-clf.predict_proba(X), axis=1)[:, :2]
    found = []
    for width in (1, 2, 4):  # of four prefixes
        _, scores = clf.set_params(strategy__beam_width=width).predict_topk(X, k=2)
        found.append(np.isclose(scores, exact, rtol=1e-4).all(axis=1).mean())
    assert sorted(found) == found
    assert found[0] < found[-1] == 1


@pytest.mark.parametrize(
    ("cls", "hard_negatives", "matters"),
    [
        (MHEMultiLabelClassifier, True, True),
        (MHEClassifier, True, True),
        # One label per sample is then trained on its own path only.
        (MHEClassifier, False, False),
    ],
)
def test_the_beam_chooses_the_hard_negatives(cls, hard_negatives, matters):
    def beam(width):
        return fit(cls, Cascade(beam_width=width, hard_negatives=hard_negatives))

    everything = beam(4)
    assert not differ(beam(99), everything)
    assert differ(beam(1), everything) == matters


def test_hard_negatives_of_several_labels():
    hard, soft = (
        fit(MHEMultiLabelClassifier, Cascade(beam_width=4, hard_negatives=value))
        for value in (True, False)
    )
    # All prefixes are in this beam: more nodes have a loss.
    assert hard.loss_curve_[0] > soft.loss_curve_[0]


def test_hard_negatives_of_one_label():
    joint = fit(MHEClassifier, Cascade(), head_sizes=(4, 3), model="network")
    # One softmax over all labels.
    X, _ = make_data()
    scores = joint.transform(X) @ weights(joint)["head.weights.1"].T
    scores += weights(joint)["head.biases.1"]
    expected = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    actual = joint.predict_log_proba(X)[:, joint.codec_.order]
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@both
def test_there_are_no_more_groups_than_all(cls):
    few, all_groups, capped = (
        fit(cls, Sampling(n_sampled_groups=m)) for m in (1, 4, 100)
    )
    assert differ(few, all_groups)
    assert not differ(all_groups, capped)


@pytest.mark.parametrize("rank", [1, 3])
def test_rank(rank):
    clf = fit(MHEClassifier, "product", strategy__rank=rank)
    assert weights(clf)["head.weights.0"].shape == (rank * (4 + 3), 8)
    # Log-probabilities of one product are a sum of two tables, so that the second
    # difference is 0; those of a mixture are not.
    X, _ = make_data()
    table = clf.predict_log_proba(X).reshape(N, 4, 3)
    mixed = np.diff(np.diff(table, axis=1), axis=2)
    assert np.allclose(mixed, 0, atol=1e-9) == (rank == 1)


@pytest.mark.parametrize("strategy", [Full, Sampling])
@both
def test_probabilities_with_a_margin_are_of_scaled_cosines(cls, strategy):
    X, y = make_data()
    margin = Margin("arcface", 0.5, 3.0)
    clf = network_alone(cls, strategy(margin=margin)).fit(X, y)
    labels = weights(clf)["head.weights.0"][clf.codec_.positions]
    features = clf.transform(X)
    cosines = (features @ labels.T) / np.linalg.norm(labels, axis=1)
    cosines /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    p = np.exp(3 * cosines)
    assert_allclose(clf.predict_proba(X), p / p.sum(1, keepdims=True), rtol=1e-4)
