"""Measure the peak memory of a fit against a bound that follows from the data.

    python benchmarks/bench_memory.py FOLDER wnhyp debdeps wordnet-multilabel delicious

Each fit runs in a process of its own. The bound is 300 MiB, which torch and
scikit-learn take without any data, and three times the bytes of X and y, and those of
the arrays of the fitted model. "excess" is the peak divided by the bound; "before fit"
is what the process takes once the data are loaded, and "estimate" what `fit` expected
its peak to be. --max-iter 2 is enough for the peak, and takes a fifth of the time.
The figures are written to --out, see results.py.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from data import load
from results import add_out_argument, print_rows, write

MODELS = {"default": {}, "linear": {"model": "linear"}}
MIB = 2**20


def peak_mib():
    """Return the peak memory of this process since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def forget_peak():
    """Let the peak begin with the memory that is used now."""
    Path("/proc/self/clear_refs").write_text("5")


def n_bytes(fitted, seen=None):
    """Return the bytes of all arrays that objects hold, each counted once."""
    import numpy as np

    seen = set() if seen is None else seen
    if fitted is None or id(fitted) in seen:
        return 0
    seen.add(id(fitted))
    if isinstance(fitted, np.ndarray):
        return fitted.nbytes if fitted.base is None else n_bytes(fitted.base, seen)
    if hasattr(fitted, "untyped_storage"):  # the base of arrays that came from torch
        return fitted.untyped_storage().nbytes()
    if isinstance(fitted, dict):
        return sum(n_bytes(value, seen) for value in fitted.values())
    if isinstance(fitted, list | tuple):
        return sum(n_bytes(value, seen) for value in fitted)
    return n_bytes(vars(fitted), seen) if hasattr(fitted, "__dict__") else 0


def measure(folder, parameters):
    """Return the figures of one fit in this process."""
    from skmhe import MHEClassifier, MHEMultiLabelClassifier
    from skmhe.training import fit as training

    X, _, y, _ = load(folder)
    cls = MHEClassifier if y.ndim == 1 else MHEMultiLabelClassifier
    forget_peak()
    before = peak_mib()
    estimates, check = [], training.check_memory
    training.check_memory = lambda parts, left: (
        estimates.append(sum(parts.values())) or check(parts, left)
    )
    clf = cls(random_state=0, **parameters).fit(X, y)
    peak = peak_mib()
    data, model = n_bytes([X, y]) / MIB, n_bytes(clf._fitted.model) / MIB
    bound = 300 + 3 * data + model
    return {
        "before_mib": before,
        "peak_mib": peak,
        "data_mib": data,
        "model_mib": model,
        "bound_mib": bound,
        "estimate_mib": before + estimates[0] / MIB,
        "excess": peak / bound,
    }


def measure_apart(folder, parameters):
    """Return the same, measured in a process of its own."""
    call = [sys.executable, __file__, str(folder), "--one", json.dumps(parameters)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        call, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=MODELS)
    parser.add_argument("--max-iter", type=int, help="epochs, instead of the default")
    parser.add_argument("--one", type=json.loads, help="parameters of the only fit")
    add_out_argument(parser, "memory")
    args = parser.parse_args()
    if args.one is not None:
        print("\n" + json.dumps(measure(args.folder, args.one)))
        return
    own = {} if args.max_iter is None else {"max_iter": args.max_iter}
    for data in args.data:
        rows = {
            name: measure_apart(args.folder / data, MODELS[name] | own)
            for name in args.models
        }
        print_rows(data, rows)
        write(args.out, "bench_memory.py", data, rows, own)


if __name__ == "__main__":
    main()
