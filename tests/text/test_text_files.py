"""Model files of texts: pipelines, tokenizers and transformers without their folder."""

import json
import shutil

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    Normalizer,
    StandardScaler,
)
from tiny_models import TEXTS, save_bert

import skmhe.io
from skmhe import FeatureParts, MHEClassifier
from skmhe.text import Tokenizer, TransformerBackbone, TransformerVectorizer

X, y = TEXTS * 5, ["music", "money", "none", "money"] * 5


def vectorizer(folder):
    return TransformerVectorizer(folder, max_length=8, norm="l2")


STEPS = {
    "tfidf": lambda folder: [TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)],
    "scaled": lambda folder: [TfidfVectorizer(), MaxAbsScaler(), Normalizer()],
    "dense": lambda folder: [
        TfidfVectorizer(),
        TruncatedSVD(3, random_state=0),
        StandardScaler(),
    ],
    "no idf": lambda folder: [TfidfVectorizer(use_idf=False, max_features=5)],
    "counts": lambda folder: [CountVectorizer(dtype=np.float32), TfidfTransformer()],
    "hashes": lambda folder: [HashingVectorizer(n_features=64)],
    "vectorizer": lambda folder: [vectorizer(folder), StandardScaler()],
    "union": lambda folder: [
        FeatureUnion([("words", TfidfVectorizer()), ("vectors", vectorizer(folder))])
    ],
    "parts": lambda folder: [
        FeatureParts(network=vectorizer(folder), linear=TfidfVectorizer())
    ],
    "tokens": lambda folder: [Tokenizer(folder, max_length=8)],
}


def make(steps, folder):
    """Return a pipeline that is fitted in a moment."""
    is_tokens = isinstance(steps[0], Tokenizer)
    backbone = TransformerBackbone(folder, freeze="embeddings", out_features=4)
    params = {"backbone": backbone if is_tokens else None, "max_iter": 1}
    return make_pipeline(*steps, MHEClassifier(random_state=0, **params))


@pytest.mark.parametrize("name", STEPS)
def test_pipelines_need_no_folder(name, tmp_path):
    folder, path = save_bert(tmp_path / "bert"), tmp_path / "model"
    clf = make(STEPS[name](folder), folder).fit(X, y)
    skmhe.io.save(clf, path)
    expected = clf.predict_proba(X)
    shutil.rmtree(folder)
    for mmap in (False, True):
        loaded = skmhe.io.load(path, mmap=mmap)
        np.testing.assert_array_equal(loaded.predict_proba(X), expected, strict=True)
        assert repr(loaded) == repr(clf)
        assert loaded.get_params().keys() == clf.get_params().keys()


def test_transformers_alone(folder, tmp_path):
    for step in (Tokenizer(folder, max_length=8), vectorizer(folder)):
        step.fit(X)
        skmhe.io.save(step, tmp_path / "model")
        loaded = skmhe.io.load(tmp_path / "model", device="cpu")
        np.testing.assert_array_equal(loaded.transform(X), step.transform(X))
        assert getattr(loaded, "device", "cpu") == "cpu"


def test_steps_of_others_are_refused(tmp_path):
    for step in (FunctionTransformer(), ColumnTransformer([("a", "passthrough", [0])])):
        name = type(step).__name__
        with pytest.raises(
            TypeError, match=rf"(?s)steps\[1\]\.items\[1\] is {name}.*without it"
        ):
            skmhe.io.save(make([TfidfVectorizer(), step], None), tmp_path / "model")
    clf = make_pipeline(TfidfVectorizer(), MHEClassifier(), memory=str(tmp_path))
    skmhe.io.save(clf, tmp_path / "model")
    assert skmhe.io.load(tmp_path / "model").memory == str(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"_x"', "", None),
        ('"hidden_size": 32', '"hidden_size": 3200000', "other weights"),
        ('"num_hidden_layers": 2', '"num_hidden_layers": 2000000000', "hidden_layers="),
        ('"model_type"', '"auto_map": "a--b.C", "model_type"', "setting 'auto_map'"),
        ('"model_type"', '"attn_implementation": "a/b", "model_type"', "the setting"),
        ('"model_type": "bert"', '"model_type": "skmhe"', "cannot be made"),
        ('"is": "TransformerLoader"', '"is": "Transformer"', "unknown kind"),
    ],
)
def test_transformers_are_made_of_their_own_code(old, new, match, folder, tmp_path):
    path = tmp_path / "model"
    skmhe.io.save(vectorizer(folder).fit(X), path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, start = json.loads(data[8 : 8 + length]), 8 + length
    begin, end = header["document"]["data_offsets"]
    text = data[start + begin : start + end].decode()
    assert (old in text) == (match is not None)
    changed = rewritten(header, data[start : start + begin], text.replace(old, new))
    path.write_bytes(changed)
    if match is None:
        skmhe.io.load(path)
    else:
        with pytest.raises(ValueError, match=match):
            skmhe.io.load(path)


def rewritten(header, body, text):
    """Return a file with another description, whose hash is right."""
    import hashlib

    text, begin = text.encode(), len(body)
    entry = {"shape": [len(text)], "data_offsets": [begin, begin + len(text)]}
    header["document"] |= entry
    header["__metadata__"]["sha256"] = hashlib.sha256(text).hexdigest()
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body + text
