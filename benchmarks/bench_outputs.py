"""Time the four ways to ask a fitted estimator: labels, top k, and dense scores.

    python benchmarks/bench_outputs.py FOLDER wnhyp debdeps
    python benchmarks/bench_outputs.py FOLDER wnhyp --compare ../before

Prints samples per second of predict, predict_topk (k = 5), predict_proba and
decision_function, for the first --rows test samples, and how many times as long as
predict_topk a call of the last two takes: their result has a column for each label, so
they cannot be as fast. Each model is fitted once, in a process of its own with two
threads. Then each method is called --rounds times, after a first call that is not
counted; figures are medians.

With --compare PATH, the skmhe of another checkout, such as one of the commit before a
change, is called in the same rounds: the checkouts take turns, call by call. A row with
the ratios of this checkout to the other is added, medians over the rounds: 2.0 is twice
as fast. A model may also be given as skmhe@PATH, see bench_rivals.py. The figures are
written to --out, see results.py.
"""

import argparse
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from bench_rivals import parse_run, worker_command
from results import add_out_argument, print_rows, write

METHODS = ("predict", "predict_topk", "predict_proba", "decision_function")
DENSE = {"proba_to_topk": "predict_proba", "decision_to_topk": "decision_function"}
MODELS = ('skmhe:{"model": "linear"}', "skmhe", 'skmhe:{"strategy": "cascade"}')
# The threads of a process go on waiting, busily, for a while after a call.
PAUSE_S = 0.3


class Worker:
    """A fitted model in a process of its own, whose methods are called from here."""

    def __init__(self, folder, run, n_rows):
        command, environment = worker_command(folder, run, 0, sys.executable)
        self.name = run.name
        self.process = subprocess.Popen(
            [*command, "--calls", str(n_rows)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.fit_s = self.answer()["fit_s"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} failed, see above")
        return json.loads(line)

    def rows_per_s(self, method):
        """Call a method; return how many samples it answered per second."""
        time.sleep(PAUSE_S)
        print(method, file=self.process.stdin, flush=True)
        found = self.answer()
        return found["n_rows"] / found["seconds"]


def call_in_turn(workers, n_rounds):
    """Return samples per second by worker and method, an item for each round."""
    rates = {w.name: {method: [] for method in METHODS} for w in workers}
    # One method after the other: as in a service that is asked again and again, the
    # result of a call, of hundreds of MiB if it is dense, takes the memory of the last.
    for method in METHODS:
        for i in range(-1, n_rounds):
            # Who goes first changes from round to round.
            for worker in workers[:: 1 if i % 2 else -1]:
                rate = worker.rows_per_s(method)
                if i >= 0:
                    rates[worker.name][method].append(rate)
    return rates


def medians(rates):
    """Return the figures of a model from its rates."""
    row = {method: np.median(values) for method, values in rates.items()}
    for figure, method in DENSE.items():
        row[figure] = row["predict_topk"] / row[method]
    return row


def ratios(own, other):
    """Return the median ratios of rates measured in the same rounds, as text."""
    return {
        method: f"{np.median(np.divide(own[method], other[method])):.2f}x"
        for method in METHODS
    }


def run_data(folder, args):
    """Measure all models on a data set; return rows of figures by name."""
    rows = {}
    for run in args.models:
        runs = [run]
        if args.compare is not None:
            model = f"{run.model}@{args.compare}"
            runs.append(parse_run(f"{model}:{json.dumps(run.parameters)}"))
        with ExitStack() as stack:
            workers = []
            for each in runs:
                worker = Worker(folder, each, args.rows)
                workers.append(stack.enter_context(worker))
                print(f"  {each.name}: fit {worker.fit_s:.1f} s", flush=True)
            rates = call_in_turn(workers, args.rounds)
        rows |= {name: medians(found) for name, found in rates.items()}
        if args.compare is not None:
            own, other = rates.values()
            rows[f"{run.name}, ratio"] = ratios(own, other)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument(
        "--models",
        nargs="+",
        type=parse_run,
        default=[parse_run(text) for text in MODELS],
        help="settings of skmhe, see bench_rivals.py",
    )
    parser.add_argument("--rows", type=int, default=2000, help="samples of a call")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each method")
    parser.add_argument("--compare", type=Path, help="root of another checkout")
    add_out_argument(parser, "outputs")
    args = parser.parse_args()
    if any(run.model != "skmhe" for run in args.models):
        parser.error("only skmhe has all four methods")
    for data in args.data:
        rows = run_data(args.folder / data, args)
        print_rows(data, rows)
        settings = {"rows": args.rows, "rounds": args.rounds}
        write(args.out, "bench_outputs.py", data, rows, settings)


if __name__ == "__main__":
    main()
