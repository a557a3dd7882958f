"""What a claim is, and how its results become text, a table and a picture."""

import argparse
import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

# Okabe and Ito's colors, which color-blind readers can tell apart, without yellow.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class VerdictError(Exception):
    """The results do not say (any more) what the verdict says."""


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, and how it is tested.

    `run` takes a seed and whether to be quick, and returns a dict of what was measured
    (numbers or arrays of the same shape for every seed). The other functions take
    `Results`: that dict with one more, first axis, of the seeds.
    """

    name: str  # of the module and of the picture
    title: str
    paper: str  # what the paper says
    done: str  # what was done
    caption: str  # of the picture
    n_seeds: int
    run: Callable
    table: Callable  # Markdown
    draw: Callable  # matplotlib's Figure
    check: Callable  # raises VerdictError where what must hold exactly does not
    verdict: Callable  # text; raises VerdictError where it would be wrong


def measure(claims, quick=False, jobs=1):
    """Run all seeds of the claims (one, if quick) and return {name: `Results`}."""
    tasks = [
        (claim, seed)
        for claim in claims
        for seed in range(1 if quick else claim.n_seeds)
    ]
    outcomes = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(claim.run)(seed, quick) for claim, seed in tasks
    )
    runs = {claim.name: [] for claim in claims}
    for (claim, _), outcome in zip(
        tasks, tqdm(outcomes, total=len(tasks)), strict=True
    ):
        runs[claim.name].append(outcome)
    return {name: join(outcomes) for name, outcomes in runs.items()}


def join(runs):
    """Stack what the seeds found; the last seeds may leave out what takes long."""
    return {key: np.array([run[key] for run in runs if key in run]) for key in runs[0]}


def section(claim, results):
    """Return a claim's part of the page; raises VerdictError if it would be wrong."""
    claim.check(results)
    parts = [
        f"## {claim.title}",
        wrap(f"*The paper:* {claim.paper}"),
        wrap(f"*Done:* {claim.done}"),
        claim.table(results),
        f"![{claim.caption}](claims/{claim.name}.png)",
        wrap(claim.verdict(results)),
        f"`python benchmarks/claims/{claim.name}.py`",
    ]
    return "\n\n".join(parts) + "\n"


def wrap(text):
    """Return a paragraph in lines of the length of the other documents'."""
    return textwrap.fill(text, 88, break_long_words=False, break_on_hyphens=False)


def main(claim):
    """Run one claim from the command line: print its part, maybe save its picture."""
    parser = argparse.ArgumentParser(description=claim.title)
    parser.add_argument("--quick", action="store_true", help="one seed, tiny data")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    args = parser.parse_args()
    results = measure([claim], args.quick, args.jobs)[claim.name]
    if args.picture:
        save(claim.draw(results), args.picture)
    if args.quick:
        claim.check(results)
        print(claim.table(results))
    else:
        print(section(claim, results))


# Numbers and tables


def mean_sd(values, digits=1):
    """Return "mean ± standard deviation" over the seeds; no spread of a single one."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    # Spaces where lines do not break.
    return f"{values.mean():.{digits}f}\u00a0±\u00a0{values.std(ddof=1):.{digits}f}"


def points(values, digits=1):
    """Return the mean over the seeds."""
    return f"{np.mean(values):.{digits}f}"


def markdown_table(header, rows):
    """Return a Markdown table of cells that are text already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


# Conditions of verdicts


def require(condition, statement):
    """Raise VerdictError unless what a verdict states is so."""
    if not condition:
        raise VerdictError(f"The results do not say that {statement}.")


def require_more(larger, smaller, statement, by=0.0):
    """Ask that one is larger in every seed, and in the mean by more than `by`."""
    difference = np.asarray(larger) - np.asarray(smaller)
    require(difference.min() > 0 and difference.mean() > by, statement)


def require_near(first, second, within, statement):
    """Ask that the means differ by no more than `within`."""
    difference = np.asarray(first) - np.asarray(second)
    require(abs(difference.mean()) <= within, statement)


# Pictures


def new_figure(n_panels=1, height=3.6, sharey=False):
    """Return a figure of 8 inches width and its panels."""
    figure = Figure(figsize=(8, height), layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False, sharey=sharey)[0]
    for axes in panels:
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def draw_line(axes, x, series, label, i, **style):
    """Draw the means of the seeds with their standard deviation as error bars."""
    series = np.asarray([np.atleast_1d(values) for values in series], dtype=float)
    spread = series.std(axis=1, ddof=1) if series.shape[1] > 1 else None
    style = {"color": COLORS[i], "marker": MARKERS[i], "markersize": 5, **style}
    axes.errorbar(x, series.mean(axis=1), spread, capsize=3, label=label, **style)


def draw_bars(axes, groups, label, i, n_bars):
    """Draw bar i of n_bars of each group: the seeds' mean, and spread as error bar."""
    groups = np.asarray([np.atleast_1d(values) for values in groups], dtype=float)
    spread = groups.std(axis=1, ddof=1) if groups.shape[1] > 1 else None
    width = 0.8 / n_bars
    x = np.arange(len(groups)) + (i - (n_bars - 1) / 2) * width
    axes.bar(
        x,
        groups.mean(axis=1),
        0.92 * width,
        yerr=spread,
        label=label,
        color=COLORS[i],
        capsize=3,
        error_kw={"linewidth": 1},
    )


def draw_legend(figure, n_columns):
    """Put one legend of all panels above them, where it covers nothing."""
    entries = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside upper center",
        ncols=n_columns,
        frameon=False,
    )


def draw_panel_legend(axes, n_columns):
    """Put a legend of one panel above it."""
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    axes.legend(**place, ncols=n_columns, frameon=False)


def save(figure, path):
    """Write a PNG of 960 pixels width, in 64 colors, which are enough for lines."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120, facecolor="white")
    image = Image.open(drawn).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(path, "png", optimize=True)
