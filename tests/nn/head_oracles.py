"""Slow, written-out formulas of the heads.

Plain Python over the entries of the heads' tables. It knows a head's tables and sizes,
but calls none of its methods.
"""

import dataclasses
import itertools
import math
import operator

import torch

from skmhe.nn import FullHead, ProductHead, SamplingHead


def log_sigmoid(score):
    return -math.log1p(math.exp(-score))


def log_softmax(scores):
    normalizer = math.log(math.fsum(math.exp(score) for score in scores))
    return [score - normalizer for score in scores]


def add_odds_against(log_p, other):
    """Return log P of the 4-norm of the odds against two events."""
    norm = math.hypot(math.expm1(-log_p) ** 2, math.expm1(-other) ** 2) ** 0.5
    return -math.log1p(norm)


def cross_entropy(p, is_true, weight=1.0):
    """Return the binary cross-entropy of a probability."""
    return -weight * math.log(p) if is_true else -math.log(1 - p)


def linear(head, table, row):
    """Return the scores that a table gives one sample, a list of floats."""
    weight = head.weights[table].tolist()
    bias = head.biases[table].tolist()
    return [
        b + math.fsum(w * x for w, x in zip(ws, row, strict=True))
        for ws, b in zip(weight, bias, strict=True)
    ]


def unit(row):
    length = math.sqrt(math.fsum(x * x for x in row))
    return [x / (length or 1.0) for x in row]


def label_scores(head, row, target=None, extra=None):
    """Return a full table's scores of one sample; with a target, those of training."""
    if extra is not None:
        own = label_scores(head, row, target)
        return [score + more for score, more in zip(own, extra, strict=True)]
    if head.margin is None:
        return linear(head, 0, row)
    kind, margin, scale = dataclasses.astuple(head.margin)
    row, scores = unit(row), []
    for label, weight in enumerate(head.weights[0].tolist()):
        cosine = math.fsum(a * b for a, b in zip(unit(weight), row, strict=True))
        if label == target and kind == "cosface":
            cosine -= margin
        elif label == target:
            angle = math.acos(cosine) + margin
            if angle <= math.pi:
                cosine = math.cos(angle)
            else:
                cosine -= margin * math.sin(margin)
        scores.append(scale * cosine)
    return scores


def digits_of(label, head_sizes):
    """Return the digits of a label in mixed radix, most significant first."""
    digits = []
    for size in reversed(head_sizes):
        digits.append(label % size)
        label //= size
    return digits[::-1]


def codes_of(head_sizes):
    """Return all codes in ascending order of the label they would name."""
    return list(itertools.product(*[range(size) for size in head_sizes]))


def nodes_of(label, head_sizes):
    """Return the nodes (the prefixes as numbers) on a label's path."""
    nodes, node = [], 0
    for digit, size in zip(digits_of(label, head_sizes), head_sizes, strict=True):
        node = node * size + digit
        nodes.append(node)
    return nodes


def product_mixture(head, row):
    """Return the unnormalized probability of every code, used or not."""
    scores = linear(head, 0, row)
    mixture = [1.0]
    if head.rank > 1:
        mixture = [math.exp(s) for s in log_softmax(linear(head, 1, row))]
    probabilities = dict.fromkeys(codes_of(head.head_sizes), 0.0)
    length = sum(head.head_sizes)
    for r, share in enumerate(mixture):
        own = scores[r * length : (r + 1) * length]
        starts = list(itertools.accumulate(head.head_sizes, initial=0))
        heads = [
            log_softmax(own[start:stop]) for start, stop in itertools.pairwise(starts)
        ]
        for code in probabilities:
            logs = [local[digit] for local, digit in zip(heads, code, strict=True)]
            probabilities[code] += share * math.exp(math.fsum(logs))
    return list(probabilities.values())


