"""Predictions chunk by chunk: the same numbers in bounded memory, on any thread."""

import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import torch
from model_problems import (
    CPU,
    N_LABELS,
    SETTINGS,
    kinds,
    log_prob,
    make_model,
    make_rows,
    make_spec,
    make_whole_model,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.nn.tree_search import TreeSearch
from skmhe.scorers import model as models
from skmhe.scorers import scoring, threads
from skmhe.scorers.combination import ScorerWeights
from skmhe.scorers.network import network_from_weights
from skmhe.scorers.scoring import Scoring

# For so little working memory, every chunk is one row.
TINY = 1e-9
whole_models = pytest.mark.parametrize(
    ("kind", "multilabel"),
    [(kind, m) for kind in ("full", "sampling", "cascade") for m in (False, True)],
)


def predict(model, X, settings=SETTINGS):
    """Return the answers of all kinds."""
    return [
        *model.topk(X, 3, settings),
        model.best(X, settings),
        model.above(X, math.log(0.2), settings).toarray(),
        model.of_all_labels(X, settings, log_prob),
    ]


@pytest.fixture
def chunks(monkeypatch):
    """Record the numbers of rows that are scored at a time."""
    sizes, bind = [], Scoring.bind

    def recorded(self, X):
        sizes.append(X.shape[0])
        return bind(self, X)

    monkeypatch.setattr(Scoring, "bind", recorded)
    return sizes


def check_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------ chunks


@kinds
def test_working_memory_changes_the_chunks_only(kind, multilabel, chunks):
    model, X = make_model(kind, multilabel, np.arange(N_LABELS)[::-1]), make_rows()
    expected = predict(model, X)
    assert chunks == [20] * 4
    chunks.clear()
    with sklearn.config_context(working_memory=TINY):
        check_same(predict(model, X), expected)
    # Chunks of dense output have no fewer rows than products need.
    assert chunks == [1] * 60 + [20]


@whole_models
def test_chunks_of_all_scorers(kind, multilabel, monkeypatch):
    model, X = make_whole_model(kind, multilabel), make_rows(50)
    expected = predict(model, X)
    log_p = expected[-1][:, model.codec.order]
    assert_array_equal(expected[2], log_p.argmax(axis=1))
    assert_array_equal(expected[3] == 1, expected[-1] > math.log(0.2))
    check_same(predict(model, sp.csr_array(X)), expected)
    with sklearn.config_context(working_memory=TINY):
        check_same(predict(model, X), expected)
        log_p = model.of_all_labels(X, SETTINGS, log_prob)
    # Rows do not depend on the others, but for another order of sums.
    assert_allclose(log_p, expected[-1], rtol=1e-5)
    monkeypatch.setattr(scoring, "BLOCK_SCORES", 1)
    monkeypatch.setattr(scoring, "MIN_PRODUCT_ROWS", 1)
    monkeypatch.setattr(scoring, "MAX_BLOCK_ROWS", 7)
    monkeypatch.setattr(scoring, "MAX_PART_ROWS", 3)
    found = predict(model, X)
    check_same(found, expected)
    assert_allclose(found[-1], expected[-1], rtol=1e-5)


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_estimators_in_little_working_memory(cls):
    X = make_rows(60)
    y = np.arange(60) % 6
    y = y if cls is MHEClassifier else sp.csr_array(np.eye(6, dtype=int)[y])
    clf = cls(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X, y)
    expected = clf.predict_proba(X), clf.predict(X), clf.predict_topk(X, 2)
    with sklearn.config_context(working_memory=TINY):
        assert_allclose(clf.predict_proba(X), expected[0], rtol=1e-5)
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
def test_results_are_those_of_the_head(kind, multilabel, sparse):
    order = np.random.RandomState(2).permutation(N_LABELS)
    model, X = make_model(kind, multilabel, order), make_rows()
    X[np.random.RandomState(1).rand(*X.shape) < 0.5] = 0
    rows = sp.csr_array(X) if sparse else X
    positions, scores = model.topk(rows, 4, SETTINGS)
    assert positions.dtype == np.int64
    assert positions.shape == scores.shape == (20, 4)
    indicator = model.above(rows, -1.0, SETTINGS)
    full = model.of_all_labels(rows, SETTINGS, log_prob)
    assert full.dtype == np.float64
    network = network_from_weights(model.spec, model.weights, CPU).eval().double()
    with torch.no_grad():
        features = network.backbone(torch.from_numpy(X).double())
        reference = network.head.log_prob(features).numpy()
    assert_allclose(full[:, order], reference, rtol=1e-5)
    assert_allclose(scores, -np.sort(-reference, axis=1)[:, :4], rtol=1e-4, atol=1e-5)
    assert_allclose(
        np.take_along_axis(reference, positions, axis=1), scores, rtol=1e-4, atol=1e-5
    )
    assert indicator.has_sorted_indices
    assert 0 < indicator.nnz < indicator.shape[0] * N_LABELS
    assert_array_equal(indicator.toarray() == 1, full > -1.0)


@kinds
def test_nothing_is_above_a_probability_of_one(kind, multilabel):
    nothing = make_model(kind, multilabel).above(make_rows(), 0.1, SETTINGS)
    assert nothing.shape == (20, N_LABELS)
    assert nothing.nnz == 0


@kinds
def test_everything_is_above_a_very_small_probability(kind, multilabel):
    everything = make_model(kind, multilabel).above(make_rows(), -1e6, SETTINGS)
    assert_array_equal(everything.toarray(), np.ones((20, N_LABELS)))


def test_dropout_is_off_and_no_graph_is_kept():
    model, outputs = make_model("full"), []
    network = model._scoring(SETTINGS).network
    network.backbone.register_forward_hook(lambda m, i, o: outputs.append(o))
    first, again = (model.topk(make_rows(), 2, SETTINGS)[1] for _ in range(2))
    assert_array_equal(first, again)
    assert len(outputs) == 2
    assert not any(output.requires_grad for output in outputs)


def test_exact_search_is_asked_for(monkeypatch):
    model, seen = make_model("cascade"), []
    search = type(model.search).topk

    def recorded(self, scores, k, exact=False):
        seen.append(exact)
        return search(self, scores, k, exact)

    monkeypatch.setattr(type(model.search), "topk", recorded)
    model.topk(make_rows(), 1, SETTINGS)
    model.best(make_rows(), SETTINGS)
    assert seen == [False, True]


# ------------------------------------------------------------ state and threads


@whole_models
def test_nothing_changes_by_predicting(kind, multilabel):
    model = make_whole_model(kind, multilabel)
    before = pickle.dumps(model)
    predict(model, make_rows(80))
    assert pickle.dumps(model) == before


@whole_models
@pytest.mark.parametrize("n_late", [0, 2])
def test_threads_of_ours_change_no_prediction(
    kind, multilabel, n_late, chunks, monkeypatch
):
    monkeypatch.setattr(models, "threads_for", lambda *_: nullcontext())
    monkeypatch.setattr(threads, "n_cores", lambda: 3)
    model, X, before = (
        make_whole_model(kind, multilabel, True, n_late),
        make_rows(100),
        None,
    )
    n_threads = torch.get_num_threads()
    for n in (1, 3):
        torch.set_num_threads(n)
        chunks.clear()
        try:
            found = predict(model, X)
        finally:
            torch.set_num_threads(n_threads)
        # Even the dense output is bound in as many parts as there are threads.
        assert sorted(chunks) == sorted(4 * {1: [100], 3: [33, 33, 34]}[n])
        # Some processors round products of other sizes, and exponentials of the last
        # rows of a part, otherwise.
        for a, b in zip(found, before or found, strict=True):
            assert_allclose(a, b, rtol=1e-6, atol=1e-6)
        before = found


@whole_models
def test_many_threads_at_once(kind, multilabel):
    model, X = make_whole_model(kind, multilabel), make_rows(30)
    settings = [
        SETTINGS,
        SETTINGS._replace(beam_width=1, weights=ScorerWeights(1, 0.5)),
    ]
    expected = [predict(make_whole_model(kind, multilabel), X, s) for s in settings]
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(lambda i: predict(model, X, settings[i % 2]), range(24))
        )
    for i, result in enumerate(found):
        for a, b in zip(result, expected[i % 2], strict=True):
            assert_array_equal(a, b)


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
    ("kind", "multilabel"),
    [("cascade", False), ("product", False), ("cascade", True)],
)
def test_topk_of_many_labels_never_scores_all(kind, multilabel):
    n, n_labels = 64, 1_000_000
    spec = make_spec(kind, multilabel, (n_labels, (1000, 1000)))
    spec = spec._replace(head=spec.head.with_options(rank=1))
    model, X = make_model(spec=spec), make_rows(n)
    network = model._scoring(SETTINGS).network
    with LargestTensor(network) as largest:
        model.topk(X, 5, SETTINGS)
    assert largest.numel < n * n_labels / 20
    with LargestTensor(network) as largest:
        network.head.log_prob(network.backbone(torch.from_numpy(X)))
    assert largest.numel >= n * n_labels  # what was measured is what it says


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_topk_and_predict_do_not_use_all_probabilities(cls, monkeypatch):
    X = make_rows(60)
    y = np.arange(60) % 6
    y = y if cls is MHEClassifier else sp.csr_array(np.eye(6, dtype=int)[y])
    clf = cls("cascade", hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X, y)

    def refuse(*args, **kwargs):
        raise AssertionError("scored all labels")

    monkeypatch.setattr(models.Model, "of_all_labels", refuse)
    monkeypatch.setattr(TreeSearch, "log_prob", refuse)
    assert clf.predict_topk(X, 2)[0].shape == (60, 2)
    assert clf.predict(X).shape[0] == 60
    with pytest.raises(AssertionError, match="scored all"):
        clf.predict_proba(X)


