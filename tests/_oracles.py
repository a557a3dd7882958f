"""Slow, written-out formulas of the heads, and small things the tests share.

Everything here is plain Python over the entries of the heads' tables. It knows a
head's tables and sizes, but calls none of its methods.
"""

import itertools
import math

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.nn import (
    CascadeHead,
    FullHead,
    Margin,
    ProductHead,
    SamplingHead,
    SparseRows,
)

# ------------------------------------------------------------ the heads
# Every kind of head, each with 11 labels: a prime, so that there are unused codes.

N_LABELS, N_FEATURES = 11, 5
THREE = (2, 3, 2)
HEADS = {
    "full": lambda d, **kw: FullHead(d, 11, **kw),
    "full-multilabel": lambda d, **kw: FullHead(d, 11, multilabel=True, **kw),
    "product": lambda d, **kw: ProductHead(d, (3, 4), 11, **kw),
    "product-3": lambda d, **kw: ProductHead(d, THREE, 11, **kw),
    "product-rank-3": lambda d, **kw: ProductHead(d, THREE, 11, rank=3, **kw),
    "cascade": lambda d, **kw: CascadeHead(d, (3, 4), 11, **kw),
    "cascade-3": lambda d, **kw: CascadeHead(d, THREE, 11, **kw),
    "cascade-multilabel": lambda d, **kw: CascadeHead(
        d, THREE, 11, multilabel=True, **kw
    ),
    "cascade-narrow": lambda d, **kw: CascadeHead(
        d, (5, 3), 11, multilabel=True, beam_width=2, **kw
    ),
    "cascade-plt": lambda d, **kw: CascadeHead(
        d, THREE, 11, multilabel=True, hard_negatives=False, **kw
    ),
    "cascade-joint": lambda d, **kw: CascadeHead(
        d, THREE, 11, hard_negatives=True, **kw
    ),
    "cascade-joint-narrow": lambda d, **kw: CascadeHead(
        d, (5, 3), 11, hard_negatives=True, beam_width=2, **kw
    ),
    "sampling": lambda d, **kw: SamplingHead(d, 11, 3, n_sampled_groups=2, **kw),
    "sampling-multilabel": lambda d, **kw: SamplingHead(
        d, 11, 3, n_sampled_groups=2, multilabel=True, **kw
    ),
    "full-arcface": lambda d, **kw: FullHead(
        d, 11, margin=Margin("arcface", 0.5, 4.0), **kw
    ),
    "sampling-cosface": lambda d, **kw: SamplingHead(
        d, 11, 3, n_sampled_groups=2, margin=Margin("cosface", 0.3, 4.0), **kw
    ),
    "sampling-groups": lambda d, **kw: SamplingHead(
        d, 11, 3, n_sampled_groups=1, pool_labels="batch_groups", **kw
    ),
    "sampling-groups-multilabel": lambda d, **kw: SamplingHead(
        d, 11, 2, 1, multilabel=True, pool_labels="batch_groups", **kw
    ),
    "sampling-and-own": lambda d, **kw: SamplingHead(
        d, 11, 3, 2, pool_labels="batch_and_own_group", **kw
    ),
    "sampling-own-arcface": lambda d, **kw: SamplingHead(
        d, 11, 3, 1, margin=Margin("arcface", 0.5, 4.0), pool_labels="own_group", **kw
    ),
    "sampling-own-multilabel": lambda d, **kw: SamplingHead(
        d, 11, 3, 1, multilabel=True, pool_labels="own_group", **kw
    ),
}


