"""How many threads compute, in this process and in forked ones."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from model_problems import CPU, make_network, make_rows, make_spec
from torch.utils.flop_counter import FlopCounterMode

from skmhe.nn import FullHead
from skmhe.scorers import device, threads
from skmhe.scorers.network import HeadSpec
from skmhe.scorers.threads import own_threads, shared_out

TASKS = Path("/proc/self/task")

# In a process of its own, where torch has two threads.
BEGIN = """
import os, threading, torch
from skmhe.scorers import threads
from skmhe.scorers.threads import MIN_OPERATIONS, threads_for
def numbers():
    # Of torch, OpenMP and MKL.
    lines = torch.__config__.parallel_info().splitlines()
    return [int(line.split()[-1]) for line in lines if "threads() :" in line
            and "interop" not in line]
"""


def run(code, n_threads=2):
    """Return what code prints."""
    done = subprocess.run(
        # Unbuffered: a forked child would print what its parent has not yet written.
        [sys.executable, "-u", "-c", BEGIN + code],
        env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split("\n")[:-1]


def test_small_work_has_one_thread_and_large_work_those_of_the_user():
    code = """
threads.n_cores = lambda: 3
for of_user in (None, 3, 1):
    if of_user:
        torch.set_num_threads(of_user)
    for operations in (0, MIN_OPERATIONS - 1, MIN_OPERATIONS):
        try:
            with threads_for(operations):
                print(set(numbers()))
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        print(set(numbers()))
"""
    small, large = ["{1}", "{1}"], ["{1}", "{1}"]
    expected = []
    for n in (2, 3, 1):
        small, large = ["{1}", f"{{{n}}}"], [f"{{{n}}}"] * 2
        expected += [*small, *small, *large]
    assert run(code) == expected


def test_there_are_no_more_threads_than_cores():
    code = """
threads.n_cores = lambda: 2
torch.set_num_threads(4)
with threads_for():
    print(set(numbers()))
print(set(numbers()))
"""
    assert run(code) == ["{2}", "{4}"]


@pytest.mark.parametrize(("n_allowed", "quota", "n"), [(8, 2, 2), (2, 8, 2), (3, 3, 3)])
def test_cores_are_those_that_are_allowed_and_paid_for(
    monkeypatch, n_allowed, quota, n
):
    # joblib reads the quota of containers: files of the operating system.
    monkeypatch.setattr(threads.joblib, "cpu_count", lambda: quota)
    monkeypatch.setattr(threads, "_n_cores", threads._n_cores.__wrapped__)
    affinity = set(range(n_allowed))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: affinity, raising=False)
    assert threads.n_cores() == n
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: n_allowed)
    assert threads.n_cores() == n


@pytest.mark.parametrize("n_threads", [1, 3])
def test_parts_are_shared_out_in_order(n_threads):
    used = set()

    def double(part):
        used.add(threading.get_ident())
        return 2 * part

    assert shared_out(double, range(20), n_threads) == list(range(0, 40, 2))
    assert (threading.get_ident() in used) == (n_threads == 1)
    assert shared_out(double, [], n_threads) == []


@pytest.mark.skipif(not TASKS.exists(), reason="the system does not list threads")
def test_own_threads_have_ended_when_they_are_left():
    def product():
        meeting.wait()
        torch.mm(torch.ones(50, 50), torch.ones(50, 50))
        return threading.get_native_id()

    for _ in range(50):
        meeting = threading.Barrier(8)
        with pytest.raises(KeyboardInterrupt), own_threads(8) as opened:
            jobs = [opened.submit(product) for _ in range(8)]
            found = {job.result() for job in jobs}
            raise KeyboardInterrupt
        assert len(found) == 8
        assert not found & {int(task.name) for task in TASKS.iterdir()}


def test_other_threads_keep_their_number():
    code = """
def other():
    print(set(numbers()))
for least in (9, 10, 11):
    with threads_for(10, least):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        print(set(numbers()))
"""
    assert run(code) == ["{2}", "{2}", "{2}", "{2}", "{2}", "{1}"]


def test_a_forked_child_has_one_thread_whatever_the_work():
    code = """
