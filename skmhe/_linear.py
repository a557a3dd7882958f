"""A tree of linear classifiers over the labels' codes, beside the network."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from threadpoolctl import ThreadpoolController

from skmhe._levels import DenseLevel, SparseLevel, starts_of
from skmhe._newton import Problem, Samples, newton_coefficients

# Scores of (sample, label) pairs that are solved at a time: what a step needs of
# them stays in the processor's cache.
BLOCK_SCORES = 400_000
# Where X is sparse, smaller weights are dropped: on held-out samples nothing is lost
# below 0.2. Where most features occur in a sample, small weights add up.
SMALLEST_WEIGHT, DENSE_SHARE = 0.1, 0.25


def fit_levels(X, Y, sizes, C, prior, weight=None, label_weight=None, n_threads=1):
    """Fit the classifiers of all nodes, each on the samples that have a label below.

    Parameters
    ----------
    X : {CSR, ndarray} of shape (n_samples, n_features)
        Samples of unit length.
    Y : CSR of shape (n_samples, n_labels)
        Indicator of the labels, columns in the order of their codes.
    sizes : sequence of int
        Numbers of children of the nodes of each level; (n_labels,) for no tree.
    C : float
        Cost of an error, against the squared length of the weights.
    prior : float
        See `newton_coefficients`; for the labels, not for the nodes above.
    weight : ndarray of shape (n_samples,), default=None
        Weights of the samples.
    label_weight : ndarray of shape (n_labels,), default=None
        Weights of the labels' positive samples.
    n_threads : int, default=1
        Number of threads.

    Returns
    -------
    list of SparseLevel or DenseLevel
    """
    levels = []
    n_stored = X.nnz if sp.issparse(X) else np.count_nonzero(X)
    is_dense = n_stored > DENSE_SHARE * X.shape[0] * X.shape[1]
    smallest = 0.0 if is_dense else SMALLEST_WEIGHT
    cost = np.full(X.shape[0], C, np.float32)
    if weight is not None:
        cost *= weight
    # Threads of ours have larger pieces of work than those of a matrix product.
    one_each = _controller().limit(limits=1, user_api="blas")
    with one_each, ThreadPoolExecutor(n_threads) as threads:
        for depth, size in enumerate(sizes):
            below = int(np.prod(sizes[depth + 1 :], dtype=np.int64))
            last = depth == len(sizes) - 1
            nodes = _ancestors(Y, below)
            tasks = _tasks(nodes, size)
            # Threads share either the nodes or, at the root, its children.
            inner, outer = (map, threads.map) if depth else (threads.map, map)
            weights = label_weight if last else None
            arguments = (cost, prior * last, weights, smallest, inner)
            fit_node = partial(_fit_node, X, nodes, *arguments)
            parts = list(outer(fit_node, tasks))
            n_parents = -(-nodes.shape[1] // size)
            assemble = _sparse_level if sp.issparse(X) else _dense_level
            levels.append(assemble(parts, tasks, n_parents, size, X.shape[1]))
    return levels


@cache
def _controller():
    """Return the threads' controller; to find the libraries takes a while."""
    return ThreadpoolController()


def _ancestors(Y, below):
    """Return the indicator of the nodes that have `below` labels each."""
    n_nodes = -(-Y.shape[1] // below)
    nodes = sp.csr_array(
        (np.ones(Y.nnz, np.float32), Y.indices // below, Y.indptr.copy()),
        shape=(Y.shape[0], n_nodes),
    )
    nodes.sum_duplicates()
    nodes.data[:] = 1
    return nodes


class _Task(NamedTuple):
    """A node, the samples that it has, and the children among which it chooses."""

    node: int
    rows: np.ndarray
    children: list  # slices of all nodes of the level


def _tasks(nodes, size):
    """Return the problems of a level."""
    parents = _ancestors(nodes, size).tocsc()
    parents.sort_indices()
    n_children, tasks = nodes.shape[1], []
    for node in range(parents.shape[1]):
        rows = parents.indices[parents.indptr[node] : parents.indptr[node + 1]]
        if parents.shape[1] == 1:  # the root: samples without labels count, too
            rows = np.arange(nodes.shape[0])
        start, stop = node * size, min((node + 1) * size, n_children)
        if len(rows):
            n_blocks = -(-(stop - start) * len(rows) // BLOCK_SCORES)
            bounds = np.linspace(start, stop, n_blocks + 1).astype(int)
            blocks = [slice(*pair) for pair in pairwise(bounds)]
            tasks.append(_Task(node, rows, blocks))
    return tasks


def _fit_node(X, nodes, cost, prior, label_weight, smallest, run, task):
    """Return features, and the weights and intercepts of each block of children."""
    X, nodes, cost = X[task.rows], nodes[task.rows], cost[task.rows][:, None]
    features = None
    if sp.issparse(X):
        features, local = np.unique(X.indices, return_inverse=True)
        shape = (X.shape[0], len(features))
        X = sp.csr_array((X.data, local, X.indptr), shape=shape)
    samples = Samples(X)

    def fit_block(children):
        positive = nodes[:, children].toarray() > 0
        costs = cost
        if label_weight is not None:
            costs = np.where(positive, cost * label_weight[children], cost)
        problem = Problem(samples, positive, costs.astype(np.float32))
        coefficients, intercepts = newton_coefficients(problem, prior)
        weights = samples.XT @ coefficients
        weights[np.abs(weights) < smallest] = 0
        return weights if features is None else sp.csr_array(weights), intercepts

    return features, list(run(fit_block, task.children))


def _sparse_level(parts, tasks, n_nodes, size, _n_features):
    """Stack the weights of all nodes."""
    features, lengths, digits, values = ([np.empty(0, int)] for _ in range(4))
    n_rows = np.zeros(n_nodes, np.int32)
    # A node without samples says no to all of its children alike.
    intercepts = np.full((n_nodes, size), -1, np.float32)
    for task, (node_features, blocks) in zip(tasks, parts, strict=True):
        weights = sp.hstack([block for block, _ in blocks], format="csr")
        offsets = np.concatenate([offsets for _, offsets in blocks])
        intercepts[task.node, : len(offsets)] = offsets
        used = np.diff(weights.indptr)
        n_rows[task.node] = np.count_nonzero(used)
        features.append(node_features[used > 0])
        lengths.append(used[used > 0])
        digits.append(weights.indices)
        values.append(weights.data)
    return SparseLevel(
        starts_of(n_rows),
        np.concatenate(features, dtype=np.int32),
        starts_of(np.concatenate(lengths)),
        np.concatenate(digits).astype(np.uint16 if size <= 2**16 else np.int32),
        np.concatenate(values, dtype=np.float32),
        intercepts,
    )


def _dense_level(parts, tasks, n_nodes, size, n_features):
    """Stack the weights of all nodes."""
    weights = np.zeros((n_nodes, n_features, size), np.float32)
    intercepts = np.full((n_nodes, size), -1, np.float32)
    for task, (_, blocks) in zip(tasks, parts, strict=True):
        own = np.hstack([block for block, _ in blocks])
        weights[task.node, :, : own.shape[1]] = own
        intercepts[task.node, : own.shape[1]] = np.concatenate(
            [offsets for _, offsets in blocks]
        )
    return DenseLevel(weights, intercepts)
