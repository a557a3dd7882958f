"""Time fits and predictions on one and on two threads, alone and on a busy machine.

    python benchmarks/bench_threads.py
    python benchmarks/bench_threads.py --problems tiny large --rounds 9 --out -

A problem is a fit of one epoch in batches of the rows that are named, the fit of the
default (network and linear classifiers, three epochs), or a call of predict. Each is
timed on one thread, on two as skmhe uses them, and with two threads for all work, as
torch would divide it. Each of the three has a process of its own. They take turns, call
by call, once while nothing else runs and once while another process, which is stopped
and continued, keeps one core busy. All ratios are medians over the rounds of ratios of
calls of the same round:

- "2 threads / 1" of the same part;
- "busy / alone": the time beside the busy process and without it, of skmhe on two
  threads. At most 2.5 is wanted;
- "always 2, busy / alone": the same if all work had two threads.

The figures are written to --out, see results.py; `--shared` notes that other work ran
meanwhile.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from results import REPOSITORY, add_out_argument, print_rows, write

# OpenMP's threads wait, busily, for a while after a call.
PAUSE_S = 0.1
BUSY = "while True: pass"
STATES = ("alone", "beside a busy process")
THREADS = {"one": 1, "two": 2, "always two": 2}


class Problem(NamedTuple):
    """What is timed: a fit of a network by default."""

    n_samples: int
    n_features: int
    n_labels: int
    model: str = "network"
    n_predicted: int = 0  # samples, in place of the fit
    batch_size: int = 16
    n_epochs: int = 1
    n_stored: int | None = None  # features of a sample that are not 0; None: all

    @property
    def name(self):
        what = "predict" if self.n_predicted else "fit"
        kind = f", model={self.model!r}" if self.model != "network" else ""
        n_rows = self.batch_size if self.model == "network" else self.n_samples
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
    "whole": Problem(6000, 5000, 1000, "both", 0, 256, n_epochs=3, n_stored=20),
    "predict-row": Problem(1000, 400, 200, n_predicted=1),
    "predict-some": Problem(1000, 400, 200, n_predicted=100),
    "predict-many": Problem(2000, 400, 200, n_predicted=2000),
    "predict-whole": Problem(
        6000, 5000, 1000, "both", 6000, 256, n_epochs=3, n_stored=20
    ),
}


def always_all_threads():
    """Let all work have all threads, which divide each operation."""
    from skmhe.scorers import model, scoring
    from skmhe.scorers.linear import fit
    from skmhe.training import step_threads

    for module in (model, fit):
        module.threads_for = lambda *_: nullcontext()
    scoring.shared_out = lambda function, parts, _: [function(part) for part in parts]
    step_threads.StepThreads.step = lambda *_: nullcontext()


def make_rows(problem, rng):
    """Return samples, sparse where most of their features are 0."""
    n, d = problem.n_samples, problem.n_features
    if problem.n_stored is None:
        return rng.rand(n, d).astype(np.float32)
    values = rng.rand(n * problem.n_stored).astype(np.float32)
    columns = rng.randint(d, size=len(values))
    starts = np.arange(n + 1) * problem.n_stored
    X = sp.csr_matrix((values, columns, starts), shape=(n, d))
    X.sum_duplicates()
    return X


def make_call(problem):
    """Return a function to time."""
    from skmhe import MHEClassifier

    X = make_rows(problem, np.random.RandomState(0))
    y = np.arange(problem.n_samples) % problem.n_labels
    settings = {"batch_size": problem.batch_size, "max_iter": problem.n_epochs}
    settings |= {"device": "cpu"}
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


class BusyProcess:
    """A process that keeps one core busy, if it is not stopped."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", BUSY])
        self.set_state(STATES[0])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def set_state(self, state):
        is_busy = state != STATES[0]
        self.process.send_signal(signal.SIGCONT if is_busy else signal.SIGSTOP)


def measure(name, workers, busy, n_rounds):
    """Return the seconds of each state and each kind of worker, one of each round."""
    for worker in workers.values():
        worker.seconds(name)  # makes it, too
    seconds = {(state, kind): [] for state in STATES for kind in workers}
    for i in range(n_rounds):
        # Who goes first changes from round to round.
        for state, kind in list(seconds)[:: 1 if i % 2 else -1]:
            busy.set_state(state)
            seconds[state, kind].append(workers[kind].seconds(name))
    busy.set_state(STATES[0])
    return {key: np.array(times) for key, times in seconds.items()}


def figures(name, seconds):
    """Return the figures of a problem in each state."""
    n_calls = max(1, 200 // PROBLEMS[name].n_predicted) if "predict" in name else 1
    rows = {}
    for state in STATES:
        one, two, always = (seconds[state, kind] for kind in THREADS)
        rows[state] = {
            "one_thread_ms": 1000 * np.median(one) / n_calls,
            "two_to_one": np.median(two / one),
            "always_two_to_one": np.median(always / one),
        }
    alone, beside = (
        {kind: seconds[state, kind] for kind in THREADS} for state in STATES
    )
    rows[STATES[1]] |= {
        "busy_to_alone": np.median(beside["two"] / alone["two"]),
        "always_busy_to_alone": np.median(beside["always two"] / alone["always two"]),
    }
    return rows


def run(names, n_rounds):
    """Return rows of figures by state and the name of the problem."""
    rows = {state: {} for state in STATES}
    with ExitStack() as stack:
        workers = {kind: stack.enter_context(Worker(kind)) for kind in THREADS}
        busy = stack.enter_context(BusyProcess())
        for name in names:
            measured = figures(name, measure(name, workers, busy, n_rounds))
            for state, row in measured.items():
                rows[state][PROBLEMS[name].name] = row
            ratios = measured[STATES[1]]
            ours, always = ratios["busy_to_alone"], ratios["always_busy_to_alone"]
            text = f"busy / alone {ours:.2f}, of always 2 {always:.2f}"
            print(f"  {name}: {text}", flush=True)
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
    for state, rows in run(args.problems, args.rounds).items():
        print_rows(state, rows)
        write(args.out, "bench_threads.py", state, rows, settings)


if __name__ == "__main__":
    main()
