"""What files hold of `skmhe.text`: tokenizers, and how transformers are made again."""

import functools
from collections.abc import Iterator
from typing import Any

import torch

from skmhe.io.container import Damaged, require
from skmhe.io.fields import ANY, NUMBER, TEXT, count, optional
from skmhe.io.schema import record
from skmhe.io.values import Kind
from skmhe.scorers.network import Weights
from skmhe.scorers.user_backbone import UserBackbone
from skmhe.text.backbone import TransformerLoader
from skmhe.text.loading import libraries
from skmhe.text.transformer import LayerRates, untrained, untrained_model

KINDS_OF_TEXT: dict[str, Kind] = {
    "TransformerLoader": record(
        TransformerLoader,
        {
            "name_or_path": ANY,
            "pooling": TEXT,
            "out_features": optional(count(1)),
            "dropout": optional(NUMBER),
            "written": TEXT,
        },
    ),
    "LayerRates": record(LayerRates, dict.fromkeys(LayerRates._fields, NUMBER)),
}


def with_text(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a `Tokenizer` with its tokenizer as JSON."""
    fitted = entries["fitted"]
    own = {name: v.to_str() for name, v in fitted.items() if name == "tokenizer_"}
    return entries | {"fitted": fitted | own}


def with_tokenizer(entries: dict[str, Any]) -> dict[str, Any]:
    """Undo `with_text`."""
    fitted = entries["fitted"]
    if not fitted:
        return entries
    require(isinstance(fitted.get("tokenizer_"), str), "its tokenizer is no text")
    _, tokenizers = libraries()
    try:
        own = tokenizers.Tokenizer.from_str(fitted["tokenizer_"])
    except Exception as error:  # it raises no other class
        raise Damaged(f"its tokenizer cannot be read: {error}") from error
    return entries | {"fitted": fitted | {"tokenizer_": own}}


def check_blueprint(user: UserBackbone, weights: Weights, prefix: str = "") -> None:
    """Require that a transformer can be made again by transformers' own code alone.

    And that it is as large as its weights, whose names have a prefix, before memory is
    allocated for it. Networks of the caller's are trusted.
    """
    blueprint = user.blueprint
    is_own = isinstance(blueprint, functools.partial) and blueprint.func is untrained
    if not is_own:
        is_loader = isinstance(user.backbone, TransformerLoader)
        require(not is_loader, "its transformer cannot be made without its folder")
        return
    assert isinstance(blueprint, functools.partial)
    config, *others = blueprint.args
    require(isinstance(config, dict) and len(others) == 3, "its transformer is unknown")
    for name, value in _settings(config):
        # Such settings name code elsewhere, which transformers may fetch and run.
        is_code = name == "auto_map" or name.endswith("implementation")
        require(not is_code, f"its transformer has the setting {name!r}")
        n_layers = value if "layers" in name and isinstance(value, int) else 0
        require(n_layers <= len(weights), f"its transformer has {name}={n_layers}")
    try:
        with torch.device("meta"):
            model = untrained_model(config)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise Damaged(f"its transformer cannot be made ({error})") from error
    for name, tensor in model.state_dict().items():
        found = weights.get(f"{prefix}model.{name}")
        same = found is not None and found.shape == tuple(tensor.shape)
        require(same, f"its transformer has other weights {name!r}")


def _settings(config: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a configuration, and of those inside it."""
    for name, value in config.items():
        yield str(name), value
        if isinstance(value, dict):
            yield from _settings(value)
