"""Scores from tables, for searches, and what these must find, listed label by label."""

import math
import operator

import torch
from head_oracles import add_odds_against, log_sigmoid, log_softmax
from hypothesis import strategies as st
from torch.nn import functional as F

from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import TreeSearch


class TreeTables:
    """Scores of n samples for the nodes of each level."""

    def __init__(self, levels, sizes):
        self.levels, self.sizes = levels, sizes
        self.expanded, self.taken = [], []

    def nodes(self, level):
        return self.levels[level].clone()  # searches write to it

    def children(self, level, samples, nodes):
        pairs = zip(samples.tolist(), nodes.tolist(), strict=True)
        self.expanded += [(level, *pair) for pair in pairs]
        table, size = self.levels[level], self.sizes[level]
        children = nodes[:, None] * size + torch.arange(size)
        scores = table[samples[:, None], children.clamp(max=table.shape[1] - 1)]
        return scores.masked_fill(children >= table.shape[1], -torch.inf)

    def take(self, rows):
        self.taken.append(rows.tolist())
        part = TreeTables([level[rows] for level in self.levels], self.sizes)
        part.expanded = self.expanded
        return part


class FlatTables:
    """Scores of n samples for all labels, and a shortlist of groups."""

    def __init__(self, scores, groups, group_size):
        self.scores, self.groups, self.group_size = scores, groups, group_size

    def labels(self):
        return self.scores.clone()

    def shortlist(self):
        return self.groups

    def candidates(self, groups):
        padded = F.pad(self.scores, (0, self.group_size), value=-torch.inf)
        labels = groups[:, :, None] * self.group_size + torch.arange(self.group_size)
        return padded.gather(1, labels.flatten(1)).view(labels.shape)

    def outside(self, labels):
        return self.scores[:, labels]


def path_log_probs(search, levels):
    """Return log P of the nodes of each level, of one sample."""
    log_p = []
    for level, (size, scores) in enumerate(zip(search.head_sizes, levels, strict=True)):
        if search.multilabel:
            own = [log_sigmoid(s) for s in scores]
        elif level == 0:
            own = log_softmax(scores)
        else:
            own = []
            for start in range(0, len(scores), size):
                own += log_softmax(scores[start : start + size])
        parents = log_p[-1] if level else [0.0]
        above = [parents[node // size] if level else 0.0 for node in range(len(own))]
        join = add_odds_against if search.joint else operator.add
        log_p.append([join(*pair) for pair in zip(above, own, strict=True)])
    return log_p


def label_log_probs(search, scores):
    """Return log P of all labels, shape (n, n_labels)."""
    rows = []
    for levels in samples_of(scores):
        if search.one_softmax:
            rows.append(log_softmax(levels[-1]))
        else:
            rows.append(path_log_probs(search, levels)[-1])
    return torch.tensor(rows, dtype=torch.float64)


def samples_of(scores):
    """Return each sample's lists of scores of the levels."""
    n = len(scores.levels[0])
    return [[level[i].tolist() for level in scores.levels] for i in range(n)]


def beam_of(search, levels, log_p, k):
    """Return the labels that a beam finds, by the nodes' values at each level."""
    width = max(search.beam_width, math.ceil(k / search.head_sizes[-1]) + 1)
    nodes = range(len(log_p[0]))
    for level in range(1, len(levels)):
        size = search.head_sizes[level]
        best = sorted(nodes, key=lambda node: -log_p[level - 1][node])[:width]
        children = [node * size + digit for node in best for digit in range(size)]
        nodes = [node for node in children if node < len(levels[level])]
    return nodes


@st.composite
def trees(draw, values=None, **options):
    """Return a search and scores of 3 samples; many of integer scores are equal."""
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    n_labels = draw(st.integers(1, math.prod(sizes)))
    chosen = {"multilabel": draw(st.booleans()), "beam_width": draw(st.integers(1, 3))}
    search = TreeSearch(n_labels=n_labels, head_sizes=sizes, **chosen | options)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))

    def table(n_columns):
        table = 2 * torch.randn(3, n_columns, generator=generator, dtype=torch.float64)
        return table.round() if is_integer else table

    is_integer = draw(st.booleans()) if values is None else values == "integers"
    levels = [table(n_nodes) for n_nodes in search.n_nodes]
    return search, TreeTables(levels, sizes)


@st.composite
def flats(draw):
    """Return a search, and scores of 3 samples with a shortlist."""
    n_labels = draw(st.integers(1, 12))
    size = draw(st.integers(1, n_labels))
    n_groups = -(-n_labels // size)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    scores = torch.randn(3, n_labels, generator=generator, dtype=torch.float64)
    order = torch.stack([torch.randperm(n_groups, generator=generator) for _ in "123"])
    groups = order[:, : draw(st.integers(1, n_groups))]
    search = FlatSearch(draw(st.booleans()), n_labels, size)
    return search, FlatTables(scores, groups, size)
