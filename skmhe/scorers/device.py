"""Where and in which precision to compute."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from skmhe.scorers.threads import SharedSetting, in_forked_child, threads_for

# Types of devices that users may have turned autocast on for.
AUTOCAST_DEVICES = ("cpu", "cuda", "xpu", "mps")
# Operations of oneDNN that users may have allowed to round float32.
ROUNDED = ("matmul", "conv", "rnn")


class _DefaultFloat32(SharedSetting):
    """Makes float32 the type of torch's new tensors, of which there is one default."""

    _of_user: torch.dtype | None = None  # None: float32

    def _set(self) -> None:
        if torch.get_default_dtype() != torch.float32:
            self._of_user = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)

    def _put_back(self) -> None:
        if self._of_user is not None:
            torch.set_default_dtype(self._of_user)
            self._of_user = None


class _FullPrecision(SharedSetting):
    """Lets products of float32 on the CPU be exact where users let torch round factors.

    As `torch.set_float32_matmul_precision("medium")` does. Older versions of torch have
    no setting of the CPU alone.
    """

    def __init__(self) -> None:
        super().__init__()
        found = (getattr(torch.backends.mkldnn, name, None) for name in ROUNDED)
        self._operations: list[Any] = [
            operation for operation in found if hasattr(operation, "fp32_precision")
        ]
        self._of_user: dict[Any, str] = {}

    def _set(self) -> None:
        for operation in self._operations:
            if operation.fp32_precision not in ("none", "ieee"):
                self._of_user[operation] = operation.fp32_precision
                operation.fp32_precision = "ieee"

    def _put_back(self) -> None:
        for operation, precision in self._of_user.items():
            operation.fp32_precision = precision
        self._of_user = {}


_default_float32, _full_precision = _DefaultFloat32(), _FullPrecision()


@contextmanager
def own_torch_settings() -> Iterator[None]:
    """Compute as if the user had set nothing in torch, and put it all back.

    New tensors are float32 and on the CPU, gradients can be computed, and neither an
    autocast nor oneDNN rounds anything. All but the type and oneDNN's precision hold
    for the thread that enters; new threads start with them. Deterministic algorithms
    stay as they are: who asks for them means ours, too, and on the CPU their results
    are the same. In a forked child, there is one thread (see `threads_for`).
    """
    with ExitStack() as stack:
        stack.enter_context(threads_for())
        stack.enter_context(_default_float32)
        stack.enter_context(_full_precision)
        # It turns gradients on, too; enable_grad alone does not leave inference_mode.
        stack.enter_context(torch.inference_mode(False))
        # Not always, as each call of torch takes longer within it.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in AUTOCAST_DEVICES:
            available = torch.amp.is_autocast_available(kind)
            if available and torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


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


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the `torch.device` that the parameter `device` asks for.

    It is an error if torch does not know it, or this machine does not have it.
    """
    if device == "auto":
        resolved = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return _usable_after_fork(device, resolved)
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
    return _usable_after_fork(device, resolved)


def _usable_after_fork(
    device: str | torch.device, resolved: torch.device
) -> torch.device:
    """Return a device; RuntimeError if a fork has made it unusable, as it does CUDA."""
    if resolved.type == "cuda" and in_forked_child():
        try:
            torch.cuda.init()
        except RuntimeError as error:
            raise RuntimeError(
                f"device={device!r} cannot be used in this process: it was forked off "
                "from one that had used CUDA. Use device='cpu', or start processes by "
                "'spawn' or 'forkserver', as joblib's 'loky' does."
            ) from error
    return resolved


def check_gradients() -> None:
    """Raise RuntimeError if a fork has left torch unable to compute gradients.

    On machines with CUDA, even gradients on the CPU start threads, which a forked child
    lacks.
    """
    if not in_forked_child():
        return
    try:
        torch.zeros((), requires_grad=True).backward()
    except RuntimeError as error:
        raise RuntimeError(
            "A network cannot be trained in this process: it was forked off from one "
            "in which torch had computed gradients on a machine with CUDA. Start "
            "processes by 'spawn' or 'forkserver', as joblib's 'loky' does, or use "
            "model='linear'."
        ) from error
