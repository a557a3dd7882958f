"""Texts of samples and labels, in both of the repository's forms."""

import gzip
import json

import numpy as np
import pytest
from xmc_files import mutated

from skmhe.datasets import load_xmc_texts

SAMPLES = [
    {"uid": "a", "title": "A cat", "content": "It sleeps.", "target_ind": [2, 0]},
    {"uid": "b", "title": "Næthing\u2028else", "content": "", "target_ind": []},
    {"uid": "c", "title": "A dog", "content": None, "target_ind": [1]},
]
LABELS = [{"title": "pets"}, {"title": "dogs"}, {"title": "cats", "content": "Small"}]
TARGET = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def json_lines(objects):
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in objects)


@pytest.fixture
def folder(tmp_path):
    for name, objects in {"trn": SAMPLES, "lbl": LABELS}.items():
        with gzip.open(tmp_path / f"{name}.json.gz", "wt", encoding="utf-8") as file:
            file.write(json_lines(objects))
    (tmp_path / "trn_X.txt").write_text("A cat\r\n\nA dog", newline="")
    (tmp_path / "Y.txt").write_text("pets\ndogs\ncats\n")
    (tmp_path / "trn_X_Y.txt").write_text("3 3\n2:1 0:1.0\n1:0\n1:2\n")
    return tmp_path


def test_json_lines(folder):
    found = load_xmc_texts(folder / "trn.json.gz", str(folder / "lbl.json.gz"))
    assert found.data == ["A cat It sleeps.", "Næthing\u2028else", "A dog"]
    assert found.label_texts == ["pets", "dogs", "cats Small"]
    assert found.target.toarray().tolist() == TARGET
    assert found.target.dtype == np.float32 and found.target.has_sorted_indices


def test_fields(folder):
    paths = folder / "trn.json.gz", folder / "lbl.json.gz"
    found = load_xmc_texts(*paths, fields=("title",))
    assert found.data[0] == "A cat" and found.label_texts[2] == "cats"
    with pytest.raises(ValueError, match=r"lbl.json.gz, line 1: expected one of the"):
        load_xmc_texts(*paths, fields=["content"])
    for fields in ("title", (), 3, [3], (field for field in ("title",))):
        with pytest.raises(TypeError, match="fields must be a sequence of str, got"):
            load_xmc_texts(*paths, fields=fields)


def test_plain_text(folder):
    names = ("trn_X.txt", "Y.txt", "trn_X_Y.txt")
    found = load_xmc_texts(*(folder / name for name in names))
    assert found.data == ["A cat", "", "A dog"]
    assert found.label_texts == ["pets", "dogs", "cats"]
    assert found.target.toarray().tolist() == TARGET
    assert found.target.nnz == 3
    with pytest.raises(
        ValueError, match=r"target_path must be given, as .*trn_X.txt is"
    ):
        load_xmc_texts(folder / "trn_X.txt", folder / "Y.txt")


def test_target_path_goes_before_target_ind(folder):
    (folder / "other.txt").write_text("1:1\n1:1\n1:1\n")
    paths = folder / "trn.json.gz", folder / "Y.txt", folder / "other.txt"
    assert load_xmc_texts(*paths).target.toarray().tolist() == [[0, 1, 0]] * 3
    # Whatever target_ind has.
    (folder / "trn.jsonl").write_text('{"title": "x", "target_ind": [99]}\n' * 3)
    paths = folder / "trn.jsonl", *paths[1:]
    assert load_xmc_texts(*paths).target.toarray().tolist() == [[0, 1, 0]] * 3


def test_a_mark_of_utf_8_is_no_text(folder):
    for name in ("trn_X.txt", "Y.txt", "trn_X_Y.txt"):
        path = folder / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    paths = [folder / name for name in ("trn_X.txt", "Y.txt", "trn_X_Y.txt")]
    found = load_xmc_texts(*paths)
    assert found.data[0] == "A cat" and found.label_texts[0] == "pets"
    (folder / "lbl.json").write_text(json_lines(LABELS), encoding="utf-8-sig")
    assert load_xmc_texts(folder / "trn.json.gz", folder / "lbl.json").label_texts


