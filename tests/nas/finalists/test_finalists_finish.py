"""A run's end: what is planned, trained, timed, kept and told in the time that is left."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from builders.clock import Clock, clock_in
from builders.finalists import (
    FAST,
    FINGERPRINT,
    MIDDLE,
    NEAR,
    NEXT,
    REFERENCE,
    SLOW,
    TRAINED,
    URL,
    from_search,
    kept,
    ledger_holds,
    long_answer,
    timed_again,
)
from builders.records import enter
from builders.settings import settings_from
from builders.workers import FakeWorkers, interrupted
from optuna.storages import RDBStorage
from optuna.study import Study

from nas.finalists.__main__ import main
from nas.finalists.candidates import candidates_of
from nas.finalists.finish import finish_run, seconds_needed
from nas.finalists.summary import finish_lines, plan_lines
from nas.search.settings import Settings
from nas.workers import trainings
from nas.workers.protocol import Failure
from studies.finalists import Finalist, final_front
from studies.record import Record
from studies.storage.database import engine_of
from studies.storage.studies import open_study, references_of, study_names

# SHORT takes 80 s on this data, LONG 3 to 4 times that.
PROVENANCE = {"data": {"training_images": 10_000, "image_size": 28, "classes": [*"abcdefghij"]}}
MINE = ("--budget", "500mflops", "--study", "mine", "--seed", "7", "--workers", "1")
HOURS = 3 * 3600.0
FRONT = (FAST, MIDDLE, SLOW)


@pytest.fixture
def searched(study: Study) -> Study:
    """A search's study as a run leaves it."""
    study.set_user_attr("provenance", PROVENANCE)
    return study


class Finish(NamedTuple):
    """What a run ended with."""

    lines: tuple[str, ...]
    finalists: tuple[Finalist, ...]
    front: tuple[Record, ...]


def ended(
    settings: Settings,
    study: Study,
    storage: RDBStorage,
    workers: Any,
    left: Callable[[], float],
    text: list[str] | None = None,
) -> Finish:
    """What the run ends with; `text` gets what it says before."""
    said = [] if text is None else text
    engine = engine_of(URL)
    found = candidates_of(study, references_of(study, storage), settings)
    finished = found and finish_run(
        found, storage, engine, workers, left, lambda own, plan: said.extend(plan_lines(own, plan, left()))
    )
    engine.dispose()
    finalists = finished.results.finalists if finished and finished.results else ()
    return Finish(tuple(finish_lines(finished)), finalists, tuple(final_front(finalists)))


class Current:
    """The workers that the run has."""

    def __init__(self) -> None:
        self.put(lambda *_: pytest.fail("nothing is to be trained"))

    def put(self, answer: Callable[..., Any], timed: Callable[..., Any] = timed_again) -> None:
        self._workers = FakeWorkers(answer, measure=timed, fingerprint=FINGERPRINT)

    def get(self) -> Any:
        return self._workers


