"""Theorem 1: the best entry of the Kronecker product against the heads' best ones.

    python benchmarks/claims/theorem1.py

Mismatches are counted by listing all codes: for random logits, for logits of trained
heads, and for what a softmax makes of both.
"""

import numpy as np
import torch
from page import (
    COLORS,
    Claim,
    draw_bars,
    draw_line,
    draw_panel_legend,
    main,
    markdown_table,
    mean_sd,
    new_figure,
    points,
    require,
    require_more,
)
from samples import mixture
from torch import nn

from skmhe.nn import ProductHead

RANDOM_HEADS = {2: (10, 10), 3: (10, 10, 10), 4: (10, 10, 10, 10), 5: (6,) * 5}
TRAINED_HEADS = {2: (8, 8), 3: (4, 4, 4), 6: (2,) * 6}
MEANS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)


def kronecker(outputs, combine):
    """Return the Kronecker product of the heads' outputs, or sum, (n, n_codes)."""
    product = outputs[0]
    for output in outputs[1:]:
        product = combine(product[:, :, None], output[:, None, :])
        product = product.reshape(len(output), -1)
    return product


def combined_best(outputs):
    """Return the code that each head's best digits make."""
    sizes = [output.shape[1] for output in outputs]
    return np.ravel_multi_index([output.argmax(1) for output in outputs], sizes)


def log_softmax(outputs):
    return [o - np.logaddexp.reduce(o, axis=1, keepdims=True) for o in outputs]


def mismatches(outputs):
    """Return the percentage of samples for which both differ: raw, and log-prob."""
    logs = log_softmax(outputs)
    best = combined_best(outputs)
    raw = kronecker(outputs, np.multiply).argmax(1) != best
    log_prob = kronecker(logs, np.add).argmax(1) != best
    return 100 * raw.mean(), 100 * log_prob.mean()


