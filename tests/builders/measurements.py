"""Made-up measurements: a comparison with its networks, a study of references, findings of guidelines, a device."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from nas.guidelines.run import Case
from proxies.latency.measure import Latency
from search_space import Architecture, cost_of
from studies.facts import LatencyFacts
from studies.latency.flops_verdict import FailedNetwork, TimedNetwork, verdict_of
from studies.latency.model import fit, work_of
from studies.papers.comparison import Compared, Comparison
from studies.papers.guideline_findings import Finding, MeasuredRow
from studies.report.reference_page import ReferenceStudy

from .fronts import networks

MADE = {
    "data": "fashion-mnist-12k",
    "image_size": 16,
    "recipe": {"name": "short", "epochs": 4},
    "seeds": [0, 1],
    "resolution": 224,
    "classes": 1000,
    "runtime": "onnxruntime",
    "latency_device": "cpu",
}
V1 = {1: "v1-1.0x-g1", 2: "v1-1.0x-g2", 3: "v1-1.0x-g3", 4: "v1-1.0x-g4", 8: "v1-1.0x-g8"}


def latency(latency_ms: float = 2.5, reference_ms: float = 4.0, **facts: Any) -> Latency:
    """A made-up latency that can be: what its facts leave out is in keeping with them."""
    ratio = latency_ms / reference_ms
    p10_ms = facts.get("p10_ms", latency_ms)
    where = {"runtime": "onnxruntime", "runtime_version": "1.0", "device": "A CPU", "fingerprint": "abc"}
    how = {"precision": "float32", "priority": "normal", "depth": "full", "spread": 0.01, "noisy": False}
    own = dict.fromkeys(("p10_ms", "median_ms", "mean_ms", "p90_ms", "wall_p10_ms"), p10_ms)
    reference = dict.fromkeys(("reference_p10_ms", "reference_median_ms", "reference_mean_ms"), p10_ms / ratio)
    ms = {**own, **reference, "latency_ms": latency_ms, "reference_ms": reference_ms, "ratio": ratio}
    made = {**where, **how, **ms, **facts}
    return Latency.from_dict({field.name: made.get(field.name, 1) for field in fields(Latency)})


def compared(name: str, accuracies: Mapping[int, float], ms: float | None = 1.0, **other: Any) -> Compared:
    latency = None if ms is None else LatencyFacts({"latency_ms": ms, "spread": 0.01, "noisy": False})
    return Compared(name, "ShuffleNet V1", 140_000_000, 2_000_000, accuracies, latency, **other)


def comparison(*networks: Compared) -> Comparison:
    return Comparison(networks, MADE)


FAMILIES = ("ShuffleNet V1", "ShuffleNet V2", "MobileNet", "other")


def timed(
    name: str, mflops: float, latency_ms: float, mparams: float = 1.0, noisy: bool = False, family: str = "other"
) -> TimedNetwork:
    latency = LatencyFacts({"spread": 0.02, "noisy": noisy})
    return TimedNetwork(name, family, round(mflops * 1e6), round(mparams * 1e6), latency_ms, latency)


# Four networks: of six pairs only b and c are the wrong way round. Parameters are in the reverse order.
A, B, C, D = (
    timed("a", 10, 1.0, 8.0),
    timed("b", 50, 3.0, 4.0),
    timed("c", 100, 2.0, 2.0),
    timed("d", 400, 10.0, 1.0),
)
FOUR = (A, B, C, D)


def reference_study(*timed: TimedNetwork, failed: tuple[FailedNetwork, ...] = ()) -> ReferenceStudy:
    ordered = tuple(sorted(timed, key=lambda one: one.latency_ms))
    verdict = verdict_of(ordered)
    return ReferenceStudy(ordered, failed, (("all", verdict),) if verdict else (), "One image of 224 px.")


def finding(case: Case, latencies_ms: Sequence[float]) -> Finding:
    how = {"spread": 0.01, "noisy": False}
    rows = tuple(
        MeasuredRow(row.setting, (8,), (1, 8, 56, 56), 1_000_000, 1_000, LatencyFacts({**how, "latency_ms": ms}))
        for row, ms in zip(case.table.rows, latencies_ms, strict=True)
    )
    return Finding(case.table, case.platform, case.variant, rows)


def made_up_ms(architecture: Architecture, resolution: int = 224) -> float:
    """A device that computes 16 channels at a time, and whose hardswish is slow."""
    work = work_of(architecture, 16, resolution, 1000)
    rates = {
        "every network": 0.5,
        "1x1, multiply-adds in whole blocks": 0.01,
        "hardswish, elements": 0.3,
        "layers": 0.02,
    }
    return sum(rates.get(kind, 0.001) * amount for kind, amount in work.items())


NETWORKS = networks(30)
MODEL = fit(NETWORKS, [0.5 + cost_of(each).macs / 1e8 for each in NETWORKS], 224, 1000)
"""A latency model of a device that takes time for FLOPs alone."""
