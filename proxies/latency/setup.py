"""How latencies are measured, as a value. Without torch."""

from __future__ import annotations

from dataclasses import dataclass

from search_space.precision import FP32

DEFAULT_RUNTIME = "onnxruntime"
DEFAULT_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class LatencySetup:
    """In which runtime, on which device and in which precision latencies are measured.

    `remote` names another machine's agent that measures, for at most `timeout_seconds` a network; images a second are
    measured at `throughput_batch` too, unless that is 0.
    """

    runtime: str = DEFAULT_RUNTIME
    device: str = "cpu"
    remote: str | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    throughput_batch: int = 0
    precision: str = FP32
