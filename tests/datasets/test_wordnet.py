"""The loaded WordNet nouns: counts, targets, names, split, arguments."""

import functools
import hashlib
import lzma
import random
import re
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.metrics import f1_score
from sklearn.utils.multiclass import type_of_target

from skmhe.datasets import _wordnet, load_wordnet
from skmhe.datasets._synsets import ancestor_matrix, read_synsets

DATA_DIR = files("skmhe.datasets") / "data"


@pytest.fixture(scope="module")
def rows():
    """Map offset to (split, parents, words, gloss), without the loader's parser."""
    text = lzma.decompress((DATA_DIR / "wordnet_nouns.tsv.xz").read_bytes()).decode()
    table = {}
    for line in text.strip("\n").split("\n"):
        offset, split, parents, words, gloss = line.split("\t")
        table[offset] = (split, parents.split(), words, gloss)
    return table


@pytest.fixture(scope="module")
def bunches():
    """Map (multilabel, subset) to what the loader returns."""
    with pytest.MonkeyPatch.context() as patch:
        # Reading the file takes most of the time, so it is read only once.
        patch.setattr(_wordnet, "read_synsets", functools.cache(read_synsets))
        return {
            (multilabel, subset): load_wordnet(multilabel, subset=subset)
            for multilabel in (False, True)
            for subset in ("train", "test", "all")
        }


@pytest.fixture(scope="module")
def single(bunches):
    return {subset: bunches[False, subset] for subset in ("train", "test", "all")}


@pytest.fixture(scope="module")
def multi(bunches):
    return {subset: bunches[True, subset] for subset in ("train", "test", "all")}


def text_of(rows, offset):
    return f"{rows[offset][2]} : {rows[offset][3]}"


def labels_of(bunch, word):
    """The label names of the one sample with the given words."""
    (row,) = [i for i, text in enumerate(bunch.data) if text.startswith(word + " : ")]
    return set(bunch.target_names[bunch.target[[row]].indices])


def naive_ancestors(rows, offset, n_steps):
    """The ancestors that are at most `n_steps` steps away, without matrices."""
    found, level = set(), {offset}
    for _ in range(n_steps):
        level = {parent for child in level for parent in rows[child][1]}
        found |= level
    return found


# --- the loaded data ---------------------------------------------------------------


def test_counts_are_the_documented_ones(single, multi):
    assert {s: len(single[s].data) for s in single} == {
        "train": 60861,
        "test": 15091,
        "all": 75952,
    }
    assert len(single["all"].target_names) == 10735
    assert multi["all"].target.shape == (75952, 11497)
    descr = single["all"].DESCR
    numbers = re.findall(r"^(Training|Test|Classes).*?(\d+) +(\d+)$", descr, re.M)
    assert numbers == [
        ("Training", "60861", "60861"),
        ("Test", "15091", "15091"),
        ("Classes", "10735", "11497"),
    ]
    n_test_classes = len(np.unique(single["test"].target))
    n_test_labels = len(np.unique(multi["test"].target.indices))
    assert re.search(
        rf"in the test samples +{n_test_classes} +{n_test_labels}$", descr, re.M
    )
    mean = multi["all"].target.nnz / 75952
    assert re.search(rf"labels per sample +1\.00 +{mean:.2f}$", descr, re.M)
    size = np.bincount(single["all"].target)
    assert size.min() == 2
    assert "the largest has 659" in descr
    assert size.max() == 659
    assert np.mean(size <= 3) == pytest.approx(0.5, abs=0.01)


def test_descr_has_source_license_and_citation(single):
    descr = single["train"].DESCR
    for needed in ("WordNet 3.0", "WORDNET_LICENSE", "Fellbaum", "Princeton"):
        assert needed in descr
    assert "6162" in descr and "82114" in descr


