"""Weight and calibration of a sum of scores, learned from samples held out."""

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from skmhe.nn.calibrated_search import odds_of
from skmhe.scorers.combination import Calibration
from skmhe.scorers.model import Model, Settings
from skmhe.training.data import TrainingData

# A tenth of the samples, as far as they tell anything; more do not tell much more.
HELD_OUT_SHARE, MIN_HELD_OUT, MAX_HELD_OUT = 0.1, 200, 2000
WEIGHTS = tuple(2.0**exponent for exponent in range(-3, 5))
PRIOR_WEIGHT = 1.0
N_RANKED = 5
# Labels of each sample that the calibration is learned from: those that are shown, and
# as many that come next.
N_CALIBRATED = 10
SMALLEST_SLOPE = 0.05


class LearnedWeight(NamedTuple):
    """A weight, and what it gains over that of the prior."""

    weight: float = PRIOR_WEIGHT
    gain: float = 0.0  # mean nDCG@5
    standard_error: float = 0.0  # of the gain


def n_held_out(n_samples: int) -> int:
    """Return how many samples to learn the weight from; 0 if there are too few."""
    n = min(int(HELD_OUT_SHARE * n_samples), MAX_HELD_OUT)
    return n if n >= MIN_HELD_OUT else 0


def learn_weight(model: Model, data: TrainingData, settings: Settings) -> LearnedWeight:
    """Choose the weight of a model's linear classifiers by the ranking it gives.

    The best of some weights by nDCG@5 of the samples in `data`, which the model was not
    fitted to. As of a few hundred samples the best one may be so by chance, gains over
    the prior count by what is left of them after one standard error, as in the rule of
    one standard error of [1]_.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and regression
       trees", 1984.
    """
    k = min(N_RANKED, model.codec.n_labels)
    model = dataclasses.replace(model, mix=None)
    weight = data.sample_weight
    weight = np.ones(data.X.shape[0]) if weight is None else weight
    share = weight / weight.sum()

    def ndcg(linear_weight: float) -> np.ndarray:
        now = settings._replace(linear_weight=linear_weight)
        return _ndcg(data.y, model.topk(data.X, k, now)[0])

    best, prior = LearnedWeight(), ndcg(PRIOR_WEIGHT)
    for linear_weight in WEIGHTS:
        if linear_weight == PRIOR_WEIGHT:
            continue
        gains = ndcg(linear_weight) - prior
        mean = float(share @ gains)
        error = float(np.sqrt(share**2 @ (gains - mean) ** 2))
        if mean - error > best.gain - best.standard_error:
            best = LearnedWeight(linear_weight, mean, error)
    return best


def _ndcg(y: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Return the nDCG of each sample, 0 without labels; shape: (n,)."""
    k = ranked.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gains: np.ndarray = _hits(y, ranked) @ discounts
    if isinstance(y, np.ndarray):
        return gains
    n_true = np.minimum(np.diff(y.indptr), k)
    return gains / np.concatenate([[1.0], np.cumsum(discounts)])[n_true]


def learn_calibration(
    model: Model, data: TrainingData, settings: Settings
) -> Calibration | None:
    """Return what turns a multi-label model's log-odds into those of being right.

    Logistic regression of truth on the log-odds of the best labels of the samples in
    `data`, which the model was not fitted to ([1]_). None if it has no solution, for
    instance if no label is right.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", in: Advances
       in Large Margin Classifiers, 1999.
    """
    k = min(N_CALIBRATED, model.codec.n_labels)
    ranked, log_p = model.topk(data.X, k, settings)
    x = odds_of(torch.from_numpy(log_p).double()).numpy().ravel()
    hits = _hits(data.y, ranked).ravel()
    weight = data.sample_weight
    weight = np.ones(len(ranked)) if weight is None else weight
    weight = np.repeat(weight, k)
    if not 0 < weight @ hits < weight.sum():
        return None
    # Next to no regularization: there are two numbers to learn, from thousands.
    regression = LogisticRegression(C=1e6, max_iter=1000)
    regression.fit(x[:, None], hits, weight)
    slope, intercept = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    if not (np.isfinite(intercept) and slope > SMALLEST_SLOPE):
        return None
    return Calibration(slope, intercept)


def _hits(y: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Tell which ranked labels are true, shape (n, k)."""
    if isinstance(y, np.ndarray):
        return ranked == y[:, None]
    rows = np.repeat(np.arange(len(ranked)), ranked.shape[1])
    return np.asarray(y[rows, ranked.ravel()]).reshape(ranked.shape) != 0
