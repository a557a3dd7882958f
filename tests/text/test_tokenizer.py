"""Tokens of texts: what they are, what is kept, and what bad input gets."""

import copy
import pickle
import re
import shutil

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
import transformers
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from tiny_models import TEXTS, TOKENS, change_config, save_bert, save_tokenizer

from skmhe.text import Tokenizer, loading
from skmhe.text.transformer import load_transformer


@pytest.mark.parametrize("with_json", [True, False])
def test_tokens_of_both_kinds_of_folders(with_json, tmp_path):
    # The settings of tokenizer.json, to cut and to pad, are not those of this class.
    folder = save_tokenizer(tmp_path / "tokenizer", with_json)
    tokenizer = Tokenizer(folder, max_length=8)
    found = tokenizer.fit_transform(TEXTS)
    assert_array_equal(found, TOKENS)
    assert found.dtype == np.int64
    assert (tokenizer.width_, tokenizer.pad_id_) == (8, 0)
    found = Tokenizer(str(folder)).fit(TEXTS).transform(TEXTS)
    assert_array_equal(found, np.pad(TOKENS, ((0, 0), (0, 120))))


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, lambda t: np.array(t, object), pd.Series]
)
def test_forms_of_texts(folder, form):
    tokenizer = Tokenizer(folder, max_length=8).fit(form(TEXTS))
    assert_array_equal(tokenizer.transform(form(TEXTS)), TOKENS)
    assert tokenizer.transform(form(["x"])[:0]).shape == (0, 8)


def test_later_texts_are_cut_to_the_same_length(folder):
    tokenizer = Tokenizer(folder, max_length=5).fit(TEXTS[:1])
    assert_array_equal(tokenizer.transform(TEXTS[:2])[0], TOKENS[0, :5])
    # Cut texts keep the token that ends them; nobody is told of them any more.
    assert_array_equal(tokenizer.transform(TEXTS)[1], [2, 9, 10, 11, 3])


def test_fit_tells_once_of_texts_that_are_cut(folder):
    tokenizer = Tokenizer(folder, max_length=5)
    with pytest.warns(UserWarning, match="2 of 4 texts have more than max_length=5"):
        found = tokenizer.fit_transform(TEXTS)
    assert_array_equal(found[3], [2, 15, 16, 17, 3])
    assert_array_equal(tokenizer.transform(TEXTS), found)


def test_texts_are_taken_apart_in_chunks(folder, monkeypatch):
    monkeypatch.setattr("skmhe.text.tokenizer.TEXTS_PER_CHUNK", 3)
    with pytest.warns(UserWarning, match="2 of 4"):
        found = Tokenizer(folder, max_length=5).fit_transform(TEXTS)
    assert_array_equal(found[0], TOKENS[0, :5])


def test_copies_do_not_need_the_folder(tmp_path):
    folder = save_bert(tmp_path / "bert")
    tokenizer = Tokenizer(folder, max_length=8).fit(TEXTS)
    shutil.rmtree(folder)
    for twin in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert_array_equal(twin.transform(TEXTS), TOKENS)


def test_it_is_an_estimator_of_texts(folder):
    tokenizer = clone(Tokenizer(folder, max_length=9)).set_params(max_length=7)
    assert tokenizer.get_params() == {"name_or_path": folder, "max_length": 7}
    assert get_tags(tokenizer).input_tags.string
    assert "Tokenizer" in tokenizer._repr_html_()
    assert not hasattr(tokenizer, "get_feature_names_out")
    with pytest.raises(NotFittedError):
        tokenizer.transform(TEXTS)


@pytest.mark.parametrize(
    ("X", "error"),
    [
        ("play", r"X='play' must be a sequence of texts: pass \[text\]"),
        (7, "X=7 must be a sequence"),
        ({"b": "play", "a": "work"}, r"must be a sequence of texts: .* for a dict"),
        ({"play", "work"}, "must be a sequence of texts"),
        (["play", None], "no text in row 1, but None: .*fillna"),
        (pd.Series(["a", "b", np.nan]), "no text in row 2, but nan"),
        (pd.array(["a", pd.NA]), "no text in row 1, but <NA>"),
        (["a", b"b"], "row 1 is of type bytes"),
        ([["a"], ["b"]], "row 0 is of type list"),
        (np.array([["a"]]), r"shape \(1, 1\), but must be a single column"),
        (pl.DataFrame({"a": ["b"]}), r"shape \(1, 1\), but must be a single column"),
        (pd.DataFrame({"a": ["b"]}), r"pass X\[name\]"),
        (np.arange(3), "row 0 is of type int64"),
        (["a", "b\ud800"], r"X has '\\ud800' in row 1, at place 1 of .*Replace it"),
        (np.array(["\udfffx"]), r"X has '\\udfff' in row 0, at place 0"),
        ([], "X has no texts"),
    ],
)
def test_what_are_no_texts(X, error, folder):
    tokenizer = Tokenizer(folder)
    with pytest.raises(ValueError, match=error):
        tokenizer.fit(X)
    assert not hasattr(tokenizer, "width_")


