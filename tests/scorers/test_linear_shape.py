"""How many levels trees of linear classifiers have."""

import pytest

from skmhe.scorers.linear.shape import (
    OF_FEATURE,
    OF_NODE,
    OF_SAMPLE,
    Work,
    n_tree_levels,
)


def test_time_counts_samples_children_and_nodes():
    work = Work(n_samples=100, n_stored=700, n_pairs=200, n_labels=24)
    of_child = 100 * OF_SAMPLE + 700 * OF_FEATURE
    assert work.time((24,)) == 24 * of_child + OF_NODE
    assert work.time((6, 4)) == (6 + 2 * 4) * of_child + 7 * OF_NODE
    assert work.time((4, 3, 2)) == (4 + 2 * 3 + 2 * 2) * of_child + 17 * OF_NODE
    # A sample has no more nodes than there are, and one label at least.
    assert work._replace(n_pairs=1000).time((6, 4)) == (6 + 6 * 4) * of_child + (
        7 * OF_NODE
    )
    assert work._replace(n_pairs=0).time((6, 4)) == 10 * of_child + 7 * OF_NODE


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (Work(0, 0, 0, 1), 1),
        (Work(15_000, 200_000, 15_000, 150), 1),
        (Work(60_000, 700_000, 60_000, 10_000), 2),
        # A sample is in most nodes: a tree saves little.
        (Work(13_000, 240_000, 250_000, 1_000), 1),
        (Work(500_000, 7_500_000, 1_500_000, 1_000_000), 3),
        # Few samples: most of the time is that of the nodes.
        (Work(20_000, 200_000, 60_000, 1_000_000), 2),
    ],
)
def test_trees_have_the_levels_that_save_much_time(work, expected):
    assert n_tree_levels(work) == expected


def test_more_samples_never_make_the_tree_less_deep():
    levels = [
        n_tree_levels(Work(n, 10 * n, n, 50_000)) for n in (10**k for k in range(1, 9))
    ]
    assert levels == sorted(levels)
    assert levels[0] < levels[-1]
