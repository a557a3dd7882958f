"""The data sets that benchmarks/make_data.py builds, on small cases."""

import hashlib

import numpy as np
import pytest
from benchmark_scripts import load_script

corpus = load_script("corpora.corpus")
debian = load_script("corpora.debian")
wordnet = load_script("corpora.wordnet")
data = load_script("data")

CAT = (
    "02121620 05 n 02 cat 0 true_cat 0 003 @ 02120997 n 0000 @i 00000001 n 0000 "
    '~ 02121808 n 0000 | feline mammal; "a | b"  '
)
PACKAGES = """\
Package: liba1
Section: contrib/libs
Tag: role::shared-lib, works-with::text,
 use::viewing
Source: asrc (1.2)
Version: 1.2
Depends: libc6 (>= 2.36), mail-agent | exim4:any
Description: short text
Description-md5: 1

Package: c++-tool
Section: devel
Depends: liba1 (= 1.2), libc6
Description: only a short one

Package: libc6
Section: libs
Tag: role::shared-lib
Version: 2
Description: the library
"""
DESCRIPTIONS = """\
Package: liba1
Description-md5: 1
Description-en: short text
 It continues  here.
 .
 And ends.
"""


@pytest.fixture
def packages(tmp_path):
    paths = tmp_path / "Packages", tmp_path / "Translation-en"
    for path, text in zip(paths, (PACKAGES, DESCRIPTIONS), strict=True):
        path.write_text(text)
    return paths


def test_split_is_that_of_the_documented_hash():
    keys = [f"{i:08d}" for i in range(2000)]
    digests = (hashlib.md5(key.encode()).digest() for key in keys)
    expected = [int.from_bytes(digest[:4], "big") % 5 == 0 for digest in digests]
    np.testing.assert_array_equal(corpus.in_test_part(keys), expected)
    assert 0.17 < np.mean(expected) < 0.23


def test_synset():
    assert wordnet.parse_synset(CAT) == (
        "02121620",
        ["02120997", "00000001"],
        ["cat", "true cat"],
        'feline mammal; "a | b"',
    )
    entity = "00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is"
    assert wordnet.parse_synset(entity)[1] == []
    verb = (
        "00002325 29 v 01 respire 1 002 $ 00001740 v 0000 @ 02108395 v 0000 "
        "02 + 02 00 + 08 01 | breathe"
    )
    assert wordnet.parse_synset(verb) == (
        "00002325",
        ["02108395"],
        ["respire"],
        "breathe",
    )


def test_ancestors():
    # d is below b and c, and these are below a; e and f are kinds of each other.
    hypernyms = {"a": [], "b": ["a"], "c": ["a"], "d": ["c", "b"], "e": ["f"], "f": "e"}
    assert wordnet.ancestors(hypernyms) == {
        **{"a": set(), "b": {"a"}, "c": {"a"}, "d": {"a", "b", "c"}},
        **{"e": {"f"}, "f": {"e"}},
    }


def test_ancestors_of_nouns_and_verbs(tmp_path):
    noun, verb = tmp_path / "data.noun", tmp_path / "data.verb"
    noun.write_text(
        "  1 a license\n"
        "00000001 03 n 01 entity 0 000 | that which is\n"
        "00000002 03 n 01 thing 0 001 @ 00000001 n 0000 | some entity\n"
    )
    verb.write_text(
        "00000001 29 v 01 be 0 000 01 + 02 00 | exist\n"
        "00000003 29 v 02 live 0 dwell 0 001 @ 00000001 v 0000 01 + 02 00 | be alive\n"
    )
    found = wordnet.read_wnanc(noun, verb)
    assert found.texts == ["thing : some entity", "live, dwell : be alive"]
    assert found.labels == [{"n00000001"}, {"v00000001"}]
    assert found.label_texts["v00000001"] == "be : exist"
    expected = corpus.in_test_part(["n00000002", "v00000003"])
    np.testing.assert_array_equal(found.is_test, expected)


def test_packages(packages):
    found = debian.read_debdeps(*packages)
    assert found.texts == [
        "liba1 short text It continues  here. . And ends.",
        "c   tool only a short one",
    ]
    assert found.labels == [{"libc6", "mail-agent", "exim4"}, {"liba1", "libc6"}]
    assert found.label_texts["mail-agent"] == "mail agent"
    assert found.label_texts["libc6"] == "libc6 the library"
    expected = corpus.in_test_part(["asrc", "c++-tool"])
    np.testing.assert_array_equal(found.is_test, expected)


def test_tags_and_sections(packages):
    found = debian.read_debtags(*packages)
    assert found.labels == [
        {"role::shared-lib", "works-with::text", "use::viewing"},
        {"role::shared-lib"},
    ]
    assert found.texts[1] == "libc6 the library"
    assert found.label_texts["role::shared-lib"] == "role shared lib"
    assert found.multilabel
    sections = debian.read_debsection(*packages)
    assert sections.labels == [{"libs"}, {"devel"}, {"libs"}]
    assert not sections.multilabel
    expected = corpus.in_test_part(["asrc", "c++-tool", "libc6"])
    np.testing.assert_array_equal(sections.is_test, expected)


@pytest.mark.parametrize("multilabel", [False, True])
def test_written_data_set(tmp_path, multilabel):
    labels = [{"b"}, {"a"}, {"a"}, {"rare"}, {"b"}, {"a"}, {"rare"}]
    if multilabel:
        labels[0] = {"b", "a", "rare"}
    made = corpus.Corpus(
        texts=[
            f"word {word}" for word in ["one", "two", "two", "one", "two", "new", "one"]
        ],
        labels=labels,
        is_test=np.array([0, 0, 0, 0, 0, 1, 1], dtype=bool),
        label_texts={"a": "text of a", "b": "text of b", "rare": ""},
        multilabel=multilabel,
        min_samples=2 if not multilabel else 3,
        origin="Made up.",
    )
    corpus.write_corpus(tmp_path / "made", made)
    X, X_test, y, y_test = data.load(tmp_path / "made")
    lines = (tmp_path / "made" / "labels.txt").read_text().split()
    texts = data.read_texts(tmp_path / "made" / "texts_train.txt.gz")
    assert data.read_texts(tmp_path / "made" / "texts_test.txt.gz") == ["word new"]
    assert X.dtype == np.float32
    if multilabel:
        assert lines == ["a"]
        assert texts == ["word one", "word two", "word two"]
        assert y.toarray().tolist() == [[1], [1], [1]]
        assert y_test.toarray().tolist() == [[1]]
    else:
        assert lines == ["a", "b"]
        assert texts == ["word one", "word two", "word two", "word two"]
        assert (y.tolist(), y_test.tolist()) == ([1, 0, 0, 1], [0])
    assert X.shape[0] == len(texts)
    assert X_test.shape == (1, X.shape[1])
