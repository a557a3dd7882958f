"""Estimates of a fit's memory, against what a fit leaves; and what there is of it."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from torch import nn

from skmhe import (
    Cascade,
    Full,
    LabelEncoder,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Sampling,
)
from skmhe.training import fit as fit_module
from skmhe.training import memory
from skmhe.training.memory import _Group, _groups, _left_in, available_memory

N, N_FEATURES, N_LABELS = 90, 40, 30


def make_data(container=sp.csr_array):
    rng = np.random.RandomState(0)
    X = rng.random_sample((N, N_FEATURES)) * (rng.random_sample((N, N_FEATURES)) < 0.2)
    return container(X.astype(np.float32)), np.arange(N) % N_LABELS


def estimate(monkeypatch, clf, X, y, **given):
    """Fit, and return the parts of the estimate that was made before."""
    seen = []
    monkeypatch.setattr(
        fit_module, "check_memory", lambda parts, left: seen.append(parts)
    )
    clf.fit(X, y, **given)
    (parts,) = seen
    return parts


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade", "product"])
def test_weights_and_moments_of_the_network(strategy, monkeypatch):
    X, y = make_data()
    clf = MHEClassifier(strategy, hidden_layer_sizes=(9,), max_iter=1, random_state=0)
    parts = estimate(monkeypatch, clf, X, y)
    n_weights = sum(array.size for array in clf._fitted.model.weights.values())
    found = parts["weights of the network"] / memory.BYTES_PER_WEIGHT
    # A pool's frequencies of labels, and scales, are not trained.
    assert n_weights - N_LABELS - 2 <= found <= n_weights


def test_of_tables_as_wide_as_a_users_network_nothing_is_known(monkeypatch):
    X, y = make_data(np.asarray)
    encoder = LabelEncoder(backbone=None)
    clf = MHEClassifier(backbone=nn.Linear(N_FEATURES, 3), label_encoder=encoder)
    clf.set_params(strategy="full", max_iter=1)
    parts = estimate(monkeypatch, clf, X, y, label_features=np.eye(N_LABELS, 50))
    biases = memory.BYTES_PER_WEIGHT * N_LABELS
    assert parts["weights of the network"] == biases


@pytest.mark.parametrize(
    ("strategy", "n_scores"),
    [
        (Full(), N_LABELS),
        # The batch's labels, and those of drawn groups, of five labels each.
        (Sampling(n_sampled_groups=2), 16 + 2 * 5),
        (Sampling(n_sampled_groups=5), N_LABELS),
        (Cascade(beam_width=2, hard_negatives=True), 3 * (6 + 5)),
        (Cascade(hard_negatives=False), 6 + 5),
    ],
)
def test_scores_of_a_step(strategy, n_scores, monkeypatch):
    clf = MHEClassifier(
        strategy,
        model="network",
        head_sizes=None if isinstance(strategy, Full) else (6, 5),
        hidden_layer_sizes=(9,),
        batch_size=16,
        max_iter=1,
    )
    parts = estimate(monkeypatch, clf, *make_data())
    assert parts["scores of a step"] == memory.BYTES_PER_SCORE * 16 * (9 + n_scores)
    assert parts["linear classifiers"] == parts["samples"] == 0


def test_linear_classifiers_of_dense_samples_have_a_weight_of_each_feature(monkeypatch):
    X, y = make_data(np.asarray)
    clf = MHEClassifier(model="linear")
    parts = estimate(monkeypatch, clf, X, y)
    (level,) = clf._fitted.model.linear
    blocks = memory.BYTES_PER_BLOCK_SCORE * memory.BLOCK_SCORES
    rest = parts["linear classifiers"] % blocks
    assert rest == 2 * level.weights.nbytes
    assert parts["samples"] == 2 * X.nbytes
    assert parts["weights of the network"] == parts["scores of a step"] == 0


def test_pairs_of_labels_and_features_of_sparse_samples(monkeypatch):
    X, _ = make_data()
    Y = sp.csr_array(np.random.RandomState(1).random_sample((N, N_LABELS)) < 0.02)
    Y = Y.astype(int)
    parts = estimate(monkeypatch, MHEMultiLabelClassifier(model="linear"), X, Y)
    pairs = sum(
        np.diff(X.indptr)[i] * np.diff(Y.indptr)[i] for i in range(N)
    )  # at most, as some occur several times
    blocks = memory.BYTES_PER_BLOCK_SCORE * memory.BLOCK_SCORES
    assert parts["linear classifiers"] % blocks == memory.BYTES_PER_PAIR * pairs
    assert pairs >= (Y.T @ X).nnz


def test_a_fit_that_cannot_fit_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(fit_module, "available_memory", lambda: 3 * 2**20)
    X, y = make_data()
    clf = MHEClassifier(model="network", hidden_layer_sizes=(20_000,), max_iter=1)
    words = (
        r"needs about [\d.,]+ MiB of memory \(.*weights of the network [\d.,]+ MiB.*"
        r"only 3 MiB are available: use "
    )
    with pytest.raises(MemoryError, match=words):
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")
    # What fits, and what nothing is known of, is fitted.
    for left in (2**50, None):
        monkeypatch.setattr(fit_module, "available_memory", lambda left=left: left)
        clf.set_params(hidden_layer_sizes=(5,)).fit(X, y)


def test_large_fits_tell_how_much_they_take(monkeypatch, caplog):
    monkeypatch.setattr(memory, "LEAST_TOLD", 1)
    caplog.set_level("INFO", logger="skmhe")
    MHEClassifier(max_iter=1, verbose=2).fit(*make_data())
    first, *others = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"memory: about \d+ MiB in addition to the data", first)
    assert not any("memory" in line for line in others)


@pytest.mark.parametrize(
    ("limit", "used", "inactive", "left"),
    [("1000", "300", "100", 800), ("max", "300", "100", None), ("9", "12", "0", 1)],
)
def test_limits_of_containers(tmp_path, limit, used, inactive, left):
    group = _Group(tmp_path, "memory.max", "memory.current")
    assert _left_in(group) is None
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text(used + "\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {inactive}\n")
    assert _left_in(group) == left


def test_the_least_of_all_limits_counts(tmp_path, monkeypatch):
    found = available_memory()
    if found is None:  # not Linux
        return
    assert 0 < found < 2**50
    assert _groups()[-1].limit == "memory.limit_in_bytes"
    (tmp_path / "memory.max").write_text("5000")
    (tmp_path / "memory.current").write_text("1000")
    groups = [_Group(tmp_path, "memory.max", "memory.current")]
    monkeypatch.setattr(memory, "_groups", lambda: groups)
    assert available_memory() == 4000
