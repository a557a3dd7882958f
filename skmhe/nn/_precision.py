"""Products in fewer bits where the caller asks for them by `torch.autocast`.

Only products of matrices are rounded. Everything that is made of them, such as biases,
softmax and losses, stays in the type of the parameters: scores of 8 digits would tell
labels of nearly equal probability no longer apart.
"""

import torch
import torch.nn.functional as F


def product_dtype(tensor):
    """Return the type that `torch.autocast` asks for, None outside of it."""
    kind = tensor.device.type
    # Other devices ("meta") may not know what autocast is.
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def product(a, b, dtype):
    """Return ``a @ b`` in the type of `b`, of factors rounded to a type, if any."""
    if dtype is None:
        return a @ b
    return (a.to(dtype) @ b.to(dtype)).to(b.dtype)


def product_into(out, a, b, dtype):
    """Write the batched product of `product` into a tensor."""
    if dtype is None:
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a.to(dtype), b.to(dtype)))


def linear(features, weight, bias):
    """Return ``features @ weight.T + bias`` in the type of the bias."""
    if product_dtype(weight) is None:
        return F.linear(features, weight, bias)
    return F.linear(features, weight).to(bias.dtype) + bias
