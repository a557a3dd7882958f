"""Extreme label classification with multi-head encoding, as scikit-learn estimators."""

__version__ = "0.1.0.dev0"
