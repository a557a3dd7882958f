"""The feed-forward backbone: sparse or dense samples to features."""

import math

import torch
from torch import nn

from skmhe.nn._rows import RowProduct, SparseRows

ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}

# Standard deviation of the first layer's outputs for a sample of unit length.
# Small: in the first epochs the features that a label needs are
# learned rather than drawn, which generalises better from few samples a label.
FIRST_LAYER_STD = 0.02


class InputLayer(nn.Module):
    """A linear layer whose input may be sparse.

    Parameters
    ----------
    n_features : int
        Number of input features.
    n_outputs : int
        Number of outputs.
    sparse_grad : bool, default=False
        Give the weight a sparse gradient that holds the rows of the features
        that occur in the batch, for an optimiser such as
        `skmhe.nn.RowAdamW`.

    Attributes
    ----------
    weight : Parameter of shape (n_features, n_outputs)
        Transposed with respect to `torch.nn.Linear`: a feature is a row.
    bias : Parameter of shape (n_outputs,)
        The bias.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import InputLayer, SparseRows
    >>> layer = InputLayer(5, 2)
    >>> rows = SparseRows(
    ...     indices=torch.tensor([0, 3, 4]),
    ...     offsets=torch.tensor([0, 2, 3]),
    ...     values=torch.tensor([1.0, 2.0, 3.0]),
    ...     n_features=5,
    ... )
    >>> dense = torch.tensor([[1.0, 0, 0, 2, 0], [0, 0, 0, 0, 3]])
    >>> torch.allclose(layer(rows), layer(dense))
    True
    """

    def __init__(self, n_features, n_outputs, sparse_grad=False):
        super().__init__()
        self.sparse_grad = sparse_grad
        self.weight = nn.Parameter(torch.empty(n_features, n_outputs))
        self.bias = nn.Parameter(torch.zeros(n_outputs))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the weight anew."""
        bound = FIRST_LAYER_STD * math.sqrt(3)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, inputs):
        """Map (n, n_features) inputs, dense or `SparseRows`, to (n, n_outputs)."""
        _check_width("inputs", inputs, len(self.weight))
        return RowProduct.apply(self.weight, inputs, self.sparse_grad) + self.bias

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        n_features, n_outputs = self.weight.shape
        return f"{n_features}, {n_outputs}, sparse_grad={self.sparse_grad}"


class InputDropout(nn.Dropout):
    """Dropout whose input may be sparse: it then drops stored values."""

    def forward(self, inputs):
        """Drop a share `p` of the inputs in training and scale up the others."""
        if isinstance(inputs, SparseRows):
            return inputs._replace(values=super().forward(inputs.values))
        return super().forward(inputs)


class Backbone(nn.Module):
    """Feed-forward network from samples to features.

    Parameters
    ----------
    n_features : int
        Number of input features.
    hidden_layer_sizes : sequence of int, default=(256,)
        Widths of the hidden layers. () passes the inputs on: the heads are then
        linear in them.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation after each hidden layer.
    dropout : float, default=0.0
        Share of each hidden layer's outputs that is dropped in training.
    input_dropout : float, default=0.0
        Share of the inputs that is dropped in training.
    sparse_grad : bool, default=False
        See `InputLayer`.
    input_scale : float, default=1.0
        Factor that the inputs are multiplied with, so that they have about unit
        length, as the first layer's starting values expect. Kept as a buffer.

    Attributes
    ----------
    out_features : int
        Number d of features that the backbone puts out.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import Backbone
    >>> Backbone(20, hidden_layer_sizes=(8, 4))(torch.ones(3, 20)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        n_features,
        hidden_layer_sizes=(256,),
        activation="relu",
        dropout=0.0,
        input_dropout=0.0,
        sparse_grad=False,
        input_scale=1.0,
    ):
        super().__init__()
        self.register_buffer("input_scale", torch.tensor(float(input_scale)))
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, "
                f"got {activation!r}."
            )
        widths = [n_features, *hidden_layer_sizes]
        layers = []
        for i in range(len(widths) - 1):
            if i == 0:
                layers.append(InputLayer(*widths[:2], sparse_grad=sparse_grad))
            else:
                layers.append(nn.Linear(widths[i], widths[i + 1]))
            layers.append(ACTIVATIONS[activation]())
        self.n_features = n_features
        self.out_features = widths[-1]
        # Apart from the layers, whose names must not depend on it.
        self.input_dropout = InputDropout(input_dropout)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(layers)

    def forward(self, inputs):
        """Return the features.

        Parameters
        ----------
        inputs : Tensor or SparseRows of shape (n, n_features)
            Samples.

        Returns
        -------
        Tensor of shape (n, out_features)
            Features; the scaled inputs themselves (`SparseRows` too) if there are no
            hidden layers.
        """
        _check_width("inputs", inputs, self.n_features)
        if isinstance(inputs, SparseRows):
            inputs = inputs._replace(values=inputs.values * self.input_scale)
        else:
            inputs = inputs * self.input_scale
        outputs = self.input_dropout(inputs)
        for linear, activation in zip(self.layers[::2], self.layers[1::2], strict=True):
            outputs = self.dropout(activation(linear(outputs)))
        return outputs


def _check_width(name, inputs, n_features):
    shape = tuple(inputs.shape)
    if len(shape) != 2 or shape[1] != n_features:
        raise ValueError(f"{name} must have shape (n, {n_features}), got {shape}.")
