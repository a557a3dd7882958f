"""Tiny transformers with random weights, in folders as users have them."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
import tokenizers
import transformers
from transformers import BertConfig, BertModel

from skmhe.text.loading import quietly

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["play", "some", "jazz", "rock", "how", "much", "money", "do", "i", "have"]
WORDS += ["what", "is", "my", "balance", "song", "account", "the", "a"]
TEXTS = ["play some jazz", "how much money do I have", "", "what is my balance"]
# The same, as tokens.
TOKENS = np.array(
    [
        [2, 5, 6, 7, 3, 0, 0, 0],
        [2, 9, 10, 11, 12, 13, 14, 3],
        [2, 3, 0, 0, 0, 0, 0, 0],
        [2, 15, 16, 17, 18, 3, 0, 0],
    ]
)


def save_bert(folder, **options):
    """Save a BERT of two layers and 32 features, and its tokenizer."""
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    size |= {"intermediate_size": 48, "max_position_embeddings": 20}
    size |= {"vocab_size": len(WORDS)}
    # Weights are larger than usual, so that differences show.
    config = BertConfig(initializer_range=0.3, **(size | options))
    with torch.random.fork_rng(), quietly(transformers):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return save_tokenizer(folder)


def save_tokenizer(folder, with_json=True):
    """Save a tokenizer, whose file has settings of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    if with_json:
        ids = {word: i for i, word in enumerate(WORDS)}
        made = tokenizers.BertWordPieceTokenizer(ids)
        made.enable_truncation(3)
        made.enable_padding(length=12)
        made.save(str(folder / "tokenizer.json"))
    return folder


def change_config(folder, **values):
    """Set entries of a folder's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
