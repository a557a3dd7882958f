"""What to train: parameters of the command line, and the estimator that has them."""

import json
import re
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import click
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

from skmhe.command_line.data import Data
from skmhe.command_line.errors import wrong_setting
from skmhe.command_line.models import fitted_classifier
from skmhe.estimators import MHEClassifier, MHEMultiLabelClassifier
from skmhe.model_selection import MultiLabelTunedThresholdClassifierCV

VECTORIZER = "vectorizer__"
# The last three are those of regular expressions.
WRONG_PARAMETERS = (ValueError, TypeError, OverflowError, RecursionError, re.error)
# The share of samples that a threshold is tuned for.
HELD_OUT = 0.2
VALUES = (
    'Values are JSON, such as 0.5, true, null, [1, 2] or {"network": 1}, or else text.'
)


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
            classifier._validate_params()
            _check_names(vectorizer, others)
            _set(vectorizer, others)
            _try(vectorizer)
        except WRONG_PARAMETERS as error:
            texts = any(isinstance(value, str) for value in settings.values())
            hint = f" {VALUES}" if texts and "Got '" in str(error) else ""
            raise wrong_setting(f"{error}{hint}") from error
        return cls(classifier, vectorizer, bool(others))

    def estimator(self, data: Data, multilabel: bool, tuned_for: str | None) -> Any:
        """Return what is to be fitted to some data."""
        estimator: Any = self.classifier
        if multilabel:
            estimator = MHEMultiLabelClassifier(**estimator.get_params(deep=False))
        if data.has_texts:
            steps = [("vectorizer", self.vectorizer), ("classifier", estimator)]
            estimator = Pipeline(steps)
        elif self.has_vectorizer_settings:
            raise wrong_setting(
                f"{VECTORIZER}... is for texts, but {data.name} has features (format "
                f"{data.format})."
            )
        if tuned_for is None:
            return estimator
        if not multilabel:
            raise click.UsageError(
                "--tune-threshold is for any number of labels per sample, but each "
                f"sample of {data.name} has one, the best, whatever its probability: "
                "leave it away, or give --any-number."
            )
        return MultiLabelTunedThresholdClassifierCV(
            estimator,
            scoring=tuned_for,
            cv=HELD_OUT,
            random_state=self.classifier.random_state,
        )


def fit(estimator: Any, data: Data, one_label: bool, shows_progress: bool) -> None:
    """Fit an estimator, whose parameters are the same afterwards."""
    classifier = fitted_classifier(estimator)
    verbose = classifier.verbose
    classifier.set_params(verbose=verbose or shows_progress)
    estimator.fit(data.X, data.targets(one_label))
    # With a threshold, copies of it were fitted.
    for one in classifier, fitted_classifier(estimator):
        one.set_params(verbose=verbose)


def _set(estimator: Any, params: dict[str, Any]) -> None:
    """Set parameters that are from JSON, which has no tuples."""
    known = estimator.get_params()
    for name, value in params.items():
        if isinstance(known.get(name), tuple) and isinstance(value, list):
            params = params | {name: tuple(value)}
    estimator.set_params(**params)


def _check_names(vectorizer: TfidfVectorizer, params: dict[str, Any]) -> None:
    """Require that a vectorizer has parameters of these names."""
    known = vectorizer.get_params()
    for name in [name for name in params if name not in known]:
        # Half a name is no close match, which are of similar length.
        longer = [other for other in known if name and other.startswith(name)]
        close = longer or get_close_matches(name, known, 1)
        choices = f"there are {', '.join(known)}."
        hint = f"did you mean {close[0]!r}?" if close else choices
        raise ValueError(f"TfidfVectorizer has no parameter {name!r}: {hint}")


def _try(vectorizer: TfidfVectorizer) -> None:
    """Fit a vectorizer to a word, so that its parameters are validated."""
    tried = clone(vectorizer)
    if tried.vocabulary is None:  # with one, it does not matter what texts hold
        tried.set_params(vocabulary=["word"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which come again where it is fitted
        tried.fit(["word"])
