"""Every head as a module: state, costs, training and starting values."""

import math

import numpy as np
import pytest
import torch
from head_cases import (
    HEADS,
    MULTI,
    N_FEATURES,
    N_LABELS,
    WITH_MARGIN,
    every_head,
    make_features,
    make_head,
    make_targets,
    randomize,
    seeded_loss,
    to_sparse_rows,
)
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from skmhe.nn import (
    Backbone,
    CascadeHead,
    FullHead,
    Head,
    Margin,
    ProductHead,
    RowAdamW,
    SamplingHead,
    products,
)

# ------------------------------------------------------------ modules


@every_head
def test_state_can_be_saved_and_restored(name):
    head, features = make_head(name), make_features(4)
    other = make_head(name, seed=9)
    assert (other.log_prob(features) - head.log_prob(features)).abs().max() > 0.1
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.log_prob(features), head.log_prob(features))


@every_head
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_have_the_dtype_of_the_features(name, dtype):
    head, features = make_head(name).to(dtype), make_features(4).to(dtype)
    targets = make_targets(head, 4)
    assert seeded_loss(head, features, targets).dtype == dtype
    assert head.log_prob(features).dtype == dtype
    assert head.topk(features, 2)[1].dtype == dtype
    for sparse_grad in (False, True):
        head = make_head(name, sparse_grad=sparse_grad).to(dtype)
        seeded_loss(head, features, targets).backward()
        trained = [p for p in head.parameters() if p.requires_grad]
        assert {p.grad.dtype for p in trained} == {dtype}


@every_head
def test_tables_start_as_in_torchs_linear_layer(name):
    torch.manual_seed(0)
    head = HEADS[name](400)
    for weight, bias in zip(head.weights, head.biases, strict=True):
        assert float(weight.detach().abs().max()) <= 0.05
        assert float(weight.detach().std()) == pytest.approx(0.05 / 3**0.5, rel=0.1)
        assert (bias == 0).all()
    before = head.weights[0].detach().clone()
    head.reset_parameters()
    assert (head.weights[0] != before).any()


@every_head
def test_a_head_can_be_made_without_memory(name):
    with torch.device("meta"):
        head = HEADS[name](N_FEATURES)
    assert all(parameter.is_meta for parameter in head.parameters())
    real = HEADS[name](N_FEATURES)
    shapes = {key: value.shape for key, value in head.state_dict().items()}
    assert shapes == {key: value.shape for key, value in real.state_dict().items()}
    # None of the scores of all labels depends on data.
    scores = head.log_prob(torch.empty(3, N_FEATURES, device="meta"))
    assert scores.shape == (3, N_LABELS)


@every_head
def test_repr_names_the_sizes(name):
    head = HEADS[name](N_FEATURES)
    assert f"in_features=5, n_labels=11, multilabel={head.multilabel}" in repr(head)


def test_a_head_must_implement_the_interface():
    with pytest.raises(TypeError, match="abstract"):
        Head(3, 4, False, False)


# ------------------------------------------------------------ more labels

# Of two heads, the second with more labels, the first codes of which are the same.
GROWN = {
    "full": (FullHead(3, 7), FullHead(3, 11)),
    "full-multilabel": (FullHead(3, 7, True), FullHead(3, 11, True)),
    "margin": (
        FullHead(3, 7, margin=Margin("arcface", 0.3, 8.0)),
        FullHead(3, 11, margin=Margin("arcface", 0.3, 8.0)),
    ),
    "sampling": (SamplingHead(3, 7, 3), SamplingHead(3, 11, 3)),
    "sampling-multilabel": (
        SamplingHead(3, 7, 3, multilabel=True),
        SamplingHead(3, 11, 3, multilabel=True),
    ),
    "product": (ProductHead(3, (3, 4), 7), ProductHead(3, (3, 4), 11)),
    "product-rank-2": (
        ProductHead(3, (3, 4), 7, rank=2),
        ProductHead(3, (3, 4), 11, rank=2),
    ),
    "cascade": (CascadeHead(3, (2, 4), 7), CascadeHead(3, (3, 4), 11)),
    "cascade-multilabel": (
        CascadeHead(3, (2, 2, 2), 7, multilabel=True),
        CascadeHead(3, (3, 2, 2), 11, multilabel=True),
    ),
    "joint": (
        CascadeHead(3, (2, 4), 7, hard_negatives=True),
        CascadeHead(3, (3, 4), 11, hard_negatives=True),
    ),
}


