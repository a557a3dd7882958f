"""Searches for the nearest labels, against brute force."""

import sys

import numpy as np
import pytest
import torch

from skmhe import LabelEncoder, MHEClassifier
from skmhe.training.shortlists import (
    MAX_EXACT_LABELS,
    SEARCHES,
    approximate_search,
    exact_search,
    resolve_search,
)

faiss = pytest.importorskip("faiss")


def make_vectors(n, seed, d=16, n_clusters=20):
    """Return unit vectors near some centers, the same for all seeds."""
    centers = np.random.RandomState(0).randn(n_clusters, d)
    rng = np.random.RandomState(seed)
    vectors = centers[rng.randint(n_clusters, size=n)] + 0.5 * rng.randn(n, d)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.from_numpy(vectors.astype(np.float32))


def recall(found, wanted):
    pairs = zip(found, wanted, strict=True)
    return np.mean([len(np.intersect1d(*pair)) / wanted.shape[1] for pair in pairs])


def test_exact_search_is_that_of_brute_force():
    labels, samples = make_vectors(50, 1), make_vectors(9, 2)
    products = samples.numpy() @ labels.numpy().T
    wanted = np.argsort(-products, axis=1)[:, :4]
    np.testing.assert_array_equal(exact_search(labels)(samples, 4), wanted)


def test_approximate_search_finds_most_of_the_nearest_labels():
    labels, samples = make_vectors(3000, 1), make_vectors(200, 2)
    exact, found = (make(labels)(samples, 10) for make in SEARCHES.values())
    assert found.shape == (200, 10)
    assert 0.6 < recall(found, exact) < 1
    # They are in the order of their products, and no label comes twice.
    products = np.take_along_axis(samples.numpy() @ labels.numpy().T, found, 1)
    assert (np.diff(products, axis=1) <= 1e-6).all()
    assert all(len(set(row)) == 10 for row in found)
    again = approximate_search(labels)(samples, 10)
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("n_labels", [1, 2, 7])
def test_approximate_search_of_all_labels_finds_them_all(n_labels):
    labels, samples = make_vectors(n_labels, 1), make_vectors(5, 2)
    found = approximate_search(labels)(samples, n_labels)
    np.testing.assert_array_equal(
        np.sort(found, axis=1), np.tile(np.arange(n_labels), (5, 1))
    )


@pytest.mark.parametrize(
    ("search", "n_labels", "wanted"),
    [
        ("auto", MAX_EXACT_LABELS, "exact"),
        ("auto", MAX_EXACT_LABELS + 1, "approximate"),
        ("exact", MAX_EXACT_LABELS + 1, "exact"),
        ("approximate", 2, "approximate"),
    ],
)
def test_resolve_search(search, n_labels, wanted):
    assert resolve_search(search, n_labels) == wanted


def test_without_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert resolve_search("auto", MAX_EXACT_LABELS + 1) == "exact"
    X, y = np.eye(4, 6), np.arange(4)
    encoder = LabelEncoder(shortlist_search="approximate")
    clf = MHEClassifier(label_encoder=encoder)
    with pytest.raises(ImportError, match=r"pip install 'skmhe\[search\]'"):
        clf.fit(X, y, label_features=X)
    assert not hasattr(clf, "classes_")
