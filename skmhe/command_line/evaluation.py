"""Evaluation of a model on labeled data."""

from collections.abc import Sequence
from typing import Any

from scipy.sparse import issparse

from skmhe.command_line.data import Data, label_sets
from skmhe.command_line.errors import DataError
from skmhe.command_line.models import Model
from skmhe.estimators import predict_topk
from skmhe.metrics import evaluate
from skmhe.metrics._report import EvaluationTable

# Of the labels that predict returns, however many these are.
OF_SETS = ("micro F1", "macro F1", "samples F1")


def evaluated(
    model: Model, data: Data, ks: Sequence[int], train_labels: Any
) -> EvaluationTable:
    """Return the measures of `skmhe.metrics.evaluate`."""
    given: dict[str, Any] = {"labels": model.labels}
    if train_labels is not None:
        given["y_train"] = _true_labels(model, train_labels)
    y_true = _true_labels(model, data.labels)
    best = predict_topk(model.estimator, data.X, min(max(ks), model.n_labels))
    table = evaluate(y_true, best, k=ks, **given)
    predicted = model.estimator.predict(data.X)
    if isinstance(predicted, list):
        # As sets: lists of the labels 0 and 1 could be an indicator.
        predicted = [frozenset(labels) for labels in predicted]
    sets = evaluate(y_true, predicted, k=ks, **given)
    table.update({name: sets[name] for name in OF_SETS})
    return table


def unknown_labels(model: Model, data: Data) -> frozenset[Any]:
    """Return the labels that the model does not know, which must not be all of them."""
    assert model.labels is not None
    unknown = data.distinct_labels.difference(model.labels.tolist())
    if unknown and unknown == data.distinct_labels:
        raise DataError(
            f"{model.path} knows none of the labels of {data.name}, such as "
            f"{data.example()!r}, but others, such as {model.labels.tolist()[0]!r}: "
            "give data whose labels are written as in the training data, and "
            "--separator if several are in a cell."
        )
    return unknown


def _true_labels(model: Model, labels: Any) -> Any:
    """Return an indicator with the model's columns, or else sets of labels."""
    assert model.labels is not None
    is_same = model.labels.tolist() == [*range(model.n_labels)]
    if issparse(labels) and is_same and labels.shape[1] == model.n_labels:
        return labels
    return label_sets(labels)
