"""From texts to tokens."""

import os
import reprlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Set
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators._sklearn import Interval, is_pandas_na, is_scalar_nan
from skmhe.text.loading import (
    empty_model,
    find_pad_id,
    load_config,
    load_tokenizer,
    most_tokens,
)

# Texts that are taken apart at a time: their tokens are objects before they are rows.
TEXTS_PER_CHUNK = 8192


class TextTransformer(TransformerMixin, BaseEstimator, ABC):
    """A transformer, in scikit-learn's sense, of texts."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the pretrained model, and tell how many texts are cut.

        Parameters
        ----------
        X : sequence of str of shape (n_samples,)
            Texts: a list, an array, a column of a table.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        self._fit(X)
        return self

    @abstractmethod
    def _fit(self, X: Any) -> Any:
        """Load what there is to load, and return the tokens of texts."""

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: it takes texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


class Tokenizer(TextTransformer):
    r"""The tokens of texts, as a pretrained transformer takes them.

    Each text becomes a row of token ids, with the model's special tokens, padded on the
    right to `max_length`; it costs a network of `TransformerBackbone` no time. An empty
    text has the special tokens alone.

    Parameters
    ----------
    name_or_path : str or path
        A folder with the model's tokenizer (tokenizer.json, or the vocab.txt of a
        BERT), or the name of a model of the Hugging Face Hub. It is read by `fit`, and
        not needed any more after that.
    max_length : int, default=128
        Largest number of tokens of a text, with the special ones; at most what the
        model takes. Longer texts are cut, of which `fit` warns. Each token takes time,
        in training and in predictions.

    Attributes
    ----------
    tokenizer_ : tokenizers.Tokenizer
        The tokenizer, which cuts texts to `width_` tokens.
    width_ : int
        Number of tokens in a row: `max_length`, or what the model takes.
    pad_id_ : int
        The id that fills rows up.

    See Also
    --------
    TransformerBackbone : The network that takes these tokens.
    TransformerVectorizer : Makes features of texts, by tokens of its own.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skmhe.text import Tokenizer
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world"]
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "vocab.txt").write_text("\n".join(words))
    ...     tokenizer = Tokenizer(folder, max_length=5).fit(["hello world"])
    >>> tokenizer.transform(["Hello", "world hello"])
    array([[2, 5, 3, 0, 0],
           [2, 6, 5, 3, 0]])
    """

    _parameter_constraints = {  # noqa: RUF012
        "name_or_path": [str, os.PathLike],
        "max_length": [Interval(Integral, 3, None, closed="left")],
    }

    def __init__(self, name_or_path: str | os.PathLike[str], max_length: int = 128):
        self.name_or_path = name_or_path
        self.max_length = max_length

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Load the tokenizer, and return the tokens of texts.

        Parameters
        ----------
        X : sequence of str of shape (n_samples,)
            Texts.
        y : None
            Ignored.

        Returns
        -------
        tokens : int64 array of shape (n_samples, `width_`)
            Token ids, padded on the right.
        """
        return self._padded(self._fit(X))

    def transform(self, X: Any) -> np.ndarray:
        """Return the tokens of texts.

        Parameters
        ----------
        X : sequence of str of shape (n_samples,)
            Texts.

        Returns
        -------
        tokens : int64 array of shape (n_samples, `width_`)
            Token ids, padded on the right.
        """
        check_is_fitted(self)
        return self._padded(_encoded(self.tokenizer_, check_texts(X))[0])

    def _fit(self, X: Any) -> list[np.ndarray]:
        """Load the tokenizer, and return the tokens of each text."""
        self._validate_params()
        texts = check_texts(X)
        if not texts:
            raise ValueError("X has no texts: pass at least one.")
        name, config, most = self.name_or_path, None, None
        # A folder may hold a tokenizer alone.
        if not Path(name).is_dir() or (Path(name) / "config.json").is_file():
            config = load_config(name)
            most = most_tokens(empty_model(name, config))
        tokenizer, pad_id = load_tokenizer(name), find_pad_id(name, config)
        # A file may bring settings of its own.
        tokenizer.no_padding()
        width = min(int(self.max_length), most or self.max_length)
        tokenizer.enable_truncation(width)
        rows, n_cut = _encoded(tokenizer, texts)
        if n_cut:
            warnings.warn(
                f"{n_cut} of {len(texts)} texts have more than max_length="
                f"{width} tokens, and are cut: raise max_length if what matters "
                "is in the rest, and the model takes it.",
                UserWarning,
                stacklevel=3,
            )
        self.tokenizer_, self.width_, self.pad_id_ = tokenizer, width, pad_id
        return rows

    def _padded(self, rows: list[np.ndarray]) -> np.ndarray:
        tokens = np.full((len(rows), self.width_), self.pad_id_, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = ids
        return tokens


def _encoded(tokenizer: Any, texts: list[str]) -> tuple[list[np.ndarray], int]:
    """Return the tokens of each text, and how many texts were cut."""
    rows, n_cut = [], 0
    for start in range(0, len(texts), TEXTS_PER_CHUNK):
        chunk = texts[start : start + TEXTS_PER_CHUNK]
        for found in tokenizer.encode_batch_fast(chunk):
            rows.append(np.asarray(found.ids, np.int64))
            n_cut += bool(found.overflowing)
    return rows, n_cut


def check_texts(X: Any) -> list[str]:
    """Return texts as a list; ValueError if it is something else that was given."""
    if isinstance(X, str | bytes | Mapping | Set) or not isinstance(X, Iterable):
        raise ValueError(
            f"X={reprlib.repr(X)} must be a sequence of texts: pass [text] for one, "
            "[texts[label] for label in sorted(texts)] for a dict of label texts."
        )
    shape = getattr(X, "shape", (1,))
    if len(shape) != 1:
        raise ValueError(
            f"X has shape {shape}, but must be a single column of texts: pass X[name], "
            "or X.ravel() of an array."
        )
    texts = list(X)
    for i, text in enumerate(texts):
        if isinstance(text, str):
            _check_characters(text, i)
            continue
        if text is None or is_scalar_nan(text) or is_pandas_na(text):
            raise ValueError(
                f"X has no text in row {i}, but {text}: drop such rows, or fill them, "
                "as X.fillna('') does. Empty texts are allowed."
            )
        raise ValueError(
            f"X must hold texts, but row {i} is of type {type(text).__name__}, "
            f"{reprlib.repr(text)}: pass str, and one column of a table only."
        )
    return texts


def _check_characters(text: str, row: int) -> None:
    """Raise ValueError for halves of characters, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"X has {text[error.start]!r} in row {row}, at place {error.start} of the "
            "text: half of a character (a surrogate), as texts have that were cut or "
            "decoded wrongly. Replace it by text.encode('utf-16', 'surrogatepass')"
            ".decode('utf-16', 'replace'), which puts halves together that are one."
        ) from error
