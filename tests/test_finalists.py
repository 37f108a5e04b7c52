"""`nas.finalists`: who they are, what is asked of whom, the table, and the study that is kept of it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection

import nas.finalists as finalists_module
from nas import export
from nas.accuracy import Accuracy
from nas.finalists import main
from nas.workers import Failure
from proxies.recipes import RECIPES
from search_space import PRESETS, Architecture
from search_space.errors import InputError
from studies.database import engine_of
from studies.evaluations import Evaluations
from studies.finalists import Choice, Finalist, choose, final_front, render_finalists
from studies.prediction import AccuracyFit
from studies.record import Record, attributes_of
from studies.store import load_study, open_storage, open_study, references_of, study_names

Captured = pytest.CaptureFixture[str]
URL = "sqlite:///runs/mine/study.db"
FINGERPRINT = "0123456789abcdef"
SETTINGS: dict[str, Any] = {
    "data": "fashion-mnist-12k",
    "image_size": None,
    "seed": 7,
    "recipe": RECIPES["short"].to_dict(),
    "data_fingerprint": FINGERPRINT,
}
ERROR = 0.02
FIT = AccuracyFit((0.0,) * 4, (0.0,) * 4, (1.0,) * 4, 0.5, 1.0, ERROR, 20, 0.4, 0.9)


def record(preset: str, accuracy: float, latency_ms: float, macs: int = 1_000_000, reference: str = "") -> Record:
    latency = {"spread": 0.012, "noisy": False, "seconds": 2.5}
    training = {"seconds": 80.0, "validation_accuracies": [accuracy - 0.1]}
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


def test_finalists_are_the_front_and_what_the_predictions_error_may_hide_the_nearest_first() -> None:
    assert choose(ALL, ERROR, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR, NEXT), 0)
    assert choose(ALL, 0.012, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR,), 0)
    assert choose(ALL, 0.0, 12) == Choice((FAST, MIDDLE, SLOW), (), 0)


def test_of_too_many_the_front_stays_and_the_nearest_come_first() -> None:
    assert choose(ALL, ERROR, 4) == Choice((FAST, MIDDLE, SLOW), (NEAR,), 1)
    assert choose(ALL, ERROR, 1) == Choice((FAST, MIDDLE, SLOW), (), 2)


def test_a_network_that_stands_in_several_trials_is_one_finalist() -> None:
    assert choose([*ALL, *ALL], ERROR, 12) == choose(ALL, ERROR, 12)


def test_one_as_accurate_and_slower_is_a_finalist_without_a_fit() -> None:
    tied = record("v2-1.5x", 0.60, 3.0)
    assert choose([FAST, tied], 0.0, 12) == Choice((FAST,), (tied,), 0)


def test_of_nothing_there_are_no_finalists() -> None:
    assert choose([], ERROR, 12).records == ()


# The table


def test_the_table_shows_means_and_deviations_and_the_front_by_them() -> None:
    finalists = [
        Finalist(SLOW, {8: 0.90, 9: 0.92}),  # 91 %, and 0.02 / sqrt(2) = 1.4 points
        Finalist(FAST, {8: 0.70, 9: 0.70}),
        Finalist(MIDDLE, {8: 0.71, 9: 0.73}),  # 72 %, behind the faster reference
        Finalist(REFERENCE, {8: 0.74, 9: 0.76}),
    ]
    assert [each.reference or each.latency_ms for each in final_front(finalists)] == [2.0, "v2-1.0x", 8.0]
    lines = render_finalists(finalists, "long").splitlines()
    assert " ".join(lines[0].split()) == "name MFLOPs latency ms long % predicted % proxy % seeds front"
    rows = [line.split() for line in lines[2:6]]
    assert rows[0] == [FAST.name, "40.0", "2.00", "±0.6", "%", "70.0", "±", "0.0", "60.0", "50.0", "2", "front"]
    assert rows[1][:1] + rows[1][5:] == ["v2-1.0x", "75.0", "±", "1.4", "65.0", "55.0", "2", "front,", "reference"]
    assert rows[2][:1] + rows[2][5:] == [MIDDLE.name, "72.0", "±", "1.4", "70.0", "60.0", "2"]
    assert rows[3][:1] + rows[3][5:] == [SLOW.name, "91.0", "±", "1.4", "80.0", "70.0", "2", "front"]
    assert "finalists are not timed again" in lines[-1]


def test_one_seed_has_no_deviation() -> None:
    finalist = Finalist(FAST, {8: 0.7})
    assert finalist.deviation is None
    assert render_finalists([finalist], "long").splitlines()[2].split()[5:] == ["70.0", "60.0", "50.0", "1", "front"]


# The command, its workers replaced


class FakeWorker:
    """Answers in this process."""

    def __init__(self, answer: Callable[..., Any], fingerprint: str) -> None:
        self._answer, self._fingerprint = answer, fingerprint

    def call(self, method: str) -> Any:
        return {"data_fingerprint": self._fingerprint, "made_by": {"host": "here"}}[method]

    def send(self, method: str, *arguments: Any) -> None:
        self._question = arguments

    def receive(self) -> Any:
        return self._answer(*self._question)


class FakeWorkers:
    """One such worker."""

    def __init__(self, answer: Callable[..., Any], fingerprint: str) -> None:
        self.all = [FakeWorker(answer, fingerprint)]

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


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a function in the place of all that workers do."""
    before = signal.getsignal(signal.SIGTERM)

    def put(answer: Callable[..., Any], fingerprint: str = FINGERPRINT) -> None:
        monkeypatch.setattr(finalists_module, "Workers", lambda *_: FakeWorkers(answer, fingerprint))

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
    assert row[5:] == ["85.0", "±", "1.0", "80.0", "70.0", "3", "front"]
    for told in (
        "finalists of mine: 3 on its front and 2 within 2.0 points of it, by which predictions are off, and its "
        "references; recipe 'long' by seeds 8, 9, 10",
        "predicted %: calibrated on this data",
        f"kept as the study mine-finalists in {URL}",
    ):
        assert told in printed.out.splitlines()

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
    assert trial.values == [pytest.approx(0.70), 3.5]
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
    assert kept(storage)[FAST.architecture.key()].values == [pytest.approx(0.64), 2.0]


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
        f"failed: v2-{key[:8]} long seed 9: TrainingError: the training loss is nan in epoch 1 of 8",
        "left out, for a training failed: v2-1.0x; the same line tries again",
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
    told = "fashion-mnist-12k had fingerprint 0123456789abcdef then, and has fedcba9876543210 now"
    assert (printed.out, printed.err.splitlines()[-1].endswith(told)) == ("", True)
    assert ledger_holds() == 0
    assert "mine-finalists" not in study_names(storage)


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
    told_of(*MISTAKES[case], capsys)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "folder:gone"}, "folder:PATH must name an existing folder, but got gone"),
        ({"data_fingerprint": None}, "does not say which data it was trained on"),
    ],
    ids=["a folder that is gone", "a study that does not say its data"],
)
def test_data_that_are_not_there_are_told_in_one_line(
    changes: dict[str, Any], words: str, storage: RDBStorage, capsys: Captured
) -> None:
    settings = {name: value for name, value in (SETTINGS | changes).items() if value or name == "image_size"}
    tell(made_study(storage, settings), ALL)
    told_of(("--study", "mine"), words, capsys)


