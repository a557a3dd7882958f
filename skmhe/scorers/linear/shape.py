"""How many levels a tree of linear classifiers has: as many as save much time."""

from typing import NamedTuple

from skmhe.labels.codec import balanced_head_sizes

# Nanoseconds of fitting, on one core: of a sample in the problem of a child, in all
# steps together, and more for each of its nonzero features; and of a node itself.
OF_SAMPLE, OF_FEATURE, OF_NODE = 100, 6, 4_000_000
# With fewer levels, less is lost on the way to a label. They may take this many times
# the time of the fastest tree, or this many nanoseconds.
FACTOR, ALLOWANCE = 3.0, 1e9
MAX_LEVELS = 6


class Work(NamedTuple):
    """What the time of fitting linear classifiers depends on."""

    n_samples: int
    n_stored: int  # nonzero features, of all samples
    n_pairs: int  # of samples and their labels
    n_labels: int

    def time(self, sizes: tuple[int, ...]) -> float:
        """Estimate the time of a tree, in nanoseconds.

        All samples are in the problem of the root, with `sizes[0]` children; below, a
        sample is in the problems of the nodes of its labels. (Those that are only near
        it, see `fit_levels`, are not counted.)
        """
        n_samples = max(self.n_samples, 1)
        labels_per_sample = max(self.n_pairs / n_samples, 1.0)
        n_children, n_nodes, n_problems = float(sizes[0]), sizes[0], 1
        for size in sizes[1:]:
            n_children += min(labels_per_sample, n_nodes) * size
            n_problems += n_nodes
            n_nodes *= size
        of_child = OF_SAMPLE * n_samples + OF_FEATURE * self.n_stored
        return of_child * n_children + OF_NODE * n_problems


def n_tree_levels(work: Work) -> int:
    """Return how many levels a tree of equal widths should have; 1 for no tree.

    The fewest whose estimated time is at most `FACTOR` times that of the fastest tree,
    or `ALLOWANCE`.
    """
    times = [
        work.time(balanced_head_sizes(work.n_labels, n_levels))
        for n_levels in range(1, MAX_LEVELS + 1)
    ]
    limit = max(FACTOR * min(times), ALLOWANCE)
    return 1 + next(level for level, time in enumerate(times) if time <= limit)
