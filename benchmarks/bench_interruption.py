"""Interrupt fits by Ctrl-C at random moments, and score what they leave.

    python benchmarks/bench_interruption.py
    python benchmarks/bench_interruption.py --moments 5 --model network

Each moment is a fit of its own to 2,000 samples of 40 classes, which SIGINT reaches
after a random part of the time that a whole fit takes; then n_iter_ is printed, and the
accuracy on other samples. One that comes before training, during the linear classifiers
for example, leaves the estimator as it was: not fitted. The figures are written to
--out, see results.py.
"""

import argparse
import os
import signal
import threading
import time
import warnings

import numpy as np
from results import add_out_argument, print_rows, write
from sklearn.datasets import make_classification

from skmhe import MHEClassifier

N_EPOCHS = 30


def make(model):
    """Return an estimator that trains for `N_EPOCHS`, whatever the loss does."""
    return MHEClassifier(
        "cascade",
        model=model,
        hidden_layer_sizes=(128,),
        max_iter=N_EPOCHS,
        n_iter_no_change=N_EPOCHS,
        random_state=0,
        device="cpu",
    )


def interrupted(model, data, moment):
    """Return an estimator, and what was said, after SIGINT at a moment in seconds."""
    clf = make(model)
    timer = threading.Timer(moment, os.kill, (os.getpid(), signal.SIGINT))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        timer.start()
        try:
            clf.fit(*data)
            if not said:  # the fit was faster than usual, the signal is on its way
                timer.cancel()
                timer.join()
        except KeyboardInterrupt:
            said = ["KeyboardInterrupt"]
    return clf, said


def main():
    """Print and write n_iter_ and the accuracy after each interruption."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["both", "network"])
    parser.add_argument("--moments", type=int, default=20)
    add_out_argument(parser, "interruption")
    args = parser.parse_args()
    X, y = make_classification(
        4000, 60, n_informative=20, n_classes=40, n_clusters_per_class=1, random_state=0
    )
    data, test = (X[:2000], y[:2000]), (X[2000:], y[2000:])
    for model in args.model:
        make(model).fit(*data)
        start = time.perf_counter()
        whole = make(model).fit(*data)
        seconds = time.perf_counter() - start
        rows = {"never": {"epochs": whole.n_iter_, "P@1": percent(whole, test)}}
        moments = np.sort(np.random.RandomState(0).uniform(0, 1, args.moments))
        for share in moments:
            clf, said = interrupted(model, data, share * seconds)
            name = f"after {100 * share:.1f}% of the time"
            if not hasattr(clf, "classes_"):
                rows[name] = {"epochs": 0}
            else:
                assert said or clf.n_iter_ == N_EPOCHS
                rows[name] = {"epochs": clf.n_iter_, "P@1": percent(clf, test)}
        print_rows(model, rows)
        write(args.out, "bench_interruption.py", model, rows, {"epochs": N_EPOCHS})


def percent(clf, test):
    """Return the accuracy in percent."""
    return 100 * clf.score(*test)


if __name__ == "__main__":
    main()
