"""Building the data file of the WordNet nouns."""

import lzma
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from benchmark_scripts import load_script

from skmhe.datasets._synsets import (
    DATA_FILE,
    Synsets,
    ancestor_matrix,
    direct_hypernyms,
    hypernym_edges,
    read_synsets,
)

build_wordnet = load_script("corpora.build_wordnet")

DEBIAN_NOUNS = Path("/usr/share/wordnet/data.noun")

NOUNS = """\
  1 A license notice | with pointers @ 00000001 n 0000
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
    # In the order of the pointers, of both kinds.
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


def test_build_command_line(tmp_path, monkeypatch):
    source, destination = tmp_path / "data.noun", tmp_path / "out.xz"
    source.write_text(NOUNS, encoding="utf-8")
    arguments = ["build_wordnet.py", str(source), "--output", str(destination)]
    monkeypatch.setattr(sys, "argv", arguments)
    build_wordnet.main()
    assert read_synsets(destination).words[3] == "Rex"


def test_build_rejects_unknown_hypernyms(tmp_path):
    source = tmp_path / "data.noun"
    source.write_text(NOUNS.replace("@i 00000030", "@i 00000031"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"does not contain.*00000031"):
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

    splits = np.array(splits)
    child, parent = hypernym_edges(synsets)
    direct = direct_hypernyms(child, parent, n)
    # Each class is a column of its own, next to the labels: the root has none.
    classes = sp.csr_array((direct[:, None] == np.arange(n)).astype(int))
    members = sp.hstack([ancestor_matrix(child, parent, n), classes]).tocsr()
    n_train = members[splits == "train"].sum(axis=0)
    n_test = members[splits == "test"].sum(axis=0)
    assert n_test.any() and (n_train[n_test > 0] > 0).all()
    hashes = np.array([build_wordnet.hash_fraction(offset) for offset in offsets])
    assert (hashes[splits == "test"] < 0.2).all()
    # A small hash that is not a test sample is the last training sample of a label.
    for i in np.flatnonzero((hashes < 0.2) & (splits == "train")):
        assert n_train[members[[i]].indices].min() == 1


def test_hash_does_not_change():
    assert build_wordnet.hash_fraction("00001740") == 0.18107461973210745


@pytest.mark.skipif(
    not DEBIAN_NOUNS.is_file(), reason="needs Debian's package wordnet-base"
)
def test_rebuilding_gives_the_bundled_file():
    bundled = lzma.decompress(DATA_FILE.read_bytes())
    # Not the compressed bytes: another version of liblzma may compress differently.
    assert build_wordnet.data_text(DEBIAN_NOUNS).encode() == bundled
