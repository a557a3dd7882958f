"""Pools of pick-some-label, against brute force."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from skmhe.training.pools import PoolPlan, draw_pool, neighbor_order, pairs_in_pool

N_LABELS = 30


def make_plan(**changes):
    plan = PoolPlan(12, 3, 1, 5, 2, False)
    return plan._replace(**changes)


def make_targets(multilabel, n=6, seed=0):
    rng = np.random.RandomState(seed)
    if not multilabel:
        return rng.randint(N_LABELS, size=n)
    Y = sp.csr_array((rng.rand(n, N_LABELS) < 0.2).astype(np.float32))
    return sp.csr_array(Y)


def own_labels(y):
    if isinstance(y, np.ndarray):
        return [[label] for label in y]
    return [row.nonzero()[0].tolist() for row in y.toarray()]


@given(
    multilabel=st.booleans(),
    pool_size=st.integers(2, 40),
    n_positives=st.integers(1, 4),
    n_shortlisted=st.integers(0, 3),
    has_shortlists=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_pool_has_its_size_and_what_must_be_in_it(
    multilabel, pool_size, n_positives, n_shortlisted, has_shortlists, seed
):
    rng = np.random.RandomState(seed)
    y = make_targets(multilabel, seed=seed)
    counts = 1 + rng.permutation(N_LABELS)
    shortlists = None
    if has_shortlists:
        shortlists = np.stack([rng.permutation(N_LABELS)[:5] for _ in range(6)])
    plan = make_plan(
        pool_size=pool_size, n_positives=n_positives, n_shortlisted=n_shortlisted
    )
    pool = draw_pool(plan, y, shortlists, counts, rng)
    assert len(pool) == min(pool_size, N_LABELS)
    assert (np.diff(pool) > 0).all()
    assert pool.min() >= 0
    assert pool.max() < N_LABELS
    labels = own_labels(y)
    # Positives come first: if there is room for one that is missing, there was not
    # for its sample's draws.
    for own in labels:
        inside = len(set(own) & set(pool))
        if inside < min(len(own), n_positives):
            all_drawn = sum(min(len(o), n_positives) for o in labels)
            assert all_drawn > pool_size


@pytest.mark.parametrize("multilabel", [False, True])
def test_shortlists_come_before_other_labels(multilabel):
    y = make_targets(multilabel)
    drawn = {label for own in own_labels(y) for label in own}
    others = sorted(set(range(N_LABELS)) - drawn)
    shortlists = np.tile(others[:2], (6, 1))
    plan = make_plan(pool_size=len(drawn) + 2, n_positives=N_LABELS, n_shortlisted=8)
    counts = np.ones(N_LABELS)
    rng = np.random.RandomState(0)
    pool = draw_pool(plan, y, shortlists, counts, rng)
    assert set(pool) == drawn | set(others[:2])


def test_the_batchs_other_positives_fill_the_pool():
    y = sp.csr_array(np.eye(4, N_LABELS) + np.eye(4, N_LABELS, 4))
    plan = make_plan(pool_size=8, n_positives=1)
    pool = draw_pool(plan, y, None, np.ones(N_LABELS), np.random.RandomState(0))
    assert set(pool) == set(range(8))


def test_too_many_positives_lose_the_frequent_ones():
    y = np.arange(6)
    counts = np.arange(N_LABELS)[::-1] + 1
    plan = make_plan(pool_size=4)
    pool = draw_pool(plan, y, None, counts, np.random.RandomState(0))
    assert pool.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("pool_size", [5, 12, 99])
def test_labels_without_a_sample_are_never_drawn(pool_size):
    counts = np.arange(N_LABELS) % 2
    y = np.array([1, 3, 5])
    shortlists = np.tile(np.arange(10), (3, 1))
    plan = make_plan(pool_size=pool_size, n_shortlisted=5)
    pool = draw_pool(plan, y, shortlists, counts, np.random.RandomState(0))
    assert (pool % 2 == 1).all()
    assert len(pool) == min(pool_size, N_LABELS // 2)


def test_positives_are_drawn_at_random():
    y = sp.csr_array(np.ones((1, 10)))
    plan = make_plan(pool_size=2, n_positives=2)
    rng = np.random.RandomState(0)
    pools = [tuple(draw_pool(plan, y, None, np.ones(10), rng)) for _ in range(1000)]
    assert len(set(pools)) == 45  # all pairs of 10 labels


@pytest.mark.parametrize("multilabel", [False, True])
def test_all_true_pairs_of_the_pool_are_found(multilabel):
    y = make_targets(multilabel)
    pool = np.array([0, 3, 4, 9, 17, 20, 21])
    pairs = list(zip(*(a.tolist() for a in pairs_in_pool(y, pool)), strict=True))
    wanted = [
        (i, pool.tolist().index(label))
        for i, own in enumerate(own_labels(y))
        for label in own
        if label in pool
    ]
    assert pairs == wanted


def test_neighbors_come_in_runs():
    nearest = np.random.RandomState(0).randint(8, size=64)
    order = neighbor_order(nearest, 8, np.random.RandomState(1))
    assert sorted(order) == list(range(64))
    spread = np.ptp(nearest[order].reshape(8, 8), axis=1)
    assert spread.max() <= 3
    other = neighbor_order(nearest, 8, np.random.RandomState(2))
    assert (order != other).any()