def test_compressed_texts_by_the_wrong_name(folder):
    (folder / "lbl.json.gz").rename(folder / "lbl.json")
    for encoding in ("utf-8", "latin-1"):
        with pytest.raises(ValueError, match=r"lbl.json, line 1: .* ends in \.gz"):
            load_xmc_texts(
                folder / "trn.json.gz", folder / "lbl.json", encoding=encoding
            )


def test_encoding(folder):
    (folder / "Y.txt").write_bytes(b"pets\nca\xf1es\ncats\n")
    paths = [folder / name for name in ("trn_X.txt", "Y.txt", "trn_X_Y.txt")]
    assert load_xmc_texts(*paths, encoding="latin-1").label_texts[1] == "cañes"
    with pytest.raises(ValueError, match=r"Y.txt, line 2: .*b'\\xf1es': give its enc"):
        load_xmc_texts(*paths)
    for wrong in ("no-code", "utf-16", "utf-32-le", "hex", 3):
        with pytest.raises(
            ValueError, match=f"encoding must be .* got {wrong!r}: conv"
        ):
            load_xmc_texts(*paths, encoding=wrong)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "expected a JSON object, got ''"),
        ("[1]", "expected a JSON object, got '.1.'"),
        ('{"title": ', "expected a JSON object, got .*title"),
        ("[" * 100_000, "expected a JSON object"),
        ('{"title": 3}', "expected fields of text, got '3'"),
        ('{"uid": "a"}', r"expected one of the fields \['title', 'content'\], got"),
        ('{"title": "x"}', r"field 'target_ind', got \['title'\]: give .* target_path"),
        ('{"title": "x", "target_ind": 3}', "target_ind to be a list of ints, got 3"),
        ('{"title": "x", "target_ind": [true]}', "a list of ints, got .True"),
        (
            '{"title": "x", "target_ind": [3]}',
            "below the number .* labels, 3, got 3",
        ),
        (
            '{"title": "x", "target_ind": [-1]}',
            "from 0 to below the .*, 3, got -1",
        ),
        ('{"title": "x", "target_ind": [1, 1]}', "each of target_ind once, got .1, 1"),
    ],
)
def test_lines_that_are_wrong(folder, line, message):
    path = folder / "tst.jsonl"
    path.write_text(f"{json_lines(SAMPLES)}{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{path}, line 4: .*{message}"):
        load_xmc_texts(path, folder / "lbl.json.gz")


@pytest.mark.parametrize("suffix", [".jsonl", ".txt"])
def test_mutated_files(folder, suffix, n_files=100):
    rng = np.random.default_rng(0)
    path, target_path = folder / f"data{suffix}", folder / "target"
    refused = 0
    for _ in range(n_files):
        path.write_bytes(mutated(json_lines(SAMPLES).encode(), rng))
        target_path.write_bytes(mutated(b"3 3\n0:1 2:1\n\n1:1\n", rng))
        try:
            found = load_xmc_texts(
                path, folder / "Y.txt", None if suffix == ".jsonl" else target_path
            )
        except ValueError as error:
            assert str(folder) in str(error) and len(str(error)) < 600
            refused += 1
            continue
        assert found.target.shape == (len(found.data), len(found.label_texts))
    assert n_files / 2 < refused < n_files


def test_files_that_do_not_belong_together(folder):
    paths = [folder / name for name in ("trn_X.txt", "Y.txt", "trn_X_Y.txt")]
    paths[0].write_text("A cat\n")
    with pytest.raises(ValueError, match=r"trn_X_Y.txt: expected 1 rows, as .*, got 3"):
        load_xmc_texts(*paths)
    paths[1].write_text("pets\n")
    with pytest.raises(
        ValueError, match=r"trn_X_Y.txt, line 1: .* n_labels to be 1 as"
    ):
        load_xmc_texts(*paths)
    with pytest.raises(TypeError, match="label_texts_path must be a str or a path"):
        load_xmc_texts(paths[0], ["pets"])
    with pytest.raises(TypeError, match="target_path must be"):
        load_xmc_texts(*paths[:2], 3)
    (folder / "lbl.json.gz").write_bytes((folder / "lbl.json.gz").read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"lbl.json.gz: expected a whole compressed"):
        load_xmc_texts(folder / "trn.json.gz", folder / "lbl.json.gz")