def test_single_label_samples_and_classes_match_the_file(rows, single):
    size = {}
    for _, parents, _, _ in rows.values():
        if parents:
            size[parents[0]] = size.get(parents[0], 0) + 1
    kept = [o for o, row in rows.items() if row[1] and size[row[1][0]] >= 2]
    assert sum(map(bool, (row[1] for row in rows.values()))) - len(kept) == 6162
    assert [o for o, row in rows.items() if row[0] != "-"] == kept

    texts = {o: text_of(rows, o) for o in rows}
    for subset, bunch in single.items():
        offsets = [o for o in kept if subset in ("all", rows[o][0])]
        assert bunch.data == [texts[o] for o in offsets]
        expected = [texts[rows[o][1][0]] for o in offsets]
        assert [bunch.label_texts[c] for c in bunch.target] == expected


def test_multilabel_target_matches_naive_traversal(rows, multi):
    bunch = multi["all"]
    offsets = [o for o, row in rows.items() if row[0] != "-"]
    for row in random.Random(0).sample(range(len(offsets)), 2000):
        expected = {text_of(rows, o) for o in naive_ancestors(rows, offsets[row], 4)}
        start, stop = bunch.target.indptr[row : row + 2]
        labels = [bunch.label_texts[j] for j in bunch.target.indices[start:stop]]
        assert set(labels) == expected
        assert len(labels) == len(expected)


def test_ancestor_matrix_takes_the_shortest_path():
    # 5 -> 4 -> 3 -> 2 -> 1 -> 0, and the shortcut 5 -> 2
    child, parent = np.array([1, 2, 3, 4, 5, 5]), np.array([0, 1, 2, 3, 4, 2])
    ancestors = ancestor_matrix(child, parent, 6).toarray()
    assert np.array_equal(np.flatnonzero(ancestors[5]), [0, 1, 2, 3, 4])
    assert ancestors.max() == 1
    without = ancestor_matrix(child[:-1], parent[:-1], 6).toarray()
    assert np.array_equal(np.flatnonzero(without[5]), [1, 2, 3, 4])


def test_both_variants_have_the_same_rows_and_consistent_labels(single, multi):
    for subset in single:
        assert single[subset].data == multi[subset].data
    column = {name: j for j, name in enumerate(multi["all"].target_names)}
    class_columns = [column[name] for name in single["all"].target_names]
    rows = np.arange(len(single["all"].data))
    hypernym_columns = np.array(class_columns)[single["all"].target]
    assert np.all(multi["all"].target[rows, hypernym_columns] == 1)


def test_known_hypernyms(single, multi):
    dog = labels_of(multi["all"], "dog, domestic dog, Canis familiaris")
    assert {"canine.02083346", "domestic animal", "carnivore.02075296"} <= dog
    # An instance hypernym counts as a hypernym.
    assert "physicist" in labels_of(multi["all"], "Einstein, Albert Einstein")
    physical = "physical entity : an entity that has physical existence"
    bunch = single["all"]
    assert bunch.target_names[bunch.target[bunch.data.index(physical)]] == "entity"
    assert not any(text.startswith("entity : ") for text in bunch.data)  # the root


@pytest.mark.parametrize("variant", ["single", "multi"])
def test_names_are_unique_and_readable(variant, rows, request):
    bunch = request.getfixturevalue(variant)["all"]
    count = Counter(row[2].split(", ")[0] for row in rows.values())
    assert bunch.target_names.dtype == object
    assert len(set(bunch.target_names)) == len(bunch.target_names)
    assert len(bunch.label_texts) == len(bunch.target_names)
    for name, text in zip(bunch.target_names, bunch.label_texts, strict=True):
        word = text.split(" : ")[0].split(", ")[0]
        if count[word] == 1:
            assert name == word
        else:
            offset = name.removeprefix(word + ".")
            assert text_of(rows, offset) == text
    assert {"physical entity", "thing.00002452"} <= set(bunch.target_names)


def test_both_variants_give_a_synset_the_same_name(single, multi):
    names = dict(zip(multi["all"].label_texts, multi["all"].target_names, strict=True))
    for text, name in zip(
        single["all"].label_texts, single["all"].target_names, strict=True
    ):
        assert names[text] == name


