"""What every head has in common, for each of them."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from _oracles import (
    HEADS,
    N_FEATURES,
    N_LABELS,
    gradients,
    log_prob,
    loss,
    make_features,
    make_head,
    make_targets,
    randomise,
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
    ProductHead,
    RowAdamW,
    SamplingHead,
    SparseRows,
    _rows,
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


# ------------------------------------------------------------ loss


@every_head
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_written_out_one(name, weighted):
    head, features = make_head(name), make_features(12)
    targets = make_targets(head, 12)
    weights = {}
    if weighted:
        weights = {"sample_weight": make_weights(12), "label_weight": make_weights(11)}
    expected = loss(head, features, targets, drawn=groups_drawn(head), **weights)
    actual = seeded_loss(head, features, targets, **weights)
    assert actual.shape == ()
    assert actual.item() == pytest.approx(expected, rel=1e-10)


@every_head
@pytest.mark.parametrize("path", [0, math.inf], ids=["blocks", "gather"])
def test_gradient_of_the_loss_is_the_numerical_one(name, path, monkeypatch):
    monkeypatch.setattr(_rows, "MIN_WORK_PER_GROUP", path)
    head, features = make_head(name, n_features=3), make_features(4, 3)
    targets = make_targets(head, 4)
    weights = (make_weights(4), make_weights(11))
    # gradcheck moves the entries of the parameters themselves.
    assert torch.autograd.gradcheck(
        lambda x, *_: seeded_loss(head, x, targets, *weights),
        (features.requires_grad_(), *head.parameters()),
    )


@every_head
@pytest.mark.parametrize("sparse_features", [False, True])
def test_sparse_gradient_equals_the_dense_one(name, sparse_features):
    features = make_features(6)
    targets = make_targets(make_head(name), 6)
    features = to_sparse_rows(features) if sparse_features else features
    dense, sparse = make_head(name), make_head(name, sparse_grad=True)
    expected = gradients(dense, seeded_loss(dense, features, targets))
    actual = gradients(sparse, seeded_loss(sparse, features, targets))
    assert_close(actual, expected)
    assert not any(weight.grad.is_sparse for weight in dense.weights)
    # Sparse features select columns of the tables, which gives dense gradients; but
    # margins need whole rows.
    is_sparse = [weight.grad.is_sparse for weight in sparse.weights]
    if name in GROUPED and (not sparse_features or name in WITH_MARGIN):
        assert is_sparse[-1]
    else:
        assert not any(is_sparse)


@heads_without_pool
def test_weight_two_is_a_sample_twice_and_weight_zero_is_none(name):
    head, features = make_head(name), make_features(4)
    targets = make_targets(head, 4)

    def total(rows, weight=None):
        weight = None if weight is None else torch.tensor(weight, dtype=torch.float64)
        mean = seeded_loss(head, features[rows], targets[rows], sample_weight=weight)
        value = mean * len(rows)
        return value.detach(), gradients(head, value)

    everything = [0, 1, 2, 3]
    assert_close(total(everything, [1, 2, 1, 1]), total([0, 1, 1, 2, 3]))
    assert_close(total(everything, [1, 0, 0, 1]), total([0, 3]))
    assert_close(total(everything, [1, 1, 1, 1]), total(everything))


@pytest.mark.parametrize("name", SINGLE)
def test_label_weight_of_single_labels_is_the_weight_of_their_samples(name):
    head, features = make_head(name), make_features(8)
    targets, label_weight = make_targets(head, 8), make_weights(11)
    by_label = seeded_loss(head, features, targets, label_weight=label_weight)
    by_sample = seeded_loss(
        head, features, targets, sample_weight=label_weight[targets]
    )
    assert_close(by_label, by_sample)


@pytest.mark.parametrize("name", MULTI)
def test_label_weight_of_multi_labels_is_a_factor_of_true_pairs_only(name):
    head, features = make_head(name), make_features(8)
    targets = make_targets(head, 8)
    ones = torch.ones(11, dtype=torch.float64)
    plain = seeded_loss(head, features, targets)
    assert_close(seeded_loss(head, features, targets, label_weight=ones), plain)
    # Linear in the weights: each unit adds the true pairs' own losses once.
    double = seeded_loss(head, features, targets, label_weight=2 * ones)
    triple = seeded_loss(head, features, targets, label_weight=3 * ones)
    assert double > plain
    assert_close(triple - double, double - plain)
    # Labels that no sample has may have any weight.
    absent = targets.sum(0) == 0
    assert absent.any()
    other = torch.where(absent, 7.0, 1.0).double()
    assert_close(seeded_loss(head, features, targets, label_weight=other), plain)


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.filterwarnings("ignore:Sparse (CSR|CSC) tensor support:UserWarning")
def test_indicators_of_any_layout_and_dtype(name):
    head, features = make_head(name), make_features(8)
    targets = make_targets(head, 8)
    expected = seeded_loss(head, features, targets)
    with torch.sparse.check_sparse_tensor_invariants():
        for same in (
            targets.bool(),
            targets.long(),
            targets.float(),
            targets.to_sparse_coo(),
            targets.bool().to_sparse_coo(),
            targets.to_sparse_csr(),
            targets.to_sparse_csc(),
        ):
            assert_close(seeded_loss(head, features, same), expected)


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("value", [0, 1])
def test_samples_without_labels_and_with_all_labels(name, value):
    head, features = make_head(name), make_features(3)
    targets = torch.full((3, 11), float(value))
    expected = loss(head, features, targets, drawn=groups_drawn(head))
    assert seeded_loss(head, features, targets).item() == pytest.approx(expected)


@heads_of_any_scores
def test_loss_is_accurate_for_large_scores(name):
    # With 1 - P or exp(score) taken as they are, float32 gives inf, NaN or 0 here.
    head, features = make_head(name), 12 * make_features(10)
    targets = make_targets(head, 10)
    expected = seeded_loss(head, features, targets)
    expected_gradients = gradients(head, expected)
    head = make_head(name).float()
    actual = seeded_loss(head, features.float(), targets)
    assert expected > 20
    assert_close(actual.double(), expected.detach(), rtol=1e-5, atol=0)
    for grad, expected_grad in zip(
        gradients(head, actual), expected_gradients, strict=True
    ):
        assert_close(grad.double(), expected_grad, rtol=1e-3, atol=1e-4)


# ------------------------------------------------------------ predictions


@every_head
def test_log_prob_is_the_written_out_one(name):
    head, features = make_head(name), make_features(6)
    actual = head.log_prob(features)
    assert actual.shape == (6, N_LABELS)
    assert_close(actual, log_prob(head, features))
    assert (actual <= 0).all()
    if not head.multilabel:
        assert_close(actual.exp().sum(1), torch.ones(6, dtype=torch.float64))


@heads_of_any_scores
def test_predictions_are_accurate_for_large_scores(name):
    # Where float32's sigmoid or softmax is 0, its logarithm must still be right.
    head, features = make_head(name), 60 * make_features(10)
    expected = head.log_prob(features)
    assert expected.min() < -150
    head = head.float()
    actual = head.log_prob(features.float())
    assert_close(actual.double(), expected.detach(), rtol=1e-4, atol=1e-3)
    labels, scores = head.topk(features.float(), 3, exact=True)
    assert_close(scores, actual.gather(1, labels))


@every_head
def test_topk_is_the_best_of_all_labels_for_every_k(name):
    head, features = make_head(name), make_features(6)
    expected, order = log_prob(head, features).sort(dim=1, descending=True)
    for k in range(1, N_LABELS + 1):
        labels, scores = head.topk(features, k, exact=True)
        assert labels.dtype == torch.int64
        assert_close(labels, order[:, :k])
        assert_close(scores, expected[:, :k])


@every_head
def test_topk_returns_distinct_used_labels_with_their_log_prob(name):
    # Also where a beam is too narrow to find the best labels.
    head, features = make_head(name), make_features(20)
    dense = head.log_prob(features)
    for k in (1, 3, N_LABELS):
        labels, scores = head.topk(features, k)
        assert torch.isfinite(scores).all()
        if name == "cascade-joint-narrow" and k < N_LABELS:
            # Their share of the labels that the beam found.
            assert (scores > dense.gather(1, labels)).all()
            labels, scores = head.topk(features, k, exact=True)
        assert_close(scores, dense.gather(1, labels))
        assert (scores.diff(dim=1) <= 0).all()
        assert all(len(set(row)) == k for row in labels.tolist())


@every_head
@pytest.mark.parametrize("threshold", [-math.inf, -8.0, -2.0, math.log(0.5), 0.0])
def test_above_is_the_thresholded_log_prob(name, threshold):
    head, features = make_head(name), make_features(9)
    samples, labels = head.above(features, threshold)
    expected = (log_prob(head, features) > threshold).nonzero()
    assert torch.stack([samples, labels], dim=1).tolist() == expected.tolist()
    n_pairs = {-math.inf: 9 * N_LABELS, 0.0: 0}
    assert len(samples) == n_pairs.get(threshold, len(expected))


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


@heads_without_pool
@pytest.mark.parametrize("sparse", [False, True])
def test_order_of_the_rows_is_irrelevant_and_a_batch_equals_one_by_one(name, sparse):
    head, features = make_head(name), make_features(7)
    features[features.abs() < 0.3] = 0
    targets = make_targets(head, 7)
    features = to_sparse_rows(features) if sparse else features
    batch = predictions(head, features, targets)
    mean = seeded_loss(head, features, targets)
    assert_close(mean, batch[-1].mean())

    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    shuffled = predictions(head, select(features, order), targets[order])
    assert_close(shuffled, tuple(part[order] for part in batch))
    assert_close(seeded_loss(head, select(features, order), targets[order]), mean)

    for i in range(7):
        single = predictions(head, select(features, [i]), targets[[i]])
        assert_close(single, tuple(part[[i]] for part in batch))


@every_head
def test_sparse_features_equal_dense_ones(name):
    dense = make_features(8)
    dense[dense.abs() < 0.8] = 0
    dense[:, 1] = 0  # a feature that the batch does not have
    dense[3] = 0  # a sample without features
    head, targets = make_head(name), make_targets(make_head(name), 8)
    results = []
    for features in (dense, to_sparse_rows(dense)):
        grads = gradients(head, seeded_loss(head, features, targets))
        results.append((predictions(head, features, targets), grads))
    assert_close(results[1], results[0])
    assert all(grad.abs().sum() > 0 for grad in results[0][1])


@every_head
def test_a_feature_stored_twice_in_a_sample_counts_twice(name):
    head, targets = make_head(name), make_targets(make_head(name), 2)
    rows = SparseRows(
        indices=torch.tensor([4, 0, 4, 2]),
        offsets=torch.tensor([0, 3, 4]),
        values=torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64),
        n_features=N_FEATURES,
    )
    dense = torch.tensor([[-2, 0, 0, 0, 1.5], [0, 0, 3, 0, 0]], dtype=torch.float64)
    assert_close(predictions(head, rows, targets), predictions(head, dense, targets))


@every_head
def test_samples_without_any_feature(name):
    head, targets = make_head(name), make_targets(make_head(name), 2)
    zeros = torch.zeros(2, N_FEATURES, dtype=torch.float64)
    rows = to_sparse_rows(zeros)
    assert_close(predictions(head, rows, targets), predictions(head, zeros, targets))


@pytest.mark.parametrize("name", GROUPED)
def test_gathering_rows_equals_blocks(name, monkeypatch):
    head, features = make_head(name), make_features(8)
    targets = make_targets(head, 8)
    results = []
    for path in (0, math.inf):
        monkeypatch.setattr(_rows, "MIN_WORK_PER_GROUP", path)
        grads = gradients(head, seeded_loss(head, features, targets))
        results.append((predictions(head, features, targets), grads))
    assert_close(results[0], results[1])


@every_head
def test_no_samples(name):
    head, features = make_head(name), make_features(0)
    assert [len(part) for part in head.above(features, -3.0)] == [0, 0]
    assert head.log_prob(features).shape == (0, N_LABELS)
    assert [part.shape for part in head.topk(features, 2)] == [(0, 2), (0, 2)]


@every_head
def test_predictions_change_neither_the_head_nor_the_random_state(name):
    head, features = make_head(name), make_features(5)
    before = {key: value.clone() for key, value in head.state_dict().items()}
    random_state = torch.get_rng_state()
    head.topk(features, 3, exact=True)
    head.log_prob(features)
    head.above(features, -1.0)
    assert_close(dict(head.state_dict()), before)
    assert head.training
    assert torch.equal(torch.get_rng_state(), random_state)


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
    monkeypatch.setattr(_rows, "MIN_WORK_PER_GROUP", 0)
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
    optimiser = torch.optim.Adam(head.parameters(), lr=0.2)
    for _ in range(80):
        optimiser.zero_grad()
        head.loss(features, targets).backward()
        optimiser.step()
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
    optimiser = RowAdamW(parameters, lr=0.1 if hidden_layer_sizes else 0.2)
    for _ in range(80):
        optimiser.zero_grad()
        head.loss(backbone(rows), targets).backward()
        optimiser.step()
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
        assert head.n_nodes == [4, 11]  # three groups of 3, and one of 2
    actual = head.log_prob(zeros).exp()
    # A prefix with a single label below it: P(label | prefix) is 1, but for the
    # half sample that keeps it from certainty.
    only_child = torch.zeros(1, 11, dtype=torch.bool)
    only_child[:, 10] = "cascade" in name and name != "cascade-narrow"
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


# ------------------------------------------------------------ errors


@every_head
@pytest.mark.parametrize("shape", [(3, 4), (5,), (3, 5, 1)])
def test_wrong_features(name, shape):
    head = make_head(name)
    features = torch.ones(shape, dtype=torch.float64)
    targets = make_targets(head, 3)
    for call in (
        lambda: head.loss(features, targets),
        lambda: head.log_prob(features),
        lambda: head.topk(features, 1),
        lambda: head.above(features, 0.0),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value) == f"features must have shape (n, 5), got {shape}."


@every_head
def test_wrong_sparse_features(name):
    rows = to_sparse_rows(torch.ones(3, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"must have shape \(n, 5\), got \(3, 4\)\."):
        make_head(name).log_prob(rows)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(
    ("targets", "got"),
    [
        (torch.tensor([0, 1]), "torch.int64 of shape (2,)"),
        (torch.tensor([[0, 1, 2]]), "torch.int64 of shape (1, 3)"),
        (torch.tensor([0, 1, 2], dtype=torch.int32), "torch.int32 of shape (3,)"),
        (torch.tensor([0.0, 1.0, 2.0]), "torch.float32 of shape (3,)"),
    ],
)
def test_wrong_single_label_targets(name, targets, got):
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), targets)
    assert str(error.value) == (
        f"targets must be int64 label indices of shape (3,), got {got}."
    )


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(("bad", "got"), [(11, r"0\.\.11"), (-1, r"-1\.\.2")])
def test_single_label_targets_out_of_range(name, bad, got):
    with pytest.raises(ValueError, match=rf"in 0\.\.10, got values in {got}\."):
        make_head(name).loss(make_features(3), torch.tensor([0, 2, bad]))


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("shape", [(3, 10), (2, 11), (3,)])
def test_wrong_shape_of_an_indicator(name, shape):
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), torch.zeros(shape))
    assert str(error.value) == (
        "targets of a multi-label head must be an indicator of shape (3, 11), "
        f"got {shape}."
    )


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, math.nan])
@pytest.mark.parametrize("sparse", [False, True])
def test_wrong_values_of_an_indicator(name, value, sparse):
    targets = torch.zeros(3, 11)
    targets[1, 4] = 1
    targets[2, 7] = value
    targets = targets.to_sparse_coo() if sparse else targets
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), targets)
    assert str(error.value) == f"targets must be 0 or 1, got a value of {value}."


def sparse_indicator(samples, labels, values):
    """Return a sparse indicator with entries in the order given."""
    return torch.sparse_coo_tensor(
        torch.tensor([samples, labels]),
        torch.tensor(values),
        (3, 11),
        check_invariants=True,
    )


def test_a_pair_that_is_stored_twice_is_no_indicator():
    targets = sparse_indicator([0, 0], [4, 4], [1.0, 1.0])
    with pytest.raises(ValueError, match="0 or 1, got a value of 2"):
        make_head("full-multilabel").loss(make_features(3), targets)


def test_a_zero_that_is_stored_is_a_zero():
    head = make_head("full-multilabel")
    targets = sparse_indicator([0, 1], [4, 4], [1.0, 0.0])
    expected = head.loss(make_features(3), targets.to_dense())
    assert_close(head.loss(make_features(3), targets), expected)


# loss() promises a ValueError "if the shape .. of an argument does not fit".
@pytest.mark.parametrize("name", ["full", "full-multilabel"])
@pytest.mark.parametrize(
    "weights",
    [
        {"sample_weight": torch.ones(3, 1)},
        {"sample_weight": torch.ones(1)},
        {"label_weight": torch.ones(12)},
        {"label_weight": torch.ones(11, 1)},
    ],
    ids=["sample-2d", "sample-1", "label-12", "label-2d"],
)
def test_wrong_shape_of_weights(name, weights):
    head = make_head(name)
    argument = next(iter(weights))
    with pytest.raises(ValueError, match=argument):
        head.loss(make_features(3), make_targets(head, 3), **weights)


@every_head
@pytest.mark.parametrize("k", [0, -1, 12])
def test_k_out_of_range(name, k):
    with pytest.raises(ValueError, match=rf"k must be in 1\.\.11, got {k}\."):
        make_head(name).topk(make_features(2), k)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (lambda: FullHead(-1, 4), "in_features=-1 and n_labels=4"),
        (lambda: FullHead(3, 0), "in_features=3 and n_labels=0"),
        (lambda: CascadeHead(-1, (2, 2)), "in_features=-1 and n_labels=4"),
        (lambda: ProductHead(3, (2, 2), -1), "in_features=3 and n_labels=-1"),
    ],
)
def test_sizes_must_be_positive(make, sizes):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == (
        f"in_features must be at least 0 and n_labels at least 1, got {sizes}."
    )


@pytest.mark.parametrize("name", [name for name in HEADS if "product" not in name])
def test_without_features_the_biases_are_the_scores(name):
    head = make_head(name, n_features=0)
    empty, constant = torch.zeros(3, 0).double(), torch.ones(3, 1).double()
    other = make_head(name, n_features=1)
    with torch.no_grad():
        for weight, bias, own in zip(
            other.weights, other.biases, head.biases, strict=True
        ):
            weight.zero_()
            bias.copy_(own)
    assert_close(head.log_prob(empty), other.log_prob(constant))
    assert_close(head.topk(empty, 4), other.topk(constant, 4))


@pytest.mark.parametrize("head_class", [ProductHead, CascadeHead])
def test_no_labels_are_an_error(head_class):
    with pytest.raises(ValueError, match="n_labels"):
        head_class(3, (2, 2), n_labels=0)


@pytest.mark.parametrize("head_class", [ProductHead, CascadeHead])
def test_codes_must_hold_the_labels(head_class):
    with pytest.raises(ValueError, match=r"head_sizes=\(3, 3\) can name 9 labels, but"):
        head_class(4, (3, 3), n_labels=10)
    with pytest.raises(ValueError, match="must be a sequence of positive integers"):
        head_class(4, (3, 0))
    assert head_class(4, (3, 3)).n_labels == 9


def test_gradients_can_be_turned_off_and_on():
    # Inference mode makes tensors that autograd cannot save.
    for name in HEADS:
        for context in (nullcontext(), torch.no_grad(), torch.inference_mode()):
            with context:
                randomise(HEADS[name](3)).topk(make_features(2, 3), 2)
