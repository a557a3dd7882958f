"""Pick-some-label against the softmax of all labels: loss, gradient, and accuracy.

    python benchmarks/claims/pick_some_label.py

The loss and gradient of all labels are computed by torch's cross-entropy with soft
targets, which shares no code with the loss of a pool.
"""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from page import (
    Claim,
    draw_line,
    draw_panel_legend,
    main,
    markdown_table,
    mean_sd,
    new_figure,
    points,
    require,
    require_more,
    require_near,
)
from samples import network, percent_right, wordnet

from skmhe.nn import DualEncoder, InputLayer, pick_some_label_loss

N_SAMPLES, N_LABELS, N_FEATURES = 32, 400, 40
SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)
POOLS = (64, 128, 256)
HARD = (0, 2)
SCORE_WITH = ("encoder", "both")


def random_problem(seed):
    """Return a dual encoder in float64, features, and an indicator of 1..5 labels."""
    torch.manual_seed(seed)
    layer = InputLayer(N_FEATURES, 16).double()
    encoder = DualEncoder(16).double()
    X, Z = torch.rand(N_SAMPLES, N_FEATURES), torch.rand(N_LABELS, N_FEATURES)
    Y = torch.zeros(N_SAMPLES, N_LABELS, dtype=torch.float64)
    for row in Y:
        row[torch.randperm(N_LABELS)[: torch.randint(1, 6, ())]] = 1
    return layer, encoder, X.double(), Z.double(), Y


def loss_and_gradient(problem, loss):
    """Return the mean loss of the scores of all labels, and all its gradients."""
    layer, encoder, X, Z, _ = problem
    layer.zero_grad()
    encoder.zero_grad()
    samples = encoder.embed_samples(layer.without_bias(X))
    scores = encoder(samples, encoder.embed_labels(layer.without_bias(Z)))
    value = loss(scores).mean()
    value.backward()
    parameters = [*layer.parameters(), *encoder.parameters()]
    gradients = [p.grad.flatten() for p in parameters if p.grad is not None]
    return value.item(), torch.cat(gradients)


def pool_loss(scores, Y, pool):
    samples, places = Y[:, pool].nonzero(as_tuple=True)
    return pick_some_label_loss(scores[:, pool], samples, places)


def compare_losses(seed, n_pools):
    """Return differences of loss and gradient, and errors of the gradient of pools.

    A pool holds all labels of the batch and random others. Its error is the length of
    its gradient's difference to that of all labels, in per cent of the latter's.
    """
    problem = random_problem(seed)
    Y = problem[-1]
    soft = Y / Y.sum(1, keepdim=True)
    full, gradient = loss_and_gradient(problem, lambda s: F.cross_entropy(s, soft))
    value, same = loss_and_gradient(
        problem, lambda s: pool_loss(s, Y, torch.arange(N_LABELS))
    )
    found = {"loss": abs(value - full)}
    found["gradient"] = (same - gradient).abs().max().item()
    true, others = Y.any(0).nonzero()[:, 0], (~Y.any(0)).nonzero()[:, 0]
    for share in SHARES:
        errors = []
        for _ in range(n_pools):
            drawn = others[torch.randperm(len(others))[: round(share * len(others))]]
            pool = torch.cat([true, drawn]).sort().values
            _, other = loss_and_gradient(problem, lambda s, p=pool: pool_loss(s, Y, p))
            errors.append(((other - gradient).norm() / gradient.norm()).item())
        found["error", share] = 100 * np.mean(errors)
    return found


def run(seed, quick):
    found = compare_losses(seed, 2 if quick else 20)
    data = wordnet(*(16, 10) if quick else (max(POOLS),))
    for pool_size in (8, 16) if quick else POOLS:
        # A pool of all labels has them all, hard or not.
        for n_hard in HARD[:1] if pool_size == len(set(data.y)) else HARD:
            clf = network(
                "full",
                seed,
                label_encoder__pool_size=pool_size,
                label_encoder__n_shortlisted=n_hard,
                label_encoder__loss_weight=0.5,
                batch_size=64,
                learning_rate_init=0.003,
                max_iter=1 if quick else 5,
            ).fit(data.X, data.y, label_features=data.Z)
            found["accuracy", pool_size, n_hard] = [
                percent_right(
                    clf.set_params(label_encoder__score_with=parts),
                    data.X_test,
                    data.y_test,
                )
                for parts in SCORE_WITH
            ]
    return found


