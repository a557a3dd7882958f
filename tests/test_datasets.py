import functools
import hashlib
import lzma
import random
import re
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.metrics import f1_score
from sklearn.utils.multiclass import type_of_target

from skmhe.datasets import _build_wordnet as build_wordnet
from skmhe.datasets import _wordnet, load_wordnet
from skmhe.datasets._wordnet import Synsets, ancestor_matrix, read_synsets

DATA_DIR = files("skmhe.datasets") / "data"
DEBIAN_NOUNS = Path("/usr/share/wordnet/data.noun")


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
        # Reading the file takes most of the time, so read it once for the six.
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


def naive_ancestors(rows, offset, n_steps):
    """Walk up the hierarchy level by level, with sets."""
    found, level = set(), {offset}
    for _ in range(n_steps):
        level = {parent for child in level for parent in rows[child][1]}
        found |= level
    return found


def text_of(rows, offset):
    return f"{rows[offset][2]} : {rows[offset][3]}"


def labels_of(bunch, word):
    """The label names of the one sample with the given words."""
    (row,) = [i for i, text in enumerate(bunch.data) if text.startswith(word + " : ")]
    return set(bunch.target_names[bunch.target[[row]].indices])


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


def test_descr_has_source_licence_and_citation(single):
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
    # An instance hypernym counts like a hypernym.
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


def test_both_variants_name_a_synset_alike(single, multi):
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


def test_data_folder_is_small_and_has_the_licence():
    assert sum(len(path.read_bytes()) for path in DATA_DIR.iterdir()) < 3e6
    licence = (DATA_DIR / "WORDNET_LICENSE").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in licence
    assert "Permission to use, copy, modify and distribute" in licence
    assert "modification of WordNet 3.0" in licence


NOUNS = """\
  1 A licence notice | with pointers @ 00000001 n 0000
00000010 03 n 01 entity 0 002 ~ 00000020 n 0000 ~ 00000030 n 0000 | all there is
00000020 03 n 02 living_thing 0 animate_thing 1 001 @ 00000010 n 0000 | alive; "a | b"  
00000030 03 n 0b a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 k_l 0 001 @ 00000010 n 0000 | k
00000040 18 n 01 Rex 0 004 + 00000010 v 0101 @i 00000030 n 0000 ;c 00000010 n 0000 @ 00000020 n 0000 | one  
"""  # noqa: E501, W291


def test_build_parses_and_round_trips(tmp_path):
    source, destination = tmp_path / "data.noun", tmp_path / "nouns.tsv.xz"
    source.write_text(NOUNS, encoding="utf-8")
    build_wordnet.build(source, destination)
    synsets = read_synsets(destination)
    offsets = ["00000010", "00000020", "00000030", "00000040"]
    assert synsets.offsets == offsets
    # In the order of the pointers, whatever their kind.
    assert synsets.hypernyms == ["", offsets[0], offsets[0], "00000030 00000020"]
    assert synsets.words == [
        "entity",
        "living thing, animate thing",
        "a, b, c, d, e, f, g, h, i, j, k l",
        "Rex",
    ]
    assert synsets.glosses == ["all there is", 'alive; "a | b"', "k", "one"]
    # The root has no class, and Rex's class no other member.
    assert [split != "-" for split in synsets.splits] == [False, True, True, False]
    assert "train" in synsets.splits

    build_wordnet.build(source, tmp_path / "again.tsv.xz")
    assert (tmp_path / "again.tsv.xz").read_bytes() == destination.read_bytes()


def test_build_command_line(tmp_path, monkeypatch, capsys):
    source, destination = tmp_path / "data.noun", tmp_path / "out.xz"
    source.write_text(NOUNS, encoding="utf-8")
    arguments = ["build_wordnet.py", str(source), "--output", str(destination)]
    monkeypatch.setattr(sys, "argv", arguments)
    build_wordnet.main()
    assert read_synsets(destination).words[3] == "Rex"
    monkeypatch.setattr(sys, "argv", ["build_wordnet.py", str(tmp_path / "missing")])
    with pytest.raises(SystemExit):
        build_wordnet.main()
    assert "wordnet-base" in capsys.readouterr().err


def test_build_refuses_unknown_hypernyms(tmp_path):
    source = tmp_path / "data.noun"
    source.write_text(NOUNS.replace("@i 00000030", "@i 00000031"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"does not have.*00000031"):
        build_wordnet.parse_nouns(source)


@pytest.mark.parametrize("seed", range(5))
def test_assigned_split_keeps_its_promises(seed):
    rng = random.Random(seed)
    n = 400
    offsets = [f"{10 * i:08d}" for i in range(n)]
    # Every synset but the root has one or two parents before it.
    parents = [[]] + [
        sorted({rng.randrange(i) for _ in range(rng.choice([1, 1, 2]))})
        for i in range(1, n)
    ]
    hypernyms = [" ".join(offsets[j] for j in row) for row in parents]
    synsets = Synsets(offsets, ["-"] * n, hypernyms, ["w"] * n, ["g"] * n)
    splits = build_wordnet.assign_splits(synsets)
    assert splits == build_wordnet.assign_splits(synsets)

    rows = {
        o: (s, h.split()) for o, s, h in zip(offsets, splits, hypernyms, strict=True)
    }
    members = {s: [o for o in rows if rows[o][0] == s] for s in ("train", "test")}
    assert members["test"]
    classes = {s: {rows[o][1][0] for o in members[s]} for s in members}
    labels = {
        s: {a for o in members[s] for a in naive_ancestors(rows, o, 4)} for s in members
    }
    assert classes["test"] <= classes["train"]
    assert labels["test"] <= labels["train"]
    assert all(build_wordnet.hash_fraction(o) < 0.2 for o in members["test"])
    # A small hash that is not a test sample is the last training sample of a label.
    for offset in members["train"]:
        if build_wordnet.hash_fraction(offset) < 0.2:
            others = [o for o in members["train"] if o != offset]
            left = {a for o in others for a in naive_ancestors(rows, o, 4)}
            needed = naive_ancestors(rows, offset, 4) - left
            assert needed or rows[offset][1][0] not in {rows[o][1][0] for o in others}


def test_hash_does_not_change():
    assert build_wordnet.hash_fraction("00001740") == 0.18107461973210745


def test_ancestor_matrix_takes_the_shortest_path():
    # 5 -> 4 -> 3 -> 2 -> 1 -> 0, and the short cut 5 -> 2
    child, parent = np.array([1, 2, 3, 4, 5, 5]), np.array([0, 1, 2, 3, 4, 2])
    ancestors = ancestor_matrix(child, parent, 6).toarray()
    assert np.array_equal(np.flatnonzero(ancestors[5]), [0, 1, 2, 3, 4])
    assert ancestors.max() == 1
    without = ancestor_matrix(child[:-1], parent[:-1], 6).toarray()
    assert np.array_equal(np.flatnonzero(without[5]), [1, 2, 3, 4])


@pytest.mark.skipif(
    not DEBIAN_NOUNS.is_file(), reason="needs Debian's package wordnet-base"
)
def test_rebuilding_gives_the_bundled_file():
    synsets = build_wordnet.parse_nouns(DEBIAN_NOUNS)
    synsets = synsets._replace(splits=build_wordnet.assign_splits(synsets))
    bundled = lzma.decompress((DATA_DIR / "wordnet_nouns.tsv.xz").read_bytes())
    # Not the compressed bytes: another version of liblzma may pack them otherwise.
    assert build_wordnet.format_synsets(synsets).encode() == bundled
