"""What is refused, with which words and which exit code, and that nothing is left."""

import gzip
import os
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

import skmhe.io
from skmhe.command_line.predictions import Predictions

pytestmark = pytest.mark.usefixtures("models")
TRAIN = ["train", "train.txt", "new.safetensors"]
CSV = ["train", "data.csv", "new.safetensors"]
JSONL = ["train", "data.jsonl", "new.safetensors"]
PREDICT = ["predict", "model.safetensors"]


def refused(run, code, *args, stdin=None):
    """Return the one line that tells why a call is refused."""
    before = sorted(Path().iterdir())
    result = run(*args, code=code, stdin=stdin)
    assert result.stdout == ""
    assert sorted(Path().iterdir()) == before  # not even a part of an output
    *_, told = result.stderr.strip().split("\nError: ")
    told = told.removeprefix("Error: ")
    assert "Traceback" not in told
    return " ".join(told.split())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--set", "max_iter"], "'--set': expected name=value, got 'max_iter'."),
        (["--set", "max_itr=3"], "Invalid parameter 'max_itr' for estimator"),
        (["--set", "max_itr=3"], "did you mean 'max_iter'?"),
        (["--set", "beam_width=3"], "use strategy=Cascade(beam_width=...)"),
        (["--set", "linear__c=3"], "did you mean 'C'?"),
        (["--set", "max_iter=-1"], "The 'max_iter' parameter of MHEClassifier must be"),
        (["--set", "max_iter=-1"], "int in the range [1, inf). Got -1 instead."),
        (["--set", "warm_start=True"], "Got 'True' instead. Values are JSON"),
        (["--set", "linear__C=0"], "The 'C' parameter of LinearTree (linear) must"),
        (["--set", "vectorizer__min=1"], "TfidfVectorizer has no parameter 'min': did"),
        (["--set", "vectorizer__min_df=-1"], "The 'min_df' parameter of TfidfVectoriz"),
        (["--set", "vectorizer__token_pattern=["], "unterminated character set"),
        (["--set", "vectorizer__token_pattern=(a)(b)"], "More than 1 capturing group"),
        (["--set", "vectorizer__token_pattern=a{99999999999}"], "too large"),
        (["--set", "vectorizer__ngram=2"], "'ngram': did you mean 'ngram_range'?"),
        (["--set", "vectorizer__ngram_range=[2, 1]"], "ngram_range=(2, 1) lower"),
        (["--set", "vectorizer__vocabulary=foo"], "Duplicate term in vocabulary: 'o'"),
        (["--set", "vectorizer__=1"], "has no parameter '': there are analyzer, bin"),
        (["--set", "vectorizer__xyz=1"], "parameter 'xyz': there are analyzer, bin"),
        (["--set", "device=gpu"], "device='gpu' is not a device that torch knows"),
        (["--set", "dropout=[1, 2, 3]"], "dropout=(1, 2, 3) must be a share in [0, 1)"),
        (["--set", "head_sizes=[99]"], "head_sizes=(99,) has a head of 99, longer"),
        (["--set", "head_sizes=[2]"], "head_sizes=(2,) can name 2 of 8 labels"),
        (["--set", "strategy=full", "--set", "n_heads=2"], "n_heads=2 is not possible"),
        (
            ["--set", "model=linear", "--set", 'combination={"network": 1}'],
            "combination={'network': 1} has weights of several scorers, but",
        ),
        (["--set", "vectorizer__min_df=1"], "is for texts, but train.txt has features"),
        (["--format", "arff"], "'--format': 'arff' is not one of"),
        (["--format", "text"], "'--format': 'text' is not one of"),
        (["--seperator", ";"], "No such option"),
        (["--separator", ";"], "--separator is for csv and jsonl, but train.txt is"),
        (["--text", "a"], "--text is for csv and jsonl, but train.txt is read as xmc"),
        (["--delimiter", ";"], "--delimiter is for csv, but train.txt is read as xmc"),
        (["--delimiter", "ab"], r"expected one character, such as ; or \t, got 'ab'."),
        (["--label-file", "no.txt"], "'no.txt' does not exist."),
        (["more"], "Got unexpected extra argument (more)"),
    ],
)
def test_options_of_train(run, args, told):
    assert told in refused(run, 2, *TRAIN, *args)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["train", "train.txt"], "Missing argument 'MODEL'"),
        (["train", "no.txt", "x"], "'DATA': File 'no.txt' does not exist."),
        (["train", ".", "x"], "'DATA': File '.' is a directory."),
        (["train", "train.txt", "no/x"], "there is no folder 'no': create it first."),
        (["train", "train.txt", "-"], "a model cannot be written to standard output"),
        (["train", "train.txt", "."], "'MODEL': File '.' is a directory."),
        (["train", "-", "x", "--label-file", "-"], "Standard input, -, can be"),
        (["predict", "no.st", "test.txt"], "'MODEL': File 'no.st' does not exist."),
        ([*PREDICT, "test.txt", "-k", "0"], "0 is not in the range x>=1."),
        ([*PREDICT, "test.txt", "--threshold", "nan"], "expected a number, got nan."),
        (["train", "train.txt", "x", "--separator", ""], "expected some text, such as"),
        (["train", "train.txt", "x", "--delimiter", '"'], "expected one character, su"),
        ([*PREDICT, "test.txt", "-k", "9"], "9 is more than the 8 labels of model.saf"),
        ([*PREDICT, "test.txt", "--threshold", "2"], "2.0 is not in the range 0<=x<=1"),
        ([*PREDICT, "test.txt", "-o", "no/x"], "there is no folder 'no': create it"),
        ([*PREDICT, "test.txt", "--one-based", "--format=jsonl"], "is for xmc"),
        (["evaluate", "model.safetensors", "test.txt", "-k", "9"], "9 is more than"),
        (["evaluate", "model.safetensors", "-", "--train", "-"], "can be read once"),
        (["info", "no.st"], "'MODEL': File 'no.st' does not exist."),
        (["fit"], "No such command 'fit'."),
    ],
)
def test_arguments(run, args, told):
    assert told in refused(run, 2, *args)