def node_probabilities(head, row):
    """Return log P(node) of each level of a cascade, and what its own scores say.

    That is log P(node | parent) or, of a joint cascade of several labels, of any of
    the node's labels.
    """
    absolute, conditional = [], []
    join = add_odds_against if head.is_joint else operator.add
    for level, size in enumerate(head.head_sizes):
        scores = linear(head, level, row)
        if head.multilabel:
            local = [log_sigmoid(score) for score in scores]
        else:
            width = size if level else len(scores)
            local = []
            for start in range(0, len(scores), width):
                local += log_softmax(scores[start : start + width])
        conditional.append(local)
        absolute.append(
            [
                join(log_p, absolute[-1][node // size] if level else 0.0)
                for node, log_p in enumerate(local)
            ]
        )
    return absolute, conditional


def log_prob(head, features):
    """Return the log-probability of every label, shape (n, n_labels)."""
    rows = []
    for row in features.tolist():
        if isinstance(head, FullHead):
            scores = label_scores(head, row)
            rows.append(
                [log_sigmoid(s) for s in scores]
                if head.multilabel
                else log_softmax(scores)
            )
        elif isinstance(head, ProductHead):
            used = product_mixture(head, row)[: head.n_labels]
            rows.append([math.log(p / math.fsum(used)) for p in used])
        elif head.search.one_softmax:
            rows.append(log_softmax(linear(head, -1, row)))
        else:
            rows.append(node_probabilities(head, row)[0][-1])
    return torch.tensor(rows, dtype=torch.float64)


def full_loss(head, row, target, label_weight, extra):
    scores = label_scores(head, row, None if head.multilabel else target, extra)
    if not head.multilabel:
        return -log_softmax(scores)[target] * label_weight[target]
    return math.fsum(
        cross_entropy(math.exp(log_sigmoid(s)), label in target, label_weight[label])
        for label, s in enumerate(scores)
    )


def product_loss(head, row, target, label_weight):
    code = tuple(digits_of(target, head.head_sizes))
    p = product_mixture(head, row)[codes_of(head.head_sizes).index(code)]
    return -math.log(p) * label_weight[target]


def joint_loss(head, row, target, label_weight):
    """Return the sum of the levels' losses, among the children of kept prefixes."""
    total, parents = 0.0, None
    for level, true in enumerate(nodes_of(target, head.head_sizes)):
        scores = linear(head, level, row)
        nodes = [
            node
            for node in range(head.search.n_nodes[level])
            if level == 0 or node // head.head_sizes[level] in parents
        ]
        log_p = log_softmax([scores[node] for node in nodes])
        total -= log_p[nodes.index(true)]
        nodes.remove(true)
        nodes.sort(key=lambda node: -scores[node])
        parents = {true, *nodes[: head.beam_width]}
    return total * label_weight[target]


def cascade_loss(head, row, target, label_weight):
    if head.search.one_softmax:
        return joint_loss(head, row, target, label_weight)
    absolute, local = node_probabilities(head, row)
    if not head.multilabel:
        return -absolute[-1][target] * label_weight[target]
    # A node's weight is the largest of its true labels'.
    weights = [{} for _ in head.head_sizes]
    for label in target:
        for level, node in enumerate(nodes_of(label, head.head_sizes)):
            old = weights[level].get(node, 0.0)
            weights[level][node] = max(old, label_weight[label])
    total, parents = 0.0, None
    for level, size in enumerate(head.head_sizes):
        nodes = [
            node
            for node in range(head.search.n_nodes[level])
            if level == 0 or node // size in parents
        ]
        total += math.fsum(
            cross_entropy(
                math.exp(local[level][node]),
                node in weights[level],
                weights[level].get(node),
            )
            for node in nodes
        )
        parents = set(weights[level])
        if head.hard_negatives:
            nodes.sort(key=lambda node: -local[level][node])
            parents |= set(nodes[: head.beam_width])
    return total


def groups_of(head, labels):
    return {label // head.group_size for label in labels}


def inclusion_probability(head, label, n_samples):
    """Return how often a label that a sample does not have is in its pool."""
    missed = 1 - head.n_sampled_groups / head.n_groups
    shares = head.frequencies.tolist()
    group = label // head.group_size
    members = [s for i, s in enumerate(shares) if i // head.group_size == group]
    if head.multilabel:
        absent = math.prod(1 - share for share in members)
    else:
        absent = 1 - math.fsum(members)
    if head.pool_labels in ("batch", "batch_and_own_group"):
        return 1 - missed * (1 - shares[label]) ** (n_samples - 1)
    if head.pool_labels == "batch_groups":
        return 1 - missed * absent ** (n_samples - 1)
    return 1 - missed * absent if head.multilabel else 1.0


def sampling_loss(head, row, target, label_weight, extra, drawn, batch):
    """Return the loss of a sample if the groups `drawn` were drawn.

    `batch` holds the sets of true labels of all samples of the batch.
    """
    own = None if head.multilabel else next(iter(target))
    scores = label_scores(head, row, own, extra)
    corrected = {}  # label: score minus log P(in the pool)
    for label in range(head.n_labels):
        group = label // head.group_size
        others = {
            "batch": any(label in labels for labels in batch),
            "batch_groups": any(group in groups_of(head, labels) for labels in batch),
            "own_group": group in groups_of(head, target),
        }
        others["batch_and_own_group"] = others["batch"] or others["own_group"]
        if others[head.pool_labels] or group in drawn:
            inclusion = inclusion_probability(head, label, len(batch))
            if head.pool_labels == "batch_and_own_group" and others["own_group"]:
                inclusion = 1.0
            corrected[label] = scores[label] - math.log(inclusion)
    if head.multilabel:
        return math.fsum(
            cross_entropy(
                math.exp(log_sigmoid(score)), label in target, label_weight[label]
            )
            for label, score in corrected.items()
        )
    (label,) = target
    normalizer = math.fsum(math.exp(score) for score in corrected.values())
    return (math.log(normalizer) - corrected[label]) * label_weight[label]


def loss(
    head,
    features,
    targets,
    sample_weight=None,
    label_weight=None,
    extra_scores=None,
    drawn=None,
):
    """Return the mean loss of a batch; `drawn` are the groups of a sampling head.

    `extra_scores` are those of all labels, shape (n, n_labels).
    """
    n = len(features)
    extra_scores = [None] * n if extra_scores is None else extra_scores.tolist()
    sample_weight = [1.0] * n if sample_weight is None else sample_weight.tolist()
    if label_weight is None:
        label_weight = [1.0] * head.n_labels
    else:
        label_weight = label_weight.tolist()
    if head.multilabel:
        true = [set(row.nonzero().flatten().tolist()) for row in targets]
    else:
        true = targets.tolist()
    losses = []
    for row, target, extra in zip(features.tolist(), true, extra_scores, strict=True):
        if isinstance(head, SamplingHead):
            target = target if head.multilabel else {target}
            batch = true if head.multilabel else [{label} for label in true]
            value = sampling_loss(head, row, target, label_weight, extra, drawn, batch)
        elif isinstance(head, FullHead):
            value = full_loss(head, row, target, label_weight, extra)
        elif isinstance(head, ProductHead):
            value = product_loss(head, row, target, label_weight)
        else:
            value = cascade_loss(head, row, target, label_weight)
        losses.append(value)
    return math.fsum(w * v for w, v in zip(sample_weight, losses, strict=True)) / n
