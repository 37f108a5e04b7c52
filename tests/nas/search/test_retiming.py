"""Latencies taken again: of which networks, in which order, until when, and who tells them afterwards."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders.records import enter, record
from builders.settings import settings_from
from builders.workers import FakeWorkers
from optuna.storages import RDBStorage
from optuna.study import Study

from nas.search.retiming import Retiming, retime, seconds_of_retiming, to_retime
from nas.workers.protocol import Failure
from search_space import Architecture
from studies.facts import FULL, LatencyFacts
from studies.ledger.latencies import Ledger
from studies.record import Record
from studies.storage.database import engine_of
from studies.storage.studies import open_storage, open_study, records_of, references_of

ANCHOR_MS = 4.0
WHERE = {"taken_at": 1e9, "runtime_version": "1.0", "precision": "float32", "batch_size": 1, "resolution": 224}


def quick(preset: str, accuracy: float, latency_ms: float, **changes: Any) -> Record:
    timed = {"spread": 0.06, "depth": "quick", "p10_ms": latency_ms, "reference_p10_ms": ANCHOR_MS}
    return record(preset, accuracy, latency_ms, latency={**WHERE, **timed}, **changes)


# FAST and SLOW are the front. NEAR would be on it 3 % faster, at 1.96 ms; FAR is as near in accuracy, and too slow.
FAST, SLOW = quick("v2-0.5x", 0.60, 2.0), quick("v1-2.0x-g3", 0.80, 8.0)
NEAR, FAR = quick("v2-star-0.5x", 0.59, 2.02), quick("v1-0.5x-g3", 0.59, 2.1)
LARGE, SMALL = quick("v2-1.0x", 0.7, 7.0, reference="v2-1.0x"), quick("v1-0.25x-g3", 0.4, 1.0, reference="small")
NAMES = {each.architecture.key(): each for each in (FAST, SLOW, NEAR, FAR, LARGE, SMALL)}


def full(record: Record) -> Record:
    return replace(record, latency=record.latency.changed(depth=FULL))


def test_the_front_comes_first_then_its_references_then_what_its_error_may_hide() -> None:
    assert to_retime([FAR, NEAR, SLOW, FAST], [LARGE]) == [FAST, SLOW, LARGE, NEAR]
    assert to_retime([FAR, NEAR, SLOW, FAST], [LARGE, SMALL]) == [FAST, SLOW, SMALL, LARGE, NEAR]


def test_what_was_timed_fully_and_what_says_nothing_of_it_is_not_timed_again() -> None:
    old = replace(
        SLOW, latency=LatencyFacts({name: value for name, value in SLOW.latency.plain.items() if name != "depth"})
    )
    assert to_retime([full(FAST), old], [full(LARGE)]) == []


def test_of_nothing_there_is_nothing_to_time() -> None:
    assert to_retime([], [LARGE]) == []
    assert seconds_of_retiming(settings_from(), [], []) == 0.0


def test_slow_networks_take_longer_and_none_longer_than_the_protocol_lets_it() -> None:
    # 4 processes and 2 more: 2 s to start, and 40 rounds of 5 runs of 2 + 4 ms, which are 1.2 s; 4 s at most.
    assert seconds_of_retiming(settings_from(), [FAST], []) == pytest.approx(6 * (2 + 1.2))
    found = [FAST, quick("v2-2.0x", 0.9, 80.0)]
    assert seconds_of_retiming(settings_from(), found, []) == pytest.approx(6 * (2 + 1.2) + 6 * (2 + 4))


def test_beside_int8_there_is_time_for_quick_latencies_in_fp32_and_a_whole_one_of_the_anchor() -> None:
    # 2 processes and 1 more, each 2 s to start and 0.5 s; the anchor as above.
    seconds = seconds_of_retiming(settings_from("--precision", "int8"), [FAST], [])
    assert seconds == pytest.approx(2 * 6 * (2 + 1.2) + 3 * (2 + 0.5))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage: RDBStorage) -> Study:
    study = open_study(storage, "one", {"budget": "140mflops"}, resume=False)
    study.set_user_attr("anchor_ms", ANCHOR_MS)
    return study


@pytest.fixture
def retimed(storage: RDBStorage, study: Study) -> Iterator[Callable[..., tuple[list[str], list[str], list[str]]]]:
    """Failures, the names of what was timed, in order, and the lines of a retiming of so many seconds."""
    engine = engine_of(str(storage.engine.url))

    def retimed(
        seconds: float = 600, fails: tuple[Record, ...] = (), flags: tuple[str, ...] = ()
    ) -> tuple[list[str], list[str], list[str]]:
        timed: list[str] = []
        lines: list[str] = []

        def measure(architecture: Architecture, anchor_ms: float) -> Any:
            """Takes 5 % less than what was found."""
            was = NAMES[architecture.key()]
            timed.append(was.name)
            if was in fails:
                return Failure("no room")
            now = {"latency_ms": 0.95 * was.latency_ms, "depth": FULL, "spread": 0.01, "fingerprint": "abc"}
            return was.latency.changed(**now, ratio=now["latency_ms"] / anchor_ms, reference_ms=anchor_ms)

        def measure_in_fp32(architecture: Architecture, anchor_ms: float) -> Any:
            """Takes twice what was found."""
            was = NAMES[architecture.key()]
            timed.append(f"{was.name} in fp32")
            if was in fails:
                return Failure("no room")
            now = {"latency_ms": 2 * was.latency_ms, "spread": 0.04, "fingerprint": "abc"}
            return was.latency.changed(**now, ratio=was.latency_ms / anchor_ms, reference_ms=2 * anchor_ms)

        workers: Any = FakeWorkers(pytest.fail, measure=measure, measure_in_fp32=measure_in_fp32)
        retiming = Retiming(settings_from(*flags), study, references_of(study, storage), Ledger(engine))
        failures = retime(retiming, workers, seconds=seconds, report=lines.append)
        return failures, timed, lines

    yield retimed
    engine.dispose()


def test_records_tell_the_new_latencies_and_the_ledger_has_them(
    storage: RDBStorage, study: Study, retimed: Any
) -> None:
    enter(study, FAST, FAR, SLOW)
    enter(references_of(study, storage), LARGE, SMALL)
    failures, timed, lines = retimed()
    assert (failures, timed) == ([], [FAST.name, SLOW.name, SMALL.name, LARGE.name])
    assert lines[0] == f"timed again {FAST.name}: 1.900 ms ±0.5 %, was 2.000 ms"
    found = {each.name: each for each in (*records_of(study), *records_of(references_of(study, storage)))}
    assert {name: each.latency_ms for name, each in found.items()} == pytest.approx(
        {FAST.name: 1.9, FAR.name: 2.1, SLOW.name: 7.6, "v2-1.0x": 6.65, "small": 0.95}
    )
    assert (found[FAST.name].latency_spread, found[FAR.name].latency_spread) == (0.01, 0.06)
    kept = Ledger(engine_of(str(storage.engine.url))).measurements()
    assert [(each.network, each.study, each.latency.depth) for each in kept] == [
        (each.architecture.key(), settings_from().study, FULL) for each in (FAST, SLOW, SMALL, LARGE)
    ]
    assert retimed() == ([], [], []), "what is timed fully is not timed again"


def test_what_comes_onto_the_front_by_it_is_timed_as_well(study: Study, retimed: Any) -> None:
    # Until FAR is found to take 2.0 ms as well, and not 4, FAST alone is timed: nothing is within its error.
    slow = replace(full(SLOW), latency_ms=2.04)
    enter(study, slow, quick("v1-0.5x-g3", 0.81, 2.1))
    _, timed, _ = retimed()
    assert timed == [FAR.name]


def test_none_is_begun_that_would_end_too_late(study: Study, retimed: Any) -> None:
    enter(study, FAST, SLOW)
    assert retimed(seconds=seconds_of_retiming(settings_from(), [FAST], []) - 0.1) == ([], [], [])


def test_one_that_cannot_be_timed_is_told_and_the_others_go_on(study: Study, retimed: Any) -> None:
    enter(study, FAST, SLOW)
    failures, timed, _ = retimed(fails=(FAST,))
    assert (failures, timed) == ([f"{FAST.name} timed again: no room"], [FAST.name, SLOW.name])
    assert [each.is_timed_fully for each in records_of(study)] == [False, True]


def test_after_a_search_for_int8_the_front_and_its_references_are_timed_in_fp32_as_the_ledger_alone_says(
    storage: RDBStorage, study: Study, retimed: Any
) -> None:
    enter(study, full(FAST), full(FAR), full(SLOW))
    enter(references_of(study, storage), full(LARGE))
    flags = ("--precision", "int8", "--study", "one")
    failures, timed, lines = retimed(fails=(SLOW,), flags=flags)
    names = [FAST.name, SLOW.name, LARGE.name]
    assert timed == [f"{name} in fp32" for name in names]
    assert failures == [f"{SLOW.name} timed in fp32: no room"]
    assert lines[0] == f"timed in fp32 {FAST.name}: 4.000 ms ±2.0 %, in int8 2.000 ms"
    assert {each.latency_ms for each in records_of(study)} == {2.0, 2.1, 8.0}
    kept = Ledger(engine_of(str(storage.engine.url))).measurements(precision="float32", study="one")
    assert [(each.network, each.latency.latency_ms) for each in kept] == [
        (FAST.architecture.key(), 4.0),
        (LARGE.architecture.key(), 14.0),
    ]
    assert retimed(flags=flags)[1] == [f"{SLOW.name} in fp32"], "what is known is not timed again"


def test_after_a_search_for_int8_the_front_is_timed_in_fp32_before_what_might_stand_on_it(
    study: Study, retimed: Any
) -> None:
    enter(study, full(FAST), NEAR, full(SLOW))
    _, timed, _ = retimed(flags=("--precision", "int8", "--study", "one"))
    assert timed == [f"{FAST.name} in fp32", f"{SLOW.name} in fp32", NEAR.name]
