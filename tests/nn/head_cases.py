"""Every kind of head, each with 11 labels, and helpers of their tests."""

import numpy as np
import pytest
import torch

from skmhe.nn import (
    CascadeHead,
    FullHead,
    Margin,
    ProductHead,
    SamplingHead,
    SparseRows,
)

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


def randomize(head, seed=0, scale=1.0):
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
    return randomize(HEADS[name](n_features, **options), seed)


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


SINGLE = [name for name in HEADS if not make_head(name).multilabel]
MULTI = [name for name in HEADS if name not in SINGLE]
# Heads that score the rows of some groups only.
GROUPED = [name for name in HEADS if name.startswith(("cascade", "sampling"))]

WITH_MARGIN = [name for name in HEADS if getattr(make_head(name), "margin", None)]

every_head = pytest.mark.parametrize("name", HEADS)
# Scaled cosines are never large.
heads_of_any_scores = pytest.mark.parametrize(
    "name", [name for name in HEADS if name not in WITH_MARGIN]
)
# A sampling head's pool of labels is that of the batch.
heads_without_pool = pytest.mark.parametrize(
    "name", [name for name in HEADS if not name.startswith("sampling")]
)


def seeded_loss(head, *args, **kwargs):
    """Return the loss; a sampling head always draws the same groups."""
    torch.manual_seed(0)
    return head.loss(*args, **kwargs)


def groups_drawn(head):
    """Return the groups that `seeded_loss` makes a sampling head draw."""
    if not isinstance(head, SamplingHead):
        return None
    torch.manual_seed(0)
    return set(torch.randperm(head.n_groups)[: head.n_sampled_groups].tolist())


def make_weights(n, seed=5):
    return torch.from_numpy(np.random.default_rng(seed).uniform(0.2, 3, n))


def predictions(head, features, targets):
    """Return all that a head says of a batch, a row for each sample."""
    table = torch.zeros(features.shape[0], head.n_labels)
    table[head.above(features, -1.5)] = 1
    losses = [
        seeded_loss(head, select(features, [i]), targets[[i]])
        for i in range(features.shape[0])
    ]
    return (
        head.log_prob(features),
        *head.topk(features, 4),
        table,
        torch.stack(losses),
    )


def select(features, rows):
    """Return some rows of dense or sparse features."""
    if not isinstance(features, SparseRows):
        return features[rows]
    offsets = features.offsets.tolist()
    stored = [range(offsets[i], offsets[i + 1]) for i in rows]
    positions = [p for row in stored for p in row]
    return SparseRows(
        features.indices[positions],
        torch.tensor(np.cumsum([0, *map(len, stored)])),
        features.values[positions],
        features.n_features,
    )
