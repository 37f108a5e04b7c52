"""`nas.finalists`: who they are, what is asked of whom, the table, and the study that is kept of it."""

import subprocess
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest
from builders.finalists import (
    ANCHOR_MS,
    FAST,
    MIDDLE,
    NEAR,
    NEXT,
    REFERENCE,
    SETTINGS,
    SLOW,
    TRAINED,
    URL,
    from_search,
    kept,
    ledger_holds,
    long_answer,
    made_study,
    timed_again,
)
from builders.records import enter
from builders.workers import interrupted
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection

from nas.export import __main__ as export
from nas.finalists.__main__ import main, make_parser
from nas.finalists.settings import settings_for
from nas.workers.protocol import Failure
from proxies.training.recipes import RECIPES
from search_space import Architecture
from search_space.errors import InputError
from studies.ledger.latencies import Ledger
from studies.record import record_of
from studies.storage.database import engine_of
from studies.storage.studies import load_study, open_study, references_of, study_names

Captured = pytest.CaptureFixture[str]


# The command, its workers replaced


def test_finalists_and_references_are_trained_by_the_long_recipe_with_seeds_of_their_own(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []
    answered_by(lambda *question: asked.append(question) or long_answer(*question))
    assert main(["--study", "mine"]) == 0
    costliest_first = [SLOW, REFERENCE, NEXT, MIDDLE, NEAR, FAST]
    assert [(architecture, seed) for architecture, _, seed in asked] == [
        (each.architecture, seed) for seed in (8, 9, 10) for each in costliest_first
    ]
    assert all(method == RECIPES["long"].to_dict() for _, method, _ in asked)
    printed = capsys.readouterr()
    row = next(line.split() for line in printed.out.splitlines() if line.split()[0] == SLOW.name)
    assert row[2:] == ["8.80", "±0.5", "%", "8.00", "85.0", "±", "1.0", "80.0", "±2.0", "70.0", "3", "front"]
    for text in (
        "finalists of mine: 3 on its smoothed front and 2 within one predicted standard deviation of it, beside "
        "v2-1.0x; recipe 'long' by seeds 8, 9, 10",
        "predicted %: calibrated on this data",
        f"kept as the study mine-finalists in {URL}",
    ):
        assert text in printed.out.splitlines()

    first = len(asked)
    assert main(["--storage", URL]) == 0
    assert len(asked) == first, "what is in the ledger is not trained again"
    again = capsys.readouterr()
    assert again.out == printed.out
    assert "18 of 18 trainings are in the ledger" in again.err


def test_the_study_of_finalists_holds_each_network_once(
    study: Study, storage: RDBStorage, answered_by: Callable[..., None]
) -> None:
    import optuna

    answered_by(long_answer)
    assert main(["--study", "mine", "--most", "3"]) == 0
    first = kept(storage)
    assert first.keys() == {each.architecture.key() for each in (FAST, MIDDLE, SLOW, REFERENCE)}
    found = optuna.load_study(study_name="mine-finalists", storage=storage)
    assert (found.metric_names, found.directions) == (
        ["accuracy", "latency_ms"],
        [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE],
    )
    trial = first[REFERENCE.architecture.key()]
    assert trial.values == [pytest.approx(0.70), pytest.approx(3.85)]
    assert trial.user_attrs["latency"] == timed_again(REFERENCE.architecture, ANCHOR_MS).plain
    assert (trial.user_attrs["former_latency_ms"], trial.user_attrs["predicted_accuracy"]) == (3.5, 0.65)
    record = record_of(trial)
    assert record is not None
    assert (record.name, record.proxy_accuracy, record.latency_ms) == ("v2-1.0x", 0.55, trial.values[1])
    assert Architecture.from_dict(trial.user_attrs["architecture"]) == REFERENCE.architecture
    assert trial.user_attrs["accuracies"] == {
        "8": pytest.approx(0.69),
        "9": pytest.approx(0.70),
        "10": pytest.approx(0.71),
    }
    assert (trial.user_attrs["recipe"], trial.user_attrs["reference"]) == (RECIPES["long"].to_dict(), "v2-1.0x")
    assert first[FAST.architecture.key()].user_attrs["reference"] == ""

    assert main(["--study", "mine"]) == 0
    second = kept(storage)
    assert second.keys() == set(TRAINED)
    assert {key: second[key].number for key in first} == {key: each.number for key, each in first.items()}

    assert main(["--study", "mine", "--seeds", "1"]) == 0
    assert [set(each.user_attrs["accuracies"]) for each in kept(storage).values()] == [{"8"}] * 6
    assert kept(storage)[FAST.architecture.key()].values == [pytest.approx(0.64), pytest.approx(2.2)]


def test_a_reference_that_the_search_found_too_is_trained_once_and_marked(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    enter(references_of(study, storage), from_search("v2-0.5x", 0.60, 2.0, 40_000_000, reference="v2-0.5x"))
    answered_by(long_answer)
    assert main(["--study", "mine"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-2:] for row in rows if row[0] == "v2-0.5x"] == [["front,", "reference"]]
    assert len(kept(storage)) == 6


def test_ctrl_c_keeps_what_was_trained_and_the_same_line_goes_on(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []
    answer = interrupted(long_answer, 4, asked)
    answered_by(answer)
    assert main(["--study", "mine"]) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last == "python -m nas.finalists: stopped; what was trained is kept, and the same line goes on"
    assert ledger_holds() == 3
    assert main(["--study", "mine"]) == 0
    assert "3 of 18 trainings are in the ledger" in capsys.readouterr().err
    assert len(asked) == 4 + 15


def test_a_training_that_fails_costs_its_network_and_is_tried_again(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    def answer(architecture: Architecture, method: dict[str, Any], seed: int) -> Any:
        if architecture == REFERENCE.architecture and seed == 9:
            return Failure("TrainingError: the training loss is nan in epoch 1 of 8")
        return long_answer(architecture, method, seed)

    answered_by(answer)
    assert main(["--study", "mine"]) == 1
    printed = capsys.readouterr().out.splitlines()
    key = REFERENCE.architecture.key()
    assert printed[-2:] == [
        "failed: v2-1.0x long seed 9: TrainingError: the training loss is nan in epoch 1 of 8",
        "left out, for a training or a timing failed: v2-1.0x; the same line tries again",
    ]
    assert not any(line.split()[0] == "v2-1.0x" for line in printed)
    assert kept(storage).keys() == set(TRAINED) - {key}

    answered_by(long_answer)
    assert main(["--study", "mine"]) == 0
    assert kept(storage).keys() == set(TRAINED)
    assert ledger_holds() == 18


def test_where_nothing_can_be_trained_the_cause_is_told_and_no_study_kept(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(lambda *_: Failure("no memory"))
    assert main(["--study", "mine"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no memory (--debug shows where)" in printed.err.splitlines()[-1]
    assert "mine-finalists" not in study_names(storage)


def test_other_data_than_the_studys_are_refused(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(long_answer, "fedcba9876543210")
    assert main(["--study", "mine"]) == 2
    printed = capsys.readouterr()
    text = "fashion-mnist-12k had fingerprint 0123456789abcdef then, and has fedcba9876543210 now"
    assert (printed.out, printed.err.splitlines()[-1].endswith(text)) == ("", True)
    assert ledger_holds() == 0
    assert "mine-finalists" not in study_names(storage)


# Timed again


def test_all_are_timed_once_together_in_random_order_after_the_trainings_and_not_again(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    events: list[Any] = []

    def answer(*question: Any) -> Any:
        events.append("train")
        return long_answer(*question)

    def timed(architecture: Architecture, anchor_ms: float) -> Any:
        assert anchor_ms == ANCHOR_MS
        events.append(architecture.key())
        return timed_again(architecture, anchor_ms)

    answered_by(answer, timed=timed)
    assert main(["--study", "mine", "--most", "3"]) == 0
    order = events[12:]
    assert events[:12] == ["train"] * 12
    assert set(order) == {each.architecture.key() for each in (FAST, MIDDLE, SLOW, REFERENCE)}
    assert order not in (sorted(order), [each.architecture.key() for each in (FAST, MIDDLE, SLOW, REFERENCE)])
    assert "timed 4 of 4" in capsys.readouterr().err

    assert main(["--study", "mine", "--most", "3", "--seeds", "1"]) == 0
    assert len(events) == 16, "a latency does not depend on how a network is trained"
    assert main(["--study", "mine"]) == 0
    assert events[16:22] == ["train"] * 6, "two more finalists by three seeds"
    assert len(events[22:]) == 6, "with others beside, all are timed again"

    engine = engine_of(URL)
    measured = Ledger(engine).measurements(study="mine")
    engine.dispose()
    assert len({each.network for each in measured}) == 6


def test_one_that_cannot_be_timed_is_left_out_and_tried_again(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    def timed(architecture: Architecture, anchor_ms: float) -> Any:
        if architecture == SLOW.architecture:
            return Failure("RuntimeError: the measuring process died")
        return timed_again(architecture, anchor_ms)

    answered_by(long_answer, timed=timed)
    assert main(["--study", "mine"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"failed: {SLOW.name} timed again: RuntimeError: the measuring process died",
        f"left out, for a training or a timing failed: {SLOW.name}; the same line tries again",
    ]
    assert SLOW.architecture.key() not in kept(storage)
    answered_by(long_answer)
    assert main(["--study", "mine"]) == 0
    assert SLOW.architecture.key() in kept(storage)

    answered_by(long_answer, timed=lambda *_: Failure("no runtime"))
    assert main(["--study", "mine"]) == 0, "what is kept is not timed again"


def test_where_nothing_can_be_timed_the_cause_is_told_and_the_trainings_stay(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(long_answer, timed=lambda *_: Failure("no runtime"))
    assert main(["--study", "mine"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "none of the first 3 finalists could be timed, the last one: failed: no runtime" in printed.err
    assert ledger_holds() == 18
    assert "mine-finalists" not in study_names(storage)


def test_by_the_searchs_own_recipe_accuracies_are_predicted_as_its_own_are(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    def short_answer(*question: Any) -> Any:
        # The summed loss is chance's: log-odds of 0.5 - 1 = -0.5, and 1 / (1 + exp(0.5)) = 0.3775.
        losses = {"training_losses": [log(10)] * 4, "validation_losses": [2.0], "num_classes": 10}
        return {**long_answer(*question), **losses}

    answered_by(short_answer)
    assert main(["--study", "mine", "--recipe", "short", "--seeds", "1"]) == 0
    assert [trial.values[0] for trial in kept(storage).values()] == [pytest.approx(0.37754, abs=1e-5)] * 6
    assert "short anew %" in capsys.readouterr().out


# Beside the search's own studies


def test_finalists_are_no_study_to_search_on_and_none_to_export(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(long_answer)
    assert main([]) == 0
    assert sorted(study_names(storage)) == ["mine", "mine-finalists", "mine-references"]
    assert load_study(storage, None).study_name == "mine"
    capsys.readouterr()
    assert export.main(["--out", "out", "--pick", "best"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote out/{SLOW.name}.json"
    with pytest.raises(InputError, match=r"there is no study 'mine-finalists'; this storage holds mine$"):
        load_study(storage, "mine-finalists")
    with pytest.raises(InputError, match="must not end in '-finalists', which is kept for finalists"):
        open_study(storage, "other-finalists", SETTINGS, resume=True)


def test_a_study_of_that_name_that_holds_no_finalists_is_left_as_it_is(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    import optuna

    other = optuna.create_study(study_name="mine-finalists", storage=storage, directions=["maximize", "minimize"])
    other.add_trial(optuna.create_trial(values=[0.5, 1.0]))
    answered_by(long_answer)
    assert main(["--study", "mine"]) == 2
    assert "the study 'mine-finalists' is in the way" in capsys.readouterr().err.splitlines()[-1]
    assert [trial.values for trial in other.get_trials()] == [[0.5, 1.0]]


def test_a_backbone_studys_finalists_are_timed_as_backbones(storage: RDBStorage) -> None:
    backbone = {"task": "detection-backbone", "classes": 0, "resolution": 320}
    settings = settings_for(made_study(storage, {**SETTINGS, **backbone}), URL, make_parser().parse_args([]))
    assert (settings.search.task.name, settings.search.task.resolution) == ("detection-backbone", 320)


# In a real worker process


@pytest.mark.slow
def test_a_real_worker_trains_on_the_studys_own_data_and_times_as_the_study_did(
    storage: RDBStorage, images: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    from proxies.data.load import load

    data = f"folder:{images}"
    fingerprint = load(data, image_size=16).fingerprint
    small = {"data": data, "image_size": 16, "data_fingerprint": fingerprint, "resolution": 32, "classes": 10}
    enter(made_study(storage, {**SETTINGS, **small}), FAST)
    line = ("nas.finalists", "--recipe", "short", "--seeds", 2, "--workers", 2)
    finished = run(*line)
    assert finished.returncode == 0, finished.stderr
    (trial,) = kept(storage).values()
    assert trial.user_attrs["accuracies"].keys() == {"8", "9"}
    assert all(0 <= accuracy <= 1 for accuracy in trial.user_attrs["accuracies"].values())
    latency = trial.user_attrs["latency"]
    assert (latency["runtime"], latency["resolution"], latency["reference_ms"]) == ("onnxruntime", 32, ANCHOR_MS)
    assert 0.1 < latency["latency_ms"] / ANCHOR_MS < 1, "V2 0.5x has less to do than V2 1.0x, the anchor"
    again = run(*line)
    assert (again.returncode, again.stdout) == (0, finished.stdout)
    assert "2 of 2 trainings are in the ledger" in again.stderr
    assert "timed" not in again.stderr
