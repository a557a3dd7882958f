"""Train a small transformer from scratch that reads samples and labels (UniDEC).

WordNet's nouns are classified into the 500 most frequent of the nouns that they are
kinds of; both have glosses. A transformer of two layers with random weights, and the
tokens that it reads, are made here: nothing is downloaded. It is trained as classifier
alone, and as classifier and label encoder together (Kharbanda et al.,
arXiv:2405.03714), which share it.

Run it with ``python examples/unidec.py``, after ``pip install 'skmhe[text]'``; it takes
a few minutes.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from skmhe import LabelEncoder, MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.metrics import precision_at_k
from skmhe.text import Tokenizer, TransformerBackbone

N_KINDS, N_TOKENS, LENGTH = 500, 8_000, 32


def make_model(texts, folder):
    """Write an untrained transformer, and a tokenizer of the words of some texts."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=N_TOKENS, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=N_TOKENS,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=LENGTH,
    )
    BertModel(config).save_pretrained(folder)


def load_nouns():
    """Return texts and kinds of nouns for training and test, and the kinds' texts."""
    train, test = load_wordnet(), load_wordnet(subset="test")
    kinds = np.sort(np.argsort(-np.bincount(train.target), kind="stable")[:N_KINDS])
    parts = []
    for part in (train, test):
        rows = np.flatnonzero(np.isin(part.target, kinds))
        y = np.searchsorted(kinds, part.target[rows])
        parts += [[part.data[i] for i in rows], y]
    return *parts, [train.label_texts[kind] for kind in kinds]


def main():
    """Train both, and print their precision."""
    texts, y, test_texts, y_test, kind_texts = load_nouns()
    with tempfile.TemporaryDirectory() as folder:
        make_model(texts, Path(folder))
        tokenizer = Tokenizer(folder, max_length=LENGTH)
        X, X_test = tokenizer.fit_transform(texts), tokenizer.transform(test_texts)
        Z = tokenizer.transform(kind_texts)
        backbone = TransformerBackbone(folder, learning_rate=1e-3, layer_decay=1.0)
        settings = {"backbone": backbone, "max_iter": 6, "random_state": 0}
        encoder = LabelEncoder(loss_weight=0.5)
        models = {
            "classifier": (MHEClassifier(**settings), None),
            "UniDEC": (MHEClassifier(label_encoder=encoder, **settings), Z),
        }
        print(f"{len(texts):,} training nouns, {len(test_texts):,} test nouns")
        for name, (clf, label_features) in models.items():
            start = time.perf_counter()
            clf.fit(X, y, label_features=label_features)
            seconds, (found, _) = time.perf_counter() - start, clf.predict_topk(X_test)
            shown = (f"P@{k} {precision_at_k(y_test, found, k=k):.1%}" for k in (1, 5))
            print(f"{name:<11}{', '.join(shown)}, fit {seconds:.0f} s")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
