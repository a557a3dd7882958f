"""What scores samples on a device, block by block in bounded memory."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from skmhe.nn.scores import Search
from skmhe.scorers.batch import Batch, rows_per_chunk
from skmhe.scorers.combination import Combination, SumOfScores
from skmhe.scorers.network import Network
from skmhe.scorers.parts import Samples, part_of
from skmhe.scorers.threads import shared_out

# Scores of a block: 4 MiB in float32. Fewer rows would read all weights for each.
BLOCK_SCORES = 2**20
# Matrix products of fewer rows sum in another order: a row's scores would depend on
# how many rows come with it.
MIN_PRODUCT_ROWS = 16
# Dense output. Rows, and scores of these, that are computed together;
MAX_BLOCK_ROWS, MAX_BLOCK_SCORES = 256, 2**22
# of them, those that become probabilities together, in the cache of a processor;
MAX_PART_ROWS, MAX_PART_SCORES = 48, 2**20
# and arrays of a block's scores that are held at a time.
BLOCK_COPIES = 8
# A label's probability in float64 takes about as long as so many multiply-adds.
MULTIPLY_ADDS_PER_OUTPUT = 100


class AllScores(NamedTuple):
    """The scores of all labels of some samples, as searches ask for them.

    They are computed in float32, as the weights are, and given in float64, in which
    probabilities sum to 1 and stay apart where their logarithms do. On the CPU, as not
    every device has float64.
    """

    # Of the nodes of each level, if the search is steered; otherwise of the labels.
    levels: tuple[Tensor, ...] = ()
    featured: Tensor | None = None  # by features of labels, if some came later
    digits: tuple[Tensor, ...] = ()  # what independent heads give

    @classmethod
    def of(cls, search: Search, sums: SumOfScores) -> Self:
        """Compute the scores that a search asks for."""
        featured = sums.by_features().cpu() if search.has_late else None
        if search.steered:
            nodes = [sums.nodes(level).cpu() for level in range(search.n_levels)]
            return cls(tuple(nodes), featured)
        if search.scores_all:
            return cls((sums.labels().cpu(),), featured)
        log_mix, heads = sums.local_log_probs(wide=True)
        return cls(digits=(log_mix, *heads))

    def take(self, rows: slice) -> Self:
        """Return the scores of some of the samples."""
        return type(self)(
            tuple(scores[rows] for scores in self.levels),
            None if self.featured is None else self.featured[rows],
            tuple(log_p[rows] for log_p in self.digits),
        )

    def nodes(self, level: int) -> Tensor:
        """Return the scores of all nodes of a level, shape (n, n_nodes)."""
        return self.levels[level].double()

    def labels(self) -> Tensor:
        """Return the scores of all labels that are searched, shape (n, n_labels)."""
        return self.levels[0].double()

    def by_features(self) -> Tensor:
        """Return what features tell of all labels, late ones last."""
        assert self.featured is not None
        return self.featured.double()

    def local_log_probs(self) -> tuple[Tensor, list[Tensor]]:
        """Return what independent heads give, which nothing is added to."""
        return self.digits[0], list(self.digits[1:])


class Scoring(NamedTuple):
    """What scores samples on a device: torch modules around a model's arrays."""

    search: Search
    ranking: Search  # the same without its correction of probabilities
    combination: Combination
    network: Network | None
    device: torch.device

    def bind(self, X: Samples) -> SumOfScores:
        """Return the scores of samples, as `search` asks for them."""
        return self.combination.bind(Batch(X, self.device))

    @property
    def has_user_backbone(self) -> bool:
        """Whether the network's first layers are a user's."""
        return self.network is not None and self.network.spec.user_backbone is not None

    def multiply_adds(self, X: Samples, n_outputs: int = 0) -> float:
        """Estimate those of scoring samples, and of outputs in place of the best."""
        n = X.shape[0]
        scorers = self.combination.scorers
        of_row = sum(
            scorer.multiply_adds(part_of(X, scorer.part).size / n) for scorer in scorers
        )
        return n * (of_row + MULTIPLY_ADDS_PER_OUTPUT * n_outputs)

    def n_scores(self, k: int) -> int:
        """Return the largest number of scores that a search for k labels holds."""
        own = () if self.network is None else (self.network.head.n_scores(k),)
        others = (scorer.n_scores() for scorer in self.combination.scorers)
        return max([self.search.n_scores(k), *own, *others])

    def for_blocks(
        self,
        X: Samples,
        scores_per_row: int,
        exact: bool,
        run: Callable[[slice, SumOfScores], None],
    ) -> None:
        """Call a function with the rows and the scores of each block of samples.

        In threads of our own, see `shared_out`: other threads than the caller's.
        """

        def run_part(part: slice) -> None:
            with torch.inference_mode():
                for rows, scores in self._blocks(X, part, scores_per_row, exact):
                    run(rows, scores)

        n, n_threads = X.shape[0], self._n_threads()
        fitting = rows_per_chunk(n_threads * scores_per_row)
        # As many parts for each of the threads.
        n_rounds = max(1, -(-n // (n_threads * fitting)))
        step = max(-(-n // (n_rounds * n_threads)), min(fitting, 2 * MIN_PRODUCT_ROWS))
        shared_out(run_part, even_slices(n, step), n_threads)

    def _n_threads(self) -> int:
        """Return how many threads of our own score samples."""
        # A user's network may not be made for several; it has torch's own.
        has_one = self.has_user_backbone or self.device.type != "cpu"
        return 1 if has_one else torch.get_num_threads()

    def _blocks(
        self, X: Samples, part: slice, scores_per_row: int, exact: bool
    ) -> Iterator[tuple[slice, SumOfScores]]:
        """Yield rows of a part of the samples, and their scores.

        Many rows at a time go through the network and the linear classifiers, whose
        tables are made once for all of them. Scores of all labels come in smaller
        blocks: large arrays take longer to allocate than to compute.
        """
        step = max(2 * MIN_PRODUCT_ROWS, BLOCK_SCORES // scores_per_row)
        n = part.stop - part.start
        scores = self.bind(X if n == X.shape[0] else X[part])
        whole = n <= step or not self.search.scores_all
        if whole or (not exact and scores.shortlist() is not None):
            yield part, scores
            return
        for block in even_slices(n, step):
            rows = slice(part.start + block.start, part.start + block.stop)
            yield rows, scores.take(block)

    def of_all_labels(
        self, X: Samples, n_labels: int, finish: Callable[[AllScores, np.ndarray], None]
    ) -> np.ndarray:
        """Return what a function makes of the scores of all labels, (n, n_labels).

        `finish` is called with the scores of some samples and their rows of the result.

        In threads of our own: each block stays in the cache of its processor, and most
        of its operations are too small for torch to divide them well.
        """
        n = X.shape[0]
        if n < MIN_PRODUCT_ROWS and not self.has_user_backbone:
            X = X[np.minimum(np.arange(MIN_PRODUCT_ROWS), n - 1)]
        result = np.empty((X.shape[0], n_labels))

        def run(piece: tuple[SumOfScores, slice, np.ndarray]) -> None:
            sums, block, rows = piece
            with torch.inference_mode():
                scores = AllScores.of(self.search, sums.take(block))
                most = min(MAX_PART_ROWS, max(1, MAX_PART_SCORES // n_labels))
                for part in even_slices(len(rows), most):
                    finish(scores.take(part), rows[part])

        def bound(part: slice) -> SumOfScores:
            with torch.inference_mode():
                return self.bind(X[part])

        for scorer in self.combination.scorers:
            scorer.prepare(part_of(X, scorer.part))
        n_fitting = rows_per_chunk(BLOCK_COPIES * n_labels)
        n_threads, n_rows = torch.get_num_threads(), len(result)
        step = min(MAX_BLOCK_ROWS, MAX_BLOCK_SCORES // n_labels)
        step = max(min(step, -(-n_rows // n_threads)), 2 * MIN_PRODUCT_ROWS)
        n_workers = min(n_threads, max(1, n_fitting // step))
        n_binding = min(n_workers, self._n_threads())
        for chunk in even_slices(n_rows, max(n_fitting, step)):
            most = max(-(-(chunk.stop - chunk.start) // n_binding), step)
            parts = [
                slice(chunk.start + part.start, chunk.start + part.stop)
                for part in even_slices(chunk.stop - chunk.start, most)
            ]
            sums = shared_out(bound, parts, n_binding)
            pieces = [
                (of_part, block, result[part][block])
                for of_part, part in zip(sums, parts, strict=True)
                for block in even_slices(part.stop - part.start, step)
            ]
            shared_out(run, pieces, n_workers)
        return result if n_rows == n else result[:n].copy()


def even_slices(n: int, most: int) -> list[slice]:
    """Return slices of n rows, of about the same number of rows, at most `most`.

    If `most` is 2 m or more, each has m rows or more, if there are so many.
    """
    n_slices = -(-n // most)
    bounds = [i * n // n_slices for i in range(n_slices + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]
