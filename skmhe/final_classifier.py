"""Which classifier of a pipeline or search ranks labels, and its scores of them.

A `FrozenEstimator` is followed as well, which shows no `predict_topk` of a pipeline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def final_classifier(model: Any, X: Any) -> tuple[Any, Any]:
    """Follow pipelines and searches to a classifier, and transform X for it."""
    while not hasattr(model, "predict_topk"):
        if isinstance(model, Pipeline):
            check_is_fitted(model)
            X = model[:-1].transform(X) if len(model) > 1 else X
        inner = _step_into(model)
        if inner is None:
            break
        model = inner
    return model, X


def final_step(model: Any) -> Any:
    """Follow pipelines and searches to a classifier, without samples."""
    while (inner := _step_into(model)) is not None:
        model = inner
    return model


def _step_into(model: Any) -> Any:
    """Return what a pipeline or search ends with, None for anything else."""
    if isinstance(model, Pipeline):
        return model[-1]
    if isinstance(model, FrozenEstimator):
        return model.estimator
    if hasattr(model, "best_estimator_"):
        return model.best_estimator_
    if hasattr(model, "cv_results_"):
        raise TypeError(
            f"{type(model).__name__} has no best_estimator_, as refit=False: use "
            "refit=True, or fit the best parameters yourself."
        )
    return None


def classes_of(model: Any) -> np.ndarray:
    """Return the labels that a classifier scores."""
    classes = getattr(model, "classes_", None)
    if classes is None or isinstance(classes, list):
        raise TypeError(
            f"{type(model).__name__} has no array classes_ to rank: pass a fitted "
            "classifier (for multi-label y one such as OneVsRestClassifier, not one of "
            "several outputs)."
        )
    return np.asarray(classes)


def class_scores(
    model: Any, X: Any, n_classes: int, methods: Sequence[str]
) -> tuple[str, np.ndarray]:
    """Return the first method there is, and its scores (n_samples, n_classes)."""
    name = type(model).__name__
    method = next((method for method in methods if hasattr(model, method)), None)
    if method is None:
        raise TypeError(
            f"{name} has none of the methods predict_topk, {' and '.join(methods)}, by "
            "which labels could be ranked: pass a classifier that has one of them."
        )
    scores = np.asarray(getattr(model, method)(X), dtype=np.float64)
    if scores.ndim == 1 and n_classes <= 2:
        # A binary decision function scores the second class only.
        scores = np.column_stack([-scores, scores])[:, -n_classes:]
    if scores.ndim != 2 or scores.shape[1] != n_classes:
        raise ValueError(
            f"{name}.{method} returned scores of shape {scores.shape}; a ranking needs "
            f"one column for each of the {n_classes} classes: pass a classifier that "
            "scores each of its labels."
        )
    return method, scores
