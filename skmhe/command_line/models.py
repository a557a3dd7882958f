"""The model of the command line: loaded, and described."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from sklearn.pipeline import Pipeline

import skmhe.io
from skmhe.command_line.errors import DataError, data_errors
from skmhe.command_line.notes import counted
from skmhe.estimators import MHEMultiLabelClassifier
from skmhe.final_classifier import final_step
from skmhe.io.container import opened
from skmhe.io.trusted import NotTrusted
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)

WITH_THRESHOLDS = (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)


@dataclass(frozen=True)
class Model:
    """A fitted classifier, and the file that it is from."""

    path: str
    estimator: Any

    @classmethod
    def load(
        cls, path: str, mmap: bool = False, trusted: Sequence[Any] = ()
    ) -> "Model":
        """Load a model file, of any estimator."""
        with data_errors():
            try:
                return cls(path, skmhe.io.load(path, mmap=mmap, trusted=trusted))
            except ValueError as error:
                if not isinstance(error.__cause__, NotTrusted):
                    raise
                told = f"{error} Here, that is --trusted MODULE:NAME."
                raise DataError(told) from error

    @property
    def classifier(self) -> Any:
        """The last step of a pipeline, also within one with thresholds."""
        return fitted_classifier(self.estimator)

    @property
    def labels(self) -> np.ndarray | None:
        """All labels; None where there is no classifier, or none that is fitted."""
        labels = getattr(self.classifier, "classes_", None)
        return None if labels is None else np.asarray(labels)

    @property
    def is_multilabel(self) -> bool:
        """Whether samples have any number of labels."""
        return isinstance(self.classifier, MHEMultiLabelClassifier)

    @property
    def n_features(self) -> int | None:
        """Number of features; None if it takes texts."""
        found = getattr(self.estimator, "n_features_in_", None)
        return None if found is None else int(found)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return 0 if self.labels is None else len(self.labels)

    @property
    def takes(self) -> dict[str, Any]:
        """What samples must be, for `read`."""
        return {"texts": self.n_features is None, "n_features": self.n_features}

    @property
    def thresholds(self) -> np.ndarray | None:
        """The threshold of the model, or one for each label; None if it has none."""
        last = final_step(self.estimator)
        has_some = isinstance(last, WITH_THRESHOLDS) and self.labels is not None
        return last._thresholds() if has_some else None

    @property
    def default_k(self) -> int | None:
        """How many labels are predicted unless that is given, None for a few."""
        if self.thresholds is None:
            return None
        return min(final_step(self.estimator).max_labels, self.n_labels)

    def chooser(self, threshold: float | None) -> Callable[[Any, float], bool]:
        """Return what tells whether a label of some probability is predicted.

        Without a given threshold, the model's own one decides, if it has one.
        """
        own = self.thresholds
        if threshold is not None or own is None:
            least = threshold or 0.0
            return lambda _, probability: probability >= least
        if not own.ndim:
            limit = float(own)
            return lambda _, probability: probability > limit
        assert self.labels is not None
        by_label = dict(zip(self.labels.tolist(), own.tolist(), strict=True))
        return lambda label, probability: probability > by_label[label]

    def checked(self) -> "Model":
        """Return this model, which must predict labels."""
        if self.labels is None:
            raise DataError(
                f"{self.path} holds {type(self.estimator).__name__}, which is no "
                "fitted classifier: give a file of skmhe train, or of skmhe.io.save."
            )
        return self

    def check_k(self, k: int) -> None:
        """Require that there are so many labels."""
        if k > self.n_labels:
            raise click.BadParameter(
                f"{k} is more than the {counted(self.n_labels, 'label')} of "
                f"{self.path}.",
                param_hint="'-k'",
            )

    def describe(self) -> dict[str, Any]:
        """Return what is known of the model, ready for JSON."""
        classifier, labels = self.classifier, self.labels
        found: dict[str, Any] = {
            "file": self.path,
            "bytes": os.path.getsize(self.path),
            "estimator": _shown(self.estimator),
            "samples": "texts" if self.n_features is None else "features",
            "n_features": getattr(classifier, "n_features_in_", None),
            "n_labels": None if labels is None else len(labels),
            "multilabel": self.is_multilabel,
        }
        if labels is not None:
            found["strategy"] = classifier.strategy_
            found["n_heads"] = classifier.n_heads_
            found["n_iter"] = classifier.n_iter_
            found["combination"] = dict(classifier.combination_)
        if self.thresholds is not None:
            found["threshold"] = self._threshold()
        found["parameters"] = _parameters(self.estimator)
        with data_errors(), opened(self.path, True, False) as container:
            found["versions"] = container.document["versions"]
        return found

    def _threshold(self) -> dict[str, Any]:
        """Return the threshold, and how it was found."""
        last, own = final_step(self.estimator), self.thresholds
        assert own is not None
        of_labels = {"lowest": float(own.min()), "highest": float(own.max())}
        found = of_labels if own.ndim else {"value": float(own)}
        if hasattr(last, "best_score_"):
            found |= {"scoring": last.scoring, "score": float(last.best_score_)}
        return found


def fitted_classifier(estimator: Any) -> Any:
    """Follow pipelines and what has thresholds to the classifier, if it is fitted."""
    last = final_step(estimator)
    if isinstance(last, WITH_THRESHOLDS):
        return fitted_classifier(getattr(last, "estimator_", last.estimator))
    return last


def _shown(estimator: Any) -> str:
    """Return the names of the classes of steps, in their order."""
    if isinstance(estimator, Pipeline):
        return " -> ".join(_shown(step) for _, step in estimator.steps)
    name = type(estimator).__name__
    if isinstance(estimator, WITH_THRESHOLDS):
        return f"{name}({_shown(estimator.estimator)})"
    return name


def _parameters(estimator: Any) -> dict[str, Any]:
    """Return parameters by the names that --set knows them by."""
    if isinstance(estimator, WITH_THRESHOLDS):
        return _parameters(estimator.estimator)
    if isinstance(estimator, Pipeline):
        *others, (_, last) = estimator.steps
        found = {
            f"{n}__{k}": v for n, step in others for k, v in _parameters(step).items()
        }
        return found | _parameters(last)
    params = (
        estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    )
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, or else as text."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return repr(value)
