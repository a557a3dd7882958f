"""What may import what, and other rules that are read from the source."""

import ast
import re
from pathlib import Path

import pytest

import skmhe

PACKAGE = Path(skmhe.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 450

# Each module may import these, and nothing else of skmhe. Packages count as one.
ARROWS = {
    "__init__": {"_estimators", "label_codec"},
    "_estimators": {"_base", "_predicting", "_validation"},
    "_base": {
        "_backbones",
        "_beside",
        "_clustering",
        "_featured_labels",
        "_label_features",
        "_network",
        "_optimizing",
        "_own_backbone",
        "_predicting",
        "_specifying",
        "_storage",
        "_targets",
        "_training",
        "_validation",
        "label_codec",
    },
    "_own_backbone": {"_backbones", "_decoding", "_validation"},
    "_specifying": {"_network", "_training", "nn"},
    "_optimizing": {"_backbones", "_network", "nn"},
    "_backbones": set(),
    "_featured_labels": {
        "_label_features",
        "_label_training",
        "_network",
        "_own_labels",
        "_pools",
        "_rows",
        "_search",
        "_validation",
    },
    "_predicting": {
        "_beside",
        "_decoding",
        "_network",
        "_own_labels",
        "_validation",
    },
    "_label_features": {"_rows", "_validation"},
    "_label_training": {"_decoding", "_network", "_pools", "_search", "nn"},
    "_pools": set(),
    "_search": set(),
    "_targets": {"_validation"},
    "_validation": {"label_codec"},
    "_training": {
        "_centroids",
        "_decoding",
        "_network",
        "_offsets",
        "_optimizing",
        "_rows",
    },
    "_decoding": {
        "_added",
        "_levels",
        "_network",
        "_offsets",
        "_own_labels",
        "_rows",
        "nn",
    },
    "_added": {"_network", "_offsets"},
    "_own_labels": set(),
    "_offsets": {"_centroids", "_levels", "nn"},
    "_beside": {"_centroids", "_linear", "_newton", "_rows", "_storage"},
    "_linear": {"_levels", "_newton"},
    "_levels": set(),
    "_newton": set(),
    "_centroids": {"_levels", "_storage", "nn"},
    "_storage": set(),
    "_rows": set(),
    "_network": {"_backbones", "nn"},
    "nn": {"label_codec"},
    "label_codec": {"_clustering"},
    "_clustering": set(),
    "metrics": set(),
    "datasets": set(),
}
# Inside of nn: parts, then heads, then the package that shows them.
NN_ARROWS = {
    "__init__": {"_rows", "backbone", "dual_encoder", "heads", "margin", "optim"},
    "backbone": {"_rows"},
    "dual_encoder": {"_rows", "_precision", "backbone"},
    "heads": {"_rows", "_precision", "_beam", "margin"},
    "margin": set(),
    "optim": set(),
    "_rows": {"_precision"},
    "_precision": set(),
    "_beam": set(),
}
SEEDS = {
    "torch.manual_seed",
    "torch.random.manual_seed",
    "np.random.seed",
    "numpy.random.seed",
    "np.random.set_state",
    "random.seed",
    "torch.set_num_threads",
    "torch.set_num_interop_threads",
    "torch.set_default_dtype",
    "torch.set_default_device",
    "torch.use_deterministic_algorithms",
}


def module_name(path):
    parts = ["skmhe", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, source=None):
    """Return the absolute dotted names that a file imports, wherever in it."""
    tree = ast.parse(path.read_text("utf-8") if source is None else source)
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def is_module(parts):
    path = PACKAGE.joinpath(*parts)
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def unit(path, depth=0):
    """Return the module or package directly below skmhe that a file belongs to."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[depth]


def arrows(names, depth=0, inside=()):
    """Return the units that are imported, of those below skmhe or a package in it."""
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "skmhe" or tuple(parts[1 : 1 + depth]) != tuple(inside):
            continue
        rest = parts[1 + depth :]
        if rest and is_module([*inside, rest[0]]):
            found.add(rest[0])
        elif depth == 0:
            found.add("__init__")  # a name of the package itself
    return found


def ids(path):
    return str(path.relative_to(PACKAGE))


def test_imports_are_found():
    # Otherwise the tests below would tell nothing.
    path = PACKAGE / "nn" / "heads" / "full.py"
    source = """
import torch.nn
from skmhe.nn._rows import RowProduct
from .. import optim
from ._base import Head
def later():
    from skmhe import _validation
"""
    names = imports(path, source)
    assert names == [
        "torch.nn",
        "skmhe.nn._rows.RowProduct",
        "skmhe.nn.optim",
        "skmhe.nn.heads._base.Head",
        "skmhe._validation",
    ]
    assert arrows(names) == {"nn", "_validation"}
    assert arrows(names, 1, ["nn"]) == {"_rows", "optim", "heads"}
    assert arrows(["skmhe.MHEClassifier"]) == {"__init__"}


def test_every_module_is_in_the_diagram():
    assert {unit(path) for path in FILES} == ARROWS.keys()
    nn = [path for path in FILES if unit(path) == "nn"]
    assert {unit(path, 1) for path in nn} == NN_ARROWS.keys()


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_arrows(path):
    own = unit(path)
    assert arrows(imports(path)) - {own} <= ARROWS[own]


@pytest.mark.parametrize("own", ARROWS)
def test_the_diagram_has_no_arrow_too_many(own):
    used = set()
    for path in FILES:
        if unit(path) == own:
            used |= arrows(imports(path))
    assert used - {own} == ARROWS[own]


@pytest.mark.parametrize(
    "path", [path for path in FILES if unit(path) == "nn"], ids=ids
)
def test_arrows_inside_nn(path):
    own = unit(path, 1)
    found = arrows(imports(path), 1, ["nn"])
    assert found - {own} <= NN_ARROWS[own]


def test_there_is_no_cycle():
    done = set()
    while done != ARROWS.keys():
        ready = {name for name in ARROWS if ARROWS[name] <= done} - done
        assert ready, f"a cycle among {set(ARROWS) - done}"
        done |= ready


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_undocumented_names_of_scikit_learn_stay_in_one_file(path):
    private = [
        name
        for name in imports(path)
        if name.split(".")[0] == "sklearn"
        and any(part.startswith("_") for part in name.split(".")[1:])
    ]
    if ids(path) in ("_targets.py", "_validation.py"):
        assert private  # it is why these files are the exceptions
    else:
        assert private == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if unit(path) == "nn"], ids=ids
)
def test_nn_knows_no_estimator(path):
    tops = {name.split(".")[0] for name in imports(path)}
    # Of scikit-learn, not even a helper: the heads work in a plain torch loop.
    standard = {"abc", "contextlib", "inspect", "itertools", "math", "typing"}
    assert tops <= {*standard, "skmhe", "torch"}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_files_are_short(path):
    if ids(path) == "_estimators.py":
        return  # the docstrings of two estimators
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def dotted(node):
    """Return ``a.b.c`` of an expression, or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return owner and f"{owner}.{node.attr}"
    return None


def global_settings(source):
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    return {dotted(call.func) for call in calls} & SEEDS


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_nothing_global_is_set(path):
    assert global_settings("import torch\ntorch.manual_seed(0)") == SEEDS & {
        "torch.manual_seed"
    }
    assert global_settings(path.read_text("utf-8")) == set()
    # Nor under another name.
    last = {name.rsplit(".", 1)[-1] for name in imports(path)}
    assert not last & {"manual_seed", "seed", "set_num_threads"}


def test_the_map_for_contributors_is_complete():
    root = PACKAGE.parent
    page = root / "CONTRIBUTING.md"
    if not page.exists():
        pytest.skip("installed without the repository")
    text = page.read_text()
    named = set(re.findall(r"`((?:skmhe|tests)/[\w/]+\.py)`", text))
    assert all((root / name).exists() for name in named), named
    modules = {str(p.relative_to(root)) for p in FILES if p.name != "__init__.py"}
    tests = {f"tests/{path.name}" for path in (root / "tests").glob("test_*.py")}
    others = {"tests/test_real_data.py"}
    assert named == modules | (tests - others)
