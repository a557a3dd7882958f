"""Compare a CUDA device with the processor of the same machine.

    python benchmarks/bench_devices.py --labels 10000 100000

Data are generated (`make_extreme_classification`, one label per sample). For each
strategy, a network alone learns them; all labels are known from the first call on. The
time of an epoch is that of a later call of `partial_fit`: the first has set up what is
needed once. Then `predict_topk(X, k=5)` of --samples rows is timed, after a call that
warms up. "default" is a whole fit of the estimator as it is, of the labels that occur,
with linear classifiers, which are NumPy arrays and stay on the processor. Both may use
all cores of the processor. A ratio is the processor's time divided by the device's.
Medians of --repeats. The figures are written to --out, see results.py.
"""

import argparse
import time

import numpy as np
import torch
from results import add_out_argument, print_rows, write

from skmhe import MHEClassifier
from skmhe.datasets import make_extreme_classification

STRATEGIES = ("full", "sampling", "cascade")
DEVICES = ("cpu", "cuda")


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_epoch(X, y, n_labels, strategy, device, args):
    """Return medians of the seconds of an epoch and of predictions."""
    clf = MHEClassifier(
        strategy,
        model="network",
        batch_size=args.batch_size,
        device=device,
        random_state=0,
    )
    clf.partial_fit(X, y, classes=np.arange(n_labels))
    clf.predict_topk(X, 5)
    calls = {
        "epoch_s": lambda: clf.partial_fit(X, y),
        "predict_s": lambda: clf.predict_topk(X, 5),
    }
    return {
        name: np.median([seconds(call) for _ in range(args.repeats)])
        for name, call in calls.items()
    }


def measure_fit(X, y, device, args):
    """Return medians of the seconds of a whole fit and of predictions."""
    found = []
    for _ in range(args.repeats):
        clf = MHEClassifier(device=device, random_state=0)
        fit_s = seconds(lambda clf=clf: clf.fit(X, y))
        clf.predict_topk(X, 5)
        found.append([fit_s, seconds(lambda clf=clf: clf.predict_topk(X, 5))])
    return dict(zip(("fit_s", "predict_s"), np.median(found, axis=0), strict=True))


def measure(X, y, n_labels, name, args):
    """Return the figures of both devices in one row."""
    found = {}
    for device in DEVICES:
        if name == "default":
            found[device] = measure_fit(X, y, device, args)
        else:
            found[device] = measure_epoch(X, y, n_labels, name, device, args)
    cpu, cuda = (found[device] for device in DEVICES)
    row = {}
    for cost in cpu:
        row |= {f"cpu_{cost}": cpu[cost], f"cuda_{cost}": cuda[cost]}
        row[f"{cost}_ratio"] = cpu[cost] / cuda[cost]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[10**4, 10**5])
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--names", nargs="+", default=[*STRATEGIES, "default"])
    add_out_argument(parser, "devices")
    args = parser.parse_args()
    kept = ("samples", "features", "batch_size", "repeats")
    settings = {name: getattr(args, name) for name in kept}
    settings["cuda"] = torch.cuda.get_device_name()
    for n_labels in args.labels:
        problem = make_extreme_classification(
            args.samples, args.features, n_labels, multilabel=False, random_state=0
        )
        X, y, rows = problem.data, problem.target, {}
        for name in args.names:
            rows[name] = measure(X, y, n_labels, name, args)
            print(f"  {n_labels:,} labels, {name}: {rows[name]}", flush=True)
        data = f"{n_labels:,} labels"
        print_rows(data, rows)
        write(args.out, "bench_devices.py", data, rows, settings)


if __name__ == "__main__":
    main()
