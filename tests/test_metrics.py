"""Ranking measures against pure-Python oracles, properties and error texts."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from skmhe.metrics import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
    recall_at_k,
)
from skmhe.metrics._inputs import check_y_true
from skmhe.metrics._topk import top_k_dense, top_k_sparse

# --------------------------------------------------------------- oracles
# `truth`: list of sets; `ranked`: list of lists, -1 for no prediction.


def oracle_precision(truth, ranked, k):
    return sum(
        sum(label in t for label in r[:k]) / k
        for t, r in zip(truth, ranked, strict=True)
    ) / len(truth)


def oracle_recall(truth, ranked, k):
    total = 0
    for t, r in zip(truth, ranked, strict=True):
        if t:
            total += sum(label in t for label in r[:k]) / len(t)
    return total / len(truth)


def oracle_ndcg(truth, ranked, k):
    total = 0
    for t, r in zip(truth, ranked, strict=True):
        if t:
            dcg = sum(1 / math.log2(i + 2) for i, v in enumerate(r[:k]) if v in t)
            total += dcg / sum(1 / math.log2(i + 2) for i in range(min(k, len(t))))
    return total / len(truth)


def oracle_psp(truth, ranked, k, p):
    gained = best = 0
    for t, r in zip(truth, ranked, strict=True):
        gained += sum(1 / p[label] for label in r[:k] if label in t) / k
        best += sum(sorted((1 / p[label] for label in t), reverse=True)[:k]) / k
    return gained / best if best else 0


def oracle_coverage(truth, ranked, k):
    present = set().union(*truth)
    found = set().union(
        *(t.intersection(r[:k]) for t, r in zip(truth, ranked, strict=True))
    )
    return len(found) / len(present) if present else 0


def oracle_top_k(row, k):
    """Rank the columns of a dense row of scores; ties: lower column first."""
    return sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]


ORACLES = {
    precision_at_k: oracle_precision,
    recall_at_k: oracle_recall,
    ndcg_at_k: oracle_ndcg,
    coverage_at_k: oracle_coverage,
}
MEASURES = list(ORACLES)


def all_measures(y_true, y_pred, k, p, **kwargs):
    values = [measure(y_true, y_pred, k=k, **kwargs) for measure in MEASURES]
    psp = propensity_scored_precision_at_k(y_true, y_pred, p, k=k, **kwargs)
    return np.array([*values, psp])


def all_oracles(truth, ranked, k, p):
    values = [oracle(truth, ranked, k) for oracle in ORACLES.values()]
    return np.array([*values, oracle_psp(truth, ranked, k, p)])


class Problem:
    """A random problem in every input form."""

    def __init__(self, seed, n_rows=None, n_labels=None, single=False, full=False):
        rng = np.random.default_rng(seed)
        self.n_rows = n_rows or int(rng.integers(1, 15))
        self.n_labels = n_labels or int(rng.integers(3, 12))
        shape = (self.n_rows, self.n_labels)
        self.dense = (rng.random(shape) < rng.random()).astype(np.int64)
        if single:
            self.dense = np.eye(self.n_labels, dtype=np.int64)[
                rng.integers(self.n_labels, size=self.n_rows)
            ]
        elif full:
            self.dense[:, 0] = 1
        # A permutation of distinct positive numbers a row: no ties.
        self.scores = 1.0 + rng.permuted(
            np.tile(np.arange(self.n_labels), (self.n_rows, 1)), axis=1
        )
        self.ranked = np.argsort(-self.scores, axis=1)
        self.truth = [set(np.flatnonzero(row).tolist()) for row in self.dense]
        self.k = int(rng.integers(1, self.n_labels + 1))
        self.p = rng.uniform(0.05, 1, size=self.n_labels)
        self.weights = rng.integers(0, 4, size=self.n_rows) + (rng.random() < 0.5)
        self.weights[0] = 1
        self.rng = rng


seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None, derandomize=True)


# --------------------------------------------------------------- values


@given(seeds)
@quick
def test_measures_equal_oracles(seed):
    q = Problem(seed)
    expected = all_oracles(q.truth, q.ranked.tolist(), q.k, q.p)
    assert_allclose(all_measures(q.dense, q.ranked, q.k, q.p), expected)


@given(seeds)
@quick
def test_padded_rankings_equal_oracles(seed):
    q = Problem(seed)
    ranked = np.where(q.rng.random(q.ranked.shape) < 0.4, -1, q.ranked)
    expected = all_oracles(q.truth, ranked.tolist(), q.k, q.p)
    assert_allclose(all_measures(q.dense, ranked, q.k, q.p), expected)


@given(seeds)
@quick
def test_prediction_forms_agree(seed):
    q = Problem(seed)
    expected = all_measures(q.dense, q.ranked, q.k, q.p)
    dense32 = q.scores.astype(np.float32)
    csr = sp.csr_array(q.scores)
    forms = [q.scores, dense32, csr, sp.csr_matrix(q.scores), csr.tocsc(), csr.tocoo()]
    forms += [q.ranked[:, : q.k], q.ranked.astype(np.int32), q.ranked.astype(np.uint8)]
    forms += [q.ranked.tolist(), pd.DataFrame(q.scores), np.asfortranarray(q.scores)]
    for form in forms:
        assert_array_equal(all_measures(q.dense, form, q.k, q.p), expected)


@given(seeds)
@quick
def test_true_label_forms_agree(seed):
    q = Problem(seed)
    expected = all_measures(q.dense, q.scores, q.k, q.p)
    csr = sp.csr_array(q.dense)
    forms = [q.dense.astype(bool), q.dense.astype(np.float32), pd.DataFrame(q.dense)]
    forms += [csr, sp.csr_matrix(q.dense), csr.tocsc(), csr.tocoo(), csr.astype(bool)]
    if not looks_like_indicator(q.truth):
        forms += [[list(t) for t in q.truth], [np.array(list(t)) for t in q.truth]]
        forms += [q.truth, pd.Series([list(t) for t in q.truth])]
    for form in forms:
        assert_array_equal(all_measures(form, q.scores, q.k, q.p), expected)


def looks_like_indicator(truth):
    """Tell whether these label lists are among those refused as ambiguous."""
    return all(t == {0, 1} for t in truth)


@given(seeds)
@quick
def test_single_label_forms_agree(seed):
    q = Problem(seed, single=True)
    labels = q.dense.argmax(axis=1)
    expected = all_measures(q.dense, q.ranked, q.k, q.p)
    for form in (labels, labels.tolist(), labels.astype(np.uint8), pd.Series(labels)):
        assert_array_equal(all_measures(form, q.ranked, q.k, q.p), expected)
    assert_array_equal(
        all_measures(labels[:, None].tolist(), q.ranked, q.k, q.p), expected
    )


@given(seeds)
@quick
def test_order_of_rows_does_not_matter(seed):
    q = Problem(seed)
    order = q.rng.permutation(q.n_rows)
    assert_allclose(
        all_measures(q.dense[order], q.ranked[order], q.k, q.p),
        all_measures(q.dense, q.ranked, q.k, q.p),
    )


@given(seeds)
@quick
def test_renaming_labels_does_not_matter(seed):
    q = Problem(seed)
    order = q.rng.permutation(q.n_labels)
    assert_allclose(
        all_measures(q.dense[:, order], q.scores[:, order], q.k, q.p[order]),
        all_measures(q.dense, q.scores, q.k, q.p),
    )


@given(seeds)
@quick
def test_values_are_in_the_unit_interval(seed):
    q = Problem(seed)
    values = all_measures(q.dense, q.ranked, q.k, q.p)
    assert ((values >= 0) & (values <= 1)).all()
    assert isinstance(precision_at_k(q.dense, q.ranked, q.k), float)


@given(seeds)
@quick
def test_perfect_ranking(seed):
    q = Problem(seed, full=True)
    perfect = np.argsort(-(q.dense / q.p), axis=1, kind="stable")
    values = all_measures(q.dense, perfect, q.k, q.p)
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
    repeated = np.repeat(np.arange(q.n_rows), q.weights)
    assert_allclose(
        all_measures(q.dense, q.ranked, q.k, q.p, sample_weight=q.weights),
        all_measures(q.dense[repeated], q.ranked[repeated], q.k, q.p),
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
    q = Problem(3, n_rows=9, n_labels=8)
    explicit = all_measures(q.dense, q.ranked, 5, q.p)
    default = [measure(q.dense, q.ranked) for measure in MEASURES]
    psp = propensity_scored_precision_at_k(q.dense, q.ranked, q.p)
    assert_array_equal([*default, psp], explicit)
    assert (all_measures(q.dense, q.ranked, 2, q.p) != explicit).all()


def test_rows_without_true_labels_count_as_zero():
    y_true, y_pred = np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 1]])
    for measure in (precision_at_k, recall_at_k, ndcg_at_k):
        assert measure(y_true, y_pred, k=1) == 0.5
        assert measure(y_true, y_pred, k=1, sample_weight=[1, 0]) == 1
    assert propensity_scored_precision_at_k(y_true, y_pred, [1, 1], k=1) == 1
    assert coverage_at_k(y_true, y_pred, k=1) == 1


@pytest.mark.parametrize("empty", [np.zeros((2, 3)), [[], []], sp.csr_array((2, 3))])
def test_no_true_label_at_all_gives_zero(empty):
    y_pred = np.array([[0, 1], [2, 0]])
    assert_array_equal(all_measures(empty, y_pred, 2, [1, 1, 1]), 0)


def test_columns_after_k_are_not_looked_at():
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


# --------------------------------------------------------------- top k


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
    assert_array_equal(top_k_sparse(matrix, k), expected)


def test_ties_rank_alike_in_dense_and_sparse_scores():
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
    ranked = top_k_sparse(scores, 3)
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


# --------------------------------------------------------------- propensities


def test_propensities_by_formula():
    y = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]])
    for a, b in [(0.55, 1.5), (0.6, 2.6), (0, 1.5)]:
        c = (math.log(5) - 1) * (b + 1) ** a
        expected = [1 / (1 + c * (n + b) ** -a) for n in (4, 2, 0)]
        assert_allclose(propensities(y, a=a, b=b), expected)
    assert_array_equal(propensities(y), propensities(y, a=0.55, b=1.5))


def test_propensities_of_every_form():
    q = Problem(5, n_rows=12, n_labels=6)
    expected = propensities(q.dense)
    assert expected.shape == (6,)
    assert ((expected > 0) & (expected <= 1)).all()
    assert_array_equal(propensities(sp.csr_matrix(q.dense)), expected)
    lists = [list(t) for t in q.truth]
    assert_array_equal(propensities(lists, n_labels=6), expected)
    assert_array_equal(propensities(q.dense, n_labels=6), expected)


def test_propensities_number_of_labels():
    assert propensities([0, 2, 0, 2]).shape == (3,)
    p = propensities([0, 2, 0, 2], n_labels=5)
    assert p.shape == (5,)
    assert p[1] == p[4] < p[0] == p[2]
    assert propensities([[], [], []]).shape == (0,)


def test_rarer_labels_have_smaller_propensities():
    p = propensities(np.repeat([0, 1, 2], [1, 10, 100]))
    assert (np.diff(p) > 0).all()


# --------------------------------------------------------------- errors

PRED = np.array([[0, 1], [1, 0]])


@pytest.mark.parametrize("k", [0, -1, 1.0, "5", True, None])
def test_bad_k(k):
    with pytest.raises(ValueError, match=r"k=.* must be an integer of at least 1"):
        precision_at_k([0, 1], PRED, k=k)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "text"),
    [
        ([0, 1], PRED, "k=3 is larger than the number of columns of y_pred, 2; pass"),
        (np.eye(2), np.array([[0, 1, -1]] * 2), "the number of labels, 2; pass k <= 2"),
        ([0, 1], PRED.astype(float), "k=3 is larger than the number of"),
        ([0, 1], sp.csr_array(np.eye(2)), "k=3 is larger than the number of"),
    ],
)
def test_k_too_large(y_true, y_pred, text):
    with pytest.raises(ValueError, match=text):
        precision_at_k(y_true, y_pred, k=3)


@pytest.mark.parametrize(
    ("y_true", "text"),
    [
        ([], "y_true is empty; pass at least one row"),
        (np.zeros((0, 2)), "y_true is empty"),
        ([0, 1, 1], "y_true has 3 rows but y_pred has 2; both need one row a sample"),
        ([0, -2], "y_true holds label index -2; allowed are 0 to"),
        ([[0], [1, 2**40]], f"y_true holds label index {2**40}; allowed are 0 to"),
        ([0.0, 1.0], "y_true holds labels of dtype float64, not integer label indices"),
        (["a", "b"], "y_true holds labels of dtype <U1.*LabelEncoder"),
        ([["a"], ["b", "c"]], "y_true holds labels of dtype <U1.*LabelEncoder"),
        ([[0], [1.5, 2]], "y_true holds labels of dtype float64"),
        ([[[0]], [[1], 2]], "y_true must be a 0/1 indicator"),
        ([[0], 1], "y_true mixes label lists with single labels: row 1 is not a list"),
        ([[0], [1, 2, 1]], "y_true holds the same label twice in row 1"),
        ([[0, 1], [1, 0]], "y_true is a nested list of 2 zeros and ones a row"),
        ([[0, 1, 1], [1, 0, 0]], r"For an indicator pass numpy.asarray\(...\)"),
        (np.array([[1, 2], [0, 1]]), "y_true is read as an indicator but holds 2;"),
        (np.array([[1, np.nan], [0, 1]]), "read as an indicator but holds nan"),
        (sp.csr_array([[0.5, 1], [0, 1]]), "read as an indicator but holds 0.5"),
        (sp.csr_array(np.eye(2) * 1j), "y_true is sparse with shape .* and dtype comp"),
        (sp.coo_array([0, 1]), r"y_true is sparse with shape \(2,\)"),
        (np.zeros((2, 2, 2)), r"y_true is an array of shape \(2, 2, 2\) and dtype"),
        (np.eye(3)[:2], r"labels differ \(y_pred: 2, other_arguments: 3\)"),
    ],
)
def test_bad_y_true(y_true, text):
    y_pred = np.array([[0.3, 0.7], [0.1, 0.9]])
    with pytest.raises(ValueError, match=text):
        precision_at_k(y_true, y_pred, k=1)


def test_duplicate_entries_are_summed_before_the_check():
    twice = sp.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(1, 2))
    with pytest.raises(ValueError, match="read as an indicator but holds 2"):
        precision_at_k(twice, PRED[:1], k=1)


def test_unsorted_csr_with_duplicates():
    indices = [3, 1, 0, 3, 2, 2]
    scores = sp.csr_array(([1.0, 2, 2, 1, 1, 0.5], indices, [0, 4, 6]), shape=(2, 4))
    assert_array_equal(top_k_sparse(scores, 3), [[0, 1, 3], [2, -1, -1]])
    twice = sp.csr_array(([1, 1], [1, 1], [0, 2]), shape=(1, 2))
    with pytest.raises(ValueError, match="read as an indicator but holds 2"):
        recall_at_k(twice, PRED[:1], k=1)


@pytest.mark.parametrize(
    ("y_pred", "text"),
    [
        (np.array([0, 1]), r"y_pred has shape \(2,\) and dtype int64; pass a dense"),
        (PRED.astype(bool), r"y_pred has shape \(2, 2\) and dtype bool"),
        (PRED.astype(object), r"y_pred has shape .* and dtype object"),
        (sp.csr_array(PRED), r"dtype int64; .*sparse \(.astype\(float\)\)"),
        ([[0, 1], [1]], "y_pred has rows of different lengths"),
        (np.array([[0, 1], [1, 1]]), "ranks label index 1 twice in row 1; a label"),
        (np.array([[0, 1], [1, 2]]), r"y_pred holds label index 2; allowed are 0 to 1"),
        (np.array([[0, -2], [1, 0]]), r"index -2; .* or -1 \(no prediction\)"),
        (np.array([[0.1, np.nan], [1, 0]]), "y_pred holds NaN scores"),
        (sp.csr_array([[0.1, np.nan], [1, 0]]), "y_pred holds NaN scores"),
        (np.zeros((2, 3)), r"labels differ \(y_pred: 3, other_arguments: 2\)"),
        (np.zeros((3, 2)), "y_true has 2 rows but y_pred has 3"),
    ],
)
def test_bad_y_pred(y_pred, text):
    for measure in MEASURES:
        with pytest.raises(ValueError, match=text):
            measure(np.eye(2), y_pred, k=2)


def test_true_index_beyond_the_scores():
    with pytest.raises(ValueError, match="y_true holds label index 2; allowed are 0"):
        precision_at_k([0, 2], PRED.astype(float), k=1)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        ([1, 0.5, 1], r"labels differ \(y_true: 2, propensities: 3\)"),
        (
            [1, 0],
            r"propensities holds 0 for label index 1; each must be in \(0, 1\]",
        ),
        ([1, 2.5], r"holds 2.5 for label index 1; .*not their inverses"),
        ([np.nan, 1], "propensities holds nan for label index 0"),
        ([[1, 1]], r"propensities has shape \(1, 2\) and dtype int64; pass one"),
        (["a", "b"], "propensities has shape .* and dtype <U1"),
        ([], r"propensities has shape \(0,\)"),
    ],
)
def test_bad_propensities(p, text):
    with pytest.raises(ValueError, match=text):
        propensity_scored_precision_at_k(np.eye(2), PRED, p, k=1)


def test_propensities_bound_the_label_indices():
    with pytest.raises(ValueError, match="y_pred holds label index 1; allowed are 0"):
        propensity_scored_precision_at_k([0, 0], PRED, [1.0], k=1)
    with pytest.raises(ValueError, match="y_true holds label index 3; allowed are 0"):
        propensity_scored_precision_at_k([0, 3], PRED, [1, 1], k=1)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([1], r"sample_weight has shape \(1,\) .* one number for each of the 2 rows"),
        (["a", "b"], "sample_weight has shape .* and dtype <U1"),
        ([0, 0], "not zero for every row"),
        ([-1, 2], "got values from -1.0 to 2.0"),
        ([np.inf, 1], "sample_weight must be finite"),
    ],
)
def test_bad_sample_weight(weights, text):
    for measure in MEASURES:
        with pytest.raises(ValueError, match=text):
            measure([0, 1], PRED, k=1, sample_weight=weights)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"a": -1}, "a=-1 must be a finite number at least 0"),
        ({"a": np.nan}, "a=nan must be a finite number"),
        ({"b": 0}, "b=0 must be a finite number above 0"),
        ({"b": "x"}, "b='x' must be a finite number above 0"),
        ({"n_labels": 2}, "n_labels=2 contradicts y_train; it must be an integer >= 3"),
        ({"n_labels": 3.5}, "n_labels=3.5 contradicts y_train"),
        ({"n_labels": 0}, "n_labels=0 must be a finite number above 0"),
    ],
)
def test_bad_propensity_parameters(kwargs, text):
    with pytest.raises(ValueError, match=text):
        propensities([0, 1, 2], **kwargs)


def test_bad_training_labels():
    with pytest.raises(ValueError, match="y_train has 2 rows; the propensity model"):
        propensities([0, 1])
    with pytest.raises(
        ValueError, match="n_labels=4 contradicts y_train; it must be 3"
    ):
        propensities(np.eye(3), n_labels=4)
    with pytest.raises(ValueError, match="y_train holds label index -1"):
        propensities([0, 1, -1])


def test_canonical_true_labels():
    truth = check_y_true([[3], [], [0, 2]])
    assert_array_equal(truth.counts, [1, 0, 2])
    assert_array_equal(truth.rows, [0, 2, 2])
    assert truth.n_labels is None
    assert check_y_true(np.eye(3)).n_labels == 3
