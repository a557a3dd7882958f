"""Loader of the bundled WordNet nouns."""

import lzma
from collections import Counter
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils import Bunch

DATA_FILE = files(__package__) / "data" / "wordnet_nouns.tsv.xz"

# The multi-label variant's reach. Further up, the labels are the same few
# general nouns ("entity", "abstraction") for nearly every sample.
N_STEPS = 4

SUBSETS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}

DESCR = """\
.. _wordnet_dataset:

WordNet nouns
-------------

Each sample is a noun synset of WordNet 3.0, given as text: its words, separated
by commas, then " : ", then its gloss. The task is to place it in the hierarchy
of nouns.

**Data Set Characteristics:**

=====================================  ============  ===========
..                                     single-label  multi-label
=====================================  ============  ===========
Training samples                              60861        60861
Test samples                                  15091        15091
Classes or labels                             10735        11497
... of which in the test samples               6369         7461
Mean number of labels per sample               1.00         4.37
=====================================  ============  ===========

:Target, single-label: the synset's direct hypernym. Where WordNet gives
    several, it is the first in WordNet's own order.
:Target, multi-label: every ancestor at a distance of one to four steps, over
    all of the hypernyms.

"Hypernym" covers both of WordNet's relations: hypernym (``@``, *dog* is a kind
of *canine*) and instance hypernym (``@i``, *Einstein* is an instance of
*physicist*). Both name the class that the synset belongs to.

A synset is a sample if its direct hypernym is that of at least two synsets: a
class with a single member cannot be both learned and tested. This drops 6162
of the 82114 nouns with a hypernym, from both variants. Rare classes remain: half
of the 10735 have two or three samples, while the largest has 659.

The split into training and test samples is the same in both variants, and is
fixed: it is part of the data file. About a fifth of the synsets, chosen by a
hash of their offset in WordNet's ``data.noun``, are test samples, except those
that are needed for training. Every class and every label thus occurs in the
training samples.

Samples, classes and labels are in the order of their offsets, so related
synsets lie close to one another: shuffle the samples before splitting them by
position. A synset may be a sample and, for other samples, a class; the texts of
the classes (``label_texts``) therefore include texts of test samples, though
not what class these belong to.

.. rubric:: Source and licence

Extracted, and rearranged, from the file ``data.noun`` of WordNet 3.0, Princeton
University, https://wordnet.princeton.edu/. WordNet 3.0 Copyright 2006 by
Princeton University. All rights reserved. The complete notice, under which the
data may be used, copied, modified and distributed, is in the file
``skmhe/datasets/data/WORDNET_LICENSE`` beside the data.

.. rubric:: References

- Christiane Fellbaum (editor), "WordNet: An Electronic Lexical Database",
  MIT Press, Cambridge, MA, 1998.
- George A. Miller, "WordNet: A Lexical Database for English", Communications of
  the ACM 38(11), 39-41, 1995.
"""


class Synsets(NamedTuple):
    """Parallel lists with an item for each noun synset, by ascending offset."""

    offsets: list[str]  # eight digits: the synset's position in data.noun
    splits: list[str]  # "train", "test", or "-" if the synset is no sample
    hypernyms: list[str]  # offsets in WordNet's order, separated by spaces
    words: list[str]  # separated by ", "
    glosses: list[str]


def read_synsets(path=DATA_FILE):
    """Read the tab-separated file that ``_build_wordnet.py`` writes."""
    with path.open("rb") as compressed, lzma.open(compressed) as stream:
        text = stream.read().decode("utf-8")
    # One flat list: with a list for every line, loading takes twice as long.
    fields = text.removesuffix("\n").replace("\n", "\t").split("\t")
    n_columns = len(Synsets._fields)
    return Synsets(*(fields[column::n_columns] for column in range(n_columns)))


def hypernym_edges(synsets):
    """Return the edges of the hypernym graph as two arrays of positions.

    Parameters
    ----------
    synsets : Synsets
        The nodes of the graph.

    Returns
    -------
    child, parent : ndarray of shape (n_edges,)
        Edge i leads from ``child[i]`` to its hypernym ``parent[i]``. A child's
        edges are in the order of its hypernyms.
    """
    position = {offset: i for i, offset in enumerate(synsets.offsets)}
    n_parents = [len(offsets.split()) for offsets in synsets.hypernyms]
    child = np.repeat(np.arange(len(n_parents)), n_parents)
    parent = [position[offset] for offset in " ".join(synsets.hypernyms).split()]
    return child, np.array(parent, dtype=np.int64)


def direct_hypernyms(child, parent, n_synsets):
    """Return the position of each synset's first hypernym, -1 if it has none."""
    direct = np.full(n_synsets, -1)
    children, first_edge = np.unique(child, return_index=True)
    direct[children] = parent[first_edge]
    return direct


def ancestor_matrix(child, parent, n_synsets):
    """Mark the ancestors of every synset within `N_STEPS` steps.

    Parameters
    ----------
    child, parent : ndarray of shape (n_edges,)
        The edges of the hypernym graph.
    n_synsets : int
        The number of its nodes.

    Returns
    -------
    csr_matrix of shape (n_synsets, n_synsets)
        1 where the column's synset is an ancestor of the row's; nothing else is
        stored.
    """
    edges = (np.ones_like(parent), (child, parent))
    parents = csr_matrix(edges, shape=(n_synsets, n_synsets))
    # The entries count the paths of 1..N_STEPS steps. They are positive for
    # exactly the ancestors whose shortest path is no longer than that.
    n_paths = parents
    for _ in range(N_STEPS - 1):
        n_paths = parents + parents @ n_paths
    n_paths.sort_indices()
    n_paths.data[:] = 1
    return n_paths


