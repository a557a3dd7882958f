"""What the network of an estimator costs with some number of labels, without a fit."""

from typing import Any

import torch
from sklearn.base import clone

from skmhe.estimators.recipe import make_recipe
from skmhe.estimators.resolution import make_setting, resolve_strategy
from skmhe.estimators.short_forms import EstimatorParameters
from skmhe.estimators.table import check_contradictions
from skmhe.estimators.validation.samples import check_fit_samples
from skmhe.labels.codec import balanced_head_sizes, check_head_sizes
from skmhe.scorers.linear import Work, n_tree_levels
from skmhe.scorers.network import Network
from skmhe.scorers.parts import part_of


def network_costs(estimator: Any, X: Any, n_labels: int) -> tuple[int, int]:
    """Return the network's parameters, and multiply-adds to find a sample's best label.

    Of samples like those of X, and of one label each. No memory is allocated for the
    weights.
    """
    name = type(estimator).__name__
    if not isinstance(estimator, EstimatorParameters):
        raise TypeError(
            f"{name} has no network whose size is known: pass an MHEClassifier or "
            "MHEMultiLabelClassifier, or measure others by from_fits."
        )
    if estimator.model == "linear" or estimator.backbone is not None:
        wrong = "model='linear'" if estimator.model == "linear" else "a backbone"
        raise ValueError(
            f"The cost of {name} with {wrong} depends on more than numbers of labels "
            "and features: measure it by from_fits, or use model='network' or 'both' "
            "without a backbone."
        )
    estimator = clone(estimator)
    estimator._validate_params()
    X = check_fit_samples(estimator, X, has_backbone=False)
    (n, n_features), n_stored = part_of(X, "network").shape, part_of(X, "network").size
    work = Work(n, part_of(X, "linear").size, n, n_labels)
    strategy, n_heads = resolve_strategy(estimator, n_labels, n_tree_levels(work))
    setting = make_setting(
        estimator,
        strategy,
        n_labels=n_labels,
        multilabel=estimator._accepts_multilabel,
        n_samples=n,
        n_features=n_features,
    )
    check_contradictions(setting)
    if n_heads is None:
        head_sizes = check_head_sizes(estimator.head_sizes, n_labels)
    else:
        head_sizes = balanced_head_sizes(n_labels, n_heads)
    spec = make_recipe(setting, head_sizes, None).spec
    assert spec is not None
    with torch.device("meta"):
        network = Network(spec)
    n_parameters = sum(table.numel() for table in network.parameters())
    return n_parameters, round(network.multiply_adds(n_stored / n))
