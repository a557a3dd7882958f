"""The parameters of a pretrained transformer, and of how it is trained."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from skmhe.estimators._sklearn import Interval, StrOptions
from skmhe.estimators.names import Parameters, explained_names
from skmhe.estimators.parameters import Backbone
from skmhe.estimators.table import ABOVE_0, COUNT, SHARE, constraints
from skmhe.text.transformer import (
    LayerRates,
    Transformer,
    embedding_names,
    load_transformer,
)


@dataclass(frozen=True)
class TransformerLoader:
    """Loads a pretrained transformer; errors call it by what users write."""

    name_or_path: str | os.PathLike[str]
    pooling: str
    out_features: int | None = None
    dropout: float | None = None
    written: str = "TransformerBackbone({!r})"

    @property
    def __name__(self) -> str:
        return self.written.format(os.fspath(self.name_or_path))

    def __call__(self) -> Transformer:
        """Return a new one."""
        return load_transformer(
            self.name_or_path, self.pooling, self.out_features, self.dropout
        )


class TransformerBackbone(Backbone):
    """A pretrained transformer in place of the hidden layers, and how to train it.

    It makes features of texts, which `Tokenizer` has made tokens of. A fitted estimator
    holds the transformer: to predict, or to train it further, neither the folder nor
    the network is needed.

    Parameters
    ----------
    name_or_path : str or path
        A folder with config.json and model.safetensors, as ``save_pretrained`` of
        transformers writes it, or the name of a model of the Hugging Face Hub.
    pooling : {"mean", "cls"}, default="mean"
        Whether features are the mean of the tokens' hidden states, or the state of the
        first token.
    out_features : int or None, default=None
        Number of features, of a linear layer between transformer and heads. With many
        labels, fewer features make smaller and faster heads. None is the transformer's
        own width, without such a layer.
    dropout : float or None, default=0.0
        Share of values that the transformer drops in training. None is what its
        config.json says, often 0.1: each step takes longer then, and few epochs learn
        less.
    freeze : bool, "embeddings", str or sequence of str, default=False
        What is not trained: nothing (False), all of the pretrained transformer (True;
        without `out_features`, features are then computed once), its embeddings, or
        parameters whose names match patterns such as ``"model.encoder.layer.0.*"``.
    learning_rate : float, default=5e-4
        Learning rate of the transformer's uppermost layer at the start. Heads, and the
        layer of `out_features`, have the estimator's `learning_rate_init`.
    layer_decay : float, default=0.8
        Factor of the learning rate from each layer to the one below it: that of a layer
        is ``learning_rate * layer_decay ** n`` for the n layers above it, and that of
        the embeddings is the lowest one.
    weight_decay : float, default=0.01
        Decoupled weight decay, as that of `torch.optim.AdamW`.
    max_grad_norm : float or None, default=1.0
        Largest norm of the gradients of a step; larger ones are scaled down to it.
    averaging_decay : float or None, default=None
        Keep a running mean of the weights in training, see `Backbone`.

    See Also
    --------
    Tokenizer : Makes tokens of texts.
    TransformerVectorizer : The same transformer as it is, for any estimator.
    Transformer : The torch module that is trained.
    skmhe.Backbone : Any other network.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmhe import MHEClassifier
    >>> from skmhe.text import Tokenizer, TransformerBackbone
    >>> name = "sentence-transformers/all-MiniLM-L6-v2"
    >>> backbone = TransformerBackbone(name, freeze="embeddings")
    >>> clf = make_pipeline(Tokenizer(name), MHEClassifier(backbone=backbone))
    >>> clf.set_params(mheclassifier__backbone__pooling="cls")[-1].backbone.pooling
    'cls'
    """

    _parameter_constraints = {  # noqa: RUF012
        "name_or_path": [str, os.PathLike],
        "pooling": [StrOptions({"mean", "cls"})],
        "out_features": [COUNT, None],
        "dropout": [SHARE, None],
        **{
            name: constraint
            for name, constraint in constraints("Backbone").items()
            if name != "module"
        },
        "freeze": ["boolean", str, "array-like"],
        "learning_rate": [ABOVE_0],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
    }

    @explained_names
    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        *,
        pooling: str = "mean",
        out_features: int | None = None,
        dropout: float | None = 0.0,
        freeze: bool | str | Sequence[str] = False,
        learning_rate: float = 5e-4,
        layer_decay: float = 0.8,
        weight_decay: float = 0.01,
        max_grad_norm: float | None = 1.0,
        averaging_decay: float | None = None,
    ):
        self.name_or_path = name_or_path
        self.pooling = pooling
        self.out_features = out_features
        self.dropout = dropout
        self.freeze = freeze
        self.learning_rate = learning_rate
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.averaging_decay = averaging_decay

    # There are no others, which a module is called with.
    get_params = Parameters.get_params
    set_params = Parameters.set_params
    _validate_params = Parameters._validate_params

    def plain(self) -> Backbone:
        """Return a backbone with the object that loads the transformer.

        Returns
        -------
        Backbone
            The same network, trained in the same way.
        """
        freeze: object = self.freeze
        if isinstance(freeze, str) and freeze == "embeddings":
            freeze = embedding_names
        elif isinstance(freeze, bool | np.bool_) and freeze and self.out_features:
            freeze = "model.*"  # but not the new layer
        return Backbone(
            TransformerLoader(
                self.name_or_path, self.pooling, self.out_features, self.dropout
            ),
            freeze=freeze,  # type: ignore[arg-type]
            learning_rate=LayerRates(self.learning_rate, self.layer_decay),  # type: ignore[arg-type]
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            averaging_decay=self.averaging_decay,
        )
