"""Count what a checkout of skmhe is made of, and how X and y move through `fit`.

    python benchmarks/structure.py                # this checkout
    python benchmarks/structure.py ../before      # and others, called by their commit

Prints the numbers of constructor parameters of MHEClassifier, of entries at the top of
the package, of lines of its modules in all and of the longest one, and how often X and
y change rooms in a fit of one step: a room is a module whose functions are called with
an array of all samples, or with an object that holds one. The route of each checkout is
recorded in a process of its own. The figures are written to --out, see results.py.
"""

import argparse
import inspect
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from results import REPOSITORY, add_out_argument, commit, print_rows, write

N = 96


def holds_samples(value, depth=0):
    """Tell whether a value is, or holds, an array with a row for each sample."""
    if isinstance(value, np.ndarray) or sp.issparse(value):
        return value.ndim > 0 and value.shape[0] == N
    if isinstance(value, tuple) and depth < 2:
        return any(holds_samples(part, depth + 1) for part in value)
    is_own = type(value).__module__.startswith("skmhe") and depth < 1
    if not is_own or isinstance(value, type):
        return False
    return any(
        holds_samples(p, depth + 1) for p in getattr(value, "__dict__", {}).values()
    )


def rooms_of_fit(folder):
    """Return the modules that X and y pass in a fit, without repetitions in a row."""
    from skmhe import MHEClassifier

    X = sp.random(N, 40, 0.3, format="csr", dtype=np.float32, random_state=0)
    clf = MHEClassifier("sampling", random_state=0, max_iter=1, batch_size=N)
    route = []

    def note(frame, event, _):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(folder)):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        arguments = [frame.f_locals.get(n) for n in names if n not in ("self", "cls")]
        if any(map(holds_samples, arguments)):
            route.append(os.path.relpath(code.co_filename, folder))

    sys.setprofile(note)
    clf.fit(X, np.arange(N) % 12)
    sys.setprofile(None)
    return [room for room, _ in itertools.groupby(route)]


def figures():
    """Return the figures of the skmhe that is imported here."""
    import skmhe

    folder = Path(skmhe.__file__).parent
    lines = [len(p.read_text("utf-8").splitlines()) for p in folder.rglob("*.py")]
    hidden = ("__pycache__", "__init__.py")
    return {
        "parameters": len(inspect.signature(skmhe.MHEClassifier).parameters),
        "entries": sum(path.name not in hidden for path in folder.iterdir()),
        "longest": max(lines),
        "lines": sum(lines),
        "room_changes": len(rooms_of_fit(folder)) - 1,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("others", nargs="*", type=Path, help="roots of other checkouts")
    parser.add_argument("--figures", action="store_true", help=argparse.SUPPRESS)
    add_out_argument(parser, "structure")
    args = parser.parse_args()
    if args.figures:
        print(json.dumps(figures()))
        return
    rows = {}
    for path in [REPOSITORY, *args.others]:
        path = path.resolve()
        done = subprocess.run(
            [sys.executable, __file__, "--figures"],
            env=os.environ | {"PYTHONPATH": str(path)},
            stdout=subprocess.PIPE,
            check=True,
        )
        name = "skmhe" if path == REPOSITORY else f"skmhe@{commit(path) or path.name}"
        rows[name] = json.loads(done.stdout.splitlines()[-1])
    print_rows("package", rows)
    write(args.out, "structure.py", "package", rows, {})


if __name__ == "__main__":
    main()
