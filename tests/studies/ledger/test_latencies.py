"""The ledger: what is entered comes back, once, whoever enters it."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from search_space import PRESETS
from studies.checked_facts import ImpossibleFacts
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured
from studies.storage.database import engine_of
from studies.storage.studies import check_storage, open_storage

LATENCY = {
    **{"latency_ms": 2.5, "reference_ms": 4.0, "reference_p10_ms": 4.2, "spread": 0.01, "noisy": False},
    **{"runtime": "onnxruntime", "runtime_version": "1.30", "precision": "float32", "fingerprint": "abc"},
    **{"batch_size": 1, "resolution": 224, "taken_at": 1e9, "rounds": 160, "steal_share": None},
}


def measured(network: str = "one", **changes: Any) -> Measured:
    return Measured(
        network, 1000, "a board", "run", LatencyFacts({**LATENCY, **changes}), PRESETS["v2-0.5x"], "a study"
    )


@pytest.fixture
def engine(database: Engine) -> Engine:
    return database


def test_a_measurement_comes_back_as_it_was(engine: Engine) -> None:
    assert Ledger(engine).add([measured()]) == 1
    assert Ledger(engine).measurements() == [measured()]
    (kept,) = Ledger(engine).measurements()
    assert (kept.latency, kept.architecture) == (LatencyFacts(LATENCY), PRESETS["v2-0.5x"])


def test_a_network_that_is_no_architecture_is_kept_too(engine: Engine) -> None:
    entered = Measured("resnet-18", 1000, "a board", "references", LatencyFacts(LATENCY))
    Ledger(engine).add([entered])
    assert Ledger(engine).measurements() == [entered]


def test_entered_twice_it_is_one_and_measured_again_it_is_two(engine: Engine) -> None:
    ledger = Ledger(engine)
    assert ledger.add([measured(), measured()]) == 1
    assert ledger.add([measured(), measured(taken_at=1e9 + 60)]) == 1
    assert [each.latency.taken_at for each in ledger.measurements()] == [1e9, 1e9 + 60]


def test_measurements_are_found_by_column_oldest_first(engine: Engine) -> None:
    ledger = Ledger(engine)
    ledger.add([measured("b", taken_at=2e9), measured("a", runtime="torch"), measured("c", taken_at=3.0)])
    assert [each.network for each in ledger.measurements()] == ["c", "a", "b"]
    assert [each.network for each in ledger.measurements(runtime="onnxruntime", device="a board")] == ["c", "b"]
    assert ledger.measurements(device="another") == []


CONDITIONS: dict[str, Any] = {
    **{"network": "one", "classes": 1000, "resolution": 224, "runtime": "onnxruntime", "fingerprint": "abc"},
    "batch_size": 1,
}


def test_the_latest_of_a_network_is_the_newest_that_is_not_noisy(engine: Engine) -> None:
    ledger = Ledger(engine)
    assert ledger.latest(**CONDITIONS) is None
    ledger.add([measured(taken_at=3e9, noisy=True), measured(taken_at=2e9), measured(taken_at=1e9), measured("two")])
    assert ledger.latest(**CONDITIONS) == measured(taken_at=2e9)


def test_one_by_the_whole_protocol_goes_before_a_newer_quick_one(engine: Engine) -> None:
    ledger = Ledger(engine)
    ledger.add([measured(taken_at=3e9, depth="quick")])
    assert ledger.latest(**CONDITIONS) == measured(taken_at=3e9, depth="quick")
    assert ledger.latest(**CONDITIONS, full=True) is None
    ledger.add([measured(taken_at=1e9), measured(taken_at=2e9, depth="full"), measured(taken_at=2.5e9, noisy=True)])
    assert ledger.latest(**CONDITIONS) == ledger.latest(**CONDITIONS, full=True) == measured(taken_at=2e9, depth="full")


def test_where_all_are_noisy_there_is_no_latest(engine: Engine) -> None:
    Ledger(engine).add([measured(noisy=True)])
    assert Ledger(engine).latest(**CONDITIONS) is None


@pytest.mark.parametrize(
    "other",
    [
        {"network": "two"},
        {"classes": 10},
        {"resolution": 192},
        {"runtime": "openvino"},
        {"fingerprint": "def"},
        {"batch_size": 64},
        {"precision": "bfloat16"},
        {"device": "another board"},
        {"runtime_version": "1.31"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_latest_is_of_exactly_these_conditions(engine: Engine, other: dict[str, Any]) -> None:
    ledger = Ledger(engine)
    ledger.add([measured()])
    text = {"precision": "float32", "device": "a board", "runtime_version": "1.30"}
    assert ledger.latest(**CONDITIONS, **text) == measured()
    assert ledger.latest(**{**CONDITIONS, **text, **other}) is None


def test_one_that_cannot_be_kept_keeps_the_others_out(engine: Engine) -> None:
    ledger = Ledger(engine)
    with pytest.raises(ImpossibleFacts, match="'classes' in a latency must be a whole number"):
        ledger.add([measured("good"), Measured("bad", None, "a board", "run", LatencyFacts(LATENCY))])  # type: ignore[arg-type]
    assert ledger.measurements() == []


def test_processes_that_enter_at_once_lose_nothing(engine: Engine) -> None:
    Ledger(engine)
    threads = [
        threading.Thread(target=lambda part=part: [Ledger(engine).add([measured(f"{part}-{n}")]) for n in range(20)])
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Ledger(engine).measurements()) == 80


def test_a_storage_that_holds_a_ledger_alone_can_get_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = engine_of(url)
    Ledger(engine).add([measured()])
    engine.dispose()
    check_storage(url)
    storage = open_storage(url)
    assert storage.get_all_studies() == []
    storage.engine.dispose()
