"""Nouns and what they are kinds of: from WordNet's file, and as bundled with skmhe."""

import numpy as np

from .corpus import Corpus, checksum, in_test_part

HYPERNYM_POINTERS = ("@", "@i")


def parse_noun(line):
    """Return offset, hypernyms, words and gloss of a noun.

    The manual page wndb(5WN) describes the format.
    """
    fields, _, gloss = line.partition(" | ")
    # The offset, two fields, the number of words (hexadecimal), then pairs of word
    # and sense; the number of pointers, then four fields for each pointer.
    offset, _, _, n_words, *rest = fields.split()
    end = 2 * int(n_words, 16)
    words = [word.replace("_", " ") for word in rest[:end:2]]
    pointers = zip(rest[end + 1 :: 4], rest[end + 2 :: 4], strict=True)
    hypernyms = [target for symbol, target in pointers if symbol in HYPERNYM_POINTERS]
    return offset, hypernyms, words, gloss.strip()


def read_nouns(data_noun):
    """Return what `parse_noun` does for each noun of the file."""
    lines = data_noun.read_text(encoding="utf-8").splitlines()
    # The lines of the license at the top start with two spaces.
    return [parse_noun(line) for line in lines if not line.startswith("  ")]


def read_wnhyp(data_noun):
    """Return the corpus of WordNet's nouns and their hypernyms."""
    nouns = read_nouns(data_noun)
    texts = {offset: f"{', '.join(w)} : {gloss}" for offset, _, w, gloss in nouns}
    names = {offset: f"{w[0].replace(' ', '_')}.{offset}" for offset, _, w, _ in nouns}
    samples = [(offset, hypernyms[0]) for offset, hypernyms, *_ in nouns if hypernyms]
    return Corpus(
        texts=[texts[offset] for offset, _ in samples],
        labels=[{names[hypernym]} for _, hypernym in samples],
        is_test=in_test_part(offset for offset, _ in samples),
        label_texts={names[offset]: text for offset, text in texts.items()},
        multilabel=False,
        min_samples=2,
        origin="WordNet 3.0, Princeton University, from Debian's package wordnet-base\n"
        f"(data.noun, SHA-256 {checksum(data_noun)}).\n"
        "Text: words and gloss of a noun. Class: its first hypernym or instance\n"
        "hypernym. Key of the split: the noun's offset in data.noun.",
    )


def read_bundled(multilabel):
    """Return the corpus of the data set that skmhe bundles, with its own split."""
    from skmhe.datasets import load_wordnet

    parts = [load_wordnet(multilabel, subset=subset) for subset in ("train", "test")]
    names = parts[0].target_names
    labels = []
    for part in parts:
        if multilabel:
            positions = np.split(part.target.indices, part.target.indptr[1:-1])
        else:
            positions = part.target[:, None]
        labels += [set(names[row]) for row in positions]
    what = "all hypernyms within four steps" if multilabel else "its first hypernym"
    return Corpus(
        texts=[text for part in parts for text in part.data],
        labels=labels,
        is_test=np.repeat([False, True], [len(part.data) for part in parts]),
        label_texts=dict(zip(names, parts[0].label_texts, strict=True)),
        multilabel=multilabel,
        min_samples=1,
        origin="WordNet 3.0, Princeton University, as skmhe.datasets.load_wordnet "
        f"gives it.\nText: words and gloss of a noun. Target: {what}. The split is\n"
        "that of load_wordnet.",
    )
