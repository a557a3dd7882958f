"""Pictures of fitted classifiers and of predictions, as scikit-learn's displays.

They need matplotlib: ``pip install 'skmhe[plot]'``.
"""

from skmhe.displays._costs import CostDisplay
from skmhe.displays._frequency import FrequencyDisplay
from skmhe.displays._history import HistoryDisplay
from skmhe.displays._prefixes import PrefixDisplay
from skmhe.displays._ranking import RankingDisplay
from skmhe.displays._reliability import ReliabilityDisplay

__all__ = [
    "CostDisplay",
    "FrequencyDisplay",
    "HistoryDisplay",
    "PrefixDisplay",
    "RankingDisplay",
    "ReliabilityDisplay",
]
