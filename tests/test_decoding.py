"""Predictions chunk by chunk: the same numbers in bounded memory."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier, MHEMultiLabelClassifier, _decoding
from skmhe._beside import Beside
from skmhe._decoding import above, log_prob, row_chunks, topk
from skmhe._network import Network, NetworkSpec
from skmhe._training import seeded

N_FEATURES = 4
KINDS = [
    ("full", False),
    ("cascade", False),
    ("product", False),
    ("sampling", False),
    ("full", True),
    ("cascade", True),
    ("sampling", True),
]
kinds = pytest.mark.parametrize(("strategy", "multilabel"), KINDS)
# For so little working memory, every chunk is one row.
TINY = 1e-9
ALONE = Beside()


def make_network(strategy, multilabel, n_labels=11, head_sizes=(4, 3), **changes):
    spec = NetworkSpec(
        n_features=N_FEATURES,
        n_labels=n_labels,
        multilabel=multilabel,
        strategy=strategy,
        head_sizes=head_sizes,
        rank=1,
        beam_width=10,
        hard_negatives=True,
        n_sampled_groups=2,
        has_network=True,
        has_centroids=False,
        linear_weight=1.0,
        hidden_layer_sizes=(4,),
        activation="tanh",
        dropout=0.5,
        input_dropout=0.5,
    )
    with seeded(0, torch.device("cpu")):
        network = Network(spec._replace(**changes))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_()
    return network


def make_rows(n=20, seed=0):
    return np.random.RandomState(seed).randn(n, N_FEATURES).astype(np.float32)


class Chunks:
    """Counts the rows that the backbone is given at a time."""

    def __init__(self, network):
        self.sizes = []
        network.backbone.register_forward_hook(self)

    def __call__(self, module, args, output):
        self.sizes.append(output.shape[0])


# ------------------------------------------------------------ chunks


@pytest.mark.parametrize("n_rows", [1, 7, 1024, 1025, 5000])
@pytest.mark.parametrize("scores_per_row", [1, 1000, 10**6])
def test_chunks_cover_all_rows_in_order(n_rows, scores_per_row):
    chunks = list(row_chunks(n_rows, scores_per_row))
    rows = np.concatenate([np.arange(n_rows)[chunk] for chunk in chunks])
    assert_array_equal(rows, np.arange(n_rows))
    assert all(chunk.stop > chunk.start for chunk in chunks)


@pytest.mark.parametrize(
    ("memory", "scores_per_row", "expected"),
    [
        (1, 2**18, 1),  # a row of 2^18 scores of 4 bytes fills 1 MiB
        (1, 2**16, 4),
        (1, 2**16 + 1, 3),
        (1, 2**30, 1),  # at least a row, even if it does not fit
        (1024, 1, 2048),  # no more than the cache can hold
    ],
)
def test_size_of_chunks(memory, scores_per_row, expected):
    with sklearn.config_context(working_memory=memory):
        first = next(row_chunks(5000, scores_per_row))
    assert first.stop - first.start == expected


@kinds
def test_working_memory_changes_the_chunks_only(strategy, multilabel):
    network = make_network(strategy, multilabel)
    X = make_rows()
    columns = np.arange(11)[::-1].copy()
    chunks = Chunks(network)

    def predict():
        first = topk(network.float(), ALONE, X, 3)
        pairs = above(network.float(), ALONE, X, -1.0, columns)
        return [*first, pairs.toarray(), log_prob(network, ALONE, X, columns)]

    expected = predict()
    assert set(chunks.sizes) == {20}
    chunks.sizes.clear()
    with sklearn.config_context(working_memory=TINY):
        result = predict()
    assert chunks.sizes == [1] * 60
    for a, b in zip(expected, result, strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_estimators_in_little_working_memory(cls):
    X = make_rows(60)
    y = np.arange(60) % 6
    y = y if cls is MHEClassifier else sp.csr_array(np.eye(6, dtype=int)[y])
    clf = cls(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X, y)
    expected = clf.predict_proba(X), clf.predict(X), clf.predict_topk(X, 2)
    with sklearn.config_context(working_memory=TINY):
        assert_allclose(clf.predict_proba(X), expected[0], rtol=1e-12)
        predicted = clf.predict(X)
        labels, scores = clf.predict_topk(X, 2)
    if cls is MHEClassifier:
        assert_array_equal(predicted, expected[1])
    else:
        assert_array_equal(predicted.toarray(), expected[1].toarray())
    assert_array_equal(labels, expected[2][0])
    assert_allclose(scores, expected[2][1], rtol=1e-4)


# ------------------------------------------------------------ results


@pytest.mark.parametrize("sparse", [False, True])
@kinds
def test_results_are_those_of_the_head(strategy, multilabel, sparse):
    network = make_network(strategy, multilabel)
    X = make_rows()
    X[np.random.RandomState(1).rand(*X.shape) < 0.5] = 0
    rows = sp.csr_array(X) if sparse else X
    order = np.random.RandomState(2).permutation(11)
    columns = np.argsort(order)
    positions, scores = topk(network, ALONE, rows, 4)
    assert positions.dtype == np.int64
    assert positions.shape == scores.shape == (20, 4)
    indicator = above(network, ALONE, rows, -1.0, order)
    # Switches to float64: the last to be called.
    full = log_prob(network, ALONE, rows, columns)
    assert full.dtype == np.float64
    with torch.no_grad():
        reference = network.head.log_prob(
            network.backbone(torch.from_numpy(X).double())
        ).numpy()
    assert_allclose(full, reference[:, columns], rtol=1e-10)
    assert_allclose(scores, -np.sort(-reference, axis=1)[:, :4], rtol=1e-4, atol=1e-5)
    assert_allclose(
        np.take_along_axis(reference, positions, axis=1), scores, rtol=1e-4, atol=1e-5
    )
    assert indicator.has_sorted_indices
    assert 0 < indicator.nnz < indicator.shape[0] * 11
    assert_array_equal(indicator.toarray() == 1, full > -1.0)


@kinds
def test_nothing_is_above_a_probability_of_one(strategy, multilabel):
    nothing = above(
        make_network(strategy, multilabel), ALONE, make_rows(), 0.1, np.arange(11)
    )
    assert nothing.shape == (20, 11)
    assert nothing.nnz == 0


@kinds
def test_everything_is_above_a_very_small_probability(strategy, multilabel):
    network = make_network(strategy, multilabel)
    everything = above(network, ALONE, make_rows(), -1e6, np.arange(11))
    assert_array_equal(everything.toarray(), np.ones((20, 11)))


def test_dropout_is_off_and_no_graph_is_kept():
    network = make_network("full", False).train()
    X = make_rows()
    outputs = []
    network.backbone.register_forward_hook(lambda m, i, o: outputs.append(o))
    assert_array_equal(topk(network, ALONE, X, 2)[1], topk(network, ALONE, X, 2)[1])
    assert not any(output.requires_grad for output in outputs)


def test_exact_search_reaches_the_head(monkeypatch):
    network = make_network("cascade", False)
    seen = []
    search = network.head.topk

    def recorded(features, k, exact=False):
        seen.append(exact)
        return search(features, k, exact=exact)

    monkeypatch.setattr(network.head, "topk", recorded)
    topk(network, ALONE, make_rows(), 1)
    topk(network, ALONE, make_rows(), 1, exact=True)
    assert seen == [False, True]


# ------------------------------------------------------------ memory


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the size of the largest tensor made, not counting the weights."""

    def __init__(self, network):
        super().__init__()
        self.weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage().data_ptr()
                if storage not in self.weights:
                    self.numel = max(self.numel, value.numel())
        return result


