"""Metrics for extreme classification, and scorers that compute them."""

from skmhe.metrics._propensities import propensities, propensity_scored_precision_at_k
from skmhe.metrics._ranking import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from skmhe.metrics._report import evaluate
from skmhe.metrics._scored import average_precision_score, expected_calibration_error
from skmhe.metrics._scorer import RankingScorer
from skmhe.metrics._scorer_names import get_scorer, get_scorer_names
from skmhe.metrics._sets import f1_score, precision_recall_f1

__all__ = [
    "RankingScorer",
    "average_precision_score",
    "coverage_at_k",
    "evaluate",
    "expected_calibration_error",
    "f1_score",
    "get_scorer",
    "get_scorer_names",
    "ndcg_at_k",
    "precision_at_k",
    "precision_recall_f1",
    "propensities",
    "propensity_scored_precision_at_k",
    "recall_at_k",
]
