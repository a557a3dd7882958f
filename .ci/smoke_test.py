"""Use the installed package: what check_package.py runs in an environment of its own.

    python smoke_test.py VERSION [cli]

It imports every module, and trains on a part of the bundled data. With "cli", which
the extra `cli` has to be installed for, it does so by the command line.
"""

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import skmhe
from skmhe import MHEClassifier, predict_topk
from skmhe.datasets import load_wordnet

N_CLASSES = 100
# What imports click, which only an extra installs.
COMMANDS = "skmhe.command_line."
PROGRAM = Path(sys.prefix, "bin", "skmhe")


def check_installation(expected: str) -> None:
    """Check where the package lies, its version, and that it is complete."""
    place = Path(skmhe.__file__)
    assert place.is_relative_to(sys.prefix), f"{place} is not in {sys.prefix}"
    assert skmhe.__version__ == version("skmhe") == expected
    assert files("skmhe").joinpath("py.typed").is_file()
    modules = [info.name for info in pkgutil.walk_packages(skmhe.__path__, "skmhe.")]
    for name in modules:
        if not name.endswith("__main__") and not name.startswith(COMMANDS):
            importlib.import_module(name)
    print(f"skmhe {expected}: its modules can be imported")


def check_missing_extra() -> None:
    """Check that errors name the extra that is not installed."""
    assert find_spec("transformers") is None, "the environment is not empty"
    from skmhe.text import Tokenizer

    try:
        Tokenizer("bert").fit(["a text"])
    except ImportError as error:
        assert "pip install 'skmhe[text]'" in str(error)
    else:
        raise AssertionError("skmhe.text works without transformers")
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True)
    assert done.returncode == 2, done
    assert done.stderr.endswith("pip install 'skmhe[cli]'.\n"), done


def check_predictions() -> None:
    """Train on the most frequent classes of WordNet, and predict."""
    train, test = load_wordnet(), load_wordnet(subset="test")
    frequent = np.argsort(-np.bincount(train.target), kind="stable")[:N_CLASSES]
    (texts, y), (test_texts, y_test) = (
        ([part.data[i] for i in rows], part.target[rows])
        for part in (train, test)
        for rows in [np.flatnonzero(np.isin(part.target, frequent))]
    )
    clf = make_pipeline(TfidfVectorizer(), MHEClassifier(max_iter=1, random_state=0))
    clf.fit(texts, y)
    labels, probabilities = predict_topk(clf, test_texts, k=5)
    assert labels.shape == probabilities.shape == (len(y_test), 5)
    accuracy = np.mean(clf.predict(test_texts) == y_test)
    # The most frequent class has 659 of 10,787 nouns.
    assert accuracy > 0.5, accuracy
    print(f"accuracy {accuracy:.1%} for {len(y):,} nouns of {N_CLASSES} classes")


def check_command_line() -> None:
    """Train and predict by the command line."""
    rows = [("green tea", "tea"), ("black tea", "tea"), ("cold beer", "beer")]
    table = "".join(f"{text},{label}\n" for text, label in [("text", "label"), *rows])
    for args, given, expected in (
        (["--help"], "", "Usage: skmhe "),
        (["train", "-", "drinks.safetensors", "--format=csv"], table, ""),
        (["predict", "drinks.safetensors", "-", "-k1"], "tea, please\n", "tea\t"),
    ):
        done = subprocess.run(
            [PROGRAM, *args], input=given, capture_output=True, text=True
        )
        assert done.returncode == 0, done
        assert done.stdout.startswith(expected), done
    print("skmhe train and skmhe predict work")


if __name__ == "__main__":
    if sys.argv[2:] == ["cli"]:
        check_command_line()
    else:
        check_installation(sys.argv[1])
        check_missing_extra()
        check_predictions()
