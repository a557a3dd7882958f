"""Estimators on the networks that users bring."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from _backbones import Dense, Images, Scaled, Tokens
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe._backbones import flat_rows
from skmhe.nn import FullHead

N, N_LABELS = 120, 6
STRATEGIES = ["cascade", "product", "sampling", "full"]
both_estimators = pytest.mark.parametrize(
    "cls", [MHEClassifier, MHEMultiLabelClassifier]
)


def make(cls=MHEClassifier, backbone=Dense, **params):
    base = {
        "batch_size": 20,
        "learning_rate_init": 0.02,
        "n_sampled_groups": 2,
        "random_state": 0,
        "device": "cpu",
    }
    return cls(backbone=backbone, **(base | params))


def make_data(kind="rows", cls=MHEClassifier):
    rng = np.random.RandomState(0)
    y = rng.permutation(np.arange(N) % N_LABELS)
    if kind == "rows":
        X = 2 * np.eye(N_LABELS)[y] + 0.3 * rng.randn(N, N_LABELS)
    elif kind == "images":
        patterns = rng.randn(N_LABELS, 1, 5, 4)
        X = patterns[y] + 0.2 * rng.randn(N, 1, 5, 4)
    else:
        # Three words of each label, at any place, and padding.
        X = 1 + 3 * y[:, None] + rng.randint(3, size=(N, 7))
        X[np.arange(7) >= rng.randint(3, 8, size=(N, 1))] = 0
    if cls is MHEMultiLabelClassifier:
        y = np.eye(N_LABELS, dtype=int)[y]
    return X, y


BACKBONES = {"rows": Dense, "images": Images, "tokens": Tokens}
every_kind = pytest.mark.parametrize("kind", BACKBONES)


@both_estimators
@every_kind
def test_samples_of_any_shape_are_learned(cls, kind):
    X, y = make_data(kind, cls)
    clf = make(cls, BACKBONES[kind], max_iter=20, backbone__width=16).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.transform(X).shape == (N, 16)
    assert_array_equal(clf.predict(X[:3]), clf.predict(X)[:3])


@pytest.mark.parametrize("strategy", STRATEGIES)
@every_kind
def test_every_strategy_takes_them(strategy, kind):
    X, y = make_data(kind)
    clf = make(backbone=BACKBONES[kind], strategy=strategy, max_iter=20).fit(X, y)
    assert clf.strategy_ == strategy
    assert clf.score(X, y) > 0.8
    assert_allclose(clf.predict_proba(X).sum(1), 1)
    labels, scores = clf.predict_topk(X, k=3)
    assert_array_equal(labels[:, 0], clf.predict(X))
    assert_allclose(scores[:, 0], clf.predict_proba(X).max(1), rtol=1e-4)


@every_kind
def test_heads_are_trained_on_what_the_module_makes(kind):
    # The same network in a loop of plain torch, on the features of the fitted module.
    X, y = make_data(kind)
    clf = make(backbone=BACKBONES[kind], strategy="full", max_iter=3).fit(X, y)
    module = BACKBONES[kind]()
    state = {
        name.removeprefix("backbone."): torch.from_numpy(weight)
        for name, weight in clf.weights_.items()
        if name.startswith("backbone.")
    }
    module.load_state_dict(state)
    inputs = torch.from_numpy(X if kind == "tokens" else X.astype(np.float32))
    with torch.no_grad():
        features = module.eval()(inputs).numpy()
    assert_allclose(clf.transform(X), features, rtol=1e-5, atol=1e-6)
    scores = features @ clf.weights_["head.weights.0"].T + clf.weights_["head.biases.0"]
    expected = np.empty_like(scores)
    expected[:, clf.codec_.order] = scores
    assert_array_equal(clf.predict(X), expected.argmax(1))


@both_estimators
def test_a_module_is_copied_and_never_changed(cls):
    module = Dense(width=5)
    before = copy.deepcopy(module.state_dict())
    X, y = make_data(cls=cls)
    clf = make(cls, module, max_iter=2)
    clf.fit(X, y)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert module.training
    assert clf.backbone is module
    # It starts from the module's weights.
    frozen = make(cls, module, max_iter=2, freeze=True).fit(X, y)
    for name, tensor in before.items():
        assert_array_equal(frozen.weights_[f"backbone.{name}"], tensor.numpy())
        if name != "norm.num_batches_tracked":
            assert not np.array_equal(clf.weights_[f"backbone.{name}"], tensor.numpy())


def test_parameters_of_a_class_are_those_of_any_estimator():
    clf = make(backbone__width=3, backbone__dropout=0.5)
    params = clf.get_params()
    assert (params["backbone__width"], params["backbone__dropout"]) == (3, 0.5)
    twin = clone(clf)
    assert twin.get_params() == params
    assert "backbone__width=3" in repr(clf)
    clf.set_params(backbone__width=4, max_iter=3)
    assert (clf.get_params()["backbone__width"], clf.max_iter) == (4, 3)
    assert twin.get_params()["backbone__width"] == 3
    X, y = make_data()
    assert clf.fit(X, y).transform(X).shape == (N, 4)


def test_search_and_pipeline():
    X, y = make_data()
    pipeline = make_pipeline(StandardScaler(), make(max_iter=5))
    grid = {"mheclassifier__backbone__width": [1, 16]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_ == {"mheclassifier__backbone__width": 16}


def test_an_estimator_that_makes_modules():
    class Factory(BaseEstimator):
        def __init__(self, width=4):
            self.width = width

        def __call__(self):
            return Dense(self.width)

    clf = make(backbone=Factory())
    assert clf.get_params()["backbone__width"] == 4
    clf.set_params(backbone__width=7)
    assert clf.backbone.width == 7
    X, y = make_data()
    assert clf.fit(X, y).transform(X).shape == (N, 7)


@pytest.mark.parametrize("backbone", [Dense, Dense(), lambda: Dense(4)])
def test_random_state_fixes_everything(backbone):
    X, y = make_data()
    torch.manual_seed(0)
    a = make(backbone=backbone, backbone_learning_rate=0.01).fit(X, y)
    after = torch.rand(1)
    b = make(backbone=backbone, backbone_learning_rate=0.01).fit(X, y)
    for name, weight in a.weights_.items():
        assert_array_equal(weight, b.weights_[name])
    c = make(backbone=backbone, random_state=1).fit(X, y)
    assert not np.array_equal(
        c.weights_["head.weights.0"], a.weights_["head.weights.0"]
    )
    # torch's own generator was left as it was, by predictions, too.
    torch.manual_seed(0)
    a.predict(X)
    assert torch.rand(1) == after


@every_kind
def test_pickle(kind):
    X, y = make_data(kind)
    clf = make(backbone=BACKBONES[kind]).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert all(isinstance(weight, np.ndarray) for weight in clf.weights_.values())


def test_changed_parameters_do_not_touch_what_was_fitted():
    X, y = make_data()
    clf = make(backbone__width=4).fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(backbone__width=9)
    assert_array_equal(clf.predict_proba(X), before)
    clf.set_params(backbone=None)
    assert_array_equal(clf.predict_proba(X), before)


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
        with pytest.raises(ValueError, match="user_backbone shapes the network"):
            other.fit(X, y)


def test_hidden_layers_features_come_from_transform():
    X, y = make_data()
    clf = MHEClassifier(random_state=0, hidden_layer_sizes=(9,), max_iter=2).fit(X, y)
    weights = clf.weights_
    hidden = X * weights["backbone.input_scale"] @ weights["backbone.layers.0.weight"]
    hidden = np.maximum(hidden + weights["backbone.layers.0.bias"], 0)
    assert_allclose(clf.transform(X), hidden, rtol=1e-4, atol=1e-6)
    assert clf.transform(X).dtype == np.float32
    assert list(clf.get_feature_names_out()[:2]) == ["mheclassifier0", "mheclassifier1"]
    assert len(clf.get_feature_names_out()) == 9


@pytest.mark.parametrize("params", [{"model": "linear"}, {"hidden_layer_sizes": ()}])
def test_nothing_to_transform_to(params):
    clf = MHEClassifier(**params)
    assert not hasattr(clf, "transform")
    with pytest.raises(AttributeError, match="has no attribute 'transform'"):
        clf.transform(np.eye(3))


def test_a_frozen_part_stays_in_evaluation_mode():
    X, y = make_data()
    clf = make(backbone__dropout=0.5, freeze=["first.*", "norm.*"], max_iter=2)
    start = make(backbone__dropout=0.5, freeze=True, max_iter=1).fit(X, y)
    clf.fit(X, y)
    for name, weight in start.weights_.items():
        is_frozen = name.startswith(("backbone.first", "backbone.norm"))
        same = np.array_equal(clf.weights_[name], weight)
        assert same == is_frozen, name
    # All of it frozen: no dropout either, so that features are those of predictions.
    network = start._network().train()
    assert network.training
    assert not network.backbone.training


@both_estimators
def test_a_frozen_backbone_is_asked_once_for_each_sample(cls):
    seen = []

    class Counting(Dense):
        def forward(self, inputs):
            seen.append(len(inputs))
            return super().forward(inputs)

    X, y = make_data(cls=cls)
    settings = {"backbone__dropout": 0.5, "max_iter": 6, "early_stopping": True}
    settings["n_iter_no_change"] = 6
    clf = make(cls, Counting, freeze=True, **settings).fit(X, y)
    assert sum(seen) == N + 2  # and the two samples of the first look
    assert clf.n_iter_ == 6
    assert clf.loss_curve_[-1] < clf.loss_curve_[0]
    assert len(clf.validation_scores_) == 6
    # Frozen but for a part, it makes other features in every epoch.
    seen.clear()
    make(cls, Counting, freeze="first.*", **settings).fit(X, y)
    assert sum(seen) == 6 * N + 2


def test_heads_on_frozen_features_are_those_of_a_plain_loop():
    X, y = make_data()
    settings = {"strategy": "full", "batch_size": N, "learning_rate": "constant"}
    clf = make(freeze=True, max_iter=5, **settings).fit(X, y)
    features = torch.from_numpy(clf.transform(X))
    start = make(freeze=True, max_iter=1, learning_rate_init=1e-12, strategy="full")
    start.fit(X, y)
    head = FullHead(features.shape[1], N_LABELS)
    for table, name in ((head.weights, "weights"), (head.biases, "biases")):
        table[0].data = torch.from_numpy(start.weights_[f"head.{name}.0"].copy())
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02, weight_decay=0)
    for _ in range(5):
        optimizer.zero_grad()
        head.loss(features, torch.from_numpy(y)).backward()
        optimizer.step()
    expected = head.weights[0].detach().numpy()
    assert_allclose(clf.weights_["head.weights.0"], expected, atol=2e-3)


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
    clf = make(backbone=Odd, max_iter=3).fit(X, y)
    first, second = (clf.weights_[f"backbone.{n}.weight"] for n in ("first", "second"))
    assert_array_equal(first, second)
    network = clf._network().backbone
    assert network.first.weight is network.second.weight
    assert_array_equal(network.shift, np.ones(6))
    assert clf.score(X, y) > 0.5


def test_batch_normalisation_is_never_left_with_one_sample():
    X, y = make_data()
    for learning_rate in ("one_cycle", "linear"):  # which count the steps
        clf = make(batch_size=17, learning_rate=learning_rate)  # 120 = 7 * 17 + 1
        assert clf.fit(X, y).score(X, y) > 0.5


def test_layers_that_learn_their_shape_from_the_samples():
    def make_network(width=8):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.ReLU())

    X, y = make_data("images")
    clf = make(backbone=make_network, max_iter=20).fit(X, y)
    assert clf.weights_["backbone.1.weight"].shape == (8, 20)
    assert clf.score(X, y) > 0.8
    frozen = make(backbone=make_network, freeze=True, max_iter=1).fit(X, y)
    start = frozen.weights_["backbone.1.weight"]
    assert not np.array_equal(start, clf.weights_["backbone.1.weight"])
    frozen.set_params(max_iter=3).fit(X, y)
    assert_array_equal(frozen.weights_["backbone.1.weight"], start)


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
        order: make(backbone=Tokens, strategy="cascade", label_order=order).fit(X, y)
        for order in ("cluster", "natural")
    }
    assert_array_equal(orders["natural"].codec_.order, np.arange(N_LABELS))
    assert not np.array_equal(orders["cluster"].codec_.order, np.arange(N_LABELS))


@both_estimators
@pytest.mark.parametrize("model", ["network", "linear"])
def test_pipelines_set_the_output_of_their_steps(cls, model):
    # Also where the estimator has no features, and so nothing to set.
    X, y = make_data(cls=cls)
    clf = cls(model=model, hidden_layer_sizes=(9,), max_iter=2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), clf).set_output(transform="pandas")
    pipeline.fit(pd.DataFrame(X).add_prefix("f"), y)
    assert hasattr(clf, "transform") == hasattr(clf, "fit_transform")
    assert hasattr(clf, "transform") == (model == "network")
    if model == "network":
        frame = pipeline.transform(pd.DataFrame(X).add_prefix("f"))
        assert list(frame.columns) == list(clf.get_feature_names_out())
        clf.set_output(transform="default")
        features = pipeline.transform(pd.DataFrame(X).add_prefix("f"))
        assert isinstance(features, np.ndarray)
        assert_array_equal(frame.to_numpy(), features)


# ------------------------------------------------------------ errors


def no_device(features):
    return features.to("meta")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[:, :, None], r"puts out \(2, 6, 1\) for 2 samples.*flatten or"),
        (lambda f: f[0], r"puts out \(6,\) for 2 samples"),
        (lambda f: f[:1], r"puts out \(1, 6\) for 2 samples.*one row a sample"),
        (lambda f: f[:, :0], r"puts out \(2, 0\) for 2 samples"),
        (lambda f: (f, f), "puts out a tuple"),
        (lambda f: f / 0, "puts out NaN or infinity"),
        (no_device, "puts out .* on the device 'meta' for samples on"),
        (lambda f: f.long(), "puts out torch.int64"),
        (lambda f: f @ f, "failed for 2 samples of shape"),
    ],
)
@both_estimators
def test_what_a_backbone_must_not_do(cls, change, message):
    X, y = make_data(cls=cls)
    clf = make(cls, Scaled(change))
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=f"backbone=Scaled {message}"):
        clf.fit(X, y)
    assert vars(clf) == before


def test_features_are_looked_at_again_in_training():
    calls = []

    def change(features):
        calls.append(len(features))
        return features[: len(features) - (len(calls) > 2)]

    X, y = make_data()
    with pytest.raises(ValueError, match=r"puts out \(19, 6\) for 20 samples"):
        make(backbone=lambda: Scaled(change)).fit(X, y)


@pytest.mark.parametrize(
    ("backbone", "params", "error", "message"),
    [
        (nn.Flatten(), {}, ValueError, "backbone=Flatten has no parameters"),
        (Dense().to("meta"), {}, ValueError, "is on the device 'meta'"),
        (Dense(), {"backbone__width": 3}, ValueError, "backbone__width cannot be set"),
        (Dense, {"backbone__wide": 3}, TypeError, "cannot be called with backbone__w"),
        (lambda: 3, {}, TypeError, "made a int, but must be or make"),
        (None, {"backbone__width": 3}, ValueError, "was given, but backbone=None"),
        (None, {"freeze": True}, ValueError, "freeze=True is for parts of a backbone"),
        (
            None,
            {"backbone_learning_rate": 0.1},
            ValueError,
            "backbone_learning_rate=0.1 is for parts of a backbone",
        ),
        (Dense, {"freeze": "third.*"}, ValueError, "'third.*' matches none"),
        (Dense, {"backbone_learning_rate": {"x": 1}}, ValueError, "'x' matches none"),
        (
            Dense,
            {"backbone_learning_rate": {"first.*": 0}},
            ValueError,
            "must have rates above 0",
        ),
        (Dense, {"model": "linear"}, ValueError, "model='linear' has no network"),
        ("resnet", {}, ValueError, "'backbone' parameter"),
    ],
)
def test_parameters_that_do_not_fit(backbone, params, error, message):
    X, y = make_data()
    clf = make(backbone=backbone, **params)
    before = vars(clf).copy()
    with pytest.raises(error, match=message):
        clf.fit(X, y)
    assert vars(clf) == before


def test_unknown_keywords():
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_iterr'"):
        MHEClassifier(max_iterr=3)
    with pytest.raises(ValueError, match="Invalid parameter 'max_iterr'"):
        MHEClassifier().set_params(max_iterr=3)


@pytest.mark.parametrize(
    ("token", "message"),
    [(20, r"X has integers in 0\.\.20, but .* has 20 rows"), (-1, r"in -1\.\.")],
)
def test_tokens_out_of_range(token, message):
    X, y = make_data("tokens")
    fitted = make(backbone=Tokens).fit(X, y)
    X[3, 0] = token
    with pytest.raises(ValueError, match=message):
        make(backbone=Tokens).fit(X, y)
    with pytest.raises(ValueError, match=message):
        fitted.predict(X)


def test_images_of_integers_are_told_from_tokens():
    X, y = make_data("images")
    with pytest.raises(ValueError, match="as token ids: make floats of other numbers"):
        make(backbone=Images).fit(X.astype(np.uint8), y)


def test_samples_of_another_form():
    X, y = make_data("images")
    clf = make(backbone=Images).fit(X, y)
    with pytest.raises(ValueError, match=r"samples of shape \(1, 4, 5\) and type"):
        clf.predict(X.transpose(0, 1, 3, 2))
    X, y = make_data("tokens")
    clf = make(backbone=Tokens).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted with integers of shape \(7,\)"):
        clf.predict(X.astype(float))
    with pytest.raises(ValueError, match="7 features"):
        clf.predict(X[:, :5])
    X, y = make_data()
    with pytest.raises(ValueError, match="NaN"):
        make().fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        make().fit(sp.csr_array(X), y)
    with pytest.raises(ValueError, match="label_features cannot be used with backbone"):
        make().fit(X, y, label_features=np.eye(N_LABELS))


def test_fit_transform():
    X, y = make_data()
    clf = make()
    features = clf.fit_transform(X, y, sample_weight=np.ones(N))
    assert_array_equal(features, clf.transform(X))
    assert features.shape == (N, 8)


def test_no_group_and_own_groups_only_is_nothing_to_learn_from():
    X, y = make_data()
    clf = make(strategy="sampling", n_sampled_groups=0, pool_labels="own_group")
    with pytest.raises(ValueError, match="n_sampled_groups must be at least 1 with"):
        clf.fit(X, y)
    assert not hasattr(clf, "weights_")
    assert clf.set_params(pool_labels="batch").fit(X, y).score(X, y) > 0.5
