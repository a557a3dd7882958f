"""Extreme label classification with multi-head encoding, as scikit-learn estimators."""

from skmhe._estimators import MHEClassifier, MHEMultiLabelClassifier
from skmhe.label_codec import LabelCodec

__version__ = "0.1.0.dev0"

__all__ = ["LabelCodec", "MHEClassifier", "MHEMultiLabelClassifier", "__version__"]