def told_of(flags: Sequence[str], words: str, capsys: Captured) -> None:
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
        "import sys; from nas.finalists import main\n"
        "for arguments in (['--help'], ['--seeds', '0']):\n"
        "    try:\n        status = main(arguments)\n"
        "    except SystemExit as ended:\n        status = ended.code\n"
        "    print('status', status, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == [
        "status 0 False",
        "status 2 False",
    ]


# In a real worker process


@pytest.mark.slow
def test_a_real_worker_trains_on_the_studys_own_data(
    storage: RDBStorage, images: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    from proxies.data import load

    data = f"folder:{images}"
    fingerprint = load(data, image_size=16).fingerprint
    tell(made_study(storage, {**SETTINGS, "data": data, "image_size": 16, "data_fingerprint": fingerprint}), [FAST])
    line = ("nas.finalists", "--recipe", "short", "--seeds", 2, "--workers", 2)
    finished = run(*line)
    assert finished.returncode == 0, finished.stderr
    (trial,) = kept(storage).values()
    assert trial.user_attrs["accuracies"].keys() == {"8", "9"}
    assert all(0 <= accuracy <= 1 for accuracy in trial.user_attrs["accuracies"].values())
    again = run(*line)
    assert (again.returncode, again.stdout) == (0, finished.stdout)
    assert "2 of 2 trainings are in the ledger" in again.stderr
