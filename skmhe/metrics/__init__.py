"""Ranking metrics for extreme classification, and scorers that compute them."""

from skmhe.metrics._propensities import propensities, propensity_scored_precision_at_k
from skmhe.metrics._ranking import (
    coverage_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from skmhe.metrics._scorer import RankingScorer, get_scorer, get_scorer_names

__all__ = [
    "RankingScorer",
    "coverage_at_k",
    "get_scorer",
    "get_scorer_names",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "propensity_scored_precision_at_k",
    "recall_at_k",
]
