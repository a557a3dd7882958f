"""What the commands do with data of each format, and what their options change."""

import bz2
import json
import lzma
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from command_line_files import TAGGED, TICKETS, json_lines, read_objects, read_rows
from scipy.sparse import csr_matrix
from sklearn.datasets import dump_svmlight_file

import skmhe.io
from skmhe import MHEClassifier, MHEMultiLabelClassifier, predict_topk
from skmhe.datasets import dump_xmc, load_xmc
from skmhe.metrics import evaluate

LINEAR = ["--set", "model=linear", "--set", "random_state=0"]
NEW_TEST = ["new.safetensors", "test.txt"]
TEXTS = [text for text, _ in TICKETS]

pytestmark = pytest.mark.usefixtures("models")


def trained(run, data, *options):
    """Train a linear model; return it, and what was told."""
    result = run("train", data, "new.safetensors", *LINEAR, *options)
    assert result.stdout == ""
    return skmhe.io.load("new.safetensors"), result.stderr


# --------------------------------------------------------------------------- train


def test_a_model_is_that_of_the_estimator(run, caplog):
    caplog.set_level("INFO", "skmhe")
    clf, told = trained(run, "train.txt")
    X, Y = load_xmc("train.txt")
    own = MHEMultiLabelClassifier(model="linear", random_state=0).fit(X, Y)
    assert clf.get_params() == own.get_params()  # also verbose, although it told
    X_test, _ = load_xmc("test.txt")
    np.testing.assert_array_equal(clf.predict_proba(X_test), own.predict_proba(X_test))
    assert "train.txt (xmc): 40 samples" in told
    assert "any number per sample" in told
    assert "trained in" in told
    assert "linear classifiers: " in caplog.text  # its progress
    size = Path("new.safetensors").stat().st_size
    assert f"wrote new.safetensors, {size:,} bytes\n" in told


def test_quiet(run, caplog):
    caplog.set_level("INFO", "skmhe")
    _, told = trained(run, "train.txt", "--quiet")
    assert (told, caplog.text) == ("", "")


def test_texts_have_a_vectorizer(run):
    clf, told = trained(run, "tickets.csv", "--label", "team")
    assert [*clf.named_steps] == ["vectorizer", "classifier"]
    assert isinstance(clf[-1], MHEClassifier)
    assert clf.predict(["the wifi"]).tolist() == ["it"]
    assert ": 6 samples, texts, 2 labels such as 'billing', one per sample\n" in told


def test_several_labels_in_a_cell(run):
    clf, _ = trained(run, "tagged.csv", "--label", "tags", "--separator", ";")
    assert isinstance(clf[-1], MHEMultiLabelClassifier)
    assert clf.classes_.tolist() == ["cat", "dog", "old"]
    Path("full.csv").write_text("text,label\nmiau,cat;old\nwuff,dog\n")
    clf, _ = trained(run, "full.csv")
    assert clf.classes_.tolist() == ["cat;old", "dog"]


def test_one_label_or_any_number(run):
    Path("few.csv").write_text("text,label\nmiau,cat\nwuff,dog\npurr,cat\n")
    for options, kind in (
        ([], MHEClassifier),
        (["--one-label"], MHEClassifier),
        (["--any-number"], MHEMultiLabelClassifier),
    ):
        clf, _ = trained(run, "few.csv", *options)
        assert type(clf[-1]) is kind
    # Also of labels that are columns.
    eye = csr_matrix(np.eye(3, dtype=np.float32))
    dump_xmc(eye, eye, "eye.txt")
    clf, _ = trained(run, "eye.txt")
    assert type(clf) is MHEClassifier
    assert clf.predict(eye).tolist() == [0, 1, 2]
    clf, _ = trained(run, "eye.txt", "--any-number")
    assert type(clf) is MHEMultiLabelClassifier


def test_lists_of_zero_and_one_are_labels(run):
    lines = [{"text": t, "label": [i % 2, 1 - i % 2]} for i, t in enumerate(TEXTS)]
    Path("data.jsonl").write_text(json_lines(lines))
    clf, _ = trained(run, "data.jsonl")
    assert clf.predict(["no wifi"]) == [(0, 1)]


def test_fields_of_json_lines(run):
    titles, _ = trained(run, "posts.jsonl.gz", "--text", "title")
    both, _ = trained(run, "posts.jsonl.gz", "--text", "title", "--text", "body")
    assert "about" not in titles[0].vocabulary_
    assert "about" in both[0].vocabulary_
    numbers = json_lines([{"text": t, "id": i % 3} for i, t in enumerate(TEXTS)])
    Path("data.json").write_text(numbers)
    clf, _ = trained(run, "data.json", "--label", "id")
    assert clf.classes_.tolist() == [0, 1, 2]
    lines = [{"text": text, "label": tags} for text, tags in TAGGED]
    Path("split.jsonl").write_text(json_lines(lines))
    clf, _ = trained(run, "split.jsonl", "--separator", ";")
    assert clf.classes_.tolist() == ["cat", "dog", "old"]


