"""Heads of a language model: perplexity, and tokens per second in training.

    python benchmarks/tasks/bench_next_word.py
    python benchmarks/tasks/bench_next_word.py --heads cascade adaptive --epochs 2

The texts are the glosses of WordNet's nouns (the bundled data set). The vocabulary
holds the --words most frequent words, one of which stands for all others. A recurrent
network reads a gloss and predicts each next word, in a plain torch loop that is the
same for all heads, but for the learning rates: `FullHead`, `ProductHead`,
`CascadeHead`, and torch's `AdaptiveLogSoftmaxWithLoss`. Biases start from the
frequencies of the words (`set_prior`). Prints the perplexity on test glosses and the
number of parameters of the head. Then all heads take turns on each batch, and tokens
per second are printed, for whole training steps and for the head alone (forward,
backward and update, on features of the network).
"""

import argparse
import re
import time
from collections import Counter
from itertools import islice, pairwise

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from spread import mean_sd
from torch import nn

from skmhe import LabelCodec
from skmhe.datasets import load_wordnet
from skmhe.nn import CascadeHead, FullHead, ProductHead, RowAdamW

END, UNKNOWN = 0, 1
MAX_LENGTH = 40
N_TIMED = 20  # batches
# Chosen from 0.004, 0.008 and 0.016 after some hundred steps (--steps, --validate).
RATES = {"full": 0.016, "adaptive": 0.008, "product": 0.016, "cascade": 0.016}


class GlossModel(nn.Module):
    """Embeddings and a recurrent layer: features (n_tokens, width) of texts."""

    def __init__(self, n_words, width, dropout):
        super().__init__()
        self.table = nn.Embedding(n_words, width, sparse=True)
        nn.init.normal_(self.table.weight, std=0.1)
        self.recurrent = nn.GRU(width, 2 * width, batch_first=True)
        self.projection = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens, is_target):
        """Return the features of the positions whose next word is predicted."""
        hidden, _ = self.recurrent(self.dropout(self.table(tokens)))
        return self.dropout(torch.tanh(self.projection(hidden[is_target])))


class Adaptive(nn.Module):
    """torch's adaptive softmax, with the methods of a head."""

    def __init__(self, width, n_words, cutoffs):
        super().__init__()
        self.layer = nn.AdaptiveLogSoftmaxWithLoss(
            width, n_words, cutoffs, head_bias=True
        )

    @torch.no_grad()
    def set_prior(self, counts, n_tokens):
        """Start the biases, which only its first level has, from frequencies."""
        edges = [0, *self.layer.cutoffs]
        frequent = counts[: edges[1]]
        clusters = [counts[a:b].sum() for a, b in pairwise(edges[1:])]
        counts = torch.cat([frequent, torch.stack(clusters)]).double()
        self.layer.head.bias.copy_(((counts + 0.5) / (n_tokens + 0.5)).log())

    def loss(self, features, targets):
        return self.layer(features, targets).loss


def read_glosses(n_words):
    """Return training and test glosses as integers, 2 for the most frequent word."""
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
    """Yield padded tokens, the next ones, and which positions have a next one."""
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


def epochs(rows, args, rng):
    """Yield the batches of epoch after epoch."""
    while True:
        yield from batches(rows, args.batch_size, rng)


def word_contexts(rows, n_words):
    """Return TF-IDF weights of the words before and after each word, CSR."""
    tokens = np.concatenate([[END, *row, END] for row in rows])
    first, second = tokens[:-1], tokens[1:]
    inside = ~((first == END) & (second == END))
    first, second = first[inside], second[inside]
    shape, ones = (n_words, 2 * n_words), np.ones(len(first), np.float32)
    before = sp.csr_array((ones, (second, first)), shape)
    behind = sp.csr_array((ones, (first, second + n_words)), shape)
    return TfidfTransformer(sublinear_tf=True).fit_transform(before + behind)


def make_head(name, width, args, rows):
    """Return a head, and the position of each word in its order (None: the word)."""
    counts = np.bincount(np.concatenate(rows), minlength=args.words)
    counts[END] = len(rows)
    counts = torch.from_numpy(counts)
    if name in ("full", "adaptive"):
        if name == "full":
            head = FullHead(width, args.words)
        else:
            # Frequent words first, which they are.
            head = Adaptive(width, args.words, args.cutoffs)
        head.set_prior(counts, counts.sum())
        return head, None
    head, positions = make_coded_head(name, width, args, rows)
    by_position = torch.empty_like(counts)
    by_position[positions] = counts
    head.set_prior(by_position, counts.sum())
    return head, positions


def make_coded_head(name, width, args, rows):
    """Return a cascade or product, and the positions of words in its order."""
    n_words = args.words
    codec = LabelCodec(
        n_words,
        args.head_sizes,
        n_heads=2,
        label_order=args.order,
        # By frequency; the first two stand for END and UNKNOWN.
        label_counts=np.arange(n_words, 0, -1),
        label_features=word_contexts(rows, n_words),
        random_state=0,
    )
    positions = torch.from_numpy(codec.positions)
    if name == "cascade":
        head = CascadeHead(width, codec.head_sizes, n_words, sparse_grad=True)
    else:
        head = ProductHead(width, codec.head_sizes, n_words, args.rank)
    return head, positions


