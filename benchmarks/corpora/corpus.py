"""Texts with labels: the split into a training and a test part, and files on disk."""

import gzip
import hashlib
from collections import Counter
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from data import VECTORIZER
from sklearn.feature_extraction.text import TfidfVectorizer

TEST_DIVISOR = 5


class Corpus(NamedTuple):
    """Samples as texts, before labels are chosen; the lists are parallel."""

    texts: list[str]
    labels: list[set[str]]  # the names of each sample's labels
    is_test: np.ndarray  # shape: (n_samples,), bool
    label_texts: dict[str, str]
    multilabel: bool
    min_samples: int  # labels with fewer training samples are dropped
    origin: str


def in_test_part(keys):
    """Tell for each key, a str, whether its samples belong to the test part."""
    numbers = (int(hashlib.md5(key.encode()).hexdigest()[:8], 16) for key in keys)
    return np.array([number % TEST_DIVISOR == 0 for number in numbers])


def checksum(path):
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chosen_labels(corpus):
    """Return the sorted names of the labels with enough training samples."""
    train = np.flatnonzero(~corpus.is_test)
    counts = Counter(name for i in train for name in corpus.labels[i])
    return sorted(name for name, n in counts.items() if n >= corpus.min_samples)


def encode(rows, names, multilabel):
    """Return the targets of samples: positions in names, or a CSR indicator."""
    position = {name: i for i, name in enumerate(names)}
    rows = [sorted(position[name] for name in row if name in position) for row in rows]
    columns = np.array([column for row in rows for column in row], dtype=np.int64)
    if not multilabel:
        return columns
    entries = np.ones(len(columns), np.float32)
    indptr = np.cumsum([0, *map(len, rows)])
    return sp.csr_matrix((entries, columns, indptr), shape=(len(rows), len(names)))


def write_lines(path, lines):
    """Write a text file, compressed if its name ends in .gz."""
    content = "".join(f"{line}\n" for line in lines).encode()
    if path.suffix == ".gz":
        # No time in the header: the same lines give the same bytes.
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)


def write_corpus(folder, corpus):
    """Choose labels and samples, make the features, and write a data set's folder.

    Returns
    -------
    str
        The sizes, in words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = chosen_labels(corpus)
    known = set(names)
    has_label = np.array([not known.isdisjoint(row) for row in corpus.labels])
    vectorizer = TfidfVectorizer(**VECTORIZER)
    sizes = [f"{len(names)} labels"]
    for part, of_part in (("train", ~corpus.is_test), ("test", corpus.is_test)):
        chosen = np.flatnonzero(of_part & has_label)
        texts = [corpus.texts[i] for i in chosen]
        transform = (
            vectorizer.fit_transform if part == "train" else vectorizer.transform
        )
        X = transform(texts)
        y = encode([corpus.labels[i] for i in chosen], names, corpus.multilabel)
        sp.save_npz(folder / f"X_{part}.npz", X)
        if corpus.multilabel:
            sp.save_npz(folder / f"Y_{part}.npz", y)
        else:
            np.save(folder / f"y_{part}.npy", y)
        write_lines(folder / f"texts_{part}.txt.gz", texts)
        n_labels = (y.nnz if corpus.multilabel else len(y)) / len(texts)
        sizes.append(
            f"{part} {X.shape[0]} x {X.shape[1]} with {X.nnz / X.shape[0]:.1f} "
            f"features and {n_labels:.2f} labels per sample"
        )
    write_lines(folder / "labels.txt", names)
    label_texts = [corpus.label_texts[name] for name in names]
    write_lines(folder / "label_texts.txt.gz", label_texts)
    described = "; ".join(sizes)
    (folder / "README.txt").write_text(
        f"{folder.name}: {described}.\n\n{corpus.origin}\n\n"
        "Written by benchmarks/make_data.py of skmhe, whose docstring has the rules.\n"
        "Features: TfidfVectorizer(sublinear_tf=True, min_df=2), fitted to the "
        "training texts.\n",
        encoding="utf-8",
    )
    return described
