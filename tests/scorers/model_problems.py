"""Specs, networks and models of 11 labels, with weights at random."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skmhe.labels import LabelCodec
from skmhe.nn import CascadeHead, FullHead, ProductHead, SamplingHead
from skmhe.scorers.linear import fit_levels
from skmhe.scorers.model import Model, Settings
from skmhe.scorers.network import (
    EncoderSpec,
    HeadSpec,
    Network,
    NetworkSpec,
    weights_to_numpy,
)
from skmhe.scorers.training_centroids import fit_centroids

CPU, META = torch.device("cpu"), torch.device("meta")
N_LABELS, N_FEATURES, HEAD_SIZES = 11, 6, (4, 3)
SETTINGS = Settings()
KINDS = [
    ("full", False),
    ("cascade", False),
    ("product", False),
    ("sampling", False),
    ("full", True),
    ("cascade", True),
    ("sampling", True),
]
kinds = pytest.mark.parametrize(("kind", "multilabel"), KINDS)


def log_prob(search, scores):
    return search.log_prob(scores)


def head_spec(kind, multilabel=False, n_labels=N_LABELS, head_sizes=HEAD_SIZES):
    options = {"n_labels": n_labels, "multilabel": multilabel}
    if kind == "full":
        return HeadSpec(FullHead, options)
    if kind == "sampling":
        options |= {"group_size": head_sizes[-1], "n_sampled_groups": 2}
        return HeadSpec(SamplingHead, options)
    options["head_sizes"] = head_sizes
    if kind == "product":
        del options["multilabel"]
        return HeadSpec(ProductHead, options | {"rank": 2})
    return HeadSpec(CascadeHead, options | {"beam_width": 10})


def make_spec(
    kind="cascade", multilabel=False, sizes=(N_LABELS, HEAD_SIZES), **changes
):
    spec = NetworkSpec(
        N_FEATURES, head_spec(kind, multilabel, *sizes), (5,), (0.5, 0.5)
    )
    return spec._replace(**changes)


def make_network(spec, seed=0):
    """Return a network in evaluation mode, with parameters from the normal."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        network = Network(spec)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_()
    return network.eval()


def make_model(kind="cascade", multilabel=False, order=None, spec=None, **parts):
    """Return a model of a network alone, or with other parts."""
    spec = make_spec(kind, multilabel) if spec is None else spec
    n_labels, head = spec.head.options["n_labels"], spec.head
    head_sizes = head.options.get("head_sizes", (n_labels,))
    codec = LabelCodec(n_labels, head_sizes)
    if order is not None:
        codec = codec.extend(order)
    weights = weights_to_numpy(make_network(spec))
    # 3.5 labels per sample.
    counts = np.array([7, 2])
    return Model(codec, head.search, spec, weights, pair_counts=counts, **parts)


def make_rows(n=20, seed=0):
    return np.random.RandomState(seed).randn(n, N_FEATURES).astype(np.float32)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_whole_model(kind="full", multilabel=False, shares=True, n_late=2):
    """Return a model of all scorers, some labels of which came later."""
    has_centroids = kind != "cascade"
    rng, n = np.random.RandomState(0), 66
    sizes = (N_LABELS,) if kind == "full" else HEAD_SIZES
    samples, labels = unit(make_rows(n, seed=3)), np.arange(n) % N_LABELS
    Y = np.eye(N_LABELS, dtype=np.float32)[labels]
    if multilabel:
        Y[np.arange(n), rng.randint(N_LABELS, size=n)] = 1
    Y = sp.csr_array(Y)
    Z = unit(make_rows(N_LABELS + n_late, seed=4))
    spec = make_spec(
        kind,
        multilabel,
        centroid_scale=3.0 if has_centroids else None,
        encoder=EncoderSpec(0.1, None if shares else N_FEATURES),
    )
    centroids = None
    if has_centroids:
        centroids = fit_centroids(samples, Y).for_predictions(spec.head.search)
    model = make_model(
        spec=spec,
        order=rng.permutation(N_LABELS),
        linear=fit_levels(samples, Y, sizes, 1.0, 0.0)[0],
        n_linear=N_LABELS,
        centroids=centroids,
        label_features=Z[:N_LABELS],
        labels_are_like_samples=shares,
        own_label_counts=np.array([1, 5]),
    )
    order = np.append(model.codec.order, np.arange(N_LABELS, N_LABELS + n_late))
    return model.extend(model.codec.extend(order), Z[N_LABELS:])
