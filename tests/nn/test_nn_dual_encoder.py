"""The label encoder and its loss, against written-out formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from skmhe.nn import DualEncoder, InputLayer, SparseRows, pick_some_label_loss


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def encoder_and_layer(own=False, dropout=0.0):
    torch.manual_seed(0)
    layer = InputLayer(6, 4).double()
    encoder = DualEncoder(4, 5 if own else None, dropout=dropout).double()
    return encoder, layer


def to_sparse(dense):
    rows = [row.nonzero()[:, 0] for row in dense]
    offsets = torch.tensor([0, *torch.tensor([len(r) for r in rows]).cumsum(0)])
    values = torch.cat([row[i] for row, i in zip(dense, rows, strict=True)])
    return SparseRows(torch.cat(rows), offsets, values, dense.shape[1])


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


@pytest.mark.parametrize("own", [False, True])
def test_embeddings_are_of_unit_length(own):
    encoder, layer = encoder_and_layer(own)
    samples = encoder.embed_samples(draw(3, 6), layer)
    labels = encoder.embed_labels(draw(2, 5 if own else 6), layer)
    assert_close(samples.norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert_close(labels.norm(dim=1), torch.ones(2, dtype=torch.float64))
    cosines = samples @ labels.T
    assert_close(encoder(samples, labels), 18 * cosines)


def test_rows_of_zeros_score_nothing():
    encoder, layer = encoder_and_layer()
    rows = draw(2, 6)
    rows[0] = 0
    embedded = encoder.embed_labels(rows, layer)
    assert (embedded[0] == 0).all()
    assert torch.isfinite(embedded).all()
    embedded = encoder.embed_labels(to_sparse(torch.zeros_like(rows)), layer)
    assert (embedded == 0).all()


def test_at_the_start_equal_texts_are_one():
    encoder, layer = encoder_and_layer()
    rows = draw(3, 6)
    one, other = encoder.embed_samples(rows, layer), encoder.embed_labels(rows, layer)
    assert_close(one, other)
    torch.nn.init.normal_(encoder.label_map.weight)
    assert not torch.allclose(one, encoder.embed_labels(rows, layer))


def test_sparse_rows_are_embedded_like_dense_ones():
    encoder, layer = encoder_and_layer()
    rows = draw(3, 6) * (draw(3, 6, seed=1) > 0)
    for embed in [encoder.embed_samples, encoder.embed_labels]:
        assert_close(embed(to_sparse(rows), layer), embed(rows, layer))


@pytest.mark.parametrize("own", [False, True])
def test_every_parameter_is_trained(own):
    encoder, layer = encoder_and_layer(own)
    samples = encoder.embed_samples(draw(3, 6), layer)
    labels = encoder.embed_labels(draw(5, 5 if own else 6), layer)
    places = torch.tensor([0, 2, 4])
    loss = pick_some_label_loss(encoder(samples, labels), torch.arange(3), places)
    loss.sum().backward()
    names = {n for n, p in encoder.named_parameters() if p.requires_grad}
    assert "log_scale" in names  # a temperature in no optimizer is a known trap
    for name, parameter in encoder.named_parameters():
        if name in names:
            assert parameter.grad.abs().sum() > 0, name
    assert layer.weight.grad.abs().sum() > 0
    assert layer.bias.grad is None  # of the backbone only


def test_dropout_is_for_training():
    encoder, layer = encoder_and_layer(dropout=0.5)
    rows = draw(3, 6)
    assert not torch.allclose(
        encoder.embed_samples(rows, layer), encoder.embed_samples(rows, layer)
    )
    encoder.eval()
    assert_close(encoder.embed_samples(rows, layer), encoder.embed_samples(rows, layer))
