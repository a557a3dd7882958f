"""A pretrained transformer as a torch module: from tokens to features of texts."""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skmhe.text.loading import (
    find_pad_id,
    libraries,
    load_config,
    most_tokens,
    pretrained,
    set_attention,
)
from skmhe.text.packing import pack

# What it costs to compute with one more group of texts, in positions: weights are read
# once for each. About a tenth of the positions of 200 texts are padding then.
GROUP_COST = 64
# Rows of so many tokens at most are short, see `Transformer._attend`.
MAX_SHORT = 256


class Transformer(nn.Module):
    """A model of transformers that makes features of texts.

    It computes with tokens, not with padding: several texts share a row, of which none
    attends to another one. Where a model cannot do that, texts of nearly the same
    length go through it together, without the columns that none of them needs.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Makes hidden states of tokens, as those of `transformers.AutoModel`.
    pad_id : int
        The id that stands for no token.
    pooling : {"mean", "cls"}, default="mean"
        Whether features are the mean of the tokens' hidden states, or the state of the
        first token.
    out_features : int or None, default=None
        Number of features, of a linear layer on top. None is the model's own, without
        such a layer.

    See Also
    --------
    TransformerBackbone : Loads a model, and says how to train it.

    Examples
    --------
    >>> import torch
    >>> from transformers import BertConfig, BertModel
    >>> from skmhe.text import Transformer
    >>> size = {"num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 30}
    >>> config = BertConfig(hidden_size=16, intermediate_size=32, **size)
    >>> transformer = Transformer(BertModel(config), pad_id=0)
    >>> transformer(torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        model: Any,
        pad_id: int,
        pooling: str = "mean",
        out_features: int | None = None,
    ) -> None:
        super().__init__()
        self.model, self.pad_id, self.pooling = model, pad_id, pooling
        self.first_position: int | None = None
        self._most_tokens = most_tokens(model)
        self.bottleneck = None
        if out_features is not None:
            self.bottleneck = nn.Linear(model.config.hidden_size, out_features)
        attention = model.config._attn_implementation
        # The ways to attend that the model can change to, and the current one.
        self._attentions = [k for k in ("sdpa", "eager") if set_attention(model, k)]
        self._attention: str | None = None
        self.first_position = self._find_first_position()
        if self.first_position is None and self._attentions:
            set_attention(model, attention)

    @torch.no_grad()
    def _find_first_position(self) -> int | None:
        """Return the number of a text's first position, to put texts into one row.

        None of a model that cannot do it: whose texts then have other features than
        alone, or that takes no positions, or no table of what attends to what.
        """
        takes = inspect.signature(self.model.forward).parameters
        if not {"input_ids", "position_ids", "attention_mask"} <= takes.keys():
            return None
        n_tokens = self.model.get_input_embeddings().num_embeddings
        others = [i for i in range(n_tokens) if i != self.pad_id][:5]
        tokens = torch.full((2, 3), self.pad_id)
        tokens.view(-1)[: len(others)] = torch.tensor(others)
        lengths, is_training = (tokens != self.pad_id).sum(1).numpy(), self.training
        self.eval()
        try:
            is_token, alone = tokens != self.pad_id, self._alone(tokens)
            # RoBERTa's positions follow the number of its padding.
            for first in (0, self.pad_id + 1):
                self.first_position = first
                found, texts = self._packed(tokens, is_token, lengths)
                shared = torch.zeros_like(alone).index_add(0, texts, found)
                if torch.allclose(shared, alone, atol=1e-4 * float(alone.abs().max())):
                    return first
        except (IndexError, RuntimeError, TypeError, ValueError):
            return None  # such a model says in its own way that it cannot
        finally:
            self.train(is_training)
        return None

    def _alone(self, tokens: Tensor) -> Tensor:
        """Return features of texts that each have a row, without the layer on top."""
        mask = (tokens != self.pad_id).long()
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        if self.pooling == "cls":
            return hidden[:, 0]
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the features of texts.

        Parameters
        ----------
        tokens : int64 tensor of shape (n, length)
            Token ids, padded on the right; not more than the model takes.

        Returns
        -------
        features : tensor of shape (n, d)
            Rows without any token are 0.
        """
        if self._most_tokens is not None and tokens.shape[1] > self._most_tokens:
            raise ValueError(
                f"texts have {tokens.shape[1]} tokens, but the model takes "
                f"{self._most_tokens} at most: make tokens by skmhe.text.Tokenizer "
                "with the model's own name_or_path, which cuts texts to that."
            )
        is_token = tokens != self.pad_id
        places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        # A text may hold the padding token itself: what counts is the last other one.
        lengths = (is_token * places).amax(1) if tokens.numel() else places[:0]
        width = self.model.config.hidden_size
        dtype = next(self.parameters()).dtype
        features = torch.zeros(len(tokens), width, dtype=dtype, device=tokens.device)
        if len(tokens) and lengths.any():
            make = self._grouped if self.first_position is None else self._packed
            found, rows = make(tokens, is_token, lengths.cpu().numpy())
            features = features.index_add(0, rows, found.to(dtype))
        if self.bottleneck is None:
            return features
        return self.bottleneck(features) * (lengths > 0)[:, None]

    def _packed(
        self, tokens: Tensor, is_token: Tensor, lengths: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return parts of features, and of which texts they are, one for each token.

        Texts share rows. Positions start anew with each of them, and none attends to
        another one.
        """
        rows, starts, width = pack(lengths)
        n_rows, device = int(rows.max()) + 1, tokens.device
        before = np.repeat(np.cumsum(lengths) - lengths, lengths)
        indices = np.repeat(np.arange(len(lengths)), lengths), np.arange(len(before))
        text, position, place = (  # shape: (n_tokens,)
            torch.from_numpy(index).to(device)
            for index in (
                indices[0],
                indices[1] - before,
                np.repeat(rows * width + starts, lengths) + indices[1] - before,
            )
        )
        seen = is_token[text, position]

        def in_rows(values: Tensor, fill: int) -> Tensor:
            result = values.new_full((n_rows * width,), fill)
            return result.index_copy(0, place, values).view(n_rows, width)

        # A text may hold the padding token, which nothing attends to: that of a row
        # attends to itself, as no token may attend to nothing.
        queries, keys = in_rows(text, -1), in_rows(text.where(seen, -2), -1)
        attends = queries[:, :, None] == keys[:, None]
        self._attend(by_products=device.type == "cpu" and width <= MAX_SHORT)
        mask = torch.zeros(attends.shape, device=device)
        mask = mask.masked_fill(~attends, torch.finfo(mask.dtype).min)
        hidden = self.model(
            input_ids=in_rows(tokens[text, position], self.pad_id),
            position_ids=in_rows(position, 0) + (self.first_position or 0),
            attention_mask=mask[:, None],
        ).last_hidden_state
        hidden = hidden.flatten(0, 1).index_select(0, place).float()
        if self.pooling == "cls":
            is_first = position == 0
            return hidden[is_first], text[is_first]
        shares = seen / is_token.sum(1)[text]
        return hidden * shares[:, None], text

    def _attend(self, by_products: bool) -> None:
        """Choose how the model attends: by torch's own function, or by products.

        On the CPU, the gradient of torch's function takes several times as long as that
        of the products, whose memory grows with the square of the width.
        """
        kind = "eager" if by_products else "sdpa"
        if kind != self._attention and kind in self._attentions:
            set_attention(self.model, kind)
            self._attention = kind

    def _grouped(
        self, tokens: Tensor, is_token: Tensor, lengths: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return features, and of which texts, of nearly equal length at a time."""
        # Looked up at once: the gradient of the table is as large as the table.
        embedded = self.model.get_input_embeddings()(tokens)
        groups, parts = groups_of_length(lengths), []
        for rows in groups:
            chosen = rows, slice(int(lengths[rows[-1]]))
            parts.append(self._pooled(embedded[chosen], is_token[chosen]))
        index = torch.from_numpy(np.concatenate(groups)).to(tokens.device)
        return torch.cat(parts), index

    def _pooled(self, embedded: Tensor, is_token: Tensor) -> Tensor:
        """Return the features of texts, without the layer on top."""
        output = self.model(inputs_embeds=embedded, attention_mask=is_token.long())
        hidden = output.last_hidden_state.float()  # shape: (n, length, width)
        if self.pooling == "cls":
            return hidden[:, 0]
        shares = is_token / is_token.sum(1, keepdim=True)
        return (hidden * shares[:, :, None]).sum(1)

    def blueprint(self) -> Callable[[], "Transformer"]:
        """Return a function that makes the module again, with other weights."""
        out_features = None if self.bottleneck is None else self.bottleneck.out_features
        config = self.model.config.to_dict()
        config.pop("_name_or_path", None)
        return functools.partial(
            untrained, config, self.pad_id, self.pooling, out_features
        )


def groups_of_length(lengths: np.ndarray) -> list[np.ndarray]:
    """Divide texts by length into the groups that take the least time together.

    Returns the rows of each group, whose last text is the longest. Those without any
    token are in no group.
    """
    order = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :]
    widths, starts = np.unique(lengths[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    # The least cost of all texts up to a length, and where their last group starts.
    costs, firsts = np.zeros(len(widths) + 1), []
    for i, width in enumerate(widths):
        options = costs[: i + 1] + width * (ends[i] - starts[: i + 1]) + GROUP_COST
        firsts.append(int(options.argmin()))
        costs[i + 1] = options[firsts[i]]
    groups, i = [], len(widths)
    while i:
        groups.append(order[starts[firsts[i - 1]] : ends[i - 1]])
        i = firsts[i - 1]
    return groups


def load_transformer(
    name_or_path: str | os.PathLike[str],
    pooling: str = "mean",
    out_features: int | None = None,
    dropout: float | None = None,
) -> Transformer:
    """Return a pretrained transformer; see `TransformerBackbone`."""
    config = load_config(name_or_path)
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"name_or_path={os.fspath(name_or_path)!r} has an encoder and a decoder "
            f"({config.model_type}), but features of texts need one of them: pass an "
            "encoder, such as a BERT."
        )
    if dropout is not None:
        _set_dropout(config, dropout)
    pad_id, options = find_pad_id(name_or_path, config), _options(config)
    model, report = pretrained(
        "AutoModel", name_or_path, config=config, output_loading_info=True, **options
    )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(
            f"name_or_path={os.fspath(name_or_path)!r} has no weights for "
            f"{len(missing)} of the model's parameters, such as {missing[0]}: pass a "
            "folder whose weights are those of its config.json."
        )
    return Transformer(model, pad_id, pooling, out_features)


def untrained(
    config: dict[str, Any], pad_id: int, pooling: str, out_features: int | None
) -> Transformer:
    """Return a transformer of a configuration, with weights that mean nothing."""
    return Transformer(untrained_model(config), pad_id, pooling, out_features)


def untrained_model(config: dict[str, Any]) -> Any:
    """Return the model of transformers in it."""
    transformers, _ = libraries()
    kind = transformers.AutoConfig.for_model(**config)
    return transformers.AutoModel.from_config(kind, **_options(kind))


def _options(config: Any) -> dict[str, bool]:
    """Return what leaves out of a model what features do not need."""
    transformers, _ = libraries()
    config.use_cache = False
    model = transformers.MODEL_MAPPING.get(type(config), None)
    # BERT's own pooling is for pairs of sentences. Not all models have one.
    has_pooling = "add_pooling_layer" in inspect.signature(model.__init__).parameters
    return {"add_pooling_layer": False} if has_pooling else {}


def _set_dropout(config: Any, dropout: float) -> None:
    """Set all shares of values that a model drops in training."""
    names = [
        name
        for name, value in config.to_dict().items()
        if "drop" in name
        and "classifier" not in name
        and isinstance(value, float | int)
    ]
    if dropout and not names:
        raise ValueError(
            f"dropout={dropout} cannot be set: {config.model_type} models have no "
            "dropout. Use dropout=0.0."
        )
    for name in names:
        setattr(config, name, dropout)


def layers_above(transformer: Transformer) -> dict[str, int]:
    """Return {parameter name: number of layers above it} of the pretrained model.

    What comes before the first layer are the embeddings.
    """
    lists = [
        (name, len(part))
        for name, part in transformer.model.named_modules(prefix="model")
        if isinstance(part, nn.ModuleList)
    ]
    prefix, n_layers = max(lists, key=lambda found: found[1], default=("", 0))
    above, n_left = {}, n_layers
    for name, _ in transformer.model.named_parameters(prefix="model"):
        if name.startswith(f"{prefix}."):
            place = name.removeprefix(f"{prefix}.").partition(".")[0]
            n_left, above[name] = 0, n_layers - 1 - int(place)
        else:
            above[name] = n_left
    return above


def embedding_names(transformer: Transformer) -> list[str]:
    """Return the names of the parameters below the first layer."""
    above = layers_above(transformer)
    n_layers = max(above.values())
    return [name for name, n in above.items() if n == n_layers]


class LayerRates(NamedTuple):
    """Learning rates that fall from the uppermost layer to the embeddings."""

    learning_rate: float  # of the uppermost layer
    decay: float  # from layer to layer

    def __call__(self, transformer: Transformer) -> dict[str, float]:
        """Return the rate of each parameter of the pretrained model, by name.

        A layer on top of it is new, and has none here: it is trained as heads are.
        """
        above = layers_above(transformer)
        return {name: self.learning_rate * self.decay**n for name, n in above.items()}