def test_svmlight(run):
    rng = np.random.RandomState(0)
    X, y = rng.rand(20, 4), np.arange(20) % 2 * 2 - 1
    dump_svmlight_file(X, y, "train.svm", zero_based=False)
    clf, told = trained(run, "train.svm")
    assert clf.classes_.tolist() == [-1, 1]
    assert clf.n_features_in_ == 4
    assert "train.svm (svmlight): 20 samples, 4 features, 2 labels such" in told
    Y = (rng.rand(20, 3) < 0.5).astype(int)
    dump_svmlight_file(X, Y, "several.libsvm", multilabel=True)
    clf, _ = trained(run, "several.libsvm", "--zero-based")
    assert clf.classes_.tolist() == [0, 1, 2]
    assert isinstance(clf, MHEMultiLabelClassifier)


def test_format_is_told_by_an_option(run):
    Path("data.txt").write_text("-1 1:0.5\n1 2:1\n" * 5)
    clf, _ = trained(run, "data.txt", "--format", "svmlight")
    assert clf.classes_.tolist() == [-1, 1]


def test_ids_from_one(run):
    Path("data.txt").write_text("1 1:0.5\n2 2:1\n" * 5)
    clf, _ = trained(run, "data.txt", "--one-based")
    assert (clf.n_features_in_, clf.classes_.tolist()) == (2, [0, 1])
    clf, _ = trained(run, "data.txt", "--zero-based")
    assert (clf.n_features_in_, clf.classes_.tolist()) == (3, [1, 2])


def test_labels_in_a_file_of_their_own(run):
    Path("trn_X_Xf.txt").write_text("4 2\n0:1\n1:1\n0:2\n1:2\n")
    Path("trn_X_Y.txt").write_text("4 3\n0:1\n1:1\n0:1\n1:1 2:1\n")
    clf, _ = trained(run, "trn_X_Xf.txt", "--label-file", "trn_X_Y.txt")
    assert clf.classes_.tolist() == [0, 1, 2]
    result = run("predict", "new.safetensors", "trn_X_Xf.txt", "-k", 1)
    assert [labels for labels, _ in read_rows(result.stdout)][:2] == [["0"], ["1"]]
    args = ["evaluate", "new.safetensors", "trn_X_Xf.txt", "--json"]
    args += ["--label-file", "trn_X_Y.txt", "--train", "trn_X_Y.txt"]
    table = json.loads(run(*args).stdout)
    assert table["labels"] == {"all": 3, "head": 0, "torso": 0, "tail": 3}


def test_delimiters(run):
    for name, delimiter, options in (
        ("data.csv", ";", ["--delimiter", ";"]),
        ("data.csv", "\t", ["--delimiter", r"\t"]),
        ("data.tsv", "\t", []),
        ("data.tsv.bz2", "\t", []),
    ):
        lines = ["label", "text"], *([label, text] for text, label in TICKETS)
        content = "".join(f"{delimiter.join(line)}\n" for line in lines).encode()
        Path(name).write_bytes(bz2.compress(content) if "bz2" in name else content)
        clf, _ = trained(run, name, *options)
        assert clf.classes_.tolist() == ["billing", "it"]


def test_settings(run):
    clf, _ = trained(
        run,
        "tickets.csv",
        "--label=team",
        *("--set", "linear__C=2"),
        *("--set", "dropout=[0.1, 0.2]"),
        *("--set", 'class_weight="balanced"'),
        *("--set", "vectorizer__ngram_range=[1, 2]"),
        *("--set", "vectorizer__token_pattern=[a-z]+"),
    )
    params = clf[-1].get_params()
    assert params["linear__C"] == 2
    assert params["dropout"] == (0.1, 0.2)  # a list of JSON
    assert params["class_weight"] == "balanced"
    assert params["model"] == "linear"  # text that is no JSON
    assert clf[0].ngram_range == (1, 2)
    assert "no wifi" in clf[0].vocabulary_
    assert clf[0].token_pattern == "[a-z]+"


def test_verbose_that_is_set_stays(run, caplog):
    caplog.set_level("INFO", "skmhe")
    clf, _ = trained(run, "train.txt", "--quiet", "--set", "verbose=2")
    assert clf.verbose == 2
    assert "linear classifiers: " in caplog.text