def test_a_format_that_cannot_be_told(run):
    told = refused(run, 2, "train", "-", "x", stdin="a text\n")
    assert told == (
        "The format of <stdin> can be told neither by its name nor by its first line, "
        "'a text': give it by --format."
    )
    told = refused(run, 1, "train", "-", "x", stdin="")
    assert "expected a header or a row, but the file is empty" in told


@pytest.mark.parametrize(
    ("content", "args", "told"),
    [
        ("", [], "line 1: expected one column 'text' in the header, got []"),
        ("txt,label\n", [], "'text' in the header, got ['txt', 'label']: choose"),
        (
            "text;label\n",
            [],
            "--text, or name what separates columns by --delimiter.",
        ),
        ("text,labels\n", [], "'label' in the header, got ['text', 'labels']: choose"),
        ("text,text,label\n", [], "expected one column 'text' in the header, got"),
        ("text,label\n", [], "data.csv: expected at least one sample, got none."),
        (
            "text,label\na,b\n\na,b,c\n",
            [],
            "line 4: expected as many cells as the header has, 2, got 3",
        ),
        (
            "text,label\na\n",
            [],
            "line 2: expected as many cells as the header has, 2, got 1",
        ),
        ('text,label\na,"b"c\n', [], "line 2: expected cells separated by ','"),
        ('text,label\na,"b\nc\n', [], "line 3: expected cells separated by ',', those"),
        ("text,label\na,b\nc,\n", [], "line 3: expected a label, got an empty cell"),
        ("text,label\na,b\n\xff,c\n", [], r"line 3: expected text in UTF-8, got b'"),
        ("text,label\none,b\ntwo,b\n", [], "y has one class, 'b'"),
        (
            "text,label\na,b\nc,b;d\n",
            ["--separator", ";", "--one-label"],
            "by --one-label, but sample 2 has 2: leave --one-label away",
        ),
        (
            "text,label\na,b\nc,;\n",
            ["--separator", ";", "--one-label"],
            "by --one-label, but sample 2 has none",
        ),
        (
            f"text,label\n{'a' * 140_000},b\n",
            [],
            "line 2: expected cells of at most 131,0",
        ),
        ("text,label\n.,a\n,b\n", [], "data.csv: empty vocabulary; perhaps the doc"),
        (
            "text,label\none,b\ntwo,c\n",
            ["--set", "vectorizer__min_df=2"],
            "data.csv: After pruning, no terms remain. Try a lower min_df",
        ),
    ],
)
def test_csv(run, content, args, told):
    Path("data.csv").write_bytes(content.encode("latin-1"))
    assert told in refused(run, 1, *CSV, *args)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[1, 2]", "line 2: expected a JSON object, got '[1, 2]'."),
        ('{"text": "a"', "line 2: expected a JSON object, got"),
        ("[" * 100_000, "line 2: expected a JSON object, got"),
        (
            '{"a": 1, "b": 2}',
            "one of the fields ['text'], got ['a', 'b']: choose among them by --text.",
        ),
        ('{"text": 1, "label": 1}', "line 2: expected fields of text, got '1'."),
        ('{"text": "a"}', "got ['text']: choose among them by --label."),
        ('{"text": "a", "label": null}', "line 2: expected a label, text or"),
        ('{"text": "a", "label": true}', "line 2: expected a label, text or"),
        ('{"text": "a", "label": [0.5]}', "or a list of labels, got [0.5]."),
        ('{"text": "a", "label": 1}', "data.jsonl: expected labels that are all text"),
        (f'{{"text": "a", "label": {2**64}}}', "line 2: expected a label, text or"),
    ],
)
def test_jsonl(run, line, told):
    Path("data.jsonl").write_text('{"text": "b", "label": "b"}\n' + line)
    assert told in refused(run, 1, *JSONL)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("1 1:1\n\n# 2\n2 1:x\n3 1:1\n", "data.svm, line 4: expected labels separated"),
        ("1 1:1\n2 0:1 1\n", "data.svm, line 2: expected labels separated by commas"),
        ("x 1:1\n", "data.svm, line 1: expected labels separated by commas"),
        ("1 2:1 1:1\n", "data.svm, line 1: expected labels separated by commas"),
        ("1 1:1\n0.5 1:1\n", "sample 2: expected whole numbers as labels, got 0.5"),
        ("nan 1:1\n", "sample 1: expected whole numbers as labels, got nan"),
        ("1 1:1\n0 1:1 2:nan\n", "sample 2: expected finite numbers that float32"),
        ("1 1:1e40\n0 1:1\n", "sample 1: expected finite numbers that float32"),
        ("", "data.svm"),
    ],
)
def test_svmlight(run, content, told):
    Path("data.svm").write_text(content)
    assert told in refused(run, 1, "train", "data.svm", "new.safetensors")


