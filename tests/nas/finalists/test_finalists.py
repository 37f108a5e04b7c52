"""`nas.finalists`: who they are, what is asked of whom, the table, and the study that is kept of it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import log, sqrt
from pathlib import Path
from random import Random
from typing import Any

import pytest
from builders.places import ROOT
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection

import nas.finalists.training as run_module
from nas.export import __main__ as export
from nas.finalists.__main__ import main, make_parser
from nas.finalists.settings import settings_for
from nas.finalists.training import smoothed
from nas.search.accuracy import Accuracy
from nas.workers.local import Failure
from proxies.training.recipes import RECIPES
from search_space import PRESETS, Architecture, cost_of
from search_space.errors import InputError
from studies.calibration.four_feature_fit import FourFeatureFit
from studies.finalists import Choice, Finalist, choose, final_front, render_finalists
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.record import Record, attributes_of, record_of
from studies.storage.database import engine_of
from studies.storage.studies import load_study, open_storage, open_study, references_of, study_names

Captured = pytest.CaptureFixture[str]
URL = "sqlite:///runs/mine/study.db"
FINGERPRINT = "0123456789abcdef"
SETTINGS: dict[str, Any] = {
    "data": "fashion-mnist-12k",
    "image_size": None,
    "seed": 7,
    "recipe": RECIPES["short"].to_dict(),
    "data_fingerprint": FINGERPRINT,
    **{"budget": "500mflops", "resolution": 224, "classes": 1000, "device": "cpu"},
    **{"runtime": "onnxruntime", "latency_device": "cpu", "latency_from": None},
}
ANCHOR_MS = 3.5
ERROR = 0.02
# Log-odds of 0.5, less the summed training loss as a share of chance's.
FIT = FourFeatureFit((-1.0, 0.0, 0.0, 0.0), (0.0,) * 4, (1.0,) * 4, 0.5, ERROR, 224, 1000)


def record(preset: str, accuracy: float, latency_ms: float, macs: int = 1_000_000, reference: str = "") -> Record:
    latency = {"latency_ms": latency_ms, "spread": 0.012, "noisy": False, "seconds": 2.5}
    training = {"seconds": 80.0, "validation_accuracies": [accuracy - 0.1], "num_classes": 10}
    counts = (macs, 2_000_000, 3, 4)
    return Record(PRESETS[preset], *counts, accuracy, latency_ms, latency, training, "here", reference)


# On the front, by hand: FAST, MIDDLE, SLOW. NEAR is 0.01 below FAST, NEXT 0.015 below MIDDLE, FAR 0.05 below SLOW.
FAST, NEAR = record("v2-0.5x", 0.60, 2.0, 40_000_000), record("v2-star-0.5x", 0.59, 3.0, 41_000_000)
MIDDLE, NEXT = record("v1-0.5x-g3", 0.70, 4.0, 50_000_000), record("v1-1.0x-g3", 0.685, 5.0, 140_000_000)
SLOW, FAR = record("v1-2.0x-g3", 0.80, 8.0, 500_000_000), record("v2-1.5x", 0.75, 9.0, 300_000_000)
ALL = [FAR, NEXT, SLOW, NEAR, MIDDLE, FAST]
REFERENCE = record("v2-1.0x", 0.65, 3.5, 145_000_000, reference="v2-1.0x")
TRAINED = {each.architecture.key(): each for each in (FAST, NEAR, MIDDLE, NEXT, SLOW, REFERENCE)}


# Who they are


def chosen(records: Sequence[Record], deviation: float, most: int) -> Choice:
    """The choice by the records' own accuracies, all as uncertain."""
    return choose(records, [each.accuracy for each in records], [deviation] * len(records), most)


def test_finalists_are_the_front_and_what_a_standard_deviation_may_hide_the_nearest_first() -> None:
    assert chosen(ALL, ERROR, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR, NEXT), 0)
    assert chosen(ALL, 0.012, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR,), 0)
    assert chosen(ALL, 0.0, 12) == Choice((FAST, MIDDLE, SLOW), (), 0)


def test_each_record_has_a_deviation_of_its_own() -> None:
    deviations = [0.051 if each is FAR else 0.014 for each in ALL]  # NEXT is 0.015 below MIDDLE
    assert choose(ALL, [each.accuracy for each in ALL], deviations, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR, FAR), 0)


