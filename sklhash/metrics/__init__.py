"""Ranking measures that treat tied distances by rule, and scorers that use them."""

from ._curve import precision_recall_curve
from ._histograms import relevance_histograms, scores_from_histograms
from ._scorer import RetrievalScorer, map_scorer, ndcg_scorer
from ._scores import retrieval_scores
from ._single import (
    average_cumulative_gain,
    mean_average_precision,
    ndcg,
    precision,
    recall,
    weighted_average_precision,
)

__all__ = [
    "RetrievalScorer",
    "average_cumulative_gain",
    "map_scorer",
    "mean_average_precision",
    "ndcg",
    "ndcg_scorer",
    "precision",
    "precision_recall_curve",
    "recall",
    "relevance_histograms",
    "retrieval_scores",
    "scores_from_histograms",
    "weighted_average_precision",
]
