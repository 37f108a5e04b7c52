"""`python -m nas.latency agent`: runs on a device and measures what searches elsewhere ask of it. Without torch."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from nas.cli.command import clock
from nas.cli.storage import needed_storage
from nas.latency.agent_jobs import LONGEST_SECONDS, SentNetwork, is_sha256, job_of
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import Latency, Prepared, check_runtime, compare
from proxies.latency.plain_onnx import check_plain_onnx, onnx_package
from proxies.latency.runtimes import AGENT_RUNTIMES, RUNTIMES
from search_space.errors import InputError
from search_space.reading import line_of
from search_space.scratch import Scratch
from studies.facts import LatencyFacts
from studies.ledger.latency_queue import DONE, FAILED, TABLES, Answer, Job, LatencyQueue
from studies.storage.database import engine_of, errors_in_one_line, file_of, listed, tables_of
from studies.storage.database_errors import reason_of
from studies.storage.secrets import shown_url, without_secrets

POLL_SECONDS = 0.5
BEAT_SECONDS = 5.0
RETRY_SECONDS = 600.0
"""How long a database that cannot be reached is tried again."""
MOST_FILES = 4
"""Files that an agent keeps for the jobs that come: the references of two batches, and one candidate of each."""


def serve(flags: argparse.Namespace) -> int:
    """The exit status of an agent with these flags, once it ends."""

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    onnx_package()
    url = needed_storage(flags)
    _check_database(url)
    queue = LatencyQueue(engine_of(url))
    agent = Agent(queue, flags.device, report)
    report(f"device {flags.device!r} ({device_facts()['processor']}) serves {shown_url(url)}; Ctrl-C ends it")
    measured = agent.serve(idle_seconds=flags.idle)
    report(f"no work for {clock(flags.idle)}: {measured} networks measured")
    return 0


def _check_database(url: str) -> None:
    """Refuses a database of something else, and makes nothing. Optuna, which knows more, need not be here.

    Raises:
        InputError: it cannot be opened, or holds no study of this project.
    """
    file = file_of(url)
    if file is not None and not file.exists():
        return
    with errors_in_one_line(url):
        tables = tables_of(url)
    if tables and not tables >= set(TABLES):
        raise InputError(
            f"a storage must be empty or hold studies of this project; {shown_url(url)!r} holds the tables "
            f"{listed(tables)}: check --storage"
        )


class Agent:
    """Measures what a queue asks of one device, until it is stopped.

    It does for whoever can write to the queue's database what `nas.latency.agent_jobs` lets through, and nothing else.
    """

    def __init__(self, queue: LatencyQueue, device: str, report: Callable[[str], None]) -> None:
        self._queue = queue
        self._device = device
        self._report = report
        self._name = uuid.uuid4().hex
        self._over = threading.Event()

    def serve(self, *, idle_seconds: float | None = None, retry_seconds: float = RETRY_SECONDS) -> int:
        """How many networks were measured, once no work came for `idle_seconds` (None: never ends by itself).

        A database that cannot be reached is tried again for `patience_seconds`.

        Raises:
            InputError: another agent took over the device's name.
            OperationalError: the database stayed away.
        """
        self._with_retries(self._register, retry_seconds)
        threading.Thread(target=self._beat, daemon=True).start()
        measured, idle_since = 0, time.monotonic()
        with Scratch() as folder:  # which nobody else may enter
            files = NetworkFiles(Path(folder), self._queue.file)
            while idle_seconds is None or time.monotonic() - idle_since < idle_seconds:
                if self._over.is_set():
                    raise InputError(
                        f"each device has one agent, and another one now speaks for {self._device!r}: "
                        "give this one another --device"
                    )
                if self._with_retries(lambda: self._serve_one(files), retry_seconds):
                    measured, idle_since = measured + 1, time.monotonic()
                else:
                    time.sleep(POLL_SECONDS)
        return measured

    def _register(self) -> bool:
        facts = device_facts()
        runtimes = [name for name in AGENT_RUNTIMES if RUNTIMES[name].version()]
        self._queue.register(
            self._device, self._name, {**facts, "fingerprint": fingerprint(facts), "runtimes": runtimes}
        )
        return True

    def _with_retries(self, step: Callable[[], bool], retry_seconds: float) -> bool:
        since = time.monotonic()
        while True:
            try:
                return step()
            except OperationalError as error:
                if time.monotonic() - since > retry_seconds:
                    raise
                self._report(f"the database cannot be reached, trying again: {reason_of(error)}")
                time.sleep(BEAT_SECONDS)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                if not self._queue.beat(self._device, self._name):
                    self._over.set()
            except OperationalError:
                continue  # the main loop meets it too, and reports it

    def _serve_one(self, files: NetworkFiles) -> bool:
        job = self._queue.claim(self._device, self._name)
        if job is None:
            return False
        started = time.monotonic()
        answer = self._answer(job, files)
        text = self._with_retries(lambda: self._queue.finish(job, self._name, answer), RETRY_SECONDS)
        outcome = f"{LatencyFacts(answer.result).latency_ms:.3f} ms" if answer.result else f"failed: {answer.cause}"
        late = "" if text else ", which nobody waits for any more"
        self._report(f"job {job.id}: {outcome}{late}, {time.monotonic() - started:.0f} s")
        return True

    def _answer(self, job: Job, files: NetworkFiles) -> Answer:
        try:
            return Answer(DONE, self._measure(job.request, files).to_dict())
        except OperationalError:
            raise
        except Exception as error:  # whatever it is, it is the cause of that trial's failure, and the agent goes on
            return Answer(FAILED, cause=line_of(without_secrets(f"{type(error).__name__}: {error}")))

    def _measure(self, request: Any, files: NetworkFiles) -> Latency:
        job = job_of(request)
        network = job.candidate.network
        check_runtime(network.runtime, network.device, network.precision)
        try:
            return compare(
                files.of(job.candidate),
                files.of(job.reference),
                timing=job.timing,
                reference_ms=job.reference_ms,
                seed=job.seed,
                longest_seconds=LONGEST_SECONDS,
            )
        finally:
            files.drop(job.candidate.sha256, unless=job.reference.sha256)


class NetworkFiles:
    """The files of networks in a folder that is this process's own; `content_of` gives what has a SHA-256.

    A reference's file is fetched once and stays, as long as it is among the last `MOST_FILES`.
    """

    def __init__(self, folder: Path, content_of: Callable[[str], bytes]) -> None:
        self._folder, self._content_of = folder, content_of
        self._kept: list[str] = []

    def of(self, sent: SentNetwork) -> Prepared:
        """The network in a file of this device.

        Raises:
            InputError: the file refers to something outside of itself.
            LookupError: it is not there, or damaged.
        """
        if sent.sha256 not in self._kept:
            content = self._content_of(sent.sha256)
            check_plain_onnx(content)
            for old in self._kept[: 1 - MOST_FILES]:
                self.drop(old)
            self._write(self._path(sent.sha256), content)
            self._kept.append(sent.sha256)
        return replace(sent.network, file=str(self._path(sent.sha256)))

    def drop(self, sha256: str, unless: str = "") -> None:
        """Removes the file, if it is one of those written here and not `unless`."""
        if sha256 in self._kept and sha256 != unless:
            self._kept.remove(sha256)
            self._path(sha256).unlink(missing_ok=True)

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        # Never through a link, nor onto a file that is there.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:  # a full disk
                path.unlink()
                raise

    def _path(self, sha256: str) -> Path:
        if not is_sha256(sha256):
            raise InputError("a file is named by its SHA-256")
        return self._folder / f"{sha256}.onnx"
