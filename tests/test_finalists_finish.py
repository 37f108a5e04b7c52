"""A run's end: what is planned, trained, timed, kept and told in the time that is left."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.study import Study
from test_finalists import (
    FAST,
    FINGERPRINT,
    MIDDLE,
    NEAR,
    NEXT,
    REFERENCE,
    SLOW,
    URL,
    long_answer,
)
from test_finalists import answered_by as answered_by
from test_finalists import storage as storage
from test_finalists import study as study

from nas.command import Parser
from nas.finalists import main
from nas.finalists_finish import Finish, finish_run
from nas.settings import Settings, add_flags, settings_of
from nas.workers import Failure
from search_space import Architecture
from studies.database import engine_of
from studies.evaluations import Evaluations
from studies.store import open_study, study_names

# SHORT takes 80 s on this data, LONG 3 to 4 times that.
PROVENANCE = {"data": {"training_images": 10_000, "image_size": 28, "classes": [*"abcdefghij"]}}
HOURS = 3 * 3600.0
FRONT = (FAST, MIDDLE, SLOW)


def settings(*flags: str) -> Settings:
    parser = Parser(prog="test")
    add_flags(parser)
    fixed = ("--budget", "500mflops", "--study", "mine", "--seed", "7", "--workers", "1")
    return settings_of(parser.parse_args([*fixed, *flags]))


@pytest.fixture
def searched(study: Study) -> Study:
    """A search's study as a run leaves it."""
    study.set_user_attr("provenance", PROVENANCE)
    return study


@pytest.fixture
def finish(searched: Study, storage: RDBStorage) -> Callable[..., tuple[Finish, list[str]]]:
    """Ends a run with these seconds left; what it said before it began comes too."""

    def finish(seconds_left: float, study: Study = searched) -> tuple[Finish, list[str]]:
        told: list[str] = []
        engine = engine_of(URL)
        finished = finish_run(settings(), study, storage, engine, seconds_left, told.append)
        engine.dispose()
        return finished, told

    return finish


def kept(storage: RDBStorage) -> dict[str, Any]:
    trials = optuna.load_study(study_name="mine-finalists", storage=storage).get_trials()
    return {trial.user_attrs["key"]: trial for trial in trials}


def names_of(finished: Finish) -> set[str]:
    return {each.record.name for each in finished.finalists}


