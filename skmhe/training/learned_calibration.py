"""What makes probabilities of sums of scores, learned from samples held out."""

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from skmhe.nn.calibrated_search import N_CUT, cut_off, odds_of
from skmhe.scorers.combination import Calibration

# The best labels of each sample: weights are chosen by their ranking, and for
# multi-label targets, their probabilities are calibrated.
N_RANKED = 5
# The factor of scores is at most so many times that of the prior, or such a part of it.
MAX_FACTOR = 16.0
# Something is always left to labels that are not among the best ones.
MAX_BEST_SHARE = 0.99
SMALLEST_SLOPE, SMALLEST_P = 0.05, 1e-9

# By a factor of sums of scores, tells which of the best labels of n samples are right,
# and their log-probabilities; both of shape (n, k), best first.
Ranking: TypeAlias = Callable[[float], tuple[np.ndarray, np.ndarray]]


def doubt_of(n_samples: int) -> float:
    """Return the share of what seems right that is taken for wrong, and the reverse.

    If all of n samples are right, another one may still be wrong, and probabilities
    must not become 1. After J. Platt, "Probabilistic outputs for support vector
    machines", 1999, section 2.2, who counts samples that are right and wrong apart.
    """
    return 1 / (n_samples + 2)


def clear_gain(share: np.ndarray, gains: np.ndarray) -> float:
    """Return the mean gain of samples; 0 if it is less than one standard error.

    As of a few hundred samples something may be better by chance: the rule of one
    standard error of L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and
    regression trees", 1984. `share` is that of each sample in all of them.

    The samples may be those that one more parameter was fitted to. If it is not needed,
    chance takes it z standard errors away from where it has no effect: the mean gain of
    n samples is then z ** 2 / (2 n), its standard error abs(z) / n. It seems clear if
    abs(z) > 2, once in 20 times, and costs new samples no more than it seemed to gain,
    about 3 / n. There is little that cross-validation could make better.
    """
    mean = float(share @ gains)
    error = float(np.sqrt(share**2 @ (gains - mean) ** 2))
    return mean if mean > error else 0.0


def learn_softmax(
    ranking: Ranking, share: np.ndarray, prior: Calibration
) -> Calibration:
    """Learn what makes probabilities of scores of one label per sample, by likelihood.

    By that of which of the `N_CUT` best labels is right, or none of them: a factor of
    the scores, and the share of the best labels ([1]_ mixes softmaxes of other
    factors). If its gain is clear, see `clear_gain`; otherwise, the factor alone.

    References
    ----------
    .. [1] J. Zhang, B. Kailkhura, T. Han, "Mix-n-Match: Ensemble and compositional
       methods for uncertainty calibration in deep learning", ICML 2020.
    """
    losses = SoftmaxLosses(ranking, share, prior.factor)
    ratio, best_share = losses.least(with_share=False)
    if losses.depend_on_share(ratio):
        mixed = losses.least(with_share=True)
        if clear_gain(share, losses(ratio, best_share) - losses(*mixed)):
            ratio, best_share = mixed
    factor = prior.factor * float(np.exp(ratio))
    return prior._replace(factor=factor, best_share=best_share)


class SoftmaxLosses:
    """Losses of samples, -log P(what is right), by a factor of scores and a share.

    The factor is given by its ratio to that of the prior, as a logarithm.
    """

    def __init__(self, ranking: Ranking, share: np.ndarray, factor: float) -> None:
        self._share = share
        # Rankings take long, and all shares have the same.
        self._terms = cache(
            lambda ratio: _likelihood(*ranking(factor * float(np.exp(ratio))))
        )

    def __call__(self, ratio: float, best_share: float) -> np.ndarray:
        """Return the loss of each sample."""
        constant, slope = self._terms(ratio)
        p = np.clip(constant + best_share * slope, SMALLEST_P, 1 - SMALLEST_P)
        doubt = doubt_of(len(p))
        losses: np.ndarray = -(1 - doubt) * np.log(p) - doubt * np.log1p(-p)
        return losses

    def depend_on_share(self, ratio: float) -> bool:
        """Tell whether there are enough labels for a share of the best ones."""
        return bool(self._terms(ratio)[1].any())

    def least(self, with_share: bool) -> tuple[float, float]:
        """Return the ratio and the share, 0 without, of the least mean loss."""

        def of_ratio(ratio: float) -> tuple[float, float]:
            return ratio, self._best_share(ratio) if with_share else 0.0

        bound = float(np.log(MAX_FACTOR))
        ratio = _minimum(lambda r: self._mean(*of_ratio(r)), (-bound, bound), 0.02)
        return of_ratio(ratio)

    def _best_share(self, ratio: float) -> float:
        bounds = 0.0, MAX_BEST_SHARE
        return _minimum(lambda value: self._mean(ratio, value), bounds, 1e-3)

    def _mean(self, ratio: float, best_share: float) -> float:
        return float(self._share @ self(ratio, best_share))


