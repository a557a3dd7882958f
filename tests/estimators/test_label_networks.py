"""The label encoder with networks of users: shared with samples, or of labels alone."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import skmhe.scorers.network as networks
import skmhe.training.label_encoder as label_training
from skmhe import (
    Backbone,
    LabelEncoder,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Parts,
)
from skmhe.scorers.batch import Batch
from skmhe.scorers.model import Settings
from skmhe.scorers.network import network_from_weights
from skmhe.training.data import TrainingData
from skmhe.training.learned_combination import learn_mix

N, N_LABELS, LENGTH, N_TOKENS = 96, 12, 5, 40
CPU = torch.device("cpu")


class MeanOfTokens(nn.Module):
    """Means of tokens' vectors; counts the rows that it is given."""

    n_rows, most_rows = 0, 0

    def __init__(self, width=6, dropout=0.0):
        super().__init__()
        self.table = nn.Embedding(N_TOKENS, width)
        self.linear = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens):
        MeanOfTokens.n_rows += len(tokens)
        MeanOfTokens.most_rows = max(MeanOfTokens.most_rows, len(tokens))
        return self.dropout(self.linear(self.table(tokens).mean(1)))


class Flat(nn.Module):
    """A layer for images of 2 x 3."""

    def __init__(self, width=16):
        super().__init__()
        self.linear = nn.Linear(6, width)

    def forward(self, images):
        return self.linear(images.flatten(1))


def make_tokens(n_labels=N_LABELS, multilabel=False):
    """Return token ids of samples, targets, and token ids of labels.

    A label's text has a word of its own, and so have its samples.
    """
    rng = np.random.RandomState(0)
    y = np.arange(N) % N_LABELS
    X = rng.randint(20, N_TOKENS, size=(N, LENGTH))
    X[:, 0] = y
    Z = rng.randint(20, N_TOKENS, size=(n_labels, LENGTH))
    Z[:, 0] = np.arange(n_labels)
    if multilabel:
        Y = np.eye(N_LABELS, dtype=int)[y]
        Y[np.arange(N), rng.randint(N_LABELS, size=N)] = 1
        return X, Y, Z
    return X, y, Z


def make(cls=MHEClassifier, **params):
    defaults = {
        "backbone": MeanOfTokens,
        "max_iter": 3,
        "learning_rate_init": 0.02,
        "random_state": 0,
        "label_encoder": LabelEncoder(loss_weight=0.5),
        "combination": "equal",
    }
    return cls(**defaults | params)


def encoder_scores(clf, X, Z):
    """Return the scaled cosines of samples and labels, of a written-out formula."""
    model = clf._fitted.model
    network = network_from_weights(model.spec, model.weights, CPU).eval()
    encoder = network.encoder
    with torch.inference_mode():
        features = network.backbone(torch.from_numpy(X))
        samples = features + features @ encoder.sample_map.weight.T
        labels = network.label_features(Z)
        mapped = labels @ encoder.label_map.weight.T
        labels = labels + mapped if encoder.is_residual else mapped
        samples, labels = (
            A / torch.linalg.vector_norm(A, dim=1, keepdim=True)
            for A in (samples, labels)
        )
        return (encoder.log_scale.exp() * samples @ labels.T).double().numpy()