def test_the_front_is_that_of_the_smoothed_accuracies_and_the_records_stay_as_they_are() -> None:
    # MIDDLE was lucky: smoothed it is 0.012 below NEAR, which is faster; NEXT leads where it stood.
    smooth = {NEAR.latency_ms: 0.612, MIDDLE.latency_ms: 0.60, NEXT.latency_ms: 0.69}
    accuracies = [smooth.get(each.latency_ms, each.accuracy) for each in ALL]
    assert choose(ALL, accuracies, [0.013] * 6, 12) == Choice((FAST, NEAR, NEXT, SLOW), (MIDDLE,), 0)
    assert choose(ALL, accuracies, [0.011] * 6, 12) == Choice((FAST, NEAR, NEXT, SLOW), (), 0)


def test_the_choice_is_that_of_a_brute_force_over_random_records() -> None:
    random = Random(0)
    presets = list(PRESETS)[:12]
    for _ in range(50):
        records = [record(name, random.random(), 1 + random.random()) for name in presets]
        means = [random.random() for _ in records]
        deviations = [0.2 * random.random() for _ in records]
        choice = choose(records, means, deviations, 99)
        rows = list(zip(records, means, deviations, strict=True))
        as_fast = {r.latency_ms: [mean for o, mean, _ in rows if o.latency_ms <= r.latency_ms] for r in records}
        front = {r.latency_ms for r, mean, _ in rows if mean == max(as_fast[r.latency_ms])}
        near = {r.latency_ms for r, mean, sd in rows if mean + sd >= max(as_fast[r.latency_ms])} - front
        assert {each.latency_ms for each in choice.front} == front
        assert {each.latency_ms for each in choice.near} == near


def test_of_too_many_the_front_stays_and_the_nearest_come_first() -> None:
    assert chosen(ALL, ERROR, 4) == Choice((FAST, MIDDLE, SLOW), (NEAR,), 1)
    assert chosen(ALL, ERROR, 1) == Choice((FAST, MIDDLE, SLOW), (), 2)


def test_a_network_that_stands_in_several_trials_is_one_finalist() -> None:
    assert chosen([*ALL, *ALL], ERROR, 12) == chosen(ALL, ERROR, 12)


def test_one_as_accurate_and_slower_is_a_finalist_without_a_fit() -> None:
    tied = record("v2-1.5x", 0.60, 3.0)
    assert chosen([FAST, tied], 0.0, 12) == Choice((FAST,), (tied,), 0)


def test_of_nothing_there_are_no_finalists() -> None:
    assert chosen([], ERROR, 12).records == ()


def test_a_few_records_are_not_smoothed_and_of_many_the_noise_is_taken_out() -> None:
    assert smoothed(ALL, ERROR) == ([each.accuracy for each in ALL], [ERROR] * 6)
    # Accuracy grows with the logarithm of FLOPs; one record is 5 points too lucky.
    true = {name: 0.04 * log(cost_of(PRESETS[name]).macs / 1e6) for name in list(PRESETS)[:20]}
    lucky = next(iter(true))
    records = [
        record(name, value + 0.05 * (name == lucky), 1.0, cost_of(PRESETS[name]).macs) for name, value in true.items()
    ]
    means, deviations = smoothed(records, ERROR)
    assert true[lucky] - 0.02 < means[0] < true[lucky] + 0.03
    assert 0.02 / sqrt(20) < deviations[0] < 0.05 / sqrt(20) + 0.01
    assert len(set(deviations)) == 1


# The table


def finalist(of: Record, accuracies: dict[int, float], latency_ms: float | None = None) -> Finalist:
    return Finalist(of, accuracies, {"latency_ms": latency_ms or of.latency_ms, "spread": 0.008, "noisy": False})


def test_the_table_shows_means_and_deviations_and_the_front_by_them_and_by_the_new_latencies() -> None:
    finalists = [
        finalist(SLOW, {8: 0.90, 9: 0.92}, 8.1),  # 91 %, and 0.02 / sqrt(2) = 1.4 points
        finalist(FAST, {8: 0.70, 9: 0.70}),
        finalist(MIDDLE, {8: 0.71, 9: 0.73}),  # 72 %, behind the faster reference
        finalist(REFERENCE, {8: 0.74, 9: 0.76}),
    ]
    assert [each.reference or each.latency_ms for each in final_front(finalists)] == [2.0, "v2-1.0x", 8.1]
    lines = render_finalists(finalists, "long").splitlines()
    assert " ".join(lines[0].split()) == "name MFLOPs latency ms was ms long % predicted % proxy % seeds front"
    rows = [line.split() for line in lines[2:6]]
    assert rows[0] == [FAST.name, "40.0", "2.00", "±0.4", "%", "2.00", "70.0", "±", "0.0", "60.0", "50.0", "2", "front"]
    assert rows[1][:1] + rows[1][6:] == ["v2-1.0x", "75.0", "±", "1.4", "65.0", "55.0", "2", "front,", "reference"]
    assert rows[2][:1] + rows[2][6:] == [MIDDLE.name, "72.0", "±", "1.4", "70.0", "60.0", "2"]
    assert rows[3][:1] + rows[3][2:] == [
        SLOW.name,
        "8.10",
        "±0.4",
        "%",
        "8.00",
        "91.0",
        "±",
        "1.4",
        "80.0",
        "70.0",
        "2",
        "front",
    ]
    assert "mean accuracy on the validation images" in lines[-2]
    assert "those within 2 % of each other are ties, of which the most accurate stands" in lines[-1]


