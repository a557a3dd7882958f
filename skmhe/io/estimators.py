"""The estimators, parameter objects and transformers that a file may hold."""

import re
from functools import partial
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler

from skmhe import __version__
from skmhe.estimators import (
    Backbone,
    Cascade,
    FeatureParts,
    Full,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Product,
    Sampling,
)
from skmhe.estimators.fitting import Fitted
from skmhe.io.checks import check_backbone_features, check_fitted
from skmhe.io.container import Damaged, Refused, require
from skmhe.io.fields import (
    ANY,
    FLAG,
    NUMBER,
    TEXT,
    Field,
    array,
    check_fields,
    count,
    either,
    instance,
    is_count,
    mapping,
    optional,
    sequence,
)
from skmhe.io.schema import CONSTANTS, KINDS_OF_MODEL
from skmhe.io.thresholds import (
    KINDS_OF_THRESHOLDS,
    THRESHOLD_ATTRIBUTES,
    THRESHOLD_CLASSIFIERS,
    check_thresholds,
)
from skmhe.io.transformers import KINDS_OF_TEXT, with_text, with_tokenizer
from skmhe.io.values import PLAIN_KINDS, Kind, Tables
from skmhe.scorers.backbone_features import BackboneFeatures
from skmhe.scorers.device import resolve_device
from skmhe.text import Tokenizer, TransformerBackbone, TransformerVectorizer

CLASSIFIERS = (MHEClassifier, MHEMultiLabelClassifier)
# Whose parameters only `fit` looks at, in scikit-learn.
TRANSFORMERS = (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    StandardScaler,
    MaxAbsScaler,
    Normalizer,
    TruncatedSVD,
)
PARAMETER_OBJECTS = (
    Backbone,
    Cascade,
    Full,
    LabelEncoder,
    LinearTree,
    Product,
    Sampling,
    TransformerBackbone,
)
# Of what wrote a file, in case that it has what another version does not know.
VERSIONS = {
    "skmhe": __version__,
    "scikit-learn": sklearn.__version__,
    "torch": str(torch.__version__),
}
NAMES = array("U O", 1)
OF_COLUMNS = {"n_features_in_": count(1), "feature_names_in_": NAMES}
OF_CLASSIFIERS = {
    **OF_COLUMNS,
    "_fitted": instance(Fitted),
    "strategy_": TEXT,
    "n_iter_": count(),
    "history_": sequence(list, mapping(TEXT, NUMBER)),
}
WORDS = {"vocabulary_": mapping(TEXT, count()), "fixed_vocabulary_": FLAG}
# What fitted objects have beside their parameters; all of it may be missing.
ATTRIBUTES: dict[type, dict[str, Field]] = {
    MHEClassifier: OF_CLASSIFIERS,
    MHEMultiLabelClassifier: OF_CLASSIFIERS,
    TransformerVectorizer: {
        "tokenizer_": instance(Tokenizer),
        "_backbone": instance(BackboneFeatures),
    },
    Tokenizer: {"tokenizer_": ANY, "width_": count(1), "pad_id_": count()},
    FeatureParts: {"network_": ANY, "linear_": ANY},
    CountVectorizer: WORDS,
    HashingVectorizer: {},
    TfidfTransformer: {"idf_": array("f", 1), "n_features_in_": count(1)},
    TfidfVectorizer: WORDS | {"_tfidf": instance(TfidfTransformer)},
    StandardScaler: OF_COLUMNS
    | {"n_samples_seen_": either(NUMBER, array("i f", 1))}
    | dict.fromkeys(("mean_", "var_", "scale_"), optional(array("f", 1))),
    MaxAbsScaler: OF_COLUMNS
    | {"n_samples_seen_": NUMBER}
    | dict.fromkeys(("max_abs_", "scale_"), array("f", 1)),
    Normalizer: OF_COLUMNS,
    TruncatedSVD: OF_COLUMNS
    | {"components_": array("f", 2), "singular_values_": array("f", 1)}
    | dict.fromkeys(("explained_variance_", "explained_variance_ratio_"), array("f")),
    Pipeline: {},
    FeatureUnion: {},
    **THRESHOLD_ATTRIBUTES,
}
# Those that have a value for each column of the samples.
BY_COLUMN = {"feature_names_in_", "idf_", "n_samples_seen_", "mean_", "var_", "scale_"}
BY_COLUMN |= {"max_abs_", "components_"}
# What loading makes of the other attributes, or of the parameters.
DERIVED = {"classes_", "codec_", "head_sizes_", "n_heads_", "_stop_words_id"}
# Where scikit-learn keeps callbacks, which are no part of a model.
CALLBACKS = "_skl_callbacks"


