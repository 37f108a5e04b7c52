"""What made an answer: the same device has the same fingerprint in trainings and in latencies."""

import json
import platform

import pytest

from nas.workers import evaluator
from proxies.latency.machine import device_facts, fingerprint


def test_a_training_on_the_processor_has_the_fingerprint_of_a_latency_on_it() -> None:
    made_by = json.loads(json.dumps(evaluator.made_by()))
    assert made_by["fingerprint"] == fingerprint(device_facts())
    assert made_by["host"] == platform.node()
    assert set(made_by["versions"]) == {"python", "torch", "torchvision", "numpy"}
    assert "gpu" not in made_by


def test_a_training_on_a_gpu_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "gpu_name", lambda: "a GPU")
    made_by = evaluator.made_by("cuda")
    assert made_by["gpu"] == "a GPU"
    assert made_by["fingerprint"] == fingerprint(device_facts("a GPU")) != evaluator.made_by()["fingerprint"]
