"""Draw what bench_rivals.py measured: accuracy against each cost.

    python benchmarks/plot_rivals.py benchmarks/results/rivals.json docs/rivals.png

A row of panels for each data set, a column for each cost. Up and to the left is better
in each panel: the axis of rows per second is reversed. Models that no other model beats
in both are joined by a line (the Pareto front). Needs matplotlib: pip install
'skmhe[bench]'.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
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


def pareto_front(costs, accuracies):
    """Return the positions of the points that no other beats, cheapest first."""
    front, best = [], -np.inf
    for i in np.lexsort((-accuracies, costs)):
        if accuracies[i] > best:
            front.append(i)
            best = accuracies[i]
    return front


def draw_panel(axes, table, cost, accuracy, colors):
    values = np.array([row[cost] for row in table.values()])
    scores = np.array([row[accuracy] for row in table.values()])
    is_reversed = cost in MORE_IS_BETTER
    front = pareto_front(-values if is_reversed else values, scores)
    axes.plot(values[front], scores[front], color="0.6", linewidth=1, zorder=1)
    for name, x, y in zip(table, values, scores, strict=True):
        marker = "*" if name.startswith("skmhe") else "o"
        size = 130 if marker == "*" else 45
        axes.scatter(x, y, color=colors[name], marker=marker, s=size, zorder=2)
    axes.set_xscale("log")
    steps = (1,) if values.max() > 30 * values.min() else (1, 2, 5)
    ticks = np.multiply.outer(10.0 ** np.arange(-3, 7), steps).ravel()
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(values.min() / 1.3, values.max() * 1.3)
    if is_reversed:
        axes.invert_xaxis()
    axes.grid(alpha=0.3, linewidth=0.5)


def draw(results, accuracy):
    """Return a figure with a panel for each data set and cost."""
    names = list(dict.fromkeys(name for table in results.values() for name in table))
    colors = {name: f"C{i}" for i, name in enumerate(names)}
    figure, grid = plt.subplots(
        len(results),
        len(COSTS),
        figsize=(3.1 * len(COSTS), 2.6 * len(results) + 0.6),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for row, (data, table) in zip(grid, results.items(), strict=True):
        for axes, cost in zip(row, COSTS, strict=True):
            draw_panel(axes, table, cost, accuracy, colors)
        row[0].set_ylabel(f"{data}\n{accuracy}, %")
    for axes, title in zip(grid[-1], COSTS.values(), strict=True):
        axes.set_xlabel(title)
    handles = [
        plt.Line2D(
            [],
            [],
            color=color,
            marker="*" if name.startswith("skmhe") else "o",
            markersize=11 if name.startswith("skmhe") else 7,
            linestyle="",
            label=NAMES.get(name, name).replace("`", ""),
        )
        for name, color in colors.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="JSON of bench_rivals.py")
    parser.add_argument("out", type=Path, help="picture to write, .png or .svg")
    parser.add_argument("--accuracy", default="P@1", help="measure of accuracy")
    args = parser.parse_args()
    results = {}
    for path in args.results:
        entries = read(path)["data"]
        results |= {data: entry["rows"] for data, entry in entries.items()}
    draw(results, args.accuracy).savefig(args.out, dpi=110)
    print(f"{args.out}: {len(results)} data sets")


if __name__ == "__main__":
    main()
