"""The model of the command line: made, loaded, and described."""

import json
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

import click
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

import skmhe.io
from skmhe.command_line.data import Data
from skmhe.command_line.errors import DataError, data_errors, wrong_setting
from skmhe.estimators import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators._sklearn import InvalidParameterError
from skmhe.final_classifier import final_step

VECTORIZER = "vectorizer__"
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def parse_settings(
    context: click.Context, parameter: Any, given: tuple[str, ...]
) -> dict[str, Any]:
    """Return parameters by name, of texts ``name=value``; a callback of click."""
    settings = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise click.BadParameter(f"expected name=value, got {text!r}.")
        try:
            settings[name] = json.loads(value)
        except (ValueError, RecursionError):
            settings[name] = value
    return settings


@dataclass(frozen=True)
class Recipe:
    """What to train: a classifier, and what makes features of texts."""

    classifier: MHEClassifier
    vectorizer: TfidfVectorizer
    has_vectorizer_settings: bool

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Recipe":
        """Return the recipe of parameters, which are validated."""
        classifier, vectorizer = MHEClassifier(), TfidfVectorizer()
        own = {n: v for n, v in settings.items() if not n.startswith(VECTORIZER)}
        others = {
            n.removeprefix(VECTORIZER): v for n, v in settings.items() if n not in own
        }
        try:
            _set(classifier, own)
            _set(vectorizer, others)
            re.compile(vectorizer.token_pattern or "")
        except InvalidParameterError as error:
            raise wrong_setting(error) from error
        except (ValueError, TypeError, re.error) as error:
            raise click.BadParameter(str(error), param_hint="'--set'") from error
        return cls(classifier, vectorizer, bool(others))

    def estimator(self, data: Data, multilabel: bool) -> Any:
        """Return what is to be fitted to some data."""
        classifier: Any = self.classifier
        if multilabel:
            params = classifier.get_params(deep=False)
            classifier = MHEMultiLabelClassifier(**params)
        if data.has_texts:
            steps = [("vectorizer", self.vectorizer), ("classifier", classifier)]
            return Pipeline(steps)
        if self.has_vectorizer_settings:
            raise click.BadParameter(
                f"{VECTORIZER}... is for texts, but {data.name} has features (format "
                f"{data.format}).",
                param_hint="'--set'",
            )
        return classifier


def fit(estimator: Any, data: Data, one_label: bool, shows_progress: bool) -> None:
    """Fit an estimator, whose parameters are the same afterwards."""
    classifier = final_step(estimator)
    verbose = classifier.verbose
    classifier.set_params(verbose=verbose or shows_progress)
    estimator.fit(data.X, data.targets(one_label))
    classifier.set_params(verbose=verbose)


def _set(estimator: Any, params: dict[str, Any]) -> None:
    """Set parameters that are from JSON, which has no tuples, and validate all."""
    known = estimator.get_params()
    unknown = next((name for name in params if name not in known), None)
    if isinstance(estimator, TfidfVectorizer) and unknown is not None:
        close = get_close_matches(unknown, known, 1)
        choices = ", ".join(known)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {choices}."
        raise ValueError(f"TfidfVectorizer has no parameter {unknown!r}: {hint}")
    for name, value in params.items():
        if isinstance(known.get(name), tuple) and isinstance(value, list):
            params = params | {name: tuple(value)}
    estimator.set_params(**params)
    estimator._validate_params()


@dataclass(frozen=True)
class Model:
    """A fitted classifier, and the file that it is from."""

    path: str
    estimator: Any

    @classmethod
    def load(cls, path: str, mmap: bool = False) -> "Model":
        """Load a model file, of any estimator."""
        with data_errors():
            return cls(path, skmhe.io.load(path, mmap=mmap))

    @property
    def classifier(self) -> Any:
        """The last step of a pipeline."""
        return final_step(self.estimator)

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
                f"{k} is more than the {self.n_labels} labels of {self.path}.",
                param_hint="'-k'",
            )

    def describe(self) -> dict[str, Any]:
        """Return what is known of the model, ready for JSON."""
        classifier, labels = self.classifier, self.labels
        steps = [type(step).__name__ for step in _steps(self.estimator)]
        found: dict[str, Any] = {
            "file": self.path,
            "bytes": os.path.getsize(self.path),
            "estimator": " -> ".join(steps),
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
        found["parameters"] = _parameters(self.estimator)
        versions = {name: version(name) for name in LIBRARIES}
        found["versions"] = {"skmhe": skmhe.__version__} | versions
        return found


def _steps(estimator: Any) -> list[Any]:
    if not isinstance(estimator, Pipeline):
        return [estimator]
    return [step for _, step in estimator.steps]


def _parameters(estimator: Any) -> dict[str, Any]:
    """Return parameters by the names that --set knows them by."""
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
