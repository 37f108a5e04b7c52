"""A search and its finalists: six networks and a reference, what workers answer of them, and their study."""

from typing import Any

from optuna.storages import RDBStorage
from optuna.study import Study

from nas.search.accuracy import Accuracy
from proxies.training.recipes import RECIPES
from search_space import Architecture
from studies.calibration.four_feature_fit import FourFeatureFit
from studies.facts import LatencyFacts
from studies.ledger.trainings import Evaluations
from studies.record import Record
from studies.storage.database import engine_of
from studies.storage.studies import open_study

from .records import record

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


def from_search(preset: str, accuracy: float, latency_ms: float, macs: int = 1_000_000, reference: str = "") -> Record:
    """A record of a search, whose training reached 0.1 less than is predicted of it."""
    training = {"validation_accuracies": [accuracy - 0.1]}
    return record(preset, accuracy, latency_ms, training=training, macs=macs, params=2_000_000, reference=reference)


# On the front, by hand: FAST, MIDDLE, SLOW. NEAR is 0.01 below FAST, NEXT 0.015 below MIDDLE, FAR 0.05 below SLOW.
FAST, NEAR = from_search("v2-0.5x", 0.60, 2.0, 40_000_000), from_search("v2-star-0.5x", 0.59, 3.0, 41_000_000)
MIDDLE, NEXT = from_search("v1-0.5x-g3", 0.70, 4.0, 50_000_000), from_search("v1-1.0x-g3", 0.685, 5.0, 140_000_000)
SLOW, FAR = from_search("v1-2.0x-g3", 0.80, 8.0, 500_000_000), from_search("v2-1.5x", 0.75, 9.0, 300_000_000)
ALL = [FAR, NEXT, SLOW, NEAR, MIDDLE, FAST]
REFERENCE = from_search("v2-1.0x", 0.65, 3.5, 145_000_000, reference="v2-1.0x")
TRAINED = {each.architecture.key(): each for each in (FAST, NEAR, MIDDLE, NEXT, SLOW, REFERENCE)}


def long_answer(architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
    """An answer such as a worker's: 5 points above the prediction, a point more from seed to seed."""
    accuracy = TRAINED[architecture.key()].accuracy + 0.05 + 0.01 * (seed - 9)
    losses = {"training_losses": [2.0], "validation_losses": [1.5]}
    return {"validation_accuracies": [accuracy], "seconds": 2.0, "num_classes": 10, **losses}


def timed_again(architecture: Architecture, anchor_ms: float) -> LatencyFacts:
    """A latency such as a worker's: a tenth more than the search's."""
    latency_ms = 1.1 * TRAINED[architecture.key()].latency_ms
    text = {"fingerprint": "abc", "runtime": "onnxruntime", "seconds": 5.0, "spread": 0.01, "noisy": False}
    where = {"taken_at": 1e9, "runtime_version": "1.0", "precision": "float32", "batch_size": 1, "resolution": 224}
    return LatencyFacts({**text, **where, "latency_ms": latency_ms, "reference_ms": anchor_ms})


def made_study(storage: RDBStorage, settings: dict[str, Any]) -> Study:
    study = open_study(storage, "mine", settings, resume=False)
    study.set_user_attr("accuracy", Accuracy(FIT, "calibrated on this data").to_dict())
    study.set_user_attr("anchor_ms", ANCHOR_MS)
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
