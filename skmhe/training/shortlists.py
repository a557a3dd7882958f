"""Labels nearest to samples, by the product of their embeddings."""

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor

# Finds the k labels nearest to samples (n, d): positions of shape (n, k).
Find = Callable[[Tensor, int], np.ndarray]

# Beyond this many labels "auto" searches approximately, where faiss is installed: exact
# search then takes about a millisecond per sample.
MAX_EXACT_LABELS = 100_000
# Lists of an inverted file for each root of the number of labels, and the share of them
# that is probed. See bench_search.py: about 0.8 of the labels, four times as fast.
LISTS_PER_ROOT = 2
PROBED_SHARE = 0.05
# Labels per list that k-means is given, and its iterations.
TRAINED_PER_LIST = 40
N_KMEANS = 5


def resolve_search(search: str, n_labels: int) -> str:
    """Return "exact" or "approximate", which the parameter `shortlist_search` asks for.

    Raises ImportError for an approximate search where faiss is not installed.
    """
    if search == "exact" or (search == "auto" and n_labels <= MAX_EXACT_LABELS):
        return "exact"
    try:
        import faiss  # noqa: F401
    except ImportError as error:
        if search == "auto":
            return "exact"
        raise ImportError(
            "shortlist_search='approximate' needs faiss, which is not installed: "
            "install it with pip install 'skmhe[search]', or use "
            "shortlist_search='exact'."
        ) from error
    return "approximate"


def exact_search(labels: Tensor) -> Find:
    """Return what finds the labels of the largest products, nearest first."""

    def find(samples: Tensor, k: int) -> np.ndarray:
        return (samples @ labels.T).topk(k, dim=1).indices.cpu().numpy()

    return find


def approximate_search(labels: Tensor) -> Find:
    """Return what `exact_search` does, but most of the nearest labels are found only.

    An inverted file: k-means divides the labels into lists, and a sample is compared
    with those of the nearest few. It is built in seconds, as shortlists are found anew
    every few epochs, and always in the same way. On the CPU, wherever the labels are.
    """
    import faiss

    vectors = np.ascontiguousarray(labels.float().cpu().numpy())
    n_labels, d = vectors.shape
    n_lists = min(max(1, round(LISTS_PER_ROOT * math.sqrt(n_labels))), n_labels)
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(d), d, n_lists, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter, index.cp.spherical = N_KMEANS, True
    index.cp.min_points_per_centroid = 1
    # The labels' order may be that of clusters: they are taken at regular distances.
    index.train(vectors[:: max(1, n_labels // (n_lists * TRAINED_PER_LIST))])
    index.add(vectors)

    def find(samples: Tensor, k: int) -> np.ndarray:
        queries = np.ascontiguousarray(samples.float().cpu().numpy())
        index.nprobe = max(1, math.ceil(PROBED_SHARE * n_lists))
        while True:
            found = index.search(queries, k)[1]
            # Fewer labels than k in the lists: -1.
            if (found >= 0).all() or index.nprobe >= n_lists:
                return found
            index.nprobe = min(2 * index.nprobe, n_lists)

    return find


SEARCHES = {"exact": exact_search, "approximate": approximate_search}
