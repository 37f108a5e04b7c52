"""Processes that end with the one that started them, however that ends. Standard library only: bundles carry this."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

PARENT = "SHUFFLENET_NAS_PARENT"
"""The environment variable that names, by its number, the process with which one that it has started is to end."""
THREAD = " by a thread"
PR_SET_PDEATHSIG, KILL = 1, 9
"""What prctl(2) of Linux calls the signal that a process gets when its parent ends, and the number of SIGKILL there."""
CHECK_SECONDS = 0.5
_REQUESTS = ("SIGINT", "SIGTERM", "SIGHUP")


def ending_with_this() -> dict[str, str]:
    """What the environment of a process that this one starts needs, for `end_with_parent` to know whom to end with.

    Linux takes the thread that starts a process for its parent: of one that is not the main thread that is said too.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return {PARENT: f"{os.getpid()}{'' if is_main else THREAD}"}


def end_with_parent() -> None:
    """Has this process end when the one that `ending_with_this` has named does: at once on Linux, else within a second.

    Where it has named none, nothing is done; nor on Windows, where a process does not learn of its parent's end so.
    """
    named = os.environ.pop(PARENT, "")
    parent = int(named.removesuffix(THREAD) or 0)
    if not parent or sys.platform == "win32":
        return
    if named.endswith(THREAD) or not end_at_once_with_parent():
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    elif os.getppid() != parent:  # it ended before that
        os._exit(1)


def end_soon_after_parent() -> None:
    """Has this process end within a second of the one that has started it, whatever that knows of this."""
    if sys.platform != "win32":
        threading.Thread(target=_end_after, args=(os.getppid(),), daemon=True).start()


def end_at_once_with_parent() -> bool:
    """Whether the system kills this process from now on when the thread that started it ends; Linux does."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):  # another C library
        return bool(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, KILL) == 0)
    return False


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os._exit(1)


@contextlib.contextmanager
def requests_held() -> Iterator[None]:
    """Keeps requests to end, such as Ctrl-C, from this thread while it is inside, and from a process started there.

    That one calls `hear_requests` once it knows what to do then; this one gets what came meanwhile afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _requests())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_requests() -> None:
    """Has this process hear the requests to end that `requests_held` has kept from it, and those to come."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _requests())


def leave_terminal_to_parent() -> None:
    """Has this process ignore Ctrl-C and a closed terminal, which reach the whole group: its parent decides."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _requests() -> set[signal.Signals]:
    return {getattr(signal, name) for name in _REQUESTS if hasattr(signal, name)}