def own_answer(architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
    """An answer of whatever recipe, with all that a prediction is made of."""
    losses = {"training_losses": [2.0 - 0.1 * seed] * 4, "validation_losses": [2.0], "num_classes": 10}
    return {**long_answer(architecture, method, seed), **losses}


def test_with_time_enough_finalists_are_trained_long_by_three_seeds_and_timed_again(
    finish: Callable[..., Any], storage: RDBStorage, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []
    answered_by(lambda *question: asked.append(question) or long_answer(*question))
    finished, told = finish(HOURS)
    assert told[0].startswith("finalists of mine: 3 on its smoothed front and 2 within one predicted standard")
    assert told[0].endswith("recipe 'long' by seeds 8, 9, 10")
    assert told[1].startswith("6 networks to train and to time again: about ")
    assert told[1].endswith(" of the 3 h 00 min left")
    assert {(seed, method["name"]) for _, method, seed in asked} == {(seed, "long") for seed in (8, 9, 10)}
    assert names_of(finished) == {each.name for each in (*FRONT, NEAR, NEXT, REFERENCE)}
    # All are 5 points better than predicted and a tenth slower, so the front is the same, with the reference on it.
    assert [(each.name, each.latency_ms) for each in finished.front] == [
        (each.name, pytest.approx(1.1 * each.latency_ms)) for each in (FAST, REFERENCE, MIDDLE, SLOW)
    ]
    assert any(line.startswith("kept as the study mine-finalists in sqlite:///") for line in finished.lines)
    assert not any("would take about" in line for line in finished.lines)
    assert kept(storage).keys() == {each.record.architecture.key() for each in finished.finalists}


def test_with_less_time_the_searchs_own_recipe_is_used_and_the_front_goes_first(
    finish: Callable[..., Any], storage: RDBStorage, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []
    answered_by(lambda *question: asked.append(question) or own_answer(*question))
    # Front and reference: 4 trainings of 80 s, 4 timings of 2.5 s; a fifth network would take 92 s more.
    finished, told = finish(10 + 1.15 * 4 * 80 + 4 * 2.5 + 50)
    assert told[0].startswith(
        "finalists of mine: 3 on its smoothed front and 0 within one predicted standard deviation"
    )
    assert "(2 more left out)" in told[0]
    assert told[1] == "4 networks to train and to time again: about 6:28 of the 7:18 left"
    assert {(method["name"], seed) for _, method, seed in asked} == {("short", 8)}
    assert names_of(finished) == {each.name for each in (*FRONT, REFERENCE)}
    assert "short anew %" in finished.lines[0]
    assert finished.lines[-1].startswith("recipe 'long' by 3 seeds would take about ")
    assert finished.lines[-1].endswith(": python -m nas.finalists --study mine")
    assert {tuple(trial.user_attrs["accuracies"]) for trial in kept(storage).values()} == {("8",)}


def test_without_time_nothing_is_trained_and_the_line_that_does_it_is_told(
    finish: Callable[..., Any], storage: RDBStorage, answered_by: Callable[..., None]
) -> None:
    answered_by(lambda *_: pytest.fail("nothing is to be trained"))
    finished, told = finish(60.0)
    assert (told, finished.finalists, finished.front) == ([], (), ())
    first, second = finished.lines
    assert first == (
        "no finalists: one training more of each of 4 networks and timing them again would take about 6:28, "
        "and 1:00 is left"
    )
    assert second.startswith("recipe 'long' by 3 seeds would take about ")
    assert second.endswith(": python -m nas.finalists --study mine")
    assert "mine-finalists" not in study_names(storage)


def test_ctrl_c_in_the_midst_keeps_what_was_trained_and_its_line_goes_on(
    finish: Callable[..., Any],
    storage: RDBStorage,
    capsys: pytest.CaptureFixture[str],
    answered_by: Callable[..., None],
) -> None:
    asked: list[Any] = []

    def answer(*question: Any) -> Any:
        asked.append(question)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return own_answer(*question)

    answered_by(answer)
    finished, _ = finish(450.0)
    line = "python -m nas.finalists --study mine --recipe short --seeds 1 --most 3"
    assert finished.lines[0] == f"finalists stopped; what was trained is kept, and this goes on: {line}"
    assert finished.front == ()
    engine = engine_of(URL)
    assert len(Evaluations(engine).answers(FINGERPRINT)) == 2
    engine.dispose()
    assert main(line.split()[3:]) == 0
    assert "2 of 4 trainings are in the ledger" in capsys.readouterr().err
    assert len(asked) == 5
    assert len(kept(storage)) == 4


def test_a_failure_is_told_and_ends_no_run(finish: Callable[..., Any], answered_by: Callable[..., None]) -> None:
    answered_by(own_answer, timed=lambda *_: Failure("no runtime"))
    finished, _ = finish(450.0)
    assert finished.lines[0].startswith("finalists failed: none of the first 3 finalists could be timed")
    assert finished.finalists == ()


def test_a_resumed_run_trains_only_what_is_new(finish: Callable[..., Any], answered_by: Callable[..., None]) -> None:
    asked: list[Any] = []
    answered_by(lambda *question: asked.append(question) or long_answer(*question))
    first, _ = finish(HOURS)
    count = len(asked)
    again, told = finish(60.0)
    assert len(asked) == count
    assert again == first
    # 10 s to start and 6 timings of 2.5 s, although what is kept is not timed again.
    assert told[1] == "6 networks to train and to time again: about 0:25 of the 1:00 left"


def test_of_a_search_that_found_nothing_there_are_no_finalists(
    storage: RDBStorage,
) -> None:
    empty = replace(settings(), study="empty")
    engine = engine_of(URL)
    study = open_study(storage, "empty", {}, resume=False)
    assert finish_run(empty, study, storage, engine, 60.0) == Finish(("no finalists: nothing was evaluated",))
    engine.dispose()


def test_a_storage_of_its_own_stands_in_the_line_and_a_password_does_not(searched: Study, storage: RDBStorage) -> None:
    elsewhere = replace(settings(), storage="postgresql+psycopg://me:secret@server/nas")
    engine = engine_of(URL)
    finished = finish_run(elsewhere, searched, storage, engine, 1.0)
    engine.dispose()
    told = "python -m nas.finalists --study mine --storage 'postgresql+psycopg://me:***@server/nas'"
    assert finished.lines[-1].endswith(told)
