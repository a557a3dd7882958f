"""Products in 16 bits, by torch.autocast."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from head_cases import make_features, to_sparse_rows

from skmhe.nn import (
    Backbone,
    CascadeHead,
    DualEncoder,
    FullHead,
    InputLayer,
    ProductHead,
    SamplingHead,
)
from skmhe.nn.products import (
    grouped_linear,
    linear,
    product,
    product_dtype,
    product_into,
    usual_size,
)

# Of a product of factors with 8 bits each.
TOLERANCE = 2 * 2.0**-8

N, D, N_LABELS = 24, 16, 30


def bfloat16():
    return torch.autocast("cpu", torch.bfloat16)


def heads(multilabel):
    made = [
        FullHead(D, N_LABELS, multilabel),
        SamplingHead(D, N_LABELS, 5, 2, multilabel),
        SamplingHead(D, N_LABELS, 5, 2, multilabel, sparse_grad=True),
        CascadeHead(D, (5, 6), N_LABELS, multilabel),
        CascadeHead(D, (5, 6), N_LABELS, multilabel, sparse_grad=True),
        CascadeHead(D, (5, 6), N_LABELS, multilabel, hard_negatives=False),
    ]
    return made if multilabel else [*made, ProductHead(D, (5, 6), rank=2)]


def targets(multilabel):
    labels = torch.arange(N) % N_LABELS
    if not multilabel:
        return labels
    return torch.eye(N_LABELS)[labels] + torch.eye(N_LABELS)[(labels + 7) % N_LABELS]


def loss_and_gradients(head, features, multilabel, region=None):
    """Return both; the way back is outside of the region, as in training."""
    torch.manual_seed(0)
    features = features.clone().requires_grad_()
    head.zero_grad()
    with region or nullcontext():
        loss = head.loss(features, targets(multilabel))
    loss.backward()
    grads = [p.grad for p in head.parameters() if p.grad is not None]
    grads = [g.to_dense() if g.is_sparse else g.clone() for g in grads]
    return loss, [features.grad, *grads]


def assert_near(actual, expected, tolerance=TOLERANCE):
    assert actual.dtype == expected.dtype
    error = torch.linalg.norm(actual - expected)
    assert error <= tolerance * torch.linalg.norm(expected)


@pytest.mark.parametrize("multilabel", [False, True])
def test_heads_give_nearly_the_same_loss_and_gradients(multilabel):
    torch.manual_seed(1)
    features = torch.randn(N, D)
    for head in heads(multilabel):
        expected, expected_grads = loss_and_gradients(head, features, multilabel)
        with bfloat16():
            loss, _ = loss_and_gradients(head, features, multilabel)
        assert loss.dtype == torch.float32
        assert loss != expected
        assert_near(loss, expected)
        loss, grads = loss_and_gradients(head, features, multilabel, bfloat16())
        assert_near(loss, expected)
        for actual, grad in zip(grads, expected_grads, strict=True):
            assert_near(actual, grad, 2 * TOLERANCE)


@pytest.mark.parametrize("multilabel", [False, True])
def test_heads_take_features_of_16_bits(multilabel):
    torch.manual_seed(1)
    features = torch.randn(N, D)
    for head in heads(multilabel):
        expected, grads = loss_and_gradients(head, features, multilabel)
        with bfloat16():
            loss, rounded = loss_and_gradients(head, features.bfloat16(), multilabel)
            log_prob = head.log_prob(features.bfloat16())
        assert_near(loss, expected)
        assert log_prob.dtype == torch.float32
        assert rounded[0].dtype == torch.bfloat16
        assert_near(rounded[0].float(), grads[0], 4 * TOLERANCE)


@pytest.mark.parametrize("multilabel", [False, True])
def test_heads_rank_labels_in_float32(multilabel):
    torch.manual_seed(1)
    features = torch.randn(N, D)
    for head in heads(multilabel):
        expected = head.log_prob(features)
        with bfloat16():
            log_prob = head.log_prob(features)
            _, scores = head.topk(features, 3)
        assert_near(log_prob, expected)
        assert scores.dtype == torch.float32


@pytest.mark.parametrize("n_pairs", [6, 400])
@pytest.mark.parametrize("sparse_grad", [False, True])
def test_grouped_linear(n_pairs, sparse_grad):
    # Few pairs are gathered; many pairs of a group have several blocks.
    rng = np.random.RandomState(0)
    samples = torch.from_numpy(rng.randint(N, size=n_pairs))
    groups = torch.from_numpy(rng.randint(3, size=n_pairs))
    results = []
    for region in (torch.autocast("cpu", enabled=False), bfloat16()):
        torch.manual_seed(0)
        factors = torch.randn(N, D), torch.randn(11, D), torch.randn(11)
        factors = [factor.requires_grad_() for factor in factors]
        features, weight, bias = factors
        with region:
            scores = grouped_linear(
                features, samples, groups, weight, bias, 4, sparse_grad
            )
        scores = scores.masked_fill(scores == -torch.inf, 0.0)
        scores.square().sum().backward()
        grads = [f.grad.to_dense() if f.grad.is_sparse else f.grad for f in factors]
        results.append([scores, *grads])
    for expected, actual in zip(*results, strict=True):
        assert not torch.equal(expected, actual)
        assert_near(actual, expected)


@pytest.mark.parametrize("sparse", [False, True])
def test_backbone(sparse):
    inputs = make_features(N, D).float().relu()
    inputs = to_sparse_rows(inputs) if sparse else inputs
    grads = []
    for region in (torch.autocast("cpu", enabled=False), bfloat16()):
        torch.manual_seed(0)
        backbone = Backbone(D, (8, 8))
        with region:
            features = backbone(inputs)
        features.float().square().sum().backward()
        grads.append([p.grad for p in backbone.parameters()])
    for expected, actual in zip(*grads, strict=True):
        assert_near(actual, expected, 4 * TOLERANCE)


def test_dual_encoder():
    torch.manual_seed(0)
    layer, encoder = InputLayer(D, 8), DualEncoder(8)
    inputs = torch.rand(N, D)

    def scores_of_inputs():
        rows = layer.without_bias(inputs)
        return encoder(encoder.embed_samples(rows), encoder.embed_labels(rows))

    expected = scores_of_inputs()
    with bfloat16():
        scores = scores_of_inputs()
    assert not torch.equal(scores, expected)
    assert_near(scores, expected)


def test_products():
    a, b = torch.randn(2, 3, 4), torch.randn(2, 4, 5)
    assert product_dtype(a) is None
    assert torch.equal(product(a, b, None), a @ b)
    out = torch.empty(2, 3, 5)
    product_into(out, a, b, None)
    assert torch.equal(out, a @ b)
    expected = (a.bfloat16() @ b.bfloat16()).float()
    assert torch.equal(product(a, b, torch.bfloat16), expected)
    product_into(out, a, b, torch.bfloat16)
    assert torch.equal(out, expected)
    weight, bias = torch.randn(5, 4), torch.full((5,), 1000.5)
    with bfloat16():
        assert product_dtype(a) == torch.bfloat16
        assert product_dtype(a.to("meta")) is None
        # 16 bits would lose the half of the bias, and all of the product.
        scores = linear(a[0], weight, bias)
    assert_near(scores - bias, a[0] @ weight.T, 4 * TOLERANCE)


@pytest.mark.parametrize(
    "shapes", [(33, 70, 1), (32, 64, 512), (600, 67, 999), (0, 3, 2)]
)
def test_products_of_16_bits_have_usual_sizes(shapes):
    # oneDNN keeps a compiled product of each combination of sizes.
    torch.manual_seed(0)
    n, k, m = shapes
    a, b = torch.randn(n, k), torch.randn(k, m)
    expected = (a.bfloat16() @ b.bfloat16()).float()
    for left in (a, a.T.contiguous().T):
        for right in (b, b.T.contiguous().T):
            with SizesOfProducts() as sizes:
                found = product(left, right, torch.bfloat16)
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, expected, rtol=0.02, atol=0.1)
            assert sizes.seen == [tuple(map(usual_size, (n, k, m)))]


class SizesOfProducts(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the sizes of all products of matrices."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.mm.default:
            self.seen.append((*args[0].shape, args[1].shape[1]))
        return func(*args, **(kwargs or {}))


def test_there_are_few_usual_sizes():
    sizes = [usual_size(n) for n in range(4097)]
    assert sizes[:32] == list(range(32))
    assert all(n <= size <= n * 17 / 16 for n, size in enumerate(sizes))
    assert len(set(sizes[2048:4096])) <= 17
    assert {256, 1024, 4096} <= set(sizes)