def test_texts_are_whole(single):
    texts = single["all"].data + single["all"].label_texts
    assert all(text == text.strip() and " : " in text for text in texts)
    assert not {"\t", "\n"} & set("".join(texts))
    assert not any("_" in text.partition(" : ")[0] for text in texts)
    assert len(set(single["all"].data)) == len(single["all"].data)


# --- the split ---------------------------------------------------------------------


def test_split_is_fixed(rows):
    split = "".join(f"{offset}{row[0]}\n" for offset, row in rows.items())
    digest = hashlib.sha256(split.encode()).hexdigest()
    assert digest == "d455bd3b1426d3362e4b7c5d8911d86179fa56a0bc2e8223513991cd171b80c2"


def test_split_partitions_the_samples(single):
    train, test = set(single["train"].data), set(single["test"].data)
    assert not train & test
    assert train | test == set(single["all"].data)
    assert 0.18 < len(test) / len(single["all"].data) < 0.2


def test_every_class_and_label_occurs_in_training(single, multi):
    n_classes = len(single["train"].target_names)
    assert np.array_equal(np.unique(single["train"].target), np.arange(n_classes))
    assert multi["train"].target.sum(axis=0).min() >= 1


@pytest.mark.parametrize("variant", ["single", "multi"])
def test_classes_do_not_depend_on_subset(variant, request):
    bunches = request.getfixturevalue(variant)
    for subset in ("train", "test"):
        names = bunches[subset].target_names
        assert np.array_equal(names, bunches["all"].target_names)
        assert bunches[subset].label_texts == bunches["all"].label_texts


# --- the interface -----------------------------------------------------------------


def test_targets_are_what_scikit_learn_takes(single, multi):
    y, Y = single["test"].target, multi["test"].target
    assert y.dtype == np.int64 and y.ndim == 1
    assert type_of_target(y) == "multiclass"
    assert issparse(Y) and Y.format == "csr" and Y.dtype == np.int64
    assert Y.has_sorted_indices and np.all(Y.data == 1)
    assert type_of_target(Y) == "multilabel-indicator"
    assert f1_score(Y, Y, average="micro") == 1


def test_defaults_are_the_single_label_training_samples(single):
    data, target = load_wordnet(return_X_y=True)
    assert data == single["train"].data
    assert np.array_equal(target, single["train"].target)


def test_return_X_y_of_the_multilabel_variant(multi):
    data, target = load_wordnet(True, subset="test", return_X_y=True)
    assert data == multi["test"].data
    assert (target != multi["test"].target).nnz == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"subset": "dev"}, ValueError, r"subset .*\['all', 'test', 'train'\].*'dev'"),
        ({"subset": None}, TypeError, "subset must be a str.*'train'.*None"),
        ({"subset": ["train"]}, TypeError, r"subset must be a str.*got \['train'\]"),
        ({"multilabel": "yes"}, TypeError, "multilabel must be True or False.*'yes'"),
        (
            {"multilabel": "test"},
            TypeError,
            r"multilabel must be True or False, got 'test': did you mean subset='test'",
        ),
        ({"multilabel": np.zeros(2)}, TypeError, "multilabel must be True or False"),
        ({"multilabel": 1}, TypeError, "multilabel must be True or False, got 1"),
        ({"return_X_y": None}, TypeError, "return_X_y must be True or False.*None"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        load_wordnet(**arguments)


def test_subset_is_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        load_wordnet(False, "train")


# --- the files ---------------------------------------------------------------------


def test_data_folder_is_small_and_has_the_license():
    assert sum(len(path.read_bytes()) for path in DATA_DIR.iterdir()) < 3e6
    license_text = (DATA_DIR / "WORDNET_LICENSE").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in license_text
    assert "Permission to use, copy, modify and distribute" in license_text
    assert "modification of WordNet 3.0" in license_text
