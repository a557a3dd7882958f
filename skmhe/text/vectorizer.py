"""From texts to features of a pretrained transformer as it is."""

import os
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators._sklearn import StrOptions
from skmhe.estimators.table import constraints
from skmhe.scorers.backbone_features import BackboneFeatures
from skmhe.scorers.batch import unit_rows
from skmhe.scorers.device import resolve_device
from skmhe.scorers.user_backbone import UserBackbone
from skmhe.text.backbone import TransformerBackbone, TransformerLoader
from skmhe.text.tokenizer import TextTransformer, Tokenizer


class TransformerVectorizer(ClassNamePrefixFeaturesOutMixin, TextTransformer):
    """The features that a pretrained transformer makes of texts, as it is.

    The transformer is not trained, and features are plain rows of numbers: they are
    computed once, and any estimator of scikit-learn takes them, in the place of those
    of `TfidfVectorizer`. Those of this package fit linear classifiers to them beside
    the network, as to any other X, which they do not with a `backbone`. Texts of labels
    become `label_features` by the same fitted vectorizer.

    Nothing is learned of the texts: features may be made of all of them before they are
    split for a search. In a `Pipeline`, ``memory`` keeps those of training samples.

    A fitted vectorizer holds the transformer: to make features, neither the folder nor
    the network is needed. What it makes of a text does not depend on the other texts,
    but for rounding. Its weights are rounded to 16 bits, as those of fitted estimators
    are, which halves its files.

    Parameters
    ----------
    name_or_path : str or path
        A folder with config.json, model.safetensors and a tokenizer, as
        ``save_pretrained`` of transformers writes them, or the name of a model of the
        Hugging Face Hub. It is read by `fit`, and not needed any more after that.
    max_length : int, default=128
        Largest number of tokens of a text, with the special ones; at most what the
        model takes. Longer texts are cut, of which `fit` warns.
    pooling : {"mean", "cls"}, default="mean"
        Whether features are the mean of the tokens' hidden states, or the state of the
        first token.
    norm : {"l2"} or None, default=None
        "l2" scales features to unit length, so that their products are cosines; None
        leaves them as they are. Values of unit length are small: with the same `C`,
        `LogisticRegression` is regularized more, and learns less from few samples. May
        be changed after fitting.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is the first CUDA device, or else the CPU. May be
        changed after fitting.

    Attributes
    ----------
    tokenizer_ : Tokenizer
        The fitted tokenizer.

    See Also
    --------
    TransformerBackbone : The same transformer, trained with the heads.
    Tokenizer : Makes the tokens that it reads.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmhe import MHEClassifier
    >>> from skmhe.text import TransformerVectorizer
    >>> name = "sentence-transformers/all-MiniLM-L6-v2"
    >>> clf = make_pipeline(TransformerVectorizer(name), MHEClassifier())
    >>> clf.set_params(transformervectorizer__norm="l2")[0].norm
    'l2'
    """

    _parameter_constraints = {  # noqa: RUF012
        **Tokenizer._parameter_constraints,
        "pooling": TransformerBackbone._parameter_constraints["pooling"],
        "norm": [StrOptions({"l2"}), None],
        "device": constraints("estimator")["device"],
    }

    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        max_length: int = 128,
        *,
        pooling: str = "mean",
        norm: str | None = None,
        device: str | torch.device = "auto",
    ):
        self.name_or_path = name_or_path
        self.max_length = max_length
        self.pooling = pooling
        self.norm = norm
        self.device = device

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Load the transformer, and return the features of texts.

        Parameters
        ----------
        X : sequence of str of shape (n_samples,)
            Texts.
        y : None
            Ignored.

        Returns
        -------
        features : float32 array of shape (n_samples, n_features_out)
            Features. An empty text has those of the special tokens alone.
        """
        return self._features(self._fit(X))

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of texts.

        Parameters
        ----------
        X : sequence of str of shape (n_samples,)
            Texts; there may be none.

        Returns
        -------
        features : float32 array of shape (n_samples, n_features_out)
            Features. An empty text has those of the special tokens alone.
        """
        check_is_fitted(self)
        self._validate_params()
        return self._features(self.tokenizer_.transform(X))

    def _fit(self, X: Any) -> np.ndarray:
        """Load the transformer, and return the tokens of texts."""
        self._validate_params()
        device = resolve_device(self.device)
        tokenizer = Tokenizer(self.name_or_path, self.max_length)
        tokens = tokenizer.fit_transform(X)
        loader = TransformerLoader(self.name_or_path, self.pooling, written="{!r}")
        backbone = UserBackbone(loader, {}, argument="name_or_path")
        self._backbone = BackboneFeatures.of(backbone, tokens, device)
        self.tokenizer_ = tokenizer
        return tokens

    def _features(self, tokens: np.ndarray) -> np.ndarray:
        found = self._backbone.features(tokens, resolve_device(self.device))
        return found if self.norm is None else np.asarray(unit_rows(found))

    @property
    def _n_features_out(self) -> int:
        """Number of features, which `get_feature_names_out` names."""
        return self._backbone.n_features
