"""The ledger read as one: what a filter keeps, in which order, and what it all took."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from builders.filled_ledger import DATA, DAY, FULL, HALF, HOUR, NOVEMBER, SCORED, TIMED, TRAINED, fill, letters
from sqlalchemy import Engine

from proxies.training.recipes import RECIPES
from search_space.errors import InputError
from studies.facts import LatencyFacts
from studies.ledger.entries import Entries, Filters, Totals
from studies.ledger.entry import columns
from studies.ledger.latencies import Ledger, Measured
from studies.ledger.trainings import Evaluations, Question
from studies.storage.database import engine_of


@pytest.fixture
def entries(database: Engine) -> Entries:
    fill(database)
    return Entries(database)


FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "ABCDE"),
    "trainings": ({"kind": "training"}, "AD"),
    "scores": ({"kind": "scores"}, "C"),
    "latencies": ({"kind": "latency"}, "BE"),
    "a preset": ({"network": "v2-0.5x"}, "ABC"),
    "another preset": ({"network": "v2-1.0x"}, "D"),
    "the beginning of a key": ({"network": FULL.key()[:6]}, "D"),
    "the beginning of a name": ({"network": "resnet"}, "E"),
    "no wildcard": ({"network": "%"}, ""),
    "a recipe": ({"recipe": "short"}, "A"),
    "another recipe": ({"recipe": "long"}, "D"),
    "the beginning of data": ({"data": "0123"}, "AC"),
    "not its middle": ({"data": "123"}, ""),
    "a seed": ({"seed": 1}, "D"),
    "seed 0 is a seed": ({"seed": 0}, "AC"),
    "a named device": ({"device": "a board"}, "B"),
    "a fingerprint of trainings": ({"device": "aaaabbbbcccc"}, "AC"),
    "a fingerprint of latencies": ({"device": "abcdefabcdef"}, "E"),
    "the beginning of a fingerprint": ({"device": "aaaa"}, "AC"),
    "not the beginning of a name": ({"device": "a boar"}, ""),
    "a processor": ({"device": "a small processor"}, "BE"),
    "cuda": ({"device": "cuda"}, "D"),
    "a host": ({"device": "rack"}, "D"),
    "a runtime": ({"runtime": "openvino-bf16"}, "E"),
    "a study": ({"study": "a study"}, "B"),
    "from a moment on": ({"since_s": NOVEMBER + 12 * HOUR}, "CDE"),
    "before a moment": ({"until_s": NOVEMBER + 12 * HOUR}, "AB"),
    "between moments": ({"since_s": NOVEMBER + HOUR, "until_s": NOVEMBER + DAY}, "BC"),
    "several": ({"network": "v2-0.5x", "data": DATA, "kind": "training"}, "A"),
    "several that none passes": ({"network": "v2-1.0x", "recipe": "short"}, ""),
}


@pytest.mark.parametrize(("given", "kept"), FILTERS.values(), ids=FILTERS)
def test_a_filter_keeps_these_oldest_first(entries: Entries, given: dict[str, Any], kept: str) -> None:
    assert letters(entries.all(Filters(**given))) == kept
    assert entries.survey(Filters(**given), 10).totals.entries == len(kept)
    assert letters(entries.survey(Filters(**given), 10).newest) == kept


def test_the_newest_are_the_last_of_all_kinds(entries: Entries) -> None:
    assert letters(entries.survey(Filters(), 3).newest) == "CDE"
    assert letters(entries.survey(Filters(kind="training"), 1).newest) == "D"


def test_totals_add_up_what_says_how_long_it_took(entries: Entries) -> None:
    # 12.5 + 30 of the trainings, 0.75 of the scoring, 4.5 of one latency; the other one does not say.
    assert entries.survey(Filters(), 1).totals == Totals(2, 1, 2, 47.75, 4)
    assert entries.survey(Filters(runtime="openvino-bf16"), 1).totals == Totals(0, 0, 1, 0.0, 0)


@pytest.mark.parametrize(
    "given",
    [{"kind": "latency", "recipe": "short"}, {"kind": "training", "runtime": "torch"}, {"seed": 0, "study": "one"}],
)
def test_filters_that_no_entry_can_pass_are_a_mistake(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="leave one out") as raised:
        Filters(**given)
    assert all(repr(value) in str(raised.value) for value in given.values())


def test_an_unknown_kind_is_a_mistake() -> None:
    with pytest.raises(InputError, match="kind must be one of training, scores, latency, got 'latencies'"):
        Filters(kind="latencies")


def test_an_empty_database_holds_nothing_and_stays_empty(database: Engine) -> None:
    entries = Entries(database)
    assert list(entries.all(Filters())) == entries.survey(Filters(), 5).newest == []
    assert entries.survey(Filters(), 5).totals == Totals()
    assert sqlalchemy.inspect(database).get_table_names() == []


def test_a_database_of_latencies_alone_is_read(tmp_path: Path) -> None:
    engine = engine_of(f"sqlite:///{tmp_path}/latencies.db")
    Ledger(engine).add([Measured("resnet-18", 1000, "a board", "run", LatencyFacts(TIMED))])
    assert [entry.network for entry in Entries(engine).all(Filters())] == ["resnet-18"]
    engine.dispose()


def test_more_than_is_fetched_at_once_comes_in_order(tmp_path: Path) -> None:
    engine = engine_of(f"sqlite:///{tmp_path}/latencies.db")
    moments = [NOVEMBER + number for number in range(1200)]
    Ledger(engine).add(
        [Measured("one", 10, "a board", "run", LatencyFacts({**TIMED, "taken_at": when})) for when in moments[::-1]]
    )
    assert [entry.taken_at_epoch_s for entry in Entries(engine).all(Filters())] == moments
    assert [entry.taken_at_epoch_s for entry in Entries(engine).survey(Filters(), 2).newest] == moments[-2:]
    engine.dispose()


# What an entry says


def known(entry: Any) -> dict[str, Any]:
    """What the entry knows, without its JSON texts."""
    texts = ("versions", "method", "architecture", "result")
    return {name: value for name, value in entry.to_dict().items() if value is not None and name not in texts}


def test_a_training_says_how_it_was_made(entries: Entries) -> None:
    (entry,) = entries.all(Filters(recipe="short"))
    assert known(entry) == {
        **{"kind": "training", "taken_at": "2026-11-01T00:00:00+00:00", "taken_at_epoch_s": 1793491200.0},
        **{"network": HALF.key(), "name": "v2-0.5x", "classes": 10, "recipe": "short", "data": DATA, "seed": 0},
        **{"device": "cpu", "device_fingerprint": "aaaabbbbcccc", "processor": "a processor", "host": "tower"},
        **{"seconds": 12.5, "resolution_px": 16, "stem_stride": 1, "training_loss_sum": 3.5},
        **{"validation_accuracy": 0.625, "validation_loss": 1.25},
    }
    assert json.loads(entry.method) == RECIPES["short"].to_dict()
    assert json.loads(entry.architecture) == HALF.to_dict()
    assert (json.loads(entry.versions), json.loads(entry.result)) == ({"torch": "2.9"}, TRAINED)


def test_a_training_from_before_fingerprints_has_none(entries: Entries) -> None:
    (entry,) = entries.all(Filters(recipe="long"))
    assert (entry.device, entry.device_fingerprint, entry.host) == ("cuda", None, "rack")


def test_a_scoring_has_no_accuracy(entries: Entries) -> None:
    (entry,) = entries.all(Filters(kind="scores"))
    assert (entry.recipe, entry.seconds) == ("zero-cost", 0.75)
    assert (entry.validation_accuracy, entry.training_loss_sum, entry.resolution_px) == (None, None, None)
    assert json.loads(entry.result) == SCORED


def test_a_latency_says_how_it_was_measured(entries: Entries) -> None:
    (entry,) = entries.all(Filters(study="a study"))
    assert known(entry) == {
        **{"kind": "latency", "taken_at": "2026-11-01T06:00:00+00:00", "taken_at_epoch_s": 1793512800.0},
        **{"network": HALF.key(), "name": "v2-0.5x", "classes": 1000, "device": "a board", "seconds": 4.5},
        **{"device_fingerprint": "111122223333", "processor": "a small processor", "resolution_px": 224},
        **{"latency_ms": 2.5, "spread": 0.01, "noisy": False, "reference_ms": 4.0, "runtime": "onnxruntime"},
        **{"runtime_version": "1.30", "precision": "float32", "batch_size": 1, "source": "run", "study": "a study"},
        "task": "classification",
    }
    assert json.loads(entry.result) == TIMED


def test_a_backbones_latency_says_so_and_is_found_by_its_presets_name(database: Engine) -> None:
    backbone = replace(FULL, head=0)
    Ledger(database).add([Measured(backbone.key(), 0, "a board", "run", LatencyFacts(TIMED), backbone)])
    (entry,) = Entries(database).all(Filters(network="v2-1.0x"))
    assert (entry.name, entry.task, entry.classes) == ("v2-1.0x", "detection-backbone", None)
    assert list(Entries(database).all(Filters(network="v2-0.5x"))) == []


def test_what_a_latency_does_not_say_is_unknown(entries: Entries) -> None:
    (entry,) = entries.all(Filters(network="resnet-18"))
    assert (entry.name, entry.architecture, entry.study, entry.seconds) == (None, None, None, None)
    assert (entry.versions, entry.host, entry.seed) == (None, None, None)


def test_each_column_has_the_type_of_what_is_known_there() -> None:
    types = columns()
    assert [types[name] for name in ("kind", "seed", "seconds", "noisy", "result")] == [str, int, float, bool, str]
    assert set(types.values()) == {str, int, float, bool}


def test_a_method_without_a_name_is_a_training_all_the_same(database: Engine) -> None:
    Evaluations(database).add(Question(HALF, {"epochs": 4}, DATA, 0), TRAINED, {}, NOVEMBER)
    (entry,) = Entries(database).all(Filters())
    assert (entry.kind, entry.recipe, entry.host, entry.versions) == ("training", None, None, None)
