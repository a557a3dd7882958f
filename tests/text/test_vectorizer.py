"""Features of a transformer as it is: what they are, what is kept, who takes them."""

import copy
import pickle
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from tiny_models import TEXTS, TOKENS, save_bert, save_tokenizer

from skmhe import MHEClassifier
from skmhe.scorers import user_backbone
from skmhe.text import TransformerVectorizer
from skmhe.text.transformer import load_transformer

SUBJECTS = ["jazz", "rock", "money", "balance"]
Y = np.arange(40) % 4
MANY = [f"{'play some my what'[: 5 * (i % 3)]} {SUBJECTS[i % 4]}" for i in range(40)]


def fitted(folder, **params):
    return TransformerVectorizer(folder, **params).fit(TEXTS)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_features_are_those_of_the_model(folder, pooling):
    found = fitted(folder, pooling=pooling).transform(TEXTS)
    module = load_transformer(folder, pooling).eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(TOKENS)).numpy()
    # Weights are rounded to 11 bits.
    assert_allclose(found, expected, atol=0.01)
    assert found.dtype == np.float32
    assert found.shape == (4, 32)
    vectorizer = TransformerVectorizer(folder, pooling=pooling)
    assert_array_equal(vectorizer.fit_transform(TEXTS), found)


def test_unit_length(folder):
    vectorizer = fitted(folder)
    plain = vectorizer.transform(TEXTS)
    unit = vectorizer.set_params(norm="l2").transform(TEXTS)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    assert abs(lengths - 1).min() > 0.1
    assert_allclose(unit, plain / lengths, rtol=1e-5)
    assert unit.dtype == np.float32


def test_longer_texts_are_cut(folder):
    vectorizer = TransformerVectorizer(folder, max_length=5)
    with pytest.warns(UserWarning, match="2 of 4 texts have more than max_length=5"):
        found = vectorizer.fit_transform(TEXTS)
    assert vectorizer.tokenizer_.width_ == 5
    assert np.abs(found - fitted(folder).transform(TEXTS)).max() > 0.01
    assert_allclose(found[0], vectorizer.transform(["play some jazz rock"])[0])


def test_other_texts_make_no_difference(folder, monkeypatch):
    vectorizer, texts = fitted(folder), MANY[:12]
    expected = np.concatenate([vectorizer.transform([text]) for text in texts])
    assert_allclose(vectorizer.transform(texts), expected, atol=1e-5)
    assert_allclose(vectorizer.transform(texts[::-1])[::-1], expected, atol=1e-5)
    monkeypatch.setattr(user_backbone, "SAMPLES_PER_CHUNK", 5)
    assert_allclose(vectorizer.transform(texts), expected, atol=1e-5)


def test_texts_without_words_and_no_texts(folder):
    vectorizer = fitted(folder, norm="l2")
    empty = vectorizer.transform([""])
    assert_allclose(np.linalg.norm(empty), 1, rtol=1e-5)
    assert np.abs(empty - vectorizer.transform(["jazz"])).max() > 0.01
    assert vectorizer.transform([]).shape == (0, 32)
    with pytest.raises(ValueError, match="X has no texts"):
        TransformerVectorizer(folder).fit([])


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v)), "joblib"]
)
def test_copies_do_not_need_the_folder(twin, tmp_path):
    folder = save_bert(tmp_path / "bert", hidden_size=64)
    vectorizer = fitted(folder)
    expected = vectorizer.transform(TEXTS)
    n_bytes = (folder / "model.safetensors").stat().st_size
    shutil.rmtree(folder)
    if twin == "joblib":
        joblib.dump(vectorizer, tmp_path / "file")
        again = joblib.load(tmp_path / "file")
        assert (tmp_path / "file").stat().st_size < 0.8 * n_bytes
    else:
        again = twin(vectorizer)
    assert_array_equal(again.transform(TEXTS), expected)
    assert_array_equal(vectorizer.transform(TEXTS), expected)
    with pytest.raises(NotFittedError):
        clone(vectorizer).transform(TEXTS)


