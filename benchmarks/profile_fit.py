"""Print where the time of fit goes, by function.

    python benchmarks/profile_fit.py FOLDER/wnhyp '{"max_iter": 2}'

FOLDER/wnhyp is a data set in the form that data.py describes. Parameters of the
estimator are optional; nested ones have the names that set_params takes. Threads fit
the linear classifiers, which a profile does not see: their time shows as waiting for a
lock.
"""

import argparse
import cProfile
import json
import pstats
from pathlib import Path

from bench_accuracy import make_estimator
from data import load


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("parameters", type=json.loads, nargs="?", default={})
    parser.add_argument("--rows", type=int, default=20, help="functions to print")
    args = parser.parse_args()
    X, _, y, _ = load(args.folder)
    clf = make_estimator(y, 0, args.parameters)
    with cProfile.Profile() as profile:
        clf.fit(X, y)
    stats = pstats.Stats(profile).strip_dirs()
    print(f"fit: {stats.total_tt:.1f} s")
    print(f"{'own s':>8}{'calls':>9}  function")
    rows = sorted(stats.stats.items(), key=lambda item: -item[1][2])[: args.rows]
    for (file, line, name), (_, n_calls, own, *_) in rows:
        where = f"{file}:{line}({name})" if line else name
        print(f"{own:>8.2f}{n_calls:>9}  {where[:70]}")


if __name__ == "__main__":
    main()
