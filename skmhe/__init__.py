"""Extreme label classification with multi-head encoding, as scikit-learn estimators."""

from skmhe.estimators import (
    Backbone,
    Cascade,
    FeatureParts,
    Full,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Parts,
    Product,
    Sampling,
    predict_topk,
)
from skmhe.labels import LabelCodec

__version__ = "0.1.0.dev0"

__all__ = [
    "Backbone",
    "Cascade",
    "FeatureParts",
    "Full",
    "LabelCodec",
    "LabelEncoder",
    "LinearTree",
    "MHEClassifier",
    "MHEMultiLabelClassifier",
    "Parts",
    "Product",
    "Sampling",
    "__version__",
    "predict_topk",
]
