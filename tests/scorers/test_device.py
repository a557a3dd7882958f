"""Devices and precisions that are asked for, and torch's settings by default."""

import threading
from contextlib import ExitStack

import pytest
import torch

from skmhe.scorers.device import own_torch_settings, resolve_device, resolve_dtype

CPU = torch.device("cpu")


@pytest.fixture
def cuda(monkeypatch):
    """Pretend to have a number of CUDA devices."""

    def pretend(n_devices):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_devices > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)

    return pretend


def test_auto_takes_a_gpu_if_there_is_one(cuda):
    cuda(0)
    assert resolve_device("auto") == CPU
    cuda(1)
    assert resolve_device("auto") == torch.device("cuda")


def test_named_devices(cuda):
    cuda(2)
    assert resolve_device("cpu") == CPU
    assert resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    for device in (CPU, torch.device("cuda"), torch.device("cuda", 1)):
        assert resolve_device(device) == device
    cuda(0)
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize(("device", "n_devices"), [("cuda", 0), ("cuda:2", 2)])
def test_absent_gpu(cuda, device, n_devices):
    cuda(n_devices)
    match = f"device='{device}' was asked for, but torch finds {n_devices} CUDA devices"
    with pytest.raises(ValueError, match=match) as error:
        resolve_device(device)
    assert "device='auto'" in str(error.value)
    assert "device='cpu'" in str(error.value)


@pytest.mark.parametrize("device", ["nonsense", "", "cpu:x", "cuda:-1", "gpu"])
def test_unknown_device(device):
    match = f"device='{device}' is not a device that torch knows: use device='auto'"
    with pytest.raises(ValueError, match=match):
        resolve_device(device)


def test_absent_objects(cuda):
    cuda(1)
    match = (
        r"device=device\(type='cuda', index=1\) was asked for, but torch finds 1 CUDA"
    )
    with pytest.raises(ValueError, match=match):
        resolve_device(torch.device("cuda:1"))
    with pytest.raises(
        ValueError, match=r"device=device\(type='meta'\) cannot be used"
    ):
        resolve_device(torch.device("meta"))


@pytest.mark.skipif(torch.xpu.is_available(), reason="it is not absent here")
def test_absent_device_that_is_no_gpu_of_cuda():
    with pytest.raises(ValueError, match="device='xpu'"):
        resolve_device("xpu")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "amx_int8": True, "amx_bf16": False}, None),
        (None, None),  # an older torch
    ],
)
def test_processors_with_units_for_16_bits_use_them(features, expected, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    if features is not None:
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda: features, raising=False
        )

    assert resolve_dtype("auto", CPU) == expected
    assert resolve_dtype("auto", torch.device("meta")) is None
    assert resolve_dtype("float32", CPU) is None
    assert resolve_dtype("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_cuda_devices_with_units_for_16_bits_use_them(capability, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    found = resolve_dtype("auto", torch.device("cuda"))
    assert found == (None if capability == (7, 5) else torch.bfloat16)


def settings():
    new = torch.empty(0)
    gradients = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return new.dtype, new.device, *gradients, torch.is_autocast_enabled("cpu")


def set_all(stack):
    """Change all settings until a stack ends."""
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float64)
    stack.enter_context(torch.device("meta"))
    stack.enter_context(torch.inference_mode())
    stack.enter_context(torch.autocast("cpu", torch.bfloat16))


def test_own_settings_are_torchs_defaults_and_are_left_again():
    usual = settings()
    assert usual == (torch.float32, CPU, True, False, False)
    with ExitStack() as stack:
        set_all(stack)
        before = settings()
        assert all(a != b for a, b in zip(before, usual, strict=True))
        with own_torch_settings():
            assert settings() == usual
            with own_torch_settings():
                assert settings() == usual
            assert settings() == usual
        assert settings() == before
        with pytest.raises(KeyboardInterrupt), own_torch_settings():
            raise KeyboardInterrupt
        assert settings() == before
    assert settings() == usual


def test_new_threads_start_with_own_settings():
    found = []
    with ExitStack() as stack:
        set_all(stack)
        stack.enter_context(own_torch_settings())
        thread = threading.Thread(target=lambda: found.append(settings()))
        thread.start()
        thread.join()
    assert found == [settings()]


def test_default_type_is_left_by_the_last_thread():
    first, second = ExitStack(), ExitStack()
    with ExitStack() as stack:
        set_all(stack)
        first.enter_context(own_torch_settings())
        inside = threading.Event(), threading.Event()

        def other_thread():
            with second:
                second.enter_context(own_torch_settings())
                inside[0].set()
                inside[1].wait()

        thread = threading.Thread(target=other_thread)
        thread.start()
        inside[0].wait()
        first.close()
        # The other thread still computes.
        assert torch.get_default_dtype() == torch.float32
        inside[1].set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64
