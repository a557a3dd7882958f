"""The estimators, parameter objects and transformers that a file may hold."""

from functools import partial
from typing import Any

from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

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
from skmhe.io.container import require
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
    mapping,
    optional,
    sequence,
)
from skmhe.io.schema import CONSTANTS, KINDS_OF_MODEL
from skmhe.io.transformers import KINDS_OF_TEXT, with_text, with_tokenizer
from skmhe.io.values import PLAIN_KINDS, Kind, Tables
from skmhe.scorers.backbone_features import BackboneFeatures
from skmhe.scorers.device import resolve_device
from skmhe.text import Tokenizer, TransformerBackbone, TransformerVectorizer

CLASSIFIERS = (MHEClassifier, MHEMultiLabelClassifier)
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
NAMES = array("U O", 1)
OF_CLASSIFIERS = {
    "_fitted": instance(Fitted),
    "n_features_in_": count(1),
    "feature_names_in_": NAMES,
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
    StandardScaler: {
        "n_features_in_": count(1),
        "feature_names_in_": NAMES,
        "n_samples_seen_": either(NUMBER, array("i f", 1)),
        **{name: optional(array("f8", 1)) for name in ("mean_", "var_", "scale_")},
    },
    Pipeline: {},
    FeatureUnion: {},
}
# What loading makes of the other attributes, or of the parameters.
DERIVED = {"classes_", "codec_", "head_sizes_", "n_heads_", "_stop_words_id"}


def _entries(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator, and what is fitted."""
    params, own = estimator.get_params(deep=False), vars(estimator)
    names = ATTRIBUTES[type(estimator)]
    others = own.keys() - params.keys() - names.keys() - DERIVED
    if others:
        raise TypeError(
            f"{type(estimator).__name__} has the attribute {min(others)!r}, which "
            "model files do not hold: delete it, or save with pickle or joblib."
        )
    return {
        "params": params,
        "fitted": {name: own[name] for name in names if name in own},
    }


def _made(of: type, entries: dict[str, Any]) -> Any:
    """Return an estimator with parameters, and what was fitted."""
    names = mapping(TEXT, ANY)
    check_fields(of.__name__, entries, {"params": names, "fitted": names})
    estimator, fitted = of(**entries["params"]), entries["fitted"]
    known = ATTRIBUTES[of]
    require(fitted.keys() <= known.keys(), f"its {of.__name__} has other attributes")
    fields = {name: field for name, field in known.items() if name in fitted}
    check_fields(of.__name__, fitted, fields)
    vars(estimator).update(fitted)
    words = fitted.get("vocabulary_")
    if words is not None:
        same = sorted(words.values()) == [*range(len(words))]
        require(same, "the columns of its vocabulary are not numbered")
        idf = fitted["_tfidf"].idf_ if hasattr(fitted.get("_tfidf"), "idf_") else words
        require(len(idf) == len(words), "its vocabulary has weights of other words")
    return estimator


class Estimators:
    """The kinds of estimators, which compute on a device once they are loaded."""

    def __init__(self, device: Any = "auto") -> None:
        self._device = device

    def tables(self) -> Tables:
        """Return all that a file may hold."""
        kinds = PLAIN_KINDS | KINDS_OF_MODEL | KINDS_OF_TEXT
        kinds |= {
            of.__name__: Kind(of, _params, partial(_with_params, of))
            for of in PARAMETER_OBJECTS
        }
        kinds |= {
            of.__name__: Kind(of, _entries, partial(self._made, of))
            for of in ATTRIBUTES
        }
        kinds["Tokenizer"] = Kind(
            Tokenizer,
            lambda tokenizer: with_text(_entries(tokenizer)),
            lambda entries: _made(Tokenizer, with_tokenizer(entries)),
        )
        return Tables(kinds, CONSTANTS)

    def _made(self, of: type, entries: dict[str, Any]) -> Any:
        estimator = _made(of, entries)
        if "device" in entries["params"]:
            estimator.device = self._device_of(estimator.device)
        if isinstance(estimator, CLASSIFIERS) and "_fitted" in entries["fitted"]:
            fitted = entries["fitted"]["_fitted"]
            n_features = entries["fitted"].get("n_features_in_")
            check_fitted(fitted, n_features)
            estimator._show(fitted)
        if isinstance(estimator, TransformerVectorizer) and entries["fitted"]:
            check_backbone_features(estimator._backbone)
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


def _with_params(of: type, entries: dict[str, Any]) -> Any:
    check_fields(of.__name__, entries, {"params": mapping(TEXT, ANY)})
    return of(**entries["params"])
