"""How the parts of a model fit each other, before anything is predicted with them.

What a file holds may be of the right types and still not belong together. What NumPy
and torch check when it is used is not checked here; SciPy, for one, checks no indices.
"""

from typing import Any

import numpy as np
import torch

from skmhe.estimators.fitting import Fitted
from skmhe.io.container import Refused, require
from skmhe.io.fields import check_below, check_shape, check_starts
from skmhe.io.transformers import check_blueprint
from skmhe.nn.search import FlatSearch
from skmhe.scorers.backbone_features import BackboneFeatures
from skmhe.scorers.centroids import DenseCentroids
from skmhe.scorers.linear.tables import DenseLevel, SparseLevel
from skmhe.scorers.model import Model
from skmhe.scorers.network import Network, NetworkSpec, Weights, network_from_weights
from skmhe.scorers.parts import part_of

CPU = torch.device("cpu")
# Layers that may be without weights of their own.
MAX_SMALL = 64
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def check_fitted(fitted: Fitted, n_features: int | None) -> None:
    """Require that all parts of a fitted estimator are of one model.

    `n_features` is that of the samples, None of those that have parts or another form.
    """
    model, form = fitted.model, fitted.form
    n_labels = model.codec.n_labels
    require(len(form.classes) == n_labels, "it has another number of labels and codes")
    first = fitted.n_first_labels
    require(first <= n_labels, "it began with more labels than it has")
    search = model.search
    same = search.n_labels <= n_labels and search.multilabel == form.multilabel
    # Memory is allocated for all children of a node, and all labels of a group.
    largest = max(*search.head_sizes, search.group_size)
    require(same and largest <= n_labels, "its search is one for other labels")
    of_network, of_linear = fitted.widths or (n_features, n_features)
    network = None
    if model.spec is None:
        require(model.linear is not None, "it has neither a network nor classifiers")
    else:
        network = check_network(model.spec, model.weights, of_network)
        require(network.head.search == search, "its search is not that of its network")
    if model.mix is not None:
        weights = model.mix.weights._asdict()
        some = any(weights[name] for name in model.scorer_names)
        require(some, "it adds nothing up")
    _check_linear(model, of_linear)
    _check_centroids(model, of_linear)
    _check_labels(model, of_linear)
    _check_state(fitted, network)


def check_network(spec: NetworkSpec, weights: Weights, n_features: Any) -> Network:
    """Return a network that weights fit, of names and shapes, on no device.

    That of a user is on the CPU, with its weights.
    """
    if spec.user_backbone is None:
        require(spec.n_features == n_features, "its network takes other features")
    sizes = spec.head.options.get("head_sizes", ())
    # A layer takes thousands of bytes even if it has no weights yet.
    few = isinstance(sizes, tuple) and (
        len(spec.hidden_layer_sizes + sizes) <= MAX_SMALL + len(weights)
    )
    require(few, "its network has more layers than weights")
    has_users, hint = _check_users(spec, weights), ""
    if has_users:
        hint = ". Pass in trusted what made the network when it was saved"
    try:
        if has_users:
            return network_from_weights(spec, weights, CPU)
        with torch.device("meta"):
            network = Network(spec)
    except (RuntimeError, TypeError, ValueError) as error:
        raise Refused(
            f"its weights are not those of its network ({type(error).__name__}: "
            f"{error}){hint}"
        ) from error
    expected = network.state_dict()
    require(expected.keys() == weights.keys(), "its network has other weights")
    for name, tensor in expected.items():
        check_shape(f"its {name}", weights[name], tuple(tensor.shape))
        require(weights[name].dtype == np.float32, f"its {name} are no float32")
    return network


def _check_users(spec: NetworkSpec, weights: Weights) -> bool:
    """Look at how networks of users are made; return whether there are any."""
    of_labels = spec.encoder and spec.encoder.user_backbone
    users = {"backbone": spec.user_backbone, "label_backbone": of_labels}
    for name, user in users.items():
        if user is not None:
            prefix = f"{name}.module."
            own = {n: a for n, a in weights.items() if n.startswith(prefix)}
            check_blueprint(user, own, prefix)
    return any(user is not None for user in users.values())


def check_backbone_features(made: BackboneFeatures) -> None:
    """Require that weights fit a backbone."""
    check_blueprint(made.user, made.weights)
    try:
        made.module(CPU)
    except (RuntimeError, TypeError, ValueError) as error:
        raise Refused(f"its weights are not those of its backbone ({error})") from error