def test_the_module_is_made_once(folder, monkeypatch):
    made = []
    real = user_backbone.UserBackbone.make_again

    def counted(self):
        made.append(self)
        return real(self)

    monkeypatch.setattr(user_backbone.UserBackbone, "make_again", counted)
    vectorizer = fitted(folder)
    vectorizer.transform(TEXTS)
    assert not made
    again = pickle.loads(pickle.dumps(vectorizer))
    state = torch.get_rng_state()
    for _ in range(2):
        again.transform(TEXTS)
    assert len(made) == 1
    # Whatever its weights start from, before they are given the fitted ones.
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_a_transformer_of_scikit_learn(folder):
    vectorizer = clone(TransformerVectorizer(folder, max_length=9))
    assert vectorizer.set_params(pooling="cls").get_params() == {
        "name_or_path": folder,
        "max_length": 9,
        "pooling": "cls",
        "norm": None,
        "device": "auto",
    }
    assert get_tags(vectorizer).input_tags.string
    with pytest.raises(NotFittedError):
        vectorizer.transform(TEXTS)
    with pytest.raises(NotFittedError):
        vectorizer.get_feature_names_out()
    names = vectorizer.fit(TEXTS).get_feature_names_out()
    assert_array_equal(names, [f"transformervectorizer{i}" for i in range(32)])
    vectorizer.set_output(transform="pandas")
    texts = pd.Series(TEXTS, index=[3, 1, 4, 0])
    for table in (vectorizer.transform(texts), vectorizer.fit_transform(texts)):
        assert [*table.index] == [3, 1, 4, 0]
        assert [*table.columns] == [*names]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"max_length": 2}, "'max_length' parameter of TransformerVectorizer .* Got 2"),
        ({"pooling": "max"}, "'pooling' parameter of TransformerVectorizer .* 'max'"),
        ({"norm": "l1"}, "'norm' parameter of TransformerVectorizer .* Got 'l1'"),
        ({"device": "gpu"}, "device='gpu' is not a device that torch knows"),
        ({"device": 3}, "'device' parameter of TransformerVectorizer .* Got 3"),
        ({"name_or_path": None}, "'name_or_path' parameter of .* Got None"),
    ],
    ids=str,
)
def test_wrong_parameters(values, error, folder):
    vectorizer = TransformerVectorizer(folder).set_params(**values)
    with pytest.raises(ValueError, match=error):
        vectorizer.fit(TEXTS)
    assert not hasattr(vectorizer, "tokenizer_")


def test_settings_of_torch_make_no_difference(folder):
    expected, state = fitted(folder).transform(TEXTS), torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            again = fitted(folder)
            found = again.transform(TEXTS)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_array_equal(found, expected)
    assert_array_equal(again.transform(TEXTS), expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_wrong_norm_after_fitting(folder):
    vectorizer = fitted(folder).set_params(norm="l1")
    with pytest.raises(ValueError, match="'norm' parameter of TransformerVectorizer"):
        vectorizer.transform(TEXTS)


def test_the_device_may_change_after_fitting(folder):
    vectorizer = fitted(folder, device="cpu")
    expected = vectorizer.transform(TEXTS)
    vectorizer.device = torch.device("cpu", 0)
    assert_array_equal(vectorizer.transform(TEXTS), expected)
    # The module is kept where it is asked for, and nowhere else.
    assert list(vectorizer._backbone._kept) == [torch.device("cpu", 0)]
    vectorizer.device = "cuda:99"
    with pytest.raises(ValueError, match="device='cuda:99' was asked for"):
        vectorizer.transform(TEXTS)


@pytest.mark.parametrize("X", [["play", None], "play", [["a"]], np.array([["a"]])])
def test_what_are_no_texts(X, folder):
    vectorizer = fitted(folder)
    errors = []
    for transform in (vectorizer.tokenizer_.transform, vectorizer.transform):
        with pytest.raises(ValueError, match="X") as error:
            transform(X)
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_a_model_without_some_tokens_of_its_tokenizer(tmp_path):
    folder = save_bert(tmp_path / "bert", vocab_size=20)
    error = r"X has integers from 0 to 20, .* of name_or_path='.*' has 20 rows"
    with pytest.raises(ValueError, match=error):
        TransformerVectorizer(folder).fit(["account"])
    lacking = save_tokenizer(tmp_path / "tokenizer")
    with pytest.raises(ValueError, match="is a folder that AutoConfig cannot load"):
        TransformerVectorizer(lacking).fit(TEXTS)


def test_pipelines_keep_features(folder, tmp_path, monkeypatch):
    steps = TransformerVectorizer(folder), LogisticRegression()
    pipe = make_pipeline(*steps, memory=str(tmp_path / "kept"))
    expected = pipe.fit(MANY, Y).predict(MANY)
    assert_array_equal(expected, Y)

    def failing(self, X):
        raise AssertionError("features were made again")

    monkeypatch.setattr(TransformerVectorizer, "_fit", failing)
    pipe.set_params(logisticregression__C=2.0).fit(MANY, Y)
    # The kept vectorizer is a fitted one.
    assert_array_equal(pipe.predict(MANY), expected)


def test_searches(folder):
    pipe = make_pipeline(TransformerVectorizer(folder), MHEClassifier(model="linear"))
    assert cross_val_score(pipe, MANY, Y, cv=2).mean() > 0.9
    grid = {
        "transformervectorizer__pooling": ["mean", "cls"],
        "mheclassifier__linear__C": [0.5],
    }
    search = GridSearchCV(pipe, grid, cv=2).fit(np.array(MANY), Y)
    assert search.best_score_ > 0.9
    assert search.best_estimator_[-1].n_features_in_ == 32


def test_texts_of_labels(folder):
    vectorizer = fitted(folder)
    X, Z = vectorizer.transform(MANY), vectorizer.transform(SUBJECTS)
    clf = MHEClassifier(random_state=0, device="cpu").fit(X, Y, label_features=Z)
    assert set(clf.combination_) == {"network", "linear", "label_encoder", "own_labels"}
    assert clf.score(X, Y) > 0.9
    late = vectorizer.transform(["the song account"])
    assert clf.add_labels(late, [4]).predict(late) == [4]
