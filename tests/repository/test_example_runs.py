"""Every example runs to its end, on less data than it is written for."""

import concurrent.futures
import gzip
import importlib.util
import re
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from test_examples import EXAMPLES, FOLDER

import skmhe.datasets

# What an example prints that tells how well it has learned, and, if this is a share in
# percent that so little data can teach, what is far below it.
PRINTED = {
    "characters.py": (r"accuracy (.*)%, top 5", 50),
    "intents.py": (r"accuracy (.*)%", 5),
    "new_labels.py": (r"after add_labels +\S+%? +(\S+)%", 30),
    "next_word.py": (r"test accuracy \S+%, top 10 \S+%;", None),
    "product_tags.py": (r"\n  \* +\d+% \w+", None),
    "quickstart.py": (r"MHEClassifier.* (\S+)% +\S+ s", 30),
    "tickets.py": (r"I cannot sign in any more +account +account", None),
    "transformer.py": (r"fine-tuned: accuracy (.*)%", 5),
    "unidec.py": (r"UniDEC .*P@5 (.*)%", 5),
    "verification.py": (r": (.*)% of pairs of the same character, 1.0%", 10),
}


@pytest.fixture(scope="module")
def small_wordnet():
    """Return a `load_wordnet` of some classes, or of some samples with all labels."""
    load = skmhe.datasets.load_wordnet

    def load_part(multilabel=False, *, subset="train"):
        bunch = load(multilabel, subset=subset)
        if multilabel:
            step = 15 if subset == "train" else 3  # some of it is printed
            rows = np.arange(0, len(bunch.data), step)
            bunch.target = bunch.target[rows]
        else:
            kept = np.arange(50, len(bunch.target_names), 200)
            rows = np.flatnonzero(np.isin(bunch.target, kept))
            bunch.target = np.searchsorted(kept, bunch.target[rows])
            bunch.target_names = bunch.target_names[kept]
            bunch.label_texts = [bunch.label_texts[label] for label in kept]
        bunch.data = [bunch.data[row] for row in rows]
        return bunch

    return load_part


@pytest.fixture(scope="module")
def transformer(small_wordnet, tmp_path_factory):
    """Return the folder that a package with an untrained transformer would lie in."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("package")
    (folder / "model").mkdir()
    make_model = runpy.run_path(str(FOLDER / "unidec.py"))["make_model"]
    make_model(small_wordnet().data, folder / "model")
    return folder


def save_intents(folder, load):
    """Save texts and labels as intents.py reads them."""
    for part in ("train", "test"):
        bunch = load(subset=part)
        with gzip.open(folder / f"texts_{part}.txt.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(bunch.data))
        np.save(folder / f"y_{part}.npy", bunch.target)


def save_images(path, n_characters):
    """Save noisy images as make_characters.py does, of eight fonts."""
    rng = np.random.RandomState(0)
    n_fonts = 8
    drawn = 200.0 * (rng.rand(n_characters, 1, 8, 8) < 0.5).repeat(4, 2).repeat(4, 3)
    images = np.concatenate(
        [drawn + 55 * rng.rand(*drawn.shape) for _ in range(n_fonts)]
    )
    np.savez(
        path,
        images=images.astype(np.uint8),
        label=np.tile(np.arange(n_characters), n_fonts),
        font=np.repeat(np.arange(n_fonts), n_characters),
        font_names=[f"font {i}" for i in range(n_fonts)],
        font_is_test=np.arange(n_fonts) >= n_fonts - 2,
        characters=[chr(0x4E00 + i) for i in range(n_characters)],
    )


def arguments_of(name, folder, load):
    """Make the files that an example reads, and return the arguments that name them."""
    if name == "intents.py":
        save_intents(folder, load)
        return [str(folder)]
    if name in ("characters.py", "verification.py"):
        # verification.py leaves a thousand characters out.
        save_images(folder / "characters.npz", 100 if name == "characters.py" else 1100)
        return [str(folder / "characters.npz")]
    return []


def test_all_examples_are_run():
    assert list(PRINTED) == EXAMPLES


@pytest.mark.filterwarnings("ignore:.* of .* texts have more than max_length")
@pytest.mark.parametrize("name", EXAMPLES)
def test_run(name, small_wordnet, request, tmp_path, monkeypatch, capsys):
    arguments = arguments_of(name, tmp_path, small_wordnet)
    if "skmhe.text" in (FOLDER / name).read_text("utf-8"):
        folder = request.getfixturevalue("transformer")
        spec = SimpleNamespace(origin=str(folder / "__init__.py"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda package: spec)
        if name == "intents.py":
            arguments += ["--model", str(folder / "model")]
    monkeypatch.setattr(skmhe.datasets, "load_wordnet", small_wordnet)
    # A process of its own would load all data.
    monkeypatch.setattr(
        concurrent.futures,
        "ProcessPoolExecutor",
        lambda n, mp_context: concurrent.futures.ThreadPoolExecutor(n),
    )
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    printed = capsys.readouterr().out
    print(printed)
    pattern, floor = PRINTED[name]
    found = re.search(pattern, printed)
    assert found
    assert floor is None or float(found[1]) > floor
