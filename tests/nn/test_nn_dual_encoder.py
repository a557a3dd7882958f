"""The label encoder and its loss, against written-out formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from skmhe.nn import DualEncoder, pick_some_label_loss


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def make_encoder(label_dim=None):
    torch.manual_seed(0)
    return DualEncoder(4, label_dim).double()


# ------------------------------------------------------------ the loss


def brute_force_loss(scores, labels, weights=None):
    """Return the loss of samples whose labels are places in the pool."""
    losses = []
    for i, own in enumerate(labels):
        total = 0.0
        log_z = math.log(sum(math.exp(s) for s in scores[i].tolist()))
        for j in own:
            weight = 1.0 if weights is None else weights[j]
            total += weight * (log_z - scores[i, j].item())
        losses.append(total / len(own) if own else 0.0)
    return torch.tensor(losses, dtype=scores.dtype)


LABELS = [[0, 3], [], [1], [0, 1, 2, 3, 4]]
SAMPLES = torch.tensor([i for i, own in enumerate(LABELS) for _ in own])
PLACES = torch.tensor([j for own in LABELS for j in own])


def test_loss_is_its_formula():
    scores = draw(4, 5)
    losses = pick_some_label_loss(scores, SAMPLES, PLACES)
    assert_close(losses, brute_force_loss(scores, LABELS))
    assert losses[1] == 0  # a sample without labels in the pool


def test_loss_with_weights_is_its_formula():
    scores, weights = draw(4, 5), [0.5, 2.0, 1.0, 0.0, 3.0]
    pairs = torch.tensor(weights, dtype=scores.dtype)[PLACES]
    losses = pick_some_label_loss(scores, SAMPLES, PLACES, pairs)
    assert_close(losses, brute_force_loss(scores, LABELS, weights))


def test_a_pool_of_all_labels_gives_the_full_softmax():
    labels = torch.tensor([3, 0, 0, 6])
    scores = [draw(4, 7).requires_grad_() for _ in range(2)]
    psl = pick_some_label_loss(scores[0], torch.arange(4), labels)
    full = F.cross_entropy(scores[1], labels, reduction="none")
    assert_close(psl, full)
    psl.mean().backward()
    full.mean().backward()
    assert_close(scores[0].grad, scores[1].grad)


def test_loss_has_the_gradient_of_its_values():
    scores = draw(4, 5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: pick_some_label_loss(s, SAMPLES, PLACES), scores
    )


# ------------------------------------------------------------ the encoder


@pytest.mark.parametrize("label_dim", [None, 5])
def test_embeddings_are_of_unit_length(label_dim):
    encoder = make_encoder(label_dim)
    samples = encoder.embed_samples(draw(3, 4))
    labels = encoder.embed_labels(draw(2, label_dim or 4))
    assert_close(samples.norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert_close(labels.norm(dim=1), torch.ones(2, dtype=torch.float64))
    assert_close(encoder(samples, labels), 18 * samples @ labels.T)


def test_rows_of_zeros_score_nothing():
    features = draw(2, 4)
    features[0] = 0
    embedded = make_encoder().embed_labels(features)
    assert (embedded[0] == 0).all()
    assert torch.isfinite(embedded).all()


def test_at_the_start_equal_features_are_one():
    encoder, features = make_encoder(), draw(3, 4)
    one, other = encoder.embed_samples(features), encoder.embed_labels(features)
    assert_close(one, other)
    torch.nn.init.normal_(encoder.label_map.weight)
    assert not torch.allclose(one, encoder.embed_labels(features))


@pytest.mark.parametrize("label_dim", [None, 5])
def test_every_parameter_is_trained(label_dim):
    encoder = make_encoder(label_dim)
    features = [draw(3, 4).requires_grad_(), draw(5, label_dim or 4).requires_grad_()]
    samples = encoder.embed_samples(features[0])
    labels = encoder.embed_labels(features[1])
    places = torch.tensor([0, 2, 4])
    loss = pick_some_label_loss(encoder(samples, labels), torch.arange(3), places)
    loss.sum().backward()
    # A temperature in no optimizer is a known trap.
    assert "log_scale" in dict(encoder.named_parameters())
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert all(part.grad.abs().sum() > 0 for part in features)