def train_heads(data, sizes, seed, n_epochs):
    """Return each head's logits of the test samples after training by Adam."""
    torch.manual_seed(seed)
    head = ProductHead(64, sizes)
    net = nn.Sequential(nn.Linear(data.X.shape[1], 64), nn.ReLU())
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=0.005)
    X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).split(100):
            optimizer.zero_grad()
            head.loss(net(X[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        features = net(torch.from_numpy(data.X_test))
        scores = features @ head.weights[0].T + head.biases[0]
    return [part.double().numpy() for part in scores.split(sizes, dim=1)]


def run(seed, quick):
    rng = np.random.RandomState(seed)
    n = 50 if quick else 1000
    found = {}
    for h, sizes in RANDOM_HEADS.items():
        noise = [rng.randn(n, size) for size in sizes]
        for mean in MEANS:
            outputs = [mean + part for part in noise]
            found["raw", h, mean], found["log", h, mean] = mismatches(outputs)
    data = mixture(seed, 64, 10, 0.5, 300 if quick else 5000, 200 if quick else 2000)
    for h, sizes in TRAINED_HEADS.items():
        outputs = train_heads(data, sizes, seed, 1 if quick else 20)
        found["trained raw", h], found["trained log", h] = mismatches(outputs)
        for name, scores in (
            ("raw", kronecker(outputs, np.multiply)),
            ("log", kronecker(log_softmax(outputs), np.add)),
        ):
            right = scores.argmax(1) == data.y_test
            found[f"accuracy {name}", h] = 100 * right.mean()
    return found


def table(results):
    rows = [
        [f"random, N(0, 1): {sizes}"]
        + [mean_sd(results[kind, h, 0.0]) for kind in ("raw", "log")]
        + ["", ""]
        for h, sizes in RANDOM_HEADS.items()
    ]
    kinds = "trained raw", "trained log", "accuracy raw", "accuracy log"
    rows += [
        [f"trained, 64 classes: {sizes}"]
        + [mean_sd(results[kind, h]) for kind in kinds]
        for h, sizes in TRAINED_HEADS.items()
    ]
    header = [
        "heads",
        "mismatches of logits, %",
        "of log-probabilities, %",
        "accuracy by products of logits, %",
        "by log-probabilities, %",
    ]
    return markdown_table(header, rows)


def draw(results):
    figure, (left, right) = new_figure(2, height=3.9)
    for i, h in enumerate(RANDOM_HEADS):
        series = [results["raw", h, mean] for mean in MEANS]
        draw_line(left, MEANS, series, f"{h} heads", i + 2)
    none = [max(results["log", h, mean].max() for h in RANDOM_HEADS) for mean in MEANS]
    left.plot(MEANS, none, color=COLORS[0], linestyle="--", label="log-probabilities")
    left.set_xlabel("mean of the random logits (sd 1)")
    left.set_ylabel("arg max differs, % of samples")
    for i, kind in enumerate(("log", "raw")):
        groups = [results[f"accuracy {kind}", h] for h in TRAINED_HEADS]
        label = ("by log-probabilities", "by products of logits")[i]
        draw_bars(right, groups, label, i, 2)
    right.set_xticks(range(len(TRAINED_HEADS)), [f"{h} heads" for h in TRAINED_HEADS])
    right.set_xlabel("heads trained on 64 classes")
    right.set_ylabel("test accuracy, %")
    draw_panel_legend(left, 3)
    draw_panel_legend(right, 1)
    return figure


def check(results):
    for key, values in results.items():
        if key[0] in ("log", "trained log"):
            require(not values.any(), f"log-probabilities never mismatch ({key})")


def verdict(results):
    for h in RANDOM_HEADS:
        expected = 100 * (1 - 0.5 ** (h - 1))
        found = results["raw", h, 0.0].mean()
        require(abs(found - expected) < 3, f"{h} heads mismatch in 1 - 2^(1-H)")
        require(results["raw", h, 1.0].mean() < 3, "positive logits rarely mismatch")
    for h in TRAINED_HEADS:
        require_more(
            results["accuracy log", h],
            results["accuracy raw", h],
            "trained heads lose accuracy by products of logits",
        )
    two, five = results["raw", 2, 0.0], results["raw", 5, 0.0]
    shifted = max(results["raw", h, 1.0].mean() for h in RANDOM_HEADS)
    return (
        "**Verdict: false for logits, true for positive outputs.** The product of two "
        "negative logits is positive, so that the worst digits can win: "
        f"{points(two)}% mismatches for two heads of N(0, 1) logits, {points(five)}% "
        "for five: `1-2^(1-H)`, as each of the `2^(H-1)` patterns of signs whose "
        "product is positive is as likely to win. Training makes it worse, as it moves "
        f"the wrong digits' logits far below 0: {points(results['trained raw', 2])}% "
        "mismatches for two trained heads, and an accuracy of "
        f"{points(results['accuracy raw', 2])}% instead of "
        f"{points(results['accuracy log', 2])}%. *It holds* for outputs that are "
        "positive. The fewer logits are negative, the fewer mismatches: at most "
        f"{shifted:.1f}% if their mean is 1. Log-probabilities, which every head "
        "of skmhe adds up, have none."
    )


CLAIM = Claim(
    name="theorem1",
    title="1. The best code is made of the heads' best digits",
    paper=(
        "theorem 1 of MHE: the arg max of the Kronecker product of the heads' outputs "
        "is the combination of the heads' arg maxes."
    ),
    done=(
        "all codes listed and scored by products of logits, and by sums of "
        "log-probabilities, against each head's best digit; 1,000 samples of N(m, 1) "
        "logits, and 2,000 test samples of a Gaussian mixture (64 classes, 10 "
        "features) with heads trained on 64 hidden units; 5 seeds."
    ),
    caption="Mismatches against the mean of the logits, and for trained heads",
    n_seeds=5,
    run=run,
    table=table,
    draw=draw,
    check=check,
    verdict=verdict,
)

if __name__ == "__main__":
    main(CLAIM)