def test_an_interrupted_fit_is_told(run, monkeypatch):
    def warn(self, *args):
        fit(self, *args)
        warnings.warn("Training interrupted by user after 3 epochs.", stacklevel=1)

    fit = MHEMultiLabelClassifier.fit
    monkeypatch.setattr(MHEMultiLabelClassifier, "fit", warn)
    _, told = trained(run, "train.txt", "--quiet")
    assert told == "Warning: Training interrupted by user after 3 epochs.\n"


def test_compressed_data_and_standard_input(run):
    content = Path("train.txt").read_bytes()
    Path("data.txt.xz").write_bytes(lzma.compress(content))
    clf, _ = trained(run, "data.txt.xz")
    result = run("train", "-", "own.safetensors", *LINEAR, stdin=content)
    assert "(xmc): 40 samples" in result.stderr
    own = skmhe.io.load("own.safetensors")
    X, _ = load_xmc("test.txt")
    np.testing.assert_array_equal(clf.predict_proba(X), own.predict_proba(X))
    lines = json_lines({"text": text, "label": team} for text, team in TICKETS)
    run("train", "-", "own.safetensors", *LINEAR, stdin=lines)
    assert skmhe.io.load("own.safetensors").predict(["no wifi"]) == ["it"]


# ------------------------------------------------------------------------- predict


def test_predictions_are_those_of_the_model(run):
    result = run("predict", "model.safetensors", "test.txt")
    X, _ = load_xmc("test.txt")
    labels, probabilities = predict_topk(skmhe.io.load("model.safetensors"), X)
    found = read_rows(result.stdout)
    assert [row[0] for row in found] == labels.astype(str).tolist()
    np.testing.assert_allclose([row[1] for row in found], probabilities, rtol=1e-5)
    assert "predicted 20 samples in" in result.stderr


def test_predictions_in_json(run):
    args = ["predict", "tickets.safetensors", "-", "--json", "-q"]
    result = run(*args, stdin="no wifi\nrefund\n")
    assert result.stderr == ""
    found = read_objects(result.stdout)
    assert [row["labels"] for row in found] == [["it", "billing"], ["billing", "it"]]
    assert all(sum(row["probabilities"]) == pytest.approx(1) for row in found)


def test_number_of_predictions(run):
    for k in (1, 3, 8):
        result = run("predict", "model.safetensors", "test.txt", "-k", k)
        assert all(len(labels) == k for labels, _ in read_rows(result.stdout))


def test_threshold(run):
    every = read_rows(run("predict", "tagged.safetensors", "tagged.csv").stdout)
    args = ["predict", "tagged.safetensors", "tagged.csv", "--threshold", 0.5]
    likely = read_rows(run(*args).stdout)
    assert len(likely) == len(every) == len(TAGGED)
    for (labels, p), (all_labels, all_p) in zip(likely, every, strict=True):
        n = sum(one >= 0.5 for one in all_p)
        assert (labels, p) == (all_labels[:n], all_p[:n])
    assert {len(labels) for labels, _ in likely} > {1}


def test_names_of_labels(run):
    Path("names.txt").write_text("".join(f"label {i}\n" for i in range(8)))
    Path("names.json").write_text(json_lines({"title": f"name {i}"} for i in range(8)))
    args = ["predict", "model.safetensors", "test.txt", "-k", 2]
    numbers = [row[0] for row in read_rows(run(*args).stdout)]
    for file, form in ("names.txt", "label {}"), ("names.json", "name {}"):
        result = run(*args, "--label-names", file)
        named = [[form.format(label) for label in labels] for labels in numbers]
        assert [row[0] for row in read_rows(result.stdout)] == named


def test_predictions_in_a_file(run):
    args = ["predict", "model.safetensors", "test.txt"]
    expected = run(*args).stdout
    assert run(*args, "-o", "best.tsv").stdout == ""
    assert Path("best.tsv").read_text() == expected
    run(*args, "--output", "best.tsv.xz")
    assert lzma.decompress(Path("best.tsv.xz").read_bytes()).decode() == expected
    assert run(*args, "--output", "-").stdout == expected


def test_what_is_no_text_in_a_label_is_escaped(run):
    lines = [{"text": t, "label": f"{t}\t\\\n\ud800"} for t in ("one", "two")]
    Path("data.jsonl").write_text(json_lines(lines))
    trained(run, "data.jsonl")
    args = ["predict", "new.safetensors", "data.jsonl", "-k", 1]
    assert read_rows(run(*args).stdout)[0][0] == [r"one\t\\\n\ud800"]
    assert read_objects(run(*args, "--json").stdout)[0]["labels"] == ["one\t\\\n\ud800"]


