"""Build the data file of ``skmhe.datasets.load_wordnet``.

The input is the file ``data.noun`` of WordNet 3.0, which Debian distributes in
the package wordnet-base. Either install that package (the file is then where
this script looks for it)::

    apt-get install wordnet-base

or unpack it without installing it::

    apt-get download wordnet-base
    dpkg -x wordnet-base_*.deb wordnet

Then run, from the root of the repository::

    python -m skmhe.datasets._build_wordnet
    python -m skmhe.datasets._build_wordnet wordnet/usr/share/wordnet/data.noun

The format of ``data.noun`` is described in the manual page wndb(5WN). The
output has a line for each synset, in the order of the input, with five
tab-separated fields: offset, split ("train", "test", or "-" if the synset is no
sample), offsets of the hypernyms and instance hypernyms (separated by spaces,
in the order of the input), words (separated by ", "), gloss.
"""

import argparse
import hashlib
import lzma
from pathlib import Path

import numpy as np

from skmhe.datasets._wordnet import (
    Synsets,
    ancestor_matrix,
    direct_hypernyms,
    hypernym_edges,
)

DEFAULT_INPUT = Path("/usr/share/wordnet/data.noun")
DEFAULT_OUTPUT = Path(__file__).parent / "data" / "wordnet_nouns.tsv.xz"
HYPERNYM_POINTERS = {"@", "@i"}
MIN_SAMPLES_PER_CLASS = 2
TEST_FRACTION = 0.2


def parse_line(line):
    """Parse a line of ``data.noun``.

    Returns
    -------
    offset : str
        The synset's offset.
    hypernyms : str
        The offsets of its hypernyms, separated by spaces.
    words : str
        Its words, separated by ", ".
    gloss : str
        Its gloss.
    """
    fields, _, gloss = line.partition(" | ")
    # offset, lexicographer file, part of speech, number of words (hexadecimal),
    # then (word, sense) pairs
    offset, _, _, n_words, *rest = fields.split()
    end = 2 * int(n_words, 16)
    words = [word.replace("_", " ") for word in rest[:end:2]]
    # number of pointers (decimal), then (symbol, offset, part of speech, words)
    _, *pointers = rest[end:]
    hypernyms = [
        target
        for symbol, target in zip(pointers[::4], pointers[1::4], strict=True)
        if symbol in HYPERNYM_POINTERS
    ]
    return offset, " ".join(hypernyms), ", ".join(words), gloss.strip()


def parse_nouns(path):
    """Parse a ``data.noun`` file into `Synsets`, as yet without samples."""
    lines = path.read_text(encoding="utf-8").splitlines()
    # The lines of the licence notice at the top start with two spaces.
    parsed = [parse_line(line) for line in lines if not line.startswith("  ")]
    offsets, hypernyms, words, glosses = map(list, zip(*parsed, strict=True))
    unknown = set(" ".join(hypernyms).split()).difference(offsets)
    if unknown:
        raise ValueError(
            f"{path} has pointers to hypernyms which it does not have: "
            f"{sorted(unknown)[:5]}"
        )
    return Synsets(offsets, ["-"] * len(offsets), hypernyms, words, glosses)


def hash_fraction(offset):
    """Map an offset to [0, 1), the same on every machine and in every version."""
    digest = hashlib.blake2b(offset.encode("ascii"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def assign_splits(synsets):
    """Return "train", "test" or "-" for each synset.

    Synsets without a hypernym, and those whose class is too small, are no
    samples. The others with a small hash become test samples one by one, as long
    as each of their labels (single-label and multi-label) keeps a training
    sample.
    """
    n_synsets = len(synsets.offsets)
    child, parent = hypernym_edges(synsets)
    direct = direct_hypernyms(child, parent, n_synsets)
    class_size = np.bincount(direct[direct >= 0], minlength=n_synsets)
    is_sample = (direct >= 0) & (class_size[direct] >= MIN_SAMPLES_PER_CLASS)
    ancestors = ancestor_matrix(child, parent, n_synsets)
    # How many training samples each label has left; class_size does it for classes.
    n_label = is_sample @ ancestors

    splits = np.where(is_sample, "train", "-")
    # In the order of the hash: in that of the offsets, the last synsets of a
    # class would be kept for training more often than the first.
    hashes = {i: hash_fraction(synsets.offsets[i]) for i in np.flatnonzero(is_sample)}
    candidates = [i for i in hashes if hashes[i] < TEST_FRACTION]
    for i in sorted(candidates, key=hashes.get):
        labels = ancestors.indices[ancestors.indptr[i] : ancestors.indptr[i + 1]]
        if class_size[direct[i]] > 1 and np.all(n_label[labels] > 1):
            splits[i] = "test"
            class_size[direct[i]] -= 1
            n_label[labels] -= 1
    return splits.tolist()


def format_synsets(synsets):
    """Return the text of the data file."""
    rows = zip(*synsets, strict=True)
    return "".join("\t".join(row) + "\n" for row in rows)


def build(source, destination):
    """Write the data file `destination` from the ``data.noun`` file `source`."""
    synsets = parse_nouns(source)
    text = format_synsets(synsets._replace(splits=assign_splits(synsets)))
    # Unlike gzip, xz stores neither a time nor a name: the same input gives the
    # same bytes.
    compressed = lzma.compress(
        text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME, check=lzma.CHECK_CRC32
    )
    destination.write_bytes(compressed)


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Build the data file of skmhe.datasets.load_wordnet."
    )
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        default=DEFAULT_INPUT,
        help="path of data.noun of WordNet 3.0 (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="path of the file to write"
    )
    args = parser.parse_args()
    if not args.source.is_file():
        parser.error(
            f"{args.source} does not exist: install Debian's package wordnet-base, "
            "or give the path of data.noun"
        )
    build(args.source, args.output)


if __name__ == "__main__":
    main()
