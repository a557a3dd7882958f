"""Squared-hinge classifiers of many labels at once, on the same samples."""

from typing import NamedTuple

import numpy as np

from skmhe.scorers.batch import Rows, in_form, squared_lengths

# Newton steps, and conjugate gradient steps of each: more gained nothing on
# held-out samples that their time was worth.
N_NEWTON, N_CG = 3, 3
STEP_SIZES = (1.0, 0.5, 0.25, 0.1)
# A dense kernel matrix is used up to this multiple of the nonzeros of a sample: a
# multiplication of a dense product is so much cheaper than one of a sparse product.
DENSE_ADVANTAGE = 60
MAX_KERNEL_SAMPLES = 4096
TINY = np.float32(1e-12)


class Samples:
    """Samples in float32, and their products as linear classifiers need them."""

    def __init__(self, X: Rows) -> None:
        n = X.shape[0]
        self.X, self._kernel = X, None
        self.squares = squared_lengths(X)[:, None]
        if isinstance(X, np.ndarray):
            self.XT = X.T
            widest = 2.0 * X.shape[1]
        else:
            self.XT = X.T.tocsr()
            widest = DENSE_ADVANTAGE * X.nnz / max(n, 1)
        if n <= min(MAX_KERNEL_SAMPLES, widest):
            self._kernel = in_form(X @ self.XT, sparse=False)

    def similarities(self, V: np.ndarray) -> np.ndarray:
        """Return X X' V."""
        if self._kernel is not None:
            return self._kernel @ V
        return self.X @ (self.XT @ V)


class Problem(NamedTuple):
    """Samples, the labels that they have, and what an error costs."""

    samples: Samples
    positive: np.ndarray  # bool, shape: (n, n_labels)
    cost: np.ndarray  # float32, shape: (n, n_labels) or (n, 1)


def _dots(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the columns' dot products.

    A sum over many samples in float32 would lose precision that the few steps need.
    """
    return np.einsum("ij,ij->j", A, B, dtype=np.float64).astype(np.float32)


def newton_coefficients(
    problem: Problem, prior: float = 0.0, n_newton: int = N_NEWTON, n_cg: int = N_CG
) -> tuple[np.ndarray, np.ndarray]:
    """Minimize the L2-regularized squared hinge loss of every label.

    For each label, with targets y of 1 and -1,
    ``min_{w, b} |w|^2 / 2 + sum_i cost_i max(0, 1 - y_i (w . x_i + b + prior_i))^2``,
    by Newton's method with a few steps of conjugate gradients, all labels in the
    same products (Keerthi & DeCoste, JMLR 2005; LIBLINEAR's problem 2). The weights
    are X' times coefficients of the samples, and everything is computed with
    these: there is no vector in the space of the features until the end. The
    intercept is eliminated: its curvature, that of all samples together, would
    take most of the few steps.

    Parameters
    ----------
    problem : Problem
        Samples, labels and costs.
    prior : float, default=0.0
        Weight of the label's centroid (of unit length) that the classifiers start
        from and are regularized towards, instead of 0. A positive sample is left
        out of the centroid that scores it, as its own similarity would tell nothing.
    n_newton, n_cg : int
        Numbers of steps.

    Returns
    -------
    coefficients : ndarray of float32, of shape (n, n_labels)
        The weights are ``X.T @ coefficients``.
    intercepts : ndarray of float32, of shape (n_labels,)
        The intercepts b.
    """
    samples, positive, cost = problem
    Y = np.where(positive, np.float32(1), np.float32(-1))
    B, S, start = np.zeros_like(Y), np.zeros_like(Y), np.zeros_like(Y)
    if prior:
        S, start = _centroid_scores(samples, positive, prior)
    b = np.zeros(Y.shape[1], np.float32)
    length = np.zeros_like(b)  # |w|^2 of each label
    for _ in range(n_newton):
        active = np.where(Y * S < 1, 2 * cost, np.float32(0))
        d, Kd, db = _newton_step(samples, active, Y - S, B, n_cg)
        along, square = 2 * _dots(B, Kd), _dots(d, Kd)
        Kd += db
        step = _line_search(Y, S, Kd, cost, length, along, square)
        B += step * d
        S += step * Kd
        b += step * db
        length += step * along + step**2 * square
    B += start
    return B, b


def _newton_step(
    samples: Samples, active: np.ndarray, error: np.ndarray, B: np.ndarray, n_cg: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimize the loss of the active samples as a quadratic function.

    With A for the diagonal of `active`, solves (I + X' A c(X)) d = X' A c(error) - w,
    where c subtracts the mean weighted by A: that is what the best intercept does.
    Returns the coefficients of d, X d, and the step of the intercept.
    """
    total = active.sum(0, dtype=np.float64).astype(np.float32) + TINY

    def mean(V: np.ndarray) -> np.ndarray:
        return _dots(active, V) / total

    intercept = mean(error)
    r = active * (error - intercept)
    r -= B
    Kr = samples.similarities(r)
    p, Kp = r.copy(), Kr.copy()
    d, Kd = np.zeros_like(r), np.zeros_like(r)
    rr = _dots(r, Kr)
    for step in range(n_cg):
        q = Kp - mean(Kp)
        q *= active
        q += p
        a = rr / (_dots(Kp, q) + TINY)
        d += a * p
        Kd += a * Kp
        if step == n_cg - 1:
            break
        q *= a
        r -= q
        Kr = samples.similarities(r)
        new = _dots(r, Kr)
        ratio = new / (rr + TINY)
        p *= ratio
        p += r
        Kp *= ratio
        Kp += Kr
        rr = new
    return d, Kd, intercept - mean(Kd)


def _line_search(
    Y: np.ndarray,
    S: np.ndarray,
    Sd: np.ndarray,
    cost: np.ndarray,
    length: np.ndarray,
    along: np.ndarray,
    square: np.ndarray,
) -> np.ndarray:
    """Return the best of some step sizes for each label."""
    margin, slope = 1 - Y * S, Y * Sd
    best, chosen = np.full_like(length, np.inf), np.ones_like(length)
    for step in map(np.float32, STEP_SIZES):
        loss = margin - step * slope
        np.maximum(loss, 0, out=loss)
        loss *= loss
        loss *= cost
        objective = 0.5 * (length + step * along + step**2 * square) + loss.sum(0)
        better = objective < best
        best, chosen = np.where(better, objective, best), np.where(better, step, chosen)
    return chosen


def _centroid_scores(
    samples: Samples, positive: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the centroids' leave-one-out scores and their coefficients."""
    P = positive.astype(np.float32)
    sums, own = samples.similarities(P), samples.squares
    square = _dots(P, sums)
    length = np.sqrt(np.maximum(square, TINY))
    # |c - x|^2 of the sum c without the sample x
    rest = square - 2 * sums + own
    alone = rest <= 1e-4 * own
    left_out = np.where(alone, 0, (sums - own) / np.sqrt(np.where(alone, 1, rest)))
    scores = np.where(positive, left_out, sums / length)
    return (prior * scores).astype(np.float32), P * (np.float32(prior) / length)