def test_labels_of_data_to_predict_are_not_read(run):
    Path("new.csv").write_text("text\nno wifi\n")
    Path("new.jsonl").write_text('{"text": "no wifi"}\n')
    Path("new.txt").write_text("no wifi\n")
    results = {
        run("predict", "tickets.safetensors", name).stdout
        for name in ("new.csv", "new.jsonl", "new.txt")
    }
    assert len(results) == 1
    Path("odd.svm").write_text("0.5 1:1\n")
    args = ["predict", "model.safetensors", "odd.svm", "--one-based"]
    assert len(read_rows(run(*args).stdout)) == 1


def test_each_line_of_text_is_a_sample(run):
    args = ["predict", "tickets.safetensors", "-"]
    result = run(*args, stdin="no wifi\n\nlast\u2028one")
    assert len(result.stdout.splitlines()) == 3


# ------------------------------------------------------------------------ evaluate


def test_measures_are_those_of_evaluate(run):
    args = ["evaluate", "model.safetensors", "test.txt", "--train", "train.txt"]
    table = json.loads(run(*args, "--json").stdout)
    (X, Y), (_, Y_train) = load_xmc("test.txt"), load_xmc("train.txt")
    clf = skmhe.io.load("model.safetensors")
    expected = evaluate(Y, clf.predict_topk(X), y_train=Y_train)
    sets = evaluate(Y, clf.predict(X), y_train=Y_train)
    unknown = {"unknown": {"all": 0}}
    assert table == {**expected, **{name: sets[name] for name in sets}, **unknown}
    printed = run(*args).stdout
    assert printed.splitlines()[0].split() == ["all", "head", "torso", "tail"]
    assert f"{table['P@1']['all']:.4f}" in printed


def test_ranks_to_evaluate(run):
    args = ["evaluate", "model.safetensors", "test.txt", "--json"]
    table = json.loads(run(*args, "-k", 2, "-k", 8, "-k", 100).stdout)
    assert {name for name in table if name.startswith("P@")} == {"P@2", "P@8"}
    assert "PSP@2" not in table


def test_evaluation_of_one_label_per_sample(run):
    args = ["evaluate", "tickets.safetensors", "tickets.csv", "--label", "team"]
    result = run(*args, "--json")
    assert "tickets.csv (csv): 6 samples, texts, 2 labels such as" in result.stderr
    table = json.loads(result.stdout)
    assert table["P@1"] == table["micro F1"] == {"all": 1}
    # A label that was not trained is never predicted.
    Path("other.csv").write_text("text,team\nno wifi,it\nhello,sales\n")
    args[2] = "other.csv"
    assert json.loads(run(*args, "--json").stdout)["P@1"]["all"] == 0.5


def test_evaluation_of_lists(run):
    args = ["evaluate", "posts.safetensors", "posts.jsonl.gz", "--text", "title"]
    table = json.loads(run(*args, "--text", "body", "--json", "--quiet").stdout)
    assert table["P@1"]["all"] > 0.5


# ---------------------------------------------------------------------------- info


def test_info(run):
    found = json.loads(run("info", "tagged.safetensors", "--json").stdout)
    assert found["estimator"] == "TfidfVectorizer -> MHEMultiLabelClassifier"
    assert found["bytes"] == Path("tagged.safetensors").stat().st_size
    clf = skmhe.io.load("tagged.safetensors")
    assert found["n_features"] == len(clf[0].vocabulary_)
    assert (found["n_labels"], found["samples"]) == (3, "texts")
    assert found["multilabel"] is True
    assert found["parameters"]["model"] == "linear"
    assert found["parameters"]["vectorizer__ngram_range"] == [1, 1]
    assert found["versions"]["skmhe"] == skmhe.__version__
    assert found["versions"]["scikit-learn"] == version("scikit-learn")
    printed = run("info", "tagged.safetensors").stdout
    assert "\nn_labels: 3\n" in printed
    assert "\n  model: linear\n" in printed


def test_info_reads_no_arrays(run):
    content = bytearray(Path("model.safetensors").read_bytes())
    content[8 + int.from_bytes(content[:8], "little")] ^= 1  # of the first array
    Path("new.safetensors").write_bytes(content)
    found = json.loads(run("info", "new.safetensors", "--json").stdout)
    assert found["n_labels"] == 8
    assert "the hash differs" in run("predict", *NEW_TEST, code=1).stderr


def test_info_of_other_estimators(run):
    skmhe.io.save(MHEClassifier(strategy="cascade"), "new.safetensors")
    found = json.loads(run("info", "new.safetensors", "--json").stdout)
    assert found["n_labels"] is None
    clf = skmhe.io.load("tagged.safetensors")
    skmhe.io.save(clf[0], "words.safetensors")
    found = json.loads(run("info", "words.safetensors", "--json").stdout)
    assert found["estimator"] == "TfidfVectorizer"
