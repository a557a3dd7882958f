"""The best labels of some samples, with the scores that each scorer gives them."""

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skmhe.nn.calibrated_search import N_CUT
from skmhe.scorers.batch import Batch, row_chunks
from skmhe.scorers.combination import Combination, ScorerWeights, SumOfScores
from skmhe.scorers.model import Model, Settings
from skmhe.scorers.parts import Samples

# Labels that each scorer, and each of some sums, finds best: as many as are cut off, so
# that the last one of another sum is hardly missed.
N_BEST = N_CUT
# Labels that are drawn to stand for all others, in the softmax of one label per sample.
N_DRAWN = 64


class Candidates(NamedTuple):
    """Labels of n samples, and their scores by each of the scorers.

    Scores of shape (n, m, 4), in the order of `ScorerWeights`; 0 for scorers that there
    are none of. Sums of them are the model's scores of these labels.
    """

    labels: np.ndarray  # -1 in places without a label; shape: (n, m)
    scores: np.ndarray
    drawn: np.ndarray  # scores of labels that were drawn; (n, N_DRAWN or fewer, 4)
    # How many other labels each of those stands for; 0 if it is among `labels`.
    stands_for: np.ndarray  # shape: (n, N_DRAWN or fewer)


@torch.inference_mode()
def find_candidates(model: Model, X: Samples, settings: Settings) -> Candidates:
    """Score samples by each scorer of a model that is not searched as a tree.

    The candidates of a sample are the best labels of each scorer, of the sum of those
    that need no features of labels, and of the sum of all.
    """
    names, fields = model.scorer_names, ScorerWeights._fields
    nothing = ScorerWeights(0, 0, 0, 0)
    scorers = {
        fields.index(name): model.scorers(
            settings._replace(weights=nothing._replace(**{name: 1.0}))
        )
        for name in names
    }
    combinations = {place: Combination(s) for place, s in scorers.items() if s}
    n_labels, parts = model.search.n_labels, []
    for rows in row_chunks(X.shape[0], 3 * len(fields) * n_labels):
        batch = Batch(X[rows], settings.device)
        sums = {place: c.bind(batch) for place, c in combinations.items()}
        groups = None
        if model.search.multilabel:  # one softmax is of all labels
            found = (scores.shortlist() for scores in sums.values())
            groups = next((g for g in found if g is not None), None)
        shortlist = groups, n_labels, model.search.group_size
        parts.append(_best_of(sums, *shortlist, len(batch)))
    # Blocks have as many candidates as the sample that has most of them.
    m = max(part.labels.shape[1] for part in parts)
    parts = [part._replace(**_padded(part, m)) for part in parts]
    return Candidates(*map(np.concatenate, zip(*parts, strict=True)))


def _padded(part: Candidates, m: int) -> dict[str, np.ndarray]:
    n_missing = m - part.labels.shape[1]
    labels = np.pad(part.labels, ((0, 0), (0, n_missing)), constant_values=-1)
    scores = np.pad(part.scores, ((0, 0), (0, n_missing), (0, 0)))
    return {"labels": labels, "scores": scores}


def _best_of(
    sums: dict[int, SumOfScores],
    groups: Tensor | None,
    n_labels: int,
    group_size: int,
    n: int,
) -> Candidates:
    """Return the candidates of a batch: of groups, or of all labels."""
    tables, labels = _tables(sums, groups, n_labels, group_size, n)
    inside = labels < n_labels
    best = [
        mix.topk(min(N_BEST, mix.shape[1]), 1).indices for mix in _mixes(tables, inside)
    ]
    places = torch.cat(best, 1).sort(1).values
    again = torch.zeros_like(places, dtype=torch.bool)
    again[:, 1:] = places[:, 1:] == places[:, :-1]
    again |= ~inside.gather(1, places)
    width = int((~again).sum(1).max())
    order = again.int().argsort(dim=1, stable=True)[:, :width]
    places, missing = places.gather(1, order), again.gather(1, order)
    chosen = labels.gather(1, places).masked_fill(missing, -1)
    drawn = np.random.RandomState(0).permutation(labels.shape[1])[:N_DRAWN]
    other = inside.clone().scatter_(1, places, False)
    others = other[:, drawn].float()
    share = other.sum(1, keepdim=True) / others.sum(1, keepdim=True).clamp(min=1)
    scores = _stacked({p: t.gather(1, places) for p, t in tables.items()})
    scores = scores.masked_fill(missing[:, :, None], 0)
    of_drawn = _stacked({p: t[:, drawn] for p, t in tables.items()})
    result = chosen, scores, of_drawn, others * share
    return Candidates(*(tensor.cpu().numpy() for tensor in result))


def _mixes(tables: dict[int, Tensor], inside: Tensor) -> Iterator[Tensor]:
    """Yield the scores whose best labels are candidates; -inf where there is none."""
    without_features = [t for place, t in tables.items() if place < 2]
    all_inside = bool(inside.all())
    kinds = [[table] for table in tables.values()]
    kinds += [kind for kind in (without_features,) if 1 < len(kind) < len(tables)]
    kinds += [list(tables.values())] * (len(tables) > 1)
    for kind in kinds:
        total = reduce(torch.add, kind)
        yield total if all_inside else total.masked_fill(~inside, -torch.inf)


def _stacked(tables: dict[int, Tensor]) -> Tensor:
    """Return scores of each scorer as one tensor, 0 for those that are missing."""
    like = next(iter(tables.values()))
    result = like.new_zeros(*like.shape, len(ScorerWeights._fields))
    for place, scores in tables.items():
        result[..., place] = scores
    return result


def _tables(
    sums: dict[int, SumOfScores],
    groups: Tensor | None,
    n_labels: int,
    group_size: int,
    n: int,
) -> tuple[dict[int, Tensor], Tensor]:
    """Return each scorer's scores of all labels, or those of groups, and the labels.

    All of shape (n, m); labels from `n_labels` on do not exist.
    """
    if groups is None:
        found = {place: s.labels()[:, :n_labels] for place, s in sums.items()}
        device = next(iter(found.values())).device
        return found, torch.arange(n_labels, device=device).expand(n, -1)
    digits = torch.arange(group_size, device=groups.device)
    labels = (groups[:, :, None] * group_size + digits).flatten(1)
    outside = labels >= n_labels
    return {
        place: s.candidates(groups).flatten(1).masked_fill(outside, 0)
        for place, s in sums.items()
    }, labels
