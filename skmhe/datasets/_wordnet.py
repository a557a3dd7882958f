"""Loader of the bundled nouns of WordNet."""

from collections import Counter
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils import Bunch

from skmhe.datasets._synsets import (
    Synsets,
    ancestor_matrix,
    direct_hypernyms,
    hypernym_edges,
    read_synsets,
)

Target: TypeAlias = NDArray[np.int64] | csr_matrix

SUBSETS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}

DESCR = """\
.. _wordnet_dataset:

WordNet nouns
-------------

Each sample is a noun synset of WordNet 3.0 as a text: its words, separated by
commas, followed by " : " and its gloss. The task is to predict its place in the
hierarchy of nouns.

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

:Target, single-label: the direct hypernym of the synset. If WordNet gives
    several, it is the first one in WordNet's own order.
:Target, multi-label: all ancestors at a distance of one to four steps, through
    all hypernyms.

"Hypernym" stands for two relations of WordNet: hypernym (``@``, *dog* is a kind
of *canine*) and instance hypernym (``@i``, *Einstein* is an instance of
*physicist*). Both name the class that the synset belongs to.

A synset is a sample if at least two synsets have its direct hypernym, because a
class with a single member cannot be both learned and tested. This removes 6162
of the 82114 nouns with a hypernym from both variants. Rare classes remain: half
of the 10735 classes have two or three samples, while the largest has 659.

The split into training and test samples is part of the data file: it is fixed,
and the same in both variants. About a fifth of the synsets, chosen by a hash of
their offset in WordNet's file ``data.noun``, are test samples, except for those
that are needed for training: every class and every label occurs in the training
samples.

Samples, classes and labels are in the order of their offsets, so that related
synsets are close to each other: shuffle the samples before splitting them by
position. A synset may be a sample and also the class of other samples. The texts
of the classes (``label_texts``) therefore include texts of test samples, but do
not tell the classes of these.

.. rubric:: Source and license

Extracted, and rearranged, from the file ``data.noun`` of WordNet 3.0, Princeton
University, https://wordnet.princeton.edu/. WordNet 3.0 Copyright 2006 by
Princeton University. All rights reserved. The complete notice, under which the
data may be used, copied, modified and distributed, is in the file
``skmhe/datasets/data/WORDNET_LICENSE``.

.. rubric:: References

- Christiane Fellbaum (editor), "WordNet: An Electronic Lexical Database",
  MIT Press, Cambridge, MA, 1998.
- George A. Miller, "WordNet: A Lexical Database for English", Communications of
  the ACM 38(11), 39-41, 1995.
"""


@overload
def load_wordnet(
    multilabel: bool = ..., *, subset: str = ..., return_X_y: Literal[False] = ...
) -> Bunch: ...
@overload
def load_wordnet(
    multilabel: bool = ..., *, subset: str = ..., return_X_y: Literal[True]
) -> tuple[list[str], Target]: ...
def load_wordnet(
    multilabel: bool = False, *, subset: str = "train", return_X_y: bool = False
) -> Bunch | tuple[list[str], Target]:
    """Load the nouns of WordNet 3.0 with their hypernyms as classes.

    A sample is the text of a noun synset: its words and its gloss. Its class is its
    direct hypernym. In the multi-label variant, its labels are all of its ancestors
    at a distance of up to four steps. Instance hypernyms count as hypernyms. The data
    are part of the package: nothing is downloaded.

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
        If True, the target is an indicator matrix of the ancestors up to four steps
        away. If False, the target is the direct hypernym.
    subset : {"train", "test", "all"}, default="train"
        The samples to load. The split is fixed and the same in both variants, and every
        class and label occurs in "train". "all" has the samples of both parts, in the
        order of WordNet.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch object.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        data : list of str of length n_samples
            The texts, such as "living thing, animate thing : a living (or once
            living) entity".
        target : ndarray of shape (n_samples,) or csr_matrix of shape \
                (n_samples, n_labels)
            The class of each sample, an int64 in ``range(n_classes)``; for
            ``multilabel=True``, the int64 indicator matrix of the labels. The classes
            and labels do not depend on `subset`.
        target_names : ndarray of shape (n_classes,), dtype object
            The unique name of each class or label: the first word of the synset,
            followed by the synset's offset in WordNet if other noun synsets have the
            same first word, such as "thing.00002452".
        label_texts : list of str of length n_classes
            The text of each class or label, in the same form as the samples.
        DESCR : str
            The description of the data set, its source and its license.

    (data, target) : tuple if ``return_X_y=True``
        The texts and the target described above.

    Raises
    ------
    TypeError
        If `multilabel` or `return_X_y` is not a bool, or `subset` is not a str.
    ValueError
        If `subset` is not one of "train", "test" and "all".

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
    # The target is built for both parts, so that the classes do not depend on subset.
    samples = np.flatnonzero(splits != "-")
    target, label_synsets = _make_target(synsets, samples, multilabel)
    chosen = np.flatnonzero(np.isin(splits[samples], SUBSETS[subset]))
    target = target[chosen]
    words_and_gloss = zip(synsets.words, synsets.glosses, strict=True)
    texts = [f"{words} : {gloss}" for words, gloss in words_and_gloss]
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


def _check_arguments(multilabel: bool, subset: str, return_X_y: bool) -> None:
    for name, value in {"multilabel": multilabel, "return_X_y": return_X_y}.items():
        if not isinstance(value, bool | np.bool_):
            is_subset = isinstance(value, str) and value in SUBSETS
            hint = f": did you mean subset={value!r}?" if is_subset else "."
            raise TypeError(f"{name} must be True or False, got {value!r}{hint}")
    if not isinstance(subset, str):
        raise TypeError(
            f"subset must be a str, one of {sorted(SUBSETS)}, got {subset!r}."
        )
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {sorted(SUBSETS)}, got {subset!r}.")


def _make_target(
    synsets: Synsets, samples: NDArray[np.intp], multilabel: bool
) -> tuple[Target, NDArray[np.int64]]:
    """Return the class or labels of each sample, and the synset of each of these."""
    edges, n_synsets = hypernym_edges(synsets), len(synsets.offsets)
    if multilabel:
        ancestors = ancestor_matrix(*edges, n_synsets)[samples]
        label_synsets = np.unique(ancestors.indices)
        return ancestors[:, label_synsets], label_synsets
    direct = direct_hypernyms(*edges, n_synsets)
    label_synsets, target = np.unique(direct[samples], return_inverse=True)
    return target.astype(np.int64, copy=False), label_synsets


def _synset_names(synsets: Synsets) -> list[str]:
    """Return the first word of each synset, followed by its offset if not unique."""
    first_words = [words.partition(", ")[0] for words in synsets.words]
    count = Counter(first_words)
    return [
        word if count[word] == 1 else f"{word}.{offset}"
        for word, offset in zip(first_words, synsets.offsets, strict=True)
    ]