@pytest.mark.parametrize(
    ("strategy", "multilabel"),
    [("cascade", False), ("product", False), ("cascade", True)],
)
def test_topk_of_many_labels_never_scores_all(strategy, multilabel):
    n, n_labels = 64, 1_000_000
    network = make_network(strategy, multilabel, n_labels, head_sizes=(1000, 1000))
    X = make_rows(n)
    with LargestTensor(network) as largest:
        topk(network, ALONE, X, 5)
    assert largest.numel < n * n_labels / 20
    with LargestTensor(network) as largest:
        network.head.log_prob(network.backbone(torch.from_numpy(X)))
    assert largest.numel >= n * n_labels  # what was measured is what it says


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_topk_and_predict_do_not_use_all_probabilities(cls, monkeypatch):
    X = make_rows(60)
    y = np.arange(60) % 6
    y = y if cls is MHEClassifier else sp.csr_array(np.eye(6, dtype=int)[y])
    clf = cls(hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X, y)

    def refuse(*args, **kwargs):
        raise AssertionError("scored all labels")

    monkeypatch.setattr(_decoding, "log_prob", refuse)
    monkeypatch.setattr("skmhe.nn.CascadeHead._log_prob", refuse)
    assert clf.predict_topk(X, 2)[0].shape == (60, 2)
    assert clf.predict(X).shape[0] == 60
    with pytest.raises(AssertionError, match="scored all"):
        clf.predict_proba(X)