@pytest.mark.parametrize("name", GROWN)
def test_copied_labels_score_as_before_and_new_ones_like_the_median(name):
    small, large = (randomize(head) for head in GROWN[name])
    large.copy_labels(small)
    for new, old in zip(large.weights, small.weights, strict=True):
        n = len(old)
        assert torch.equal(new[:n], old)
        assert (new[n:] == 0).all()
    for new, old in zip(large.biases, small.biases, strict=True):
        n = len(old)
        assert torch.equal(new[:n], old)
        assert (new[n:] == sorted(old.tolist())[(n - 1) // 2]).all()
    features = make_features(5, 3)
    before, after = small.log_prob(features), large.log_prob(features)[:, :7]
    if not large.multilabel and name != "cascade":  # whose levels have norms each
        after = after.log_softmax(1)
    if name != "cascade":
        assert_close(after, before)


def test_new_labels_of_a_sampling_head_have_no_frequency():
    small, large = SamplingHead(3, 7, 3), SamplingHead(3, 11, 3)
    small.set_prior(torch.arange(7), 21)
    large.copy_labels(small)
    assert_close(large.frequencies * 21, torch.tensor([*range(7), 0, 0, 0, 0.0]))


def test_other_codes_of_a_product_head_cannot_be_copied():
    head = ProductHead(3, (3, 4), 11)
    for other in (ProductHead(3, (2, 4)), ProductHead(3, (3, 4), 11, rank=2)):
        with pytest.raises(ValueError, match="with the same head_sizes and rank"):
            head.copy_labels(other)


# ------------------------------------------------------------ costs


@pytest.mark.parametrize(
    "head",
    [
        FullHead(7, 50),
        FullHead(7, 50, multilabel=True),
        SamplingHead(7, 50, group_size=6),
        ProductHead(7, (5, 4, 3), 50),
        ProductHead(7, (5, 10), 50, rank=4),
    ],
    ids=lambda head: type(head).__name__,
)
@pytest.mark.parametrize("k", [1, 9])
def test_multiply_adds_are_those_of_topk(head, k):
    with FlopCounterMode(display=False) as counter:
        head.topk(torch.ones(3, 7), k)
    assert counter.get_total_flops() == 2 * 3 * head.multiply_adds(k)


def test_multiply_adds_and_parameters_are_the_formulas():
    d, n_labels = 7, 50
    full = [FullHead(d, n_labels), SamplingHead(d, n_labels, group_size=6)]
    for head in full:
        assert head.multiply_adds() == d * n_labels
        assert n_parameters(head) == d * n_labels + n_labels
    product = ProductHead(d, (5, 4, 3), n_labels)
    assert product.multiply_adds() == d * (5 + 4 + 3)
    assert n_parameters(product) == (d + 1) * (5 + 4 + 3)
    mixture = ProductHead(d, (5, 10), rank=4)
    assert mixture.multiply_adds() == d * 4 * (5 + 10) + d * 4
    assert n_parameters(mixture) == (d + 1) * (4 * (5 + 10) + 4)
    # 50 labels below ceil(50 / 12) = 5 and ceil(50 / 3) = 17 prefixes.
    cascade = CascadeHead(d, (5, 4, 3), n_labels, beam_width=2)
    assert cascade.multiply_adds() == d * (5 + 2 * 4 + 2 * 3)
    assert n_parameters(cascade) == (d + 1) * (5 + 17 + 50)


def n_parameters(head):
    return sum(parameter.numel() for parameter in head.parameters())


class LargestTensor(TorchDispatchMode):
    """Remember the largest number of entries of any tensor that is computed."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, (tuple, list)) else [output]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return output


@every_head
@pytest.mark.parametrize("k", [1, 6])
def test_topk_holds_no_more_scores_than_it_says(name, k, monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", 0)
    head, features = make_head(name), make_features(400)
    with LargestTensor() as mode:
        head.topk(features, k)
    # The features themselves are no scores.
    bound = max(head.n_scores(k), N_FEATURES)
    assert mode.largest <= 400 * bound


# ------------------------------------------------------------ training


def separable(multilabel, n_each=4):
    """Return samples that are their labels' indicators, but for a little noise."""
    rng = np.random.default_rng(0)
    if not multilabel:
        labels = np.tile(np.arange(N_LABELS), n_each)
        indicator = np.eye(N_LABELS)[labels]
        targets = torch.from_numpy(labels)
    else:
        indicator = rng.random((60, N_LABELS)) < 0.2
        targets = torch.from_numpy(indicator.astype(np.float64))
    noise = rng.normal(0, 0.05, indicator.shape)
    return torch.from_numpy(indicator + noise).float(), targets


def share_right(head, features, targets):
    """Return the share of the samples whose labels are all predicted right."""
    if not head.multilabel:
        return (head.topk(features, 1)[0][:, 0] == targets).float().mean().item()
    predicted = torch.zeros_like(targets)
    predicted[head.above(features, math.log(0.5))] = 1
    return (predicted == targets).all(1).float().mean().item()


@every_head
def test_a_plain_loop_learns_a_separable_problem(name):
    torch.manual_seed(0)
    head = HEADS[name](N_LABELS)
    features, targets = separable(head.multilabel)
    assert share_right(head, features, targets) < 0.5
    optimizer = torch.optim.Adam(head.parameters(), lr=0.2)
    for _ in range(80):
        optimizer.zero_grad()
        head.loss(features, targets).backward()
        optimizer.step()
    assert share_right(head, features, targets) > 0.97


@every_head
@pytest.mark.parametrize("hidden_layer_sizes", [(), (32,)])
def test_sparse_samples_and_gradients_learn_it_too(name, hidden_layer_sizes):
    torch.manual_seed(0)
    backbone = Backbone(N_LABELS, hidden_layer_sizes, sparse_grad=True)
    head = HEADS[name](backbone.out_features, sparse_grad=True)
    features, targets = separable(head.multilabel)
    features[features.abs() < 0.2] = 0
    rows = to_sparse_rows(features)
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = RowAdamW(parameters, lr=0.1 if hidden_layer_sizes else 0.2)
    for _ in range(80):
        optimizer.zero_grad()
        head.loss(backbone(rows), targets).backward()
        optimizer.step()
    assert share_right(head, backbone(rows), targets) > 0.97


# ------------------------------------------------------------ priors


# No label has half a sample or less: the smoothing then changes nothing in the
# multi-label heads.
COUNTS = torch.tensor([30, 5, 1, 8, 2, 40, 3, 3, 12, 6, 9])


@pytest.mark.parametrize("name", MULTI)
def test_multi_label_prior_is_the_labels_frequency(name):
    head = HEADS[name](N_FEATURES).double()
    head.set_prior(COUNTS, n_samples=200)
    zeros = torch.zeros(1, N_FEATURES, dtype=torch.float64)
    expected = COUNTS[None] / 200
    if name == "cascade-narrow":
        assert head.search.n_nodes == [4, 11]  # three groups of 3, and one of 2
    actual = head.log_prob(zeros).exp()
    if head.search.joint:
        # Each node has its own prior, whatever is above: of a path, odds add up.
        actual = head.biases[-1][None].sigmoid()
    # A prefix with a single label below it: P(label | prefix) is 1, but for the
    # half sample that keeps it from certainty.
    only_child = torch.zeros(1, 11, dtype=torch.bool)
    only_child[:, 10] = "cascade" in name and not head.search.joint
    assert_close(actual[~only_child], expected[~only_child].double())
    kept = 1 - 0.5 / 201
    assert_close(actual[only_child], kept * expected[only_child].double())


def test_every_unseen_and_every_universal_label_has_a_finite_prior():
    counts = torch.zeros(N_LABELS)
    counts[4] = 20
    for name in HEADS.keys() - WITH_MARGIN:
        head = HEADS[name](N_FEATURES).double()
        head.set_prior(counts, n_samples=20)
        scores = head.log_prob(torch.zeros(1, N_FEATURES, dtype=torch.float64))
        assert torch.isfinite(scores).all()
        assert int(scores.argmax()) == 4
        if head.multilabel and "cascade" not in name:
            expected = torch.full((1, N_LABELS), 0.5 / 21, dtype=torch.float64)
            expected[:, 4] = 20.5 / 21
            assert_close(scores.exp(), expected)


@pytest.mark.parametrize("name", ["full", "sampling"])
def test_single_label_prior_is_the_smoothed_frequency(name):
    head = HEADS[name](N_FEATURES).double()
    head.set_prior(COUNTS, n_samples=int(COUNTS.sum()))
    actual = head.log_prob(torch.zeros(1, N_FEATURES, dtype=torch.float64)).exp()
    expected = (COUNTS + 0.5) / (COUNTS + 0.5).sum()
    assert_close(actual[0], expected.double())


def test_a_prior_leaves_the_weights_alone_and_takes_weighted_counts():
    head = FullHead(N_FEATURES, N_LABELS)
    before = head.weights[0].detach().clone()
    head.set_prior(COUNTS / 4, n_samples=30.5)
    assert torch.equal(head.weights[0], before)
    assert head.biases[0].dtype == torch.float32
    assert head.biases[0].requires_grad