from threadpoolctl import threadpool_info
torch.set_num_threads(2)
if os.fork() == 0:
    with threads_for():
        print(set(numbers()), {info["num_threads"] for info in threadpool_info()})
    print(set(numbers()), {info["num_threads"] for info in threadpool_info()},
        flush=True)
    os._exit(0)
os.wait()
with threads_for():
    print(set(numbers()))
"""
    assert run(code) == ["{1} {1}", "{2} {2}", "{2}"]


def test_blas_has_its_threads_back_when_the_last_thread_leaves():
    code = """
from threadpoolctl import threadpool_info
from skmhe.scorers.threads import one_blas_thread
def blas():
    return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}
inside, leave = threading.Event(), threading.Event()
def other():
    with one_blas_thread:
        inside.set()
        leave.wait()
def fork():
    if os.fork() == 0:
        print(blas(), end=" ")
        with one_blas_thread:
            print(blas(), end=" ")
        print(blas(), flush=True)
        os._exit(0)
    os.wait()
with one_blas_thread:
    print(blas())
    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
print(blas())
fork()
leave.set()
thread.join()
print(blas())
with one_blas_thread:
    fork()
print(blas())
"""
    expected = ["{1}", "{1}", "{2} {1} {2}", "{2}", "{1} {1} {1}", "{2}"]
    assert run(code) == expected


def test_a_fork_leaves_other_threads_outside_of_shared_settings():
    code = """
from skmhe.scorers.device import own_torch_settings
torch.set_default_dtype(torch.float64)
inside, leave = threading.Event(), threading.Event()
def other():
    with own_torch_settings():
        inside.set()
        leave.wait()
thread = threading.Thread(target=other)
thread.start()
inside.wait()
def fork():
    if os.fork() == 0:
        print(torch.get_default_dtype())
        with own_torch_settings():
            print(torch.get_default_dtype())
        print(torch.get_default_dtype(), flush=True)
        os._exit(0)
    os.wait()
fork()
with own_torch_settings():
    fork()
leave.set()
thread.join()
print(torch.get_default_dtype())
"""
    f32, f64 = "torch.float32", "torch.float64"
    assert run(code) == [f64, f32, f64, f32, f32, f32, f64]


# ---------------------------------------------------------- what a fork makes unusable
@pytest.fixture
def forked(monkeypatch):
    monkeypatch.setattr(threads, "_IMPORTED_IN", os.getpid() + 1)


def raise_error(*_args, **_kwargs):
    raise RuntimeError("not after a fork")


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:0"])
def test_cuda_cannot_be_used_in_a_child_of_a_process_that_used_it(
    forked, monkeypatch, name
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    assert device.resolve_device(name).type == "cuda"
    monkeypatch.setattr(torch.cuda, "init", raise_error)
    message = f"device='{name}' cannot be used in this process: it was forked off"
    with pytest.raises(RuntimeError, match=message):
        device.resolve_device(name)
    with pytest.raises(RuntimeError, match=r"Use device='cpu', or start .* 'spawn'"):
        device.resolve_device(name)
    assert device.resolve_device("cpu") == CPU


def test_cuda_is_not_asked_in_other_processes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "init", raise_error)
    assert device.resolve_device("auto").type == "cuda"


def test_gradients_that_cannot_be_computed_in_a_child(forked, monkeypatch):
    device.check_gradients()
    monkeypatch.setattr(torch.Tensor, "backward", raise_error)
    with pytest.raises(RuntimeError, match=r"forked off .* 'spawn' .* model='linear'"):
        device.check_gradients()
    monkeypatch.setattr(threads, "_IMPORTED_IN", os.getpid())
    device.check_gradients()


# ------------------------------------------------------------ estimates of work
@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,), (8, 4)])
def test_multiply_adds_of_a_network_are_those_of_its_products(hidden_layer_sizes):
    head = HeadSpec(FullHead, {"n_labels": 11, "multilabel": False})
    spec = make_spec(head=head, hidden_layer_sizes=hidden_layer_sizes)
    network, X = make_network(spec), torch.from_numpy(make_rows(3))
    with FlopCounterMode(display=False) as counter:
        network.head.topk(network.features(X), 1)
    expected = 2 * 3 * network.multiply_adds(X.shape[1])
    assert counter.get_total_flops() == expected > 0
