"""Text in: pretrained transformers as backbones and vectorizers, and their tokens."""

from skmhe.text.backbone import TransformerBackbone
from skmhe.text.tokenizer import Tokenizer
from skmhe.text.transformer import Transformer
from skmhe.text.vectorizer import TransformerVectorizer

__all__ = ["Tokenizer", "Transformer", "TransformerBackbone", "TransformerVectorizer"]