def test_what_is_predicted_is_called_so() -> None:
    lines = render_finalists([replace(finalist(FAST, {8: 0.70, 9: 0.70}), is_predicted=True)], "short").splitlines()
    assert "short anew %" in lines[0]
    assert lines[-2].startswith("short anew %: mean accuracy predicted from the new trainings")


def test_of_networks_that_are_as_fast_the_most_accurate_stands_on_the_front() -> None:
    tied = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.61}, 2.03)]
    assert [each.latency_ms for each in final_front(tied)] == [2.03]
    apart = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.61}, 2.05)]
    assert [each.latency_ms for each in final_front(apart)] == [2.0, 2.05]
    # The middle one ties with both; it is off the front, so that it takes the fastest nothing.
    chain = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.61}, 2.03), finalist(MIDDLE, {8: 0.62}, 2.06)]
    assert [each.latency_ms for each in final_front(chain)] == [2.0, 2.06]
    worse = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.60}, 2.5)]
    assert [each.latency_ms for each in final_front(worse)] == [2.0]


def test_one_seed_has_no_deviation() -> None:
    alone = finalist(FAST, {8: 0.7})
    assert alone.deviation is None
    line = render_finalists([alone], "long").splitlines()[2]
    assert line.split()[6:] == ["70.0", "60.0", "50.0", "1", "front"]


# The command, its workers replaced


class FakeWorker:
    """Answers in this process."""

    def __init__(self, answer: Callable[..., Any], timed: Callable[..., Any], fingerprint: str) -> None:
        self._methods = {"answer": answer, "measure": timed}
        self._fingerprint = fingerprint

    def call(self, method: str) -> Any:
        return {"data_fingerprint": self._fingerprint, "made_by": {"host": "here"}}[method]

    def send(self, method: str, *arguments: Any) -> None:
        self._method, self._arguments = self._methods[method], arguments

    def receive(self) -> Any:
        return self._method(*self._arguments)


class FakeWorkers:
    """One such worker."""

    def __init__(self, *of_each: Any) -> None:
        self.all = [FakeWorker(*of_each)]

    def __enter__(self) -> "FakeWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def ready(self, busy: list[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        return busy

    def replace_dead(self, busy: object) -> None:
        pass


