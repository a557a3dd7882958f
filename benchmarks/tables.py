"""Write the tables of the documents from the result files of the benchmarks.

    python benchmarks/tables.py            # write the tables anew
    python benchmarks/tables.py --check    # fail if a table is not that of its file

A table stands between two comments, and what is between them is replaced:

    <!-- table: rivals -->
    ...
    <!-- end -->

`TABLES` tells for each name which result file it shows, and what of it.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import comparison
import results

DOCUMENTS = (
    "README.md",
    *(f"docs/{name}.md" for name in ("choosing", "figures")),
    *(f"docs/how_to/{name}.md" for name in ("fit_time", "serving")),
    *(
        f"docs/migration/{name}.md"
        for name in ("fasttext", "napkinxc", "omikuji", "one_vs_rest", "pecos")
    ),
)
MARKED = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
OPENED = re.compile(r"<!-- table: ")

STRATEGIES = ("full", "sampling", "cascade", "product")

# How runs are called in the documents; others by their own name.
NAMES = {
    "skmhe@c826850": "skmhe, before",
    'skmhe@c826850:{"model": "linear"}': 'skmhe, `model="linear"`, before',
    'skmhe:{"max_iter": 2}': "skmhe",
    'skmhe:{"strategy": "cascade", "max_iter": 2}': 'skmhe, `strategy="cascade"`',
    'skmhe:{"model": "linear"}': 'skmhe, `model="linear"`',
    'skmhe:{"model": "network"}': 'skmhe, `model="network"`',
    'skmhe:{"strategy": "cascade"}': 'skmhe, `strategy="cascade"`',
    'skmhe:{"effort": "fast"}': 'skmhe, `effort="fast"`',
    'skmhe:{"effort": "accurate"}': 'skmhe, `effort="accurate"`',
    **{f"{name}:model='network'": name for name in STRATEGIES},
    "product:n_heads=3;model='network'": "product, 3 heads",
    "cascade:strategy__hard_negatives=False;model='network'": (
        "cascade, `hard_negatives=False`"
    ),
    "pecos": "PECOS",
    "napkinxc": "napkinXC",
    "fasttext": "fastText",
    "centroid": "nearest centroid",
    "logistic": "LogisticRegression",
    "mlp": "MLPClassifier",
    "torch": "torch.nn.Linear",
    "libmultilabel": "LibMultiLabel, linear tree",
    "libmultilabel-3": "LibMultiLabel, three trees",
    "linearsvc": "LinearSVC, one-vs-rest",
}
PRECISIONS = tuple(f"{name}@{k}" for name in ("P", "PSP") for k in (1, 3, 5))
COSTS = ("fit_s", "rows_per_s", "row_ms", "disk_mib", "peak_mib")
RATES = ("predict", "predict_topk", "predict_proba", "decision_function")
BUILT = ("wnhyp", "debdeps", "wordnet", "wordnet-multilabel")
# Libraries that users come from, and on which data they are compared.
FROM = dict.fromkeys(("napkinxc", "pecos", "omikuji"), BUILT)
FROM["linearsvc"] = ("clinc150", "debsection", "debtags", "delicious")


class Table(NamedTuple):
    """What a table shows of a result file, or of several."""

    file: str | tuple[str, ...]
    figures: tuple[str, ...]
    # Data sets in this order, all of which the file must have; () for all it has.
    data: tuple[str, ...] = ()
    # Rows in this order; () for all. Those that a data set lacks are left out.
    rows: tuple[str, ...] = ()
    # Figures whose largest value is set in bold within each data set.
    bold: tuple[str, ...] = ()
    heads: tuple[str, str] = ("data", "model")
    # Makes of the rows of all data sets those that are shown.
    derive: Callable[[dict], dict] = lambda tables: tables

    @property
    def files(self):
        return (self.file,) if isinstance(self.file, str) else self.file


TABLES = {
    "headline": Table(
        "rivals.json",
        ("P@1", "P@5", "PSP@5", "fit_s", "rows_per_s", "disk_mib"),
        data=BUILT,
        rows=(
            *("skmhe", 'skmhe:{"model": "linear"}'),
            *("pecos", "omikuji", "napkinxc", "libmultilabel", "linearsvc"),
        ),
        bold=("P@1", "P@5", "PSP@5"),
    ),
    **{
        f"from-{rival}": Table(
            ("rivals.json", "rivals_other.json"),
            ("P@1", "P@5", "PSP@5", "fit_s", "rows_per_s", "row_ms", "disk_mib"),
            data=data,
            rows=("skmhe", 'skmhe:{"model": "linear"}', rival),
        )
        for rival, data in FROM.items()
    },
    # In a run of its own, with other libraries it would take too long.
    "from-fasttext": Table(
        "rivals_fasttext.json",
        ("P@1", "P@5", "PSP@5", "fit_s", "rows_per_s", "row_ms", "disk_mib"),
        rows=("skmhe", 'skmhe:{"model": "linear"}', "fasttext"),
    ),
    "rivals": Table("rivals.json", PRECISIONS + COSTS, data=BUILT, bold=PRECISIONS),
    # Nothing of its own is measured.
    "rivals-compared": Table(
        ("rivals.json", "rivals_other.json"),
        (
            *(f"{measure}_ahead" for measure in comparison.MEASURES),
            *("fit_to_fastest", "linear_to_pecos"),
            *("linear_ahead_pecos", "linear_ahead_svc"),
        ),
        heads=("data", "fastest of 98%"),
        derive=comparison.compared,
    ),
    # By the skmhe of two commits; the older one is named.
    "before-after": Table("before_after.json", ("P@1", "P@3", "P@5", "PSP@5", *COSTS)),
    "structure": Table(
        "structure.json",
        ("parameters", "entries", "longest", "lines", "room_changes"),
        heads=("", "checkout"),
    ),
    "interruption": Table(
        "interruption.json", ("epochs", "P@1"), heads=("model", "interrupted")
    ),
    "linear": Table(
        "linear.json",
        ("P@1", "P@3", "P@5", "steps", "cpu_s"),
        heads=("data", "stopped at"),
    ),
    # Data sets that make_data.py does not build.
    "rivals-other": Table("rivals_other.json", PRECISIONS + COSTS, bold=PRECISIONS),
    "dense": Table(
        "dense.json",
        ("P@1", "P@3", "P@5", "PSP@5", "fit_s", "rows_per_s", "disk_mib"),
        bold=("P@1", "P@3", "P@5", "PSP@5"),
    ),
    "outputs": Table("outputs.json", (*RATES, "proba_to_topk", "decision_to_topk")),
    "threads": Table(
        "threads.json",
        (
            *("one_thread_ms", "two_to_one", "always_two_to_one"),
            *("busy_to_alone", "always_busy_to_alone"),
        ),
        heads=("machine", "call"),
    ),
    "epochs": Table(
        "epochs.json",
        ("epochs", "best_epoch", "last_score", "stop_epoch", "lost"),
        heads=("data", "setting"),
    ),
    "splits": Table(
        "splits.json",
        ("cpu_s", "LD", "ED", "lost_labels", "empty_pairs"),
        heads=("data", "splitter"),
    ),
    "files": Table(
        "files.json",
        ("call_s", "cpu_s", "mb_per_s", "added_mib", "added_to_file"),
        heads=("file", "call"),
    ),
    "thresholds": Table(
        "thresholds.json",
        ("micro_F1", "macro_F1", "samples_F1", "threshold", "fit_s"),
        bold=("micro_F1", "macro_F1", "samples_F1"),
        heads=("data", "labels predicted"),
    ),
    "devices": Table(
        "devices.json",
        (
            *("cpu_epoch_s", "cuda_epoch_s", "epoch_s_ratio"),
            *("cpu_predict_s", "cuda_predict_s", "predict_s_ratio"),
            *("cpu_fit_s", "cuda_fit_s", "fit_s_ratio"),
        ),
        heads=("data", "strategy"),
    ),
    "step": Table(
        "step.json",
        ("part_ms", "least_part_ms", "to_least", "mega_operations", "mega_bytes"),
        heads=("data", "part"),
    ),
    "row": Table(
        "row.json",
        ("row_ms", "least_ms", "predict_ms", "predict_least_ms"),
        heads=("labels", "model"),
    ),
    "model-files": Table(
        "model_files.json",
        (
            *("save_s", "load_s", "first_row_s"),
            *("held_mib", "private_mib", "most_held_mib", "file_mib"),
        ),
        heads=("labels", "model, how it is loaded"),
    ),
    "strategies": Table(
        "strategies.json", (*PRECISIONS, "ECE"), heads=("data", "strategy")
    ),
    "strategies-costs": Table(
        "strategies.json",
        ("P@1", "P@5", "PSP@5", "disk_mib"),
        rows=tuple(f"{name}:model='network'" for name in STRATEGIES),
        heads=("data", "strategy"),
    ),
    "dtype": Table(
        "dtype.json", ("P@1", "P@3", "P@5", "PSP@5"), heads=("data", "setting")
    ),
    "labels": Table(
        "labels.json",
        (*PRECISIONS, "rows_per_s", "fit_s"),
        heads=("data", "label features"),
    ),
    "labels-ablation": Table(
        "labels_ablation.json", PRECISIONS, heads=("data", "setting")
    ),
    "new-labels": Table(
        "new_labels.json",
        ("new_R@10", "other_R@10", "P@1", "P@5"),
        heads=("data", "scored by"),
    ),
    "pools": Table(
        "pools.json",
        (
            *("epochs", "fit_s", "fit_ratio", "step_ms"),
            *("P@1", "classifier_P@1", "encoder_P@1"),
        ),
        heads=("labels", "loss of"),
    ),
    "search": Table(
        "search.json",
        ("build_s", "search_s", "row_ms", "recall@20"),
        heads=("labels", "search"),
    ),
    "million": Table(
        "million.json",
        ("fit_s", "rows_per_s", "P@1", "peak_mib"),
        heads=("data", "labels"),
    ),
    "memory": Table(
        "memory.json",
        (
            *("peak_mib", "before_mib", "data_mib", "model_mib"),
            *("bound_mib", "estimate_mib", "excess"),
        ),
    ),
    "text": Table(
        "text.json",
        PRECISIONS,
        data=("wordnet", "debdeps"),
        rows=(
            *("tfidf", "frozen", "embedded", "union"),
            *("finetuned", "unidec", "combined"),
        ),
        bold=PRECISIONS,
        heads=("data", "system"),
    ),
    "text-new": Table(
        "text.json",
        ("new_R@10", "other_R@10"),
        data=("wordnet, new", "debdeps, new"),
        heads=("data", "scored by"),
    ),
    "text-pools": Table(
        "text.json",
        (*PRECISIONS, "fit_ratio"),
        data=("wordnet, pools",),
        heads=("data", "loss of"),
    ),
    "text-heads": Table(
        "text.json",
        PRECISIONS,
        data=("debdeps, heads",),
        heads=("data", "heads"),
    ),
    "text-steps": Table(
        "text.json",
        ("peak_mib", "step_ms"),
        data=("wordnet, memory", "wordnet, cost"),
        heads=("table", "steps with"),
    ),
    "growth-epoch": Table(
        "growth_epoch.json",
        ("fit_s", "rows_per_s", "peak_mib"),
        heads=("strategy", "labels"),
    ),
    "growth-fit": Table(
        "growth_fit.json",
        ("fit_s", "rows_per_s", "peak_mib"),
        heads=("model", "labels"),
    ),
}


def shown_rows(table, rows):
    """Return the names of a data set's rows that a table shows."""
    return [name for name in table.rows or rows if name in rows]


