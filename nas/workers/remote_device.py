"""Latency from another device, the search's side: it sends networks through the storage and waits for the answers."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from proxies.latency.measure import Latency, Prepared, Timing
from proxies.latency.protocol import DEFAULT_TIMING
from proxies.latency.runtimes import RUNTIMES
from search_space.precision import FP32
from search_space.reading import line_of
from studies.checked_facts import checked_latency
from studies.ledger.latency_queue import DONE, FAILED, WAITING, Answer, LatencyQueue

POLL_SECONDS = 0.5
MEASURED = tuple(field.name for field in fields(Latency) if field.name not in ("load_average", "steal_share"))
"""What an answer must say; a device may not know the others."""
SILENT_SECONDS = 60.0
"""An agent in mid-measurement that gives no sign of life for this long is taken to be gone."""


@dataclass(frozen=True)
class RemoteDevice:
    """A device that measures for a search; `compare` is `proxies.latency.measure.compare`, done there."""

    queue: LatencyQueue
    name: str
    timeout_seconds: float

    def compare(
        self,
        candidate: Prepared,
        reference: Prepared,
        *,
        timing: Timing = DEFAULT_TIMING,
        reference_ms: float | None = None,
        seed: int = 0,
    ) -> Latency:
        """The candidate's latency as the device measured it.

        Raises:
            RuntimeError: the device did not answer in time, vanished in mid-measurement, or could not measure it.
        """
        networks = {"candidate": self._sent(candidate), "reference": self._sent(reference)}
        job = self.queue.post(
            self.name, {**networks, "timing": asdict(timing), "reference_ms": reference_ms, "seed": seed}
        )
        try:
            answer = self._wait(job)
        finally:
            self.queue.give_up(job, "the search no longer waits for it")
            if networks["candidate"]["sha256"] != networks["reference"]["sha256"]:
                self.queue.drop_file(networks["candidate"]["sha256"])
        if answer.state == FAILED or answer.result is None:
            raise RuntimeError(f"device {self.name!r} could not measure: {line_of(answer.cause)}")
        return self._checked(answer.result, candidate, timing, reference_ms)

    def _checked(self, result: Any, candidate: Prepared, timing: Timing, reference_ms: float | None) -> Latency:
        """The latency that came, where it can be one, and is of what was asked."""
        names = [field.name for field in fields(Latency)]
        facts = checked_latency({name: dict(result).get(name) for name in names} if result else result, MEASURED)
        latency = Latency.from_dict({name: facts.plain[name] for name in names})
        how = candidate.runtime, RUNTIMES[candidate.runtime].computes_in(candidate.precision)
        asked = (*how, candidate.shape[0], candidate.shape[-1], timing.depth, reference_ms)
        answered = latency.runtime, latency.precision, latency.batch_size, latency.resolution, latency.depth
        of = (*answered, latency.reference_ms)
        if of != (*asked[:-1], latency.reference_ms if reference_ms is None else reference_ms):
            raise RuntimeError(f"device {self.name!r} was asked for {asked} and answered for {of}")
        return latency

    def _sent(self, network: Prepared) -> dict[str, Any]:
        content = Path(network.file).read_bytes()
        # The file's name here is nobody else's business, and agents from before there was int8 know no precision.
        known = {name: value for name, value in asdict(network).items() if name != "precision" or value != FP32}
        return {**known, "file": "", "sha256": self.queue.put_file(content)}

    def _wait(self, job: int) -> Answer:
        started = changed = time.monotonic()
        last: tuple[str, int] | None = None
        while True:
            answer = self.queue.answer(job)
            if answer.state in (DONE, FAILED):
                return answer
            beats = self.queue.beats(self.name)
            now = time.monotonic()
            if beats != last:
                last, changed = beats, now
            self._check_wait(answer, beats is not None, now - started, now - changed)
            time.sleep(POLL_SECONDS)

    def _check_wait(self, answer: Answer, known: bool, waited: float, silent: float) -> None:
        if answer.state != WAITING and silent > SILENT_SECONDS:
            raise RuntimeError(f"device {self.name!r} vanished in mid-measurement: no sign of life for {silent:.0f} s")
        if waited > self.timeout_seconds:
            what = "its agent is silent or busy" if known else "no agent of that name ever asked for work"
            raise RuntimeError(
                f"device {self.name!r} gave no latency within {self.timeout_seconds:.0f} s: {what}; "
                f"start one there with python -m nas.latency agent --device {self.name} --storage URL"
            )