def long_answer(architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
    """An answer such as a worker's: 5 points above the prediction, a point more from seed to seed."""
    accuracy = TRAINED[architecture.key()].accuracy + 0.05 + 0.01 * (seed - 9)
    return {"validation_accuracies": [accuracy], "seconds": 2.0}


def timed_again(architecture: Architecture, anchor_ms: float) -> dict[str, Any]:
    """A latency such as a worker's: a tenth more than the search's."""
    latency_ms = 1.1 * TRAINED[architecture.key()].latency_ms
    text = {"fingerprint": "abc", "runtime": "onnxruntime", "seconds": 5.0, "spread": 0.01, "noisy": False}
    return {**text, "latency_ms": latency_ms, "reference_ms": anchor_ms}


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a function in the place of all that workers do."""
    before = signal.getsignal(signal.SIGTERM)

    def put(
        answer: Callable[..., Any], fingerprint: str = FINGERPRINT, timed: Callable[..., Any] = timed_again
    ) -> None:
        monkeypatch.setattr(run_module, "workers_for", lambda *_: FakeWorkers(answer, timed, fingerprint))

    yield put
    signal.signal(signal.SIGTERM, before)


def tell(study: Study, records: Sequence[Record]) -> None:
    for each in records:
        trial = study.ask()
        for name, value in attributes_of(each).items():
            trial.set_user_attr(name, value)
        study.tell(trial, [each.accuracy, each.latency_ms])


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RDBStorage]:
    monkeypatch.chdir(tmp_path)
    Path("runs/mine").mkdir(parents=True)
    storage = open_storage(URL)
    yield storage
    storage.engine.dispose()


def made_study(storage: RDBStorage, settings: dict[str, Any]) -> Study:
    study = open_study(storage, "mine", settings, resume=False)
    study.set_user_attr("accuracy", Accuracy(FIT, "calibrated on this data").to_dict())
    study.set_user_attr("anchor_ms", ANCHOR_MS)
    return study


@pytest.fixture
def study(storage: RDBStorage) -> Study:
    """A search's study, with its reference."""
    study = made_study(storage, SETTINGS)
    tell(study, ALL)
    tell(references_of(study, storage), [REFERENCE])
    return study


def kept(storage: RDBStorage) -> dict[str, Any]:
    """By key, number and values of each trial of the finalists' study."""
    import optuna

    found = optuna.load_study(study_name="mine-finalists", storage=storage)
    trials = found.get_trials()
    assert len({trial.user_attrs["key"] for trial in trials}) == len(trials)
    return {trial.user_attrs["key"]: trial for trial in trials}


def ledger_holds() -> int:
    engine = engine_of(URL)
    count = len(Evaluations(engine).answers(FINGERPRINT))
    engine.dispose()
    return count


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
    assert trial.user_attrs["latency"] == timed_again(REFERENCE.architecture, ANCHOR_MS)
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
    tell(references_of(study, storage), [record("v2-0.5x", 0.60, 2.0, 40_000_000, reference="v2-0.5x")])
    answered_by(long_answer)
    assert main(["--study", "mine"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-2:] for row in rows if row[0] == "v2-0.5x"] == [["front,", "reference"]]
    assert len(kept(storage)) == 6


def test_ctrl_c_keeps_what_was_trained_and_the_same_line_goes_on(
    study: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []

    def answer(*question: Any) -> Any:
        asked.append(question)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return long_answer(*question)

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


# Mistakes


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "no seeds": (("--seeds", "0"), "--seeds must be at least 1, got 0"),
    "no finalists": (("--most", "0"), "--most must be at least 1, got 0"),
    "no workers": (("--workers", "0"), "--workers must be at least 1, got 0"),
    "an unknown recipe": (("--recipe", "magic"), "--recipe must be one of short, long, full, got 'magic'"),
    "an unknown device": (("--device", "tpu"), "--device must be one of cpu, cuda, got 'tpu'"),
    "an unknown study": (("--study", "other", "--storage", URL), "there is no study 'other'; this storage holds mine"),
    "a study without a file": (("--study", "other"), "say which study with --study or --storage"),
    "no such storage": (("--storage", "sqlite:///no.db"), "there is no file 'no.db'"),
    "an unknown flag": (("--nonsense",), "--nonsense"),
    "nothing evaluated": (("--study", "mine"), "holds no evaluated architecture to train"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(case: str, storage: RDBStorage, capsys: Captured) -> None:
    made_study(storage, SETTINGS)
    summary_lines(*MISTAKES[case], capsys)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "folder:gone"}, "folder:PATH must name an existing folder, but got gone"),
        ({"data_fingerprint": None}, "does not say which data it was trained on and how it was timed"),
        ({"runtime": None}, "does not say which data it was trained on and how it was timed"),
    ],
    ids=["a folder that is gone", "a study that does not say its data", "one that does not say its runtime"],
)
def test_data_that_are_not_there_are_told_in_one_line(
    changes: dict[str, Any], words: str, storage: RDBStorage, capsys: Captured
) -> None:
    settings = {name: value for name, value in (SETTINGS | changes).items() if value or name == "image_size"}
    tell(made_study(storage, settings), ALL)
    summary_lines(("--study", "mine"), words, capsys)


def summary_lines(flags: Sequence[str], words: str, capsys: Captured) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        status: Any = main(flags)
    except SystemExit as ended:
        status = ended.code
    signal.signal(signal.SIGTERM, before)
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1), printed.err
    assert printed.err.startswith("python -m nas.finalists: ")
    assert words in printed.err


def test_help_and_mistakes_need_no_torch() -> None:
    code = (
        "import sys; from nas.finalists.__main__ import main\n"
        "for arguments in (['--help'], ['--seeds', '0']):\n"
        "    try:\n        status = main(arguments)\n"
        "    except SystemExit as ended:\n        status = ended.code\n"
        "    print('status', status, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == [
        "status 0 False",
        "status 2 False",
    ]


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
    tell(made_study(storage, {**SETTINGS, **small}), [FAST])
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
