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
    """Scores of n samples for the nodes of each level and for late labels."""

    def __init__(self, levels, sizes, late=None):
        self.levels, self.sizes, self.late_scores = levels, sizes, late
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

    def late(self):
        return self.late_scores

    def take(self, rows):
        self.taken.append(rows.tolist())
        late = None if self.late_scores is None else self.late_scores[rows]
        part = TreeTables([level[rows] for level in self.levels], self.sizes, late)
        part.expanded = self.expanded
        return part


class FlatTables:
    """Scores of n samples for all labels, late ones last, and a shortlist of groups."""

    def __init__(self, scores, n_late, groups, group_size):
        self.scores, self.n_late = scores, n_late
        self.groups, self.group_size = groups, group_size

    def labels(self):
        return self.scores.clone()

    def shortlist(self):
        return self.groups

    def candidates(self, groups):
        scores = self.scores[:, : self.scores.shape[1] - self.n_late]
        padded = F.pad(scores, (0, self.group_size), value=-torch.inf)
        labels = groups[:, :, None] * self.group_size + torch.arange(self.group_size)
        return padded.gather(1, labels.flatten(1)).view(labels.shape)

    def outside(self, labels):
        return self.scores[:, labels]

    def late(self):
        return self.scores[:, -self.n_late :] if self.n_late else None


def path_log_probs(search, levels, late):
    """Return log P of the nodes of each level and of late labels, of one sample."""
    local = [log_sigmoid(s) for s in late]
    log_p = []
    for level, (size, scores) in enumerate(zip(search.head_sizes, levels, strict=True)):
        if search.multilabel:
            own = [log_sigmoid(s) for s in scores]
        elif level == 0:
            own = log_softmax([*scores, *late])
            own, local = own[: len(scores)], own[len(scores) :]
        else:
            own = []
            for start in range(0, len(scores), size):
                own += log_softmax(scores[start : start + size])
        parents = log_p[-1] if level else [0.0]
        above = [parents[node // size] if level else 0.0 for node in range(len(own))]
        join = add_odds_against if search.joint else operator.add
        log_p.append([join(*pair) for pair in zip(above, own, strict=True)])
    return log_p, local


def label_log_probs(search, scores):
    """Return log P of all labels, late ones last, shape (n, n_labels + n_late)."""
    rows = []
    for levels, late in samples_of(scores):
        if search.one_softmax:
            rows.append(log_softmax([*levels[-1], *late]))
        else:
            log_p, local = path_log_probs(search, levels, late)
            rows.append([*log_p[-1], *local])
    return torch.tensor(rows, dtype=torch.float64)


def samples_of(scores):
    """Return each sample's lists of scores of the levels, and of late labels."""
    n = len(scores.levels[0])
    late = scores.late_scores
    late = [[]] * n if late is None else late.tolist()
    return [([level[i].tolist() for level in scores.levels], late[i]) for i in range(n)]


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
    n_late = draw(st.integers(0, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))

    def table(n_columns):
        table = 2 * torch.randn(3, n_columns, generator=generator, dtype=torch.float64)
        return table.round() if is_integer else table

    is_integer = draw(st.booleans()) if values is None else values == "integers"
    levels = [table(n_nodes) for n_nodes in search.n_nodes]
    return search, TreeTables(levels, sizes, table(n_late) if n_late else None)


@st.composite
def flats(draw):
    """Return a search, and scores of 3 samples with a shortlist."""
    n_labels, n_late = draw(st.integers(1, 12)), draw(st.integers(0, 3))
    size = draw(st.integers(1, n_labels))
    n_groups = -(-n_labels // size)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    scores = torch.randn(3, n_labels + n_late, generator=generator, dtype=torch.float64)
    order = torch.stack([torch.randperm(n_groups, generator=generator) for _ in "123"])
    groups = order[:, : draw(st.integers(1, n_groups))]
    search = FlatSearch(draw(st.booleans()), n_labels, size)
    return search, FlatTables(scores, n_late, groups, size)
