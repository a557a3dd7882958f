"""Networks of users, data for them, and estimators with them."""

import numpy as np
import torch
from torch import nn

from skmhe import Backbone, MHEClassifier, MHEMultiLabelClassifier, Sampling
from skmhe.scorers.network import network_from_weights

N, N_LABELS = 120, 6
STRATEGIES = {
    "cascade": "cascade",
    "product": "product",
    "sampling": Sampling(n_sampled_groups=2),
    "full": "full",
}


class Dense(nn.Module):
    """A hidden layer, with statistics and dropout."""

    def __init__(self, width=8, n_features=6, dropout=0.0):
        super().__init__()
        self.first = nn.Linear(n_features, width)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(width, width)

    def forward(self, inputs):
        hidden = self.dropout(torch.relu(self.norm(self.first(inputs))))
        return torch.relu(self.second(hidden))


class Images(nn.Module):
    """A convolution of images (n, 1, h, w)."""

    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)

    def forward(self, images):
        return torch.relu(self.conv(images)).amax((2, 3))


class Tokens(nn.Module):
    """The mean of embeddings of tokens (n, length), of which 0 is padding."""

    def __init__(self, n_tokens=20, width=8):
        super().__init__()
        self.table = nn.Embedding(n_tokens, width, padding_idx=0)

    def forward(self, tokens):
        lengths = (tokens != 0).sum(1, keepdim=True).clamp(min=1)
        return self.table(tokens).sum(1) / lengths


class Scaled(nn.Module):
    """Does something to the features, to see what is said about it."""

    def __init__(self, change):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.change = change

    def forward(self, inputs):
        return self.change(self.scale * inputs)


MODULES = {"rows": Dense, "images": Images, "tokens": Tokens}


def make(cls=MHEClassifier, module=Dense, backbone=None, **params):
    """Return an estimator with a module, and parameters of its `Backbone`."""
    base = {
        "batch_size": 20,
        "learning_rate_init": 0.02,
        "random_state": 0,
        "device": "cpu",
    }
    return cls(backbone=Backbone(module, **(backbone or {})), **(base | params))


def make_data(kind="rows", cls=MHEClassifier):
    """Return samples that are easy to tell apart, and their labels."""
    rng = np.random.RandomState(0)
    y = rng.permutation(np.arange(N) % N_LABELS)
    if kind == "rows":
        X = 2 * np.eye(N_LABELS)[y] + 0.3 * rng.randn(N, N_LABELS)
    elif kind == "images":
        patterns = rng.randn(N_LABELS, 1, 5, 4)
        X = patterns[y] + 0.2 * rng.randn(N, 1, 5, 4)
    else:
        # Three words of each label, at any place, and padding.
        X = 1 + 3 * y[:, None] + rng.randint(3, size=(N, 7))
        X[np.arange(7) >= rng.randint(3, 8, size=(N, 1))] = 0
    if cls is MHEMultiLabelClassifier:
        y = np.eye(N_LABELS, dtype=int)[y]
    return X, y


def weights(clf):
    """Return the fitted network's weights by name, the module's without a prefix."""
    found = clf._fitted.model.weights
    return {name.removeprefix("backbone.module."): w for name, w in found.items()}


def network(clf):
    """Return the fitted network."""
    model = clf._fitted.model
    return network_from_weights(model.spec, model.weights, torch.device("cpu"))
