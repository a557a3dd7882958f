"""Backbones that tests bring."""

import torch
from torch import nn


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
    """Does something to the features, to see what is said of it."""

    def __init__(self, change):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.change = change

    def forward(self, inputs):
        return self.change(self.scale * inputs)
