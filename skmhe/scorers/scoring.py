"""What scores samples on a device, block by block in bounded memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from skmhe.nn.scores import Search
from skmhe.scorers.batch import Batch, Rows, row_chunks
from skmhe.scorers.combination import Combination, SumOfScores
from skmhe.scorers.device import threads_controller
from skmhe.scorers.network import Network

# Scores of a block: 4 MiB in float32. Fewer rows would read all weights for each.
BLOCK_SCORES = 2**20
# Scores of all labels that are computed together, and rows at most; of these, rows
# whose scores become probabilities together, in the cache of a processor.
SCORES_TOGETHER, ROWS_TOGETHER, ROWS_IN_CACHE = 2**22, 256, 48
# Matrix products of fewer rows sum in another order: a row's scores would depend on
# how many rows come with it.
MIN_PRODUCT_ROWS = 16


class AllScores(NamedTuple):
    """The scores of all labels of some samples, as searches ask for them.

    They are computed in float32, as the weights are, and given in float64, in which
    probabilities sum to 1 and stay apart where their logarithms do.
    """

    sums: SumOfScores
    nodes_by_level: tuple[Tensor, ...]  # if the search is steered
    of_labels: Tensor | None  # if the search scores all labels
    of_late: Tensor | None

    @classmethod
    def of(cls, search: Search, sums: SumOfScores) -> Self:
        """Compute the scores that a search asks for."""
        levels = range(search.n_levels if search.steered else 0)
        nodes = tuple(sums.nodes(level) for level in levels)
        labels = sums.labels() if search.scores_all else None
        return cls(sums, nodes, labels, sums.late())

    def take(self, rows: slice) -> Self:
        """Return the scores of some of the samples."""
        labels, late = self.of_labels, self.of_late
        return type(self)(
            self.sums.take(rows),
            tuple(scores[rows] for scores in self.nodes_by_level),
            None if labels is None else labels[rows],
            None if late is None else late[rows],
        )

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes)."""
        return self.nodes_by_level[level].double()

    def labels(self) -> Tensor:
        """Return the scores of all labels, those that came later last."""
        assert self.of_labels is not None
        return self.of_labels.double()

    def late(self) -> Tensor | None:
        """Return the scores of labels that came later, shape (n, n_late)."""
        return None if self.of_late is None else self.of_late.double()

    def local_log_probs(self) -> Any:
        """Return what independent heads give, which nothing is added to."""
        return self.sums.local_log_probs(torch.float64)


class Scoring(NamedTuple):
    """What scores samples on a device: torch modules around a model's arrays."""

    search: Search
    combination: Combination
    network: Network | None
    device: torch.device

    def bind(self, X: Rows) -> SumOfScores:
        """Return the scores of samples, as `search` asks for them."""
        return self.combination.bind(Batch(X, self.device))

    def n_scores(self, k: int) -> int:
        """Return the largest number of scores that a search for k labels holds."""
        own = self.search if self.network is None else self.network.head
        return own.n_scores(k)

    def blocks(
        self, X: Rows, scores_per_row: int, exact: bool
    ) -> Iterator[tuple[slice, SumOfScores]]:
        """Yield rows and their scores.

        Many rows at a time go through the network and the linear classifiers, whose
        tables are made once for all of them. Scores of all labels come in smaller
        blocks: large arrays take longer to allocate than to compute.
        """
        in_parts = self.search.scores_all
        step = max(2 * MIN_PRODUCT_ROWS, BLOCK_SCORES // scores_per_row)
        for chunk in row_chunks(X.shape[0], scores_per_row):
            n = chunk.stop - chunk.start
            scores = self.bind(X if n == X.shape[0] else X[chunk])
            whole = not in_parts or (not exact and scores.shortlist() is not None)
            if whole:
                yield chunk, scores
                continue
            for part in even_slices(n, step):
                rows = slice(chunk.start + part.start, chunk.start + part.stop)
                yield rows, scores.take(part)

    def all_labels(
        self, X: Rows, n_labels: int, finish: Callable[[AllScores, np.ndarray], None]
    ) -> np.ndarray:
        """Return what a function makes of the scores of all labels, (n, n_labels).

        `finish` is called with the scores of some samples and their rows of the result.

        In threads of our own: each block stays in the cache of its processor, and most
        of its operations are too small for torch to divide them well.
        """
        n = X.shape[0]
        if n < MIN_PRODUCT_ROWS:
            X = X[np.minimum(np.arange(MIN_PRODUCT_ROWS), n - 1)]
        result = np.empty((X.shape[0], n_labels))

        def run(sums: SumOfScores, rows: np.ndarray, block: slice) -> None:
            with torch.inference_mode():
                scores = AllScores.of(self.search, sums.take(block))
                for part in even_slices(len(rows[block]), ROWS_IN_CACHE):
                    finish(scores.take(part), rows[block][part])

        for scorer in self.combination.scorers:
            scorer.prepare()
        step = min(ROWS_TOGETHER, SCORES_TOGETHER // n_labels)
        most = next(row_chunks(len(result), n_labels)).stop
        n_threads = torch.get_num_threads()
        with ThreadPoolExecutor(n_threads, initializer=_one_thread) as pool:
            for chunk in even_slices(len(result), most):
                with torch.inference_mode():
                    sums = self.bind(X[chunk])
                blocks = even_slices(len(result[chunk]), step)
                list(pool.map(partial(run, sums, result[chunk]), blocks))
        return result[:n]


def even_slices(n: int, most: int) -> list[slice]:
    """Return slices of n rows, of about the same number of rows.

    None has more rows than `most`, but for what `MIN_PRODUCT_ROWS` asks for, or less
    than that, if there are so many.
    """
    n_slices = -(-n // max(most, 2 * MIN_PRODUCT_ROWS))
    bounds = [i * n // n_slices for i in range(n_slices + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def _one_thread() -> None:
    """Let torch compute on one thread in this thread; others are not concerned."""
    threads_controller().limit(limits=1, user_api="openmp")
