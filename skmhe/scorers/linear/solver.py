"""Squared-hinge classifiers of many labels at once, on the same samples."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from skmhe.nn import SparseRows
from skmhe.nn.sparse_rows import sparse_product
from skmhe.scorers.batch import Rows, dense_product, squared_lengths, to_tensor

# A label is done when its gradient is this share of what it was at the start: smaller
# ones gained nothing on held-out samples of several data sets.
TOL, MAX_ITER = 0.02, 100
# Labels that are done leave the problem when fewer than this share are not.
CROWDED = 0.7
# An objective counts as higher if it is so by more than rounding, and a step is then
# halved; a tiny one changes nothing.
ROUNDING, MAX_HALVINGS = 1e-6, 20
# A dense kernel matrix is used up to this multiple of the nonzeros of a sample: a
# multiplication of a dense product is so much cheaper than one of a sparse product.
DENSE_ADVANTAGE = 60
MAX_KERNEL_SAMPLES = 4096
TINY = np.float32(1e-12)
FEW = 64


class Samples:
    """Samples in float32, and their products as linear classifiers need them."""

    def __init__(self, X: Rows) -> None:
        n = X.shape[0]
        XT: Rows = X.T if isinstance(X, np.ndarray) else X.T.tocsr()
        self._times_X, self._times_XT = _product_with(X), _product_with(XT)
        self.squares = squared_lengths(X)[:, None]
        widest = 2.0 * X.shape[1]
        if not isinstance(X, np.ndarray):
            widest = DENSE_ADVANTAGE * X.nnz / max(n, 1)
        self._kernel = None
        if n <= min(MAX_KERNEL_SAMPLES, widest):
            self._kernel = dense_product(X, XT)

    def weights(self, coefficients: np.ndarray) -> np.ndarray:
        """Return X' times coefficients."""
        return self._times_XT(coefficients)

    def similarities(self, V: np.ndarray) -> np.ndarray:
        """Return X X' V."""
        if self._kernel is not None:
            return self._kernel @ V
        return self._times_X(self._times_XT(V))


def _product_with(rows: Rows) -> Callable[[np.ndarray], np.ndarray]:
    """Return the product of rows with a matrix; torch's takes half of SciPy's time."""
    if isinstance(rows, np.ndarray):
        return rows.__matmul__
    indices, indptr, data = map(to_tensor, (rows.indices, rows.indptr, rows.data))
    tensors = SparseRows(indices, indptr, data, rows.shape[1])

    def product(matrix: np.ndarray) -> np.ndarray:
        return sparse_product(tensors, torch.from_numpy(matrix)).numpy()

    return product


class Problem(NamedTuple):
    """Samples, the labels that they have, and what an error costs."""

    samples: Samples
    positive: np.ndarray  # bool, shape: (n, n_labels)
    cost: np.ndarray  # float32, shape: (n, n_labels) or (n, 1)


def _sums(*factors: np.ndarray) -> np.ndarray:
    """Return the sums of the columns, or of their products.

    A sum over many samples in float32 would lose precision that the steps need, so
    only those of a few samples are; all in float64 take three times as long.
    """
    n, n_labels = factors[0].shape
    whole = n - n % FEW
    few = [V[:whole].reshape(-1, FEW, n_labels) for V in factors]
    sums = np.einsum(",".join(["kij"] * len(few)) + "->kj", *few)
    rest = np.einsum(",".join(["ij"] * len(few)) + "->j", *(V[whole:] for V in factors))
    return (sums.sum(0, dtype=np.float64) + rest).astype(np.float32)


class Solution(NamedTuple):
    """Classifiers; their weights are ``X.T @ coefficients``."""

    coefficients: np.ndarray  # float32, shape: (n, n_labels)
    intercepts: np.ndarray  # float32, shape: (n_labels,)
    n_iter: int  # of the label that took most steps


