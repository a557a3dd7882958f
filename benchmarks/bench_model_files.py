"""Measure how long model files take to load, and to predict a first row.

    OMP_NUM_THREADS=1 python benchmarks/bench_model_files.py --labels 100000 1000000

Nothing is fitted: the models are those of bench_row.py, of random weights in the
numbers that a fit would leave. Each is written to --folder by joblib and by
`skmhe.io.save`, in 16 and in 32 bits. Each way to load is measured in a process of its
own, with all modules imported, the file in the cache of the system (--cold drops it
before, if the machine allows that): seconds of loading, and of loading and
`predict_topk(x, k=5)` for one row; how much memory the process then holds more than
before (MiB; "private" is without what is mapped of the file, which others share, and
which the system may take back), the most that it held, and the size of the file. The
predictions of all ways are compared with those of the model itself. The figures are
written to --out, see results.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
from bench_memory import forget_peak, peak_mib
from bench_row import MODELS, TARGETS, make_estimator, make_rows
from results import add_out_argument, print_rows, write

import skmhe.io

MIB = 2**20
# How each file is written, and how it is loaded.
FILES = {
    "joblib": lambda clf, path: joblib.dump(clf, path),
    "16 bits": lambda clf, path: skmhe.io.save(clf, path),
    "32 bits": lambda clf, path: skmhe.io.save(clf, path, compact=False),
}
WAYS = {
    "joblib": ("joblib", joblib.load),
    "load": ("16 bits", skmhe.io.load),
    "load, 32 bits": ("32 bits", skmhe.io.load),
    "load, mmap": ("16 bits", lambda path: skmhe.io.load(path, mmap=True)),
    "load, mmap, 32 bits": ("32 bits", lambda path: skmhe.io.load(path, mmap=True)),
    "load, mmap, 32 bits, verify": (
        "32 bits",
        lambda path: skmhe.io.load(path, mmap=True, verify=True),
    ),
}


def resident_mib(field):
    """Return a number of this process's memory: VmRSS, or RssAnon."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields[field].split()[0]) / 1024


def measure(way, path, n_labels, n_features):
    """Return the figures of one way to load a file, and its predictions."""
    x = make_rows(1, n_labels, n_features, seed=1)
    # What is imported or made at the first call of anything, whatever the model is.
    make_estimator("default", 100, n_features).predict_topk(x, 5)
    before = {field: resident_mib(field) for field in ("VmRSS", "RssAnon")}
    forget_peak()
    start = time.perf_counter()
    clf = WAYS[way][1](path)
    loaded = time.perf_counter()
    labels, probabilities = clf.predict_topk(x, 5)
    end = time.perf_counter()
    figures = {
        "load_s": loaded - start,
        "first_row_s": end - start,
        "held_mib": resident_mib("VmRSS") - before["VmRSS"],
        "private_mib": resident_mib("RssAnon") - before["RssAnon"],
        "most_held_mib": peak_mib() - before["VmRSS"],
        "file_mib": path.stat().st_size / MIB,
    }
    return figures, [labels.tolist(), probabilities.tolist()]


def drop_from_cache(path):
    """Let the next one who reads a file read it from the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_apart(way, path, args, n_labels):
    """Return the same, measured in a process of its own."""
    own = {"way": way, "path": str(path), "n_labels": n_labels}
    call = [sys.executable, __file__, "--features", str(args.features)]
    if args.cold:
        drop_from_cache(path)
    done = subprocess.run(
        [*call, "--one", json.dumps(own)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure_model(name, n_labels, args):
    """Return the figures of all ways to load a model."""
    clf = make_estimator(name, n_labels, args.features, TARGETS[args.target])
    x, rows = make_rows(1, n_labels, args.features, seed=1), {}
    expected = clf.predict_topk(x, 5)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for kind, save in FILES.items():
            path = Path(folder, "model")
            start = time.perf_counter()
            save(clf, path)
            saved = time.perf_counter() - start
            for way, (of, _) in WAYS.items():
                if of != kind:
                    continue
                figures, found = measure_apart(way, path, args, n_labels)
                for one, other in zip(expected, found, strict=True):
                    assert np.array_equal(one, other), way
                rows[f"{name}, {way}"] = figures | {"save_s": saved}
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[10**5, 10**6])
    parser.add_argument("--features", type=int, default=10**5)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=MODELS)
    parser.add_argument("--target", choices=list(TARGETS), default="one label")
    parser.add_argument("--folder", type=Path, help="where the files are written")
    parser.add_argument("--cold", action="store_true", help="read from the disk")
    parser.add_argument("--one", type=json.loads, help="the only way to measure")
    add_out_argument(parser, "model_files")
    args = parser.parse_args()
    if args.one is not None:
        way, path, n_labels = args.one.values()
        print("\n" + json.dumps(measure(way, Path(path), n_labels, args.features)))
        return
    settings = {"features": args.features, "target": args.target, "cold": args.cold}
    for n_labels in args.labels:
        rows = {}
        for name in args.models:
            rows |= measure_model(name, n_labels, args)
        print_rows(f"{n_labels:,}", rows)
        write(args.out, "bench_model_files.py", f"{n_labels:,}", rows, settings)


if __name__ == "__main__":
    main()