def table(results):
    differences = markdown_table(
        ["float64, pool of all labels", "largest difference of any seed"],
        [[name, f"{results[name].max():.1e}"] for name in ("loss", "gradient")],
    )
    rows = [
        [key[1], key[2], *(mean_sd(values[:, i]) for i in range(len(SCORE_WITH)))]
        for key, values in results.items()
        if key[0] == "accuracy"
    ]
    header = "pool", "hard negatives per sample", "accuracy, encoder, %", "both, %"
    return f"{differences}\n\n{markdown_table(header, rows)}"


def draw(results):
    figure, (left, right) = new_figure(2)
    series = [results["error", share] for share in SHARES]
    draw_line(left, [100 * share for share in SHARES], series, "gradient", 6)
    left.set_xlabel("wrong labels in the pool, % of all")
    left.set_ylabel("error of the gradient, %")
    left.set_ylim(bottom=0)
    for i, name in enumerate(SCORE_WITH):
        for n_hard, style in zip(HARD, ("-", ":"), strict=True):
            keys = [k for k in results if k[0] == "accuracy" and k[2] == n_hard]
            series = [results[key][:, i] for key in keys]
            label = f"{name}, {n_hard} hard"
            x = [key[1] for key in keys]
            draw_line(right, x, series, label, i, linestyle=style)
    right.set_xscale("log", base=2)
    sizes = sorted({k[1] for k in results if k[0] == "accuracy"})
    right.set_xticks(sizes, sizes)
    right.set_xlabel("labels in the pool")
    right.set_ylabel("test accuracy, %")
    draw_panel_legend(right, 2)
    return figure


def check(results):
    for name in ("loss", "gradient"):
        require(results[name].max() < 1e-10, f"the {name} is that of all labels")


def verdict(results):
    encoder, both = (
        {key[1:]: v[:, i] for key, v in results.items() if key[0] == "accuracy"}
        for i in range(len(SCORE_WITH))
    )
    least, every = (POOLS[0], 0), (POOLS[-1], 0)
    errors = [results["error", share] for share in SHARES]
    require_near(errors[-1], 0, 1e-6, "the gradient of all labels has no error")
    for larger, smaller in pairwise(errors):
        require_more(larger, smaller, "larger pools have better gradients")
    for scores, lost in ((encoder, 0.5), (both, 1)):
        require_more(scores[every], scores[least], "small pools lose", by=lost)
        require_near(scores[every], scores[least], 5, "they lose a few points only")
    require_near(encoder[POOLS[0], 2], encoder[least], 1, "hard negatives do nothing")
    return (
        "**Verdict: exact with all labels; smaller pools lose a little.** With all "
        "labels, loss and gradient differ from the softmax's by at most "
        f"{results['loss'].max():.0e} and {results['gradient'].max():.0e}. With a "
        f"quarter of the wrong labels the gradient is off by {points(errors[1])}%. "
        f"Trained on a quarter of the labels ({POOLS[0]} of {POOLS[-1]}) the encoder "
        f"has {points(encoder[least])}%, on all {points(encoder[every])}%; together "
        f"with the classifier {points(both[least])} and "
        f"{points(both[every])}%. Two hard negatives per sample change nothing here "
        f"({points(encoder[POOLS[0], 2])}%). Of many more labels than the pool holds "
        "nothing is known from this (docs/figures.md compares both losses for 10,000 "
        "and 100,000)."
    )


CLAIM = Claim(
    name="pick_some_label",
    title="8. A pool of labels stands for all of them",
    paper=(
        "UniDEC's pick-some-label loss takes only a pool of labels; of a pool of all "
        "labels it is the softmax loss. A step's cost does not depend "
        "on the number of labels."
    ),
    done=(
        "`pick_some_label_loss` of scores of a dual encoder in float64 (400 labels, 32 "
        "samples of 1 to 5 labels, random features), against torch's cross-entropy "
        "with soft targets: loss, and gradient of all weights; then the gradient of "
        "pools of the samples' labels and random others. Accuracy: WordNet's 256 most "
        "frequent hypernyms, TF-IDF of samples and of the classes' own texts, `full` "
        "and a label encoder (`loss_weight=0.5`), batches of 64, 5 epochs; hard "
        "negatives come from each sample's nearest labels. 3 seeds."
    ),
    caption="Error of the gradient, and test accuracy, against the size of the pool",
    n_seeds=3,
    run=run,
    table=table,
    draw=draw,
    check=check,
    verdict=verdict,
)

if __name__ == "__main__":
    main(CLAIM)