def _minimum(
    function: Callable[[float], float], bounds: tuple[float, float], tolerance: float
) -> float:
    options = {"xatol": tolerance}
    found = minimize_scalar(function, bounds=bounds, method="bounded", options=options)
    return float(found.x)


def _likelihood(hits: np.ndarray, log_p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the likelihood of each sample, as a constant and what the share adds.

    Nothing, if there are fewer labels than it needs.
    """
    p = np.exp(log_p)
    gain = np.zeros_like(p)
    if log_p.shape[1] >= N_CUT:
        cut, total = cut_off(torch.from_numpy(log_p[:, :N_CUT]))
        gain = cut.numpy() - total.numpy() * p[:, :N_CUT]
    is_right = hits.any(1)
    none = np.maximum(1 - p.sum(1), 0)
    constant = np.where(is_right, (hits * p).sum(1), none)
    slope = np.where(is_right, (hits * gain).sum(1), -gain.sum(1))
    return constant, slope


def learn_log_odds(
    ranking: Ranking, share: np.ndarray, prior: Calibration
) -> Calibration:
    """Learn what makes a multi-label model's log-odds those of being right.

    Logistic regression of truth on the log-odds of the best labels and, if its gain is
    clear (see `clear_gain`), on the logarithms of their probabilities as well ([1]_).
    That of the prior if it would turn the ranking, or if all labels or none are right,
    which tells nothing of a slope.

    References
    ----------
    .. [1] M. Kull, T. Silva Filho, P. Flach, "Beta calibration: a well-founded and
       easily implemented improvement on logistic calibration for binary classifiers",
       AISTATS 2017.
    """
    hits, log_p = ranking(prior.factor)
    hits, log_p = hits[:, :N_RANKED], log_p[:, :N_RANKED]
    exists = np.isfinite(log_p)
    log_odds = odds_of(torch.from_numpy(log_p)).numpy()
    weight = np.repeat(share[:, None] * len(share), hits.shape[1], axis=1)[exists]
    right = hits[exists]
    if len(np.unique(right[weight > 0])) < 2:
        return prior
    doubt = doubt_of(len(share))

    def fit(*columns: np.ndarray) -> tuple[list[float], np.ndarray]:
        """Return the coefficients, the intercept last, and losses of samples."""
        x = np.stack([column[exists] for column in columns], axis=1)
        # Next to no regularization: there are two or three numbers to learn.
        model = LogisticRegression(C=1e6, max_iter=1000)
        weights = np.concatenate([(1 - doubt) * weight, doubt * weight])
        model.fit(np.tile(x, (2, 1)), np.concatenate([right, ~right]), weights)
        losses = np.zeros(hits.shape)
        against = np.where(right, -1, 1) * model.decision_function(x)
        losses[exists] = (1 - doubt) * np.logaddexp(0, against)
        losses[exists] += doubt * np.logaddexp(0, -against)
        return [*model.coef_[0].tolist(), float(model.intercept_[0])], losses.sum(1)

    (slope, intercept), losses = fit(log_odds)
    if not (np.isfinite(intercept) and slope > SMALLEST_SLOPE):
        return prior
    plain = prior._replace(slope=slope, intercept=intercept)
    (slope, bend, intercept), bent_losses = fit(log_odds, log_p)
    rises = np.isfinite(intercept) and min(slope, slope + bend) > SMALLEST_SLOPE
    if not (rises and clear_gain(share, losses - bent_losses)):
        return plain
    return prior._replace(slope=slope, intercept=intercept, bend=bend)
