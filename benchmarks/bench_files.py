"""Read and write a file of the extreme classification repository; MB/s and memory.

    python benchmarks/bench_files.py --megabytes 1000 --folder /tmp

The data are generated (`make_extreme_classification`), with the rows repeated until the
file has about as many megabytes. Each row of the table is one call in a process of its
own: dump_xmc; load_xmc of this file, and of the file compressed by gzip; and
scikit-learn's load_svmlight_file(multilabel=True) and dump_svmlight_file, of the same
lines without a header. Shown are the seconds, of the clock and of the processor, the
megabytes of the text (not compressed) per second, and the most memory that the call
added to what the process had before, as a multiple of the text's size; of the readers,
this includes what they return. The figures are written to --out, see results.py. Needs
Linux.
"""

import argparse
import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from results import add_out_argument, print_rows, write
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from skmhe.datasets import dump_xmc, load_xmc, make_extreme_classification

N_SAMPLES, N_FEATURES, N_LABELS = 20_000, 200_000, 30_000


def write_data(folder, megabytes):
    """Write the files that are read, and the matrices that are written."""
    problem = make_extreme_classification(
        N_SAMPLES, N_FEATURES, N_LABELS, n_noise=40, random_state=0
    )
    X, Y = problem.data, problem.target
    # As values of tf-idf: all of them different.
    X.data *= np.random.default_rng(0).random(X.nnz, dtype=np.float32)
    dump_xmc(X, Y, folder / "part")
    n_times = max(1, round(megabytes * 1e6 / (folder / "part").stat().st_size))
    X, Y = (sp.vstack([matrix] * n_times, format="csr") for matrix in (X, Y))
    sp.save_npz(folder / "X.npz", X, compressed=False)
    sp.save_npz(folder / "Y.npz", Y, compressed=False)
    dump_xmc(X, Y, folder / "file")
    with open(folder / "file", "rb") as text:
        header_length = len(text.readline())
        with open(folder / "file.svmlight", "wb") as lines:
            shutil.copyfileobj(text, lines)
        text.seek(0)
        with gzip.open(folder / "file.gz", "wb", 6) as compressed:
            shutil.copyfileobj(text, compressed)
    assert header_length < 30


def matrices(folder):
    return (sp.load_npz(folder / f"{name}.npz") for name in "XY")


CALLS = {
    "dump_xmc": lambda folder, X, Y: dump_xmc(X, Y, folder / "out"),
    "dump_svmlight_file": lambda folder, X, Y: dump_svmlight_file(
        X, Y, str(folder / "out"), multilabel=True
    ),
    "load_xmc": lambda folder: load_xmc(folder / "file"),
    "load_xmc, gzip": lambda folder: load_xmc(folder / "file.gz"),
    "load_svmlight_file": lambda folder: load_svmlight_file(
        str(folder / "file.svmlight"), dtype=np.float32, multilabel=True
    ),
}


def peak_mib():
    """Return the most memory that this process has had; not that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**10


def measure(folder, name):
    """Print the seconds of a call, those of the processor, and the MiB it added."""
    args = [*matrices(folder)] if name.startswith("dump") else []
    before, start, cpu_start = peak_mib(), time.perf_counter(), time.process_time()
    CALLS[name](folder, *args)
    seconds = time.perf_counter() - start, time.process_time() - cpu_start
    print(json.dumps([*seconds, peak_mib() - before]))


def main():
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=1000, help="of the text")
    parser.add_argument(
        "--folder", type=Path, help="where to write; default: temporary"
    )
    parser.add_argument("--calls", nargs="+", default=list(CALLS), choices=CALLS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    add_out_argument(parser, "files")
    args = parser.parse_args()
    if args.worker:
        measure(args.folder, args.worker)
        return
    rows = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary)
        write_data(folder, args.megabytes)
        size = (folder / "file").stat().st_size
        for name in args.calls:
            command = [sys.executable, __file__, "--folder", folder, "--worker", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, cpu_seconds, mib = json.loads(done.stdout)
            rows[name] = {
                "call_s": seconds,
                "cpu_s": cpu_seconds,
                "mb_per_s": size / 1e6 / seconds,
                "added_mib": mib,
                "added_to_file": mib * 2**20 / size,
            }
            print(f"  {name}: {rows[name]}", flush=True)
    data = f"{size / 1e6:,.0f} MB"
    print_rows(data, rows)
    write(args.out, "bench_files.py", data, rows, {"labels": N_LABELS})


if __name__ == "__main__":
    main()
