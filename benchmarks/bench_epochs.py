"""Print the validation score after each epoch: whether a fit could end earlier.

    python benchmarks/bench_epochs.py FOLDER bibtex clinc150 wnhyp

The default holds out no samples to stop by. Here a tenth of the training samples is
held out (`early_stopping`), and all epochs are run. For each data set, prints the share
of these samples whose first predicted label is true after each epoch, by the network
(and the centroids that it completes), the epoch of the best one, and what would be lost
if training had ended after the first epoch that gained less than a tenth of a point.
The figures are written to --out, see results.py.
"""

import argparse
from pathlib import Path

from bench_accuracy import make_estimator
from data import load
from results import add_out_argument, print_rows, write

SMALL_GAIN = 0.001


def stopped_at(scores):
    """Return the epoch, from 1, that gained little on the best one before."""
    for epoch in range(1, len(scores)):
        if scores[epoch] < max(scores[:epoch]) + SMALL_GAIN:
            return epoch + 1
    return len(scores)


def measure(folder):
    X, _, y, _ = load(folder)
    parameters = {"early_stopping": True, "n_iter_no_change": 1000}
    clf = make_estimator(y, 0, parameters).fit(X, y)
    scores = list(clf.validation_scores_)
    stop, best = stopped_at(scores), max(scores)
    return {
        "epochs": len(scores),
        "best_epoch": 1 + scores.index(best),
        "last_score": 100 * scores[-1],
        "stop_epoch": stop,
        "lost": 100 * (best - max(scores[:stop])),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    add_out_argument(parser, "epochs")
    args = parser.parse_args()
    for data in args.data:
        rows = {"default": measure(args.folder / data)}
        print_rows(data, rows)
        write(args.out, "bench_epochs.py", data, rows, {})


if __name__ == "__main__":
    main()
