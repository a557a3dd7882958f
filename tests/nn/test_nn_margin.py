"""Margins on angles: formulas, safety at the edges, and what may have them."""

import math

import pytest
import torch
from head_cases import make_features, randomize
from torch.testing import assert_close

from skmhe.nn import CascadeHead, FullHead, Margin, SamplingHead
from skmhe.nn.margin import cosines, with_margin

HEADS = {
    "full": lambda margin, **kw: FullHead(3, 7, margin=margin, **kw),
    "sampling": lambda margin, **kw: SamplingHead(3, 7, 2, 99, margin=margin, **kw),
}
every_head = pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
every_kind = pytest.mark.parametrize("kind", ["arcface", "cosface"])


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.0, math.pi / 2])
def test_arcface_adds_to_the_angle(margin):
    angles = torch.linspace(0.01, math.pi - 0.01, 200, dtype=torch.float64)
    cosine = torch.stack([angles.cos(), torch.zeros_like(angles)], dim=1)
    true = torch.zeros(200, dtype=torch.int64)
    scores = with_margin(cosine, true, Margin("arcface", margin, 10.0))
    inside = angles + margin < math.pi
    assert_close(scores[inside, 0], 10 * (angles[inside] + margin).cos())
    assert_close(scores[:, 1], torch.zeros_like(angles))
    # The larger the angle, the lower the score, also where cos(angle + margin) rises.
    assert (scores[:, 0].diff() < 0).all()


def test_cosface_subtracts_from_the_cosine():
    cosine = torch.tensor([[0.9, -0.2], [0.1, 1.0]])
    scores = with_margin(cosine, torch.tensor([0, 1]), Margin("cosface", 0.35, 8.0))
    assert_close(scores, 8 * torch.tensor([[0.55, -0.2], [0.1, 0.65]]))


@every_head
@every_kind
def test_no_margin_is_the_softmax_of_cosines(make, kind):
    head = randomize(make(Margin(kind, 0.0, 5.0)))
    features, targets = make_features(6, 3), torch.arange(6)
    weight = head.weights[0] / head.weights[0].norm(dim=1, keepdim=True)
    unit = features / features.norm(dim=1, keepdim=True)
    expected = torch.nn.functional.cross_entropy(5 * unit @ weight.T, targets)
    assert_close(head.loss(features, targets), expected)


@every_head
@every_kind
def test_margin_raises_the_loss_and_is_not_in_predictions(make, kind):
    features, targets = make_features(6, 3), torch.arange(6)
    heads = [randomize(make(Margin(kind, margin, 5.0))) for margin in (0.0, 0.2, 0.4)]
    losses = [head.loss(features, targets).item() for head in heads]
    assert losses[0] < losses[1] < losses[2]
    for head in heads[1:]:
        assert_close(head.log_prob(features), heads[0].log_prob(features))
        assert_close(head.topk(features, 3), heads[0].topk(features, 3))


@every_head
@every_kind
def test_lengths_and_biases_mean_nothing(make, kind):
    head = randomize(make(Margin(kind, 0.2, 5.0)))
    features, targets = make_features(6, 3), torch.arange(6)
    expected = head.loss(features, targets)
    scales = torch.linspace(0.1, 30, 6, dtype=torch.float64)[:, None]
    assert_close(head.loss(scales * features, targets), expected)
    with torch.no_grad():
        head.weights[0].mul_(7)
        head.biases[0].add_(torch.arange(7))
    assert_close(head.loss(features, targets), expected)
    assert not head.biases[0].requires_grad


@every_head
@every_kind
@pytest.mark.parametrize("margin", [0.0, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sign", [1, -1])
def test_features_along_the_weights_are_safe(make, kind, margin, dtype, sign):
    # Rounded cosines are above 1 or below -1 for many of these.
    features = sign * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    for row in features:
        head = make(Margin(kind, margin, 64.0)).to(dtype)
        with torch.no_grad():
            head.weights[0][:] = row.abs() * torch.arange(1, 8)[:, None]
        inputs = (sign * row.abs())[None].to(dtype).requires_grad_()
        loss = head.loss(inputs, torch.tensor([3]))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(inputs.grad).all()
        assert torch.isfinite(head.weights[0].grad.to_dense()).all()


def test_rounded_cosines_would_be_beyond_one():
    rows = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0))
    plain = torch.nn.functional.normalize(rows) @ torch.nn.functional.normalize(rows).T
    assert plain.max() > 1
    assert cosines(rows, rows).max() == 1
    assert cosines(rows, -rows).min() == -1
    assert cosines(rows.bfloat16(), rows.bfloat16()).dtype == torch.float32


@every_head
@every_kind
def test_autocast_changes_the_loss_by_roundings_only(make, kind):
    head = randomize(make(Margin(kind, 0.3, 8.0))).float()
    features, targets = make_features(6, 3).float(), torch.arange(6)
    expected = head.loss(features, targets)
    with torch.autocast("cpu", torch.bfloat16):
        actual = head.loss(features, targets)
    assert actual.dtype == torch.float32
    assert actual != expected
    assert_close(actual, expected, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("margin", [Margin("arcface"), Margin("cosface", 0.2, 16.0)])
def test_training_pulls_samples_to_their_label(margin):
    torch.manual_seed(0)
    head = FullHead(3, 7, margin=margin)
    features = torch.nn.Parameter(torch.randn(7, 3))
    targets = torch.arange(7)
    optimizer = torch.optim.Adam([*head.weights, features], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(features, targets).backward()
        optimizer.step()
    cosine = cosines(features, head.weights[0])
    assert (cosine.argmax(1) == targets).all()
    assert cosine.diagonal().min() > 0.9


@pytest.mark.parametrize(
    ("margin", "message"),
    [
        (
            Margin("sphere"),
            "margin.kind must be one of 'arcface', 'cosface', got 'sphere'.",
        ),
        (
            Margin("arcface", 1.6),
            "margin.margin must be from 0 to 1.571 for 'arcface', got 1.6.",
        ),
        (
            Margin("cosface", -0.1),
            "margin.margin must be from 0 to 2 for 'cosface', got ",
        ),
        (
            Margin("cosface", math.nan),
            "margin.margin must be from 0 to 2 for 'cosface'",
        ),
        (Margin("cosface", 0.1, 0.0), "margin.scale must be above 0, got 0.0."),
    ],
)
def test_margins_without_a_meaning(margin, message):
    with pytest.raises(ValueError) as error:
        FullHead(3, 7, margin=margin)
    assert str(error.value).startswith(message)


def test_several_labels_have_no_margin():
    for make in HEADS.values():
        with pytest.raises(ValueError, match="by a multi-label head"):
            make(Margin("arcface"), multilabel=True)
    with pytest.raises(TypeError):
        CascadeHead(3, (2, 4), 7, margin=Margin("arcface"))


def test_repr_names_the_margin():
    head = FullHead(3, 7, margin=Margin("cosface", 0.2, 16.0))
    assert "margin=Margin(kind='cosface', margin=0.2, scale=16.0)" in repr(head)
