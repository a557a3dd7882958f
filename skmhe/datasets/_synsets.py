"""Noun synsets of WordNet, and the graph that their hypernyms form."""

import lzma
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

DATA_FILE = files("skmhe.datasets") / "data" / "wordnet_nouns.tsv.xz"

# How far the ancestors of a synset reach. Further up, they are the same few general
# nouns ("entity", "abstraction") for nearly every synset.
N_STEPS = 4


class Synsets(NamedTuple):
    """Parallel lists with one item per noun synset, by ascending offset."""

    offsets: list[str]  # eight digits: the synset's position in data.noun
    splits: list[str]  # "train", "test", or "-" if the synset is not a sample
    hypernyms: list[str]  # offsets in WordNet's order, separated by spaces
    words: list[str]  # separated by ", "
    glosses: list[str]


def read_synsets(path: Path | Traversable = DATA_FILE) -> Synsets:
    """Read the file that ``benchmarks/corpora/build_wordnet.py`` writes."""
    with path.open("rb") as compressed, lzma.open(compressed) as stream:
        text = stream.read().decode("utf-8")
    # A single flat list: with one list per line, loading takes twice as long.
    fields = text.removesuffix("\n").replace("\n", "\t").split("\t")
    n_columns = len(Synsets._fields)
    return Synsets(*(fields[column::n_columns] for column in range(n_columns)))


def hypernym_edges(synsets: Synsets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return child and parent of each edge of the hypernym graph, shape (n_edges,).

    Both are positions in `synsets`. The edges of a child are in the order of its
    hypernyms.
    """
    position = {offset: i for i, offset in enumerate(synsets.offsets)}
    n_parents = [len(offsets.split()) for offsets in synsets.hypernyms]
    child = np.repeat(np.arange(len(n_parents)), n_parents)
    parent = [position[offset] for offset in " ".join(synsets.hypernyms).split()]
    return child, np.array(parent, dtype=np.int64)


def direct_hypernyms(
    child: NDArray[np.int64], parent: NDArray[np.int64], n_synsets: int
) -> NDArray[np.int64]:
    """Return the first hypernym of each synset, or -1, shape (n_synsets,)."""
    direct = np.full(n_synsets, -1)
    children, first_edge = np.unique(child, return_index=True)
    direct[children] = parent[first_edge]
    return direct


def ancestor_matrix(
    child: NDArray[np.int64], parent: NDArray[np.int64], n_synsets: int
) -> csr_matrix:
    """Mark each synset's ancestors that are at most `N_STEPS` steps away.

    1 in their columns, shape (n_synsets, n_synsets), without explicit zeros.
    """
    edges = (np.ones_like(parent), (child, parent))
    parents = csr_matrix(edges, shape=(n_synsets, n_synsets))
    # The elements count the paths of 1 to N_STEPS steps. They are positive exactly for
    # the ancestors whose shortest path is not longer than that.
    n_paths = parents
    for _ in range(N_STEPS - 1):
        n_paths = parents + parents @ n_paths
    n_paths.sort_indices()
    n_paths.data[:] = 1
    return n_paths
