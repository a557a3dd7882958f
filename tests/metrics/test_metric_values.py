"""Values of the ranking metrics: pure-Python oracles, input forms, properties."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from metric_problems import METRICS, Problem, all_metrics, all_oracles, quick, seeds
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from skmhe.metrics import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    propensity_scored_precision_at_k,
    recall_at_k,
)
from skmhe.metrics._true_labels import TrueLabels


@given(seeds)
@quick
def test_metrics_equal_oracles(seed):
    q = Problem(seed)
    expected = all_oracles(q.truth, q.ranked.tolist(), q.k, q.p)
    assert_allclose(all_metrics(q.dense, q.ranked, q.k, q.p), expected)


@given(seeds)
@quick
def test_padded_rankings_equal_oracles(seed):
    q = Problem(seed)
    ranked = np.where(q.rng.random(q.ranked.shape) < 0.4, -1, q.ranked)
    expected = all_oracles(q.truth, ranked.tolist(), q.k, q.p)
    assert_allclose(all_metrics(q.dense, ranked, q.k, q.p), expected)


@given(seeds)
@quick
def test_prediction_forms_agree(seed):
    q = Problem(seed)
    expected = all_metrics(q.dense, q.ranked, q.k, q.p)
    dense32 = q.scores.astype(np.float32)
    csr = sp.csr_array(q.scores)
    forms = [q.scores, dense32, csr, sp.csr_matrix(q.scores), csr.tocsc(), csr.tocoo()]
    forms += [q.ranked[:, : q.k], q.ranked.astype(np.int32), q.ranked.astype(np.uint8)]
    forms += [q.ranked.tolist(), pd.DataFrame(q.scores), np.asfortranarray(q.scores)]
    for form in forms:
        assert_array_equal(all_metrics(q.dense, form, q.k, q.p), expected)


@given(seeds)
@quick
def test_true_label_forms_agree(seed):
    q = Problem(seed)
    expected = all_metrics(q.dense, q.scores, q.k, q.p)
    csr = sp.csr_array(q.dense)
    forms = [q.dense.astype(bool), q.dense.astype(np.float32), pd.DataFrame(q.dense)]
    forms += [csr, sp.csr_matrix(q.dense), csr.tocsc(), csr.tocoo(), csr.astype(bool)]
    if not looks_like_indicator(q.truth):
        forms += [[list(t) for t in q.truth], [np.array(list(t)) for t in q.truth]]
        forms += [q.truth, pd.Series([list(t) for t in q.truth])]
    for form in forms:
        assert_array_equal(all_metrics(form, q.scores, q.k, q.p), expected)


def looks_like_indicator(truth):
    """Tell whether these label lists are among those rejected as ambiguous."""
    return all(t == {0, 1} for t in truth)


@given(seeds)
@quick
def test_single_label_forms_agree(seed):
    q = Problem(seed, single=True)
    labels = q.dense.argmax(axis=1)
    expected = all_metrics(q.dense, q.ranked, q.k, q.p)
    for form in (labels, labels.tolist(), labels.astype(np.uint8), pd.Series(labels)):
        assert_array_equal(all_metrics(form, q.ranked, q.k, q.p), expected)
    assert_array_equal(
        all_metrics(labels[:, None].tolist(), q.ranked, q.k, q.p), expected
    )


@given(seeds)
@quick
def test_order_of_samples_does_not_matter(seed):
    q = Problem(seed)
    order = q.rng.permutation(q.n_samples)
    assert_allclose(
        all_metrics(q.dense[order], q.ranked[order], q.k, q.p),
        all_metrics(q.dense, q.ranked, q.k, q.p),
    )


@given(seeds)
@quick
def test_renaming_labels_does_not_matter(seed):
    q = Problem(seed)
    order = q.rng.permutation(q.n_labels)
    assert_allclose(
        all_metrics(q.dense[:, order], q.scores[:, order], q.k, q.p[order]),
        all_metrics(q.dense, q.scores, q.k, q.p),
    )


@given(seeds)
@quick
def test_values_are_in_the_unit_interval(seed):
    q = Problem(seed)
    values = all_metrics(q.dense, q.ranked, q.k, q.p)
    assert ((values >= 0) & (values <= 1)).all()
    assert isinstance(precision_at_k(q.dense, q.ranked, q.k), float)


@given(seeds)
@quick
def test_perfect_ranking(seed):
    q = Problem(seed, full=True)
    perfect = np.argsort(-(q.dense / q.p), axis=1, kind="stable")
    values = all_metrics(q.dense, perfect, q.k, q.p)
    assert_allclose(values[2], 1)  # nDCG
    assert_allclose(values[4], 1)  # propensity-scored precision
    assert values.max() <= 1
    assert recall_at_k(q.dense, perfect, k=q.n_labels) == 1
    assert coverage_at_k(q.dense, perfect, k=q.n_labels) == 1


@given(seeds)
@quick
def test_equal_propensities_give_precision_over_its_best_value(seed):
    q = Problem(seed, full=True)
    best = np.minimum(q.dense.sum(axis=1), q.k).mean() / q.k
    expected = precision_at_k(q.dense, q.ranked, q.k) / best
    for p in (1, 0.3):
        psp = propensity_scored_precision_at_k(
            q.dense, q.ranked, np.full(q.n_labels, p), k=q.k
        )
        assert_allclose(psp, expected)


@given(seeds)
@quick
def test_sample_weight_is_repetition(seed):
    q = Problem(seed)
    repeated = np.repeat(np.arange(q.n_samples), q.weights)
    assert_allclose(
        all_metrics(q.dense, q.ranked, q.k, q.p, sample_weight=q.weights),
        all_metrics(q.dense[repeated], q.ranked[repeated], q.k, q.p),
    )


@given(seeds)
@quick
def test_ndcg_equals_scikit_learn(seed):
    q = Problem(seed)
    expected = ndcg_score(q.dense, q.scores, k=q.k, ignore_ties=True)
    assert_allclose(ndcg_at_k(q.dense, q.scores, k=q.k), expected)


@given(seeds)
@quick
def test_single_label_recall_is_top_k_accuracy(seed):
    q = Problem(seed, single=True)
    labels = q.dense.argmax(axis=1)
    k = min(q.k, q.n_labels - 1)  # scikit-learn warns at k = n_labels
    expected = top_k_accuracy_score(labels, q.scores, k=k, labels=np.arange(q.n_labels))
    assert_allclose(recall_at_k(labels, q.scores, k=k), expected)


def test_by_hand():
    y_true = [[0, 1, 2], [3], []]
    y_pred = np.array([[0, 4, 1], [4, 3, 0], [0, 1, 2]])
    assert_allclose(precision_at_k(y_true, y_pred, k=2), (1 / 2 + 1 / 2 + 0) / 3)
    assert_allclose(recall_at_k(y_true, y_pred, k=2), (1 / 3 + 1 + 0) / 3)
    second = 1 / math.log2(3)
    expected = (1 / (1 + second) + second + 0) / 3
    assert_allclose(ndcg_at_k(y_true, y_pred, k=2), expected)
    p = [1, 0.5, 0.25, 0.2, 1]
    psp = propensity_scored_precision_at_k(y_true, y_pred, p, k=2)
    assert_allclose(psp, (1 + 5) / ((4 + 2) + 5))
    assert_allclose(coverage_at_k(y_true, y_pred, k=2), 2 / 4)


def test_k_defaults_to_five():
    q = Problem(3, n_samples=9, n_labels=8)
    explicit = all_metrics(q.dense, q.ranked, 5, q.p)
    default = [metric(q.dense, q.ranked) for metric in METRICS]
    psp = propensity_scored_precision_at_k(q.dense, q.ranked, q.p)
    assert_array_equal([*default, psp], explicit)
    assert (all_metrics(q.dense, q.ranked, 2, q.p) != explicit).all()


def test_samples_without_true_labels_count_as_zero():
    y_true, y_pred = np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 1]])
    for metric in (precision_at_k, recall_at_k, ndcg_at_k):
        assert metric(y_true, y_pred, k=1) == 0.5
        assert metric(y_true, y_pred, k=1, sample_weight=[1, 0]) == 1
    assert propensity_scored_precision_at_k(y_true, y_pred, [1, 1], k=1) == 1
    assert coverage_at_k(y_true, y_pred, k=1) == 1


@pytest.mark.parametrize("empty", [np.zeros((2, 3)), [[], []], sp.csr_array((2, 3))])
def test_no_true_label_at_all_gives_zero(empty):
    y_pred = np.array([[0, 1], [2, 0]])
    assert_array_equal(all_metrics(empty, y_pred, 2, [1, 1, 1]), 0)


def test_columns_after_k_are_ignored():
    y_pred = np.array([[1, 0, 0, 99]])
    assert precision_at_k([1], y_pred, k=2) == 0.5


def test_inputs_are_not_changed():
    indices = np.array([2, 0, 1, 2], dtype=np.int32)  # unsorted
    y_true = sp.csr_matrix((np.array([1, 1, 1, 0]), indices, [0, 2, 4]), shape=(2, 3))
    y_pred = np.array([[2, 1], [2, 0]])
    for array in (indices, y_true.data, y_true.indices, y_true.indptr, y_pred):
        array.flags.writeable = False
    assert precision_at_k(y_true, y_pred, k=2) == 0.25
    assert_array_equal(y_true.indices, [2, 0, 1, 2])
    assert y_true.nnz == 4


def test_canonical_true_labels():
    truth = TrueLabels.from_flat(np.array([3, 2, 0, 2]), np.array([1, 0, 3]))
    assert_array_equal(truth.indices, [3, 0, 2])
    assert_array_equal(truth.counts, [1, 0, 2])
    assert_array_equal(truth.samples, [0, 2, 2])
