"""Compare the parts of a training step with the least time that this machine needs.

    python benchmarks/bench_step.py FOLDER wnhyp

For each part of a step of the default estimator ("sampling", with centroids), the
multiply-adds and the bytes that it cannot do without are counted from the data: each
row of a table that a part needs is read once, however often it is needed, and what it
makes is written once. The least time of a part is the longer one of

- its multiply-adds at the rate of a product of large matrices (of bfloat16 where the
  step has these products, otherwise of float32), and
- its bytes at the rate of adding two arrays that are larger than the caches,

both measured before and after the fit, the better ones taken. What a part took is the
mean over all steps. The last row is the whole step, with what no part covers. Random
numbers (of dropout, in the features, and of the pool, in the loss) have no least time.

The figures are written to --out, see results.py.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from bench_accuracy import make_estimator
from data import load
from results import add_out_argument, has_bfloat16, print_rows, write

FLOAT = 4
SIZE, ARRAY = 2048, 2**25


def best_of(function, repeats=7):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def rates(dtype):
    """Return multiply-adds and bytes per second."""
    a = torch.ones(SIZE, SIZE, dtype=dtype)
    x, y, out = (torch.ones(ARRAY) for _ in range(3))
    of_products = SIZE**3 / best_of(lambda: a @ a)
    of_bytes = 3 * FLOAT * ARRAY / best_of(lambda: torch.add(x, y, out=out))
    return np.array([of_products, of_bytes])


class Account:
    """Sums up seconds, multiply-adds and bytes of each part of the steps."""

    def __init__(self):
        self.seconds, self.work = defaultdict(float), defaultdict(lambda: np.zeros(2))
        self.n_steps = 0

    def time(self, owner, name, part, less=()):
        """Take the time of a function, without that of the parts within it."""
        function = getattr(owner, name)

        def timed(*args, **kwargs):
            inner = sum(self.seconds[p] for p in less)
            start = time.perf_counter()
            result = function(*args, **kwargs)
            spent = time.perf_counter() - start
            self.seconds[part] += spent - sum(self.seconds[p] for p in less) + inner
            return result

        setattr(owner, name, timed)

    def add(self, part, operations, n_bytes):
        self.work[part] += operations, n_bytes


def watch(account):
    """Have the functions of a step tell their time, and what they work on."""
    from skmhe.nn.heads.sampling import SamplingHead, SamplingHeadScores
    from skmhe.nn.optim import RowAdamW
    from skmhe.scorers.network import Network
    from skmhe.scorers.training_centroids import TrainingCentroids
    from skmhe.training.data import TrainingData
    from skmhe.training.loop import Trainer

    account.time(TrainingData, "take", "rows of X and y")
    account.time(TrainingCentroids, "cosines", "cosines to centroids")
    account.time(Network, "features", "features")
    account.time(SamplingHeadScores, "pool", "scores of the pool")
    inner = ("cosines to centroids", "scores of the pool")
    account.time(SamplingHead, "_sample_losses", "loss", less=inner)
    account.time(torch.Tensor, "backward", "gradients")
    account.time(RowAdamW, "step", "optimizer")
    cosines = TrainingCentroids.cosines

    def noted(centroids, X, labels):
        account.step = centroids, X, labels
        return cosines(centroids, X, labels)

    TrainingCentroids.cosines = noted
    step = Trainer.step

    def whole(trainer, rows):
        start = time.perf_counter()
        loss = step(trainer, rows)
        account.seconds["step"] += time.perf_counter() - start
        account.n_steps += 1
        count(account, trainer.network.head.weights[0].shape[1], *account.step)
        return loss

    Trainer.step = whole


def count(account, d, centroids, X, labels):
    """Count the least work of a step on rows X, whose pool are these labels."""
    n, p, z = X.shape[0], len(labels), X.nnz
    f, m = len(np.unique(X.indices)), len(centroids.frequent)
    own = centroids.rows[labels]
    per_feature = np.bincount(own.indices, minlength=X.shape[1])
    products = per_feature[X.indices].sum()
    stored = 2 * FLOAT  # a value of a sparse array, and its column
    account.add("rows of X and y", 0, 2 * stored * z)
    account.add(
        "cosines to centroids",
        n * m * p + products,
        stored * (z + own.nnz) + FLOAT * (m * p + n * p),
    )
    account.add("features", z * d, stored * z + FLOAT * (f * d + n * d))
    account.add("scores of the pool", n * d * p, FLOAT * (n * d + p * d + n * p))
    account.add("loss", 0, FLOAT * 2 * n * p)  # of scores and cosines
    account.add(
        "gradients",
        2 * n * d * p + z * d,
        # Of the scores, once; of features and of the rows of both tables.
        FLOAT * (n * p + 2 * n * d + 2 * p * d + f * d),
    )
    account.add("optimizer", 0, FLOAT * 3 * (f + p) * d)


def measure(folder):
    X, _, y, _ = load(folder)
    clf = make_estimator(y, 0, {})
    dtype = torch.bfloat16 if has_bfloat16() else torch.float32
    account = Account()
    watch(account)
    before = rates(dtype)
    clf.fit(X, y)
    of_products, of_bytes = np.maximum(before, rates(dtype))
    rows, total = {}, 0.0
    for part, (operations, n_bytes) in account.work.items():
        operations, n_bytes = operations / account.n_steps, n_bytes / account.n_steps
        least = 1000 * max(operations / of_products, n_bytes / of_bytes)
        total += least
        rows[part] = figures(account, part, least)
        rows[part] |= {"mega_operations": operations / 1e6, "mega_bytes": n_bytes / 1e6}
    rows["step"] = figures(account, "step", total)
    return rows, {
        "multiply-adds per ns": round(of_products / 1e9),
        "bytes per ns": round(of_bytes / 1e9, 1),
    }


def figures(account, part, least):
    spent = 1000 * account.seconds[part] / account.n_steps
    return {"part_ms": spent, "least_part_ms": least, "to_least": spent / least}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", help="a data set; each needs a process of its own")
    add_out_argument(parser, "step")
    args = parser.parse_args()
    rows, settings = measure(args.folder / args.data)
    print_rows("part", rows)
    write(args.out, "bench_step.py", args.data, rows, settings)


if __name__ == "__main__":
    main()