def best_values(table, rows):
    """Return the largest value, as it is shown, of each figure set in bold."""
    best = {}
    for figure in table.bold:
        values = [row[figure] for row in rows if figure in row]
        if len(values) > 1:
            best[figure] = results.cell(figure, max(values))
    return best


def data_lines(table, data, rows):
    """Return the lines of one data set, its name in the first of them."""
    names = shown_rows(table, rows)
    best = best_values(table, [rows[name] for name in names])
    lines = []
    for i, name in enumerate(names):
        cells = [NAMES.get(data, data) if i == 0 else "", NAMES.get(name, name)]
        for figure in table.figures:
            text = results.cell(figure, rows[name].get(figure))
            cells.append(f"**{text}**" if text == best.get(figure) else text)
        lines.append(results.markdown_row(cells))
    return lines


def caption(benchmark, entries):
    """Return lines that tell by what, where and when the figures were measured."""
    measured = {}
    for data, entry in entries.items():
        m, settings = entry["machine"], entry["settings"]
        words = [f"{name} {value}" for name, value in settings.items()]
        units = ", with units for bfloat16" if m.get("bfloat16") else ""
        words += [f"{m['cpu']}, {m['cores']} cores{units}", f"Python {m['python']}"]
        words += [f"torch {m['torch']}", f"skmhe {m['skmhe']} ({m['commit']})"]
        measured.setdefault("; ".join([*words, m["date"]]), []).append(data)
    if len(measured) == 1:
        return [f"*`{benchmark}`; {next(iter(measured))}.*"]
    return [f"*`{benchmark}`, {', '.join(d)}; {how}.*  " for how, d in measured.items()]


