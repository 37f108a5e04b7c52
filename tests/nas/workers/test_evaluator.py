"""One evaluation: a quick latency first, a full one where it decides, training after."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders.measurements import latency as made_up_latency
from builders.settings import settings_from
from builders.trainings import SMALL

from nas.workers import evaluator as evaluate
from nas.workers.evaluator import Evaluator
from proxies.backbone import deployed
from proxies.counting import count
from proxies.data.source import DataSource
from proxies.latency.measure import Latency
from proxies.latency.protocol import FULL, Timing
from proxies.training.recipes import RECIPES
from search_space import PRESETS
from studies.record import Record, Rejected

ARCHITECTURE = PRESETS["v2-0.5x"]


def latency(latency_ms: float, spread: float, depth: str = FULL) -> Latency:
    return made_up_latency(latency_ms, reference_ms=1.0, spread=spread, noisy=spread > 0.02, depth=depth)


TRAINED = {
    **{"seconds": 9.0, "validation_accuracies": [0.5], "training_losses": [2.0], "validation_losses": [1.5]},
    "num_classes": 10,
}


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an evaluation did, in order."""
    return []


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, events: list[str]) -> Callable[..., Evaluator]:
    """An evaluator that meets these latencies, given as milliseconds and spread; a training takes no time."""

    def evaluator(*latencies: tuple[float, float], flags: tuple[str, ...] = ()) -> Evaluator:
        waiting = list(latencies)

        def compare(candidate: str, reference: str, timing: Timing, **options: Any) -> Latency:
            events.append(f"measure {Path(candidate).name} with {Path(reference).name}, {timing.depth}")
            return latency(*waiting.pop(0), timing.depth)

        def train(*arguments: Any, **options: Any) -> Any:
            events.append("train")
            return None, SimpleNamespace(accuracy=0.5, to_dict=lambda: TRAINED)

        monkeypatch.setattr(evaluate, "prepare", lambda network, stem, **options: str(stem))
        monkeypatch.setattr(evaluate, "deployed", lambda *arguments: None)
        monkeypatch.setattr(DataSource, "load", lambda _: None)
        monkeypatch.setattr(evaluate, "compare", compare)
        monkeypatch.setattr(evaluate, "train", train)
        return Evaluator(settings_from(*flags).setup, tmp_path)

    return evaluator


@pytest.fixture
def evaluated(evaluator: Callable[..., Evaluator]) -> Callable[..., Any]:
    """What such an evaluator makes of the architecture."""
    return lambda *latencies, flags=(): evaluator(*latencies, flags=flags).evaluate(ARCHITECTURE, 4.0)


def test_a_calm_latency_is_measured_once_before_the_training(evaluated: Any, events: list[str]) -> None:
    record = evaluated((2.0, 0.01))
    assert isinstance(record, Record)
    assert (record.latency_ms, record.latency.plain["attempts"], record.noisy) == (2.0, 1, False)
    assert events == ["measure candidate with anchor-fp32-1, quick", "train"]


def test_a_search_times_quickly_and_a_noisy_latency_stays_so(evaluated: Any, events: list[str]) -> None:
    record = evaluated((2.0, 0.05))
    assert (record.latency_ms, record.latency.plain["attempts"], record.noisy) == (2.0, 1, True)
    assert (record.is_timed_fully, events) == (False, ["measure candidate with anchor-fp32-1, quick", "train"])


def test_the_whole_protocol_takes_a_noisy_latency_twice_and_the_calmer_stands(evaluator: Any) -> None:
    assert evaluator((2.0, 0.05), (2.1, 0.01)).measure(ARCHITECTURE, 4.0).latency_ms == 2.1
    kept = evaluator((2.0, 0.04), (2.1, 0.05)).measure(ARCHITECTURE, 4.0)
    assert (kept.latency_ms, kept.plain["attempts"], kept.noisy, kept.depth) == (2.0, 2, True, "full")


def test_what_is_too_slow_is_never_trained(evaluated: Any, events: list[str]) -> None:
    rejected = evaluated((2.0, 0.01), flags=("--latency-budget", "1.9ms"))
    assert isinstance(rejected, Rejected)
    assert rejected.latency_ms == 2.0
    assert "train" not in events


@pytest.mark.parametrize("quick_ms", [1.85, 1.95])
def test_what_is_too_near_to_the_budget_is_timed_fully_before_that_decides(
    quick_ms: float, evaluated: Any, events: list[str]
) -> None:
    record = evaluated((quick_ms, 0.05), (1.8, 0.01), flags=("--latency-budget", "1.9ms"))
    assert (record.latency_ms, record.is_timed_fully) == (1.8, True)
    assert events == [*(f"measure candidate with anchor-fp32-1, {depth}" for depth in ("quick", "full")), "train"]
    assert isinstance(evaluated((quick_ms, 0.05), (1.91, 0.01), flags=("--latency-budget", "1.9ms")), Rejected)


@pytest.mark.slow
def test_a_backbone_is_costed_and_timed_by_its_maps_beside_the_anchors_and_trained_as_a_classifier(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shapes = []

    def compare(candidate: Any, reference: Any, **options: Any) -> Latency:
        shapes.append([[len(values) for values in each.expected.values] for each in (candidate, reference)])
        return latency(2.0, 0.01)

    def train(architecture: Any, *arguments: Any, **options: Any) -> Any:
        assert architecture.head == 0
        return None, SimpleNamespace(to_dict=lambda: TRAINED)

    monkeypatch.setattr(evaluate, "compare", compare)
    monkeypatch.setattr(evaluate, "train", train)
    settings = settings_from("--task", "detection-backbone", "--resolution", "64", "--runtime", "torch")
    record = Evaluator(settings.setup, tmp_path).evaluate(settings.task.deployed(ARCHITECTURE), 4.0)
    # The maps of V2 0.5x at 64 px have 48 x 8^2, 96 x 4^2 and 192 x 2^2 values, of which up to 1000 are kept.
    assert shapes == [[[1000, 1000, 768], [1000, 1000, 1000]]]
    assert isinstance(record, Record)
    network = deployed(ARCHITECTURE, 0)
    assert (record.macs, record.params) == count(network, (1, 3, 64, 64))


def test_images_a_second_are_measured_at_a_batch_of_their_own(evaluated: Any, events: list[str]) -> None:
    record = evaluated((2.0, 0.01), (32.0, 0.01), flags=("--throughput-batch", "16"))
    assert (record.latency_ms, record.latency.plain["images_per_second"], record.latency.throughput_batch) == (
        2.0,
        500,
        16,
    )
    assert events == [
        *("measure candidate with anchor-fp32-1, quick", "measure candidate-batch with anchor-fp32-16, quick"),
        "train",
    ]


def test_a_network_is_quantised_after_its_training_where_that_is_asked(tmp_path: Path) -> None:
    setup = settings_from("--data", "fashion-mnist-12k").setup
    method = replace(RECIPES["short"], epochs=1, max_images=64).to_dict()
    asked = Evaluator(setup, tmp_path)
    plain = asked.answer(SMALL, method, 0)
    assert "int8" not in plain
    both = asked.answer(SMALL, method, 0, True)
    assert both["validation_accuracies"] == plain["validation_accuracies"]
    facts = both["int8"]
    assert (facts["images"], facts["calibration_images"]) == (2000, 256)
    # Both count the same images, one by one; the loss between the two is what is lost less what is gained.
    lost = (facts["lost"] - facts["gained"]) / 2000
    assert plain["validation_accuracies"][-1] - facts["accuracy"] == pytest.approx(lost, abs=0.001)
