"""Predictions for all rows of X, chunk by chunk."""

from functools import partial

import numpy as np
import scipy.sparse as sp
import torch
from sklearn import get_config

from skmhe._added import added_labels
from skmhe._levels import DenseLevel
from skmhe._network import rows_to_tensor
from skmhe._offsets import (
    CentroidOffsets,
    EncoderOffsets,
    LinearOffsets,
    SumOffsets,
    calibrated,
)
from skmhe._own_labels import own_labels
from skmhe._rows import unit_rows
from skmhe.nn import SparseRows

# Bounds the memory of features and of gathered rows, which scores do not count.
MAX_CHUNK_ROWS = 2048
BYTES_PER_SCORE = 4
# Scores of a block: 4 MiB in float32. Fewer rows would read all weights for each.
BLOCK_SCORES = 2**20
MIN_BLOCK_ROWS = 16
BYTES_PER_MIB = 2**20


def row_chunks(n_rows, scores_per_row):
    """Yield slices of rows whose scores fit into scikit-learn's working memory."""
    memory = get_config()["working_memory"] * BYTES_PER_MIB
    fitting = int(memory // (scores_per_row * BYTES_PER_SCORE))
    step = max(1, min(MAX_CHUNK_ROWS, fitting))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _features(network, X):
    """Return the backbone's features, and the samples' embeddings if it has any."""
    weight = next(network.head.parameters())
    if network.backbone is None:
        return weight.new_zeros(X.shape[0], 0), None
    # A user's backbone stays in float32.
    own = network.spec.user_backbone is None
    rows = rows_to_tensor(X, weight.device, weight.dtype if own else torch.float32)
    return network.features(rows), network.embed_samples(rows)


def _as_fitted(linear, X):
    """Return rows in the form, sparse or dense, of those that were fitted."""
    if isinstance(linear[0], DenseLevel):
        return X.toarray() if sp.issparse(X) else X
    return X if sp.issparse(X) else sp.csr_array(X)


def _offsets(network, beside, X, embedded):
    """Return what the head adds to its scores, or None."""
    weight, spec, parts = next(network.head.parameters()), network.spec, []
    if spec.scores_labels and beside.linear is not None:
        dtype = np.float64 if weight.dtype == torch.float64 else np.float32
        X = unit_rows(_as_fitted(beside.linear, X), dtype)
        n_labels = beside.n_linear_labels
        parts.append(LinearOffsets(beside.linear, n_labels, X, spec, weight.device))
    if spec.scores_labels and beside.centroids is not None:
        scale = network.log_centroid_scale.exp()
        size = spec.head_sizes[-1]
        parts.append(CentroidOffsets(beside.centroids, X, scale, size))
    known, late = slice(0, spec.n_labels), slice(spec.n_labels, None)
    has_linear = spec.scores_labels and beside.linear is not None
    table = own = more = None
    if embedded is not None:
        table = network.label_table(beside.label_features)
        own = _own_scores(network, beside, X)
        own_known = None if own is None else own[:, known]
        parts.append(EncoderOffsets(embedded, table[known], spec, own_known))
    if _n_added(network, beside):
        table = None if table is None else table[late]
        own = None if own is None else own[:, late]
        texts, X = network.added_texts(beside.label_features), unit_rows(X)
        more = added_labels(network, X, texts, embedded, table, own, has_linear)
    has_encoder = spec.scores_labels and embedded is not None
    calibrate = partial(
        calibrated, spec=spec, has_linear=has_linear, has_encoder=has_encoder
    )
    return SumOffsets(parts, calibrate, more) if parts or more else None


def _own_scores(network, beside, X):
    """Return what is added to scores where samples are labels, CSR, or None."""
    if not (network.spec.shares_encoder and beside.own_label_score):
        return None
    Z = beside.label_features
    if sp.issparse(Z) != sp.issparse(X):
        X = sp.csr_array(X) if sp.issparse(Z) else X.toarray()
    return own_labels(unit_rows(X), Z) * np.float32(beside.own_label_score)


def _n_added(network, beside):
    """Return the number of labels that have features, but no scores of the head."""
    Z = beside.label_features
    return 0 if Z is None else Z.shape[0] - network.spec.n_labels


def _take(features, rows):
    """Return the features, dense or sparse, of a slice of samples."""
    if isinstance(features, SparseRows):
        return features.slice(rows)
    return features[rows]


def _blocks(network, beside, X, scores_per_row, by_group=False):
    """Yield rows, their features, and the head that scores them.

    Many rows at a time go through the network and the linear classifiers, whose
    tables are made once for all of them. Scores of all labels come in smaller blocks:
    large arrays take longer to allocate than to compute. `by_group` tells that only
    those of groups are wanted, where the offsets name groups.
    """
    for rows in row_chunks(X.shape[0], scores_per_row):
        part = X if rows.stop - rows.start == X.shape[0] else X[rows]
        features, embedded = _features(network, part)
        offsets = _offsets(network, beside, part, embedded)
        n = part.shape[0]
        step = max(MIN_BLOCK_ROWS, BLOCK_SCORES // scores_per_row)
        few_groups = by_group and offsets is not None and offsets.groups() is not None
        if few_groups or scores_per_row < network.spec.n_labels:
            step = n
        for start in range(0, n, step):
            block = slice(start, min(start + step, n))
            taken = offsets if step >= n or offsets is None else offsets.take(block)
            with network.head.shifted(taken) as head:
                own = slice(rows.start + start, rows.start + block.stop)
                yield own, head, _take(features, block)


@torch.inference_mode()
def topk(network, beside, X, k, exact=False):
    """Return the k best positions of each row and their log-probabilities.

    Both of shape (n, k), best first.
    """
    if network.training:  # to tell each layer takes a while
        network.eval()
    n = X.shape[0]
    positions = np.empty((n, k), dtype=np.int64)
    scores = np.empty((n, k), dtype=np.float32)
    n_scores = network.head.n_scores(k) + _n_added(network, beside)
    for rows, head, features in _blocks(network, beside, X, n_scores, not exact):
        best, score = head.topk(features, k, exact=exact)
        positions[rows], scores[rows] = best.cpu().numpy(), score.cpu().numpy()
    return positions, scores


@torch.inference_mode()
def log_prob(network, beside, X, columns):
    """Return the log-probability of every label, float64 of shape (n, n_labels).

    ``columns[label]`` is the label's position. Computed in float64: a row's result
    then does not depend on which rows come with it, for which matrix products
    choose another order of summation, and probabilities stay apart where their
    logarithms do.
    """
    network.eval().double()
    result = np.empty((X.shape[0], len(columns)))
    # Scores, log-probabilities and the reordered copy are held at a time.
    for rows, head, features in _blocks(network, beside, X, 8 * len(columns)):
        result[rows] = head.log_prob(features).cpu().numpy()[:, columns]
    return result


@torch.inference_mode()
def above(network, beside, X, threshold, order):
    """Return the labels of more than a log-probability as a CSR indicator.

    ``order[position]`` is the label at a position.
    """
    network.eval()
    n, n_labels = X.shape[0], len(order)
    samples, labels = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for rows, head, features in _blocks(network, beside, X, 4 * n_labels):
        sample, position = head.above(features, threshold)
        samples.append(sample.cpu().numpy() + rows.start)
        labels.append(order[position.cpu().numpy()])
    samples, labels = np.concatenate(samples), np.concatenate(labels)
    indicator = sp.csr_array(
        (np.ones(len(samples), dtype=np.int64), (samples, labels)), shape=(n, n_labels)
    )
    indicator.sort_indices()
    return indicator


@torch.inference_mode()
def features(network, X):
    """Return the backbone's features of each row, float32 of shape (n, d)."""
    network.eval()
    result = np.empty((X.shape[0], network.head.in_features), np.float32)
    for rows in row_chunks(X.shape[0], network.head.in_features):
        result[rows] = _features(network, X[rows])[0].cpu().numpy()
    return result
