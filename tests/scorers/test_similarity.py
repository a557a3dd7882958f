"""Centroids of labels and similarities to them, against sums of samples."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from linear_problems import N_LABELS, N, containers, make_data, make_text_like, one_hot
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.nn import search as search_module
from skmhe.nn.search import FlatSearch
from skmhe.scorers import batch as batch_module
from skmhe.scorers import similarity
from skmhe.scorers import training_centroids as centroids_module
from skmhe.scorers.batch import Batch, add_product, unit_rows
from skmhe.scorers.centroids import SparseCentroids
from skmhe.scorers.linear.tables import level_of, stored_weights
from skmhe.scorers.similarity import (
    CentroidScorer,
    LabelSimilarityScorer,
    scores_to_complete,
)
from skmhe.scorers.storage import MIN_SIZE
from skmhe.scorers.training_centroids import fit_centroids

CPU = torch.device("cpu")


def flat(size=2, n_labels=N_LABELS, multilabel=False):
    """Return a search of groups of some labels."""
    return FlatSearch(multilabel, n_labels, size)


def of_rows(centroids, rows):
    """Return training centroids for some of their samples."""
    return centroids._replace(own=centroids.own[rows], scale=centroids.scale[rows])


@pytest.mark.parametrize("n", [3, 20])
def test_dense_samples_and_centroids_of_sparse_ones(n, monkeypatch):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", 4)
    X, _ = make_data()
    Y = one_hot(np.arange(N) % 5)
    centroids = fit_centroids(sp.csr_array(X), Y).for_predictions(flat())
    assert isinstance(centroids, SparseCentroids)
    rows, groups = X[:n], np.arange(2 * n).reshape(n, 2) % 3
    expected = centroids.cosines(sp.csr_array(rows))
    assert_allclose(centroids.cosines(rows), expected, atol=1e-6)
    found = centroids.group_cosines(rows, groups, 2)
    expected = centroids.group_cosines(sp.csr_array(rows), groups, 2)
    assert_allclose(found, expected, atol=1e-6)


@containers
@pytest.mark.parametrize("n_frequent", [0, 3, 32])
def test_similarities_to_the_normalized_sums(container, n_frequent, monkeypatch):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", n_frequent)
    X, _ = make_data()
    y = np.arange(N) % 5  # two labels without samples
    centroids = fit_centroids(container(X), one_hot(y)).for_predictions(flat())
    sums = np.stack([X[y == label].sum(0) for label in range(N_LABELS)])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    expected = X @ (sums / np.where(lengths > 0, lengths, 1)).T
    assert_allclose(centroids.cosines(container(X)), expected, atol=1e-5)


@containers
def test_a_training_sample_is_left_out_of_its_own_centroid(container):
    X, _ = make_data()
    y = np.arange(N) % 5
    y[7] = 6  # its only sample
    X[11] = 0  # a sample without features
    weight = np.random.RandomState(0).uniform(0.5, 2, N).astype(np.float32)
    Y = sp.csr_array(sp.diags_array(weight) @ one_hot(y))
    rows, labels = np.array([7, 0, 11, 23]), np.array([0, 1, 2, 3, 6])
    centroids = of_rows(fit_centroids(container(X), Y), rows)
    expected = np.zeros((4, 5))
    for i, row in enumerate(rows):
        for j, label in enumerate(labels):
            members = (y == label) & (np.arange(N) != row)
            total = (weight[members, None] * X[members]).sum(0)
            norm = np.linalg.norm(total)
            expected[i, j] = X[row] @ total / norm if norm > 0 else 0
    part = container(X)[rows]
    found = centroids.cosines(part, labels)
    assert_allclose(found, expected, atol=1e-4)


@containers
def test_a_training_sample_is_left_out_of_all_of_its_labels_centroids(container):
    X, Y = make_data()
    Y, weight = Y.copy(), np.random.RandomState(0).uniform(0.5, 2, N)
    Y[:, 4], Y[7, 4] = 0, 1  # a label of one sample
    Y[3] = 0  # a sample without labels
    weighted = sp.csr_array(weight[:, None] * Y).astype(np.float32)
    rows, labels = np.array([3, 7, 20, 8]), np.flatnonzero(Y[[3, 7, 20, 8]].sum(0))
    assert len(labels) < N_LABELS
    centroids = of_rows(fit_centroids(container(X), weighted), rows)
    expected = np.zeros((4, len(labels)))
    for i, row in enumerate(rows):
        for j, label in enumerate(labels):
            factors = weight * Y[:, label] * (np.arange(N) != row)
            total = factors @ X
            norm = np.linalg.norm(total)
            expected[i, j] = X[row] @ total / norm if norm > 0 else 0
    part = container(X)[rows]
    assert_allclose(centroids.cosines(part, labels), expected, atol=1e-4)


@pytest.mark.parametrize("n_frequent", [0, 4])
def test_sparse_centroids_keep_their_largest_values(n_frequent, monkeypatch):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", n_frequent)
    monkeypatch.setattr(centroids_module, "N_KEPT", 5)
    monkeypatch.setattr(centroids_module, "PAIRS_PER_BLOCK", 7)
    X = make_text_like()
    y = np.arange(len(X)) % 6
    fitted = fit_centroids(sp.csr_array(X), one_hot(y))
    sums = np.stack([X[y == label].sum(0) for label in range(N_LABELS)])
    kept = sums >= np.sort(sums, axis=1)[:, [-5]]
    kept[6] = False  # a label without samples
    norms = np.linalg.norm(sums, axis=1)
    expected = X @ (sums * kept / np.where(norms > 0, norms, 1)[:, None]).T
    found = fitted.for_predictions(flat()).cosines(sp.csr_array(X))
    assert_allclose(found, expected, atol=1e-5)
    # In training, what a sample gave to the kept values is left out.
    for i, label in enumerate(y):
        rest = sums[label] - X[i]
        expected[i, label] = X[i] @ (rest * kept[label]) / np.linalg.norm(rest)
    found = fitted.cosines(sp.csr_array(X), np.arange(N_LABELS))
    assert_allclose(found, expected, atol=1e-5)


@containers
@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("size", [2, 3])
def test_similarities_to_groups_are_those_to_their_labels(
    container, n, size, monkeypatch
):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", 4)
    X = container(make_text_like())
    fitted = fit_centroids(X, one_hot(np.arange(40) % 6))
    centroids = fitted.for_predictions(flat(size))
    n_groups = -(-N_LABELS // size)
    groups = np.stack(
        [np.random.RandomState(i).permutation(n_groups) for i in range(n)]
    )
    groups = groups[:, :2]
    found = centroids.group_cosines(X[:n], groups, size)
    everything = centroids.cosines(X[:n])
    for i in range(n):
        for j in range(2):
            labels = np.arange(groups[i, j] * size, (groups[i, j] + 1) * size)
            labels = labels[labels < N_LABELS]
            expected = everything[i, labels]
            assert_allclose(found[i, j, : len(labels)], expected, atol=1e-5)


@pytest.mark.parametrize("multilabel", [False, True])
def test_tables_of_centroids_are_stored_and_what_is_made_of_them_is_not(
    multilabel, monkeypatch
):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", 4)
    X = sp.csr_array(make_text_like())
    fitted = fit_centroids(X, one_hot(np.arange(40) % 6))
    centroids = fitted.for_predictions(flat(3, multilabel=multilabel))
    # Only with one label per sample are there scores of groups.
    assert (centroids.summary is None) == multilabel
    size = len(pickle.dumps(centroids))
    expected = centroids.cosines(X)
    assert centroids.label_table is centroids.label_table
    assert len(pickle.dumps(centroids)) == size
    again = pickle.loads(pickle.dumps(centroids))
    assert_array_equal(again.cosines(X), expected)
    assert_array_equal(again.level.values, centroids.level.values)


def test_training_goes_on_with_centroids_that_are_not_rounded(monkeypatch):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", 4)
    rng = np.random.RandomState(0)
    X = unit_rows(sp.csr_array(rng.random_sample((60, 60))))
    fitted = fit_centroids(X, one_hot(np.arange(60) % 30, 30))
    before = fitted.rows.data.copy()
    assert len(before) >= MIN_SIZE
    values = fitted.for_predictions(flat(2, 30)).level.values
    assert_array_equal(fitted.rows.data, before)
    assert_array_equal(values.astype(np.float16), values)
    assert not (before.astype(np.float16) == before).all()


@containers
@pytest.mark.parametrize("n_frequent", [4, 99], ids=["some-frequent", "all-frequent"])
def test_more_labels_are_similar_to_their_rows(container, n_frequent, monkeypatch):
    monkeypatch.setattr(centroids_module, "N_FREQUENT", n_frequent)
    X, rows = make_text_like(), make_text_like(3, seed=1)
    fitted = fit_centroids(container(X), one_hot(np.arange(40) % 6))
    known = fitted.for_predictions(flat(3))
    more = known.extended(container(rows), flat(2, N_LABELS + 3))
    found = more.cosines(container(X))
    expected = known.cosines(container(X))
    assert_allclose(found, np.hstack([expected, X @ rows.T]), atol=1e-5)
    groups = np.full((40, 1), 4)
    found = more.group_cosines(container(X), groups, 2)[:, 0]
    assert_allclose(found, X @ rows[1:].T, atol=1e-5)
    # Of nothing, they are like no sample.
    more = known.extended(None, flat(2, N_LABELS + 3)).cosines(container(X))
    assert_allclose(more, np.hstack([expected, np.zeros((40, 3))]), atol=1e-6)


@containers
def test_scores_are_scaled_similarities(container):
    X = container(make_data()[0])
    fitted = fit_centroids(X, one_hot(np.arange(N) % N_LABELS))
    scale = torch.tensor(3.0, requires_grad=True)
    chosen = torch.tensor([0, 2, 3])
    expected = fitted.cosines(X, np.arange(N_LABELS))[:, chosen]
    Y = np.eye(N_LABELS)[np.arange(N) % N_LABELS][:, chosen]
    own = of_rows(fitted, np.flatnonzero(Y.any(1)))
    rows = X[np.flatnonzero(Y.any(1))]
    found = scores_to_complete(own, rows, scale)(chosen)
    assert_allclose(found.detach(), 3 * expected[Y.any(1)], atol=1e-5)
    found.sum().backward()
    assert scale.grad.item() == pytest.approx(expected[Y.any(1)].sum(), rel=1e-4)
    # Of other samples, none is left out.
    known = fitted.for_predictions(flat())
    found = scores_to_complete(known, X, torch.tensor(3.0))(chosen)
    assert_allclose(found, 3 * known.cosines(X)[:, chosen], atol=1e-5)


@containers
def test_centroid_scorer(container):
    X = container(make_data()[0])
    search = flat(3, multilabel=True)
    fitted = fit_centroids(X, one_hot(np.arange(N) % N_LABELS))
    known = fitted.for_predictions(search)
    scorer = CentroidScorer(known, torch.tensor(2.0), search)
    scores = scorer.bind(Batch(X, CPU))
    expected = 2 * known.cosines(X)
    assert_allclose(scores.labels(), expected, atol=1e-6)
    for rows in (slice(3, 5), torch.tensor([5, 1])):
        part = scores.take(rows)
        assert_allclose(part.labels(), expected[rows], atol=1e-6)
        found = part.candidates(torch.tensor([[1, 0], [0, 1]]))
        assert_allclose(
            found[0].flatten(), expected[rows][0, [3, 4, 5, 0, 1, 2]], atol=1e-6
        )


def bind_centroids(X, multilabel=False):
    """Return the scores of centroids of 12 labels in groups of two, by a factor 2."""
    Y = one_hot(np.arange(len(X)) % 12, 12)
    search = flat(2, 12, multilabel)
    known = fit_centroids(sp.csr_array(X), Y).for_predictions(search)
    scorer = CentroidScorer(known, torch.tensor(2.0), search)
    return known, search, scorer.bind(Batch(sp.csr_array(X), CPU))


def test_groups_of_the_nearest_centroids_follow_a_shortlist(monkeypatch):
    monkeypatch.setattr(similarity, "N_NEAREST_GROUPS", 2)
    monkeypatch.setattr(similarity, "MIN_TIMES_SHORTLIST", 1.5)
    X = make_text_like()
    known, _, scores = bind_centroids(X)
    # A group's bound: the sum over features of the largest value of its labels.
    dense = known.cosines(np.eye(X.shape[1], dtype=np.float32)).T
    bounds = X @ dense.reshape(6, 2, -1).max(1).T
    assert (bounds >= known.cosines(X).reshape(len(X), 6, 2).max(2) - 1e-6).all()
    listed = torch.from_numpy(np.argsort(bounds, axis=1)[:, [5, 0]].copy())
    found = scores.shortlist(listed)
    assert (found[:, :2] == listed).all()
    expected = np.argsort(-bounds, axis=1)
    for row, first, order in zip(found.numpy(), listed.numpy(), expected, strict=True):
        assert row[2:].tolist() == [g for g in order if g not in first][:2]
    part = scores.take(torch.tensor([5, 1]))
    assert (part.shortlist(listed[[5, 1]]) == found[[5, 1]]).all()
    # Where others propose nothing, all labels are scored.
    assert scores.shortlist(None) is None


def test_no_group_is_proposed_twice_and_no_shortlist_of_most_groups(monkeypatch):
    monkeypatch.setattr(similarity, "N_NEAREST_GROUPS", 4)
    monkeypatch.setattr(similarity, "MIN_TIMES_SHORTLIST", 1)
    scores = bind_centroids(make_text_like())[2]
    listed = torch.tensor([[4, 0]] * 40)
    found = scores.shortlist(listed)
    assert (found.sort(1).values == torch.arange(6)).all()
    monkeypatch.setattr(similarity, "MIN_TIMES_SHORTLIST", 1.01)
    assert scores.shortlist(listed) is None


def test_multi_label_shortlists_are_those_of_the_linear_classifiers():
    scores, listed = bind_centroids(make_text_like(), True)[2], torch.tensor([[0]] * 40)
    assert scores.shortlist(listed) is listed


def test_dense_samples_have_no_shortlist_with_one_label():
    X, listed = make_text_like(), torch.tensor([[0]] * 40)
    fitted = fit_centroids(X, one_hot(np.arange(40) % 12, 12))
    known = fitted.for_predictions(flat(2, 12))
    scorer = CentroidScorer(known, torch.tensor(2.0), flat(2, 12))
    assert scorer.bind(Batch(X, CPU)).shortlist(listed) is None


def test_scores_of_the_labels_that_stand_for_all(monkeypatch):
    monkeypatch.setattr(search_module, "N_SPREAD", 5)
    X = make_text_like()
    known, search, scores = bind_centroids(X)
    labels = search.spread(CPU)
    assert labels.tolist() == [1, 3, 6, 8, 10]
    expected = 2 * known.cosines(X)[:, labels]
    assert_allclose(scores.outside(labels), expected, atol=1e-6)


@containers
@pytest.mark.parametrize("of_samples", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("with_texts", [False, True])
def test_labels_are_similar_to_their_features(container, of_samples, with_texts):
    X, texts = make_text_like(), make_text_like(4, seed=1)
    expected = 2 * X @ texts.T if with_texts else np.zeros((40, 4))
    texts = container(texts.T) if with_texts else None
    scorer = LabelSimilarityScorer(4, torch.tensor(2.0), texts)
    scores = scorer.bind(Batch(of_samples(X), CPU))
    assert_allclose(scores.by_features(), expected, atol=1e-6)
    assert_allclose(scores.take(slice(2, 5)).by_features(), expected[2:5], atol=1e-6)
    # They are never searched.
    assert scorer.scores_by_features and not scorer.scores_labels


def test_tables_of_weights_in_any_order():
    rng = np.random.RandomState(0)
    labels, features = rng.randint(6, size=40), rng.randint(9, size=40) * 2**27
    pairs = np.unique(np.stack([labels, features]), axis=1).astype(np.int32)
    pairs = pairs[:, rng.permutation(pairs.shape[1])]
    values = np.arange(1, pairs.shape[1] + 1, dtype=np.float32)
    # Of int32, groups times features are beyond it.
    level = level_of(*pairs, values, (3, 2))
    found = zip(*stored_weights(level), strict=True)
    expected = zip(pairs[1], pairs[0], values, strict=True)
    assert sorted(found) == sorted(expected)
    for start, stop in pairwise(level.node_rows):
        assert (np.diff(level.features[start:stop]) > 0).all()


def test_the_largest_values_of_rows():
    rng = np.random.RandomState(0)
    X = sp.random_array((30, 20), density=0.3, format="csr", rng=rng)
    X = sp.csr_array(sp.vstack([X, sp.csr_array((2, 20)), X[:3]]))
    X.data = X.data.round(1)  # some are equal: the first are kept
    kept = centroids_module._largest(X, 4)
    for start, stop in pairwise(X.indptr):
        order = np.argsort(-np.abs(X.data[start:stop]), kind="stable")
        assert set(np.flatnonzero(kept[start:stop])) == set(order[:4])


@pytest.mark.parametrize("n_cells", [1, 45, 10_000])
def test_places_of_stored_values(n_cells, monkeypatch):
    monkeypatch.setattr(centroids_module, "TABLE_CELLS", n_cells)
    rng = np.random.RandomState(0)
    X = sp.random_array((30, 20), density=0.3, format="csr", rng=rng)
    X.sort_indices()
    rows, columns = np.sort(rng.randint(3, 30, 200)), rng.randint(0, 20, 200)
    places = centroids_module._places(X, rows, columns)
    assert_array_equal(np.append(X.data, 0)[places], X.toarray()[rows, columns])
    assert len(centroids_module._places(X, rows[:0], columns[:0])) == 0


def test_values_that_cancel_out_in_a_sum():
    X = unit_rows(sp.csr_array(np.array([[1.0, 2, 0], [-1, 2, 1], [3, 0, 0]])))
    X.data[X.indptr[1]] = -X.data[X.indptr[0]]
    X = sp.csr_array(X.toarray())
    known = fit_centroids(X, one_hot(np.array([0, 0, 1]))[:, :2])
    rows = X.toarray()
    assert (rows[0] + rows[1])[0] == 0
    found = known.cosines(X, np.arange(2))[:2, 0]
    # Of the features that the sum has: others are not kept.
    expected = rows[0, 1:] @ rows[1, 1:] / np.linalg.norm(rows[[1, 0]], axis=1)
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("has_mkl", [True, False])
def test_sparse_products_that_are_added(has_mkl, monkeypatch):
    if has_mkl and not torch.backends.mkl.is_available():
        pytest.skip("torch has no MKL here")
    monkeypatch.setattr(batch_module, "HAS_SPARSE_PRODUCTS", has_mkl)
    rng = np.random.RandomState(0)
    a, b = (
        sp.random_array(shape, density=0.3, format="csr", dtype=np.float32, rng=rng)
        for shape in [(9, 20), (20, 7)]
    )
    result = torch.ones(9, 7)
    add_product(result, a, b)
    assert_allclose(result, 1 + a.toarray() @ b.toarray(), rtol=1e-5)
    for n, k, m in [(0, 20, 7), (9, 0, 7), (9, 20, 0)]:
        empty = torch.ones(n, m)
        shapes = (n, k), (k, m)
        add_product(empty, *(sp.csr_array(s, dtype=np.float32) for s in shapes))
        assert_array_equal(empty, np.ones((n, m)))
