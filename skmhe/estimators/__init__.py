"""The estimators, their parameter objects, and what checks what users pass."""

from skmhe.estimators._classifiers import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators.parameters import Backbone, LabelEncoder, LinearTree
from skmhe.estimators.strategies import Cascade, Full, Product, Sampling
from skmhe.estimators.topk import predict_topk

__all__ = [
    "Backbone",
    "Cascade",
    "Full",
    "LabelEncoder",
    "LinearTree",
    "MHEClassifier",
    "MHEMultiLabelClassifier",
    "Product",
    "Sampling",
    "predict_topk",
]