def test_halves_of_characters_are_replaced_as_the_error_says(folder):
    tokenizer = Tokenizer(folder, max_length=8).fit(TEXTS)
    with pytest.raises(ValueError, match="surrogate") as raised:
        tokenizer.transform(["\ud83d\ude00 \ud800"])
    call = re.search(r"text\.encode.*'replace'\)", str(raised.value))[0]
    text = eval(call, {"text": "\ud83d\ude00 \ud800"})
    assert text == "\U0001f600 \N{REPLACEMENT CHARACTER}"
    assert_array_equal(tokenizer.transform([text])[0, :3], [2, 1, 3])


@pytest.mark.parametrize("values", [{"max_length": 2}, {"name_or_path": None}])
def test_wrong_parameters(values, folder):
    name, value = next(iter(values.items()))
    with pytest.raises(ValueError, match=f"'{name}' parameter .* Got {value}"):
        Tokenizer(folder).set_params(**values).fit(TEXTS)


def test_texts_that_the_model_cannot_take(tmp_path):
    folder = save_bert(tmp_path / "bert", max_position_embeddings=6)
    with pytest.warns(UserWarning, match="1 of 4 texts have more than max_length=6"):
        assert Tokenizer(folder).fit(TEXTS).width_ == 6


def test_positions_that_follow_that_of_padding(tmp_path):
    folder = save_tokenizer(tmp_path / "roberta")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    size |= {"intermediate_size": 16, "vocab_size": 23, "max_position_embeddings": 20}
    config = transformers.RobertaConfig(pad_token_id=1, **size)
    with torch.random.fork_rng(), loading.quietly(transformers):
        transformers.RobertaModel(config).save_pretrained(folder)
    long = ["play " * 30, "jazz " * 30]
    with pytest.warns(UserWarning, match="2 of 2 texts have more than max_length=18"):
        tokens = torch.from_numpy(Tokenizer(folder).fit_transform(long))
    assert tokens.shape == (2, 18)
    module = load_transformer(folder).eval()
    assert torch.isfinite(module(tokens)).all()
    with pytest.raises(ValueError, match=r"texts have 19 tokens, but .* takes 18 at"):
        module(torch.nn.functional.pad(tokens, (0, 1), value=1))


def test_models_of_texts_of_any_length(tmp_path):
    folder = save_tokenizer(tmp_path / "xlnet")
    config = transformers.XLNetConfig(d_model=8, n_layer=1, n_head=2, d_inner=8)
    assert config.max_position_embeddings == -1
    config.save_pretrained(folder)
    assert Tokenizer(folder, max_length=200).fit(TEXTS).width_ == 200


def test_ids_of_padding(tmp_path):
    folder = save_bert(tmp_path / "bert")
    change_config(folder, pad_token_id=4)
    assert Tokenizer(folder).fit_transform(TEXTS)[0, -1] == 4
    change_config(folder, pad_token_id=None)  # the tokenizer's then
    assert Tokenizer(folder).fit_transform(TEXTS)[0, -1] == 0
    without = {"pad_token_id": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_tokenizer", lambda name: type("T", (), without)())
        with pytest.raises(ValueError, match="has no padding token"):
            Tokenizer(folder).fit(TEXTS)


def test_names_and_folders_without_a_tokenizer(tmp_path):
    for name in ("no/such-model", "/no/such/folder"):
        error = f"name_or_path='{name}' is not a folder here.*network once"
        with pytest.raises(OSError, match=error):
            Tokenizer(name).fit(TEXTS)
    error = r"is a folder that AutoTokenizer cannot load: it has no config\.json\. "
    with pytest.raises(ValueError, match=error):
        Tokenizer(tmp_path).fit(TEXTS)
    save_bert(tmp_path / "inner")
    with pytest.raises(ValueError, match="json, but its folder 'inner' has one"):
        Tokenizer(tmp_path).fit(TEXTS)
    with pytest.raises(ValueError, match=r"config\.json' is a file: pass the folder"):
        Tokenizer(tmp_path / "inner" / "config.json").fit(TEXTS)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json that cannot be read"):
        Tokenizer(tmp_path).fit(TEXTS)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_tokenizer", lambda name: object())
        with pytest.raises(ValueError, match="written in Python only"):
            Tokenizer(tmp_path).fit(TEXTS)


def test_libraries_that_a_tokenizer_lacks(tmp_path, monkeypatch):
    def lacking(name, **options):
        raise ImportError("pip install sentencepiece")

    (tmp_path / "tokenizer_config.json").touch()
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lacking)
    error = "is a folder that AutoTokenizer cannot load: pip install sentencepiece"
    with pytest.raises(ValueError, match=error):
        Tokenizer(tmp_path).fit(TEXTS)
