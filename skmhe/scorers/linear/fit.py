"""Fitting a tree of linear classifiers over the labels' codes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.scorers.batch import Rows
from skmhe.scorers.linear.near import most_probable
from skmhe.scorers.linear.scaling import is_dense
from skmhe.scorers.linear.solver import Problem, Samples, minimize_squared_hinge
from skmhe.scorers.linear.tables import DenseLevel, Level, SparseLevel, starts_of
from skmhe.scorers.progress import SILENT, Progress
from skmhe.scorers.threads import one_blas_thread, own_threads, threads_for

# Scores of (sample, label) pairs that are solved at a time: what a step needs of
# them stays in the processor's cache. But at least so many labels: a product of a
# sparse sample with fewer takes about as long.
BLOCK_SCORES, MIN_BLOCK_LABELS = 400_000, 16
# Where X is sparse, smaller weights are dropped: on held-out samples nothing is lost
# below 0.2. Where most features occur in a sample, small weights add up.
SMALLEST_WEIGHT = 0.1
# Most labels' problems take about as many products with all samples.
TYPICAL_PRODUCTS = 12


class _Block(NamedTuple):
    """Classifiers of some children of a node."""

    weights: Any  # shape: (n_features of the node, n_children)
    intercepts: np.ndarray
    n_iter: int


# Features (None: all) of a node, and blocks of its children.
_NodeWeights = tuple[np.ndarray | None, list[_Block]]


def fit_levels(
    X: Rows,
    Y: sp.csr_array,
    sizes: Sequence[int],
    C: float,
    prior: float,
    weight: np.ndarray | None = None,
    label_weight: np.ndarray | None = None,
    progress: Progress = SILENT,
    n_near: int = 0,
) -> tuple[list[Level], int]:
    """Fit the classifiers of all nodes, each on the samples that concern its parent.

    Returns the tree, and the largest number of steps that a classifier took.

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
        See `minimize_squared_hinge`; for the labels, not for the nodes above.
    weight, label_weight : ndarray, default=None
        Weights of the samples, and of the labels' positive samples.
    progress : Progress, default=SILENT
        Is told of the levels, which are its rounds.
    n_near : int, default=0
        A sample concerns the nodes of its labels and, of each level, so many of those
        that the classifiers find most probable.
    """
    levels: list[Level] = []
    n_iter, near = 0, None
    smallest = 0.0 if is_dense(X) else SMALLEST_WEIGHT
    cost = np.full(X.shape[0], C, np.float32)
    if weight is not None:
        cost *= weight
    with threads_for(_multiply_adds(X.size, Y, sizes)):
        n_threads = torch.get_num_threads()
    # Threads of ours have larger pieces of work than those of a matrix product.
    with one_blas_thread, own_threads(n_threads) as threads:

        def share(solve: Callable[[Any], Any], pieces: list[Any]) -> Iterator[Any]:
            return progress.pieces(threads.map(solve, pieces), len(pieces))

        for depth, size in enumerate(sizes):
            progress.start_round()
            below = int(np.prod(sizes[depth + 1 :], dtype=np.int64))
            last = depth == len(sizes) - 1
            nodes = _ancestors(Y, below)
            tasks = _tasks(nodes, size, near)
            # Threads share either the nodes or, at the root, its children.
            inner, outer = (map, share) if depth else (share, map)
            weights = label_weight if last else None
            arguments = (cost, prior * last, weights, smallest, inner)
            fit_node = partial(_fit_node, X, nodes, *arguments)
            parts = list(outer(fit_node, tasks))
            steps = [block.n_iter for _, blocks in parts for block in blocks]
            n_iter = max([n_iter, *steps])
            n_parents = -(-nodes.shape[1] // size)
            assemble = _sparse_level if sp.issparse(X) else _dense_level
            levels.append(assemble(parts, tasks, n_parents, size, X.shape[1]))
            if n_near and not last:
                near = most_probable(levels, X, nodes.shape[1], n_near)
            progress.end_round()
    return levels, n_iter


def _multiply_adds(n_stored: int, Y: sp.csr_array, sizes: Sequence[int]) -> float:
    """Estimate those of all products with X, as if there were no kernel matrices."""
    # All samples are in the root's problem, and then in one for each label.
    n_children = sizes[0] + Y.nnz / Y.shape[0] * sum(sizes[1:])
    return 2 * TYPICAL_PRODUCTS * n_stored * n_children


def _ancestors(Y: sp.csr_array, below: int) -> sp.csr_array:
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
    children: list[slice]  # slices of all nodes of the level


def _tasks(
    nodes: sp.csr_array, size: int, near: sp.csr_array | None = None
) -> list[_Task]:
    """Return the problems of a level, with samples that have a node or are near it."""
    parents = _ancestors(nodes, size)
    parents = (parents if near is None else parents + near).tocsc()
    parents.sort_indices()
    n_children, tasks = nodes.shape[1], []
    for node in range(parents.shape[1]):
        rows = parents.indices[parents.indptr[node] : parents.indptr[node + 1]]
        if parents.shape[1] == 1:  # the root: samples without labels count, too
            rows = np.arange(nodes.shape[0])
        start, stop = node * size, min((node + 1) * size, n_children)
        if len(rows):
            n_together = max(BLOCK_SCORES // len(rows), MIN_BLOCK_LABELS)
            n_blocks = -(-(stop - start) // n_together)
            bounds = np.linspace(start, stop, n_blocks + 1).astype(int)
            blocks = [slice(*pair) for pair in pairwise(bounds)]
            tasks.append(_Task(node, rows, blocks))
    return tasks


def _fit_node(
    X: Rows,
    nodes: sp.csr_array,
    cost: np.ndarray,
    prior: float,
    label_weight: np.ndarray | None,
    smallest: float,
    run: Any,
    task: _Task,
) -> _NodeWeights:
    """Return features, and the classifiers of each block of children."""
    X, nodes, cost = X[task.rows], nodes[task.rows], cost[task.rows][:, None]
    features = None
    if sp.issparse(X):
        features, local = np.unique(X.indices, return_inverse=True)
        local = local.astype(np.int32)
        shape = (X.shape[0], len(features))
        X = sp.csr_array((X.data, local, X.indptr.astype(np.int32)), shape=shape)
    samples = Samples(X)

    def fit_block(children: slice) -> _Block:
        positive = nodes[:, children].toarray() > 0
        costs = cost
        if label_weight is not None:
            costs = np.where(positive, cost * label_weight[children], cost)
        problem = Problem(samples, positive, costs.astype(np.float32))
        coefficients, intercepts, n_iter = minimize_squared_hinge(problem, prior)
        weights = samples.weights(coefficients)
        weights[np.abs(weights) < smallest] = 0
        stored = weights if features is None else _nonzeros(weights)
        return _Block(stored, intercepts, n_iter)

    return features, list(run(fit_block, task.children))


def _nonzeros(weights: np.ndarray) -> sp.csr_array:
    """Return weights as CSR; SciPy, which looks for cells in 2-D, takes much longer."""
    n_rows, n_children = weights.shape
    kept = weights != 0
    cells, starts = np.flatnonzero(kept), starts_of(np.count_nonzero(kept, axis=1))
    entries = weights.ravel()[cells], (cells % n_children).astype(np.int32), starts
    return sp.csr_array(entries, shape=(n_rows, n_children))


def _sparse_level(
    parts: list[_NodeWeights],
    tasks: list[_Task],
    n_nodes: int,
    size: int,
    _n_features: int,
) -> SparseLevel:
    """Stack the weights of all nodes."""
    features, lengths, children, values = ([np.empty(0, int)] for _ in range(4))
    n_rows = np.zeros(n_nodes, np.int32)
    # A node without samples says no to all of its children alike.
    intercepts = np.full((n_nodes, size), -1, np.float32)
    for task, (node_features, blocks) in zip(tasks, parts, strict=True):
        weights = sp.hstack([block.weights for block in blocks], format="csr")
        own = np.concatenate([block.intercepts for block in blocks])
        intercepts[task.node, : len(own)] = own
        used = np.diff(weights.indptr)
        n_rows[task.node] = np.count_nonzero(used)
        assert node_features is not None
        features.append(node_features[used > 0])
        lengths.append(used[used > 0])
        children.append(weights.indices)
        values.append(weights.data)
    return SparseLevel(
        starts_of(n_rows),
        np.concatenate(features, dtype=np.int32),
        starts_of(np.concatenate(lengths)),
        np.concatenate(children).astype(np.uint16 if size <= 2**16 else np.int32),
        np.concatenate(values, dtype=np.float32),
        intercepts,
    )


def _dense_level(
    parts: list[_NodeWeights],
    tasks: list[_Task],
    n_nodes: int,
    size: int,
    n_features: int,
) -> DenseLevel:
    """Stack the weights of all nodes."""
    weights = np.zeros((n_nodes, n_features, size), np.float32)
    intercepts = np.full((n_nodes, size), -1, np.float32)
    for task, (_, blocks) in zip(tasks, parts, strict=True):
        own = np.hstack([block.weights for block in blocks])
        weights[task.node, :, : own.shape[1]] = own
        intercepts[task.node, : own.shape[1]] = np.concatenate(
            [block.intercepts for block in blocks]
        )
    return DenseLevel(weights, intercepts)
