"""Measure one model in this process, and print the figures as a line of JSON.

Called by bench_rivals.py, with the Python of the library's environment.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from data import load
from models import MODELS, folder_size

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


def measure(folder, name, seed, parameters, out):
    X, X_test, y, _ = load(folder)
    if sp.issparse(X):  # what all libraries take
        X.sort_indices()
        X_test.sort_indices()
    n_labels = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    model = MODELS[name](n_labels, seed, **parameters)
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
    np.save(out, labels)
    return {
        "fit_s": fitted - start,
        "rows_per_s": len(labels) / (done - fitted),
        "row_ms": 1000 * latency,
        "disk_mib": size,
        "peak_mib": peak,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out", type=Path, help="where to write the predicted labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parameters", type=json.loads, default={})
    parser.add_argument("--memory", type=float, help="GiB of data at most")
    args = parser.parse_args()
    if args.memory is not None:
        limit = int(args.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    figures = measure(args.folder, args.model, args.seed, args.parameters, args.out)
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