def mean_loss(model, head, rows, positions, size):
    """Return the mean negative log-probability of each next word."""
    model.eval(), head.eval()
    total, n_tokens = 0.0, 0
    with torch.inference_mode():
        for inputs, targets, is_target in batches(rows, size):
            targets = targets if positions is None else positions[targets]
            loss = head.loss(model(inputs, is_target), targets).item()
            total += loss * len(targets)
            n_tokens += len(targets)
    return total / n_tokens


class Training:
    """A model and a head, with what trains them."""

    def __init__(self, name, rows, args, seed, n_steps):
        torch.manual_seed(seed)
        self.model = GlossModel(args.words, args.width, args.dropout)
        self.head, self.positions = make_head(name, args.width, args, rows)
        rate = RATES[name] if args.rate is None else args.rate
        parameters = [*self.model.parameters(), *self.head.parameters()]
        self.optimizer = RowAdamW(parameters, rate, lazy=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=n_steps, cycle_momentum=False
        )

    def step(self, inputs, targets, is_target):
        """Take a step."""
        targets = targets if self.positions is None else self.positions[targets]
        self.optimizer.zero_grad()
        self.head.loss(self.model(inputs, is_target), targets).backward()
        self.optimizer.step()


def fit(name, train, test, args, seed):
    """Train, and return the training, perplexity and seconds."""
    n_steps = args.epochs * -(-len(train) // args.batch_size)
    n_steps = min(n_steps, args.steps or n_steps)
    training = Training(name, train, args, seed, n_steps)
    training.model.train(), training.head.train()
    start, rng = time.perf_counter(), np.random.RandomState(seed)
    for batch in islice(epochs(train, args, rng), n_steps):
        training.step(*batch)
        training.schedule.step()
    seconds = time.perf_counter() - start
    loss = mean_loss(
        training.model, training.head, test, training.positions, args.batch_size
    )
    return training, np.exp(loss), seconds


def head_step(training, inputs, targets, is_target, optimizer):
    """Take a step of the head alone, and return its seconds."""
    with torch.no_grad():
        features = training.model(inputs, is_target)
    targets = targets if training.positions is None else training.positions[targets]
    start = time.perf_counter()
    optimizer.zero_grad()
    training.head.loss(features.requires_grad_(), targets).backward()
    optimizer.step()
    return time.perf_counter() - start


def compare_speeds(trainings, rows, args):
    """Print medians of tokens per second; all heads take turns on each batch."""
    whole, alone = ({name: [] for name in trainings} for _ in range(2))
    optimizers = {
        name: RowAdamW(training.head.parameters(), lr=0.0, lazy=True)
        for name, training in trainings.items()
    }
    for group in (g for t in trainings.values() for g in t.optimizer.param_groups):
        group["lr"] = 0.0
    for inputs, targets, is_target in islice(
        batches(rows, args.batch_size, np.random.RandomState(0)), N_TIMED
    ):
        batch = inputs, targets, is_target
        for name, training in trainings.items():
            start = time.perf_counter()
            training.step(*batch)
            whole[name].append(len(targets) / (time.perf_counter() - start))
            seconds = head_step(training, *batch, optimizers[name])
            alone[name].append(len(targets) / seconds)
    print("\n| head | tokens/s | of the first | head alone | of the first |")
    print("|---" * 5 + "|")
    for name in trainings:
        cells = [name]
        for rates in (whole, alone):
            own, first = np.array(rates[name]), np.array(next(iter(rates.values())))
            cells += [f"{np.median(own):,.0f}", f"{np.median(own / first):.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    heads = ["full", "adaptive", "product", "cascade"]
    parser.add_argument("--heads", nargs="+", choices=heads, default=heads)
    parser.add_argument("--words", type=int, default=32_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="at most")
    parser.add_argument("--batch-size", type=int, default=64, help="glosses")
    parser.add_argument("--rate", type=float, help="of learning; default: RATES")
    parser.add_argument("--cutoffs", nargs="+", type=int, default=[2_000, 10_000])
    parser.add_argument("--validate", action="store_true", help="on training glosses")
    parser.add_argument("--order", default="cluster", help="of words, see LabelCodec")
    parser.add_argument(
        "--head-sizes", nargs=2, type=int, help="of cascade and product"
    )
    parser.add_argument("--rank", type=int, default=1, help="of product")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--test-glosses", type=int, default=5_000)
    args = parser.parse_args()
    train, test = read_glosses(args.words)
    if args.validate:
        order = np.random.RandomState(0).permutation(len(train))
        held_out = order[: args.test_glosses]
        test = [train[i] for i in held_out]
        train = [train[i] for i in order[args.test_glosses :]]
    test = test[: args.test_glosses]
    n_tokens = sum(map(len, train)) + len(train)
    print(f"{len(train):,} glosses, {n_tokens:,} tokens, {args.words:,} words\n")
    print("| head | perplexity | fit s | parameters of the head |")
    print("|---" * 4 + "|", flush=True)
    trainings = {}
    for name in args.heads:
        runs = [fit(name, train, test, args, seed) for seed in range(args.seeds)]
        trainings[name] = runs[0][0]
        perplexities, seconds = np.transpose([run[1:] for run in runs])
        found = mean_sd(perplexities, 1)
        size = sum(p.numel() for p in trainings[name].head.parameters())
        print(f"| {name} | {found} | {seconds.mean():.0f} | {size:,} |", flush=True)
    compare_speeds(trainings, train, args)


if __name__ == "__main__":
    main()
