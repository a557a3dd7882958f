"""Heads under a language model: perplexity, and tokens a second in training.

    python benchmarks/tasks/bench_next_word.py
    python benchmarks/tasks/bench_next_word.py --heads cascade adaptive --epochs 2

The texts are the glosses of WordNet's nouns (the bundled data set); the vocabulary has
--words words, the most frequent ones, and all others are one more. A recurrent network
reads a gloss and predicts each next word, in a plain torch loop that is the same for
all heads: `FullHead`, `ProductHead`, `CascadeHead`, and torch's
`AdaptiveLogSoftmaxWithLoss`. Prints the perplexity of glosses that were not trained on,
tokens a second of all training steps, those of the head alone (on features as the
network gives them: forward, backward and update), and the parameters of the head.
"""

import argparse
import re
import time
from collections import Counter

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch import nn

from skmhe import LabelCodec
from skmhe.datasets import load_wordnet
from skmhe.nn import CascadeHead, FullHead, ProductHead, RowAdamW

END, UNKNOWN = 0, 1
MAX_LENGTH = 40
N_STEPS_OF_HEAD = 10


class GlossModel(nn.Module):
    """Embeddings and a recurrent layer: features (n_tokens, width) of what is read."""

    def __init__(self, n_words, width, dropout):
        super().__init__()
        self.table = nn.Embedding(n_words, width, sparse=True)
        nn.init.normal_(self.table.weight, std=0.1)
        self.recurrent = nn.GRU(width, 2 * width, batch_first=True)
        self.projection = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens, is_target):
        """Return the features of the positions whose next word is wanted."""
        hidden, _ = self.recurrent(self.dropout(self.table(tokens)))
        return self.dropout(torch.tanh(self.projection(hidden[is_target])))


class Adaptive(nn.Module):
    """torch's adaptive softmax, with the methods of a head."""

    def __init__(self, width, n_words, cutoffs):
        super().__init__()
        self.layer = nn.AdaptiveLogSoftmaxWithLoss(width, n_words, cutoffs)

    def loss(self, features, targets):
        return self.layer(features, targets).loss


def read_glosses(n_words):
    """Return rows of words as numbers, the most frequent first, and who is tested."""
    texts = load_wordnet().data + load_wordnet(subset="test").data
    # "words : gloss"
    glosses = [
        re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", text.lower().split(" : ", 1)[-1])
        for text in texts
    ]
    n_test = len(load_wordnet(subset="test").data)
    counts = Counter(word for gloss in glosses[:-n_test] for word in gloss)
    words = sorted(counts, key=lambda word: (-counts[word], word))[: n_words - 2]
    numbers = {word: i + 2 for i, word in enumerate(words)}
    rows = [
        [numbers.get(word, UNKNOWN) for word in gloss[:MAX_LENGTH]] for gloss in glosses
    ]
    return rows[:-n_test], rows[-n_test:]


def batches(rows, size, rng=None):
    """Yield padded tokens, what comes next, and which positions have something."""
    order = np.arange(len(rows)) if rng is None else rng.permutation(len(rows))
    for start in range(0, len(rows), size):
        batch = [rows[i] for i in order[start : start + size]]
        length = 1 + max(map(len, batch))
        tokens = np.full((len(batch), length + 1), -1)
        for line, row in zip(tokens, batch, strict=True):
            line[: len(row) + 2] = [END, *row, END]
        is_target = tokens[:, 1:] >= 0
        inputs = np.where(is_target, tokens[:, :-1], END)
        targets = tokens[:, 1:][is_target]
        yield map(torch.from_numpy, (inputs, targets, is_target))


def word_contexts(rows, n_words):
    """Return TF-IDF weights of what stands before and behind each word, CSR."""
    tokens = np.concatenate([[END, *row, END] for row in rows])
    first, second = tokens[:-1], tokens[1:]
    inside = ~((first == END) & (second == END))
    first, second = first[inside], second[inside]
    shape, ones = (n_words, 2 * n_words), np.ones(len(first), np.float32)
    before = sp.csr_array((ones, (second, first)), shape)
    behind = sp.csr_array((ones, (first, second + n_words)), shape)
    return TfidfTransformer(sublinear_tf=True).fit_transform(before + behind)


