"""A ledger of two trainings, a scoring and two latencies, each unlike the others, for the tests of what reads it."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from proxies.training.recipes import RECIPES
from search_space import PRESETS
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured
from studies.ledger.trainings import Evaluations, Question
from studies.storage.database import engine_of

NOVEMBER = 1793491200.0  # 2026-11-01T00:00:00Z: 1767225600 is the year's beginning, and 304 days are gone
HOUR, DAY = 3600.0, 86400.0
HALF, FULL = PRESETS["v2-0.5x"], PRESETS["v2-1.0x"]
DATA, OTHER_DATA = "0123456789abcdef", "fedcba9876543210"
MADE_BY = {"host": "tower", "processor": "a processor", "fingerprint": "aaaabbbbcccc", "versions": {"torch": "2.9"}}
MADE_BEFORE_FINGERPRINTS = {"host": "rack", "processor": "x86_64", "versions": {"torch": "2.8"}}
TRAINED = {
    **{"training_losses": [2.0, 1.5], "validation_losses": [1.75, 1.25], "validation_accuracies": [0.25, 0.625]},
    **{"num_classes": 10, "image_size": 16, "stem_stride": 1, "seconds": 12.5},
}
SCORED = {"scores": {"naswot": -12.5}, "score_seconds": {"naswot": 0.5}, "seconds": 0.75}
TIMED = {
    **{"latency_ms": 2.5, "reference_ms": 4.0, "ratio": 0.625, "reference_p10_ms": 4.2, "spread": 0.01, "noisy": False},
    **{"runtime": "onnxruntime", "runtime_version": "1.30", "precision": "float32", "fingerprint": "111122223333"},
    **{"device": "a small processor", "batch_size": 1, "resolution": 224, "taken_at": NOVEMBER + 6 * HOUR},
    "seconds": 4.5,
}
TIMED_ELSEWHERE = {
    **{name: value for name, value in TIMED.items() if name != "seconds"},
    **{
        "latency_ms": 20.25,
        "ratio": 5.0625,
        "spread": 0.08,
        "noisy": True,
        "runtime": "openvino-bf16",
        "precision": "bfloat16",
    },
    **{"fingerprint": "abcdefabcdef", "batch_size": 8, "taken_at": NOVEMBER + 2 * DAY},
}


def fill(engine: Engine) -> None:
    """Enters, by time: A trained, B timed, C scored, D trained, E timed."""
    evaluations = Evaluations(engine)
    evaluations.add(Question(HALF, RECIPES["short"].to_dict(), DATA, 0), TRAINED, MADE_BY, NOVEMBER)
    zero_cost = {"name": "zero-cost", "images": 64}
    evaluations.add(Question(HALF, zero_cost, DATA, 0), SCORED, MADE_BY, NOVEMBER + 12 * HOUR)
    asked = Question(FULL, RECIPES["long"].to_dict(), OTHER_DATA, 1, "cuda")
    evaluations.add(asked, {**TRAINED, "seconds": 30.0}, MADE_BEFORE_FINGERPRINTS, NOVEMBER + DAY)
    board = Measured(HALF.key(), 1000, "a board", "run", LatencyFacts(TIMED), HALF, "a study")
    Ledger(engine).add(
        [Measured("resnet-18", 1000, "abcdefabcdef", "references", LatencyFacts(TIMED_ELSEWHERE)), board]
    )


def filled(folder: Path) -> str:
    """The URL of such a ledger in an SQLite file of the folder."""
    url = f"sqlite:///{folder}/study.db"
    engine = engine_of(url)
    fill(engine)
    engine.dispose()
    return url


def letters(entries: Any) -> str:
    """The entries by the letters that `fill` gives them."""
    by_moment = {0: "A", 6 * HOUR: "B", 12 * HOUR: "C", DAY: "D", 2 * DAY: "E"}
    return "".join(by_moment[entry.taken_at_epoch_s - NOVEMBER] for entry in entries)
