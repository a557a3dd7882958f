"""How many threads to compute with: at most those of the user, and of the cores."""

import ctypes
import math
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any, TypeVar

import joblib
import torch
from threadpoolctl import ThreadpoolController

# Multiply-adds from which more than one thread are used, in a call that predicts or in
# fitting linear classifiers. Below, a second thread saves fractions of a millisecond of
# a prediction. See benchmarks/bench_threads.py.
MIN_OPERATIONS = 2**24

_IMPORTED_IN = os.getpid()
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def in_forked_child() -> bool:
    """Tell whether this process was forked off from one that had imported this.

    The threads of OpenMP's pools are not copied by a fork, but the pools are: an
    operation that is divided among several threads would wait for them for ever.
    """
    return os.getpid() != _IMPORTED_IN


class SharedSetting(ABC):
    """A setting that holds for all threads, and is ours while any thread is inside.

    Whoever enters first keeps the user's, and who leaves last puts it back. A fork
    copies none of the other threads: in the child, they are outside.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside, self._own = threading.Lock(), 0, threading.local()
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(
                before=self._lock.acquire,
                after_in_parent=self._lock.release,
                after_in_child=self._after_fork,
            )

    @abstractmethod
    def _set(self) -> None:
        """Set it, and keep the user's, unless it is ours already."""

    @abstractmethod
    def _put_back(self) -> None:
        """Set it as the user had, if that was another."""

    def __enter__(self) -> None:
        with self._lock:
            self._n_inside += 1
            self._own.n_inside = getattr(self._own, "n_inside", 0) + 1
            self._set()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._n_inside -= 1
            self._own.n_inside -= 1
            if self._n_inside == 0:
                self._put_back()

    def _after_fork(self) -> None:
        self._n_inside = getattr(self._own, "n_inside", 0)
        if self._n_inside == 0:
            self._put_back()
        self._lock.release()


@cache
def _libraries(process: int, user_api: str) -> ThreadpoolController:
    """Return the controller of libraries' threads; to find these takes a while.

    A forked process looks again: others may have been loaded since, and have pools.
    """
    return ThreadpoolController().select(user_api=user_api)


class _OneBlasThread(SharedSetting):
    """Lets NumPy's products have one thread, wherever they are computed.

    A thread that sets OpenBLAS's number owns it, in recent versions of threadpoolctl,
    until the thread ends: what others set has no effect. So nobody owns it here.
    """

    _of_user: Any = None

    def _set(self) -> None:
        if self._of_user is None:
            limit = _libraries(os.getpid(), "blas").limit
            self._of_user = _in_new_thread(partial(limit, limits=1))

    def _put_back(self) -> None:
        if self._of_user is not None:
            _in_new_thread(self._of_user.restore_original_limits)
            self._of_user = None


def _in_new_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


one_blas_thread = _OneBlasThread()


@cache
def _mkl_set_own_threads() -> Callable[[int], int]:
    """Return what sets MKL's number of threads in this thread, and returns the last.

    0 is OpenMP's number. `torch.set_num_threads` sets another, which then wins; torch
    has no function that would set it back for one thread only.
    """
    try:
        found = ctypes.CDLL(torch._C.__file__).MKL_Set_Num_Threads_Local
    except (AttributeError, OSError):  # a torch without MKL
        return lambda n_threads: 0
    return found


class ThreadLimit:
    """Lets torch, and all else that uses OpenMP, have some threads in this thread.

    Other threads keep their number. That of `torch.set_num_threads` would be taken over
    by all threads that begin meanwhile, for good.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads

    def __enter__(self) -> None:
        # torch sets its own number at its first use in a thread.
        torch.get_num_threads()
        self._openmp = _libraries(os.getpid(), "openmp").limit(limits=self.n_threads)
        self._mkl = _mkl_set_own_threads()(self.n_threads)

    def __exit__(self, *error: object) -> None:
        _mkl_set_own_threads()(self._mkl)
        self._openmp.restore_original_limits()


def one_thread_here() -> None:
    """Let torch compute on one thread in this thread, until it ends."""
    ThreadLimit(1).__enter__()


@cache
def _n_cores(process: int, n_allowed: int) -> int:
    return min(n_allowed, joblib.cpu_count())


def n_cores() -> int:
    """Return how many cores this process may use.

    Those that it is bound to (`taskset`), and no more than the quota of its container
    pays for, rounded up. The quota is read once.
    """
    if hasattr(os, "sched_getaffinity"):  # on Linux
        n_allowed = len(os.sched_getaffinity(0))
    else:
        n_allowed = os.cpu_count() or 1
    return _n_cores(os.getpid(), n_allowed)


@contextmanager
def threads_for(
    operations: float = math.inf, least: int = MIN_OPERATIONS
) -> Iterator[None]:
    """Compute with as many threads as some work is worth, and never more than before.

    That is one thread for less than `least` operations, counted as multiply-adds, and
    always one in a forked child; and no more threads than there are cores.
    `torch.get_num_threads()` is the number inside.
    """
    with ExitStack() as stack:
        is_forked = in_forked_child()
        if is_forked:
            stack.enter_context(one_blas_thread)
        n_before = torch.get_num_threads()
        is_small = is_forked or operations < least
        n_threads = 1 if is_small else min(n_before, n_cores())
        if is_forked or n_threads < n_before:
            stack.enter_context(ThreadLimit(n_threads))
        yield


def shared_out(
    function: Callable[[_Part], _Result], parts: Sequence[_Part], n_threads: int
) -> list[_Result]:
    """Return what a function makes of each part, in threads that compute on one each.

    Threads of ours take the next part when they are ready, and sleep while they wait.
    Those of OpenMP divide each operation evenly, and wait for each other busily: where
    another process has one of the cores, all of them wait for the one that has none.
    """
    n_threads = min(n_threads, len(parts))
    if n_threads <= 1:
        return [function(part) for part in parts]
    with own_threads(n_threads) as threads:
        return list(threads.map(function, parts))


@contextmanager
def own_threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Open threads that compute on one each, and wait for their ends.

    Python before 3.13 joins threads that the system has yet to end. Meanwhile, they
    hold locks of MKL, which a process that is forked off then would wait for for ever.
    """
    started: list[int] = []

    def begin() -> None:
        started.append(threading.get_native_id())
        one_thread_here()

    try:
        with ThreadPoolExecutor(n_threads, initializer=begin) as threads:
            yield threads
    finally:
        for thread in started:
            while os.path.exists(f"/proc/self/task/{thread}"):  # on Linux
                time.sleep(0)