def render(name, folder=results.FOLDER):
    """Return the Markdown of a table."""
    if name not in TABLES:
        raise ValueError(
            f"there is no table {name!r}: it must be one of {list(TABLES)}."
        )
    table = TABLES[name]
    benchmark, found = read_all(name, table.files, folder)
    data = table.data or tuple(found)
    if missing := [d for d in data if d not in found]:
        raise ValueError(
            f"table {name!r}: {', '.join(table.files)} has no results for {missing}."
        )
    entries = {d: found[d] for d in data}
    titles = [results.COLUMNS[figure][0] for figure in table.figures]
    lines = [results.markdown_row([*table.heads, *titles])]
    lines.append("|---" * (len(titles) + 2) + "|")
    shown = table.derive({d: entry["rows"] for d, entry in entries.items()})
    for d, rows in shown.items():
        lines += data_lines(table, d, rows)
    lines += ["", *caption(benchmark, entries)]
    return "\n".join(lines) + "\n"


def read_all(name, files, folder):
    """Return the benchmark of a table's files, and what they have of each data set."""
    benchmark, found = "", {}
    for file in files:
        path = folder / file
        if not path.exists():
            raise ValueError(f"table {name!r} needs {file}, which is not in results/.")
        content = results.read(path)
        benchmark = content["benchmark"]
        found |= content["data"]
    return benchmark, found


def with_tables(text, folder=results.FOLDER):
    """Return a document's text with its tables made anew."""
    if len(OPENED.findall(text)) != len(MARKED.findall(text)):
        raise ValueError("a table has no line '<!-- end -->', or none to begin it.")

    def replaced(match):
        begin, name, _, end = match.groups()
        return begin + render(name, folder) + end

    return MARKED.sub(replaced, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="*", type=Path, help="default: all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    paths = args.documents or [results.REPOSITORY / name for name in DOCUMENTS]
    n_stale = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        try:
            expected = with_tables(text)
        except ValueError as error:
            sys.exit(f"{path.name}: {error}")
        if text == expected:
            continue
        if args.check:
            n_stale += 1
            lines = (t.splitlines() for t in (text, expected))
            print("\n".join(difflib.unified_diff(*lines, path.name, "results")))
        else:
            path.write_text(expected, encoding="utf-8")
            print(f"{path.name}: tables written")
    if n_stale:
        sys.exit("Run python benchmarks/tables.py: tables differ from their results.")


if __name__ == "__main__":
    main()
