"""The estimators, their parameter objects, and what checks what users pass."""

from skmhe.estimators._classifiers import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators.feature_parts import FeatureParts
from skmhe.estimators.parameters import Backbone, LabelEncoder, LinearTree
from skmhe.estimators.strategies import Cascade, Full, Product, Sampling
from skmhe.estimators.topk import predict_topk
from skmhe.scorers.parts import Parts

__all__ = [
    "Backbone",
    "Cascade",
    "FeatureParts",
    "Full",
    "LabelEncoder",
    "LinearTree",
    "MHEClassifier",
    "MHEMultiLabelClassifier",
    "Parts",
    "Product",
    "Sampling",
    "predict_topk",
]
