"""Words and what they are kinds of: from WordNet's files, and as bundled with skmhe."""

import numpy as np

from .corpus import Corpus, checksum, in_test_part

HYPERNYM_POINTERS = ("@", "@i")


def parse_synset(line):
    """Return offset, hypernyms, words and gloss of a noun or a verb.

    The manual page wndb(5WN) describes the format.
    """
    fields, _, gloss = line.partition(" | ")
    # The offset, two fields, the number of words (hexadecimal), then pairs of word
    # and sense; the number of pointers, then four fields for each pointer; of a verb,
    # then its frames.
    offset, _, _, n_words, *rest = fields.split()
    end = 2 * int(n_words, 16)
    words = [word.replace("_", " ") for word in rest[:end:2]]
    rest = rest[end + 1 : end + 1 + 4 * int(rest[end])]
    pointers = zip(rest[::4], rest[1::4], strict=True)
    hypernyms = [target for symbol, target in pointers if symbol in HYPERNYM_POINTERS]
    return offset, hypernyms, words, gloss.strip()


def read_synsets(path):
    """Return what `parse_synset` does for each line of data.noun or data.verb."""
    lines = path.read_text(encoding="utf-8").splitlines()
    # The lines of the license at the top start with two spaces.
    return [parse_synset(line) for line in lines if not line.startswith("  ")]


def text_of(words, gloss):
    return f"{', '.join(words)} : {gloss}"


def read_wnhyp(data_noun):
    """Return the corpus of WordNet's nouns and their hypernyms."""
    nouns = read_synsets(data_noun)
    texts = {offset: text_of(w, gloss) for offset, _, w, gloss in nouns}
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


def ancestors(hypernyms):
    """Return all that each synset is a kind of, at any distance.

    `hypernyms` are those of each synset, by its key. Verbs have a cycle: a synset is
    none of its own ancestors.
    """
    found = {}
    for key, above in hypernyms.items():
        seen, todo = set(), list(above)
        while todo:
            if (next_one := todo.pop()) not in seen:
                seen.add(next_one)
                todo += hypernyms[next_one]
        found[key] = seen - {key}
    return found


def read_wnanc(data_noun, data_verb):
    """Return the corpus of nouns and verbs, and all that they are kinds of."""
    texts, hypernyms = {}, {}
    for part, path in (("n", data_noun), ("v", data_verb)):
        for offset, above, words, gloss in read_synsets(path):
            texts[part + offset] = text_of(words, gloss)
            hypernyms[part + offset] = [part + other for other in above]
    labels = {key: names for key, names in ancestors(hypernyms).items() if names}
    return Corpus(
        texts=[texts[key] for key in labels],
        labels=list(labels.values()),
        is_test=in_test_part(labels),
        label_texts=texts,
        multilabel=True,
        min_samples=2,
        origin="WordNet 3.0, Princeton University, from Debian's package wordnet-base\n"
        f"(data.noun, SHA-256 {checksum(data_noun)};\n"
        f"data.verb, SHA-256 {checksum(data_verb)}).\n"
        "Text: words and gloss of a noun or a verb. Labels: all hypernyms and\n"
        "instance hypernyms, at any distance. Key of the split: n or v, and the\n"
        "offset in the file.",
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
