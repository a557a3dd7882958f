"""Build docs/claims.md and its pictures: every claim, all its seeds, its verdict.

    python benchmarks/claims/build.py --jobs 2             # the whole page
    python benchmarks/claims/build.py --only costs beam    # two claims' parts of it
    python benchmarks/claims/build.py --quick              # a trial that writes nothing

A verdict is text with conditions: where it does not agree with the results (any more),
the command fails and writes nothing. --quick has one seed and tiny data, checks only
what must hold exactly, and shows no verdicts.
"""

import argparse
import re
import sys
from importlib import import_module
from pathlib import Path

from page import VerdictError, measure, save, section

NAMES = (
    "theorem1",
    "heads",
    "label_order",
    "output_rank",
    "cp_rank",
    "costs",
    "sampled_groups",
    "pick_some_label",
    "beam",
    "calibration",
)
DOCS = Path(__file__).parents[2] / "docs"
INTRODUCTION = """\
# Claims

What the papers behind skmhe claim, and the results of trying it:
[MHE](https://arxiv.org/abs/2412.10182) (Liang, Zhang, Yuan, Zhang, TPAMI 2025), and
[UniDEC](https://arxiv.org/abs/2405.03714) for pools of labels. The data are generated,
or come with skmhe and scikit-learn. Every number and picture is made by

```
make claims
```

or, in your own environment with skmhe and matplotlib, by
`python benchmarks/claims/build.py`; the command below each claim prints that claim
alone. Numbers are means over seeds ± standard deviations; error bars are standard
deviations. The seed changes the generated data, the initial weights and the order of
the samples; WordNet's samples are always the same. Networks are trained in float32
(`dtype`) on all machines. The verdicts were written after looking at the results; the
command fails if they do not agree with the results any more.
"""


def shorten(text):
    """Return a section's title and verdict, as a row of the summary."""
    title = re.search(r"^## \d+\. (.*)$", text, re.MULTILINE)[1]
    verdict = re.search(r"\*\*Verdict: (.*?)\.\*\*", text, re.DOTALL)[1]
    return f"| {title} | {' '.join(verdict.split())} |"


def page_text(sections):
    """Return the page of some sections, {name: text}."""
    sections = {name: sections[name] for name in NAMES if name in sections}
    summary = ["| claim | verdict |", "|---|---|", *map(shorten, sections.values())]
    parts = [INTRODUCTION, "\n".join(summary) + "\n"]
    parts += [f"<!-- {name} -->\n\n{text}" for name, text in sections.items()]
    return "\n".join(parts)


def read_sections(path):
    """Return the sections of a page that was built before, {name: text}."""
    if not path.exists():
        return {}
    parts = re.split(r"<!-- (\w+) -->\n\n", path.read_text())[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: text.rstrip() + "\n" for name, text in pairs}


def write_page(claims, results, docs):
    """Write the claims' sections and pictures, and keep the page's other sections."""
    errors, texts = [], {}
    for claim in claims:
        try:
            texts[claim.name] = section(claim, results[claim.name])
        except VerdictError as error:
            errors.append(f"{claim.name}: {error}")
    if errors:
        raise VerdictError("\n".join(["Nothing is written.", *errors]))
    (docs / "claims").mkdir(parents=True, exist_ok=True)
    for claim in claims:
        save(claim.draw(results[claim.name]), docs / "claims" / f"{claim.name}.png")
    path = docs / "claims.md"
    path.write_text(page_text(read_sections(path) | texts))


def write_trial(claims, results, folder):
    """Write the tables and pictures of a quick run: it has no verdicts."""
    folder.mkdir(parents=True, exist_ok=True)
    for claim in claims:
        table = claim.table(results[claim.name])
        (folder / f"{claim.name}.md").write_text(table + "\n")
        save(claim.draw(results[claim.name]), folder / f"{claim.name}.png")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--quick", action="store_true", help="one seed, tiny data")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--out", type=Path, help="folder to write to; docs by default")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    claims = [import_module(name).CLAIM for name in args.only]
    results = measure(claims, args.quick, args.jobs)
    if not args.quick:
        write_page(claims, results, args.out or DOCS)
        return
    for claim in claims:
        claim.check(results[claim.name])
        print(f"{claim.title}\n\n{claim.table(results[claim.name])}\n")
    if args.out:
        write_trial(claims, results, args.out)


if __name__ == "__main__":
    try:
        main()
    except VerdictError as error:
        sys.exit(str(error))
