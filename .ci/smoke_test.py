"""Use the installed package: what check_package.py runs in an environment of its own.

    python smoke_test.py VERSION

It imports every module, and trains on a part of the bundled data.
"""

import importlib
import pkgutil
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


def check_installation(expected: str) -> None:
    """Check where the package lies, its version, and that it is complete."""
    place = Path(skmhe.__file__)
    assert place.is_relative_to(sys.prefix), f"{place} is not in {sys.prefix}"
    assert skmhe.__version__ == version("skmhe") == expected
    assert files("skmhe").joinpath("py.typed").is_file()
    modules = [info.name for info in pkgutil.walk_packages(skmhe.__path__, "skmhe.")]
    for name in modules:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    print(f"skmhe {expected}: {len(modules)} modules can be imported")


def check_missing_extra() -> None:
    """Check that an error names the extra that is not installed."""
    assert find_spec("transformers") is None, "the environment is not empty"
    from skmhe.text import Tokenizer

    try:
        Tokenizer("bert").fit(["a text"])
    except ImportError as error:
        assert "pip install 'skmhe[text]'" in str(error)
    else:
        raise AssertionError("skmhe.text works without transformers")


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


if __name__ == "__main__":
    check_installation(sys.argv[1])
    check_missing_extra()
    check_predictions()
