"""What is put beside the network: centroids, and linear classifiers as offsets."""

import pickle
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose
from test_linear import N_LABELS, N, containers, fit, make_data
from test_network import SPEC

from skmhe import MHEMultiLabelClassifier, _base, _centroids
from skmhe._centroids import (
    fit_centroids,
    group_similarities,
    left_out_similarities,
    similarities,
)
from skmhe._levels import child_scores
from skmhe._offsets import (
    FLOOR,
    CentroidOffsets,
    EncoderOffsets,
    LinearOffsets,
    SumOffsets,
    TrainingOffsets,
    calibrated,
)
from skmhe._rows import unit_rows
from skmhe.nn import CascadeHead, FullHead, Offsets, SamplingHead

CPU = torch.device("cpu")


def one_hot(y, n_labels=N_LABELS):
    return sp.csr_array(np.eye(n_labels, dtype=np.float32)[y])


# ------------------------------------------------------------ centroids


@containers
@pytest.mark.parametrize("n_frequent", [0, 3, 32])
def test_similarities_to_the_normalised_sums(container, n_frequent, monkeypatch):
    monkeypatch.setattr(_centroids, "N_FREQUENT", n_frequent)
    X, _ = make_data()
    y = np.arange(N) % 5  # two labels without samples
    centroids = fit_centroids(container(X), one_hot(y)).for_predictions()
    sums = np.stack([X[y == label].sum(0) for label in range(N_LABELS)])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    expected = X @ (sums / np.where(lengths > 0, lengths, 1)).T
    assert_allclose(similarities(centroids, container(X)), expected, atol=1e-5)


@containers
def test_a_training_sample_is_left_out_of_its_own_centroid(container):
    X, _ = make_data()
    y = np.arange(N) % 5
    y[7] = 6  # its only sample
    X[11] = 0  # a sample without features
    weight = np.random.RandomState(0).uniform(0.5, 2, N).astype(np.float32)
    Y = sp.csr_array(sp.diags_array(weight) @ one_hot(y))
    rows, labels = np.array([7, 0, 11, 23]), np.array([0, 1, 2, 3, 6])
    centroids = fit_centroids(container(X), Y).take(rows)
    expected = np.zeros((4, 5))
    for i, row in enumerate(rows):
        for j, label in enumerate(labels):
            members = (y == label) & (np.arange(N) != row)
            total = (weight[members, None] * X[members]).sum(0)
            norm = np.linalg.norm(total)
            expected[i, j] = X[row] @ total / norm if norm > 0 else 0
    part = container(X)[rows]
    found = left_out_similarities(centroids, part, labels)
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
    centroids = fit_centroids(container(X), weighted).take(rows)
    expected = np.zeros((4, len(labels)))
    for i, row in enumerate(rows):
        for j, label in enumerate(labels):
            factors = weight * Y[:, label] * (np.arange(N) != row)
            total = factors @ X
            norm = np.linalg.norm(total)
            expected[i, j] = X[row] @ total / norm if norm > 0 else 0
    part = container(X)[rows]
    assert_allclose(left_out_similarities(centroids, part, labels), expected, atol=1e-4)
    offsets = TrainingOffsets(centroids, part, torch.tensor(1.0))
    assert_allclose(offsets.labels()[:, labels], expected, atol=1e-4)


