"""The claims of the documentation, each in its quick form.

What must hold exactly is checked for the tiny results, too. Verdicts, which are about
the full results, must raise an error for results that show nothing.
"""

import io
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

FOLDER = Path(__file__).parents[2] / "benchmarks" / "claims"
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


@pytest.fixture(scope="module")
def modules():
    """Return the claims' modules by name; they are scripts that import each other."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: import_module(name) for name in ("page", "build", *NAMES)}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            path = getattr(sys.modules[name], "__file__", None) or ""
            if path.startswith(str(FOLDER)):
                del sys.modules[name]


@pytest.fixture(scope="module")
def quick(modules):
    """Return all claims' quick results."""
    return modules["page"].measure([modules[n].CLAIM for n in NAMES], quick=True)


def test_every_module_is_on_the_page(modules):
    scripts = {path.stem for path in FOLDER.glob("*.py")}
    assert scripts - {"page", "samples", "build"} == set(NAMES)
    assert modules["build"].NAMES == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_claim(name, modules, quick):
    claim, results = modules[name].CLAIM, quick[name]
    assert claim.name == name
    assert all(len(values) == 1 for values in results.values())
    claim.check(results)
    lines = [line for line in claim.table(results).splitlines() if "|" in line]
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    assert "nan" not in claim.table(results)
    picture = io.BytesIO()
    modules["page"].save(claim.draw(results), picture)
    assert picture.getvalue().startswith(b"\x89PNG")
    assert len(picture.getvalue()) < 60_000


class Nothing(dict):
    """Results that are 1 throughout, also those that a quick run leaves out."""

    def __missing__(self, key):
        alike = [v for k, v in self.items() if k[0] == key[0] and len(k) == len(key)]
        return np.ones_like(alike[0] if alike else next(iter(self.values())))


@pytest.mark.parametrize("name", NAMES)
def test_no_verdict_on_results_that_show_nothing(name, modules, quick):
    nothing = {key: np.ones_like(values) for key, values in quick[name].items()}
    with pytest.raises(modules["page"].VerdictError):
        modules[name].CLAIM.verdict(Nothing(nothing))


def test_what_holds_exactly(quick):
    never = [k for k in quick["theorem1"] if k[0] in ("log", "trained log")]
    assert len(never) > 10
    assert all(quick["theorem1"][key] == 0 for key in never)
    assert quick["pick_some_label"]["loss"] < 1e-10
    assert quick["pick_some_label"]["gradient"] < 1e-10
    # 256 features, 1,000 labels as 32 x 32, a beam of 10.
    cascade = quick["costs"]["counted", "cascade, 2", 1000][0]
    assert cascade[0] == 257 * 1032
    assert cascade[1] == cascade[2] == 256 * (32 + 10 * 32)
    product = quick["costs"]["counted", "product, 2", 1000][0]
    assert product[1] == product[2] == product[3] == 256 * 64


def test_check_fails_where_it_should(modules, quick):
    wrong = quick["theorem1"] | {("log", 2, 0.0): np.array([0.1])}
    with pytest.raises(modules["page"].VerdictError, match="never mismatch"):
        modules["theorem1"].CLAIM.check(wrong)
    wrong = quick["pick_some_label"] | {"gradient": np.array([1e-9])}
    with pytest.raises(modules["page"].VerdictError, match="gradient"):
        modules["pick_some_label"].CLAIM.check(wrong)


def test_page_keeps_the_sections_that_are_not_built_anew(modules, tmp_path):
    build = modules["build"]
    old = {"beam": "## 9. Beam\n\n**Verdict: old.**\n", "costs": "## 6. A\n\n"}
    old["costs"] += "**Verdict: true\nof A.** More.\n"
    path = tmp_path / "claims.md"
    path.write_text(build.page_text(old))
    assert build.read_sections(path) == {name: old[name] for name in ("costs", "beam")}
    assert path.read_text().count("| A | true of A |") == 1
    text = build.page_text(build.read_sections(path) | {"beam": old["costs"]})
    assert "old" not in text
    assert text.index("<!-- costs -->") < text.index("<!-- beam -->")


def test_quick_command_writes_only_to_its_folder(modules, tmp_path, capsys):
    page = modules["build"].DOCS / "claims.md"
    before = page.read_text() if page.exists() else None
    modules["build"].main(["--quick", "--only", "costs", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["costs.md", "costs.png"]
    assert (page.read_text() if page.exists() else None) == before
    assert "product, 2" in capsys.readouterr().out
