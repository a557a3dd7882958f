"""What scores samples on a device, block by block in bounded memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import torch

from skmhe.nn.scores import Search
from skmhe.scorers.batch import Batch, Rows, row_chunks
from skmhe.scorers.combination import Combination, SumOfScores
from skmhe.scorers.device import threads_controller
from skmhe.scorers.network import Network

# Scores of a block: 4 MiB in float32. Fewer rows would read all weights for each.
BLOCK_SCORES = 2**20
MIN_BLOCK_ROWS = 16
# Rows of a block of dense output.
DENSE_ROWS = 64
# Arrays of all labels' scores in float64 that are held at a time, in float32's size.
DENSE_COPIES = 16


class Scoring(NamedTuple):
    """What scores samples on a device: torch modules around a model's arrays."""

    search: Search
    combination: Combination
    network: Network | None
    device: torch.device
    dtype: torch.dtype

    def bind(self, X: Rows) -> SumOfScores:
        """Return the scores of samples, as `search` asks for them."""
        if self.network is None:
            batch = Batch(X, self.device, self.dtype)
        else:
            batch = self.network.batch(X)
        return self.combination.bind(batch)

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
        step = max(MIN_BLOCK_ROWS, BLOCK_SCORES // scores_per_row)
        for chunk in row_chunks(X.shape[0], scores_per_row):
            n = chunk.stop - chunk.start
            scores = self.bind(X if n == X.shape[0] else X[chunk])
            whole = not in_parts or (not exact and scores.shortlist() is not None)
            if whole or step >= n:
                yield chunk, scores
                continue
            for block, rows in _blocks(chunk, step):
                yield rows, scores.take(block)

    def compute_blocks(
        self, X: Rows, n_labels: int, compute: Callable[[slice, SumOfScores], None]
    ) -> None:
        """Call a function with the rows and scores of small blocks of samples.

        In threads of our own: each block stays in the cache of its processor, and most
        of its operations are too small for torch to divide them well.
        """

        def run(scores: SumOfScores, block: slice, rows: slice) -> None:
            with torch.inference_mode():
                compute(rows, scores.take(block))

        n_threads = torch.get_num_threads()
        with ThreadPoolExecutor(n_threads, initializer=_one_thread) as pool:
            for chunk in row_chunks(X.shape[0], DENSE_COPIES * n_labels):
                with torch.inference_mode():
                    scores = self.bind(X[chunk])
                    scores.prepare()
                blocks = zip(*_blocks(chunk, DENSE_ROWS), strict=True)
                list(pool.map(partial(run, scores), *blocks))


def _blocks(chunk: slice, step: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of a chunk's rows, and the same as slices of all rows."""
    for start in range(chunk.start, chunk.stop, step):
        stop = min(start + step, chunk.stop)
        yield slice(start - chunk.start, stop - chunk.start), slice(start, stop)


def _one_thread() -> None:
    """Let torch compute on one thread in this thread; others are not concerned."""
    threads_controller().limit(limits=1, user_api="openmp")
