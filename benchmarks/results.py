"""Result files of the benchmarks, and how their figures are shown.

A result file, benchmarks/results/NAME.json, holds the figures that one benchmark
measured, by data set:

    {"benchmark": "bench_rivals.py",
     "data": {"wnhyp": {"machine": {...}, "settings": {"repeats": 3},
                        "rows": {"skmhe": {"P@1": 52.33, "fit_s": 41.3, ...}, ...}}}}

A run replaces the data sets that it measured as a whole and keeps the others: all rows
of a data set come from one run, so their times can be compared. tables.py makes the
tables of the documents from these files.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "benchmarks" / "results"
NO_FILE = Path("-")

# Numbers of rows of a call, of bench_row.py.
BATCHES = (16, 256, 4096)

# For each figure: the title of its column, and how it is written.
COLUMNS = {
    **{
        f"{name}@{k}": (f"{name}@{k}", ".2f")
        for name in ("P", "PSP")
        for k in (1, 3, 5)
    },
    "nDCG@5": ("nDCG@5", ".2f"),
    "ECE": ("ECE", ".2f"),
    "fit_s": ("fit s", ",.1f"),
    "fit_ratio": ("fit, ratio", ".1f"),
    "step_ms": ("ms per step", ",.1f"),
    "rows_per_s": ("rows/s", ",.0f"),
    "row_ms": ("ms per row", ".2f"),
    "disk_mib": ("disk MiB", ",.1f"),
    "peak_mib": ("peak MiB", ",.0f"),
    # bench_memory.py
    "before_mib": ("before fit, MiB", ",.0f"),
    "data_mib": ("X and y, MiB", ",.1f"),
    "model_mib": ("model, MiB", ",.1f"),
    "estimate_mib": ("estimate, MiB", ",.0f"),
    "bound_mib": ("bound, MiB", ",.0f"),
    "excess": ("peak / bound", ".2f"),
    # bench_files.py
    "call_s": ("s", ",.1f"),
    "mb_per_s": ("MB/s", ",.0f"),
    "added_mib": ("memory added, MiB", ",.0f"),
    "added_to_file": ("memory / file", ".2f"),
    # bench_model_files.py
    "load_s": ("load s", ".3f"),
    "first_row_s": ("load and first row s", ".3f"),
    "held_mib": ("held, MiB", ",.0f"),
    "private_mib": ("private, MiB", ",.0f"),
    "most_held_mib": ("most held, MiB", ",.0f"),
    "file_mib": ("file MiB", ",.0f"),
    "save_s": ("save s", ".2f"),
    # structure.py
    "parameters": ("parameters", ".0f"),
    "entries": ("entries at the top", ".0f"),
    "longest": ("longest module, lines", ".0f"),
    "lines": ("lines", ",.0f"),
    "room_changes": ("changes of room in fit", ".0f"),
    # bench_outputs.py
    "predict": ("predict", ",.0f"),
    "predict_topk": ("predict_topk", ",.0f"),
    "predict_proba": ("predict_proba", ",.0f"),
    "decision_function": ("decision_function", ",.0f"),
    "proba_to_topk": ("time of predict_proba / predict_topk", ".1f"),
    "decision_to_topk": ("time of decision_function / predict_topk", ".1f"),
    # bench_row.py
    "least_ms": ("least", ".2f"),
    "predict_ms": ("ms per row, predict", ".2f"),
    "predict_least_ms": ("least, predict", ".2f"),
    "threads_gain": ("rows/s, threads / one", ".2f"),
    **{f"batch_{n}_ms": (f"ms, {n:,} rows", ",.1f") for n in BATCHES},
    # bench_threads.py
    "one_thread_ms": ("ms on 1 thread", ",.1f"),
    "two_to_one": ("2 threads / 1", ".2f"),
    "always_two_to_one": ("always 2 / 1", ".2f"),
    "busy_to_alone": ("busy / alone", ".2f"),
    "always_busy_to_alone": ("always 2, busy / alone", ".2f"),
    # comparison.py
    **{f"{name}_ahead": (name, "+.2f") for name in ("P@1", "P@3", "P@5", "PSP@5")},
    "fit_to_fastest": ("fit / its fit", ".1f"),
    "linear_to_pecos": ("linear, fit / PECOS", ".2f"),
    "linear_ahead_pecos": ("linear, P@1 - PECOS", "+.2f"),
    "linear_ahead_svc": ("linear, P@1 - LinearSVC", "+.2f"),
    # bench_epochs.py
    "best_epoch": ("best epoch", ".0f"),
    "last_score": ("P@1 of the last", ".2f"),
    "stop_epoch": ("stopped at", ".0f"),
    "lost": ("lost by that", ".2f"),
    # bench_step.py
    "part_ms": ("ms", ".2f"),
    "least_part_ms": ("least ms", ".2f"),
    "to_least": ("ms / least", ".1f"),
    "mega_operations": ("million multiply-adds", ",.0f"),
    "mega_bytes": ("MB", ",.1f"),
    # bench_linear.py
    "steps": ("steps", ".0f"),
    "cpu_s": ("CPU s", ".2f"),
    # bench_splits.py
    "LD": ("LD", ".1e"),
    "ED": ("ED", ",.1f"),
    "lost_labels": ("labels lost, %", ".2f"),
    "empty_pairs": ("no test sample, %", ".2f"),
    # bench_thresholds.py
    "micro_F1": ("micro F1", ".2f"),
    "macro_F1": ("macro F1", ".2f"),
    "samples_F1": ("example F1", ".2f"),
    "threshold": ("threshold", ".3f"),
    # bench_devices.py
    **{
        f"{device}_{cost}_s": (f"{cost} s, {title}", ",.2f")
        for cost in ("epoch", "predict", "fit")
        for device, title in (("cpu", "processor"), ("cuda", "GPU"))
    },
    **{
        f"{cost}_s_ratio": (f"{cost}, ratio", ".1f")
        for cost in ("epoch", "predict", "fit")
    },
    # bench_new_labels.py, bench_search.py, bench_pools.py
    "new_R@10": ("new R@10", ".2f"),
    "other_R@10": ("other R@10", ".2f"),
    "add_s": ("add s", ".3f"),
    "build_s": ("build s", ".1f"),
    "search_s": ("search s", ".1f"),
    "recall@20": ("recall@20", ".3f"),
    "epochs": ("epochs", ".0f"),
    "classifier_P@1": ("classifier", ".2f"),
    "encoder_P@1": ("encoder", ".2f"),
}


def cpu_model():
    """Return the name of the processor."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def n_cores():
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def commit(folder=REPOSITORY):
    """Return the commit of a checkout, with "+" if its package differs from it.

    Returns
    -------
    str or None
        None if the folder is not a Git checkout.
    """
    git = ["git", "-C", folder]
    try:
        name = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        )
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--", "skmhe"],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:  # no Git on this machine
        return None
    if name.returncode:
        return None
    return name.stdout.strip() + "+" * bool(changes.stdout.strip())


