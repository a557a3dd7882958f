"""Build the data file of ``skmhe.datasets.load_wordnet``, which the package bundles.

    cd benchmarks
    python -m corpora.build_wordnet DATA_NOUN

DATA_NOUN is WordNet's file data.noun, from Debian's package wordnet-base: after
``python make_data.py OUT wnhyp``, OUT/sources/wordnet/usr/share/wordnet/data.noun.

The data file has one line per synset, in the order of data.noun, with five
tab-separated fields: offset, split ("train", "test", or "-" if the synset is not a
sample), offsets of the hypernyms and instance hypernyms (separated by spaces, in the
order of the input), words (separated by ", "), gloss.
"""

import argparse
import hashlib
import lzma
from pathlib import Path

import numpy as np

from skmhe.datasets._synsets import (
    DATA_FILE,
    Synsets,
    ancestor_matrix,
    direct_hypernyms,
    hypernym_edges,
)

from .wordnet import read_synsets

MIN_SAMPLES_PER_CLASS = 2
TEST_FRACTION = 0.2


def parse_nouns(path):
    """Return the synsets of a ``data.noun`` file, none of which is a sample yet."""
    offsets, hypernyms, words, glosses = map(
        list, zip(*read_synsets(path), strict=True)
    )
    unknown = set().union(*hypernyms).difference(offsets)
    if unknown:
        raise ValueError(
            f"{path} has pointers to hypernyms that it does not contain: "
            f"{sorted(unknown)[:5]}"
        )
    return Synsets(
        offsets,
        ["-"] * len(offsets),
        [" ".join(row) for row in hypernyms],
        [", ".join(row) for row in words],
        glosses,
    )


def hash_fraction(offset):
    """Map an offset to [0, 1), in the same way on all machines and in all versions."""
    digest = hashlib.blake2b(offset.encode("ascii"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def assign_splits(synsets):
    """Return "train", "test" or "-" (no sample) for each synset.

    Synsets without a hypernym, and those whose class is too small, are not samples.
    Of the others, those with a small hash become test samples one after the other, as
    long as each of their labels (single-label and multi-label) keeps a training sample.
    """
    n_synsets = len(synsets.offsets)
    child, parent = hypernym_edges(synsets)
    direct = direct_hypernyms(child, parent, n_synsets)
    class_size = np.bincount(direct[direct >= 0], minlength=n_synsets)
    is_sample = (direct >= 0) & (class_size[direct] >= MIN_SAMPLES_PER_CLASS)
    ancestors = ancestor_matrix(child, parent, n_synsets)
    # The number of training samples that each label still has, as class_size is that
    # of each class.
    n_label = is_sample @ ancestors

    splits = np.where(is_sample, "train", "-").tolist()
    # Sorted by hash: sorted by offset, the last synsets of a class would be kept for
    # training more often than the first ones.
    hashes = {i: hash_fraction(synsets.offsets[i]) for i in np.flatnonzero(is_sample)}
    candidates = [i for i in hashes if hashes[i] < TEST_FRACTION]
    for i in sorted(candidates, key=lambda i: hashes[i]):
        labels = ancestors.indices[ancestors.indptr[i] : ancestors.indptr[i + 1]]
        if class_size[direct[i]] > 1 and np.all(n_label[labels] > 1):
            splits[i] = "test"
            class_size[direct[i]] -= 1
            n_label[labels] -= 1
    return splits


def data_text(source):
    """Return the text of the data file."""
    synsets = parse_nouns(source)
    rows = zip(*synsets._replace(splits=assign_splits(synsets)), strict=True)
    return "".join("\t".join(row) + "\n" for row in rows)


def build(source, destination):
    """Write the data file."""
    # Unlike gzip, xz stores no time and no file name, so that the same input gives the
    # same bytes.
    compressed = lzma.compress(
        data_text(source).encode("utf-8"),
        preset=9 | lzma.PRESET_EXTREME,
        check=lzma.CHECK_CRC32,
    )
    destination.write_bytes(compressed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_noun", type=Path, help="data.noun of WordNet 3.0")
    parser.add_argument(
        "--output", type=Path, default=DATA_FILE, help="default: %(default)s"
    )
    args = parser.parse_args()
    build(args.data_noun, args.output)


if __name__ == "__main__":
    main()
