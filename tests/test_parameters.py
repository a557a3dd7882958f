"""Every parameter has an effect, and the effect is the one it is documented to have."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from _backbones import Dense
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import (
    MHEClassifier,
    MHEMultiLabelClassifier,
    _base,
    _label_training,
    _pools,
    _predicting,
    _training,
    _validation,
)
from skmhe.nn import CascadeHead, FullHead, ProductHead, SamplingHead

HEADS = {
    "cascade": CascadeHead,
    "product": ProductHead,
    "sampling": SamplingHead,
    "full": FullHead,
}

N, N_LABELS, N_FEATURES = 96, 12, 6
CLASSES = [MHEClassifier, MHEMultiLabelClassifier]
COVERED = {cls: set() for cls in CLASSES}


def covers(name, classes=CLASSES):
    """Mark a test as that of a parameter, and run it for each estimator."""
    for cls in classes:
        COVERED[cls].add(name)
    return pytest.mark.parametrize("cls", classes)


def make(cls, **params):
    base = {
        # What the network's parameters do, linear classifiers would hide.
        "model": "network",
        "strategy": "cascade",
        "hidden_layer_sizes": (8,),
        "dropout": 0.0,
        "input_dropout": 0.0,
        "learning_rate_init": 0.05,
        "learning_rate": "constant",
        "batch_size": 32,
        "max_iter": 2,
        "n_sampled_groups": 2,
        "label_order": "natural",
        "early_stopping": False,
        "random_state": 0,
        "device": "cpu",
    }
    return cls(**(base | params))


def make_data(cls):
    rng = np.random.RandomState(0)
    y = rng.permutation(np.arange(N) % N_LABELS)
    X = (3 * rng.randn(N_LABELS, N_FEATURES))[y] + 0.3 * rng.randn(N, N_FEATURES)
    if cls is MHEClassifier:
        return X, y
    Y = np.eye(N_LABELS, dtype=int)[y]
    Y[np.arange(N), (y + 1) % N_LABELS] = 1
    return X, Y


def fit(cls, **params):
    return make(cls, **params).fit(*make_data(cls))


def same_weights(a, b):
    return a.weights_.keys() == b.weights_.keys() and all(
        np.array_equal(a.weights_[name], b.weights_[name]) for name in a.weights_
    )


class Steps:
    """Records what each training step was given."""

    def __init__(self, monkeypatch):
        self.rates, self.rows, self.networks = [], [], []
        step = _training.train_step

        def recorded(network, optimizer, batch, *args):
            self.rates.append(optimizer.param_groups[0]["lr"])
            self.rows.append(batch.X.shape[0])
            self.networks.append(network)
            return step(network, optimizer, batch, *args)

        monkeypatch.setattr(_training, "train_step", recorded)


@pytest.fixture
def steps(monkeypatch):
    return Steps(monkeypatch)


# ------------------------------------------------------------ heads and labels


@covers("strategy")
def test_strategy(cls):
    heads = {"cascade": CascadeHead, "sampling": SamplingHead, "full": FullHead}
    if cls is MHEClassifier:
        heads["product"] = ProductHead
    for strategy, head in heads.items():
        assert type(fit(cls, strategy=strategy)._network().head) is head


@covers("model")
def test_model(cls):
    X, y = make_data(cls)
    both, linear, network = (
        make(cls, model=m).fit(X, y) for m in ("both", "linear", "network")
    )
    assert same_weights(both, network)
    assert network.linear_ is None
    assert both.linear_ is not None
    assert (linear.n_iter_, linear.loss_curve_) == (3, [])
    assert all(weight.shape[-1:] != (8,) for weight in linear.weights_.values())
    first = [clf.predict_topk(X, 2)[1] for clf in (both, linear, network)]
    assert len({scores.tobytes() for scores in first}) == 3


@pytest.mark.parametrize("cls", CLASSES)
def test_auto_strategy_follows_the_number_of_labels(cls, monkeypatch):
    X, y = make_data(cls)
    expected = {}
    for name, limits in {
        "full": (12, 12),
        "sampling": (11, 12),
        "cascade": (11, 11),
    }.items():
        monkeypatch.setattr(_validation, "MAX_FULL_LABELS", limits[0])
        monkeypatch.setattr(_validation, "MAX_SAMPLED_LABELS", limits[1])
        for model in ("both", "network", "linear"):
            clf = make(cls, strategy="auto", model=model).fit(X, y)
            expected = "cascade" if (model, name) == ("linear", "sampling") else name
            assert clf.strategy_ == expected
            assert isinstance(clf._network().head, HEADS[expected])


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
@pytest.mark.parametrize("cls", CLASSES)
def test_linear_classifiers_of_few_labels_have_no_tree_unless_the_network_has(
    cls, strategy
):
    clf = make(cls, strategy=strategy, model="both").fit(*make_data(cls))
    assert len(clf.linear_) == (2 if strategy == "cascade" else 1)


@pytest.mark.parametrize("cls", CLASSES)
def test_centroids_go_with_sampling(cls):
    X, y = make_data(cls)
    for strategy in ("full", "sampling", "cascade"):
        clf = make(cls, strategy=strategy, model="both").fit(X, y)
        assert (clf.centroids_ is not None) == (strategy == "sampling")
        assert ("log_centroid_scale" in clf.weights_) == (strategy == "sampling")
    clf = make(cls, strategy="sampling", model="network").fit(X, y)
    assert clf.centroids_ is None


@pytest.mark.parametrize("cls", CLASSES)
def test_class_weight_of_linear_classifiers(cls):
    X, y = make_data(cls)
    labels = np.arange(N_LABELS)
    base = {"strategy": "full", "model": "linear", "C": 0.01}
    plain = make(cls, **base).fit(X, y)
    ones = make(cls, class_weight=dict.fromkeys(labels, 1.0), **base).fit(X, y)
    assert_array_equal(plain.predict_proba(X), ones.predict_proba(X))
    heavy = make(cls, class_weight={2: 50.0}, **base).fit(X, y)
    gained = heavy.predict_proba(X) - plain.predict_proba(X)
    assert gained[:, 2].mean() > 0.01
    if cls is MHEClassifier:  # the weight of the label's samples
        weight = np.where(y == 2, 50.0, 1.0)
        same = make(cls, **base | {"C": 0.01 * weight.mean()}).fit(X, y, weight)
        assert_allclose(same.predict_proba(X), heavy.predict_proba(X), atol=1e-4)


def test_class_weight_leaves_centroids_alone(monkeypatch):
    # Otherwise too little or too much of a sample would be left out of its own.
    X, y = make_data(MHEClassifier)
    lengths = []
    train = _training.train

    def recorded(network, data, *args):
        lengths.append(data.centroids.lengths)
        return train(network, data, *args)

    monkeypatch.setattr(_training, "train", recorded)
    for class_weight in (None, {2: 50.0}):
        params = {"strategy": "sampling", "model": "both"}
        make(MHEClassifier, class_weight=class_weight, **params).fit(X, y)
    assert_array_equal(lengths[0], lengths[1])


@covers("C")
def test_c(cls):
    X, y = make_data(cls)
    lengths = []
    for C in (0.01, 1.0):
        clf = make(cls, strategy="full", model="linear", C=C).fit(X, y)
        lengths.append(np.square(clf.linear_[0].weights).sum())
    assert lengths[1] > 2 * lengths[0]


@covers("centroid_prior")
def test_centroid_prior(cls):
    X, y = make_data(cls)
    Y = np.eye(N_LABELS)[y] if y.ndim == 1 else y
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    centroids = Y.T @ unit
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    # With next to no cost of errors, the weights are the prior's.
    params = {"strategy": "full", "model": "linear", "C": 1e-9}
    for prior in (0.0, 1.5):
        clf = make(cls, centroid_prior=prior, **params).fit(X, y)
        weights = clf.linear_[0].weights[0].T
        assert_allclose(weights, prior * centroids, atol=1e-5)


@covers("linear_weight")
def test_linear_weight(cls):
    X, y = make_data(cls)
    clf = make(cls, strategy="full", model="both").fit(X, y)
    network = make(cls, strategy="full").fit(X, y)
    clf.linear_weight = 1e-6  # after fitting, too
    assert_allclose(clf.predict_proba(X), network.predict_proba(X), atol=1e-4)
    clf.linear_weight = 2.0
    assert abs(clf.predict_proba(X) - network.predict_proba(X)).max() > 0.01


@covers("n_heads")
def test_n_heads(cls):
    assert fit(cls, n_heads=2).head_sizes_ == (4, 3)
    assert fit(cls, n_heads=3).head_sizes_ == (3, 2, 2)
    assert fit(cls, n_heads=1, strategy="full").head_sizes_ == (12,)
    # The last head's length is the size of the groups.
    assert fit(cls, n_heads=3, strategy="sampling")._network().head.group_size == 2


@covers("head_sizes")
def test_head_sizes(cls):
    clf = fit(cls, head_sizes=[2, 6], n_heads=3)
    assert clf.head_sizes_ == clf.codec_.head_sizes == (2, 6)
    assert clf.weights_["head.weights.0"].shape == (2, 8)
    assert fit(cls, head_sizes=np.array([2, 6])).head_sizes_ == (2, 6)


@covers("label_order")
def test_label_order(cls):
    X, y = make_data(cls)
    natural = fit(cls, label_order="natural")
    assert_array_equal(natural.codec_.order, np.arange(N_LABELS))
    a, b = fit(cls, label_order="random"), fit(cls, label_order="random")
    assert_array_equal(a.codec_.order, b.codec_.order)
    assert not np.array_equal(a.codec_.order, np.arange(N_LABELS))
    assert_array_equal(np.sort(a.codec_.order), np.arange(N_LABELS))
    # By the samples' weights, the last label is the most frequent one.
    is_last = y == 11 if cls is MHEClassifier else y[:, 11] == 1
    weighted = make(cls, label_order="frequency")
    weighted.fit(X, y, sample_weight=np.where(is_last, 10.0, 1.0))
    assert weighted.codec_.order[0] == 11
    # Four directions, three labels of each: the first digit is the direction.
    rng = np.random.RandomState(0)
    label = np.arange(N) % N_LABELS
    X = np.eye(4)[label % 4] + 0.01 * rng.randn(N, 4)
    y = label if cls is MHEClassifier else np.eye(N_LABELS, dtype=int)[label]
    clustered = make(cls, label_order="cluster").fit(X, y)
    groups = clustered.codec_.order.reshape(4, 3) % 4
    assert_array_equal(groups, groups[:, :1].repeat(3, axis=1))
    # "full" has no digits that an order could change.
    full = fit(cls, strategy="full", label_order="random")
    assert_array_equal(full.codec_.order, np.arange(N_LABELS))


@covers("beam_width")
def test_beam_width_after_fitting(cls):
    clf = fit(cls, label_order="random", max_iter=3)
    X = np.random.RandomState(1).randn(300, N_FEATURES)
    exact = -np.sort(-clf.predict_proba(X), axis=1)[:, :2]
    found = []
    for width in [1, 2, 4]:
        clf.beam_width = width
        _, scores = clf.predict_topk(X, k=2)
        found.append(np.isclose(scores, exact, rtol=1e-4).all(axis=1).mean())
    # A wider beam finds more; of all four prefixes, everything.
    assert found[0] < 1
    assert sorted(found) == found
    assert found[-1] == 1
    assert found[0] < found[-1]


@pytest.mark.parametrize("beam_width", [1, 3])
def test_beam_width_chooses_the_hard_negatives(beam_width):
    clf = fit(MHEMultiLabelClassifier, beam_width=beam_width)
    assert not same_weights(clf, fit(MHEMultiLabelClassifier, beam_width=4))
    # One label a sample is trained on its own path only.
    single = fit(MHEClassifier, beam_width=beam_width)
    assert same_weights(single, fit(MHEClassifier, beam_width=4))


@covers("n_sampled_groups")
def test_n_sampled_groups(cls):
    few, many, all_groups, capped = (
        fit(cls, strategy="sampling", n_sampled_groups=m) for m in (1, 3, 4, 100)
    )
    assert few._network().head.n_sampled_groups == 1
    assert not same_weights(few, many)
    assert same_weights(all_groups, capped)


@covers("rank", [MHEClassifier])
def test_rank(cls):
    one, three = (fit(cls, strategy="product", rank=rank) for rank in (1, 3))
    assert one.weights_["head.weights.0"].shape == (4 + 3, 8)
    assert three.weights_["head.weights.0"].shape == (3 * (4 + 3), 8)
    # Log-probabilities of one product are a sum of two tables, so that the second
    # difference over the digits is 0; those of a mixture are not.
    X, _ = make_data(cls)
    for clf, is_sum in [(one, True), (three, False)]:
        table = clf.predict_log_proba(X).reshape(N, 4, 3)
        mixed = np.diff(np.diff(table, axis=1), axis=2)
        assert np.allclose(mixed, 0, atol=1e-9) == is_sum


@covers("hard_negatives", [MHEMultiLabelClassifier])
def test_hard_negatives_of_several_labels(cls):
    hard, soft = (
        fit(cls, hard_negatives=value, beam_width=4) for value in (True, False)
    )
    assert not same_weights(hard, soft)
    assert same_weights(fit(cls, beam_width=4), hard)
    # All prefixes are in this beam: more nodes have a loss.
    assert hard.loss_curve_[0] > soft.loss_curve_[0]


@covers("hard_negatives", [MHEClassifier])
def test_hard_negatives_of_one_label(cls):
    options = {"strategy": "cascade", "model": "network", "head_sizes": (4, 3)}
    joint, path, auto = (
        fit(cls, hard_negatives=value, **options) for value in (True, False, "auto")
    )
    assert joint._network().head.is_joint
    assert same_weights(path, auto)
    X, y = make_data(cls)
    # One softmax over all labels; by the path, some of them are of other models.
    scores = joint.transform(X) @ joint.weights_["head.weights.1"].T
    scores += joint.weights_["head.biases.1"]
    expected = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    actual = joint.predict_log_proba(X)[:, joint.codec_.order]
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="hard_negatives=True is for a network alone"):
        make(cls, strategy="cascade", model="both", hard_negatives=True).fit(X, y)


@pytest.mark.parametrize("beam_width", [1, 4])
def test_beam_width_chooses_the_hard_negatives_of_one_label(beam_width):
    options = {"strategy": "cascade", "model": "network", "head_sizes": (4, 3)}
    narrow, wide = (
        fit(MHEClassifier, hard_negatives=True, beam_width=width, **options)
        for width in (beam_width, 99)
    )
    assert same_weights(narrow, wide) == (beam_width == 4)


# ------------------------------------------------------------ backbone


@covers("hidden_layer_sizes")
def test_hidden_layer_sizes(cls):
    def shapes(sizes):
        weights = fit(cls, hidden_layer_sizes=sizes).weights_
        return [
            weight.shape
            for name, weight in weights.items()
            if name.startswith("backbone.layers") and name.endswith("weight")
        ]

    assert shapes(5) == shapes((5,)) == [(N_FEATURES, 5)]
    assert shapes((8, 4)) == shapes([8, 4]) == [(N_FEATURES, 8), (4, 8)]
    assert shapes(()) == []
    linear = fit(cls, hidden_layer_sizes=())
    assert linear.weights_["head.weights.0"].shape == (4, N_FEATURES)
    assert same_weights(fit(cls, hidden_layer_sizes=8), fit(cls))


@covers("activation")
def test_activation(cls):
    results = {
        name: fit(cls, activation=name)
        for name in ["identity", "logistic", "tanh", "relu"]
    }
    modules = {
        "identity": torch.nn.Identity,
        "logistic": torch.nn.Sigmoid,
        "tanh": torch.nn.Tanh,
        "relu": torch.nn.ReLU,
    }
    for name, clf in results.items():
        layers = list(clf._network().backbone.layers)
        assert [type(m) for m in layers[1:]] == [modules[name]]
        others = [other for other in results if other != name]
        assert not any(same_weights(clf, results[other]) for other in others)
    # Nothing bends between X and the scores.
    X, _ = make_data(cls)
    clf = fit(cls, activation="identity", strategy="full")
    scores = clf.decision_function(np.vstack([0 * X[:1], X[:1], 2 * X[:1]]))
    scores = scores - scores[:, :1] if cls is MHEClassifier else scores
    assert_allclose(scores[2] - scores[1], scores[1] - scores[0], rtol=1e-6, atol=1e-9)


@covers("dropout")
def test_dropout(cls):
    plain, dropped = fit(cls, dropout=0.0), fit(cls, dropout=0.5)
    assert dropped._network().backbone.dropout.p == 0.5
    assert dropped.loss_ > plain.loss_
    X, _ = make_data(cls)
    # Only in training.
    assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))


@covers("input_dropout")
def test_input_dropout(cls):
    plain, dropped = fit(cls, input_dropout=0.0), fit(cls, input_dropout=0.5)
    assert dropped._network().backbone.input_dropout.p == 0.5
    assert dropped.loss_ > plain.loss_
    X, _ = make_data(cls)
    assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))


# ------------------------------------------------------------ training


@covers("alpha")
def test_alpha(cls):
    def size(alpha):
        weights = fit(cls, alpha=alpha, max_iter=5).weights_
        return sum(
            np.square(w).sum() for name, w in weights.items() if "scale" not in name
        )

    assert size(0.0) > size(0.5) > size(5.0)


@covers("batch_size")
def test_batch_size(cls, steps):
    fit(cls, batch_size=40, max_iter=1)
    assert steps.rows == [40, 40, 16]
    steps.rows.clear()
    fit(cls, batch_size=1000, max_iter=1)
    assert steps.rows == [N]
    steps.rows.clear()
    fit(cls, batch_size="auto", max_iter=1)
    assert steps.rows == [16] * 6


def test_auto_batches_grow_with_the_samples(steps):
    rng = np.random.RandomState(0)
    steps_per_epoch = _training.MIN_STEPS_PER_EPOCH
    for n, batch_size in [(30 * steps_per_epoch, 30), (1100 * steps_per_epoch, 1024)]:
        steps.rows.clear()
        clf = make(MHEClassifier, batch_size="auto", max_iter=1)
        clf.fit(rng.randn(n, 2).astype(np.float32), np.arange(n) % 3)
        assert steps.rows[0] == batch_size


@covers("learning_rate")
def test_learning_rate(cls, steps):
    fit(cls, learning_rate="constant")
    assert_allclose(steps.rates, [0.05] * 6)
    steps.rates.clear()
    fit(cls, learning_rate="linear")
    # Two epochs of three steps.
    assert_allclose(steps.rates, 0.05 * np.arange(6, 0, -1) / 6)


@covers("learning_rate_init")
def test_learning_rate_init(cls, steps):
    slow = fit(cls, learning_rate_init=1e-3)
    assert_allclose(steps.rates, 1e-3)
    assert slow.loss_ > fit(cls, learning_rate_init=0.05).loss_
    steps.rates.clear()
    fit(cls, learning_rate_init="auto")
    rate = _training.AUTO_RATES[cls is MHEMultiLabelClassifier]
    assert_allclose(steps.rates, rate)
    steps.rates.clear()
    fit(cls, learning_rate_init="auto", batch_size=4 * 512)
    assert_allclose(steps.rates, 2 * rate)


@covers("max_iter")
def test_max_iter(cls):
    short, long = fit(cls, max_iter=2), fit(cls, max_iter=6)
    assert (short.n_iter_, long.n_iter_) == (2, 6)
    assert long.loss_curve_[:2] == short.loss_curve_
    assert long.loss_ < short.loss_


@covers("class_weight")
def test_class_weight(cls):
    X, _ = make_data(cls)
    plain, raised = fit(cls), fit(cls, class_weight={3: 20.0})
    p, q = (clf.predict_proba(X)[:, 3].mean() for clf in (plain, raised))
    assert q > p + 0.05
    lowered = fit(cls, class_weight={3: 0.0})
    assert lowered.predict_proba(X)[:, 3].mean() < p
    ones = fit(cls, class_weight=dict.fromkeys(range(N_LABELS), 1.0))
    assert same_weights(ones, plain)


@pytest.mark.parametrize("cls", CLASSES)
def test_balanced_class_weight(cls):
    rng = np.random.RandomState(0)
    # Label 1 is rare and cannot be told by X.
    y = (np.arange(N) % 16 == 0).astype(int)
    X = rng.randn(N, N_FEATURES)
    weights = {0: N / (2 * (N - 6)), 1: N / (2 * 6)}
    if cls is MHEMultiLabelClassifier:
        y = np.eye(2, dtype=int)[y]
    plain, balanced, by_hand = (
        make(cls, class_weight=value).fit(X, y) for value in (None, "balanced", weights)
    )
    for name, weight in balanced.weights_.items():
        assert_allclose(weight, by_hand.weights_[name], rtol=1e-3, atol=1e-4)
    assert (
        balanced.predict_proba(X)[:, 1].mean()
        > plain.predict_proba(X)[:, 1].mean() + 0.02
    )


def test_balanced_counts_the_weight_of_samples():
    X, y = make_data(MHEClassifier)
    y = y % 3
    weight = np.where(y == 0, 4.0, 1.0)
    balanced = make(MHEClassifier, class_weight="balanced")
    balanced.fit(X, y, sample_weight=weight)
    # 32 samples a class: the weights are those of counts 128, 32 and 32.
    by_hand = make(MHEClassifier, class_weight={0: 0.5, 1: 2.0, 2: 2.0})
    by_hand.fit(X, y, sample_weight=weight)
    for name, value in balanced.weights_.items():
        assert_allclose(value, by_hand.weights_[name], rtol=1e-3, atol=1e-4)


@covers("early_stopping")
def test_early_stopping(cls, steps):
    plain = fit(cls, early_stopping=False)
    assert plain.validation_scores_ is None
    assert sum(steps.rows) == 2 * N
    steps.rows.clear()
    clf = fit(cls, early_stopping=True)
    assert len(clf.validation_scores_) == clf.n_iter_ == 2
    assert all(0 <= score <= 1 for score in clf.validation_scores_)
    assert sum(steps.rows) == 2 * (N - 10)


@pytest.mark.parametrize("cls", CLASSES)
def test_early_stopping_keeps_the_best_epoch(cls, monkeypatch):
    scores = iter([0.3, 0.9, 0.5, 0.4, 0.2])
    states = []

    def score(network, data, labels):
        states.append(copy.deepcopy(network.state_dict()))
        return next(scores)

    monkeypatch.setattr(_training, "validation_score", score)
    clf = fit(cls, early_stopping=True, max_iter=50, n_iter_no_change=3)
    # Three epochs without improvement after the second.
    assert clf.n_iter_ == len(clf.loss_curve_) == 5 < 50
    assert clf.validation_scores_ == [0.3, 0.9, 0.5, 0.4, 0.2]
    for name, weight in clf.weights_.items():
        assert_array_equal(weight, states[1][name].numpy())
    assert not np.array_equal(
        clf.weights_["head.weights.0"], states[-1]["head.weights.0"].numpy()
    )


@covers("validation_fraction")
def test_validation_fraction(cls, steps):
    for fraction, n_held_out in [(0.1, 10), (0.5, 48), (1e-9, 1)]:
        steps.rows.clear()
        fit(cls, early_stopping=True, validation_fraction=fraction, max_iter=1)
        assert sum(steps.rows) == N - n_held_out


def test_the_only_sample_of_a_label_is_never_held_out(monkeypatch):
    X, y = make_data(MHEClassifier)
    y = np.where(np.arange(N) < 30, np.arange(N) + 100, y)
    seen = []
    step = _training.train_step

    def recorded(network, optimizer, batch, *args):
        seen.extend(batch.y)
        return step(network, optimizer, batch, *args)

    monkeypatch.setattr(_training, "train_step", recorded)
    clf = make(MHEClassifier, early_stopping=True, validation_fraction=0.9, max_iter=1)
    clf.fit(X, y)
    assert set(seen) == set(range(len(clf.classes_)))


@covers("n_iter_no_change")
def test_n_iter_no_change(cls):
    # No step is ever an improvement of so much.
    for patience in [1, 3]:
        clf = fit(cls, max_iter=20, tol=1e6, n_iter_no_change=patience)
        assert clf.n_iter_ == 1 + patience


@covers("tol")
def test_tol(cls):
    options = {"max_iter": 8, "n_iter_no_change": 1}
    assert fit(cls, tol=0.0, **options).n_iter_ > 3
    assert fit(cls, tol=1e6, **options).n_iter_ == 2


@covers("warm_start")
def test_warm_start(cls):
    X, y = make_data(cls)
    warm, cold = fit(cls, warm_start=True), fit(cls, warm_start=False)
    assert same_weights(warm, cold)
    first = warm.loss_curve_
    warm.fit(X, y)
    cold.fit(X, y)
    assert warm.loss_ < first[-1]
    assert cold.loss_curve_ == first


@covers("random_state")
def test_random_state(cls):
    zero, again, one = (fit(cls, random_state=seed) for seed in (0, 0, 1))
    assert same_weights(zero, again)
    assert not same_weights(zero, one)
    assert not same_weights(fit(cls, random_state=None), fit(cls, random_state=None))


def test_random_state_none_leaves_the_global_generator_alone():
    before = np.random.get_state()[1:3]  # noqa: NPY002
    fit(MHEClassifier, random_state=None)
    after = np.random.get_state()[1:3]  # noqa: NPY002
    assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


@covers("verbose")
def test_verbose(cls, capsys):
    silent = fit(cls, verbose=False)
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    shown = fit(cls, verbose=True, early_stopping=True, max_iter=2)
    output = capsys.readouterr()
    assert output.out == ""
    assert "6/6" in output.err  # steps
    assert "epoch=2" in output.err
    assert "loss=" in output.err
    assert "validation=" in output.err
    assert same_weights(silent, fit(cls, verbose=1))
    assert shown.predict(make_data(cls)[0]) is not None
    fit(cls).predict(make_data(cls)[0])


@covers("device")
def test_device(cls, monkeypatch):
    asked, resolve = [], _base.resolve_device

    def recorded(device):
        asked.append(device)
        return resolve(device)

    for module in (_base, _predicting):
        monkeypatch.setattr(module, "resolve_device", recorded)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cpu, auto = fit(cls, device="cpu"), fit(cls, device="auto")
    assert same_weights(cpu, auto)
    assert set(asked) == {"cpu", "auto"}
    # What was asked for is not overwritten by what was found.
    assert auto.device == "auto"
    asked.clear()
    auto.predict(make_data(cls)[0])
    assert asked == ["auto"]


@covers("precision")
def test_precision(cls, monkeypatch):
    X, y = make_data(cls)
    settings = {"max_iter": 60, "learning_rate_init": 0.02}
    for strategy in ("full", "sampling", "cascade"):
        exact, rounded = (
            fit(cls, precision=precision, strategy=strategy, **settings)
            for precision in ("float32", "bfloat16")
        )
        assert not same_weights(exact, rounded)
        assert {w.dtype for w in rounded.weights_.values()} == {np.dtype(np.float32)}
        scores = exact.score(X, y), rounded.score(X, y)
        assert scores[0] == pytest.approx(scores[1], abs=0.02)
        assert scores[0] > 0.8
        # Predictions are not rounded.
        exact.weights_ = rounded.weights_
        assert_array_equal(exact.predict_topk(X, 2)[1], rounded.predict_topk(X, 2)[1])
    for features in ({"amx_bf16": True}, {}):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda f=features: f, raising=False
        )
        auto = fit(cls, precision="auto", strategy="cascade", **settings)
        assert same_weights(auto, rounded) == bool(features)


# ------------------------------------------------------------ label features


def fit_labels(cls, Z=None, **params):
    """Fit with features of labels: sums of their samples."""
    X, y = make_data(cls)
    if Z is None:
        Y = np.eye(N_LABELS)[y] if y.ndim == 1 else y
        Z = Y.T @ X
    return make(cls, **params).fit(X, y, label_features=Z)


class Pools:
    """Records what each pool was drawn with, and what it was."""

    def __init__(self, monkeypatch):
        self.plans, self.pools, self.shortlists = [], [], []
        draw = _label_training.draw_pool

        def recorded(plan, y, shortlists, counts, rng):
            self.plans.append(plan)
            self.shortlists.append(shortlists)
            self.pools.append(draw(plan, y, shortlists, counts, rng))
            return self.pools[-1]

        monkeypatch.setattr(_label_training, "draw_pool", recorded)


@pytest.fixture
def pools(monkeypatch):
    return Pools(monkeypatch)


@covers("encoder_weight")
def test_encoder_weight(cls):
    none, little, much = (fit_labels(cls, encoder_weight=w) for w in (0, 0.1, 0.9))
    # The encoder is not trained at all, or more or less.
    assert (none.weights_["encoder.sample_map.weight"] == 0).all()
    assert not same_weights(little, much)
    X, y = make_data(cls)
    plain = make(cls).fit(X, y)
    for name, weight in plain.weights_.items():
        assert_array_equal(none.weights_[name], weight)


@covers("encoder_weight")
def test_joint_loss(cls, monkeypatch):
    losses, step = [], _training.train_step

    def recorded(network, optimizer, batch, label_weight, plan, loss):
        def noted(*args):
            losses.append([loss(*args).item()])
            return torch.tensor(losses[-1][0])

        losses.append(step(network, optimizer, batch, label_weight, plan, noted))
        return losses[-1]

    monkeypatch.setattr(_training, "train_step", recorded)
    classifier = {}
    for weight in (0.25, 0.75):
        losses.clear()
        fit_labels(cls, encoder_weight=weight, max_iter=1, batch_size=N)
        (encoder,), joint = losses
        classifier[weight] = (joint - weight * encoder) / (1 - weight)
    assert_allclose(classifier[0.25], classifier[0.75], rtol=1e-4)


@covers("share_encoder")
def test_share_encoder(cls):
    shared = fit_labels(cls)
    own = fit_labels(cls, share_encoder=False)
    layer = "encoder.label_layer.weight"
    assert layer not in shared.weights_
    assert own.weights_[layer].shape == (N_FEATURES, 8)
    other = np.random.RandomState(0).rand(N_LABELS, 3)
    assert fit_labels(cls, other).weights_[layer].shape == (3, 8)
    assert same_weights(fit_labels(cls, share_encoder=True), shared)
    with pytest.raises(ValueError, match="share_encoder=True, but label_features has"):
        fit_labels(cls, other, share_encoder=True)


@covers("pool_size")
def test_pool_size(cls, pools):
    fit_labels(cls, pool_size=5, max_iter=1)
    assert {len(pool) for pool in pools.pools} == {5}
    pools.pools.clear()
    fit_labels(cls, batch_size=4, max_iter=1)
    assert {len(pool) for pool in pools.pools} == {8}  # twice the batch
    pools.pools.clear()
    fit_labels(cls, pool_size=99, max_iter=1)
    assert {len(pool) for pool in pools.pools} == {N_LABELS}


@covers("n_pool_positives")
@pytest.mark.parametrize("n", [1, 2])
def test_n_pool_positives(cls, n, monkeypatch):
    drawn = []
    labels = 1 if cls is MHEClassifier else 2
    monkeypatch.setattr(
        _pools, "_add", lambda taken, *args: drawn.append(taken.sum()) or args[1]
    )
    fit_labels(cls, pool_size=11, n_pool_positives=n, batch_size=2, max_iter=1, tol=0)
    # What was in the pool before anything was added to it.
    assert max(drawn) == 2 * min(n, labels)


@covers("n_hard_negatives")
def test_n_hard_negatives(cls, pools, monkeypatch):
    none = fit_labels(cls, n_hard_negatives=0, batch_size=4, max_iter=3)
    assert all(lists is None for lists in pools.shortlists)
    some = fit_labels(cls, n_hard_negatives=2, batch_size=4, max_iter=3)
    assert not all(lists is None for lists in pools.shortlists)
    assert not same_weights(none, some)


@covers("shortlist_size")
def test_shortlist_size(cls, pools):
    fit_labels(cls, shortlist_size=3, n_hard_negatives=1, pool_size=6, max_iter=2)
    widths = {lists.shape[1] for lists in pools.shortlists if lists is not None}
    assert widths == {3}
    pools.shortlists.clear()
    fit_labels(cls, shortlist_size=99, n_hard_negatives=1, pool_size=6, max_iter=2)
    widths = {lists.shape[1] for lists in pools.shortlists if lists is not None}
    assert widths == {N_LABELS}


@covers("shortlist_refresh")
def test_shortlist_refresh(cls, monkeypatch):
    epochs, start = [], _label_training.LabelTraining.start_epoch

    def recorded(self, network, X, epoch):
        before = self.shortlists
        start(self, network, X, epoch)
        if self.shortlists is not before:
            epochs.append(epoch)

    monkeypatch.setattr(_label_training.LabelTraining, "start_epoch", recorded)
    for refresh, wanted in [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (9, [1])]:
        epochs.clear()
        fit_labels(
            cls, shortlist_refresh=refresh, n_hard_negatives=1, max_iter=6, tol=0
        )
        assert epochs == wanted


@covers("shortlist_search")
def test_shortlist_search(cls, monkeypatch):
    pytest.importorskip("faiss")
    used, searches = [], _label_training.SEARCHES

    def recorded(name, labels):
        used.append(name)
        return searches[name](labels)

    monkeypatch.setattr(
        _label_training,
        "SEARCHES",
        {name: partial(recorded, name) for name in searches},
    )
    for search, name in [
        ("auto", "exact"),
        ("exact", "exact"),
        ("approximate", "approximate"),
    ]:
        used.clear()
        fit_labels(cls, shortlist_search=search, n_hard_negatives=1, max_iter=2)
        assert used == [name]


@covers("neighbor_batches")
def test_neighbor_batches(cls, monkeypatch):
    orders, order = [], _label_training.neighbour_order
    monkeypatch.setattr(
        _label_training,
        "neighbour_order",
        lambda *args: orders.append(order(*args)) or orders[-1],
    )
    plain = fit_labels(cls)
    assert orders == []
    near = fit_labels(cls, neighbor_batches=True)
    assert len(orders) == 1  # there are no neighbours before the first epoch
    assert not same_weights(plain, near)


@covers("scoring")
def test_scoring(cls):
    clf, (X, _) = fit_labels(cls, max_iter=4), make_data(cls)
    scores = {}
    for scoring in ("both", "classifier", "encoder"):
        clf.set_params(scoring=scoring)
        scores[scoring] = (
            clf.predict_log_proba(X)
            if cls is MHEClassifier
            else (clf.decision_function(X))
        )
    assert not np.allclose(scores["both"], scores["classifier"])
    assert not np.allclose(scores["encoder"], scores["classifier"])
    # Without features of labels there is the classifier only.
    plain = fit(cls)
    before = plain.predict_proba(X)
    assert_array_equal(plain.set_params(scoring="encoder").predict_proba(X), before)


# ------------------------------------------------------------ completeness


@pytest.mark.parametrize("cls", CLASSES)
def test_every_parameter_has_a_test(cls):
    assert COVERED[cls] == set(cls().get_params())
    assert COVERED[cls] == set(cls._parameter_constraints)


# ------------------------------------------------------------ backbones of users


def fit_own(cls, **params):
    return fit(cls, **({"backbone": Dense, "strategy": "full"} | params))


@covers("backbone")
def test_backbone(cls):
    wide = fit_own(cls, backbone__width=5)
    assert wide.weights_["backbone.first.weight"].shape == (5, N_FEATURES)
    assert type(wide._network().backbone) is Dense
    # There is a network only, whatever the model.
    assert same_weights(fit_own(cls, model="both"), fit_own(cls, model="network"))
    assert fit_own(cls, model="both").linear_ is None
    own = fit(cls, strategy="full")
    assert "backbone.layers.0.weight" in own.weights_


@covers("freeze")
def test_freeze(cls):
    moved = {}
    for freeze in (False, True, "first.*", ["norm.*", "second.bias"]):
        a, b = (fit_own(cls, freeze=freeze, max_iter=n) for n in (1, 2))
        moved[str(freeze)] = {
            name.removeprefix("backbone.")
            for name, weight in a.weights_.items()
            if not np.array_equal(weight, b.weights_[name])
            and name.startswith("backbone.")
        }
    everything = moved["False"]
    assert len(everything) == 9
    assert moved["True"] == set()
    assert everything - moved["first.*"] == {"first.weight", "first.bias"}
    norm = {name for name in everything if name.startswith("norm.")}
    assert everything - moved["['norm.*', 'second.bias']"] == norm | {"second.bias"}


@covers("backbone_learning_rate")
def test_backbone_learning_rate(cls, monkeypatch):
    groups, step = [], _training.train_step

    def recorded(network, optimizer, *args):
        names = {p: name for name, p in network.named_parameters()}
        groups.append(
            {
                names[p].removeprefix("backbone."): group["lr"]
                for group in optimizer.param_groups
                for p in group["params"]
            }
        )
        return step(network, optimizer, *args)

    monkeypatch.setattr(_training, "train_step", recorded)

    def rates(**params):
        groups.clear()
        fit_own(cls, learning_rate_init=0.5, max_iter=2, **params)
        return groups[0], groups[-1]

    assert set(rates()[0].values()) == {0.5}
    first, _ = rates(backbone_learning_rate=0.1)
    assert (first["first.weight"], first["head.weights.0"]) == (0.1, 0.5)
    by_name = {"*": 0.2, "first.*": 0.1}
    first, last = rates(backbone_learning_rate=by_name, learning_rate="linear")
    assert (first["first.bias"], first["second.bias"]) == (0.1, 0.2)
    # Every rate follows the schedule: the last of six steps.
    assert last["first.bias"] == pytest.approx(0.1 / 6)
    assert last["head.weights.0"] == pytest.approx(0.5 / 6)


@pytest.mark.parametrize("cls", CLASSES)
def test_schedules_are_torchs(cls, steps):
    n_steps = 2 * N // 32

    def rates(name):
        steps.rates.clear()
        fit(cls, learning_rate=name, learning_rate_init=0.5)
        return steps.rates

    wave = 0.25 * (1 + np.cos(np.pi * np.arange(n_steps) / n_steps))
    assert_allclose(rates("cosine"), wave)
    assert_allclose(rates("linear"), 0.5 * (1 - np.arange(n_steps) / n_steps))
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.5, total_steps=n_steps, cycle_momentum=False
    )
    expected = []
    for _ in range(n_steps):
        expected += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    assert_allclose(rates("one_cycle"), expected)
    # A single step is a schedule, too.
    steps.rates.clear()
    fit(cls, learning_rate="one_cycle", max_iter=1, batch_size=N)
    assert len(steps.rates) == 1


@covers("max_grad_norm")
def test_max_grad_norm(cls, monkeypatch):
    norms, clip = [], _training.clip_gradients

    def recorded(parameters, max_norm):
        parameters = list(parameters)
        clip(parameters, max_norm)
        grads = [p.grad.to_dense() for p in parameters if p.grad is not None]
        norms.append(torch.cat([g.flatten() for g in grads]).norm().item())

    monkeypatch.setattr(_training, "clip_gradients", recorded)
    free = fit(cls, strategy="sampling")
    assert norms == []
    loose = fit(cls, strategy="sampling", max_grad_norm=1e6)
    assert same_weights(free, loose)
    largest = max(norms)
    norms.clear()
    tight = fit(cls, strategy="sampling", max_grad_norm=largest / 4)
    assert_allclose(max(norms), largest / 4, rtol=1e-3)
    assert not same_weights(free, tight)


@covers("averaging_decay")
def test_averaging_decay(cls, monkeypatch):
    states, step = [], _training.train_step

    def recorded(network, *args):
        loss = step(network, *args)
        states.append(copy.deepcopy(network.state_dict()))
        return loss

    monkeypatch.setattr(_training, "train_step", recorded)
    monkeypatch.setattr(_base, "round_to_half", lambda weights: None)
    clf = fit_own(cls, averaging_decay=0.6)
    mean = states[0]
    for state in states[1:]:
        mean = {name: 0.6 * mean[name] + 0.4 * state[name] for name in mean}
    for name, weight in clf.weights_.items():
        if weight.dtype == np.float32:
            assert_allclose(weight, mean[name].numpy(), rtol=1e-4, atol=1e-6)
    assert not same_weights(clf, fit_own(cls))
    # partial_fit goes on from the weights, of which there is no mean.
    X, y = make_data(cls)
    parts = [make(cls, averaging_decay=decay) for decay in (None, 0.9)]
    for part in parts:
        part.partial_fit(X, y, classes=np.arange(N_LABELS))
    assert same_weights(*parts)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_mean_of_weights_is_what_early_stopping_scores(cls, monkeypatch):
    scored, score = [], _training.validation_score

    def recorded(network, *args):
        scored.append(copy.deepcopy(network.state_dict()))
        return score(network, *args)

    monkeypatch.setattr(_training, "validation_score", recorded)
    monkeypatch.setattr(_base, "round_to_half", lambda weights: None)
    clf = fit(cls, averaging_decay=0.9, early_stopping=True)
    best = int(np.argmax(clf.validation_scores_))
    for name, weight in clf.weights_.items():
        assert_array_equal(weight, scored[best][name].numpy())


# ------------------------------------------------------------ margins and pools


MARGIN = {"strategy": "full", "margin": "arcface", "margin_scale": 8.0}


@covers("margin")
def test_margin(cls):
    X, y = make_data(MHEClassifier)
    for strategy in ("full", "sampling"):
        for kind in ("arcface", "cosface"):
            clf = make(cls, **(MARGIN | {"strategy": strategy, "margin": kind}))
            head = clf.fit(X, y)._network().head
            assert head.margin == (kind, 0.5, 8.0)
            assert clf.score(X, y) > 0.5
    labels = cls(**{**MARGIN, "margin": None}).fit(X, y)
    assert labels._network().head.margin is None
    if cls is MHEMultiLabelClassifier:
        with pytest.raises(ValueError, match="margin='arcface' is for one label a s"):
            fit(cls, **MARGIN)
    with pytest.raises(ValueError, match="margin='arcface' is for one label a sample"):
        make(cls, **(MARGIN | {"strategy": "cascade"})).fit(X, y)
    with pytest.raises(ValueError, match="is for a network alone, but model='both'"):
        make(cls, **(MARGIN | {"model": "both"})).fit(X, y)
    with pytest.raises(ValueError, match="label_features cannot be used with margin"):
        make(cls, **MARGIN).fit(X, y, label_features=np.eye(N_LABELS))


@covers("margin_size")
def test_margin_size(cls):
    X, y = make_data(MHEClassifier)
    small, large = (
        make(cls, max_iter=1, **MARGIN, margin_size=size).fit(X, y)
        for size in (0.0, 0.7)
    )
    assert small.loss_ < large.loss_
    assert large._network().head.margin.margin == 0.7
    with pytest.raises(ValueError, match=r"margin.margin must be in 0\.\.1.571"):
        make(cls, **MARGIN, margin_size=2.0).fit(X, y)


@covers("margin_scale")
def test_margin_scale(cls):
    X, y = make_data(MHEClassifier)
    clf = make(cls, **(MARGIN | {"margin_scale": 3.0})).fit(X, y)
    weights = clf.weights_["head.weights.0"][clf.codec_.positions]
    features = clf.transform(X)
    cosines = (features @ weights.T) / np.linalg.norm(weights, axis=1)
    cosines /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    p = np.exp(3 * cosines)
    assert_allclose(clf.predict_proba(X), p / p.sum(1, keepdims=True), rtol=1e-4)


@covers("pool_labels")
def test_pool_labels(cls):
    options = {"strategy": "sampling", "n_sampled_groups": 1, "n_heads": 2}
    kinds = ["batch", "batch_groups", "own_group"]
    if cls is MHEClassifier:
        kinds.append("batch_and_own_group")
        options["model"] = "network"
    fitted = [fit(cls, pool_labels=kind, **options) for kind in kinds]
    for clf, kind in zip(fitted, kinds, strict=True):
        assert clf._network().head.pool_labels == kind
    assert len({clf.loss_ for clf in fitted}) == len(kinds)
    assert same_weights(fit(cls, pool_labels="auto", **options), fitted[0])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"model": "both"},
            "pool_labels='batch_and_own_group' is for a network alone, but model=",
        ),
        (MARGIN | {"strategy": "sampling"}, "one label a sample and no margin, but y"),
    ],
)
def test_pool_labels_that_do_not_fit(params, match):
    X, y = make_data(MHEClassifier)
    params = {"strategy": "sampling"} | params
    clf = make(MHEClassifier, pool_labels="batch_and_own_group", **params)
    with pytest.raises(ValueError, match=match):
        clf.fit(X, y)
    X, Y = make_data(MHEMultiLabelClassifier)
    clf = make(
        MHEMultiLabelClassifier,
        strategy="sampling",
        model="network",
        pool_labels="batch_and_own_group",
    )
    with pytest.raises(ValueError, match="'dense' and margin=None: use"):
        clf.fit(X, Y)
