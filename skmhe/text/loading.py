"""Configurations, weights and tokenizers, of a local folder or the Hugging Face Hub."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

# What transformers prints is a global setting: one thread at a time changes it.
_PRINTING = threading.Lock()


def libraries() -> tuple[Any, Any]:
    """Return the modules transformers and tokenizers, which an extra installs."""
    try:
        import tokenizers
        import transformers
    except ImportError as error:
        raise ImportError(
            f"skmhe.text needs transformers and tokenizers ({error}): "
            "pip install 'skmhe[text]'."
        ) from error
    return transformers, tokenizers


@contextmanager
def quietly(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing bars and reports, and put it back."""
    printing = transformers.utils.logging
    # Where an environment variable decides about bars, changing them warns.
    with _PRINTING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level, has_bars = printing.get_verbosity(), printing.is_progress_bar_enabled()
        printing.set_verbosity_error()
        printing.disable_progress_bar()
        try:
            yield
        finally:
            printing.set_verbosity(level)
            if has_bars:
                printing.enable_progress_bar()


@contextmanager
def _loading(kind: str, name: str | os.PathLike[str]) -> Iterator[Any]:
    """Give a class of transformers, such as "AutoModel", to load something with.

    The error for what cannot be loaded says what to pass.
    """
    transformers, _ = libraries()
    name = os.fspath(name)
    try:
        with quietly(transformers):
            yield getattr(transformers, kind)
    except Exception as error:  # each format of files has errors of its own
        files = "config.json, model.safetensors and tokenizer.json or vocab.txt"
        if isinstance(error, ValueError) and "trust_remote_code" in str(error):
            raise ValueError(
                f"name_or_path={name!r} is a model that needs Python code of its own, "
                "which is never run: pass one of an architecture of transformers, or, "
                "if you trust the code, load the model by it and pass it as backbone."
            ) from error
        if Path(name).is_file():
            raise ValueError(
                f"name_or_path={name!r} is a file: pass the folder, with {files}."
            ) from error
        if Path(name).is_dir():
            raise ValueError(
                f"name_or_path={name!r} is a folder that {kind} cannot load: "
                f"{_reason(Path(name), error)} Pass one with {files}, as "
                "save_pretrained writes it."
            ) from error
        raise OSError(
            f"name_or_path={name!r} is not a folder here, nor a model that can be got "
            f"from the Hugging Face Hub: pass a local folder with {files}, or connect "
            "to the network once, after which the model is kept on this machine. "
            f"{kind} says: {error}"
        ) from error


def _reason(folder: Path, error: Exception) -> str:
    """Return why nothing can be loaded from a folder."""
    if list(folder.glob("*config.json")) or list(folder.glob("vocab.txt")):
        return str(error)
    found = sorted(path.parent.name for path in folder.glob("*/config.json"))
    inside = f", but its folder {found[0]!r} has one" if found else ""
    return f"it has no config.json{inside}."


def pretrained(kind: str, name: str | os.PathLike[str], **options: Any) -> Any:
    """Return what a class of transformers, such as "AutoModel", loads.

    Code that comes with a model is not run: by default, transformers would ask whether
    to run it, and take what standard input holds for the answer.
    """
    with _loading(kind, name) as loader:
        return loader.from_pretrained(
            os.fspath(name), trust_remote_code=False, **options
        )


def empty_model(name: str | os.PathLike[str], config: Any) -> Any:
    """Return the model of a configuration, with shapes but without weights."""
    with _loading("AutoModel", name) as loader, torch.device("meta"):
        return loader.from_config(config, trust_remote_code=False)


def most_tokens(model: Any) -> int | None:
    """Return how many tokens of a text a model takes; None if it sets no limit."""
    n_positions = getattr(model.config, "max_position_embeddings", None) or 0
    for name, part in model.named_modules():
        # RoBERTa and its like count positions from the one that follows padding's.
        pad_position = getattr(part, "padding_idx", None)
        if name.endswith("position_embeddings") and pad_position is not None:
            n_positions -= pad_position + 1
            break
    return n_positions if n_positions > 0 else None  # XLNet's is -1


def set_attention(model: Any, kind: str) -> bool:
    """Let a model attend in another way; return whether it can."""
    transformers, _ = libraries()
    with quietly(transformers):
        try:
            model.set_attn_implementation(kind)
        except (AttributeError, ImportError, ValueError):
            return False
    # Some models stay as they are, of which transformers warns.
    return bool(model.config._attn_implementation == kind)


def load_config(name: str | os.PathLike[str]) -> Any:
    """Return the configuration of a model."""
    return pretrained("AutoConfig", name)


def load_tokenizer(name: str | os.PathLike[str]) -> Any:
    """Return the tokenizer of a model, a `tokenizers.Tokenizer`."""
    file = Path(name) / "tokenizer.json"
    if not file.is_file():
        found = getattr(_tokenizer(name), "backend_tokenizer", None)
        if found is None:
            raise ValueError(
                f"name_or_path={os.fspath(name)!r} has a tokenizer that is written in "
                "Python only: pass a model with a tokenizer.json."
            )
        return found
    _, tokenizers = libraries()
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # it raises no other class
        raise ValueError(
            f"name_or_path={os.fspath(name)!r} has a tokenizer.json that cannot be "
            f"read: {error}. Save it anew by save_pretrained."
        ) from error


def find_pad_id(name: str | os.PathLike[str], config: Any) -> int:
    """Return the id that stands for no token: the model's, or its tokenizer's."""
    found = getattr(config, "pad_token_id", None)
    if found is None:
        found = _tokenizer(name).pad_token_id
    if found is None:
        raise ValueError(
            f"name_or_path={os.fspath(name)!r} has no padding token, neither in its "
            "config.json nor in its tokenizer: set pad_token_id in config.json to an "
            "id that texts do not have."
        )
    return int(found)


def _tokenizer(name: str | os.PathLike[str]) -> Any:
    """Return the tokenizer as one of transformers."""
    # A plain list of words is BERT's, which AutoTokenizer does not see.
    is_bert = (Path(name) / "vocab.txt").is_file()
    return pretrained("BertTokenizer" if is_bert else "AutoTokenizer", name)
