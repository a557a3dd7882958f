"""Time fits and predictions on one and on two threads, alone and on a busy machine.

    python benchmarks/bench_threads.py
    python benchmarks/bench_threads.py --problems tiny large --rounds 9 --out -

Prints for each problem, a fit of one epoch in batches of the rows that are named or a
call of predict, the time on one thread, and how many times as long it takes on
two: as skmhe does it, which uses one thread for small work, and with two threads for
all work. Each of the three has a process of its own. They take turns, call by call, and
ratios are medians over the rounds of the ratios of calls that followed one another.
Then the same is measured while another process keeps one core busy. The figures are
written to --out, see results.py; `--shared` notes that other work ran meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext
from typing import NamedTuple

import numpy as np
from results import REPOSITORY, add_out_argument, print_rows, write

# OpenMP's threads wait, busily, for a while after a call.
PAUSE_S = 0.1
BUSY = "while True: pass"
THREADS = {"one": 1, "two": 2, "always two": 2}


class Problem(NamedTuple):
    """What is timed: a fit of a network by default."""

    n_samples: int
    n_features: int
    n_labels: int
    model: str = "network"
    n_predicted: int = 0  # samples, in place of the fit
    batch_size: int = 16

    @property
    def name(self):
        what = "predict" if self.n_predicted else "fit"
        kind = f", model={self.model!r}" if self.model != "network" else ""
        n_rows = self.n_samples if self.model == "linear" else self.batch_size
        n_rows = self.n_predicted or n_rows
        size = f"{n_rows:,} x {self.n_features}, {self.n_labels:,} labels"
        return f"{what}{kind}: {size}"


PROBLEMS = {
    "tiny": Problem(150, 4, 3),
    "small": Problem(500, 64, 10),
    "medium": Problem(1000, 400, 200, batch_size=100),
    "large": Problem(2000, 400, 1000, batch_size=250),
    "largest": Problem(5120, 400, 1000, batch_size=1024),
    "linear-tiny": Problem(150, 4, 3, "linear"),
    "linear-medium": Problem(2000, 400, 50, "linear"),
    "linear-large": Problem(8000, 400, 200, "linear"),
    "predict-row": Problem(1000, 400, 200, n_predicted=1),
    "predict-some": Problem(1000, 400, 200, n_predicted=100),
    "predict-many": Problem(2000, 400, 200, n_predicted=2000),
}


def always_all_threads():
    """Let all work have all threads."""
    from skmhe.scorers import model
    from skmhe.scorers.linear import fit
    from skmhe.training import loop

    for module in (model, fit, loop):
        module.threads_for = lambda *_: nullcontext()


def make_call(problem):
    """Return a function to time."""
    from skmhe import MHEClassifier

    rng = np.random.RandomState(0)
    X = rng.rand(problem.n_samples, problem.n_features).astype(np.float32)
    y = np.arange(problem.n_samples) % problem.n_labels
    settings = {"batch_size": problem.batch_size, "max_iter": 1, "device": "cpu"}
    clf = MHEClassifier("full", model=problem.model, random_state=0, **settings)
    if not problem.n_predicted:
        return lambda: clf.fit(X, y)
    clf.fit(X, y)
    # As many calls as take a few milliseconds.
    n_calls, X = max(1, 200 // problem.n_predicted), X[: problem.n_predicted]

    def predict():
        for _ in range(n_calls):
            clf.predict(X)

    return predict


def work(kind):
    """Time what is asked for on standard input, in a process of its own."""
    if kind == "always two":
        always_all_threads()
    made = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in made:
            made[name] = make_call(PROBLEMS[name])
            made[name]()
        start = time.perf_counter()
        made[name]()
        print(json.dumps(time.perf_counter() - start), flush=True)


class Worker:
    """A process with some threads."""

    def __init__(self, kind):
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        threads = {"OMP_NUM_THREADS": str(THREADS[kind]), "PYTHONPATH": path}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", kind],
            env=os.environ | threads,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def seconds(self, name):
        time.sleep(PAUSE_S)
        print(name, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{name} failed, see above")
        return json.loads(line)


def measure(name, workers, n_rounds):
    """Return the figures of a problem."""
    for worker in workers.values():
        worker.seconds(name)  # makes it, too
    seconds = {kind: [] for kind in workers}
    for i in range(n_rounds):
        # Who goes first changes from round to round.
        for kind in list(workers)[:: 1 if i % 2 else -1]:
            seconds[kind].append(workers[kind].seconds(name))
    one, two, always = (np.array(seconds[kind]) for kind in THREADS)
    n_calls = max(1, 200 // PROBLEMS[name].n_predicted) if "predict" in name else 1
    return {
        "one_thread_ms": 1000 * np.median(one) / n_calls,
        "two_to_one": np.median(two / one),
        "always_two_to_one": np.median(always / one),
    }


def run(names, n_rounds, is_busy):
    """Return rows of figures by the name of the problem."""
    rows = {}
    with ExitStack() as stack:
        workers = {kind: stack.enter_context(Worker(kind)) for kind in THREADS}
        if is_busy:
            busy = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        for name in names:
            rows[PROBLEMS[name].name] = measure(name, workers, n_rounds)
            print(f"  {name} measured", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shared", action="store_true", help="the machine is")
    parser.add_argument("--worker", choices=THREADS, help=argparse.SUPPRESS)
    add_out_argument(parser, "threads")
    args = parser.parse_args()
    if args.worker:
        work(args.worker)
        return
    settings = {"rounds": args.rounds}
    if args.shared:
        settings["machine"] = "shared with other work"
    for data in ("alone", "beside a busy process"):
        rows = run(args.problems, args.rounds, data != "alone")
        print_rows(data, rows)
        write(args.out, "bench_threads.py", data, rows, settings)


if __name__ == "__main__":
    main()