def softmax(scores):
    p = np.exp(scores - scores.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


LABEL_ENCODERS = {
    "shared": lambda Z: (LabelEncoder(loss_weight=0.5), Z),
    "own": lambda Z: (
        LabelEncoder(loss_weight=0.5, backbone=Backbone(MeanOfTokens, width=3)),
        Z,
    ),
    "images": lambda Z: (
        LabelEncoder(loss_weight=0.5, backbone=Flat),
        np.random.RandomState(1).rand(len(Z), 2, 3),
    ),
    "layer": lambda Z: (
        LabelEncoder(loss_weight=0.5),
        sp.eye_array(len(Z), 13, format="csr"),
    ),
}
every_encoder = pytest.mark.parametrize("kind", LABEL_ENCODERS)


@every_encoder
@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
def test_scores_are_scaled_cosines(strategy, kind):
    X, y, Z = make_tokens()
    encoder, Z = LABEL_ENCODERS[kind](Z)
    clf = make(strategy=strategy, label_encoder=encoder)
    clf.fit(X, y, label_features=Z)
    assert set(clf.combination_) >= {"network", "label_encoder"}
    clf.set_params(label_encoder__score_with="encoder")
    model = clf._fitted.model
    rows = model.label_features[model.codec.positions]
    expected = softmax(encoder_scores(clf, X, rows))
    assert_allclose(clf.predict_proba(X), expected, atol=1e-5)
    # What training keeps is what the network makes of the features.
    if kind != "layer":
        Z = rows if kind != "images" else Z.astype(np.float32)
        assert_array_equal(rows, Z)


@every_encoder
def test_every_kind_of_encoder_learns(kind):
    X, y, Z = make_tokens()
    encoder, Z = LABEL_ENCODERS[kind](Z)
    clf = make(label_encoder=encoder, max_iter=80).fit(X, y, label_features=Z)
    clf.set_params(label_encoder__score_with="encoder")
    assert clf.score(X, y) > 0.7  # of 12 labels


def test_auto_shares_the_network_where_labels_are_like_samples():
    X, y, Z = make_tokens()

    def fitted(Z, **params):
        clf = make(label_encoder=LabelEncoder(**params)).fit(X, y, label_features=Z)
        return clf._fitted.model.spec

    spec = fitted(Z)
    assert spec.encoder.is_shared
    assert spec.label_network is spec.user_backbone
    assert fitted(Z, backbone="shared").encoder.is_shared
    # Floats of another width are features of a layer of their own.
    for other in (Z[:, :3].astype(float), sp.csr_array(Z[:, :3])):
        spec = fitted(other)
        assert spec.encoder.n_features == other.shape[1]
        assert spec.label_network is None
    own = fitted(Z, backbone=Backbone(MeanOfTokens, width=3))
    assert own.label_network.params == {"width": 3}
    assert own.label_network.form.out_features == 3


def test_multilabel_with_a_shared_network():
    X, Y, Z = make_tokens(multilabel=True)
    clf = make(MHEMultiLabelClassifier, max_iter=60).fit(X, Y, label_features=Z)
    assert clf.combination_.keys() == {"network", "label_encoder", "own_labels"}
    best = clf.predict_topk(X, k=1)[0][:, 0]
    assert Y[np.arange(N), best].mean() > 0.75


# ------------------------------------------------------------ what a step costs


def make_network(**params):
    X, y, Z = make_tokens()
    clf = make(**params).fit(X, y, label_features=Z)
    model = clf._fitted.model
    return network_from_weights(model.spec, model.weights, CPU, copy=True), Z


def gradients(network, Z):
    network.zero_grad()
    torch.manual_seed(0)
    embedded = network.embed_labels(Z)
    (embedded * torch.arange(embedded.numel()).view_as(embedded)).sum().backward()
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_pools_are_embedded_in_chunks_with_the_same_gradient(dropout, monkeypatch):
    network, Z = make_network(backbone=Backbone(MeanOfTokens, dropout=dropout))
    network.train()
    monkeypatch.setattr(networks, "LABELS_COMPUTED_AGAIN", 5)
    MeanOfTokens.n_rows = MeanOfTokens.most_rows = 0
    in_chunks = gradients(network, Z)
    assert MeanOfTokens.most_rows == 4  # 12 labels in three equal chunks
    assert MeanOfTokens.n_rows == 2 * N_LABELS  # forward, and again backward
    # Without the second computation, the draws of dropout are the same.

    def called(network, *given, use_reentrant):
        return network(*given)

    monkeypatch.setattr(networks, "checkpoint", called)
    at_once = gradients(network, Z)
    assert in_chunks.keys() == at_once.keys()
    for name, gradient in at_once.items():
        torch.testing.assert_close(in_chunks[name], gradient)


def test_a_step_embeds_a_pool_and_not_all_labels():
    X, y, Z = make_tokens(n_labels=N_LABELS)
    params = {"batch_size": 8, "max_iter": 1, "strategy": "full"}

    def n_embedded(pool_size):
        encoder = LabelEncoder(loss_weight=0.5, pool_size=pool_size)
        MeanOfTokens.n_rows = 0
        make(label_encoder=encoder, **params).fit(X, y, label_features=Z)
        return MeanOfTokens.n_rows

    # Of a step more labels, and of all else the same.
    assert n_embedded(9) - n_embedded(8) == N // 8


def test_a_frozen_network_embeds_everything_once():
    X, y, Z = make_tokens()
    backbone = Backbone(MeanOfTokens, freeze=True)
    n_rows = []
    for max_iter in (1, 4):
        MeanOfTokens.n_rows = 0
        clf = make(backbone=backbone, max_iter=max_iter).fit(X, y, label_features=Z)
        n_rows.append(MeanOfTokens.n_rows)
    # Samples and labels, and the two that tell what comes out.
    assert n_rows == [N + N_LABELS + 2] * 2
    clf.set_params(label_encoder__score_with="encoder")
    assert_allclose(clf.predict_proba(X), softmax(encoder_scores(clf, X, Z)), atol=1e-5)


@pytest.mark.parametrize(("times", "combination"), [(1, "equal"), (25, "learned")])
def test_predictions_use_the_embeddings_that_fitting_kept(times, combination):
    X, y, Z = make_tokens()
    X, y = np.tile(X, (times, 1)), np.tile(y, times)
    clf = make(combination=combination, max_iter=2).fit(X, y, label_features=Z)
    assert (clf._fitted.model.mix is not None) == (combination == "learned")
    clf = pickle.loads(pickle.dumps(clf))
    MeanOfTokens.n_rows = 0
    clf.predict(X[:3])
    assert MeanOfTokens.n_rows == 3


# ------------------------------------------------------------ later


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
def test_labels_are_added_by_their_texts(strategy):
    X, y, Z = make_tokens(N_LABELS + 2)
    clf = make(strategy=strategy, max_iter=20)
    clf.fit(X, y, label_features=Z[:N_LABELS])
    MeanOfTokens.n_rows = 0
    clf.add_labels(Z[N_LABELS:])
    assert MeanOfTokens.n_rows == 2  # at once: it may fail for them
    assert clf.classes_.tolist() == [*range(N_LABELS + 2)]
    clf.set_params(label_encoder__score_with="encoder")
    assert clf.predict_proba(X).shape == (N, N_LABELS + 2)
    assert MeanOfTokens.n_rows == N + 2  # the others are known
    # A sample with a text of a new label is found by that.
    assert N_LABELS + 1 in clf.predict_topk(Z[-1:], k=2)[0]
    before = clf.predict_proba(X)
    clf.partial_fit(np.repeat(Z[-1:], 8, 0), np.full(8, N_LABELS + 1))
    assert not np.allclose(clf.predict_proba(X), before)


def test_labels_without_samples_are_added_in_fit():
    X, y, Z = make_tokens(N_LABELS + 2)
    clf = make(max_iter=20).fit(X, y, label_features=Z)
    other = make(max_iter=20).fit(X, y, label_features=Z[:N_LABELS])
    other.add_labels(Z[N_LABELS:])
    assert_allclose(clf.predict_proba(X), other.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": 0.25}, {"dtype": "bfloat16"}]
)
def test_what_else_training_does(params):
    X, y, Z = make_tokens()
    encoder = LabelEncoder(
        loss_weight=0.5, pool_size=8, n_shortlisted=2, shortlist_refresh=1
    )
    clf = make(label_encoder=encoder, warm_start=True, **params)
    clf.fit(X, y, label_features=Z)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    before = clf.predict_proba(X)
    clf.fit(X, y)  # goes on, with the same features of labels
    assert not np.allclose(clf.predict_proba(X), before)
    with pytest.raises(ValueError, match=r"label_encoder=.* with these label_features"):
        clf.fit(X, y, label_features=sp.csr_array(Z[:, :3]))


def test_a_search_over_parameters_of_the_labels_network():
    X, y, Z = make_tokens()
    encoder = LabelEncoder(backbone=Backbone(MeanOfTokens, width=3))
    clf = make(label_encoder=encoder, max_iter=1)
    grid = {"label_encoder__backbone__width": [2, 5]}
    search = GridSearchCV(clf, grid, cv=2).fit(X, y, label_features=Z)
    best = search.best_estimator_._fitted.model.spec.encoder.user_backbone
    assert best.params == {
        "width": search.best_params_["label_encoder__backbone__width"]
    }
    assert clone(clf).label_encoder.backbone.params == {"width": 3}


def test_a_pipeline_makes_tokens_of_label_texts_as_well(routing):
    X, y, Z = make_tokens()
    clf = make().set_fit_request(label_features=True)
    pipe = make_pipeline(
        FunctionTransformer(np.ascontiguousarray),
        clf,
        transform_input=["label_features"],
    )
    pipe.fit(X, y, label_features=Z)
    expected = make().fit(X, y, label_features=Z).predict_proba(X)
    assert_array_equal(pipe.predict_proba(X), expected)


@pytest.fixture
def routing():
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize(
    "params",
    [
        {"freeze": "table.*"},
        {"learning_rate": {"table.*": 1e-9}},
        {"weight_decay": 5.0},
        {"max_grad_norm": 1e-3},
        {"averaging_decay": 0.99},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_of_the_labels_network(params):
    # Without a backbone of the estimator's, its own count for all of a step.
    X, y, Z = make_tokens()

    def weights(params):
        encoder = LabelEncoder(
            loss_weight=0.5, backbone=Backbone(MeanOfTokens, **params)
        )
        clf = MHEClassifier(max_iter=2, random_state=0, label_encoder=encoder)
        clf.fit(X, y, label_features=Z)
        return clf._fitted.model.weights

    name = "label_backbone.module.table.weight"
    before, after = weights({}), weights(params)
    assert not np.allclose(before[name], after[name], atol=1e-6)


def test_parameters_of_the_labels_network_are_set_by_name():
    clf = make(label_encoder=LabelEncoder(backbone=Flat))
    clf.set_params(label_encoder__backbone__width=3)
    backbone = clf.label_encoder.backbone
    assert (backbone.module, backbone.params) == (Flat, {"width": 3})
    both = {"backbone": MeanOfTokens, "backbone__width": 4}
    backbone = LabelEncoder().set_params(**both).backbone
    assert (backbone.module, backbone.params) == (MeanOfTokens, {"width": 4})
    for value in ("auto", "shared", None):
        encoder = LabelEncoder(backbone=value)
        with pytest.raises(ValueError, match="backbone__width was set, but backbone="):
            encoder.set_params(backbone__width=3)
        assert encoder.backbone == value


def test_own_labels_are_those_of_equal_tokens():
    X, y, Z = make_tokens()
    X[:4] = Z[[3, 3, 5, 7]]
    y[:4] = [3, 0, 5, 0]
    clf = make().fit(X, y, label_features=Z)
    assert_array_equal(clf._fitted.model.own_label_counts, [2, 2])
    clf = make(label_encoder=LabelEncoder(backbone=MeanOfTokens))
    clf.fit(X, y, label_features=Z)
    assert_array_equal(clf._fitted.model.own_label_counts, [0, 0])


# ------------------------------------------------------------ errors


def test_features_that_no_network_takes():
    X, y, Z = make_tokens()
    encoder = LabelEncoder(backbone=MeanOfTokens)
    clf = make(label_encoder=encoder)
    with pytest.raises(ValueError, match="label_features is a sparse matrix, but the"):
        clf.fit(X, y, label_features=sp.csr_array(Z))
    with pytest.raises(ValueError, match="label_features has integers from 0 to 99"):
        clf.fit(X, y, label_features=np.where(Z == 3, 99, Z))
    with pytest.raises(
        ValueError,
        match=r"label_encoder__backbone='shared' needs .*"
        r"label_features is integers of shape \(n, 4\) and X integers",
    ):
        make(label_encoder=LabelEncoder(backbone="shared")).fit(
            X, y, label_features=Z[:, :4]
        )
    match = "is for token ids of labels like those of samples, but X is integers"
    with pytest.raises(ValueError, match=match):
        make().fit(X, y, label_features=Z[:, :4])
    match = r"label_features has shape \(12, 5, 1\), but must have one row per label"
    with pytest.raises(ValueError, match=match):
        make().fit(X, y, label_features=Z[:, :, None] * 1.0)
    assert not hasattr(clf, "classes_")


def test_added_labels_of_another_form():
    X, y, Z = make_tokens(N_LABELS + 1)
    clf = make().fit(X, y, label_features=Z[:N_LABELS])
    for added in (Z[-1:, :4], Z[-1:] * 1.0):
        match = "label_features has rows of shape .* was fitted with integers of shape"
        with pytest.raises(ValueError, match=match):
            clf.add_labels(added)
    with pytest.raises(ValueError, match=r"label_features has integers from .* to 77"):
        clf.add_labels(np.where(Z[-1:] >= 20, 77, Z[-1:]))
    assert len(clf.classes_) == N_LABELS


def test_embeddings_of_samples_are_those_of_the_network():
    network, _ = make_network()
    network.eval()
    X = make_tokens()[0]
    batch = Batch(X, CPU)
    with torch.inference_mode():
        MeanOfTokens.n_rows = 0
        features = batch.features(network.features)
        network.embed_samples(batch)
        assert MeanOfTokens.n_rows == N  # computed once for head and encoder
        assert_allclose(features, network.backbone(torch.from_numpy(X)))


@pytest.mark.parametrize("strategy", ["full", "cascade"])
def test_a_combination_is_learned_from_features_that_are_made_once(strategy):
    X, y, Z = make_tokens()
    clf = make(strategy=strategy).fit(X, y, label_features=Z)
    model = clf._fitted.model
    unseen = [(model, TrainingData(X, model.codec.positions[y]))]
    MeanOfTokens.n_rows = 0
    mix = learn_mix(unseen, Settings())
    assert MeanOfTokens.n_rows == N
    assert mix.weights.own_labels > 0


def test_partial_fit_embeds_a_pool_and_not_all_labels():
    X, y, Z = make_tokens()
    encoder = LabelEncoder(loss_weight=0.5, pool_size=5)
    clf = make(label_encoder=encoder, batch_size=4).fit(X, y, label_features=Z)
    MeanOfTokens.n_rows = 0
    clf.partial_fit(X[:4], y[:4])
    assert MeanOfTokens.n_rows == 4 + 5
    assert clf.predict_topk(X[:2], k=2)[0].shape == (2, 2)
    assert MeanOfTokens.n_rows == 4 + 5 + 2 + N_LABELS  # when they are asked for
    # They are kept, also by copies and by files, and with other settings.
    again = pickle.loads(pickle.dumps(clf)).set_params(label_encoder__score_with="both")
    weights = {"network": 1, "label_encoder": 2}
    again.set_params(combination=weights).predict(X[:2])
    assert MeanOfTokens.n_rows == 4 + 5 + 2 + N_LABELS + 2


def test_partial_fit_of_a_frozen_network_embeds_what_it_needs():
    X, y, Z = make_tokens()
    encoder = LabelEncoder(loss_weight=0.5, pool_size=5)
    backbone = Backbone(MeanOfTokens, freeze=True)
    clf = make(backbone=backbone, label_encoder=encoder, batch_size=4)
    clf.fit(X, y, label_features=Z)
    MeanOfTokens.n_rows = 0
    clf.partial_fit(X[:4], y[:4])
    assert MeanOfTokens.n_rows == 4 + 5


def test_a_frozen_network_reads_samples_once_also_where_some_are_held_out():
    X, y, Z = make_tokens()
    X, y = np.tile(X, (25, 1)), np.tile(y, 25)
    backbone = Backbone(MeanOfTokens, freeze=True)
    clf = make(backbone=backbone, combination="learned", batch_size=256)
    MeanOfTokens.n_rows = 0
    clf.fit(X, y, label_features=Z)
    assert clf._fitted.model.mix is not None
    # Labels again for the scores that the combination is learned from.
    assert MeanOfTokens.n_rows <= len(X) + 3 * N_LABELS + 2


def test_other_features_in_partial_fit():
    X, y, Z = make_tokens()
    clf = make().fit(X, y, label_features=Parts(network=Z, linear=np.eye(N_LABELS)))
    with pytest.raises(ValueError, match="label_features is ndarray, but this estima"):
        clf.partial_fit(X, y, label_features=Z)
    other = Parts(network=Z, linear=np.eye(N_LABELS, 3))
    with pytest.raises(ValueError, match=r"label_features\.linear has 3 features"):
        clf.partial_fit(X, y, label_features=other)


class Normed(MeanOfTokens):
    """The same with batch normalization."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

    def forward(self, tokens):
        return self.norm(super().forward(tokens))


def test_batch_normalization_sees_each_pool_once(monkeypatch):
    monkeypatch.setattr(networks, "LABELS_COMPUTED_AGAIN", 5)
    network, Z = make_network(backbone=Normed)
    before = network.backbone.module.norm.num_batches_tracked.item()
    network.train()
    gradients(network, Z)
    assert network.backbone.module.norm.num_batches_tracked == before + 1


def test_without_an_encoder_features_of_labels_need_no_network():
    X, y, Z = make_tokens()
    encoder = LabelEncoder(loss_weight=0.0, backbone=MeanOfTokens)
    clf = make(label_encoder=encoder).fit(X, y, label_features=sp.csr_array(Z))
    assert clf._fitted.model.spec.encoder is None


def test_numbers_in_the_shape_of_tokens():
    X, y, Z = make_tokens()
    match = "is for token ids of labels like those of samples, but X is integers of"
    with pytest.raises(ValueError, match=match):
        make().fit(X, y, label_features=Z * 1.0)
    make(label_encoder=LabelEncoder(backbone=None)).fit(X, y, label_features=Z * 1.0)


@pytest.mark.parametrize("kind", ["shared", "layer"])
def test_the_loss_has_a_weight_that_fits_the_network(kind):
    X, y, Z = make_tokens()
    _, Z = LABEL_ENCODERS[kind](Z)
    clf = make(label_encoder=LabelEncoder()).fit(X, y, label_features=Z)
    expected = 0.5 if kind == "shared" else 0.1
    assert clf._fitted.model.spec.encoder.loss_weight == expected


@pytest.mark.parametrize(("kind", "times"), [("shared", 1), ("layer", 2)])
def test_a_pool_has_as_many_labels_as_a_batch_has_samples(kind, times, monkeypatch):
    X, y, Z = make_tokens()
    _, Z = LABEL_ENCODERS[kind](Z)
    sizes, draw = [], label_training.draw_pool
    monkeypatch.setattr(
        label_training,
        "draw_pool",
        lambda plan, *args: sizes.append(plan.pool_size) or draw(plan, *args),
    )
    make(batch_size=4).fit(X, y, label_features=Z)
    assert set(sizes) == {4 * times}
