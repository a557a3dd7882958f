"""What pools of labels cost and lose against the loss of all labels (UniDEC's claim).

    python benchmarks/bench_pools.py --labels 10000 100000

The data are generated: each label has ten features of its own, a sample has half of
those of its label and as many others; each label has as many training samples. Label
features are the label's own ones. Trained is the network alone, once with pools (heads:
strategy="sampling", label encoder: the default pool_size), once with the loss of all
labels (strategy="full", pool_size=C). Prints seconds of fit and precision@1 of test
samples, by both scores, the classifier and the encoder.
"""

import argparse
import time

import numpy as np
import scipy.sparse as sp

from skmhe import MHEClassifier

FEATURES_PER_LABEL = 10
N_TEST = 5_000


def make_samples(rng, own, labels, n_features):
    """Return samples with half of their labels' features, and as many others."""
    n = len(labels)
    kept = rng.rand(n, FEATURES_PER_LABEL).argsort(1)[:, : FEATURES_PER_LABEL // 2]
    columns = np.hstack(
        [
            np.take_along_axis(own[labels], kept, 1),
            rng.randint(n_features, size=kept.shape),
        ]
    )
    return indicator_rows(columns, n_features)


def indicator_rows(columns, n_features):
    """Return CSR rows of unit length with these features."""
    n, width = columns.shape
    entries = np.ones(n * width, np.float32) / np.sqrt(width, dtype=np.float32)
    rows = np.arange(0, n * width + 1, width)
    X = sp.csr_matrix((entries, columns.ravel(), rows), shape=(n, n_features))
    X.sum_duplicates()
    return X


def run(n_labels, args, seed):
    """Return seconds and precisions by kind of loss."""
    rng = np.random.RandomState(seed)
    own = rng.randint(args.features, size=(n_labels, FEATURES_PER_LABEL))
    y = rng.permutation(np.arange(n_labels).repeat(args.samples_per_label))
    y_test = rng.randint(n_labels, size=N_TEST)
    X, X_test = (
        make_samples(rng, own, labels, args.features) for labels in (y, y_test)
    )
    Z = indicator_rows(own, args.features)
    common = {
        "model": "network",
        "hidden_layer_sizes": (args.width,),
        "max_iter": args.epochs,
        "encoder_weight": 0.5,
        "random_state": seed,
    }
    kinds = {
        "pools": {"strategy": "sampling"},
        "all labels": {"strategy": "full", "pool_size": n_labels},
    }
    rows = {}
    for name, settings in kinds.items():
        clf = MHEClassifier(**common, **settings)
        start = time.perf_counter()
        clf.fit(X, y, label_features=Z)
        seconds = time.perf_counter() - start
        found = []
        for scoring in ("both", "classifier", "encoder"):
            clf.set_params(scoring=scoring)
            labels, _ = clf.predict_topk(X_test, k=1)
            found.append(100 * np.mean(labels[:, 0] == y_test))
        rows[name] = [seconds, *found]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[10_000])
    parser.add_argument("--samples-per-label", type=int, default=1)
    parser.add_argument("--features", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    print("| labels | loss of | fit s | ratio | P@1 both | classifier | encoder |")
    print("|---" * 7 + "|")
    for n_labels in args.labels:
        seeds = [run(n_labels, args, seed) for seed in range(args.seeds)]
        means = {k: np.mean([rows[k] for rows in seeds], axis=0) for k in seeds[0]}
        for name, (seconds, *found) in means.items():
            ratio = seconds / means["pools"][0]
            cells = [f"{n_labels:,}", name, f"{seconds:.1f}", f"{ratio:.1f}"]
            cells += [f"{value:.2f}" for value in found]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
