"""Weights and calibration of a sum of scores, learned from samples held out."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

from skmhe.nn.calibrated_search import N_CUT
from skmhe.nn.scores import Search
from skmhe.scorers.candidates import Candidates, find_candidates
from skmhe.scorers.combination import (
    Calibration,
    Mix,
    ScorerWeights,
    prior_calibration,
)
from skmhe.scorers.model import Model, Settings
from skmhe.scorers.parts import Featured
from skmhe.training.data import Targets, TrainingData
from skmhe.training.learned_calibration import (
    N_RANKED,
    clear_gain,
    learn_log_odds,
    learn_softmax,
)

# Weights of a scorer that are tried, with all of the others.
GRID = (0.0, *(2.0**exponent for exponent in range(-3, 5)))

# Ranks labels for some weights and a factor of the sum: tells which of the best ones
# are right, and their log-probabilities; both of shape (n, k), best first.
Ranking: TypeAlias = Callable[[ScorerWeights, float], tuple[np.ndarray, np.ndarray]]


class Truth(NamedTuple):
    """The labels of the samples that are learned from."""

    y: Targets
    share: np.ndarray  # of each sample in all of them, by their weights

    def hits(self, labels: np.ndarray) -> np.ndarray:
        """Tell which labels (n, k) are true; not -1."""
        if isinstance(self.y, np.ndarray):
            return labels == self.y[:, None]
        rows = np.repeat(np.arange(len(labels)), labels.shape[1])
        found = np.asarray(self.y[rows, labels.ravel()]).reshape(labels.shape)
        return (found != 0) & (labels >= 0)

    def ndcg(self, hits: np.ndarray) -> np.ndarray:
        """Return the nDCG of ranked hits of each sample, 0 without labels."""
        k = hits.shape[1]
        discounts = 1 / np.log2(np.arange(2, k + 2))
        gains: np.ndarray = hits @ discounts
        if isinstance(self.y, np.ndarray):
            return gains
        n_true = np.minimum(np.diff(self.y.indptr), k)
        return gains / np.concatenate([[1.0], np.cumsum(discounts)])[n_true]


# A model, and samples that it was not fitted to.
Unseen: TypeAlias = tuple[Model, TrainingData]


def learn_mix(unseen: Sequence[Unseen], settings: Settings) -> Mix:
    """Learn the weights of a model's scorers, and what calibrates their sums.

    From samples that the model was not fitted to; several models, of the same kind, are
    each asked about their own samples. A tree of one label per sample whose nodes have
    probabilities of their own keeps the calibration of the prior: a factor of their
    scores would change the ranking, and mostly for the worse.
    """
    unseen = [(part, _featured(part, data, settings)) for part, data in unseen]
    model, truth = unseen[0][0], _truth_of([data for _, data in unseen])
    search, found = model.search, list[Candidates]()
    if not search.steered:
        found = [find_candidates(part, data.X, settings) for part, data in unseen]
    ranking = _ranking_of_all(unseen, found, settings)
    task = search.multilabel, search.n_labels, search.steered, search.joint

    def prior(weights: ScorerWeights) -> Calibration:
        return prior_calibration(weights, *task)

    weights, names = ScorerWeights(), model.scorer_names
    if len(names) > 1:
        weights = learn_weights(ranking, truth, prior, names)
    parts = ["both", *["classifier", "encoder"] * ("label_encoder" in names)]
    calibrations = {}
    for part in parts:
        if search.steered and (part == "encoder" or not is_calibrated(search)):
            continue  # the encoder alone scores all labels, and has its prior as well
        of_part = model.normalized(weights).of_part(part)
        learn = learn_log_odds if search.multilabel else learn_softmax
        rank = partial(ranking, of_part)
        calibrations[part] = learn(rank, truth.share, prior(of_part))
    return Mix(weights, calibrations)


def _featured(model: Model, data: TrainingData, settings: Settings) -> TrainingData:
    """Return samples with what a user's network makes of them, which takes long.

    All weights that are tried leave that as it is.
    """
    if model.user_backbone is None or data.has_features:
        return data
    features = model.features(data.X, settings.device)
    return data._replace(X=Featured(data.X, features))


def _truth_of(parts: Sequence[TrainingData]) -> Truth:
    """Return the labels and the shares of all samples of some parts."""
    targets = [data.y for data in parts]
    one_each = isinstance(targets[0], np.ndarray)
    y = np.concatenate(targets) if one_each else sp.csr_array(sp.vstack(targets))
    weight = np.concatenate(
        [
            np.ones(data.X.shape[0])
            if data.sample_weight is None
            else data.sample_weight
            for data in parts
        ]
    )
    return Truth(y, weight / weight.sum())


def _ranking_of_all(
    parts: Sequence[Unseen], found: Sequence[Candidates], settings: Settings
) -> Ranking:
    """Return what ranks the labels of each model's samples."""
    rankings = []
    for i, (model, data) in enumerate(parts):
        known = found[i] if found else None
        truth = _truth_of([data])
        rankings.append(make_ranking(model, data, truth, known, settings))

    def rank(weights: ScorerWeights, factor: float) -> tuple[np.ndarray, np.ndarray]:
        hits, log_p = zip(
            *(ranking(weights, factor) for ranking in rankings), strict=True
        )
        return np.concatenate(hits), np.concatenate(log_p)

    return rank


