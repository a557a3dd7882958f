"""Pick-some-label: the pool of labels that a step of the label encoder scores."""

from typing import NamedTuple

import numpy as np

from skmhe.training.data import Targets, true_pairs


class PoolPlan(NamedTuple):
    """How pools are drawn; names as those of the parameters of `LabelEncoder`."""

    pool_size: int
    n_positives: int
    n_shortlisted: int
    shortlist_size: int
    shortlist_refresh: int
    neighbor_batches: bool
    search: str = "exact"


def draw_pool(
    plan: PoolPlan,
    y: Targets,
    shortlists: np.ndarray | None,
    counts: np.ndarray,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Draw the labels that all samples of a batch are scored for (PSL in [1]_).

    In this order, until `pool_size` distinct labels are found: some positives of each
    sample, some of its shortlist, the batch's other positives, any labels. If there
    are too many positives, the rarest are kept: frequent ones come again. Labels
    without a sample are never drawn: as nothing but wrong labels, they would be
    learned to be so.

    Given the batch's targets, labels that are near each sample, of shape (n,
    shortlist_size), and the numbers of training samples of all labels, it returns
    distinct labels, sorted.

    References
    ----------
    .. [1] Kharbanda et al., "UniDEC", arXiv:2405.03714, section 3.2.
    """
    candidates = np.flatnonzero(counts)
    size = min(plan.pool_size, len(candidates))
    if size == len(candidates):
        return candidates
    samples, labels = true_pairs(y)
    # A random order, stable within samples, ranks each sample's labels at random.
    order = np.lexsort((rng.random_sample(len(labels)), samples))
    lengths = np.bincount(samples, minlength=y.shape[0])
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    drawn = np.unique(labels[order[rank < plan.n_positives]])
    if len(drawn) > size:
        rarest = np.argsort(counts[drawn], kind="stable")[:size]
        return np.sort(drawn[rarest])
    taken = np.zeros(len(counts), bool)
    taken[drawn] = True
    room = size - len(drawn)
    if shortlists is not None and plan.n_shortlisted:
        columns = rng.randint(
            shortlists.shape[1], size=(len(shortlists), plan.n_shortlisted)
        )
        hard = np.take_along_axis(shortlists, columns, 1)
        room -= _add(taken, hard[counts[hard] > 0], room, rng)
    room -= _add(taken, labels, room, rng)
    while room:
        others = candidates[rng.randint(len(candidates), size=2 * room)]
        room -= _add(taken, others, room, rng)
    return np.flatnonzero(taken)


def _add(
    taken: np.ndarray, labels: np.ndarray, room: int, rng: np.random.RandomState
) -> int:
    """Mark up to `room` labels that are not marked yet, and return how many."""
    new = np.unique(labels)
    new = new[~taken[new]]
    if len(new) > room:
        new = rng.permutation(new)[:room]
    taken[new] = True
    return len(new)


def pairs_in_pool(y: Targets, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all true (sample, place in the pool) pairs of a batch."""
    samples, labels = true_pairs(y)
    places = np.searchsorted(pool, labels)
    inside = places < len(pool)
    inside[inside] = pool[places[inside]] == labels[inside]
    return samples[inside], places[inside]


def neighbor_order(
    nearest: np.ndarray, size: int, rng: np.random.RandomState
) -> np.ndarray:
    """Order samples so that runs of `size` have near labels; runs in random order.

    By the position of the label that is nearest to each sample: of a clustered order,
    labels at near positions are alike.
    """
    order = np.lexsort((rng.random_sample(len(nearest)), nearest))
    runs = np.split(order, np.arange(size, len(order), size))
    return np.concatenate([runs[i] for i in rng.permutation(len(runs))])
