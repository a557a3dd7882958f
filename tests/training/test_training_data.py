"""Training data: rows, batches, and samples held out."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from training_problems import CPU, N_LABELS, N, make_data

from skmhe.nn.search import FlatSearch
from skmhe.scorers.batch import unit_rows
from skmhe.scorers.training_centroids import fit_centroids
from skmhe.training.data import (
    TrainingData,
    as_all,
    batch_slices,
    hold_out,
    in_halves,
)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
def test_take(multilabel, weighted):
    data = make_data(multilabel, weighted)
    rows = np.array([4, 1, 1])
    part = data.take(rows)
    assert_array_equal(part.X, data.X[rows])
    if multilabel:
        assert_array_equal(part.y.toarray(), data.y.toarray()[rows])
    else:
        assert_array_equal(part.y, data.y[rows])
    if weighted:
        assert_array_equal(part.sample_weight, data.sample_weight[rows])
    else:
        assert part.sample_weight is None


def test_targets():
    single = make_data().targets(CPU)
    assert single.dtype == torch.int64
    Y = make_data(multilabel=True).y
    tensor = TrainingData(None, Y).targets(CPU)
    assert tensor.is_coalesced()
    assert_array_equal(tensor.to_dense().numpy(), Y.toarray())
    # It says that it is coalesced: that must be true.
    keys = tensor.indices()[0] * N_LABELS + tensor.indices()[1]
    assert (keys.diff() > 0).all()
    nothing = TrainingData(None, sp.csr_array((3, N_LABELS), dtype=np.float32)).targets(
        CPU
    )
    assert_array_equal(nothing.to_dense().numpy(), np.zeros((3, N_LABELS)))


def test_centroids_of_training_samples_are_taken_with_them():
    data = make_data()
    X, Y = unit_rows(data.X), sp.csr_array(np.eye(N_LABELS, dtype=np.float32)[data.y])
    fitted, rows = fit_centroids(X, Y), np.array([4, 1, 9])
    part = data._replace(centroids=fitted).take(rows)
    labels = np.arange(N_LABELS)
    expected = fitted.cosines(X, labels)[rows]
    found = part.centroids.cosines(unit_rows(part.X), labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    known = fitted.for_predictions(FlatSearch(False, N_LABELS))
    assert data._replace(centroids=known).take(rows).centroids is known


@given(st.integers(1, 60), st.integers(1, 20))
def test_batches_hold_each_sample_once_and_none_has_one_alone(n, batch_size):
    places = batch_slices(n, batch_size)
    rows = [np.arange(n)[place] for place in places]
    assert_array_equal(np.concatenate(rows), np.arange(n))
    sizes = [len(row) for row in rows]
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] <= batch_size + 1
    if min(n, batch_size) > 1:
        assert min(sizes) > 1


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_hold_out_splits_rows(fraction):
    y = np.arange(N) % N_LABELS
    kept, held_out = hold_out(y, fraction, np.random.RandomState(0))
    assert_array_equal(np.sort(np.r_[kept, held_out]), np.arange(N))
    assert len(held_out) == round(fraction * N)
    assert set(y[kept]) == set(range(N_LABELS))
    again = hold_out(y, fraction, np.random.RandomState(0))
    assert_array_equal(again[1], held_out)
    other = hold_out(y, fraction, np.random.RandomState(1))
    assert not np.array_equal(other[1], held_out)


def test_hold_out_keeps_a_sample_of_each_label():
    y = np.array([0, 1, 1, 2, 2, 2])
    for seed in range(20):
        kept, _ = hold_out(y, 0.9, np.random.RandomState(seed))
        assert sorted(y[kept].tolist()) == [0, 1, 2]


def test_samples_held_out_have_the_frequencies_of_all():
    # A frequent label, five of middle frequency, and labels of one or two samples.
    y = np.repeat(np.arange(406), [600, *[40] * 5, *[2] * 200, *[1] * 200])
    data = TrainingData(np.zeros((len(y), 1), np.float32), y)
    split = hold_out(y, 0.1, np.random.RandomState(0))
    rest = as_all(data, *split)
    assert rest.sample_weight.mean() == pytest.approx(1, rel=1e-5)
    # Of two samples, one is held out; no sample of a label of one is.
    kept = np.bincount(y[split[0]], minlength=406)[rest.y]
    assert set(kept[kept < 16]) == {1}

    def share_of_rare(data):
        weight = as_all(data, *split).sample_weight
        return weight[kept == 1].sum() / weight.sum()

    # Labels of two samples have no like among those held out.
    assert share_of_rare(data) == pytest.approx(200 / 1000)
    weighted = data._replace(sample_weight=np.where(y == 0, 3, 1).astype(np.float32))
    assert share_of_rare(weighted) == pytest.approx(200 / 2200)


@pytest.mark.parametrize("weight", [None, np.arange(64, dtype=np.float32) + 1])
def test_samples_held_out_stay_as_they_are_without_their_like(weight):
    # All labels have 8 samples; of those with one held out, 7 are kept.
    y = np.repeat(np.arange(8), 8)
    data = TrainingData(np.zeros((64, 1), np.float32), y, weight)
    held_out = np.arange(0, 64, 8)
    kept = np.setdiff1d(np.arange(64), held_out)
    found = as_all(data, kept, held_out).sample_weight
    if weight is None:
        assert found is None
    else:
        assert_array_equal(found, weight[held_out])


def test_multilabel_samples_held_out_are_as_they_are():
    Y = sp.csr_array(np.eye(20)[:, :5])
    data = TrainingData(np.zeros((20, 1), np.float32), Y)
    split = hold_out(Y, 0.2, np.random.RandomState(0))
    assert as_all(data, *split).sample_weight is None


def test_nothing_to_hold_out_is_an_error():
    with pytest.raises(ValueError, match=r"early_stopping=0\.5 leaves no samples"):
        hold_out(np.arange(5), 0.5, np.random.RandomState(0))
    Y = sp.csr_array(np.ones((1, 3)))
    with pytest.raises(ValueError, match="leaves no samples"):
        hold_out(Y, 0.5, np.random.RandomState(0))


@pytest.mark.parametrize("multilabel", [False, True])
def test_halves(multilabel):
    rng = np.random.RandomState(0)
    y = np.append(rng.randint(4, size=50), 4)  # one sample of the last label
    if multilabel:
        Y = sp.csr_array(np.eye(5, dtype=np.float32)[y])
    splits = in_halves(Y if multilabel else y, rng)
    once = np.concatenate([held_out for _, held_out in splits])
    assert_array_equal(np.sort(once), np.arange(51 if multilabel else 50))
    for kept, held_out in splits:
        assert_array_equal(np.sort(np.append(kept, held_out)), np.arange(51))
        assert len(held_out) in (25, 26)
        if not multilabel:
            most = np.bincount(y[held_out], minlength=5)[:4]
            assert (abs(most - np.bincount(y)[:4] / 2) <= 0.5).all()
