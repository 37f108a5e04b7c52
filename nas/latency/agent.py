"""`python -m nas.latency agent`: runs on a device and measures what searches elsewhere ask of it. Without torch."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from nas.cli.command import clock
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import Latency, Prepared, Timing, compare
from proxies.latency.runtimes import RUNTIMES
from search_space.errors import InputError
from studies.facts import LatencyFacts
from studies.ledger.latency_queue import DONE, FAILED, Answer, Job, LatencyQueue
from studies.storage.database import engine_of

POLL_SECONDS = 0.5
BEAT_SECONDS = 5.0
RETRY_SECONDS = 600.0
"""How long a database that cannot be reached is tried again."""


def serve(flags: argparse.Namespace) -> int:
    """The exit status of an agent with these flags, once it ends."""

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    queue = LatencyQueue(engine_of(flags.storage))
    agent = Agent(queue, flags.device, report)
    report(f"device {flags.device!r} ({device_facts()['processor']}) serves {flags.storage}; Ctrl-C ends it")
    measured = agent.serve(idle_seconds=flags.idle)
    report(f"no work for {clock(flags.idle)}: {measured} networks measured")
    return 0


class Agent:
    """Measures what a queue asks of one device, until it is stopped."""

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
        with tempfile.TemporaryDirectory(prefix="shufflenet-nas-agent-") as folder:
            while idle_seconds is None or time.monotonic() - idle_since < idle_seconds:
                if self._over.is_set():
                    raise InputError(
                        f"each device has one agent, and another one now speaks for {self._device!r}: "
                        "give this one another --device"
                    )
                if self._with_retries(lambda: self._serve_one(Path(folder)), retry_seconds):
                    measured, idle_since = measured + 1, time.monotonic()
                else:
                    time.sleep(POLL_SECONDS)
        return measured

    def _register(self) -> bool:
        facts = device_facts()
        runtimes = [name for name, row in RUNTIMES.items() if row.version()]
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
                self._report(f"the database cannot be reached, trying again: {str(error.orig).splitlines()[0]}")
                time.sleep(BEAT_SECONDS)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                if not self._queue.beat(self._device, self._name):
                    self._over.set()
            except OperationalError:
                continue  # the main loop meets it too, and reports it

    def _serve_one(self, folder: Path) -> bool:
        job = self._queue.claim(self._device, self._name)
        if job is None:
            return False
        started = time.monotonic()
        answer = self._answer(job, folder)
        text = self._with_retries(lambda: self._queue.finish(job, self._name, answer), RETRY_SECONDS)
        outcome = f"{LatencyFacts(answer.result).latency_ms:.3f} ms" if answer.result else f"failed: {answer.cause}"
        late = "" if text else ", which nobody waits for any more"
        self._report(f"job {job.id}: {outcome}{late}, {time.monotonic() - started:.0f} s")
        return True

    def _answer(self, job: Job, folder: Path) -> Answer:
        try:
            return Answer(DONE, self._measure(job.request, folder).to_dict())
        except OperationalError:
            raise
        except Exception as error:  # whatever it is, it is the cause of that trial's failure, and the agent goes on
            return Answer(FAILED, cause=f"{type(error).__name__}: {' '.join(str(error).split())}")

    def _measure(self, request: Mapping[str, Any], folder: Path) -> Latency:
        candidate, reference = (self._received(request[name], folder) for name in ("candidate", "reference"))
        try:
            return compare(
                candidate,
                reference,
                timing=Timing(**request["timing"]),
                reference_ms=request["reference_ms"],
                seed=request["seed"],
            )
        finally:
            if candidate.file != reference.file:
                Path(candidate.file).unlink()

    def _received(self, network: Mapping[str, Any], folder: Path) -> Prepared:
        """The network in a file of this device; the reference's file is fetched once and stays."""
        fields = dict(network)
        sha256 = fields.pop("sha256")
        file = folder / (sha256 + RUNTIMES[fields["runtime"]].suffix)
        if not file.exists():
            file.write_bytes(self._queue.file(sha256))
        return replace(Prepared.from_dict(fields), file=str(file))
