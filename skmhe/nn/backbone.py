"""The feed-forward backbone, from sparse or dense samples to features."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmhe.nn.products import RowProduct
from skmhe.nn.sparse_rows import SparseRows, check_width

ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}

# Standard deviation of the first layer's outputs for a sample of unit length. Small, so
# that features are learned rather than drawn, which generalizes better if labels have
# few samples.
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
        Whether the weight gets a sparse gradient, of the rows of features that occur
        in the batch, for an optimizer such as `skmhe.nn.RowAdamW`.

    Attributes
    ----------
    weight : Parameter of shape (n_features, n_outputs)
        A row for each feature: the transpose of that of `torch.nn.Linear`.
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

    def __init__(
        self, n_features: int, n_outputs: int, sparse_grad: bool = False
    ) -> None:
        super().__init__()
        self.sparse_grad = sparse_grad
        self.weight = nn.Parameter(torch.empty(n_features, n_outputs))
        self.bias = nn.Parameter(torch.zeros(n_outputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew; the bias is 0."""
        bound = FIRST_LAYER_STD * math.sqrt(3)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor | SparseRows) -> Tensor:
        """Map (n, n_features) inputs, dense or `SparseRows`, to (n, n_outputs)."""
        return self.without_bias(inputs) + self.bias

    def without_bias(self, inputs: Tensor | SparseRows) -> Any:
        """Do the same, but for the bias: the sum of the features' rows."""
        check_width("inputs", inputs, len(self.weight))
        return RowProduct.apply(self.weight, inputs, self.sparse_grad)

    def extra_repr(self) -> str:
        """Return the sizes, for the module's repr."""
        n_features, n_outputs = self.weight.shape
        return f"{n_features}, {n_outputs}, sparse_grad={self.sparse_grad}"


class InputDropout(nn.Dropout):
    """Dropout whose input may be sparse, of which it drops stored values."""

    def forward(self, inputs: Tensor | SparseRows) -> Any:
        """In training, drop a share `p` of the inputs and scale up the others."""
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
        Widths of the hidden layers. With (), the inputs themselves are the features.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation after each hidden layer.
    dropout : float, default=0.0
        Share of each hidden layer's outputs that are dropped in training.
    input_dropout : float, default=0.0
        Share of the inputs that are dropped in training.
    sparse_grad : bool, default=False
        See `InputLayer`.
    input_scale : float, default=1.0
        Factor of the inputs, kept as a buffer. The first layer's starting values expect
        samples of about unit length.

    Attributes
    ----------
    out_features : int
        Number d of features.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import Backbone
    >>> Backbone(20, hidden_layer_sizes=(8, 4))(torch.ones(3, 20)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        sparse_grad: bool = False,
        input_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.input_scale: Tensor
        self.register_buffer("input_scale", torch.tensor(float(input_scale)))
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, "
                f"got {activation!r}."
            )
        widths = [n_features, *hidden_layer_sizes]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(widths):
            if layers:
                layers.append(nn.Linear(n_in, n_out))
            else:
                layers.append(InputLayer(n_in, n_out, sparse_grad))
            layers.append(ACTIVATIONS[activation]())
        self.n_features = n_features
        self.out_features = widths[-1]
        # Not one of the layers, whose names in the state must not depend on it.
        self.input_dropout = InputDropout(input_dropout)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(layers)

    def forward(self, inputs: Tensor | SparseRows) -> Tensor | SparseRows:
        """Return the features.

        Parameters
        ----------
        inputs : Tensor or SparseRows of shape (n, n_features)
            Samples.

        Returns
        -------
        Tensor or SparseRows of shape (n, out_features)
            Features; without hidden layers, the scaled inputs as they are.
        """
        check_width("inputs", inputs, self.n_features)
        if isinstance(inputs, SparseRows):
            inputs = inputs._replace(values=inputs.values * self.input_scale)
        else:
            inputs = inputs * self.input_scale
        outputs = self.input_dropout(inputs)
        for linear, activation in zip(self.layers[::2], self.layers[1::2], strict=True):
            outputs = self.dropout(activation(linear(outputs)))
        return outputs