# ------------------------------------------------------------ scores of all labels


@pytest.mark.parametrize("n", [1, 15, 16, 17, 31, 32, 33, 100, 2049])
@pytest.mark.parametrize("most", [1, 32, 48, 128])
def test_slices_have_about_the_same_number_of_rows(n, most):
    slices = scoring.even_slices(n, most)
    assert_array_equal(np.concatenate([np.arange(n)[s] for s in slices]), np.arange(n))
    sizes = [s.stop - s.start for s in slices]
    assert min(sizes) >= min(n, most // 2)
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


def test_blocks_are_computed_by_one_thread_each():
    # In a process of its own: torch sets threads up once.
    code = """
import torch
from skmhe.scorers.threads import shared_out
torch.set_num_threads(2)
def numbers(_):
    # Of torch, OpenMP and MKL.
    lines = torch.__config__.parallel_info().splitlines()
    return {int(line.split()[-1]) for line in lines if "threads() :" in line
            and "interop" not in line}
print(*shared_out(numbers, range(2), 2), numbers(0))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "{1} {1} {2}\n"


@whole_models
def test_blocks_of_many_labels_have_few_rows(kind, multilabel, monkeypatch):
    model, X = make_whole_model(kind, multilabel), make_rows(70)
    expected = model.of_all_labels(X, SETTINGS, log_prob)
    sizes, of = [], scoring.AllScores.of

    def recorded(search, sums):
        scores = of(search, sums)
        sizes.append(len((scores.levels + scores.digits)[0]))
        return scores

    monkeypatch.setattr(scoring.AllScores, "of", recorded)
    monkeypatch.setattr(scoring, "MAX_BLOCK_SCORES", 1)
    monkeypatch.setattr(scoring, "MAX_PART_SCORES", 1)
    found = model.of_all_labels(X, SETTINGS, log_prob)
    assert_allclose(found, expected, rtol=1e-5)
    assert min(sizes) >= scoring.MIN_PRODUCT_ROWS
    assert max(sizes) <= 2 * scoring.MIN_PRODUCT_ROWS


@whole_models
@pytest.mark.parametrize("what", ["prob", "log_prob", "log_odds"])
def test_what_searches_give_of_all_labels(kind, multilabel, what):
    if what == "log_odds" and not multilabel:
        return
    model, X = make_whole_model(kind, multilabel), make_rows(40)
    log_p = model.of_all_labels(X, SETTINGS, log_prob)
    expected = {
        "prob": np.exp(log_p),
        "log_prob": log_p,
        "log_odds": log_p - np.log(-np.expm1(log_p)),
    }[what]

    def give(search, scores):
        return getattr(search, what)(scores)

    found = model.of_all_labels(X, SETTINGS, give)
    assert found.dtype == np.float64
    assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    for rows in (slice(0, 1), slice(7, 12), slice(3, 39)):
        part = model.of_all_labels(X[rows], SETTINGS, give)
        assert_allclose(part, found[rows], rtol=1e-5, atol=1e-6)
    low, high = np.quantile(found, [0.3, 0.6])
    bounded = model.of_all_labels(X, SETTINGS, give, (low, high))
    assert_array_equal(bounded, found.clip(low, high))


@kinds
def test_probabilities_of_one_label_sum_to_1(kind, multilabel):
    if not multilabel:
        model, X = make_model(kind), make_rows()
        p = model.of_all_labels(X, SETTINGS, lambda search, scores: search.prob(scores))
        assert_allclose(p.sum(1), 1, rtol=1e-13)
