"""Predict the next word of a text with a recurrent network, from 20,000 words.

The texts are the glosses (definitions) of WordNet's nouns. A sample holds the previous
eight words, as integers, and its class is the next word. The estimator takes a torch
network (`backbone`), and otherwise works like any other classifier of scikit-learn.
With ``strategy="cascade"``, the words form a tree, so that training does not have to
score all of them.

Run it with ``python examples/next_word.py``. It takes a few minutes.
"""

import argparse
import re
import time
from collections import Counter

import numpy as np
import torch
from torch import nn

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet

N_WORDS, N_BEFORE, N_GLOSSES = 20_000, 8, 20_000
BEGINNINGS = "a member of the", "a large", "someone who", "the branch of"


class Reader(nn.Module):
    """Map words (n, length), as integers, to the last state (n, width)."""

    def __init__(self, width=128):
        super().__init__()
        self.table = nn.Embedding(N_WORDS, width, sparse=True)
        nn.init.normal_(self.table.weight, std=0.1)
        self.recurrent = nn.GRU(width, 2 * width, batch_first=True)
        self.projection = nn.Linear(2 * width, width)

    def forward(self, tokens):
        """Return features."""
        _, state = self.recurrent(self.table(tokens))
        return torch.tanh(self.projection(state[0]))


def words_of(text):
    """Return the words of a text, which starts after " : "."""
    return re.findall(r"[a-z]+|[^\sa-z]", text.lower().split(" : ", 1)[-1])


def samples(glosses, numbers):
    """Return the previous words (n, 8), padded with 0 on the left, and the next."""
    before, following = [], []
    for gloss in glosses:
        row = [numbers.get(word, 1) for word in gloss]
        for place in range(1, len(row)):
            part = row[max(0, place - N_BEFORE) : place]
            before.append([0] * (N_BEFORE - len(part)) + part)
            following.append(row[place])
    return np.array(before), np.array(following)


def main():
    """Train, and print the predicted next words of some texts."""
    train = [words_of(text) for text in load_wordnet().data[:N_GLOSSES]]
    test = [words_of(text) for text in load_wordnet(subset="test").data[:500]]
    counts = Counter(word for gloss in train for word in gloss)
    words = ["", "?", *(word for word, _ in counts.most_common(N_WORDS - 2))]
    numbers = {word: i for i, word in enumerate(words)}
    X, y = samples(train, numbers)
    X_test, y_test = samples(test, numbers)
    print(f"{len(y):,} samples, {len(np.unique(y)):,} classes")

    clf = MHEClassifier(
        backbone=Reader,
        strategy="cascade",
        batch_size=512,
        max_iter=2,
        learning_rate="one_cycle",
        learning_rate_init=4e-3,
        random_state=0,
    )
    start = time.perf_counter()
    clf.fit(X, y)
    print(f"fit {time.perf_counter() - start:.0f} s")
    labels, _ = clf.predict_topk(X_test, k=10)
    first = np.mean(labels[:, 0] == y_test)
    tenth = np.mean((labels == y_test[:, None]).any(axis=1))
    frequent = np.mean(y_test == np.bincount(y).argmax())
    print(
        f"test accuracy {first:.1%}, top 10 {tenth:.1%}; of the most frequent word "
        f"{frequent:.1%}"
    )
    for text in BEGINNINGS:
        row = [numbers.get(word, 1) for word in words_of(text)]
        labels, scores = clf.predict_topk(
            np.array([[0] * (N_BEFORE - len(row)) + row]), k=5
        )
        found = (
            f"{words[i]} {p:.0%}" for i, p in zip(labels[0], scores[0], strict=True)
        )
        print(f"  {text} ... {', '.join(found)}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