def test_xmc(run):
    Path("data.txt").write_text("2 3 4\n0,3 0:0.5 2:1.5\n 1;2\n")
    told = refused(run, 1, "train", "data.txt", "new.safetensors")
    assert told == "data.txt, line 3: expected id:value, got '1;2' without a colon."
    Path("data.txt").write_text("2 3 4\n0,3 0:0.5 2:1.5\n")
    told = refused(run, 1, "train", "data.txt", "new.safetensors")
    assert "expected 2 rows by the header, got 1 at the end" in told
    # Also where the model tells the format.
    Path("data.txt").write_text("0,3 0;0.5 2:1.5\n")
    told = refused(run, 1, *PREDICT, "data.txt")
    assert told.startswith("data.txt, line 1: expected id:value, got '0;0.5'")


def test_data_that_the_model_does_not_take(run):
    model = skmhe.io.load("model.safetensors")
    n = model.n_features_in_
    Path("data.txt").write_text("1 3 8\n0 1:1\n")
    assert refused(run, 1, *PREDICT, "data.txt") == (
        f"data.txt has 3 features, but the model was trained with {n:,}: give data "
        "with the same features."
    )
    Path("data.txt").write_text(f"0 1:1\n0 {n + 1}:1\n")
    told = refused(run, 1, *PREDICT, "data.txt")
    assert told.startswith(f"data.txt, line 2: feature id {n + 1} is out of range, exp")
    Path("data.svm").write_text(f"0 0:1\n0 {n}:1\n")
    told = refused(run, 1, *PREDICT, "data.svm")
    assert told.startswith(f"data.svm has {n + 1:,} features, but the model was")
    told = refused(run, 1, *PREDICT, "tickets.csv")
    assert told == (
        "tickets.csv has the format csv, but the model takes features, in the formats "
        "xmc or svmlight."
    )
    told = refused(run, 1, "evaluate", "tickets.safetensors", "data.svm")
    assert told.startswith("data.svm has the format svmlight, but the model takes")


