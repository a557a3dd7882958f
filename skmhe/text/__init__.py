"""Text in: tokens of texts, and pretrained transformers as backbones."""

from skmhe.text.backbone import TransformerBackbone
from skmhe.text.tokenizer import Tokenizer
from skmhe.text.transformer import Transformer

__all__ = ["Tokenizer", "Transformer", "TransformerBackbone"]