def minimize_squared_hinge(
    problem: Problem, prior: float = 0.0, tol: float = TOL, max_iter: int = MAX_ITER
) -> Solution:
    """Minimize the L2-regularized squared hinge loss of every label.

    For each label, with targets y of 1 and -1,
    ``min_{w, b} |w|^2 / 2 + sum_i cost_i max(0, 1 - y_i (w . x_i + b + prior_i))^2``
    (LIBLINEAR's problem 2), by nonlinear conjugate gradients [1]_, all labels in the
    same products. The weights are X' times coefficients of the samples, and everything
    is computed with these: there is no vector in the space of the features until the
    end.

    The objective is quadratic wherever the same samples have a loss, and soon these
    hardly change. So each step goes to the minimum of that quadratic function in the
    plane of its direction and the intercept, whose curvature, that of all samples
    together, would otherwise take most steps. Unlike Newton's method with an inner
    solver, directions are not forgotten when other samples have a loss: to the same
    gradient, it takes a third to a tenth of the products.

    Parameters
    ----------
    problem : Problem
        Samples, labels and costs.
    prior : float, default=0.0
        Weight of the label's centroid (of unit length) that the classifiers start
        from and are regularized towards, instead of 0. A positive sample is left
        out of the centroid that scores it, as its own similarity would tell nothing.
    tol : float
        A label is done when the length of its gradient is at most `tol` times what it
        was at the start.
    max_iter : int
        Largest number of steps.

    References
    ----------
    .. [1] Nocedal & Wright, "Numerical Optimization", 2006, section 5.2.
    """
    shape = problem.positive.shape
    scores, coefficients = None, np.zeros(shape, np.float32)
    if prior:
        scores, coefficients = _centroid_scores(problem, prior)
    intercepts, labels = np.zeros(shape[1], np.float32), np.arange(shape[1])
    descent, n_iter = _Descent(problem, scores), 0
    limit = tol**2 * descent.find_gradient()
    running = descent.square > limit
    while True:
        is_last = n_iter == max_iter or not running.any()
        if is_last or running.mean() < CROWDED:
            leaving = ~running | is_last
            done = labels[leaving]
            descent.settle(~running)
            coefficients[:, done] += descent.coefficients[:, leaving]
            intercepts[done] = descent.intercepts[leaving]
            if is_last:
                return Solution(coefficients, intercepts, n_iter)
            descent.keep(running)
            labels, limit, running = labels[running], limit[running], running[running]
        descent.turn()
        descent.step(running)
        running = descent.find_gradient() > limit
        n_iter += 1