def randomise(head, seed=0, scale=1.0):
    """Return the head in float64 with every table and bias drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    head = head.double()
    with torch.no_grad():
        for parameter in head.parameters():
            draws = torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64
            )
            parameter.copy_(scale * draws)
    return head


def make_head(name, n_features=N_FEATURES, seed=0, **options):
    return randomise(HEADS[name](n_features, **options), seed)


def make_features(n, n_features=N_FEATURES, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, n_features, generator=generator, dtype=torch.float64)


def make_targets(head, n, seed=2):
    """Return targets that fit: a multi-label sample has 0 to 4 labels."""
    rng = np.random.default_rng(seed)
    if not head.multilabel:
        return torch.from_numpy(rng.integers(0, head.n_labels, n))
    targets = torch.zeros(n, head.n_labels, dtype=torch.float64)
    for i in range(n):
        labels = rng.choice(head.n_labels, size=i % 5, replace=False)
        targets[i, torch.from_numpy(labels)] = 1
    return targets


def gradients(head, loss):
    """Return the gradient of every parameter that is trained, as a dense tensor."""
    head.zero_grad()
    loss.backward()
    grads = [p.grad for p in head.parameters() if p.requires_grad]
    return [g.to_dense() if g.is_sparse else g.clone() for g in grads]


def to_sparse_rows(dense):
    """Return the `SparseRows` of a dense tensor, its values in reverse order."""
    indices, values, offsets = [], [], [0]
    for row in dense.tolist():
        stored = [(j, value) for j, value in enumerate(row) if value][::-1]
        indices += [j for j, _ in stored]
        values += [value for _, value in stored]
        offsets.append(len(indices))
    return SparseRows(
        torch.tensor(indices, dtype=torch.int64),
        torch.tensor(offsets),
        torch.tensor(values, dtype=dense.dtype),
        dense.shape[1],
    )


# ------------------------------------------------------------ formulas


def log_sigmoid(score):
    return -math.log1p(math.exp(-score))


def log_softmax(scores):
    normaliser = math.log(math.fsum(math.exp(score) for score in scores))
    return [score - normaliser for score in scores]


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


def label_scores(head, row, target=None):
    """Return a full table's scores of one sample; with a target, those of training."""
    if head.margin is None:
        return linear(head, 0, row)
    kind, margin, scale = head.margin
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
    """Return the unnormalised probability of every code, used or not."""
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
    """Return log P(node) and log P(node | parent) of each level of a cascade."""
    absolute, conditional = [], []
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
                log_p + (absolute[-1][node // size] if level else 0.0)
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
        elif head.is_joint:
            rows.append(log_softmax(linear(head, -1, row)))
        else:
            rows.append(node_probabilities(head, row)[0][-1])
    return torch.tensor(rows, dtype=torch.float64)


def full_loss(head, row, target, label_weight):
    scores = label_scores(head, row, None if head.multilabel else target)
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
            for node in range(head.n_nodes[level])
            if level == 0 or node // head.head_sizes[level] in parents
        ]
        log_p = log_softmax([scores[node] for node in nodes])
        total -= log_p[nodes.index(true)]
        nodes.remove(true)
        nodes.sort(key=lambda node: -scores[node])
        parents = {true, *nodes[: head.beam_width]}
    return total * label_weight[target]


def cascade_loss(head, row, target, label_weight):
    if head.is_joint:
        return joint_loss(head, row, target, label_weight)
    absolute, conditional = node_probabilities(head, row)
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
            for node in range(head.n_nodes[level])
            if level == 0 or node // size in parents
        ]
        log_p = absolute if head.hard_negatives else conditional
        total += math.fsum(
            cross_entropy(
                math.exp(log_p[level][node]),
                node in weights[level],
                weights[level].get(node),
            )
            for node in nodes
        )
        parents = set(weights[level])
        if head.hard_negatives:
            nodes.sort(key=lambda node: -absolute[level][node])
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


def sampling_loss(head, row, target, label_weight, drawn, batch):
    """Return the loss of a sample if the groups `drawn` were drawn.

    `batch` holds the sets of true labels of all samples of the batch.
    """
    scores = label_scores(head, row, None if head.multilabel else next(iter(target)))
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
    normaliser = math.fsum(math.exp(score) for score in corrected.values())
    return (math.log(normaliser) - corrected[label]) * label_weight[label]


def loss(head, features, targets, sample_weight=None, label_weight=None, drawn=None):
    """Return the mean loss of a batch; `drawn` are the groups of a sampling head."""
    n = len(features)
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
    for row, target in zip(features.tolist(), true, strict=True):
        if isinstance(head, SamplingHead):
            target = target if head.multilabel else {target}
            batch = true if head.multilabel else [{label} for label in true]
            value = sampling_loss(head, row, target, label_weight, drawn, batch)
        elif isinstance(head, FullHead):
            value = full_loss(head, row, target, label_weight)
        elif isinstance(head, ProductHead):
            value = product_loss(head, row, target, label_weight)
        else:
            value = cascade_loss(head, row, target, label_weight)
        losses.append(value)
    return math.fsum(w * v for w, v in zip(sample_weight, losses, strict=True)) / n


# ------------------------------------------------------------ forms of a matrix


def with_explicit_zeros(dense):
    """Return CSR that stores every entry."""
    n, m = dense.shape
    indices = np.tile(np.arange(m), n)
    return sp.csr_matrix((dense.ravel(), indices, np.arange(n + 1) * m), dense.shape)


def with_int64_indices(dense, container=sp.csr_matrix):
    """Return CSR whose indices have 64 bits."""
    matrix = container(dense)
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix
