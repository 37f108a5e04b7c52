"""Facts of a latency and of a training: read under their own names, kept as they were written."""

import ast
import json
import pickle
from statistics import pvariance

import pytest
from builders.places import ROOT

from studies.facts import LatencyFacts, TrainingFacts

WRITTEN = {
    **{"latency_ms": 2, "ratio": 0.5, "reference_ms": 4.0, "spread": 0.012, "noisy": False, "seconds": 3.5},
    **{"runtime": "onnxruntime", "device": "A CPU", "steal_share": None, "of a newer version": {"a": [1, 2]}},
}
NAMES = {"validation_accuracies", "validation_losses", "training_losses", "latency_ms", "spread", "noisy"}
"""Facts that no other module reads from JSON by itself."""


def test_facts_have_their_types_and_what_an_old_file_lacks_has_a_default() -> None:
    facts = LatencyFacts(WRITTEN)
    assert (facts.latency_ms, facts.noisy, facts.where, facts.steal_share) == (2.0, False, "onnxruntime A CPU", None)
    assert isinstance(facts.latency_ms, float)
    assert (facts.is_full, facts.replayed, facts.throughput_batch) == (True, False, 0)
    assert LatencyFacts({}).where == ""
    assert TrainingFacts({}).training_losses == ()


def test_a_fact_that_must_be_there_and_is_not_is_an_error_that_names_it() -> None:
    with pytest.raises(KeyError, match="spread"):
        _ = LatencyFacts({}).spread


def test_what_was_written_comes_back_whole_and_names_of_another_version_with_it() -> None:
    assert LatencyFacts(json.loads(json.dumps(WRITTEN))).plain == WRITTEN
    facts = LatencyFacts(WRITTEN).changed(noisy=True)
    assert facts.plain == {**WRITTEN, "noisy": True}
    assert not LatencyFacts(WRITTEN).noisy
    assert pickle.loads(pickle.dumps(facts)) == facts
    assert facts.has("of a newer version")


def test_a_latency_is_scaled_with_its_anchor_and_kept_for_the_rest() -> None:
    scaled = LatencyFacts(WRITTEN).scaled(6.0)
    assert (scaled.latency_ms, scaled.reference_ms, scaled.spread) == (3.0, 6.0, 0.012)


@pytest.mark.parametrize(
    ("depth", "limit_ms", "is_open"),
    [("quick", None, False), ("quick", 2.02, True), ("quick", 2.03, False), ("full", 2.02, False)],
)
def test_only_a_quick_latency_near_its_limit_is_open(depth: str, limit_ms: float | None, is_open: bool) -> None:
    assert LatencyFacts(WRITTEN).changed(depth=depth).is_open(limit_ms) is is_open


def test_texts_by_hand() -> None:
    facts = LatencyFacts(WRITTEN)
    assert (facts.text, facts.spread_text) == ("2.000 ms ±0.6 %", "±0.6 %")
    assert facts.changed(noisy=True).spread_text == "±0.6 % noisy"


def test_a_trainings_accuracy_and_loss_are_its_last() -> None:
    training = TrainingFacts({"validation_accuracies": [0.25, 0.5], "validation_losses": [2, 1], "seconds": 1.0})
    assert (training.accuracy, training.loss, training.validation_losses) == (0.5, 1.0, (2.0, 1.0))


def test_no_other_module_reads_them_from_json() -> None:
    found = {
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for package in ("nas", "studies")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in NAMES
    }
    assert found == set()


def test_the_error_of_what_8_bits_cost_is_that_of_the_differences_image_by_image() -> None:
    # Of 200 images 7 are lost and 3 gained: the differences are 7 times 1, 3 times -1 and 190 times 0.
    differences = [1.0] * 7 + [-1.0] * 3 + [0.0] * 190
    facts = TrainingFacts({"int8": {"accuracy": 0.5, "images": 200, "lost": 7, "gained": 3}}).int8
    assert facts is not None
    assert facts.variance_of_loss == pytest.approx(pvariance(differences) / 200)
    assert (facts.accuracy, facts.runtime_version) == (0.5, "")
    assert TrainingFacts({}).int8 is None