class _Descent:
    """Where some labels' descents are, in arrays whose last axis is the labels.

    Those of samples are overwritten in place: new ones of this size would come from
    the operating system, which takes longer than to compute what is in them.
    """

    def __init__(self, problem: Problem, scores: np.ndarray | None) -> None:
        self.samples, self.positive, cost = problem
        self.twice_cost = 2 * cost
        # Targets minus scores.
        self.error = np.where(self.positive, np.float32(1), np.float32(-1))
        if scores is not None:
            self.error -= scores
        # Of the weights (beside the prior), their negative gradient, and the direction.
        self.coefficients, self.gradient, self.direction = (
            np.zeros_like(self.error) for _ in range(3)
        )
        self.last_gradient = np.zeros_like(self.error)
        # The direction's scores; 2 cost of the samples with a loss; for any use
        self.slopes = np.zeros_like(self.error)
        self.active, self.work = np.empty_like(self.error), np.empty_like(self.error)
        # Squared lengths of weights, direction and gradient.
        zeros = np.zeros(self.error.shape[1], np.float32)
        self.intercepts, self.length, self.reach = zeros, zeros, zeros
        self.square: np.ndarray = np.full_like(zeros, np.inf)
        self._evaluate()

    def keep(self, labels: np.ndarray) -> None:
        """Forget all other labels."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.shape[-1] == len(labels):
                setattr(self, name, value.compress(labels, axis=-1))

    def _evaluate(self) -> None:
        """Find the samples with a loss, and the objective."""
        np.multiply((self.error > 0) == self.positive, self.twice_cost, out=self.active)
        np.multiply(self.active, self.error, out=self.work)
        self.objective = (self.length + _sums(self.work, self.error)) / 2

    def find_gradient(self) -> np.ndarray:
        """Return the squared length of the gradient where the intercept is best."""
        self.gradient, self.last_gradient = self.last_gradient, self.gradient
        self.last_square = self.square
        self.total = _sums(self.active) + TINY
        self.shift = _sums(self.work) / self.total
        np.multiply(self.active, self.shift, out=self.gradient)
        np.subtract(self.work, self.gradient, out=self.gradient)
        self.gradient -= self.coefficients
        self.similarities = self.samples.similarities(self.gradient)
        self.square = _sums(self.gradient, self.similarities)
        return self.square

    def turn(self) -> None:
        """Turn the direction to the gradient, by Polak and Ribiere's rule."""
        slope = _sums(self.gradient, self.slopes)
        change = self.square - _sums(self.last_gradient, self.similarities)
        ratio = np.maximum(change / (self.last_square + TINY), 0)
        # A direction that does not lead down is forgotten.
        ratio = np.where(self.square + ratio * slope > 0, ratio, np.float32(0))
        self.fall = self.square + ratio * slope
        self.reach = self.square + ratio * (2 * slope + ratio * self.reach)
        self.direction *= ratio
        self.direction += self.gradient
        self.slopes *= ratio
        self.slopes += self.similarities

    def step(self, running: np.ndarray) -> None:
        """Go to the minimum in the plane of direction and intercept."""
        np.multiply(self.active, self.slopes, out=self.work)
        weight = _sums(self.work)
        mean = weight / self.total
        curvature = self.reach + _sums(self.work, self.slopes) - mean * weight
        size = np.where(running, self.fall / (curvature + TINY), np.float32(0))
        shift = np.where(running, self.shift - size * mean, np.float32(0))
        along = 2 * size * _sums(self.coefficients, self.slopes)
        self._go(size, shift, along)

    def settle(self, labels: np.ndarray) -> None:
        """Go to the best intercepts of some labels."""
        zeros = np.zeros_like(self.shift)
        self._go(zeros, np.where(labels, self.shift, zeros), zeros)

    def _go(self, size: np.ndarray, shift: np.ndarray, along: np.ndarray) -> None:
        """Go along direction and intercept, half as far where the objective rises.

        With other samples that have a loss, it is another quadratic function. `along`
        is the change of the squared length of the weights that is linear in the size.
        """
        start, objective = self.length, self.objective
        square = size**2 * self.reach
        part, go = np.ones_like(size), np.ones_like(size)
        for _ in range(MAX_HALVINGS):
            self._move(go * size, go * shift)
            self.length = start + part * along + part**2 * square
            self._evaluate()
            higher = self.objective > objective * (1 + ROUNDING)
            if not higher.any():
                break
            part = np.where(higher, part / 2, part)
            go = np.where(higher, -part, np.float32(0))

    def _move(self, size: np.ndarray, shift: np.ndarray) -> None:
        if size.any():
            np.multiply(self.direction, size, out=self.work)
            self.coefficients += self.work
            np.multiply(self.slopes, size, out=self.work)
            self.error -= self.work
        self.error -= shift
        self.intercepts = self.intercepts + shift


def _centroid_scores(problem: Problem, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the centroids' leave-one-out scores and their coefficients."""
    samples, positive, _ = problem
    P = positive.astype(np.float32)
    sums, own = samples.similarities(P), samples.squares
    square = _sums(P, sums)
    length = np.sqrt(np.maximum(square, TINY))
    # |c - x|^2 of the sum c without the sample x
    rest = square - 2 * sums + own
    alone = rest <= 1e-4 * own
    left_out = np.where(alone, 0, (sums - own) / np.sqrt(np.where(alone, 1, rest)))
    scores = np.where(positive, left_out, sums / length)
    return (prior * scores).astype(np.float32), P * (np.float32(prior) / length)
