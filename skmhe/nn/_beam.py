"""Exact search for the best labels among independent heads."""

import torch


def last_label_prefixes(n_labels, head_sizes):
    """Return the last label's prefixes of 1, 2, .. H digits, as integers."""
    prefixes, prefix = [], n_labels - 1
    for size in reversed(head_sizes):
        prefixes.append(prefix)
        prefix //= size
    assert prefix == 0, "the codes cannot hold the labels"
    return prefixes[::-1]


def product_topk(log_probs, last_prefixes, k):
    """Find the k labels of the largest sum of the heads' log-probabilities.

    Codes beyond the last label name no label. A prefix below the last label's can
    be completed by any digits, so no more than k of these can lead to the top k;
    the last label's own prefix, whose completions are limited, is kept beside
    them. Prefixes beyond it are never kept. Filtering unused codes after the
    search instead would lose labels.

    Parameters
    ----------
    log_probs : list of Tensor of shape (n, L_h)
        Log-probabilities of each head's digits.
    last_prefixes : list of int
        The last label's prefixes of 1..H digits.
    k : int
        Number of labels.

    Returns
    -------
    labels : Tensor of int64, of shape (n, k)
        Labels, best first.
    scores : Tensor of shape (n, k)
        Their sums.
    """
    n = len(log_probs[0])
    # shape: (n, n_prefixes)
    prefixes = torch.zeros(n, 1, dtype=torch.int64, device=log_probs[0].device)
    scores = log_probs[0].new_zeros(n, 1)
    n_heads = len(log_probs)
    for h, head in enumerate(log_probs):
        size = head.shape[1]
        digits = torch.arange(size, device=head.device)
        prefixes = (prefixes[:, :, None] * size + digits).flatten(1)
        scores = (scores[:, :, None] + head[:, None, :]).flatten(1)
        last = last_prefixes[h]
        if h == n_heads - 1:
            scores = scores.masked_fill(prefixes > last, -torch.inf)
            scores, kept = scores.topk(k, dim=1)
            return prefixes.gather(1, kept), scores
        # The last label's prefix occurs once in every row: move it aside.
        is_last = prefixes == last
        last_score = scores.masked_fill(~is_last, -torch.inf).amax(1, keepdim=True)
        scores = scores.masked_fill(prefixes >= last, -torch.inf)
        scores, kept = scores.topk(min(k, last, scores.shape[1]), dim=1)
        prefixes = torch.cat(
            [prefixes.gather(1, kept), torch.full_like(prefixes[:, :1], last)], dim=1
        )
        scores = torch.cat([scores, last_score], dim=1)
    raise AssertionError("there is at least one head")


@torch.no_grad()
def kept_prefixes(log_p, samples, true, n_samples, width, is_table):
    """Return which prefixes are expanded in training: the true ones and the best.

    Parameters
    ----------
    log_p : Tensor of shape (n_pairs,) or any other that is flattened to it
        Log-probabilities of (sample, prefix) pairs.
    samples : Tensor of int64, of shape (n_pairs,)
        The pairs' samples.
    true : Tensor of int64
        Indices of true pairs.
    n_samples, width : int
        Number of samples, and of the prefixes that are kept of each.
    is_table : bool
        Whether `log_p` has a row for each sample, with the same prefixes.

    Returns
    -------
    Tensor of int64
        Sorted indices into the flattened `log_p`.
    """
    log_p = log_p.flatten()
    keep = torch.zeros_like(log_p, dtype=torch.bool)
    if is_table:
        table = log_p.view(n_samples, -1)
        best = table.topk(min(width, table.shape[1]), dim=1).indices
        start = torch.arange(n_samples, device=best.device)[:, None]
        keep[(start * table.shape[1] + best).flatten()] = True
    else:
        # Samples have unequal numbers of prefixes: rank them within the sample.
        order = torch.argsort(log_p, descending=True, stable=True)
        order = order[torch.argsort(samples[order], stable=True)]
        counts = torch.bincount(samples, minlength=n_samples)
        starts = (counts.cumsum(0) - counts)[samples[order]]
        ranks = torch.arange(len(order), device=order.device) - starts
        keep[order[ranks < width]] = True
        keep &= log_p > -torch.inf
    keep[true] = True
    return keep.nonzero().squeeze(1)
