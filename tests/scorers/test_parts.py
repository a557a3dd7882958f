"""Samples of two parts: their rows, and what is read of them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from linear_problems import path_scores
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.utils import _safe_indexing, indexable, resample, shuffle

from skmhe import MHEClassifier, MHEMultiLabelClassifier, Parts
from skmhe.scorers.batch import Batch, unit_rows
from skmhe.scorers.parts import Featured, name_of_part, part_of

N_LABELS = 6
TOKENS = np.arange(24).reshape(6, 4)
WORDS = sp.random(6, 5, density=0.5, format="csr", random_state=0)
X = Parts(network=TOKENS, linear=WORDS)


def assert_rows(parts, rows):
    assert type(parts) is Parts
    assert_array_equal(parts.network, TOKENS[rows])
    assert_array_equal(parts.linear.toarray(), WORDS.toarray()[rows])


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 4),
        [4, 0, 0],
        np.array([5, 2]),
        np.array([], dtype=int),
        np.array([True, False, True, False, False, True]),
        [True, False, True, False, False, True],
    ],
    ids=str,
)
def test_rows_are_those_of_both_parts(rows):
    assert_rows(X[rows], rows)
    assert_rows(X[rows, ...], rows)
    assert_rows(_safe_indexing(X, rows), rows)


def test_forms_of_the_parts():
    frame = pd.DataFrame(WORDS.toarray(), columns=list("abcde"))
    for linear in (WORDS.tocoo(), sp.csc_matrix(WORDS), frame, frame.values.tolist()):
        parts = Parts(network=TOKENS.tolist(), linear=linear)[1:3]
        assert_array_equal(parts.network, TOKENS[1:3])
        rows = parts.linear
        rows = rows.toarray() if sp.issparse(rows) else rows
        assert_array_equal(rows, WORDS.toarray()[1:3])


def test_what_scikit_learn_asks_of_samples():
    assert X.shape == (6,)
    assert len(X) == 6
    (same,) = indexable(X)
    assert same is X
    rows, mixed = shuffle(np.arange(6), X, random_state=0)
    assert_rows(mixed, rows)
    rows, drawn = resample(np.arange(6), X, random_state=0)
    assert_rows(drawn, rows)
    assert_rows(pickle.loads(pickle.dumps(X)), slice(None))


def test_representation():
    network, linear = "int64 of shape (6, 4)", "sparse float64 of shape (6, 5)"
    assert repr(X) == f"Parts(network={network}, linear={linear})"


@pytest.mark.parametrize("key", [2, np.int64(2), "network", (slice(None), 1), (), 1.5])
def test_other_indices_are_refused(key):
    with pytest.raises(TypeError, match=r"cannot index Parts, .* use a slice, a mask"):
        X[key]


def test_parts_of_unlike_lengths():
    with pytest.raises(ValueError, match="network has 6 rows and linear 5, but both"):
        Parts(network=TOKENS, linear=WORDS[:5])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (3, r"has shape \(\) and type int64, but a part needs a row of numbers"),
        (np.arange(6), r"has shape \(6,\) and type int64, but .*: pass an array of sh"),
        (["a text"] * 6, r"has shape \(6,\) and type <U6, .* a vectorizer makes of t"),
        ([[1, 2], [3]], "is no array: .* Pass the same number of values for each"),
    ],
    ids=["number", "vector", "texts", "ragged"],
)
@pytest.mark.parametrize("name", ["network", "linear"])
def test_parts_that_have_no_rows_of_numbers(name, part, message):
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        Parts(**({"network": WORDS, "linear": WORDS} | {name: part}))


def test_parts_are_not_an_array():
    with pytest.raises(TypeError, match="Parts are two arrays, not one: pass them to"):
        np.asarray(X)


def test_what_is_read():
    assert part_of(X, "network") is X.network
    assert part_of(X, "linear") is X.linear
    assert part_of(TOKENS, "network") is part_of(TOKENS, "linear") is TOKENS
    assert name_of_part(X, "linear") == "X.linear"
    assert name_of_part(TOKENS, "linear") == "X"


@pytest.mark.parametrize("samples", [X, TOKENS], ids=["parts", "plain"])
def test_features_that_are_known_are_not_made_again(samples):
    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    featured = Featured(samples, features)[np.array([4, 1])]
    for name in ("network", "linear"):
        expected = part_of(samples, name)[[4, 1]]
        assert (part_of(featured, name) != expected).sum() == 0
    batch = Batch(featured, torch.device("cpu"))
    assert_array_equal(batch.features(None), features[[4, 1]])
    made = Batch(samples, torch.device("cpu"))
    assert made.features(lambda tensor: tensor[:, :1]).shape == (6, 1)
    assert made.features(None).shape == (6, 1)  # once


def test_a_batch_has_a_tensor_of_one_part_and_unit_rows_of_the_other():
    batch = Batch(X, torch.device("cpu"))
    assert len(batch) == 6
    assert_array_equal(batch.tensor.numpy(), TOKENS)
    wanted = unit_rows(WORDS)
    assert_array_equal(batch.unit_rows().toarray(), wanted.toarray())
    assert_array_equal(batch.unit_rows(sparse=False), wanted.toarray())
    assert batch.unit_rows() is batch.unit_rows(sparse=True)
    of_network = batch.unit_rows(part="network")
    assert_array_equal(of_network, TOKENS)  # equal as they are, or not at all


class Words(torch.nn.Module):
    """The mean of embeddings of tokens."""

    def __init__(self, width=4):
        super().__init__()
        self.table = torch.nn.EmbeddingBag(24, width)

    def forward(self, tokens):
        return self.table(tokens)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("strategy", ["full", "sampling"])
def test_each_scorer_scores_its_own_part(strategy, multilabel):
    y = np.arange(60) % N_LABELS
    rng = np.random.RandomState(0)
    words = (rng.rand(60, 5) + np.eye(N_LABELS, 5)[y]).astype(np.float32)
    X = Parts(network=rng.randint(24, size=(60, 7)), linear=words)
    cls = MHEMultiLabelClassifier if multilabel else MHEClassifier
    clf = cls(strategy, backbone=Words, combination="equal", random_state=0)
    clf.fit(X, np.eye(N_LABELS, dtype=int)[y] if multilabel else y)
    model, unit = clf._fitted.model, unit_rows(words)
    head, bias = (model.weights[f"head.{part}.0"] for part in ("weights", "biases"))
    table = model.weights["backbone.module.table.weight"]
    scores = table[X.network].mean(1) @ head.T + bias
    if strategy == "sampling":
        scale = np.exp(model.weights["log_centroid_scale"])
        scores = scores + scale * model.centroids.cosines(unit)
    scores = scores + np.maximum(
        path_scores(model.linear, model.scaling.rows(words), N_LABELS), -6
    )
    p = expit((scores + 1) / 2) if multilabel else softmax(scores / 1.5, axis=1)
    found = clf.predict_proba(X)[:, model.codec.order]
    assert_allclose(found, p, rtol=2e-3, atol=1e-5)
    assert_allclose(clf.transform(X), table[X.network].mean(1), rtol=1e-5, atol=1e-6)
