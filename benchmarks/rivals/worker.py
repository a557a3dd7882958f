"""Measure one model in this process, and print the figures as a line of JSON.

bench_rivals.py calls it, with the Python of the library's environment. With --calls N,
for bench_outputs.py, it fits and then reads names of methods from its standard input,
one per line, calls each for the first N test samples, and prints the seconds that the
call took.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from common import folder_size
from data import load
from models import MODELS

N_SINGLE_ROWS = 200


def peak_mib():
    """Return the peak memory of this process.

    On Linux not by `resource`, whose peak begins with that of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def single_row_latency(model, rows, k):
    """Return the median seconds of a call for one row."""
    times = []
    for row in rows:
        start = time.perf_counter()
        model.topk(row, k)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def use_source(folder):
    """Import skmhe from a checkout, and make sure that no other one was found."""
    sys.path.insert(0, str(folder))
    import skmhe

    if not Path(skmhe.__file__).resolve().is_relative_to(folder):
        sys.exit(f"skmhe was imported from {skmhe.__file__}, not from {folder}")


def load_sorted(folder):
    """Return a data set with the column indices of each row in order."""
    X, X_test, y, _ = load(folder)
    if sp.issparse(X):  # all libraries take such rows
        X.sort_indices()
        X_test.sort_indices()
    return X, X_test, y


def make_model(args, y):
    """Return the model before fitting."""
    n_labels = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    return MODELS[args.model](n_labels, args.seed, **args.parameters)


def measure(args):
    """Return the figures of fitting and predicting, and write the predicted labels."""
    X, X_test, y = load_sorted(args.folder)
    model = make_model(args, y)
    if hasattr(model, "prepare"):
        model.prepare(X, y)
    convert = getattr(model, "convert", lambda X: X)
    rows = convert(X_test)
    singles = [convert(X_test[[i]]) for i in range(min(N_SINGLE_ROWS, X_test.shape[0]))]
    start = time.perf_counter()
    model.fit(X, y)
    fitted = time.perf_counter()
    labels = model.topk(rows, 5)
    done = time.perf_counter()
    peak = peak_mib()
    latency = single_row_latency(model, singles, 5)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model"
        model.save(path)
        size = folder_size(path) / 2**20
    np.save(args.labels, labels)
    return {
        "fit_s": fitted - start,
        "rows_per_s": len(labels) / (done - fitted),
        "row_ms": 1000 * latency,
        "disk_mib": size,
        "peak_mib": peak,
    }


def serve_calls(args):
    """Fit, then call methods of the fitted estimator as standard input asks for."""
    X, X_test, y = load_sorted(args.folder)
    model, X_test = make_model(args, y), X_test[: args.calls]
    start = time.perf_counter()
    model.fit(X, y)
    print(json.dumps({"fit_s": time.perf_counter() - start}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        model.call(line.strip(), X_test)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "n_rows": X_test.shape[0]}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--labels", type=Path, help="where to write predicted labels")
    parser.add_argument("--calls", type=int, metavar="N", help="serve calls of N rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parameters", type=json.loads, default={})
    parser.add_argument("--source", type=Path, help="the checkout of skmhe to import")
    parser.add_argument("--memory", type=float, help="GiB of data at most")
    args = parser.parse_args()
    if args.memory is not None:
        limit = int(args.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if args.source is not None:
        use_source(args.source)
    if args.calls is not None:
        serve_calls(args)
    else:
        print("\n" + json.dumps(measure(args)))


if __name__ == "__main__":
    main()
