"""What may import what, and other rules that are read from the source."""

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skmhe

PACKAGE = Path(skmhe.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

# Each folder, or module at the top, may import these, and nothing else of skmhe.
ARROWS = {
    "__init__": {"estimators", "labels"},
    "estimators": {"training", "scorers", "nn", "labels", "final_classifier"},
    "training": {"scorers", "nn", "labels"},
    "scorers": {"nn", "labels"},
    "nn": {"labels"},
    "labels": set(),
    "text": {"estimators", "scorers"},
    "io": {
        *("__init__", "text", "model_selection", "estimators", "training"),
        *("scorers", "nn", "labels", "whole_file"),
    },
    "metrics": {"final_classifier", "labels"},
    "model_selection": {"estimators", "labels", "metrics", "final_classifier"},
    "displays": {"estimators", "metrics", "final_classifier", "labels"},
    "final_classifier": set(),
    "whole_file": set(),
    "datasets": {"whole_file"},
    "command_line": {
        "__init__",
        "datasets",
        "estimators",
        "final_classifier",
        "io",
        "metrics",
        "model_selection",
    },
    "__main__": {"command_line"},
}
FOLDERS = {name for name in ARROWS if (PACKAGE / name).is_dir()}
# The modules and folders of a folder in layers. Each may import from the layers above
# its own, and nothing else of its folder.
LAYERS = {
    "command_line": (
        {"errors", "notes", "options", "reading"},
        {"files"},
        {"features", "texts"},
        {"data", "models"},
        {"evaluation", "predictions", "recipe"},
        {"commands"},
    ),
    "displays": (
        {"_plotting", "_predictions"},
        {
            "_costs",
            "_frequency",
            "_history",
            "_prefixes",
            "_ranking",
            "_reliability",
        },
    ),
    "estimators": (
        {"_sklearn", "available", "callbacks", "history", "restore", "setting"},
        {"table", "validation"},
        {"docs", "feature_parts", "names", "topk"},
        {"explanations", "features", "parameters", "strategies"},
        {"short_forms"},
        {"resolution"},
        {"recipe"},
        {"costs", "fitting"},
        {"_base"},
        {"_classifiers"},
    ),
    "datasets": (
        {"_fetch", "_files", "_generator", "_numbers", "_synsets", "_xmc_lines"},
        {"_wordnet", "_xmc_blocks", "_xmc_dump"},
        {"_xmc"},
        {"_xmc_texts"},
    ),
    "io": (
        {"container"},
        {"fields", "trusted"},
        {"values"},
        {"schema"},
        {"thresholds", "transformers"},
        {"checks"},
        {"estimators"},
        {"files"},
    ),
    "nn": (
        {"margin", "optim", "scores", "sparse_rows"},
        {"products"},
        {"search"},
        {"calibrated_search", "late_search"},
        {"tree_search"},
        {"heads"},
        {"backbone"},
        {"dual_encoder"},
    ),
    "scorers": (
        {"parameter_names", "parts"},
        {"batch", "generators", "progress", "storage", "threads", "user_backbone"},
        {"combination", "device"},
        {"linear", "network", "own_labels"},
        {"backbone_features", "centroids"},
        {"training_centroids"},
        {"label_encoder", "scoring", "similarity"},
        {"model"},
        {"candidates"},
    ),
    "text": (
        {"loading", "packing"},
        {"tokenizer", "transformer"},
        {"backbone"},
        {"vectorizer"},
    ),
    "training": (
        {
            "data",
            "interruption",
            "learned_calibration",
            "plan",
            "shortlists",
            "step_threads",
        },
        {"learned_combination", "memory", "optimizer", "pools"},
        {"label_encoder", "task"},
        {"held_out", "loop", "networks"},
        {"fit"},
    ),
}
GLOBAL_SETTERS = {
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


# What torch makes new tensors of is set in one place, for a while.
SET_FOR_A_WHILE = {"scorers/device.py": {"torch.set_default_dtype"}}


def file_id(path):
    return path.relative_to(PACKAGE).as_posix()


def module_name(path):
    parts = ["skmhe", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}
each_file = pytest.mark.parametrize("path", FILES, ids=file_id)


def imports(path, tree):
    """Return the absolute dotted names that a file imports, wherever in it."""
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


def imported_modules(path):
    """Return the modules of skmhe that a file imports, or imports names from."""
    found = set()
    for name in imports(path, TREES[path]):
        if name not in MODULES:
            name = name.rpartition(".")[0]
        if name in MODULES:
            found.add(name)
    return found


def unit(name, folder=""):
    """Return the module or folder, directly below a folder, that a module is in.

    None if it is not in the folder; "__init__" is the folder itself.
    """
    parts = name.split(".")[1:]
    if folder:
        if parts[:1] != [folder]:
            return None
        parts = parts[1:]
    return parts[0] if parts else "__init__"


def units(path, folder=""):
    """Return the units of a folder that a file imports, besides its own."""
    found = {unit(name, folder) for name in imported_modules(path)}
    return found - {None, unit(module_name(path), folder)}


def dotted(node):
    """Return ``a.b.c`` of an expression, or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return owner and f"{owner}.{node.attr}"
    return None


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_imports_are_found():
    # Otherwise the tests below would say nothing.
    path = PACKAGE / "nn" / "heads" / "full.py"
    source = """
import torch.nn
from skmhe.nn.products import product
from .. import optim
from .base import Head
def later():
    from skmhe import estimators
"""
    assert imports(path, ast.parse(source)) == [
        "torch.nn",
        "skmhe.nn.products.product",
        "skmhe.nn.optim",
        "skmhe.nn.heads.base.Head",
        "skmhe.estimators",
    ]
    assert "skmhe.nn.heads.base" in imported_modules(path)
    assert "skmhe.nn" in imported_modules(PACKAGE / "scorers" / "network.py")
    assert unit("skmhe.nn.heads.base") == "nn"
    assert unit("skmhe.nn.heads.base", "nn") == "heads"
    assert unit("skmhe.nn", "nn") == "__init__"
    assert unit("skmhe.labels", "nn") is None


def test_entries_of_the_package():
    entries = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert entries - {"__pycache__"} == {*ARROWS, "py.typed"}


@pytest.mark.parametrize("folder", ARROWS)
def test_arrows_between_folders(folder):
    used = set()
    for name, path in MODULES.items():
        if unit(name) == folder:
            used |= units(path)
    assert used == ARROWS[folder]  # nor is there an arrow too many


@pytest.mark.parametrize("folder", LAYERS)
def test_layers_inside_a_folder(folder):
    layers = LAYERS[folder]
    inside = {unit(name, folder): [] for name in MODULES}
    for name, path in MODULES.items():
        inside[unit(name, folder)].append(path)
    assert set().union(*layers) == inside.keys() - {None, "__init__"}
    above = set()
    for layer in layers:
        for own in layer:
            for path in inside[own]:
                assert units(path, folder) <= above, file_id(path)
        above |= layer


def test_no_modules_import_each_other():
    graph = {name: imported_modules(path) for name, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # an error names the cycle


@each_file
def test_undocumented_names_of_scikit_learn_stay_in_one_file(path):
    private = [
        name
        for name in imports(path, TREES[path])
        if name.split(".")[0] == "sklearn"
        and any(part.startswith("_") for part in name.split(".")[1:])
    ]
    # It is why that file is there.
    assert bool(private) == (file_id(path) == "estimators/_sklearn.py")


@pytest.mark.parametrize("path", sorted((PACKAGE / "nn").rglob("*.py")), ids=file_id)
def test_nn_needs_torch_only(path):
    tops = {name.split(".")[0] for name in imports(path, TREES[path])}
    # Of scikit-learn, not even a helper: the heads work in a plain torch loop.
    assert tops <= {*sys.stdlib_module_names, "skmhe", "torch"}


@each_file
def test_files_are_short(path):
    n_lines = len(path.read_text("utf-8").splitlines())
    assert n_lines <= MAX_LINES


def global_settings(tree):
    return {dotted(call.func) for call in calls(tree)} & GLOBAL_SETTERS


@each_file
def test_nothing_global_is_set(path):
    assert global_settings(ast.parse("torch.manual_seed(0)")) == {"torch.manual_seed"}
    allowed = SET_FOR_A_WHILE.get(file_id(path), set())
    assert global_settings(TREES[path]) == allowed
    # Nor under another name.
    last = {name.rsplit(".", 1)[-1] for name in imports(path, TREES[path])}
    assert not last & {"manual_seed", "seed", "set_num_threads"}


def is_class(node):
    """Tell whether an expression is a class, by its name or by how it is got."""
    if isinstance(node, ast.Call):
        return dotted(node.func) == "type"
    last = (dotted(node) or "").rsplit(".", 1)[-1]
    camel_case = re.fullmatch(r"_?[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", last)
    return last in ("cls", "__class__") or camel_case is not None


def attributes_set(tree):
    """Return the objects of which a piece of code sets an attribute."""
    found = [
        call.args[0]
        for call in calls(tree)
        if dotted(call.func) in ("setattr", "object.__setattr__")
    ]
    targets = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    ]
    return found + targets


@pytest.mark.parametrize(
    "code", ["setattr(Head, name, f)", "Head.f = f", "type(self).f = f", "del cls.f"]
)
def test_patches_are_found(code):
    assert any(map(is_class, attributes_set(ast.parse(code))))
    assert not any(map(is_class, attributes_set(ast.parse("self.f = Head(f)"))))


@each_file
def test_no_class_is_patched(path):
    assert not any(map(is_class, attributes_set(TREES[path])))


@each_file
def test_nothing_is_set_for_a_while(path):
    # What a function needs is an argument of it, not hung on an object before the call.
    managers = [
        node
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef)
        and any("contextmanager" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert not any(map(attributes_set, managers))


@each_file
def test_what_a_class_cannot_do_is_not_an_error(path):
    # It is a property that can be asked.
    names = {node.id for node in ast.walk(TREES[path]) if isinstance(node, ast.Name)}
    assert "NotImplementedError" not in names


@each_file
def test_lines_left_out_of_coverage_have_a_reason(path):
    for line in path.read_text("utf-8").splitlines():
        if "pragma: no cover" in line:
            assert re.search(r"# pragma: no cover: \w+", line)


def test_tests_mirror_the_package():
    tests = ROOT / "tests"
    modules = list(tests.rglob("*.py"))
    folders = {path.parent.relative_to(tests).as_posix() for path in modules}
    assert folders == FOLDERS | {"repository"}
    # pytest imports all of them by their plain names.
    names = [path.name for path in modules if path.name != "conftest.py"]
    assert len(names) == len(set(names))
    assert "__init__.py" not in names


def test_the_map_for_contributors_is_complete():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w/.]+)/` \| .*?\w.* \| (.*) \|$", text, re.MULTILINE)
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for top in ("skmhe", ".ci", "benchmarks", "examples")
        for path in (ROOT / top).rglob("*.py")
    }
    assert [folder for folder, _ in rows] == list(dict(rows))
    # What is built into folders of docs is no part of the repository.
    assert dict(rows).keys() == folders - {"skmhe"} | {"docs"}
    tests = re.findall(r"`(tests/[\w/.]+)`", "".join(tests for _, tests in rows))
    assert all((ROOT / name).exists() for name in tests), tests
    for folder in FOLDERS:
        assert f"`tests/{folder}/`" in dict(rows)[f"skmhe/{folder}"]