def is_calibrated(search: Search) -> bool:
    """Return whether a model's calibration is learned, which never changes a ranking.

    A factor of the scores of a tree's nodes would, if each has a softmax of its own.
    """
    return search.multilabel or search.joint or not search.steered


def n_ranked(multilabel: bool) -> int:
    """Return how many of the best labels of each sample `Ranking` is to rank."""
    return N_RANKED if multilabel else N_CUT


def make_ranking(
    model: Model,
    data: TrainingData,
    truth: Truth,
    found: Candidates | None,
    settings: Settings,
) -> Ranking:
    """Return what ranks the labels of samples, by some weights of the scorers.

    Where labels have scores that are added up, those of the best labels are computed
    once. A tree, whose nodes are searched by the sums, is searched again each time.
    """
    if found is not None:
        return ranking_of(found, truth.hits(found.labels), model.search.multilabel)
    k = min(n_ranked(model.search.multilabel), model.codec.n_labels)

    def search(weights: ScorerWeights, factor: float) -> tuple[np.ndarray, np.ndarray]:
        mix = Mix(weights, {settings.score_with: Calibration(factor)})
        now = dataclasses.replace(model, mix=mix)
        labels, log_p = now.topk(data.X, k, settings)
        return truth.hits(labels), log_p.astype(np.float64)

    return search


def ranking_of(found: Candidates, hits: np.ndarray, multilabel: bool) -> Ranking:
    """Return what ranks candidates."""
    k = min(n_ranked(multilabel), found.labels.shape[1])
    missing = found.labels < 0
    with np.errstate(divide="ignore"):
        log_counts = np.log(found.stands_for)

    def rank(weights: ScorerWeights, factor: float) -> tuple[np.ndarray, np.ndarray]:
        by = factor * np.array(weights, np.float32)
        scores = (found.scores @ by).astype(np.float64)
        scores[missing] = -np.inf
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, 1)
        values = np.take_along_axis(scores, best, 1)
        if multilabel:
            log_p = -np.logaddexp(0, -values)
        else:
            others = found.drawn @ by + log_counts
            total = np.concatenate([scores, others], axis=1)
            log_p = values - np.logaddexp.reduce(total, axis=1, keepdims=True)
        return np.take_along_axis(hits, best, 1), log_p

    return rank


def learn_weights(
    ranking: Ranking,
    truth: Truth,
    prior: Callable[[ScorerWeights], Calibration],
    names: Iterable[str],
) -> ScorerWeights:
    """Choose the weights of several scorers by the ranking that their sum gives.

    All are 1 at first. The network keeps that, unless the sum is better without it. The
    others are searched one by one, until none changes any more, for the best nDCG@5. If
    its gain is not clear, see `clear_gain`, they stay where they are.
    """
    names, known = set(names), {}
    missing = set(ScorerWeights._fields) - names

    def quality(weights: ScorerWeights) -> np.ndarray:
        if weights not in known:
            ranked = ranking(weights, prior(weights).factor)
            known[weights] = truth.ndcg(ranked[0][:, :N_RANKED])
        return known[weights]

    def better(best: ScorerWeights, others: Iterable[ScorerWeights]) -> ScorerWeights:
        def gain(weights: ScorerWeights) -> float:
            return clear_gain(truth.share, quality(weights) - quality(best))

        return max((best, *others), key=gain)

    best, before = ScorerWeights()._replace(**dict.fromkeys(missing, 0.0)), None
    parts = _parts(best)
    while best != before:
        before = best
        for name in ScorerWeights._fields[1:]:
            if name in names and (best.network or name != "linear"):
                tried = (best._replace(**{name: weight}) for weight in GRID)
                best = better(best, tried)
        if best == before:
            best = better(best, parts)
    return best


def _parts(weights: ScorerWeights) -> list[ScorerWeights]:
    """Return weights of some of the scorers: of the network, or the linear ones."""
    every = [
        weights._replace(label_encoder=encoder, **{left_out: 0.0})
        for left_out in ("network", "linear")
        for encoder in (weights.label_encoder, 0.0)
    ]
    return [part for part in every if part.network or part.linear]
