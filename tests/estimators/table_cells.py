"""Settings of the table of parameters, as estimators on tiny data, and changed values.

A *cell* is a parameter in a setting: one that is used changes the result of fitting and
predicting when its value is changed, one that is unused does not, and a contradiction
raises an error.
"""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from skmhe import (
    Backbone,
    Cascade,
    Full,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Parts,
    Product,
    Sampling,
)
from skmhe.estimators import fitting
from skmhe.estimators.resolution import make_setting, resolve_strategy
from skmhe.scorers.linear import Work

N_LABELS, N_FEATURES, N = 12, 6, 24
STRATEGIES = {
    "full": Full(),
    "product": Product(),
    "cascade": Cascade(),
    "sampling": Sampling(n_sampled_groups=2),
}
# Calls of fit and of partial_fit, which is an epoch, that it takes to see a parameter.
N_FITS = {"warm_start": 2}
N_EPOCHS = {
    "label_encoder__n_shortlisted": 2,
    "label_encoder__shortlist_size": 2,
    "label_encoder__shortlist_refresh": 3,
    "label_encoder__shortlist_search": 2,
    "label_encoder__neighbor_batches": 2,
}


class Dense(nn.Module):
    """A user's network."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Linear(N_FEATURES, width)

    def forward(self, inputs):
        return torch.relu(self.first(inputs))


class Wide(Dense):
    """Another one."""

    def __init__(self):
        super().__init__(width=9)


class Case(NamedTuple):
    """A setting."""

    strategy: str
    model: str
    multilabel: bool
    given: str  # "nothing", "label_features", "backbone" or "parts" (with a backbone)
    method: str

    def __str__(self):
        y = "multilabel" if self.multilabel else "1-D"
        return f"{self.strategy}-{self.model}-{y}-{self.given}-{self.method}"

    @property
    def cls(self):
        return MHEMultiLabelClassifier if self.multilabel else MHEClassifier

    def estimator(self, params):
        """Return the estimator of this setting, with some parameters changed."""
        base = {
            "strategy": STRATEGIES[self.strategy],
            "model": self.model,
            "linear": LinearTree(),
            "label_encoder": LabelEncoder(),
            "hidden_layer_sizes": (8,),
            "dropout": 0.0,
            "batch_size": 12,
            "learning_rate_init": 0.05,
            "max_iter": 2,
            "random_state": 0,
            "device": "cpu",
            "dtype": "float32",
        }
        if self.given in ("backbone", "parts"):
            base["backbone"] = Backbone(Dense)
        clf = self.cls(**base)
        plain = {name: value for name, value in params.items() if "__" not in name}
        # Objects of this module are not to be changed.
        return clf.__sklearn_clone__().set_params(**plain).set_params(**params)

    def setting(self, params):
        """Return the same for the table."""
        clf = self.estimator(params)
        # As many levels as fitting finds.
        n_levels = 1
        if self.given != "backbone":
            n_levels = fitting.n_tree_levels(Work(N, N, N, N_LABELS))
        strategy, _ = resolve_strategy(clf, N_LABELS, n_levels)
        return make_setting(
            clf,
            strategy,
            n_labels=N_LABELS,
            multilabel=self.multilabel,
            has_parts=self.given == "parts",
            n_label_features=0 if self.given == "label_features" else None,
            is_partial_fit=self.method == "partial_fit",
            n_tree_levels=n_levels,
        )

    def n_calls(self, name):
        """Return how many times to fit to see a parameter."""
        return (N_FITS if self.method == "fit" else N_EPOCHS).get(name, 1)

    def fit(self, params, n_calls=1):
        """Fit, `n_calls` times."""
        X, y = data(self.multilabel)
        Z = label_features() if self.given == "label_features" else None
        clf, X = self.estimator(params), self.samples(X)
        for _ in range(n_calls):
            if self.method == "fit":
                clf.fit(X, y, label_features=Z)
            else:
                clf.partial_fit(X, y, classes=np.arange(N_LABELS), label_features=Z)
        return clf

    def samples(self, X):
        """Return X in the form of this setting."""
        return Parts(network=X, linear=X) if self.given == "parts" else X

    def result(self, params, n_calls=1):
        """Return all that a parameter could change, to the last bit."""
        clf, X = self.fit(params, n_calls), self.samples(MORE_SAMPLES)
        labels, probabilities = clf.predict_topk(X, 4)
        result = [clf.predict_proba(X), labels, probabilities]
        if hasattr(clf, "transform"):
            result.append(clf.transform(X))
        scores = getattr(clf, "validation_scores_", None)
        facts = clf.n_iter_, getattr(clf, "loss_curve_", None), scores
        return [array.tobytes() for array in result], facts


# So many that a narrow beam loses the best labels of some.
MORE_SAMPLES = np.random.RandomState(2).randn(150, N_FEATURES).astype(np.float32)


def data(multilabel):
    """Return samples that are hard to tell apart, of labels that are not balanced."""
    rng = np.random.RandomState(0)
    y = np.minimum(np.arange(N) % N_LABELS, rng.permutation(N) % N_LABELS)
    y[:N_LABELS] = np.arange(N_LABELS)
    centers = rng.randn(N_LABELS, N_FEATURES)
    X = (centers[y] + rng.randn(N, N_FEATURES)).astype(np.float32)
    if not multilabel:
        return X, y
    Y = np.eye(N_LABELS, dtype=int)[y]
    Y[np.arange(N), (y + 3) % N_LABELS] = 1
    Y[np.arange(N), (y + 5) % N_LABELS] = 1
    return X, Y


def label_features():
    """Return features of the labels, as many as those of samples."""
    return np.random.RandomState(1).randn(N_LABELS, N_FEATURES)


ALL_CASES = [
    Case(*values)
    for values in itertools.product(
        STRATEGIES,
        ["both", "linear", "network"],
        [False, True],
        ["nothing", "label_features", "backbone", "parts"],
        ["fit", "partial_fit"],
    )
    # model="linear" has no partial_fit.
    if not (values[1] == "linear" and values[4] == "partial_fit")
]

# For each parameter: what is set to make an effect visible, and changed values.
POOLS = {"label_encoder__pool_size": 8, "batch_size": 6, "max_iter": 3}
# So few positives that there is room for others.
ROOM = POOLS | {"label_encoder__n_positives": 1}
SHORTLISTS = ROOM | {"label_encoder__n_shortlisted": 1}
# Weights that do not move: the loss only falls by chance, where there is any.
STALLED = {"learning_rate_init": 1e-9, "max_iter": 9}
# Many prefixes, of unlike labels.
HARD = {"head_sizes": (6, 2), "label_order": "random", "learning_rate_init": 0.2}
CHANGES = {
    "strategy": ({}, ["full", "product", "cascade", "sampling"]),
    "model": ({}, ["both", "network", "linear"]),
    "effort": ({"max_iter": "auto"}, ["fast"]),
    "n_heads": ({}, [1, 2, 3]),
    "head_sizes": ({}, [(2, 6), (12,)]),
    "label_order": ({}, ["random"]),
    "linear": ({}, [LinearTree(C=0.01)]),
    "label_encoder": ({}, [LabelEncoder(loss_weight=0.5)]),
    "combination": (
        {},
        [
            {"network": 1, "linear": 3},
            {"network": 1, "label_encoder": 3},
            {"network": 1, "linear": 1, "label_encoder": 0},
        ],
    ),
    "backbone": ({}, [None, Backbone(Wide), Wide]),
    "hidden_layer_sizes": ({}, [5, ()]),
    "dropout": ({}, [0.5, (0.5, 0.0), (0.0, 0.5)]),
    "batch_size": ({}, [7]),
    "learning_rate": ({}, ["constant"]),
    "learning_rate_init": ({}, [0.01]),
    "max_iter": ({}, [3]),
    "class_weight": ({}, [{2: 9.0}, "balanced"]),
    "early_stopping": ({}, [True, 0.4]),
    "n_iter_no_change": (STALLED, [1]),
    "warm_start": ({}, [True]),
    "random_state": ({"label_order": "random"}, [1]),
    "verbose": ({}, [True]),
    "device": ({}, ["nonsense"]),
    "dtype": ({}, ["bfloat16"]),
    "strategy__margin": ({}, ["arcface"]),
    "strategy__rank": ({}, [3]),
    "strategy__beam_width": (HARD, [1]),
    "strategy__hard_negatives": ({}, [True, False]),
    "strategy__n_sampled_groups": ({}, [1]),
    "strategy__pool_labels": ({}, ["own_group", "batch_and_own_group"]),
    "linear__C": ({}, [0.01]),
    "linear__centroid_prior": ({}, [0.0]),
    "linear__beam_width": ({"label_order": "random"}, [1]),
    "label_encoder__loss_weight": ({}, [0.5, 0.0]),
    "label_encoder__backbone": ({}, [None]),
    "label_encoder__pool_size": ({}, [5]),
    "label_encoder__n_positives": (POOLS, [1]),
    "label_encoder__n_shortlisted": (ROOM, [2]),
    "label_encoder__shortlist_size": (SHORTLISTS, [2]),
    "label_encoder__shortlist_refresh": (SHORTLISTS, [1]),
    "label_encoder__shortlist_search": (SHORTLISTS, ["approximate"]),
    "label_encoder__neighbor_batches": (POOLS, [True]),
    "label_encoder__score_with": ({}, ["classifier", "encoder"]),
    "backbone__module": ({}, [Wide]),
    "backbone__freeze": ({}, [True]),
    "backbone__learning_rate": ({}, [0.001]),
    "backbone__weight_decay": ({}, [5.0]),
    "backbone__max_grad_norm": ({}, [0.01]),
    "backbone__averaging_decay": ({}, [0.5]),
}
