"""Error messages of the ranking metrics."""

import numpy as np
import pytest
import scipy.sparse as sp
from metric_problems import METRICS

from skmhe.metrics import (
    precision_at_k,
    propensity_scored_precision_at_k,
    recall_at_k,
)

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
        ([], "y_true is empty; pass at least one sample"),
        (np.zeros((0, 2)), "y_true is empty"),
        ([0, 1, 1], "y_true has 3 samples but y_pred has 2; pass the same"),
        ([0, -2], "y_true contains the label index -2, but .* from 0 to"),
        ([[0], [1, 2**40]], f"y_true contains the label index {2**40}, but "),
        (["a", "b"], "y_true has the label 'a' instead of a label index, .* of y_pred"),
        (
            [["a"], ["b", "c"]],
            "'a' instead of a label index.*labels=classifier.classes",
        ),
        ([[0], [1.5, 2]], "y_true has the label 1.5 instead of a label index"),
        ([[[0]], [[1], 2]], r"y_true has the list \[0\] among the labels of row 0"),
        ([[0], 1], "y_true mixes lists of labels with single labels: row 1 is 1"),
        ([[0, 1], [1, 0]], "y_true is ambiguous: its lists of 2 zeros and ones each"),
        ([[0, 1, 1], [1, 0, 0]], r"Pass an indicator as numpy.asarray\(...\)"),
        (
            np.array([[1, 2], [0, 1]]),
            r"y_true has 2 columns, which must be .* such as \[2\]",
        ),
        (
            np.array([[1, np.nan], [0, 1]]),
            "y_true contains NaN or None: row 0 has nan in column 1",
        ),
        (
            sp.csr_array([[0.5, 1], [0, 1]]),
            r"an indicator of zeros and ones.*such as \[0.5\]",
        ),
        (sp.csr_array(np.eye(2) * 1j), "y_true is a sparse matrix of dtype complex"),
        (sp.coo_array([0, 1]), r"y_true is sparse with one dimension, of shape \(2,\)"),
        (np.zeros((2, 2, 2)), r"y_true is of shape \(2, 2, 2\) and type ndarray; pass"),
        (np.eye(3)[:2], r"labels differ \(y_true: 3, y_pred: 2\)"),
    ],
)
def test_bad_y_true(y_true, text):
    y_pred = np.array([[0.3, 0.7], [0.1, 0.9]])
    with pytest.raises(ValueError, match=text):
        precision_at_k(y_true, y_pred, k=1)


def test_duplicate_entries_are_summed_before_the_check():
    twice = sp.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(1, 2))
    with pytest.raises(
        ValueError, match=r"an indicator of zeros and ones.*such as \[2"
    ):
        precision_at_k(twice, PRED[:1], k=1)


def test_unsorted_csr_with_duplicates():
    twice = sp.csr_array(([1, 1], [1, 1], [0, 2]), shape=(1, 2))
    with pytest.raises(
        ValueError, match=r"an indicator of zeros and ones.*such as \[2"
    ):
        recall_at_k(twice, PRED[:1], k=1)


@pytest.mark.parametrize(
    ("y_pred", "text"),
    [
        (np.array([0, 1]), r"y_pred has shape \(2,\) and dtype int64; pass a dense"),
        (PRED.astype(bool), r"y_pred has shape \(2, 2\) and dtype bool"),
        (PRED.astype(complex), r"y_pred has shape .* and dtype complex"),
        (PRED.astype(bool).astype(object), r"shape .* and dtype bool"),
        (sp.csr_array(PRED), r"dtype int64; .* y_pred.astype\(float\)"),
        ([[0, 1], [1]], "y_pred has rows of different lengths"),
        (np.array([[0, 1], [1, 1]]), "ranks the label index 1 twice in sample 1;"),
        (np.array([[0, 1], [1, 2]]), "y_pred contains .* index 2, but .* 0 to 1 or"),
        (np.array([[0, -2], [1, 0]]), r"index -2, but .* or -1 \(no prediction\)"),
        (np.array([[0.1, np.nan], [1, 0]]), "y_pred contains NaN, which"),
        (sp.csr_array([[0.1, np.nan], [1, 0]]), "y_pred contains NaN, which"),
        (np.zeros((2, 3)), r"labels differ \(y_true: 2, y_pred: 3\)"),
        (np.zeros((3, 2)), "y_true has 2 samples but y_pred has 3"),
    ],
)
def test_bad_y_pred(y_pred, text):
    for metric in METRICS:
        with pytest.raises(ValueError, match=text):
            metric(np.eye(2), y_pred, k=2)


def test_true_index_beyond_the_scores():
    with pytest.raises(ValueError, match="y_true contains the label index 2, but"):
        precision_at_k([0, 2], PRED.astype(float), k=1)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        ([1, 0.5, 1], r"labels differ \(y_true: 2, propensities: 3\)"),
        (
            [1, 0],
            r"propensities contains 0 for label index 1; each must be in \(0, 1\]",
        ),
        ([1, 2.5], r"contains 2.5 for label index 1; .*not their inverses"),
        ([np.nan, 1], "propensities contains nan for label index 0"),
        ([[1, 1]], r"propensities has shape \(1, 2\) and dtype int64; pass one"),
        (["a", "b"], "propensities has shape .* and dtype <U1"),
        ([], r"propensities has shape \(0,\)"),
    ],
)
def test_bad_propensities(p, text):
    with pytest.raises(ValueError, match=text):
        propensity_scored_precision_at_k(np.eye(2), PRED, p, k=1)


def test_propensities_bound_the_label_indices():
    with pytest.raises(ValueError, match="y_pred contains the label index 1, but"):
        propensity_scored_precision_at_k([0, 0], PRED, [1.0], k=1)
    with pytest.raises(ValueError, match="y_true contains the label index 3, but"):
        propensity_scored_precision_at_k([0, 3], PRED, [1, 1], k=1)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([1], r"sample_weight has shape \(1,\) .* each of the 2 samples"),
        (["a", "b"], "sample_weight has shape .* and dtype <U1"),
        ([0, 0], "not zero for every sample"),
        ([-1, 2], "got values from -1.0 to 2.0"),
        ([np.inf, 1], "sample_weight must be finite"),
    ],
)
def test_bad_sample_weight(weights, text):
    for metric in METRICS:
        with pytest.raises(ValueError, match=text):
            metric([0, 1], PRED, k=1, sample_weight=weights)