def make_head(name, width, args, rows):
    """Return a head, and what a word's number becomes for it."""
    n_words = args.words
    if name == "adaptive":
        # Frequent words first, which they are; the ratios of torch's documentation.
        return Adaptive(width, n_words, args.cutoffs), None
    if name == "full":
        return FullHead(width, n_words), None
    codec = LabelCodec(
        n_words,
        n_heads=2,
        label_order=args.order,
        label_counts=np.arange(n_words, 0, -1),
        label_features=word_contexts(rows, n_words),
        random_state=0,
    )
    positions = torch.from_numpy(codec.positions)
    if name == "cascade":
        return CascadeHead(
            width, codec.head_sizes, n_words, sparse_grad=True
        ), positions
    head = ProductHead(width, codec.head_sizes, n_words, args.rank)
    return head, positions


def mean_loss(model, head, rows, positions, size):
    """Return the mean negative log-probability of each next word."""
    model.eval(), head.eval()
    total, n_tokens = 0.0, 0
    with torch.inference_mode():
        for inputs, targets, is_target in batches(rows, size):
            targets = targets if positions is None else positions[targets]
            loss = head.loss(model(inputs, is_target), targets)
            total, n_tokens = (
                total + loss.item() * len(targets),
                n_tokens + len(targets),
            )
    return total / n_tokens


def fit(name, train, test, args, seed):
    """Train, and return perplexity, tokens a second, and parameters of the head."""
    torch.manual_seed(seed)
    rng = np.random.RandomState(seed)
    model = GlossModel(args.words, args.width, args.dropout)
    head, positions = make_head(name, args.width, args, train)
    optimizer = RowAdamW([*model.parameters(), *head.parameters()], lr=args.rate)
    n_steps = args.epochs * -(-len(train) // args.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.rate, total_steps=n_steps, cycle_momentum=False
    )
    seconds, n_tokens, step = 0.0, 0, 0
    for _ in range(args.epochs):
        model.train(), head.train()
        for inputs, targets, is_target in batches(train, args.batch_size, rng):
            start = time.perf_counter()
            targets = targets if positions is None else positions[targets]
            optimizer.zero_grad()
            head.loss(model(inputs, is_target), targets).backward()
            optimizer.step()
            schedule.step()
            seconds += time.perf_counter() - start
            n_tokens, step = n_tokens + len(targets), step + 1
            if step == args.steps:
                break
    loss = mean_loss(model, head, test, positions, args.batch_size)
    n_parameters = sum(p.numel() for p in head.parameters())
    alone = head_alone(model, head, train, positions, args)
    return np.exp(loss), n_tokens / seconds, alone, n_parameters


def head_alone(model, head, rows, positions, args):
    """Return tokens a second of a head's own steps."""
    model.eval(), head.train()
    optimizer = RowAdamW(head.parameters(), lr=0.0)
    seconds = []
    for inputs, targets, is_target in batches(rows, args.batch_size):
        targets = targets if positions is None else positions[targets]
        with torch.no_grad():
            features = model(inputs, is_target)
        start = time.perf_counter()
        optimizer.zero_grad()
        head.loss(features.requires_grad_(), targets).backward()
        optimizer.step()
        seconds.append((time.perf_counter() - start) / len(targets))
        if len(seconds) == N_STEPS_OF_HEAD:
            break
    return 1 / np.median(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    heads = ["full", "adaptive", "product", "cascade"]
    parser.add_argument("--heads", nargs="+", choices=heads, default=heads)
    parser.add_argument("--words", type=int, default=32_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of an epoch at most")
    parser.add_argument("--batch-size", type=int, default=64, help="glosses")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--cutoffs", nargs="+", type=int, default=[2_000, 10_000])
    parser.add_argument("--order", default="cluster", help="of words, see LabelCodec")
    parser.add_argument("--rank", type=int, default=1, help="of product")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--test-glosses", type=int, default=5_000)
    args = parser.parse_args()
    train, test = read_glosses(args.words)
    test = test[: args.test_glosses]
    n_tokens = sum(map(len, train)) + len(train)
    print(f"{len(train):,} glosses, {n_tokens:,} tokens, {args.words:,} words\n")
    names = "head", "perplexity", "tokens/s", "of full", "head alone", "parameters"
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|", flush=True)
    slowest = None
    for name in args.heads:
        runs = [fit(name, train, test, args, seed) for seed in range(args.seeds)]
        perplexity, rate, alone, size = np.mean(runs, axis=0)
        slowest = slowest or rate
        cells = [name, f"{perplexity:.1f}", f"{rate:,.0f}", f"{rate / slowest:.1f}"]
        print(f"| {' | '.join(cells)} | {alone:,.0f} | {int(size):,} |", flush=True)


if __name__ == "__main__":
    main()
