"""The top-k ranking of dense and sparse scores, with ties and few stored scores."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from metric_problems import oracle_top_k, quick, seeds
from numpy.testing import assert_array_equal

from skmhe.metrics import precision_at_k, recall_at_k
from skmhe.metrics._topk import canonical_csr, top_k_dense, top_k_sparse


@given(seeds, st.sampled_from([np.float32, np.float64]))
@quick
def test_dense_top_k_equals_oracle_with_ties(seed, dtype):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 9, size=2)
    values = np.array([-np.inf, -1, -0.0, 0, 0.5, np.inf], dtype=dtype)
    scores = rng.choice(values, size=shape)
    k = int(rng.integers(1, shape[1] + 1))
    expected = [oracle_top_k(row, k) for row in scores.tolist()]
    assert_array_equal(top_k_dense(scores, k), expected)


@given(seeds)
@quick
def test_sparse_top_k_ranks_stored_entries(seed):
    rng = np.random.default_rng(seed)
    n_rows, n_columns = rng.integers(1, 20, size=2)
    stored = rng.random((n_rows, n_columns)) < rng.random((n_rows, 1))
    scores = rng.choice([-np.inf, -1.0, 0.0, 2.0], size=stored.shape)
    rows, columns = np.nonzero(stored)
    shuffled = rng.permutation(len(rows))  # COO in any order
    entries = (scores[rows, columns][shuffled], (rows[shuffled], columns[shuffled]))
    matrix = sp.coo_array(entries, shape=stored.shape)
    k = int(rng.integers(1, n_columns + 1))
    expected = np.full((n_rows, k), -1)
    for i in range(n_rows):
        labels = np.flatnonzero(stored[i])
        order = [int(labels[j]) for j in oracle_top_k(scores[i, labels].tolist(), k)]
        expected[i, : len(order)] = order
    assert_array_equal(top_k_sparse(canonical_csr(matrix), k), expected)


def test_ties_are_ranked_the_same_in_dense_and_sparse_scores():
    scores = np.array([[0.5, 0.7, 0.7, 0.7], [0.2, 0.2, 0.2, 0.2]])
    for form in (scores, sp.csr_array(scores)):
        assert precision_at_k([[1, 2], [0, 1, 3]], form, k=2) == 1
        assert precision_at_k([[0, 3], [2, 3]], form, k=2) == 0


def test_few_stored_scores_end_in_no_prediction():
    scores = sp.csr_array(np.array([[0.0, -3.0, 0.0], [0.0, 0.0, 0.0]]))
    assert precision_at_k([[1], [0]], scores, k=2) == 0.25
    assert recall_at_k([[0, 2], [0]], scores, k=2) == 0


def test_one_long_sparse_row_among_short_ones():
    rng = np.random.default_rng(0)
    scores = sp.lil_array((200, 3000))
    scores[:, 7] = 1.0
    scores[50] = rng.random(3000)
    best = np.argsort(-scores[[50]].toarray()[0])[:3]
    ranked = top_k_sparse(canonical_csr(scores), 3)
    assert_array_equal(ranked[50], best)
    assert_array_equal(ranked[49], [7, -1, -1])


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_small_working_memory_gives_the_same(kind):
    rng = np.random.default_rng(0)
    scores = rng.integers(1, 50, size=(300, 60)) / 7
    top_k = top_k_dense if kind is np.asarray else top_k_sparse
    expected = top_k(kind(scores), 5)
    with sklearn.config_context(working_memory=0.01):
        assert_array_equal(top_k(kind(scores), 5), expected)
    assert_array_equal(expected, [oracle_top_k(row, 5) for row in scores.tolist()])


def test_unsorted_csr_scores_with_duplicates():
    indices = [3, 1, 0, 3, 2, 2]
    scores = sp.csr_array(([1.0, 2, 2, 1, 1, 0.5], indices, [0, 4, 6]), shape=(2, 4))
    ranked = top_k_sparse(canonical_csr(scores), 3)
    assert_array_equal(ranked, [[0, 1, 3], [2, -1, -1]])
