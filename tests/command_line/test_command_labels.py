"""Several labels that were read as one, labels that are not known, and thresholds."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line_files import TAGGED, json_lines, read_rows, table

import skmhe.io
from skmhe.command_line.data import Data
from skmhe.command_line.models import Model
from skmhe.datasets import load_xmc
from skmhe.metrics import f1_score
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)

pytestmark = pytest.mark.usefixtures("models")
LINEAR = ["--quiet", "--set", "model=linear", "--set", "random_state=0"]
TUNED = ["train", "train.txt", "new.safetensors", *LINEAR, "--tune-threshold"]
TAGS = [row for row in TAGGED if row[1]]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["cat;old", "dog;old", "cat"], (";", "cat;old")),
        (["x", "y, x", "y"], (",", "y, x")),
        (["a|b", "b|a", "b|c", "c"], ("|", "a|b")),
        (["a", "a ", "b"], None),
        (["a;b", "c"], None),
        (["Paris, France", "Lyon, France"], None),
        (["a/b", "a", "b"], None),
        ([3, 4], None),
    ],
)
def test_what_separates_labels_that_were_read_as_one(labels, found):
    data = Data("data.csv", "csv", [""], [frozenset([label]) for label in labels])
    assert data.likely_separator() == found


def test_lists_of_labels_are_separated_as_text_is(run):
    labels = [["cat;old", "new"], "cat", ["new", "old"]]
    lines = [json.dumps({"text": f"one {i}", "label": n}) for i, n in enumerate(labels)]
    Path("data.jsonl").write_text("\n".join(lines))
    args = ["train", "data.jsonl", "new.safetensors", "--json", *LINEAR]
    assert "give --separator" in (result := run(*args)).stderr
    assert json.loads(result.stdout)["n_labels"] == 4
    result = run(*args, "--separator", ";")
    assert "give --separator" not in result.stderr
    assert json.loads(result.stdout)["n_labels"] == 3


def test_a_separator_that_was_forgotten(run):
    Path("data.csv").write_text(table(TAGS, ["text", "tags"]))
    args = ["train", "data.csv", "new.safetensors", "--label", "tags", *LINEAR]
    warning = (
        "Warning: 'cat;old' in data.csv is read as one label: if it is several, give "
        '--separator ";".\n'
    )
    assert run(*args).stderr == warning
    assert run(*args, "--separator", ";").stderr == ""
    result = run("evaluate", "new.safetensors", "data.csv", "--label", "tags", "-q")
    assert result.stderr == (
        f"{warning}Warning: the model does not know 3 labels of data.csv, such as "
        "'cat;old', which it never predicts.\n"
    )
    assert result.stdout.splitlines()[-1].split() == ["unknown", "3"]


def test_one_label_that_is_not_known(run):
    Path("data.csv").write_text("text,label\nno wifi,it\nhello,sales\nhi,sales\n")
    result = run("evaluate", "tickets.safetensors", "data.csv", "-q", "--json")
    assert "does not know 1 label of data.csv, such as 'sales', which" in result.stderr
    assert json.loads(result.stdout)["unknown"] == {"all": 1}
    Path("data.csv").write_text("text,label\nhello,sales\n")
    told = run("evaluate", "tickets.safetensors", "data.csv", "-q", code=1).stderr
    assert told.startswith(
        "Error: tickets.safetensors knows none of the labels of data.csv, such as "
        "'sales', but others, such as 'billing': give data"
    )


def test_samples_without_labels_can_be_evaluated(run):
    Path("data.jsonl").write_text(json_lines([{"text": "cat", "label": []}]))
    result = run("evaluate", "tagged.safetensors", "data.jsonl", "--json")
    assert "data.jsonl (jsonl): 1 sample, texts, 0 labels\n" in result.stderr
    assert json.loads(result.stdout)["labels"] == {"all": 0}


def test_summary_of_training(run):
    args = ["train", "tagged.csv", "new.safetensors", "--label", "tags", *LINEAR]
    found = json.loads(run(*args, "--separator", ";", "--json").stdout)
    assert (found.pop("n_samples"), found.pop("example_label")) == (6, "cat")
    assert found == json.loads(run("info", "new.safetensors", "--json").stdout)
    assert found["n_labels"] == 3
    assert "threshold" not in found


@pytest.mark.parametrize("score", ["micro", "macro", "samples"])
def test_a_tuned_threshold(run, score):
    found = json.loads(run(*TUNED, f"f1_{score}", "--json").stdout)
    clf = skmhe.io.load("new.safetensors")
    assert isinstance(clf, MultiLabelTunedThresholdClassifierCV)
    assert clf.estimator.verbose == clf.estimator_.verbose == 0
    X, Y = load_xmc("train.txt")
    own = MultiLabelTunedThresholdClassifierCV(
        clf.estimator, scoring=f"f1_{score}", cv=0.2, random_state=0
    ).fit(X, Y)
    threshold = {"value": own.best_threshold_, "score": own.best_score_}
    assert found["threshold"] == threshold | {"scoring": f"f1_{score}"}
    name = "MultiLabelTunedThresholdClassifierCV(MHEMultiLabelClassifier)"
    assert found["estimator"] == name
    assert found["parameters"]["model"] == "linear"
    table = json.loads(run("evaluate", "new.safetensors", "test.txt", "--json").stdout)
    X, Y = load_xmc("test.txt")
    expected = f1_score(Y, own.predict(X), average=score)
    assert table[f"{score} F1"]["all"] == pytest.approx(expected)


def test_predictions_are_above_the_threshold_of_the_model(run):
    run(*TUNED, "f1_micro")
    clf = skmhe.io.load("new.safetensors")
    X, _ = load_xmc("test.txt")

    def predicted(*options):
        rows = read_rows(run("predict", "new.safetensors", "test.txt", *options).stdout)
        return [sorted(map(int, labels)) for labels, _ in rows]

    assert predicted() == [row.indices.tolist() for row in clf.predict(X)]
    assert max(map(len, predicted("-k", 1))) == 1
    assert set(map(len, predicted("--threshold", 0, "-k", 7))) == {7}
    assert predicted("--threshold", 0.5) != predicted()
    assert "\nthreshold:\n  value: 0." in run("info", "new.safetensors").stdout


def test_a_threshold_for_each_label(run):
    X, Y = load_xmc("train.txt")
    clf = skmhe.io.load("model.safetensors")
    thresholds = np.linspace(0, 0.7, 8)
    fixed = MultiLabelFixedThresholdClassifier(clf, threshold=thresholds).fit(X, Y)
    skmhe.io.save(fixed, "new.safetensors")
    rows = read_rows(run("predict", "new.safetensors", "train.txt").stdout)
    expected = [row.indices.tolist() for row in fixed.predict(X)]
    assert [sorted(map(int, labels)) for labels, _ in rows] == expected
    found = json.loads(run("info", "new.safetensors", "--json").stdout)
    assert found["threshold"] == {"lowest": 0, "highest": 0.7}


def test_a_threshold_is_for_any_number_of_labels(run):
    args = ["train", "tickets.csv", "new.safetensors", "--label", "team", *LINEAR]
    told = run(*args, "--tune-threshold", "f1_micro", code=2).stderr
    assert "sample of tickets.csv has one, the best, whatever its probability" in told
    run(*args, "--tune-threshold", "f1_micro", "--any-number")


def test_thresholds_are_above_those_of_the_model_and_from_a_given_one_on(run):
    X, Y = load_xmc("train.txt")
    clf = skmhe.io.load("model.safetensors")
    fixed = MultiLabelFixedThresholdClassifier(clf).fit(X, Y)
    for threshold in 0.25, np.full(8, 0.25):
        model = Model("model", fixed.set_params(threshold=threshold))
        assert not model.chooser(None)(3, 0.25)
        assert model.chooser(None)(3, 0.26)
        assert model.chooser(0.25)(3, 0.25)
        assert not model.chooser(0.25)(3, 0.24)
        assert model.chooser(0)(3, 0.0)
    assert Model("model", clf).chooser(None)(3, 0.0)
