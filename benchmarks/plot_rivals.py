"""Draw what bench_rivals.py measured: accuracy against each cost.

    python benchmarks/plot_rivals.py benchmarks/results/rivals.json docs/rivals.png
    python benchmarks/plot_rivals.py RESULTS... pareto.svg --costs fit_s --accuracy P@3

A row of panels for each data set, a column for each cost. Up and to the left is better
in each panel: the axis of rows per second is reversed. The settings of skmhe, of one
color and a marker each, are joined by a line. A gray line joins the models, of all,
that no other one beats in both (the Pareto front). A second picture, NAME-dark, is for
dark pages. Needs matplotlib: pip install 'skmhe[bench]'.
"""

import argparse
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from comparison import DEFAULT, is_rival
from matplotlib.ticker import FixedLocator, NullFormatter
from results import read
from tables import NAMES

COSTS = {
    "fit_s": "fit, s",
    "rows_per_s": "predict, rows/s",
    "row_ms": "one row, ms",
    "disk_mib": "model on disk, MiB",
    "peak_mib": "peak memory, MiB",
}
MORE_IS_BETTER = ("rows_per_s",)
STYLES = {"": "default", "-dark": "dark_background"}
OURS = "C0"  # the color of skmhe; the libraries have the others
RIVAL, SETTINGS = "o", "*^sDvP"  # markers
SIZES = {"*": 11}  # in points; of others, 7


def pareto_front(costs, accuracies):
    """Return the positions of the points that no other beats, cheapest first."""
    front, best = [], -np.inf
    for i in np.lexsort((-accuracies, costs)):
        if accuracies[i] > best:
            front.append(i)
            best = accuracies[i]
    return front


def shown_name(name):
    """Return how the legend calls a library, or a setting of skmhe."""
    if name == DEFAULT:
        return "skmhe, default"
    return NAMES.get(name, name).replace("`", "")


def make_styles(names):
    """Return the color and the marker of each library, and of each setting of skmhe."""
    rivals = list(filter(is_rival, names))
    ours = [name for name in names if not is_rival(name)]
    # C0 is skmhe's. Styles have eight colors or more.
    styles = {name: (f"C{1 + i % 7}", RIVAL) for i, name in enumerate(rivals)}
    markers = zip(ours, cycle(SETTINGS), strict=False)
    return {name: (OURS, marker) for name, marker in markers} | styles


def tick_label(value, _):
    """Return a label that leaves room for its neighbors: 20k instead of 20,000."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def draw_panel(axes, table, cost, accuracy, styles):
    """Draw the models of a data set: accuracy against one cost."""
    names = list(table)
    values = np.array([row[cost] for row in table.values()])
    scores = np.array([row[accuracy] for row in table.values()])
    is_reversed = cost in MORE_IS_BETTER
    front = pareto_front(-values if is_reversed else values, scores)
    axes.plot(values[front], scores[front], color="0.6", linewidth=0.8, zorder=1)
    ours = [i for i in np.argsort(values) if not is_rival(names[i])]
    axes.plot(values[ours], scores[ours], color=OURS, linewidth=1.5, zorder=2)
    for name, x, y in zip(names, values, scores, strict=True):
        color, marker = styles[name]
        axes.scatter(
            x, y, color=color, marker=marker, s=SIZES.get(marker, 7) ** 2, zorder=3
        )
    axes.set_xscale("log")
    steps = (1,) if values.max() > 30 * values.min() else (1, 2, 5)
    ticks = np.multiply.outer(10.0 ** np.arange(-3, 7), steps).ravel()
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(tick_label)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(values.min() / 1.3, values.max() * 1.3)
    if is_reversed:
        axes.invert_xaxis()
    axes.grid(alpha=0.3, linewidth=0.5)


def draw(results, accuracy, costs=tuple(COSTS)):
    """Return a figure with a panel for each data set and cost."""
    names = dict.fromkeys(name for table in results.values() for name in table)
    styles = make_styles(names)
    figure, grid = plt.subplots(
        len(results),
        len(costs),
        figsize=(max(5.5, 3.1 * len(costs)), 2.6 * len(results) + 0.6),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for row, (data, table) in zip(grid, results.items(), strict=True):
        for axes, cost in zip(row, costs, strict=True):
            draw_panel(axes, table, cost, accuracy, styles)
        row[0].set_ylabel(f"{data}\n{accuracy}, %")
    for axes, cost in zip(grid[-1], costs, strict=True):
        axes.set_xlabel(COSTS[cost])
    handles = [
        plt.Line2D(
            [],
            [],
            color=color,
            marker=marker,
            markersize=SIZES.get(marker, 7),
            linestyle="",
            label=shown_name(name),
        )
        for name, (color, marker) in styles.items()
    ]
    n_columns = min(len(handles), 2 * len(costs))
    figure.legend(handles=handles, loc="outside upper center", ncols=n_columns)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="JSON of bench_rivals.py")
    parser.add_argument("out", type=Path, help="picture to write, .png or .svg")
    parser.add_argument("--accuracy", default="P@1", help="measure of accuracy")
    parser.add_argument("--costs", nargs="+", choices=COSTS, default=tuple(COSTS))
    args = parser.parse_args()
    results = {}
    for path in args.results:
        entries = read(path)["data"]
        results |= {data: entry["rows"] for data, entry in entries.items()}
    for suffix, style in STYLES.items():
        path = args.out.with_stem(args.out.stem + suffix)
        with plt.style.context(style):
            draw(results, args.accuracy, args.costs).savefig(path, dpi=110)
        print(f"{path}: {len(results)} data sets")


if __name__ == "__main__":
    main()
