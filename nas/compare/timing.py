"""The latencies of a comparison: from the ledger, or measured one after another while nothing else runs."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from nas.cli.architectures import NamedNetwork
from nas.cli.heartbeat import Steps, doing
from nas.compare.settings import CompareSettings
from nas.workers.protocol import Failure, Workers
from proxies.latency.runtimes import RUNTIMES
from search_space.architecture import Architecture
from search_space.hand_designed import HandDesigned
from search_space.presets import ANCHOR, PRESETS
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured

Latencies = dict[str, LatencyFacts]
"""By a network's key, how it was timed."""


@dataclass(frozen=True, slots=True)
class ComparedOn:
    """On what all is trained and timed: the data's fingerprint and pixels, the device and the runtime."""

    data: str
    image_size: int
    fingerprint: str
    runtime_version: str


class ComparedTimings:
    """The latencies of a comparison: from the ledger, or measured one after another while nothing else runs."""

    def __init__(self, settings: CompareSettings, where: ComparedOn, workers: Workers, ledger: Ledger) -> None:
        self._settings, self._where = settings, where
        self._workers, self._ledger = workers, ledger

    def all(self, networks: Sequence[NamedNetwork]) -> tuple[Latencies, list[str]]:
        """The latencies, scaled to the anchor's, and what failed, a line each. Random order: no drift counts.

        Raises:
            RuntimeError: the anchor cannot be timed.
        """
        anchor_ms = self._anchor_ms()
        known = {each.network.key(): found for each in networks if (found := self._known(each.network, anchor_ms))}
        missing = [each for each in networks if each.network.key() not in known]
        print(f"{len(known)} of {len(networks)} latencies are in the ledger", file=sys.stderr)
        failures: list[str] = []
        random.Random(self._settings.seeds[0]).shuffle(missing)
        steps = Steps(len(missing))
        for position, each in enumerate(missing, start=1):
            with doing(f"timing {each.name}, {position} of {len(missing)}", steps.seconds_left):
                result = self._measured(each.network, anchor_ms)
            steps.done += 1
            if isinstance(result, Failure):
                failures.append(f"{each.name} timed: {result.cause}")
                text = f"failed: {result.cause}"
            else:
                known[each.network.key()] = result
                text = result.text
            print(f"timed {position} of {len(missing)} {each.name}: {text}", file=sys.stderr, flush=True)
        return known, failures

    def _anchor_ms(self) -> float:
        """What latencies are scaled to: the anchor's p10 as it was first taken on this device."""
        anchor = PRESETS[ANCHOR]
        kept = self._latest(anchor)
        if kept is not None:
            return kept.reference_ms
        with doing(f"timing {ANCHOR}, which all latencies are compared with"):
            result = self._measured(anchor, None)
        if isinstance(result, Failure):
            raise RuntimeError(f"{ANCHOR}, which all latencies are compared with, cannot be timed: {result.cause}")
        return result.reference_ms

    def _known(self, network: Architecture | HandDesigned, anchor_ms: float) -> LatencyFacts | None:
        kept = self._latest(network)
        return kept and kept.scaled(anchor_ms)

    def _latest(self, network: Architecture | HandDesigned) -> LatencyFacts | None:
        settings = self._settings
        task = settings.task.of(network) if isinstance(network, Architecture) else settings.task
        found = self._ledger.latest(
            network=network.key(),
            classes=task.num_classes,
            resolution=task.resolution,
            runtime=settings.latency.runtime,
            runtime_version=self._where.runtime_version,
            precision=RUNTIMES[settings.latency.runtime].computes_in(settings.latency.precision),
            fingerprint=self._where.fingerprint,
            batch_size=1,
            full=True,
        )
        return found.latency if found else None

    def _measured(self, network: Architecture | HandDesigned, anchor_ms: float | None) -> LatencyFacts | Failure:
        worker = self._workers.all[0]
        worker.send("measure", network, anchor_ms)
        result: LatencyFacts | Failure = worker.receive()
        self._workers.replace_dead([])
        if not isinstance(result, Failure):
            architecture = network if isinstance(network, Architecture) else None
            device = result.fingerprint
            entry = Measured(network.key(), self._settings.task.num_classes, device, "compare", result, architecture)
            self._ledger.add([entry])
        return result
