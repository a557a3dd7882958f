"""Predictions for all rows of X, chunk by chunk."""

import numpy as np
import scipy.sparse as sp
import torch
from sklearn import get_config

from skmhe._network import rows_to_tensor

# Bounds the memory of features and of gathered rows, which scores do not count.
MAX_CHUNK_ROWS = 1024
BYTES_PER_SCORE = 4
BYTES_PER_MIB = 2**20


def row_chunks(n_rows, scores_per_row):
    """Yield slices of rows whose scores fit into scikit-learn's working memory."""
    memory = get_config()["working_memory"] * BYTES_PER_MIB
    fitting = int(memory // (scores_per_row * BYTES_PER_SCORE))
    step = max(1, min(MAX_CHUNK_ROWS, fitting))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _features(network, X, rows):
    weight = next(network.parameters())
    return network.backbone(rows_to_tensor(X[rows], weight.device, weight.dtype))


@torch.inference_mode()
def topk(network, X, k, exact=False):
    """Return the k best positions of each row and their log-probabilities.

    Both of shape (n, k), best first.
    """
    network.eval()
    n = X.shape[0]
    positions = np.empty((n, k), dtype=np.int64)
    scores = np.empty((n, k), dtype=np.float32)
    for rows in row_chunks(n, network.head.n_scores(k)):
        best, score = network.head.topk(_features(network, X, rows), k, exact=exact)
        positions[rows], scores[rows] = best.cpu().numpy(), score.cpu().numpy()
    return positions, scores


@torch.inference_mode()
def log_prob(network, X, columns):
    """Return the log-probability of every label, float64 of shape (n, n_labels).

    ``columns[label]`` is the label's position. Computed in float64: a row's result
    then does not depend on which rows come with it, for which matrix products
    choose another order of summation, and probabilities stay apart where their
    logarithms do.
    """
    network.eval().double()
    n = X.shape[0]
    result = np.empty((n, len(columns)))
    # Scores, log-probabilities and the reordered copy are held at a time.
    for rows in row_chunks(n, 8 * len(columns)):
        dense = network.head.log_prob(_features(network, X, rows))
        result[rows] = dense.cpu().numpy()[:, columns]
    return result


@torch.inference_mode()
def above(network, X, threshold, order):
    """Return the labels of more than a log-probability as a CSR indicator.

    ``order[position]`` is the label at a position.
    """
    network.eval()
    n, n_labels = X.shape[0], len(order)
    samples, labels = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for rows in row_chunks(n, 4 * n_labels):
        sample, position = network.head.above(_features(network, X, rows), threshold)
        samples.append(sample.cpu().numpy() + rows.start)
        labels.append(order[position.cpu().numpy()])
    samples, labels = np.concatenate(samples), np.concatenate(labels)
    indicator = sp.csr_array(
        (np.ones(len(samples), dtype=np.int64), (samples, labels)), shape=(n, n_labels)
    )
    indicator.sort_indices()
    return indicator