def test_labels_that_the_model_does_not_have(run):
    args = ["evaluate", "tickets.safetensors", "data.jsonl"]
    Path("data.jsonl").write_text('{"text": "a", "label": 1}\n')
    told = refused(run, 1, *args)
    assert told == (
        "tickets.safetensors knows none of the labels of data.jsonl, such as 1, but "
        "others, such as 'billing': give data whose labels are written as in the "
        "training data, and --separator if several are in a cell."
    )
    Path("names.txt").write_text("one\ntwo\n")
    args = [*PREDICT, "test.txt", "--label-names", "names.txt"]
    told = refused(run, 1, *args)
    assert told == (
        "names.txt: expected a line for each label from 0 to 7, as in "
        "model.safetensors, got 2 lines."
    )
    args[1:3] = "tickets.safetensors", "tickets.csv"
    told = refused(run, 1, *args)
    assert "have names, such as 'billing': leave --label-names away" in told


def test_evaluation_needs_labels(run):
    args = ["evaluate", "tickets.safetensors"]
    told = refused(run, 1, *args, "-", stdin="no wifi\n")
    assert told.startswith("<stdin>: expected texts with labels, but lines of text")


def test_models_that_are_refused(run):
    content = Path("model.safetensors").read_bytes()
    Path("cut.st").write_bytes(content[:-10])
    Path("flipped.st").write_bytes(content[:-300] + b"\0" + content[-299:])
    Path("empty.st").write_bytes(b"")
    for name in ("cut.st", "flipped.st", "empty.st", "train.txt"):
        for args in (["predict", name, "test.txt"], ["info", name]):
            told = refused(run, 1, *args)
            assert told.startswith(f"'{name}' cannot be loaded: ")
    skmhe.io.save(TfidfVectorizer().fit(["a text"]), "words.st")
    told = refused(run, 1, "predict", "words.st", "test.txt")
    assert told.startswith("words.st holds TfidfVectorizer, which is no fitted")


def test_damaged_compressed_data(run):
    content = gzip.compress(Path("train.txt").read_bytes())
    for name, start in ("cut.txt.gz", content[:-20]), ("other.txt.gz", b"no gzip"):
        Path(name).write_bytes(start)
        told = refused(run, 1, "train", name, "new.safetensors")
        assert told.startswith(f"{name}: expected a whole compressed file, but")


def test_compressed_data_without_suffix(run):
    content = Path("posts.jsonl.gz").read_bytes()
    told = refused(run, 1, "train", "-", "x", stdin=content)
    assert told.startswith("<stdin>, line 1: expected text, got what a file that ends")
    assert "in .gz begins with: decompress it" in told


def test_a_file_that_cannot_be_read(run):
    if os.geteuid() == 0:
        pytest.skip("root can read everything")
    Path("train.txt").chmod(0)
    refused(run, 2, *TRAIN)


def test_what_was_there_stays_after_an_error(run, monkeypatch):
    Path("best.tsv").write_text("before\n")

    def lines(self, X, n_samples):
        yield b"one\n"
        raise ValueError("the second part fails.")

    monkeypatch.setattr(Predictions, "lines", lines)
    told = refused(run, 1, *PREDICT, "test.txt", "--output", "best.tsv")
    assert told == "the second part fails."
    assert Path("best.tsv").read_text() == "before\n"


def test_errors_of_the_disk_name_the_file(run, monkeypatch):
    def save(*args):
        raise OSError(28, "No space left on device", "new.safetensors")

    monkeypatch.setattr(skmhe.io, "save", save)
    told = refused(run, 1, *TRAIN)
    assert told == "new.safetensors: No space left on device."