def _synset_names(synsets):
    """Return the first word of each synset, with its offset if it is shared."""
    first_words = [words.partition(", ")[0] for words in synsets.words]
    count = Counter(first_words)
    return [
        word if count[word] == 1 else f"{word}.{offset}"
        for word, offset in zip(first_words, synsets.offsets, strict=True)
    ]


def _synset_texts(synsets):
    return [
        f"{words} : {gloss}"
        for words, gloss in zip(synsets.words, synsets.glosses, strict=True)
    ]


def _class_target(synsets, samples):
    """Return the class of each sample, and the synset of each class."""
    child, parent = hypernym_edges(synsets)
    direct = direct_hypernyms(child, parent, len(synsets.offsets))
    label_synsets, target = np.unique(direct[samples], return_inverse=True)
    return target.astype(np.int64, copy=False), label_synsets


def _ancestor_target(synsets, samples):
    """Return the labels of each sample, and the synset of each label."""
    child, parent = hypernym_edges(synsets)
    ancestors = ancestor_matrix(child, parent, len(synsets.offsets))[samples]
    label_synsets = np.unique(ancestors.indices)
    return ancestors[:, label_synsets], label_synsets


def _check_arguments(multilabel, subset, return_X_y):
    for name, value in {"multilabel": multilabel, "return_X_y": return_X_y}.items():
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False, got {value!r}.")
    if not isinstance(subset, str):
        raise TypeError(
            f"subset must be a str, one of {sorted(SUBSETS)}, got {subset!r}."
        )
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {sorted(SUBSETS)}, got {subset!r}.")


def load_wordnet(multilabel=False, *, subset="train", return_X_y=False):
    """Load the nouns of WordNet 3.0 with their hypernyms as classes.

    A sample is the text of a noun synset, its words and its gloss. Its class is
    its direct hypernym; in the multi-label variant, its labels are all of its
    ancestors within four steps. Instance hypernyms count as hypernyms. The
    data come with the package: nothing is downloaded.

    =================  ============  ===========
    ..                 single-label  multi-label
    =================  ============  ===========
    Training samples          60861        60861
    Test samples              15091        15091
    Classes or labels         10735        11497
    =================  ============  ===========

    Parameters
    ----------
    multilabel : bool, default=False
        If True, the target is an indicator matrix of the ancestors within four
        steps, instead of the direct hypernym.
    subset : {"train", "test", "all"}, default="train"
        The samples to load. The split is fixed and the same in both variants,
        and every class and label occurs in "train". "all" has both parts, in the
        order of WordNet.
    return_X_y : bool, default=False
        If True, return `(data, target)` instead of a Bunch object.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : list of str, of length n_samples
            The texts, such as "living thing, animate thing : a living (or once
            living) entity".
        target : ndarray of shape (n_samples,) or csr_matrix of shape \
                (n_samples, n_labels)
            The class of each sample, int64, in `range(n_classes)`; or, with
            `multilabel=True`, the int64 indicator of its labels. A csr_matrix
            of int64 is what :class:`~sklearn.preprocessing.MultiLabelBinarizer`
            gives by default. Classes and labels do not depend on `subset`.
        target_names : ndarray of shape (n_classes,), dtype object
            The name of each class or label, each different: the first word of
            the synset, followed by the synset's offset in WordNet if other noun
            synsets have the same first word, such as "thing.00002452".
        label_texts : list of str, of length n_classes
            The text of each class or label, in the form of the samples.
        DESCR : str
            The description of the data set, its source and its licence.

    (data, target) : tuple if `return_X_y=True`
        The texts and the targets described above.

    Raises
    ------
    TypeError
        If `multilabel` or `return_X_y` is not a bool, or `subset` not a str.
    ValueError
        If `subset` is none of "train", "test" and "all".

    References
    ----------
    .. [1] Christiane Fellbaum (editor), "WordNet: An Electronic Lexical
           Database", MIT Press, 1998. https://wordnet.princeton.edu/

    Examples
    --------
    >>> from skmhe.datasets import load_wordnet
    >>> wordnet = load_wordnet(subset="test")
    >>> len(wordnet.data), len(wordnet.target_names)
    (15091, 10735)
    >>> wordnet.data[2]
    'causal agent, cause, causal agency : any entity that produces an effect or
    is responsible for events or results'
    >>> wordnet.target_names[wordnet.target[2]]
    'physical entity'
    """
    _check_arguments(multilabel, subset, return_X_y)
    synsets = read_synsets()
    splits = np.array(synsets.splits)
    # The target is made of both parts, so that classes do not depend on subset.
    samples = np.flatnonzero(splits != "-")
    make_target = _ancestor_target if multilabel else _class_target
    target, label_synsets = make_target(synsets, samples)

    chosen = np.flatnonzero(np.isin(splits[samples], SUBSETS[subset]))
    target = target[chosen]
    texts = _synset_texts(synsets)
    data = [texts[i] for i in samples[chosen]]
    if return_X_y:
        return data, target
    names = _synset_names(synsets)
    return Bunch(
        data=data,
        target=target,
        target_names=np.array([names[i] for i in label_synsets], dtype=object),
        label_texts=[texts[i] for i in label_synsets],
        DESCR=DESCR,
    )