def machine():
    """Return the facts of this machine that figures depend on; none of its paths."""
    return {
        "cpu": cpu_model(),
        "cores": n_cores(),
        "bfloat16": has_bfloat16(),
        "python": platform.python_version(),
        **{
            name: importlib.metadata.version(name) for name in ("torch", "scikit-learn")
        },
        "skmhe": skmhe_version(),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def has_bfloat16():
    """Tell whether dtype="auto" trains with products of 16-bit numbers here."""
    import torch

    from skmhe.scorers.device import resolve_dtype

    return resolve_dtype("auto", torch.device("cpu")) is not None


def skmhe_version():
    import skmhe

    return skmhe.__version__


def rounded(value):
    """Return a figure with six significant digits, and other values as they are."""
    if isinstance(value, str) or value is None:
        return value
    return float(f"{value:.6g}")


def read(path):
    """Return the content of a result file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if missing := {"benchmark", "data"}.difference(content):
        raise ValueError(f"{path} is not a result file: it has no {sorted(missing)}.")
    return content


def write(path, benchmark, data, rows, settings):
    """Put the figures of one data set into a result file.

    Parameters
    ----------
    path : Path
        The file, which is made if it does not exist; `NO_FILE` to write nothing.
    benchmark : str
        File name of the benchmark.
    data : str
        Name of the data set.
    rows : dict of dict
        ``rows[name][figure]`` is a number, or a str to be shown as it is.
    settings : dict
        What the figures depend on besides, such as the number of repeats.
    """
    if path == NO_FILE:
        return
    content = {"benchmark": benchmark, "data": {}}
    if path.exists():
        content = read(path)
        if content["benchmark"] != benchmark:
            raise ValueError(
                f"{path.name} holds results of {content['benchmark']}, not of "
                f"{benchmark}: give another file with --out."
            )
    content["data"][data] = {
        "machine": machine(),
        "settings": settings,
        "rows": {
            name: {figure: rounded(value) for figure, value in row.items()}
            for name, row in rows.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def add_out_argument(parser, name):
    """Give a benchmark's command line the option --out."""
    parser.add_argument(
        "--out",
        type=Path,
        default=FOLDER / f"{name}.json",
        help=f"result file, default: benchmarks/results/{name}.json; - for none",
    )


def cell(figure, value, n_decimals=None):
    """Return a figure as it is shown; "" if there is none."""
    if value is None or isinstance(value, str):
        return value or ""
    form = COLUMNS[figure][1] if n_decimals is None else f".{n_decimals}f"
    return format(value, form)


def markdown_row(cells):
    return f"| {' | '.join(cells)} |"


def print_rows(data, rows):
    """Print the figures of one data set as a Markdown table."""
    figures = list(dict.fromkeys(figure for row in rows.values() for figure in row))
    print()
    print(markdown_row([data, *(COLUMNS[figure][0] for figure in figures)]))
    print("|---" * (len(figures) + 1) + "|")
    for name, row in rows.items():
        print(markdown_row([name, *(cell(f, row.get(f)) for f in figures)]), flush=True)
