"""Where and in which precision to compute."""

from functools import cache

import torch
from threadpoolctl import ThreadpoolController


@cache
def threads_controller() -> ThreadpoolController:
    """Return the controller of libraries' threads; to find these takes a while."""
    return ThreadpoolController()


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype | None:
    """Return the type of products in training that the parameter `dtype` asks for.

    None for that of the weights. "auto" gives up precision only where the device
    multiplies 16-bit numbers in units of their own: AMX or AVX-512 with BF16 of a
    processor, CUDA from compute capability 8.
    """
    if dtype == "auto":
        if device.type == "cuda":
            has_units = torch.cuda.get_device_capability(device) >= (8, 0)
        else:
            # Older versions of torch cannot tell.
            known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
            units = known.get("amx_bf16") or known.get("avx512_bf16")
            has_units = device.type == "cpu" and bool(units)
        dtype = "bfloat16" if has_units else "float32"
    return torch.bfloat16 if dtype == "bfloat16" else None


def resolve_device(device: str) -> torch.device:
    """Return the `torch.device` that the parameter `device` asks for.

    It is an error if torch does not know it, or this machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    remedy = "use device='auto' or device='cpu'"
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows: {remedy}."
        ) from error
    if resolved.type not in ("cpu", "cuda"):
        try:
            torch.zeros(1, device=resolved).cpu()
        except Exception as error:  # each kind of device raises another one
            raise ValueError(
                f"device={device!r} cannot be used on this machine: {remedy}."
            ) from error
    if resolved.type == "cuda":
        n_devices = torch.cuda.device_count()
        if (resolved.index or 0) >= n_devices:
            raise ValueError(
                f"device={device!r} was asked for, but torch finds {n_devices} CUDA "
                f"devices here: {remedy}."
            )
    return resolved
