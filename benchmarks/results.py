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
    **{f"batch_{n}_ms": (f"ms, {n:,} rows", ",.1f") for n in (16, 256, 4096)},
    # bench_threads.py
    "one_thread_ms": ("ms on 1 thread", ",.1f"),
    "two_to_one": ("2 threads / 1", ".2f"),
    "always_two_to_one": ("always 2 / 1", ".2f"),
    # bench_linear.py
    "steps": ("steps", ".0f"),
    "cpu_s": ("CPU s", ".2f"),