@pytest.fixture
def workers() -> Current:
    return Current()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for `time` where trainings are run."""
    return clock_in(trainings, monkeypatch, 0.0)


@pytest.fixture
def finish(searched: Study, storage: RDBStorage, workers: Current) -> Callable[..., tuple[Finish, list[str]]]:
    """Ends a run with these seconds left; what it said before it began comes too."""

    def finish(seconds_left: float | Callable[[], float]) -> tuple[Finish, list[str]]:
        text: list[str] = []
        left = seconds_left if callable(seconds_left) else lambda: seconds_left
        return ended(settings_from(*MINE), searched, storage, workers.get(), left, text), text

    return finish


def names_of(finished: Finish) -> set[str]:
    return {each.record.name for each in finished.finalists}


def test_with_time_enough_finalists_are_trained_long_by_three_seeds(
    finish: Callable[..., Any], storage: RDBStorage, workers: Current
) -> None:
    asked: list[Any] = []
    workers.put(lambda *question: asked.append(question) or long_answer(*question))
    finished, text = finish(HOURS)
    assert text[0] == (
        "finalists of mine: 3 on its smoothed front and 2 within one predicted standard deviation of it, beside "
        "v2-1.0x; recipe 'long' by seeds 8, 9, 10"
    )
    assert text[1].startswith("6 networks to train: about ")
    assert text[1].endswith(" of the 3 h 00 min left")
    assert {(seed, method["name"]) for _, method, seed in asked} == {(seed, "long") for seed in (8, 9, 10)}
    assert names_of(finished) == {each.name for each in (*FRONT, NEAR, NEXT, REFERENCE)}
    # All are 5 points better than predicted, so the front is the same, with the reference on it.
    assert [(each.name, each.latency_ms) for each in finished.front] == [
        (each.name, each.latency_ms) for each in (FAST, REFERENCE, MIDDLE, SLOW)
    ]
    assert any(line.startswith("kept as the study mine-finalists in sqlite:///") for line in finished.lines)
    assert not any("would take about" in line for line in finished.lines)
    assert kept(storage).keys() == {each.record.architecture.key() for each in finished.finalists}


def test_with_less_time_knee_and_best_are_trained_once_beside_the_nearest_reference(
    finish: Callable[..., Any], storage: RDBStorage, workers: Current, clock: Clock
) -> None:
    asked: list[Any] = []

    def answer(*question: Any) -> Any:
        asked.append(question)
        clock.seconds += 320
        return long_answer(*question)

    workers.put(answer)
    # LONG takes 3 to 4 times SHORT's 80 s, and up to 15 % more: three trainings fit, the fourth does not.
    finished, text = finish(lambda: 3 * 1.15 * 4 * 80 - clock.seconds)
    assert text[0] == (
        "finalists of mine: 2 on its smoothed front and 0 within one predicted standard deviation of it "
        "(3 more left out), beside v2-1.0x; recipe 'long' by seed 8"
    )
    assert {(method["name"], seed) for _, method, seed in asked} == {("long", 8)}
    assert names_of(finished) == {each.name for each in (MIDDLE, SLOW, REFERENCE)}
    assert finished.lines[-1].startswith("finalists by recipe 'long' with 3 seeds, about ")
    assert finished.lines[-1].endswith(": python -m nas.finalists --study mine")
    assert {tuple(trial.user_attrs["accuracies"]) for trial in kept(storage).values()} == {("8",)}


def test_without_time_nothing_is_trained_and_the_line_that_does_it_is_told(
    finish: Callable[..., Any], storage: RDBStorage
) -> None:
    finished, text = finish(60.0)
    assert (text, finished.finalists, finished.front) == ([], (), ())
    first, second = finished.lines
    assert first.startswith(
        f"no time for finalists: training {MIDDLE.name}, {SLOW.name}, v2-1.0x once by recipe 'long' would "
    )
    assert first.endswith(", and 1:00 is left")
    assert second.startswith("finalists by recipe 'long' with 3 seeds, about ")
    assert second.endswith(": python -m nas.finalists --study mine")
    assert "mine-finalists" not in study_names(storage)


def test_time_that_is_left_over_goes_to_the_others_one_by_one(
    finish: Callable[..., Any], workers: Current, clock: Clock
) -> None:
    asked: list[Any] = []

    def answer(*question: Any) -> Any:
        asked.append(question)
        clock.seconds += 150  # half of what is expected
        return long_answer(*question)

    workers.put(answer)
    finished, text = finish(lambda: 3 * 1.15 * 4 * 80 - clock.seconds)
    assert text[0].startswith("finalists of mine: 2 on its smoothed front and 0 within")
    # 1104 s are seven times 150 s, and there are but six networks.
    assert [TRAINED[architecture.key()].name for architecture, _, _ in asked] == [
        each.name for each in (SLOW, REFERENCE, MIDDLE, FAST, NEAR, NEXT)
    ]
    assert len(finished.finalists) == 6


def test_no_training_is_begun_that_would_end_too_late_and_seeds_count_that_all_networks_have(
    finish: Callable[..., Any], workers: Current, clock: Clock
) -> None:
    asked: list[Any] = []

    def answer(*question: Any) -> Any:
        asked.append(question)
        clock.seconds += 1250  # each takes 4 to 5 times what is expected of it, 240 to 320 s
        return long_answer(*question)

    workers.put(answer)
    finished, _ = finish(lambda: HOURS - clock.seconds)
    # Eight have taken 10,000 of the 10,800 s, so none that would take 1,250 is begun.
    assert [seed for _, _, seed in asked] == [8] * 6 + [9] * 2
    assert names_of(finished) == {each.name for each in (*FRONT, NEAR, NEXT, REFERENCE)}
    assert all(tuple(each.accuracies) == (8,) for each in finished.finalists)
    assert "10 of 18 trainings were left undone: time was up" in finished.lines
    assert ledger_holds() == 8, "what was trained is kept"


def test_what_still_runs_when_time_is_up_is_given_up(finish: Callable[..., Any], workers: Current) -> None:
    left = [HOURS]
    asked: list[Any] = []
    workers.put(lambda *question: asked.append(question) or long_answer(*question))
    busy = workers.get()
    ready, stopped = busy.ready, []

    def late(each: list[Any], timeout_seconds: float) -> list[Any]:
        if len(asked) < 6:
            return ready(each, timeout_seconds)
        left[0] = -1.0
        return []

    busy.ready = late
    busy.all[0].stop = lambda: stopped.append("stopped")
    finished, _ = finish(lambda: left[0])
    assert (len(asked), stopped, ledger_holds()) == (6, ["stopped"], 6)
    assert len(finished.finalists) == 6


def test_what_is_timed_quickly_is_timed_again_while_time_is_left(
    storage: RDBStorage, study: Study, workers: Current
) -> None:
    quick = from_search("v2-2.0x", 0.9, 10.0, 590_000_000)
    quick = replace(quick, latency=quick.latency.changed(depth="quick"))
    study.set_user_attr("provenance", PROVENANCE)
    enter(study, quick)
    timed = timed_again(FAST.architecture, 3.5).changed(latency_ms=11.0, depth="quick")
    answer = {**long_answer(FAST.architecture, {}, 9), "validation_accuracies": [0.9]}
    workers.put(lambda *_: answer, lambda *_: timed)
    finished = ended(settings_from(*MINE), study, storage, workers.get(), lambda: HOURS)
    latencies = {each.record.name: each.final.latency_ms for each in finished.finalists}
    was = {each.name: each.latency_ms for each in (*FRONT, NEAR, NEXT, REFERENCE)}
    assert latencies == {**was, quick.name: 11.0}


def test_ctrl_c_in_the_midst_keeps_what_was_trained_and_its_line_goes_on(
    finish: Callable[..., Any],
    storage: RDBStorage,
    capsys: pytest.CaptureFixture[str],
    answered_by: Callable[..., None],
    workers: Current,
) -> None:
    asked: list[Any] = []
    answer = interrupted(long_answer, 3, asked)
    workers.put(answer)
    finished, _ = finish(3 * 1.15 * 4 * 80)
    line = "python -m nas.finalists --study mine --recipe long --seeds 1 --most 2"
    assert finished.lines[0] == f"finalists stopped; what was trained is kept, and this goes on: {line}"
    assert finished.front == ()
    assert ledger_holds() == 2
    answered_by(answer)
    assert main(line.split()[3:]) == 0
    assert "2 of 4 trainings are in the ledger" in capsys.readouterr().err
    assert len(asked) == 5
    assert len(kept(storage)) == 4


def test_a_failure_is_told_and_ends_no_run(finish: Callable[..., Any], workers: Current) -> None:
    workers.put(lambda *_: Failure("no memory"))
    finished, _ = finish(HOURS)
    assert finished.lines[0].startswith("finalists failed: all of the first 5 trainings failed")
    assert finished.finalists == ()


def test_a_resumed_run_trains_only_what_is_new(finish: Callable[..., Any], workers: Current) -> None:
    asked: list[Any] = []
    workers.put(lambda *question: asked.append(question) or long_answer(*question))
    first, _ = finish(HOURS)
    count = len(asked)
    again, text = finish(60.0)
    assert len(asked) == count
    assert again == first
    assert text[1] == "6 networks to train: about 0:00 of the 1:00 left"


def test_of_a_search_that_found_nothing_there_are_no_finalists(storage: RDBStorage, workers: Current) -> None:
    empty = replace(settings_from(*MINE), study="empty")
    study = open_study(storage, "empty", {}, resume=False)
    finished = ended(empty, study, storage, workers.get(), lambda: 60.0)
    assert finished == (("no finalists: nothing was evaluated",), (), ())


def test_a_storage_of_its_own_stands_in_the_line_and_a_password_does_not(
    searched: Study, storage: RDBStorage, workers: Current
) -> None:
    elsewhere = replace(settings_from(*MINE), storage="postgresql+psycopg://me:secret@server/nas")
    finished = ended(elsewhere, searched, storage, workers.get(), lambda: 1.0)
    text = "python -m nas.finalists --study mine --storage 'postgresql+psycopg://me:***@server/nas'"
    assert finished.lines[-1].endswith(text)


def test_what_finalists_need_is_known_from_the_first_network_on(searched: Study, storage: RDBStorage) -> None:
    references = references_of(searched, storage)

    def trainings(most_seconds: float) -> float:
        found = candidates_of(searched, references, settings_from(*MINE))
        assert found is not None
        return seconds_needed(found, most_seconds) / 1.15

    # By LONG, which takes 3 to 4 times SHORT's 80 s: three where nothing fits, four where those fit, eighteen in hours.
    assert 3 * 3 * 80 < trainings(60.0) < 3 * 4 * 80
    assert 4 * 3 * 80 < trainings(1.15 * 4 * 4 * 80) < 4 * 4 * 80
    assert 18 * 3 * 80 < trainings(HOURS) < 18 * 4 * 80
    empty = open_study(storage, "empty", {}, resume=False)
    assert candidates_of(empty, references, settings_from(*MINE)) is None