def _check_linear(model: Model, n_features: Any) -> None:
    levels, search = model.linear, model.search
    scaling = model.scaling
    if scaling is not None:
        for name, values in scaling._asdict().items():
            check_shape(f"{name} of its scaling", values, (n_features,))
    if levels is None:
        require(model.n_linear == 0, "it counts classifiers that are not there")
        return
    require(levels and n_features, "it has no levels of linear classifiers")
    width, n_nodes = n_features + (scaling is not None), 1
    for level in levels:
        n_parents, size = level.intercepts.shape
        require(0 < n_parents <= n_nodes and size, "its linear classifiers are no tree")
        if isinstance(level, DenseLevel):
            check_shape("its weights", level.weights, (n_parents, width, size))
        else:
            _check_level(level, width)
        n_nodes = n_parents * size
    known = 0 < model.n_linear <= min(n_nodes, search.n_labels)
    require(known, "its linear classifiers are of other labels")
    is_dense = {isinstance(level, DenseLevel) for level in levels}
    require(len(is_dense) == 1, "its linear classifiers are of two forms")
    if len(levels) > 1:
        sizes = [level.intercepts.shape[1] for level in levels]
        same = sizes[-1] == search.group_size or len(search.head_sizes) == 1
        if search.steered:
            expected = list(search.head_sizes)
            same = sizes[1:] == expected[1:] and sizes[0] <= expected[0]
        require(same, "its linear classifiers are of another tree")


def _check_level(level: SparseLevel, n_features: int) -> None:
    n_parents, size = level.intercepts.shape
    n_rows, n_weights = len(level.features), len(level.children)
    require(len(level.values) == n_weights, "one of its tables has too few weights")
    check_starts("node_rows of its tables", level.node_rows, n_parents, n_rows)
    check_starts("indptr of its tables", level.indptr, n_rows, n_weights)
    check_below("features of its tables", level.features, n_features)
    check_below("children of its tables", level.children, size)


def _check_centroids(model: Model, n_features: Any) -> None:
    spec, centroids = model.spec, model.centroids
    completes = spec is not None and spec.centroid_scale is not None
    require(completes == (centroids is not None), "its centroids are not its network's")
    if centroids is None:
        return
    search = model.search
    require(centroids.n_labels == search.n_labels, "its centroids are of other labels")
    if isinstance(centroids, DenseCentroids):
        of_rows = search.n_labels, n_features
        check_shape("the table of its centroids", centroids.rows, of_rows)
        return
    assert isinstance(search, FlatSearch)
    n_groups = -(-search.n_labels // search.group_size)
    tables = [(centroids.level, (n_groups, search.group_size))]
    summary = centroids.summary
    require((summary is None) == search.multilabel, "its centroids are of another task")
    if summary is not None:
        tables.append((summary, (1, n_groups + len(search.spread(CPU)))))
    for level, shape in tables:
        check_shape("the table of its centroids", level.intercepts, shape)
        _check_level(level, n_features)


def _check_labels(model: Model, n_features: Any) -> None:
    """Look at what is known of the labels: their features, and what is made of them."""
    Z, spec, n_labels = model.label_features, model.spec, model.codec.n_labels
    for name in ("pair_counts", "own_label_counts"):
        counts = getattr(model, name)
        check_shape(name, counts, (2,))
        valid = (counts >= 0).all() and np.isfinite(counts).all()
        require(valid, f"its {name} are no numbers of samples")
    require(model.pair_counts[1] > 0, "it has seen no samples")
    has_late = model.search.n_labels < n_labels
    if Z is None:
        encoder = spec is not None and spec.encoder is not None
        alone = encoder or has_late or model.label_table is not None
        require(not alone, "its labels have no features")
        return
    require(Z.shape[0] == n_labels, "it has features of another number of labels")
    require(spec is not None or not has_late, "its late labels have no network")
    if spec is not None and spec.encoder is not None and spec.label_network is None:
        rows: Any = part_of(Z, "network")
        width = spec.encoder.n_features or spec.n_features
        same = rows.ndim == 2 and rows.shape[1] == width
        require(same, "its label encoder takes other features")
    if model.labels_are_like_samples:
        rows = model.label_rows
        same = rows.ndim == 2 and rows.shape[1] == n_features
        require(same, "its features of labels are not like samples")
    table = None if model.label_table is None else model.label_table.known
    if table is not None:
        layer = model.weights.get("encoder.label_map.weight")
        made = None if layer is None else len(layer)
        fits = len(table) <= n_labels and table.shape[1] == made
        require(fits, "what its label encoder has made is of other labels")


def _check_state(fitted: Fitted, network: Network | None) -> None:
    """Look at what training goes on from."""
    moments, counts = fitted.state.moments, fitted.state.label_counts
    if counts is not None:
        of_labels, total = counts
        is_array = isinstance(of_labels, np.ndarray)
        valid = is_array and of_labels.ndim == 1 and isinstance(total, int | np.number)
        valid = valid and len(of_labels) <= fitted.model.codec.n_labels
        require(valid, "its numbers of samples are not of its labels")
    if moments is None:
        return
    require(network is not None, "it has an optimizer's moments, but no network")
    assert network is not None
    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    for place, state in moments.items():
        require(place < len(shapes), "it has moments of other parameters")
        for name, values in state.items():
            fits = values.shape == shapes[place][: values.ndim]
            require(fits and name in MOMENTS, f"its moments {name!r} do not fit")