def _entries(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator, and what is fitted."""
    _check_parameters(estimator)
    params, own = estimator.get_params(deep=False), vars(estimator)
    names = ATTRIBUTES[type(estimator)]
    others = own.keys() - params.keys() - names.keys() - DERIVED - {CALLBACKS}
    if others:
        raise TypeError(
            f"{type(estimator).__name__} has the attribute {min(others)!r}, which "
            "model files do not hold: delete it, or save with pickle or joblib."
        )
    fitted = {name: own[name] for name in names if name in own}
    if "estimator_" in fitted and fitted["estimator_"] is params["estimator"]:
        del fitted["estimator_"]  # of cv="prefit": it is written once
    return {"params": params, "fitted": fitted}


def _check_parameters(estimator: Any) -> None:
    """Raise ValueError for parameters of transformers that no `fit` would take.

    Both when they are saved and when they are loaded: what is written can be read.
    """
    if not isinstance(estimator, TRANSFORMERS):
        return
    estimator._validate_params()
    params = estimator.get_params(deep=False)
    if "ngram_range" not in params:
        return
    lengths, pattern = params["ngram_range"], params["token_pattern"]
    are_counts = len(lengths) == 2 and all(is_count(n, 1) for n in lengths)
    if not are_counts or lengths[0] > lengths[1]:
        raise ValueError(
            f"ngram_range of {type(estimator).__name__} must be two integers of at "
            f"least 1, the smaller one first, got {lengths!r}."
        )
    try:
        re.match(pattern or "", "")
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"token_pattern of {type(estimator).__name__} must be a regular expression,"
            f" got {pattern!r} ({error})."
        ) from error


def _check_columns(estimator: Any, fitted: dict[str, Any]) -> None:
    """Require that what scikit-learn has learned is of the same columns."""
    name, n_columns = type(estimator).__name__, fitted.get("n_features_in_")
    for key in BY_COLUMN & fitted.keys():
        value = fitted[key]
        same = not isinstance(value, np.ndarray) or value.shape[-1] == n_columns
        require(same, f"{key} of its {name} is of another number of columns")
    words = fitted.get("vocabulary_")
    if words is not None:
        same = sorted(words.values()) == [*range(len(words))]
        require(same, "the columns of its vocabulary are not numbered")
        idf = fitted["_tfidf"].idf_ if hasattr(fitted.get("_tfidf"), "idf_") else words
        require(len(idf) == len(words), "its vocabulary has weights of other words")


class Estimators:
    """The kinds of estimators, which compute on a device once they are loaded.

    `versions` are those of what wrote the file.
    """

    def __init__(self, device: Any = "auto", versions: Any = None) -> None:
        self._device, self._versions = device, versions

    def tables(self) -> Tables:
        """Return all that a file may hold."""
        kinds = PLAIN_KINDS | KINDS_OF_MODEL | KINDS_OF_TEXT | KINDS_OF_THRESHOLDS
        kinds |= {
            of.__name__: Kind(of, _params, partial(self._with_params, of))
            for of in PARAMETER_OBJECTS
        }
        kinds |= {
            of.__name__: Kind(of, _entries, partial(self._made, of))
            for of in ATTRIBUTES
        }
        kinds["Tokenizer"] = Kind(
            Tokenizer,
            lambda tokenizer: with_text(_entries(tokenizer)),
            lambda entries: self._made(Tokenizer, with_tokenizer(entries)),
        )
        return Tables(kinds, CONSTANTS)

    def _with_params(self, of: type, entries: dict[str, Any]) -> Any:
        check_fields(of.__name__, entries, {"params": mapping(TEXT, ANY)})
        try:
            return of(**entries["params"])
        except TypeError as error:
            raise Refused(
                f"its {of.__name__} cannot be made ({error}): install the versions "
                f"that it was saved with, {str(self._versions)[:200]}; here are "
                f"{VERSIONS}"
            ) from error

    def _made(self, of: type, entries: dict[str, Any]) -> Any:
        """Return an estimator with parameters, and what was fitted."""
        names, known = mapping(TEXT, ANY), ATTRIBUTES[of]
        check_fields(of.__name__, entries, {"params": names, "fitted": names})
        fitted = entries["fitted"]
        estimator = self._with_params(of, {"params": entries["params"]})
        try:
            _check_parameters(estimator)
        except ValueError as error:
            raise Damaged(str(error).rstrip(".")) from error
        same = fitted.keys() <= known.keys()
        require(same, f"its {of.__name__} has other attributes")
        fields = {name: field for name, field in known.items() if name in fitted}
        check_fields(of.__name__, fitted, fields)
        vars(estimator).update(fitted)
        if "device" in entries["params"]:
            estimator.device = self._device_of(estimator.device)
        if fitted:
            _check(estimator, fitted)
        return estimator

    def _device_of(self, saved: Any) -> Any:
        """Return the device that was asked for, or the saved one if it is here."""
        if self._device != "auto":
            return self._device
        try:
            resolve_device(saved)
        except ValueError:
            return "auto"
        return saved


def _params(value: Any) -> dict[str, Any]:
    return {"params": value.get_params(deep=False)}


def _check(estimator: Any, fitted: dict[str, Any]) -> None:
    """Look at how the parts of what was fitted fit each other, and add the others."""
    _check_columns(estimator, fitted)
    if isinstance(estimator, CLASSIFIERS) and "_fitted" in fitted:
        check_fitted(fitted["_fitted"], fitted.get("n_features_in_"))
        estimator._show(fitted["_fitted"])
    elif isinstance(estimator, THRESHOLD_CLASSIFIERS):
        if "estimator_" not in fitted:
            estimator.estimator_ = estimator.estimator
        check_thresholds(estimator)
    elif isinstance(estimator, TransformerVectorizer):
        check_backbone_features(estimator._backbone)
