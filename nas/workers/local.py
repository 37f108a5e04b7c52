"""Worker processes that call methods of an evaluator, each on a core of its own, and never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import Any, Self

from nas.workers.cores import cores_here
from nas.workers.protocol import Failure, Worker, Workers
from proxies.latency.lifetime import (
    end_at_once_with_parent,
    hear_requests,
    leave_terminal_to_parent,
    requests_held,
)
from proxies.latency.machine import KEPT_CORE, pin_to
from search_space.errors import InputError
from search_space.scratch import Scratch
from studies.storage.secrets import without_secrets

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What mallopt(3) calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD."""
EVALUATOR = "nas.workers.evaluator:Evaluator"
LAST_SECONDS = 5.0
"""What a worker has to end in an orderly way: one long call into torch may hold it up."""


class LocalWorker(Worker):
    """A process with an evaluator; one call at a time."""

    def __init__(
        self, evaluator: str, settings: Any, folder: Path, core: int | None, timing_core: int | None = None
    ) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        folder.mkdir()
        is_main = threading.current_thread() is threading.main_thread()
        arguments = theirs, evaluator, settings, folder, core, timing_core, is_main
        # A daemon, so that this process does not wait for it at its end, should `stop` never be called.
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        ensure_running()  # which starts a process of its own, and hears requests then
        with requests_held():
            self._process.start()
        # The child's end is closed here, so that its death shows as the end of the stream.
        theirs.close()

    def send(self, method: str, *arguments: Any) -> None:
        """Starts a call whose result `receive` gives; a worker that has died shows there."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send((method, arguments))

    def receive(self) -> Any:
        """The result of the call, or a `Failure`; a worker that died is one."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return Failure(f"the worker process died with exit code {self._process.exitcode}")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def stop(self) -> None:
        """Ends the process, in the midst of a call if need be."""
        self._process.terminate()
        self._process.join(LAST_SECONDS)
        # What it runs may have swallowed the exit it was asked for.
        self._process.kill()
        self._process.join()
        self.connection.close()


class LocalWorkers(Workers):
    """Several workers, each pinned to a core where the system lets them be; a context that stops them.

    From a few cores on the last one trains nothing: latencies are measured there, one at a time.

    `settings.workers` of them; `evaluator` names, as "module:Class", what each makes of the settings and a folder of
    its own: imported there only, so that this process need not wait for torch.
    """

    def __init__(self, settings: Any, evaluator: str = EVALUATOR) -> None:
        self._settings, self._evaluator = settings, evaluator
        self._folder = Scratch()
        self._started = 0
        self._cores = cores_here()
        self.all: list[LocalWorker] = []
        try:
            for number in range(settings.workers):
                self.all.append(self._start(number))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            for worker in self.all:
                worker.stop()
        finally:
            self._folder.close()

    def ready(self, busy: Collection[Worker], timeout_seconds: float) -> list[LocalWorker]:
        """Those of `busy` whose result can be received, after waiting for one for at most the timeout."""
        connections = {worker.connection: worker for worker in self.all if worker in busy}
        return [connections[each] for each in wait(list(connections), timeout_seconds) if isinstance(each, Connection)]

    def replace_dead(self, busy: Collection[Worker]) -> None:
        """Starts a new worker for each that died; one of `busy` shows that by its result first."""
        for number, worker in enumerate(self.all):
            if not worker.alive and worker not in busy:
                worker.stop()
                self.all[number] = self._start(number)

    def _start(self, number: int) -> LocalWorker:
        self._started += 1
        folder = self._folder.path / str(self._started)
        return LocalWorker(self._evaluator, self._settings, folder, self._cores.of(number), self._cores.timing)


def named(name: str) -> Any:
    """What "module:Class" names, imported."""
    module, _, cls = name.partition(":")
    return getattr(import_module(module), cls)


def _serve(
    connection: Connection,
    name: str,
    settings: Any,
    folder: Path,
    core: int | None,
    timing_core: int | None,
    is_started_by_main: bool,
) -> None:
    """Answers calls until the parent closes the connection or dies."""
    leave_terminal_to_parent()
    signal.signal(signal.SIGTERM, _exit)
    hear_requests()
    if is_started_by_main:  # or Linux would take the end of another thread for the parent's
        end_at_once_with_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    take_place(core, timing_core)
    evaluator = named(name)(settings, folder)
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        connection.send(answer_of(evaluator, method, arguments))


def answer_of(evaluator: Any, method: str, arguments: tuple[Any, ...]) -> Any:
    """What the method gives back, or a `Failure` with what it raised."""
    try:
        return getattr(evaluator, method)(*arguments)
    except Exception as error:  # whatever it is, it is the cause of this trial's failure, and is stored as that
        text = without_secrets(" ".join(str(error).split()))
        if isinstance(error, InputError):
            return Failure(text, is_input_error=True)
        return Failure(f"{type(error).__name__}: {text}")


def take_place(core: int | None, timing_core: int | None) -> None:
    """Pins this process to its core, names the one that is kept for latencies to it, and lets it keep its memory."""
    pin_to(core)
    if timing_core is not None:
        os.environ[KEPT_CORE] = str(timing_core)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Has glibc keep what is freed, or each of a training's steps would get its pages anew."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(MMAP_THRESHOLD, 32 * 2**20)


def _exit(number: int, frame: object) -> None:
    # In an orderly way: what was imported may have semaphores to give back. That is not to be disturbed.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def _end_with_parent() -> None:
    """Ends this process as soon as its parent is gone, even killed and in the midst of a training, on any system."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
