"""Thresholds of scores that maximize F1, from scores and hits of predictions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Scored(NamedTuple):
    """Predictions of samples with their scores, one after the other."""

    scores: NDArray[np.float64]  # shape: (n_predictions,)
    hits: NDArray[np.bool_]
    labels: NDArray[np.int64]
    samples: NDArray[np.int64]
    n_true: NDArray[np.int64]  # true labels by label, shape: (n_labels,)
    n_of_samples: NDArray[np.int64]  # true labels by sample, shape: (n_samples,)

    def groups(self, average: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the group of each prediction, and the true labels by group.

        F1 is the mean of that of the groups.
        """
        if average == "macro":
            return self.labels, self.n_true
        if average == "samples":
            return self.samples, self.n_of_samples
        assert average == "micro"
        return np.zeros_like(self.labels), np.array([self.n_true.sum()])


def f1_above(scored: Scored, thresholds: NDArray[np.float64], average: str) -> float:
    """Return F1 if scores above a threshold, or that of the label, are predicted."""
    each = thresholds[scored.labels] if thresholds.ndim else thresholds
    chosen = scored.scores > each
    groups, n_true = scored.groups(average)
    n_chosen = np.bincount(groups[chosen], minlength=len(n_true))
    n_hits = np.bincount(groups[chosen & scored.hits], minlength=len(n_true))
    return float(_f1(n_hits, n_chosen + n_true).mean())


def _f1(
    n_hits: NDArray[np.integer], n_both: NDArray[np.integer]
) -> NDArray[np.float64]:
    return 2 * n_hits / np.maximum(n_both, 1)


def global_threshold(scored: Scored, average: str) -> float:
    """Return the threshold of all labels that maximizes F1.

    F1 of a group changes with each of its predictions that passes the threshold, so
    that the sum over groups is one of all these changes, from the largest score on.
    """
    groups, n_true = scored.groups(average)
    order = np.argsort(-scored.scores, kind="stable")
    n_hits, n_chosen, by_group = _running(groups[order], scored.hits[order])
    in_groups = groups[order][by_group]
    after = _f1(n_hits, n_chosen + n_true[in_groups])
    before = np.where(n_chosen > 1, np.concatenate([[0], after[:-1]]), 0)
    changes = np.empty(len(order))
    changes[by_group] = after - before
    scores = scored.scores[order]
    is_end = np.append(scores[1:] < scores[:-1], True)
    ends = np.flatnonzero(is_end)
    sums = np.cumsum(changes)[ends]
    if sums.max() <= 0:
        return float(scores[0])  # nothing is better than what is never right
    best = ends[sums.argmax()]
    return float(_below(scores[best], scores[min(best + 1, len(scores) - 1)]))


def _running(
    groups: NDArray[np.int64], hits: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return running numbers of hits and predictions in each group, and the order.

    Predictions are put together by groups, and stay in their order within a group.
    """
    by_group = np.argsort(groups, kind="stable")
    ordered, found = groups[by_group], np.cumsum(hits[by_group])
    starts = np.searchsorted(ordered, ordered)
    before = np.where(starts > 0, found[starts - 1], 0)
    return found - before, np.arange(1, len(groups) + 1) - starts, by_group


def _below(
    score: NDArray[np.float64] | float, following: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return a threshold that a score passes, and the following smaller one does not.

    There may be none that follows, which is then given as the same score.
    """
    with np.errstate(invalid="ignore"):  # infinite scores have no middle
        middle = score + (np.asarray(following) - score) / 2
    # Between neighboring numbers, there is none.
    threshold = np.where(middle < score, middle, following)
    return np.where(following == score, np.nextafter(score, -np.inf), threshold)


def label_thresholds(scored: Scored, shrinkage: float) -> NDArray[np.float64]:
    """Return the threshold of each label that maximizes its F1, shape (n_labels,).

    It is the mean of the best one of its own, weighted by its number of true ones, and
    of the best one of all labels, weighted by `shrinkage`.
    """
    shared = global_threshold(scored, "macro")
    order = np.lexsort((-scored.scores, scored.labels))
    labels, scores = scored.labels[order], scored.scores[order]
    n_hits, n_chosen, _ = _running(labels, scored.hits[order])
    is_last = np.append(labels[1:] != labels[:-1], True)
    following = np.where(is_last, scores, np.append(scores[1:], 0))
    f1 = _f1(n_hits, n_chosen + scored.n_true[labels])
    f1[~is_last & (following == scores)] = -1  # no threshold is between them
    starts = np.flatnonzero(n_chosen == 1)
    n_each = np.diff(np.append(starts, len(labels)))
    is_best = f1 == np.repeat(np.maximum.reduceat(f1, starts), n_each)
    places = np.where(is_best, np.arange(len(labels)), len(labels))
    first = np.minimum.reduceat(places, starts)
    best = np.full(len(scored.n_true), shared)
    best[labels[starts]] = _below(scores[first], following[first])
    # Labels that no sample has, or none of which is found, tell nothing.
    n_found = np.bincount(scored.labels[scored.hits], minlength=len(scored.n_true))
    n_told = np.where(n_found > 0, scored.n_true, 0)
    share = n_told / np.maximum(n_told + shrinkage, 1)
    with np.errstate(invalid="ignore"):  # 0 times an infinite one
        mean = share * best + (1 - share) * shared
    return np.where(share == 0, shared, np.where(share == 1, best, mean))
