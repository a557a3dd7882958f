"""evaluate has the values of all metrics, and of the labels of bins."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from metric_problems import Problem

from skmhe.displays import FrequencyDisplay
from skmhe.metrics import (
    coverage_at_k,
    evaluate,
    f1_score,
    ndcg_at_k,
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
    recall_at_k,
)

Q = Problem(7, n_samples=60, n_labels=10)
Q.dense[:] = Q.rng.random(Q.dense.shape) < 0.25
PROBA = Q.rng.random(Q.dense.shape)
TRAIN = (Q.rng.random((90, 10)) < np.linspace(0, 0.9, 10)).astype(int)
BINS = (20, 50)
MASKS = {
    "head": TRAIN.sum(axis=0) >= 50,
    "torso": (TRAIN.sum(axis=0) >= 20) & (TRAIN.sum(axis=0) < 50),
    "tail": TRAIN.sum(axis=0) < 20,
}


def table(**given):
    return evaluate(Q.dense, PROBA, **{"y_train": TRAIN, "bins": BINS, **given})


def test_all_labels_have_the_values_of_the_metrics():
    found = table(k=(1, 3))
    p = propensities(TRAIN)
    for k in (1, 3):
        expected = {
            "P": precision_at_k(Q.dense, PROBA, k),
            "nDCG": ndcg_at_k(Q.dense, PROBA, k),
            "PSP": propensity_scored_precision_at_k(Q.dense, PROBA, p, k),
            "R": recall_at_k(Q.dense, PROBA, k),
            "coverage": coverage_at_k(Q.dense, PROBA, k),
        }
        for name, value in expected.items():
            assert found[f"{name}@{k}"]["all"] == pytest.approx(value)
    for average in ("micro", "macro", "samples"):
        expected = f1_score(Q.dense, PROBA > 0.5, average=average)
        assert found[f"{average} F1"]["all"] == pytest.approx(expected)
    assert found["labels"]["all"] == Q.dense.any(axis=0).sum()


def test_contributions_of_bins_add_up():
    for measure, row in table().items():
        if measure.split("@")[0] in ("P", "nDCG", "PSP", "labels"):
            assert sum(row[name] for name in MASKS) == pytest.approx(row["all"])


def test_other_measures_are_those_of_the_labels_of_a_bin():
    found = table(k=3)
    best = np.argsort(-PROBA, axis=1)[:, :3]
    for name, mask in MASKS.items():
        assert mask.any()
        truth, chosen = Q.dense[:, mask], (PROBA > 0.5)[:, mask]
        for average in ("micro", "macro", "samples"):
            expected = f1_score(truth, chosen, average=average)
            assert found[f"{average} F1"][name] == pytest.approx(expected)
        recalls = [
            np.isin(np.flatnonzero(row & mask), ranked).mean()
            for row, ranked in zip(Q.dense, best, strict=True)
            if (row & mask).any()
        ]
        assert found["R@3"][name] == pytest.approx(np.mean(recalls))
        hit = [j for row, r in zip(Q.dense, best, strict=True) for j in r if row[j]]
        covered = len(set(hit) & set(np.flatnonzero(mask)))
        expected = covered / truth.any(axis=0).sum()
        assert found["coverage@3"][name] == pytest.approx(expected)


def test_forms_agree():
    expected = table(k=2)
    names = np.array([f"label {i}" for i in range(10)])
    order = np.argsort(-PROBA, axis=1)
    pair = order, np.take_along_axis(PROBA, order, axis=1)
    lists = [names[row > 0].tolist() for row in Q.dense]
    train = [names[row > 0].tolist() for row in TRAIN]
    given = {"bins": BINS, "k": 2}
    for found in (
        evaluate(sp.csr_array(Q.dense), sp.csr_array(PROBA), y_train=TRAIN, **given),
        evaluate(Q.dense, pair, y_train=sp.csr_matrix(TRAIN), **given),
        evaluate(lists, PROBA, y_train=train, labels=names, **given),
        evaluate(lists, (names[order], pair[1]), y_train=train, labels=names, **given),
        evaluate(lists, pd.DataFrame(PROBA, columns=names), y_train=train, **given),
    ):
        assert found.keys() == expected.keys()
        for measure, row in found.items():
            assert row == pytest.approx(expected[measure])


def test_what_there_is_depends_on_the_arguments():
    assert set(table(y_train=None)["P@1"]) == {"all"}
    assert "PSP@1" not in table(y_train=None)
    ranked = np.argsort(-PROBA, axis=1)
    assert "micro F1" not in evaluate(Q.dense, ranked)
    assert "P@5" not in evaluate(Q.dense, ranked[:, :3])
    for sets in (PROBA > 0.5, sp.csr_array(PROBA > 0.5).astype(np.float32)):
        found = evaluate(Q.dense, sets)
        assert set(found) == {"micro F1", "macro F1", "samples F1", "labels"}
        assert found["micro F1"]["all"] == pytest.approx(f1_score(Q.dense, sets))
    assert table(threshold=0.9)["micro F1"]["all"] == pytest.approx(
        f1_score(Q.dense, PROBA > 0.9)
    )


def test_numbers_of_predictions_have_many_forms():
    expected = table(k=(1, 3))
    for k in ([3, 1, 1], {1, 3}, np.array([1, 3]), range(1, 4, 2), iter((1, 3))):
        assert table(k=k) == expected
    assert table(k=np.int64(3)).keys() == table(k=3).keys()


def test_sparse_scores_predict_what_they_store():
    kept = np.where(PROBA > 0.3, PROBA, 0)
    for threshold in (-1.0, 0, 0.3, 0.7):
        found = evaluate(Q.dense, sp.csr_array(kept), threshold=threshold)
        expected = f1_score(Q.dense, kept > max(threshold, 0))
        assert found["micro F1"]["all"] == pytest.approx(expected)


def test_scores_of_a_pair_that_are_nan():
    labels = np.argsort(-PROBA, axis=1)
    scores = np.take_along_axis(PROBA, labels, axis=1)
    scores[3, 2] = np.nan
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        evaluate(Q.dense, (labels, scores))


def test_labels_that_occur_in_training_or_test_samples_only():
    truth, train = [["a"], ["new"]], [["a"], ["b"], ["a"], ["old"]]
    pair = np.array([["a", "b"], ["b", "a"]]), np.array([[0.9, 0.1], [0.8, 0.6]])
    found = evaluate(truth, pair, y_train=train, k=1, bins=(1, 2))
    assert found["R@1"] == {"all": 0.5, "head": 1.0, "torso": 0.0, "tail": 0.0}
    assert found["labels"] == {"all": 2, "head": 1, "torso": 0, "tail": 1}


def test_bins_are_those_of_the_display():
    # One label has 9 training samples, one 10, one 99, and one 100.
    y_train = np.repeat(np.arange(4), [9, 10, 99, 100])
    display = FrequencyDisplay.from_predictions(
        np.arange(4), np.eye(4), y_train=y_train, k=1, bins=(10, 100)
    )
    assert display.bins[:, 0].tolist() == [100, 10, 1]
    found = evaluate(np.arange(4), np.eye(4), y_train=y_train, k=1, bins=(10, 100))
    row = found["labels"]
    assert [row["head"], row["torso"], row["tail"]] == display.n_labels.tolist()
    assert evaluate(np.arange(4), np.eye(4), y_train=y_train, k=1) == found  # default


def test_table_is_text_and_a_frame():
    found = table()
    lines = str(found).splitlines()
    assert lines[0].split() == ["all", "head", "torso", "tail"]
    assert len(lines) == 1 + len(found)
    frame = pd.DataFrame(found)
    assert frame.shape == (4, len(found))
    assert frame.loc["tail", "R@5"] == found["R@5"]["tail"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 0}, "k=0 must be"),
        ({"k": ()}, r"k=\(\) must be a number"),
        ({"k": 2.5}, "k=2.5 must be an integer"),
        ({"k": True}, "k=True must be an integer"),
        ({"k": None}, "k=None must be an integer"),
        ({"k": "5"}, "k='5' must be an integer"),
        ({"threshold": "high"}, "threshold='high' must be a number"),
        ({"threshold": np.nan}, "threshold=nan must be a number"),
        ({"k": (11, 12)}, "are all larger than the number of predictions"),
        ({"bins": (50, 20)}, r"bins=\(50, 20\) must be two increasing integers"),
        ({"bins": (20, 20)}, "must be two increasing integers"),
        ({"bins": (0, 1)}, "must be two increasing integers of at least 1"),
        ({"bins": (1, 2, 3)}, "must be two increasing integers"),
        ({"bins": 3}, "must be two increasing integers"),
        ({"y_train": TRAIN[:2]}, "y_train has 2 samples"),
        ({"y_train": TRAIN[:, :9]}, "numbers of labels differ"),
    ],
)
def test_errors(given, message):
    with pytest.raises(ValueError, match=message):
        table(**given)


def test_weights_are_repetitions():
    times = Q.rng.integers(3, size=60)
    times[Q.dense[:, MASKS["tail"]].any(axis=1)] = 0  # no tail is left
    rows = np.repeat(np.arange(60), times)
    for predicted in (PROBA, PROBA > 0.5):
        for y_train in (TRAIN, None):
            given = {"y_train": y_train, "bins": BINS}
            found = evaluate(Q.dense, predicted, sample_weight=times, **given)
            repeated = evaluate(Q.dense[rows], predicted[rows], **given)
            assert found.keys() == repeated.keys()
            for measure in found.keys() - {"macro F1", "labels"}:
                assert found[measure] == pytest.approx(repeated[measure])
            # Labels are those of all samples, as in f1_score.
            expected = f1_score(
                Q.dense, predicted > 0.5, average="macro", sample_weight=times
            )
            assert found["macro F1"]["all"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        table(sample_weight=-times)


def test_scores_of_a_single_label():
    proba, truth = PROBA[:, :1], sp.csr_array(Q.dense[:, :1])
    for scores in (proba, sp.csr_array(proba), proba.tolist()):
        found = evaluate(truth, scores, k=1)
        assert found["P@1"]["all"] == pytest.approx(precision_at_k(truth, proba, 1))
        expected = f1_score(truth, sp.csr_array(proba > 0.5))
        assert found["micro F1"]["all"] == pytest.approx(expected)


def test_labels_beyond_the_columns_are_no_misses():
    lists = [np.flatnonzero(row).tolist() for row in Q.dense]
    beyond = [[*lists[0], 10], *lists[1:]]  # as if labels began with 1
    message = "contains the label index 10, but label indices must be from 0 to 9"
    for predicted in (PROBA, PROBA > 0.5):
        with pytest.raises(ValueError, match=f"y_true {message}"):
            evaluate(beyond, predicted)
        with pytest.raises(ValueError, match=f"y_train {message}"):
            evaluate(lists, predicted, y_train=beyond)
        found = evaluate(beyond, predicted, labels=range(10))
        assert found["labels"]["all"] == evaluate(lists, predicted)["labels"]["all"] + 1


def test_numbers_of_samples_differ():
    for predicted in (PROBA, PROBA > 0.5):
        with pytest.raises(ValueError, match="y_true has 59 samples but y_pred has 60"):
            evaluate(Q.dense[1:], predicted)
