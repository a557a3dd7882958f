"""Estimators on the networks that users bring."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from user_modules import (
    MODULES,
    N_LABELS,
    STRATEGIES,
    Dense,
    N,
    Tokens,
    make,
    make_data,
    network,
    weights,
)

from skmhe import Backbone, MHEClassifier, MHEMultiLabelClassifier, Sampling
from skmhe.nn import FullHead
from skmhe.scorers.user_backbone import flat_rows

both_estimators = pytest.mark.parametrize(
    "cls", [MHEClassifier, MHEMultiLabelClassifier]
)
every_kind = pytest.mark.parametrize("kind", MODULES)


@both_estimators
@every_kind
def test_samples_of_any_shape_are_learned(cls, kind):
    X, y = make_data(kind, cls)
    clf = make(cls, MODULES[kind], {"width": 16}, max_iter=20).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.transform(X).shape == (N, 16)
    assert_array_equal(clf.predict(X[:3]), clf.predict(X)[:3])


@pytest.mark.parametrize("strategy", STRATEGIES)
@every_kind
def test_every_strategy_takes_them(strategy, kind):
    X, y = make_data(kind)
    params = {"strategy": STRATEGIES[strategy], "max_iter": 20}
    clf = make(module=MODULES[kind], **params).fit(X, y)
    assert clf.strategy_ == strategy
    assert clf.score(X, y) > 0.8
    assert_allclose(clf.predict_proba(X).sum(1), 1)
    labels, scores = clf.predict_topk(X, k=3)
    assert_array_equal(labels[:, 0], clf.predict(X))
    assert_allclose(scores[:, 0], clf.predict_proba(X).max(1), rtol=1e-4)


@both_estimators
def test_a_class_is_the_short_form_of_a_backbone(cls):
    X, y = make_data(cls=cls)
    expected = make(cls).fit(X, y)
    short = make(cls).set_params(backbone=Dense).fit(X, y)
    assert short.backbone is Dense
    assert_array_equal(short.predict_proba(X), expected.predict_proba(X))
    # No linear classifiers or centroids are added, whatever the model.
    alone = make(cls, model="network").fit(X, y)
    assert_array_equal(alone.predict_proba(X), expected.predict_proba(X))


@every_kind
def test_heads_are_trained_on_what_the_module_makes(kind):
    # The fitted module in plain torch, and the head's scores of its features.
    X, y = make_data(kind)
    clf = make(module=MODULES[kind], strategy="full", max_iter=3).fit(X, y)
    module, fitted = MODULES[kind](), weights(clf)
    module.load_state_dict(
        {n: torch.from_numpy(fitted[n]) for n in module.state_dict()}
    )
    inputs = torch.from_numpy(X if kind == "tokens" else X.astype(np.float32))
    with torch.no_grad():
        features = module.eval()(inputs).numpy()
    assert_allclose(clf.transform(X), features, rtol=1e-5, atol=1e-6)
    scores = features @ fitted["head.weights.0"].T + fitted["head.biases.0"]
    expected = np.empty_like(scores)
    expected[:, clf.codec_.order] = scores
    assert_array_equal(clf.predict(X), expected.argmax(1))


@both_estimators
def test_a_module_is_copied_and_never_changed(cls):
    module = Dense(width=5)
    before = copy.deepcopy(module.state_dict())
    X, y = make_data(cls=cls)
    clf = make(cls, max_iter=2).set_params(backbone=module).fit(X, y)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert module.training
    assert clf.backbone is module
    # It starts from the module's weights.
    frozen = make(cls, module, {"freeze": True}, max_iter=2).fit(X, y)
    for name, tensor in before.items():
        assert_array_equal(weights(frozen)[name], tensor.numpy())
        if name != "norm.num_batches_tracked":
            assert not np.array_equal(weights(clf)[name], tensor.numpy())


def test_parameters_of_the_module():
    clf = make(backbone={"width": 3, "dropout": 0.5})
    twin = clone(clf).set_params(backbone__width=4, max_iter=3)
    assert clf.get_params()["backbone__width"] == 3
    X, y = make_data()
    assert clf.fit(X, y).transform(X).shape == (N, 3)
    assert twin.fit(X, y).transform(X).shape == (N, 4)


def test_search_and_pipeline():
    X, y = make_data()
    clf = make(max_iter=5).set_params(backbone=Dense)
    pipeline = make_pipeline(StandardScaler(), clf)
    grid = {"mheclassifier__backbone__width": [1, 16]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_ == {"mheclassifier__backbone__width": 16}


@pytest.mark.parametrize("module", [Dense, Dense(), lambda: Dense(4)])
def test_random_state_fixes_everything(module):
    X, y = make_data()
    torch.manual_seed(0)
    a = make(module=module, backbone={"learning_rate": 0.01}).fit(X, y)
    after = torch.rand(1)
    b = make(module=module, backbone={"learning_rate": 0.01}).fit(X, y)
    for name, weight in weights(a).items():
        assert_array_equal(weight, weights(b)[name])
    c = make(module=module, random_state=1).fit(X, y)
    assert not np.array_equal(
        weights(c)["head.weights.0"], weights(a)["head.weights.0"]
    )
    # torch's own generator was left as it was, by predictions, too.
    torch.manual_seed(0)
    a.predict(X)
    assert torch.rand(1) == after


@every_kind
def test_pickle(kind):
    X, y = make_data(kind)
    clf = make(module=MODULES[kind], warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert all(isinstance(weight, np.ndarray) for weight in weights(clf).values())
    # Training goes on from there.
    p = [each.fit(X, y).predict_proba(X) for each in (clf, again)]
    assert_array_equal(p[0], p[1])


def test_changed_parameters_do_not_touch_what_was_fitted():
    X, y = make_data()
    clf = make(backbone={"width": 4}).fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(backbone__width=9)
    assert_array_equal(clf.predict_proba(X), before)
    clf.set_params(backbone=None)
    assert_array_equal(clf.predict_proba(X), before)


def test_training_goes_on_with_arrays_among_the_parameters():
    X, y = make_data()

    def scaled(scale):
        return nn.Sequential(nn.Linear(X.shape[1], len(scale)), nn.ReLU())

    clf = make(module=scaled, backbone={"scale": np.ones(4)}, warm_start=True)
    clf.fit(X, y)
    # An equal array, but not the same one, as copies of estimators have it.
    clf.set_params(backbone__scale=np.ones(4)).fit(X, y)
    clf.partial_fit(X, y)
    clf.set_params(backbone__scale=np.zeros(4))
    with pytest.raises(ValueError, match="does not fit the network that was fitted"):
        clf.fit(X, y)


def test_partial_fit_and_warm_start_go_on():
    X, y = make_data()
    clf = make(max_iter=1, warm_start=True, learning_rate="constant")
    losses = [clf.fit(X, y).loss_ for _ in range(5)]
    assert losses[4] < losses[0]
    part = make()
    for _ in range(10):
        part.partial_fit(X, y, classes=np.arange(N_LABELS))
    assert part.loss_curve_[-1] < part.loss_curve_[0]
    assert part.score(X, y) > 0.8
    for changed in ({"backbone__width": 3}, {"backbone": Dense()}, {"backbone": None}):
        other = pickle.loads(pickle.dumps(clf)).set_params(**changed)
        with pytest.raises(ValueError, match=r"backbone=.* does not fit"):
            other.fit(X, y)
    # What only concerns training may change.
    clf.set_params(backbone__freeze="first.*", backbone__weight_decay=0.1)
    before = weights(clf)
    after = weights(clf.fit(X, y))
    assert_array_equal(after["first.weight"], before["first.weight"])
    assert not np.array_equal(after["second.weight"], before["second.weight"])


def test_features_of_hidden_layers():
    X, y = make_data()
    clf = MHEClassifier(random_state=0, hidden_layer_sizes=(9,), max_iter=2).fit(X, y)
    fitted = weights(clf)
    hidden = X * fitted["backbone.input_scale"] @ fitted["backbone.layers.0.weight"]
    hidden = np.maximum(hidden + fitted["backbone.layers.0.bias"], 0)
    assert_allclose(clf.transform(X), hidden, rtol=1e-4, atol=1e-6)
    assert clf.transform(X).shape == (N, len(clf.get_feature_names_out())) == (N, 9)


def test_a_frozen_part_stays_in_evaluation_mode():
    X, y = make_data()
    frozen = {"dropout": 0.5, "freeze": ["first.*", "norm.*"]}
    clf = make(backbone=frozen, max_iter=2).fit(X, y)
    start = make(backbone=frozen | {"freeze": True}, max_iter=1).fit(X, y)
    for name, weight in weights(start).items():
        is_frozen = name.startswith(("first", "norm"))
        assert np.array_equal(weights(clf)[name], weight) == is_frozen, name
    # All of it frozen: no dropout either, so that features are those of predictions.
    trained = network(start).train()
    assert trained.training
    assert not trained.backbone.module.training


@both_estimators
def test_a_frozen_backbone_is_asked_once_for_each_sample(cls):
    seen = []

    class Counting(Dense):
        def forward(self, inputs):
            seen.append(len(inputs))
            return super().forward(inputs)

    X, y = make_data(cls=cls)
    settings = {"max_iter": 6, "early_stopping": True, "n_iter_no_change": 6}
    clf = make(cls, Counting, {"dropout": 0.5, "freeze": True}, **settings).fit(X, y)
    assert sum(seen) == N + 2  # and the two samples of the first look
    assert clf.n_iter_ == 6
    assert clf.loss_curve_[-1] < clf.loss_curve_[0]
    assert len(clf.validation_scores_) == 6
    # If only a part is frozen, features differ in every epoch.
    seen.clear()
    make(cls, Counting, {"dropout": 0.5, "freeze": "first.*"}, **settings).fit(X, y)
    assert sum(seen) == 6 * N + 2


# ------------------------------------------------------------ plain torch loops

# One batch per epoch, so that the order of samples means nothing.
ONE_BATCH = {
    "strategy": "full",
    "batch_size": N,
    "learning_rate": "constant",
    "dtype": "float32",
}


def starting_head(clf):
    """Return the head that training starts with."""
    start = clone(clf).set_params(max_iter=1, learning_rate_init=1e-12)
    X, y = make_data()
    fitted = weights(start.fit(X, y))
    head = FullHead(start.transform(X).shape[1], N_LABELS)
    for table, name in ((head.weights, "weights"), (head.biases, "biases")):
        table[0].data = torch.from_numpy(fitted[f"head.{name}.0"].copy())
    return head


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [(False, 0.001), (True, 0.01), (np.True_, 0.01), ("first.*", 0.001)],
)
@both_estimators
def test_rates_of_heads(cls, freeze, expected):
    X, y = make_data(cls=cls)
    curves = [
        make(cls, backbone={"freeze": freeze}, max_iter=2, learning_rate_init=rate)
        .fit(X, y)
        .loss_curve_
        for rate in ("auto", expected, 1.1 * expected)
    ]
    assert curves[0] == curves[1] != curves[2]


def test_heads_on_frozen_features_are_those_of_a_plain_loop():
    X, y = make_data()
    clf = make(backbone={"freeze": True}, max_iter=5, **ONE_BATCH).fit(X, y)
    features, head = torch.from_numpy(clf.transform(X)), starting_head(clf)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02, weight_decay=0)
    for _ in range(5):
        optimizer.zero_grad()
        head.loss(features, torch.from_numpy(y)).backward()
        optimizer.step()
    expected = head.weights[0].detach().numpy()
    assert_allclose(weights(clf)["head.weights.0"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 2.0])
def test_weight_decay_is_that_of_torch(decay):
    X, y = make_data()
    # Not normalized: biases below that have gradients of nothing but rounding.
    module, n_steps = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8)), 5
    own = {"weight_decay": decay, "learning_rate": 0.05}
    clf = make(module=module, backbone=own, max_iter=n_steps, **ONE_BATCH).fit(X, y)
    head = starting_head(make(module=module, **ONE_BATCH))
    optimizer = torch.optim.AdamW(
        [
            {"params": list(module.parameters()), "lr": 0.05, "weight_decay": decay},
            {"params": list(head.parameters()), "lr": 0.02, "weight_decay": 0.0},
        ]
    )
    inputs = torch.from_numpy(X.astype(np.float32))
    for _ in range(n_steps):
        optimizer.zero_grad()
        head.loss(module(inputs), torch.from_numpy(y)).backward()
        optimizer.step()
    expected = module.state_dict() | {
        f"head.{name}": value for name, value in head.state_dict().items()
    }
    assert expected.keys() == weights(clf).keys()
    for name, found in weights(clf).items():
        assert_allclose(found, expected[name].numpy(), rtol=1e-4, atol=1e-5)


@both_estimators
@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
def test_weight_decay_moves_only_what_is_trained_of_the_backbone(cls, strategy):
    X, y = make_data(cls=cls)
    module, rates = Dense(), {"second.*": 0.1, "norm.*": 0.01}
    start = {name: value.numpy().copy() for name, value in module.state_dict().items()}
    params = ONE_BATCH | {"strategy": STRATEGIES[strategy], "max_iter": 1}
    own = {"freeze": "first.bias", "learning_rate": rates}
    plain = weights(make(cls, module, own, **params).fit(X, y))
    decayed = make(cls, module, own | {"weight_decay": 2.0}, **params).fit(X, y)
    rate_of = {"second.weight": 0.1, "second.bias": 0.1, "first.weight": 0.02}
    rate_of |= {"norm.weight": 0.01, "norm.bias": 0.01}
    for name, found in weights(decayed).items():
        # The first gradient is the same; what was decayed is smaller by rate * decay.
        lost = 2.0 * rate_of[name] * start[name] if name in rate_of else 0.0
        assert_allclose(found, plain[name] - lost, rtol=1e-5, atol=1e-6)
        if name not in rate_of:
            assert_array_equal(found, plain[name])


# ------------------------------------------------------------ modules of many kinds


def test_tied_and_unsaved_tensors_are_kept():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
            self.second.weight = self.first.weight
            self.register_buffer("shift", torch.ones(6), persistent=False)

        def forward(self, inputs):
            return self.second(torch.relu(self.first(inputs + self.shift)))

    X, y = make_data()
    clf = make(module=Odd, max_iter=3).fit(X, y)
    first, second = (weights(clf)[f"{name}.weight"] for name in ("first", "second"))
    assert_array_equal(first, second)
    module = network(clf).backbone.module
    assert module.first.weight is module.second.weight
    assert_array_equal(module.shift, np.ones(6))
    assert clf.score(X, y) > 0.5


def test_batch_normalization_is_never_left_with_one_sample():
    X, y = make_data()
    for learning_rate in ("one_cycle", "linear"):  # which count the steps
        clf = make(batch_size=17, learning_rate=learning_rate)  # 120 = 7 * 17 + 1
        assert clf.fit(X, y).score(X, y) > 0.5


def test_layers_that_learn_their_shape_from_the_samples():
    def make_network(width=8):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.ReLU())

    X, y = make_data("images")
    clf = make(module=make_network, max_iter=20).fit(X, y)
    assert weights(clf)["1.weight"].shape == (8, 20)
    assert clf.score(X, y) > 0.8
    frozen = make(module=make_network, backbone={"freeze": True}, max_iter=1).fit(X, y)
    start = weights(frozen)["1.weight"]
    assert not np.array_equal(start, weights(clf)["1.weight"])
    frozen.set_params(max_iter=3).fit(X, y)
    assert_array_equal(weights(frozen)["1.weight"], start)


def test_labels_are_clustered_by_what_samples_hold():
    tokens = np.array([[3, 3, 0], [5, 0, 0]])
    rows = flat_rows(tokens).toarray()
    assert rows.shape == (2, 6)
    assert (rows > 0).tolist() == [
        [True, False, False, True, False, False],
        [True, False, False, False, False, True],
    ]
    images = np.arange(12.0).reshape(2, 1, 2, 3)
    assert_array_equal(flat_rows(images), images.reshape(2, 6))
    X, y = make_data("tokens")
    orders = {
        order: make(module=Tokens, strategy="cascade", label_order=order).fit(X, y)
        for order in ("cluster", "natural")
    }
    assert_array_equal(orders["natural"].codec_.order, np.arange(N_LABELS))
    assert not np.array_equal(orders["cluster"].codec_.order, np.arange(N_LABELS))


def test_no_groups_but_labels_of_the_batch():
    X, y = make_data()
    strategy = Sampling(n_sampled_groups=0, pool_labels="batch")
    assert make(strategy=strategy).fit(X, y).score(X, y) > 0.5


def test_two_objects_with_the_same_module_are_the_same_network():
    X, y = make_data()
    clf = make(warm_start=True, max_iter=1).fit(X, y)
    clf.set_params(backbone=Backbone(Dense, learning_rate=0.001)).fit(X, y)
    assert clf.n_iter_ == 2  # the second fit went on
