"""Wide X and many labels: what must never be made dense."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from estimator_problems import make

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.scorers import scoring


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor) and value.device.type != "meta":
                stored = value._values() if value.is_sparse else value
                self.numel = max(self.numel, stored.numel())
        return result


def in_turn(function, parts, _n_threads):
    """Do what threads of ours share, in this one: they have no dispatch mode."""
    return [function(part) for part in parts]


@pytest.mark.parametrize("strategy", ["cascade", "full"])
def test_wide_sparse_x_is_never_made_dense(strategy, monkeypatch):
    n, n_features = 300, 5_000_000
    rng = np.random.RandomState(0)
    y = rng.randint(6, size=n)
    # Three features per sample, of which the first two tell the class.
    columns = np.column_stack([y * 800_000, y + 7, rng.randint(n_features, size=n)])
    X = sp.csr_matrix(
        (np.ones(3 * n), columns.ravel(), np.arange(n + 1) * 3), (n, n_features)
    )

    def refusing(method):
        def refuse(matrix, *args, **kwargs):
            if max(matrix.shape) > n_features // 10:
                raise AssertionError("a sparse matrix was made dense")
            return method(matrix, *args, **kwargs)

        return refuse

    for owner in {*sp.csr_matrix.__mro__, *sp.csr_array.__mro__, *sp.csc_array.__mro__}:
        for name in ("toarray", "todense"):
            if name in vars(owner):
                monkeypatch.setattr(owner, name, refusing(vars(owner)[name]))
    with pytest.raises(AssertionError, match="made dense"):
        sp.csr_array(X[:2]).todense()  # the trap works
    clf = make(
        strategy=strategy, hidden_layer_sizes=(4,), label_order="natural", max_iter=3
    )
    with LargestTensor() as largest:
        clf.fit(X, y)
        accuracy = np.mean(clf.predict(X) == y)
        clf.predict_topk(X, 2)
    # Nothing larger than the first layer's weights, a 75th of a dense X.
    assert largest.numel <= 4 * n_features
    assert accuracy > 0.8


@pytest.mark.parametrize(
    ("cls", "strategy"),
    [
        (MHEClassifier, "cascade"),
        (MHEClassifier, "product"),
        (MHEMultiLabelClassifier, "cascade"),
    ],
)
def test_many_labels_are_never_scored_all(cls, strategy, monkeypatch):
    for name in ("BLOCK_SCORES", "MAX_BLOCK_SCORES", "MAX_PART_SCORES"):
        monkeypatch.setattr(scoring, name, 2**40)
    monkeypatch.setattr(scoring, "shared_out", in_turn)
    n, n_labels = 64, 200_000
    rng = np.random.RandomState(0)
    X = rng.randn(n, 5)
    # Twice each: of more classes than half the samples, scikit-learn warns.
    labels = np.repeat(rng.randint(n_labels, size=n // 2), 2)
    clf = make(cls, strategy, hidden_layer_sizes=(4,), label_order="natural")
    clf.set_params(batch_size=64)
    if cls is MHEClassifier:
        y, options = labels, {"classes": np.arange(n_labels)}
    else:
        y = sp.csr_array((np.ones(n, int), (np.arange(n), labels)), shape=(n, n_labels))
        options = {}
    with LargestTensor() as largest:
        clf.partial_fit(X, y, **options)
        clf.predict_topk(X, k=5)
    # The tables hold 4 numbers per label; a score for every label would be 64.
    assert largest.numel < n * n_labels / 8
    with LargestTensor() as largest:
        clf.predict_proba(X)
    assert largest.numel >= n * n_labels / 8  # what was measured is what it says