def make_text_like(n=40, n_features=30, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.rand(n, n_features) * (rng.rand(n, n_features) < 0.3)
    return unit_rows(X.astype(np.float32))


@pytest.mark.parametrize("n_frequent", [0, 4])
def test_sparse_centroids_keep_their_largest_values(n_frequent, monkeypatch):
    monkeypatch.setattr(_centroids, "N_FREQUENT", n_frequent)
    monkeypatch.setattr(_centroids, "N_KEPT", 5)
    monkeypatch.setattr(_centroids, "PAIRS_PER_BLOCK", 7)
    X = make_text_like()
    y = np.arange(len(X)) % 6
    fitted = fit_centroids(sp.csr_array(X), one_hot(y))
    sums = np.stack([X[y == label].sum(0) for label in range(N_LABELS)])
    kept = sums >= np.sort(sums, axis=1)[:, [-5]]
    kept[6] = False  # a label without samples
    norms = np.linalg.norm(sums, axis=1)
    expected = X @ (sums * kept / np.where(norms > 0, norms, 1)[:, None]).T
    found = similarities(fitted.for_predictions(), sp.csr_array(X))
    assert_allclose(found, expected, atol=1e-5)
    # In training, what a sample gave to the kept values is left out.
    for i, label in enumerate(y):
        rest = sums[label] - X[i]
        expected[i, label] = X[i] @ (rest * kept[label]) / np.linalg.norm(rest)
    found = left_out_similarities(fitted, sp.csr_array(X), np.arange(N_LABELS))
    assert_allclose(found, expected, atol=1e-5)


@containers
@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("size", [2, 3])
def test_similarities_to_groups_are_those_to_their_labels(
    container, n, size, monkeypatch
):
    monkeypatch.setattr(_centroids, "N_FREQUENT", 4)
    monkeypatch.setattr(_centroids, "MIN_ROWS_FOR_GROUPS", 10)
    X = container(make_text_like())
    centroids = fit_centroids(X, one_hot(np.arange(40) % 6)).for_predictions()
    n_groups = -(-N_LABELS // size)
    groups = np.stack(
        [np.random.RandomState(i).permutation(n_groups) for i in range(n)]
    )
    groups = groups[:, :2]
    found = group_similarities(centroids, X[:n], groups, size)
    everything = similarities(centroids, X[:n])
    for i in range(n):
        for j in range(2):
            labels = np.arange(groups[i, j] * size, (groups[i, j] + 1) * size)
            labels = labels[labels < N_LABELS]
            expected = everything[i, labels]
            assert_allclose(found[i, j, : len(labels)], expected, atol=1e-5)


def test_tables_of_centroids_are_made_once_and_not_pickled():
    X = sp.csr_array(make_text_like())
    centroids = fit_centroids(X, one_hot(np.arange(40) % 6)).for_predictions()
    similarities(centroids, X)
    size = len(pickle.dumps(centroids))
    level = centroids.level(3)
    assert centroids.level(3) is level
    assert centroids.level(2) is not level
    assert len(pickle.dumps(centroids)) == size
    again = pickle.loads(pickle.dumps(centroids))
    assert_allclose(similarities(again, X), similarities(centroids, X))


def test_centroid_offsets_are_scaled_similarities():
    X, _ = make_data()
    y = np.arange(N) % N_LABELS
    centroids = fit_centroids(sp.csr_array(X), one_hot(y))
    scale = torch.tensor(3.0, requires_grad=True)
    trained = TrainingOffsets(centroids, sp.csr_array(X), scale)
    pool = torch.arange(N_LABELS)
    expected = left_out_similarities(centroids, sp.csr_array(X), pool.numpy())
    assert_allclose(trained.pool(pool).detach(), 3 * expected, atol=1e-5)
    trained.pool(pool).sum().backward()
    assert scale.grad.item() == pytest.approx(expected.sum(), rel=1e-4)
    offsets = CentroidOffsets(centroids.for_predictions(), sp.csr_array(X), scale)
    everything = offsets.labels().detach()
    assert_allclose(offsets.pool(pool[2:4]).detach(), everything[:, 2:4])
    assert_allclose(offsets.take(slice(3, 5)).labels().detach(), everything[3:5])
    rows = torch.tensor([5, 1])
    assert_allclose(offsets.take(rows).labels().detach(), everything[rows])


# ------------------------------------------------------------ linear classifiers


def summed(parts, spec):
    return SumOffsets(parts, partial(calibrated, spec=spec, has_linear=True))


def make_offsets(X, levels, **spec):
    spec = {"n_labels": N_LABELS, "linear_weight": 2.0, "beam_width": 2} | spec
    return LinearOffsets(levels, N_LABELS, X, SPEC._replace(**spec), CPU)


def path_scores(levels, X):
    """Return the sums of log-scores along every label's path."""
    n, total = X.shape[0], np.zeros((X.shape[0], 1))
    for level in levels:
        scores = np.stack(
            [
                child_scores(level, X, np.arange(n), np.full(n, node))
                for node in range(len(level.intercepts))
            ],
            axis=1,
        )
        total = total[:, : scores.shape[1], None] - np.maximum(0, 1 - scores) ** 2
        total = total.reshape(n, -1)
    return total[:, :N_LABELS]


@containers
@pytest.mark.parametrize("sizes", [(N_LABELS,), (3, 3), (2, 2, 2)])
def test_labels_have_the_log_scores_of_their_paths(container, sizes):
    X, Y = make_data()
    X = container(X)
    levels = fit(X, Y, sizes)
    expected = 2 * np.maximum(path_scores(levels, X), FLOOR)
    offsets = make_offsets(X, levels, strategy="sampling", beam_width=9)
    assert_allclose(offsets.labels(), expected, atol=1e-4)
    assert_allclose(offsets.take(slice(5, 9)).labels(), expected[5:9], atol=1e-4)
    rows = torch.tensor([8, 3])
    assert_allclose(offsets.take(rows).labels(), expected[rows], atol=1e-4)


def test_labels_outside_of_the_beam_have_the_floor():
    X, Y = make_data()
    X = sp.csr_array(X)
    levels = fit(X, Y, (3, 3))
    expected = np.maximum(path_scores(levels, X), FLOOR)
    first = child_scores(levels[0], X, np.arange(N), np.zeros(N, int))
    kept = np.argsort(-first, axis=1)[:, :2]
    in_beam = (np.arange(N_LABELS)[None, :, None] // 3 == kept[:, None, :]).any(2)
    expected = 2 * np.where(in_beam, expected, FLOOR)
    offsets = make_offsets(X, levels, strategy="sampling", beam_width=2)
    assert_allclose(offsets.labels(), expected, atol=1e-4)
    assert (expected == 2 * FLOOR).any()


def test_children_have_twice_the_weighted_scores():
    X, Y = make_data()
    X = sp.csr_array(X)
    levels = fit(X, Y, (3, 3))
    samples, nodes = np.array([3, 3, 8]), np.array([0, 2, 1])
    offsets = make_offsets(X, levels, strategy="cascade", linear_weight=0.5)
    found = offsets.children(1, torch.from_numpy(samples), torch.from_numpy(nodes))
    assert_allclose(found, child_scores(levels[1], X, samples, nodes))


def test_both_are_summed():
    X, Y = make_data()
    X = sp.csr_array(X)
    centroids = fit_centroids(X, one_hot(np.arange(N) % N_LABELS)).for_predictions()
    similar = CentroidOffsets(centroids, X, torch.tensor(3.0))
    spec = {"strategy": "sampling", "has_centroids": True, "multilabel": False}
    linear = make_offsets(X, fit(X, Y, (N_LABELS,)), **spec)
    both = summed([similar, linear], linear.spec)
    expected = similar.labels() + linear.labels()
    assert_allclose(both.labels(), expected, rtol=1e-6)
    assert_allclose(both.take(slice(2, 4)).labels(), expected[2:4], rtol=1e-5)
    scores = torch.ones(N, N_LABELS)
    assert_allclose(both.join(scores), (1 + expected) / 1.7, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.5, 2.0])
@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("has_network", [False, True])
def test_scores_are_calibrated_without_changing_the_ranking(
    weight, multilabel, has_network
):
    X, Y = make_data()
    spec = {"multilabel": multilabel, "has_network": has_network, "strategy": "full"}
    offsets = make_offsets(X, fit(X, Y, (N_LABELS,)), linear_weight=weight, **spec)
    scores = torch.randn(N, N_LABELS, generator=torch.Generator().manual_seed(0))
    expected = scores + offsets.labels()
    if has_network and multilabel:
        expected = expected / (1 + weight) + 0.7 * weight
    elif not has_network and not multilabel:
        expected = 1.5 * expected
    joined = summed([offsets], offsets.spec).join(scores)
    assert_allclose(joined, expected, rtol=1e-4, atol=1e-5)


class Embedded:
    """Embeddings of samples and of 11 labels in groups of 3, or in a tree of (4, 3)."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.samples = torch.randn(5, 4, generator=generator)
        self.labels = torch.randn(11, 4, generator=generator)
        spec = SPEC._replace(n_labels=11, head_sizes=(4, 3), strategy="cascade")
        self.offsets = EncoderOffsets(self.samples, self.labels, spec)
        self.scores = self.samples @ self.labels.T


def test_embedded_labels_score_by_groups_as_they_do_alone():
    case = Embedded()
    assert_allclose(case.offsets.labels(), case.scores, rtol=1e-5)
    rows = slice(1, 3)
    assert_allclose(case.offsets.take(rows).labels(), case.scores[rows], rtol=1e-5)
    groups = torch.tensor([[0, 3], [1, 2], [3, 0], [2, 1], [0, 1]])
    found = case.offsets.members(groups)
    for i, row in enumerate(groups.tolist()):
        for j, group in enumerate(row):
            own = case.scores[i, 3 * group : 3 * group + 3]
            assert_allclose(found[i, j, : len(own)], own, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(found).all()


def test_embedded_labels_are_children_of_the_last_level_only():
    case = Embedded()
    samples, nodes = torch.tensor([0, 0, 4]), torch.tensor([0, 2, 3])
    assert (case.offsets.children(0, samples, nodes) == torch.zeros(3, 4)).all()
    found = case.offsets.children(1, samples, nodes)
    for row, i, node in zip(found, samples, nodes, strict=True):
        own = case.scores[i, 3 * node : 3 * node + 3]
        assert_allclose(row[: len(own)], own, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------ heads


class Table(Offsets):
    """Offsets of a tree of 11 labels in groups of 3, from tables."""

    def __init__(self, n, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.first = torch.randn(n, 4, generator=generator, dtype=torch.float64)
        self.leaves = torch.randn(n, 4, 3, generator=generator, dtype=torch.float64)

    def labels(self):
        return self.leaves.flatten(1)[:, :11]

    def children(self, level, samples, nodes):
        return self.leaves[samples, nodes] if level else self.first[samples]

    def take(self, rows):
        part = Table(1)
        part.first, part.leaves = self.first[rows], self.leaves[rows]
        return part


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("n_features", [0, 3])
def test_cascade_adds_offsets_to_the_scores_of_its_nodes(multilabel, n_features):
    head = CascadeHead(n_features, (4, 3), 11, multilabel, beam_width=1).double()
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(6, n_features, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=generator)
    table = Table(6)
    first = features @ head.weights[0].T + head.biases[0] + table.first
    leaves = (features @ head.weights[1].T + head.biases[1]).detach()
    leaves = torch.nn.functional.pad(leaves, (0, 1), value=-torch.inf).view(6, 4, 3)
    leaves = leaves + table.leaves
    if multilabel:
        expected = first.sigmoid()[:, :, None] * leaves.sigmoid()
    else:
        expected = first.softmax(1)[:, :, None] * leaves.softmax(2)
    expected = expected.flatten(1)[:, :11].detach()
    with head.shifted(table), torch.no_grad():
        assert_allclose(head.log_prob(features).exp(), expected)
        labels, scores = head.topk(features, 3, exact=True)
        samples, above = head.above(features, np.log(0.1))
    best = expected.topk(3)
    assert_allclose(scores.exp(), best.values)
    assert (labels == best.indices).all()
    found = torch.zeros(6, 11, dtype=torch.bool)
    found[samples, above] = True
    assert (found == (expected > 0.1)).all()


@pytest.mark.parametrize("multilabel", [False, True])
def test_full_head_adds_offsets_to_the_scores(multilabel):
    head = FullHead(2, 11, multilabel).double()
    features, table = torch.ones(6, 2).double(), Table(6)
    scores = features @ head.weights[0].T + head.biases[0] + table.labels()
    expected = scores.sigmoid() if multilabel else scores.softmax(1)
    with head.shifted(table):
        assert_allclose(head.log_prob(features).exp().detach(), expected.detach())
    assert head.offsets is None


class Groups(Table):
    """The same, of which some groups are worth scoring."""

    chosen = torch.tensor([[1, 3], [0, 2], [3, 0], [2, 1], [0, 1], [3, 2]])

    def groups(self):
        return self.chosen

    def members(self, groups):
        return self.leaves[torch.arange(6)[:, None], groups]


@pytest.mark.parametrize("multilabel", [False, True])
def test_sampling_scores_the_groups_that_offsets_name(multilabel):
    head = SamplingHead(2, 11, group_size=3, multilabel=multilabel).double()
    features = torch.randn(6, 2, generator=torch.Generator().manual_seed(2)).double()
    table = Groups(6)
    with head.shifted(table), torch.no_grad():
        labels, scores = head.topk(features, 3)
        every = head.topk(features, 4)  # more than a group has: all are scored
        exact = head.topk(features, 3, exact=True)
        log_p = head.log_prob(features)
    in_group = (torch.arange(11)[None, :, None] // 3 == table.chosen[:, None]).any(2)
    log_odds = log_p - torch.log1p(-log_p.exp()) if multilabel else log_p
    expected = log_odds.masked_fill(~in_group, -torch.inf)
    expected = expected if multilabel else expected.log_softmax(1)
    best = expected.topk(3)
    assert (labels == best.indices).all()
    values = torch.nn.functional.logsigmoid(best.values) if multilabel else best.values
    assert_allclose(scores, values)
    assert (exact[0] == log_p.topk(3).indices).all()
    assert (every[0] == log_p.topk(4).indices).all()


@containers
@pytest.mark.parametrize("n", [5, 60])
def test_labels_of_the_beam_have_the_same_scores_in_predict_topk(
    container, n, monkeypatch
):
    rng = np.random.RandomState(0)
    X = make_text_like(200, 40)
    Y = (X @ rng.rand(40, 30) > 1.6).astype(int)
    clf = MHEMultiLabelClassifier(
        "sampling", max_iter=2, hidden_layer_sizes=8, beam_width=2, random_state=0
    )
    monkeypatch.setattr(_base, "MAX_FULL_LABELS", 10)
    clf.fit(container(X), Y)
    assert len(clf.linear_) == 2
    rows = container(X[:n])
    labels, scores = clf.predict_topk(rows, 4)
    p = clf.predict_proba(rows)
    assert_allclose(scores, np.take_along_axis(p, labels, 1), atol=1e-5)
    # All groups in the beam: the best labels.
    clf.beam_width = 6
    labels, scores = clf.predict_topk(rows, 4)
    p = clf.predict_proba(rows)
    assert_allclose(scores, -np.sort(-p, axis=1)[:, :4], atol=1e-5)


def test_an_error_leaves_no_offsets_behind():
    head = FullHead(2, 11)
    with pytest.raises(ZeroDivisionError), head.shifted(Table(6)):
        raise ZeroDivisionError
    assert head.offsets is None


@pytest.mark.parametrize("method", ["labels", "pool", "children", "take", "members"])
def test_offsets_name_what_they_do_not_have(method):
    arguments = {"labels": 0, "pool": 1, "children": 3, "take": 1, "members": 1}[method]
    with pytest.raises(NotImplementedError, match="Offsets"):
        getattr(Offsets(), method)(*[None] * arguments)
