"""A search's nine records with their front, two references and the front's finalists, as the reports show them."""

from pathlib import Path
from typing import Any

from search_space import Architecture, Budget, SearchSpace
from search_space.choosers import RandomChooser
from studies.facts import LatencyFacts
from studies.finalists import Finalist, trials_of
from studies.front import front_of
from studies.storage.studies import keep_results, open_storage, open_study

from .records import enter, record

SPACE = SearchSpace.default(budget=Budget.parse("140mflops"))
TIMED = {"spread": 0.02, "device": "A CPU"}


def networks(count: int) -> list[Architecture]:
    """Architectures of the space, drawn."""
    return [SPACE.suggest(RandomChooser(number)) for number in range(count)]


# Accuracy rises with latency in two of three: the third is slower than its neighbour, and worse.
RECORDS = [
    record(
        network, 0.4 + 0.02 * (i - 3 * (i % 3 == 2)), 1.0 + i, latency=TIMED, training={"validation_accuracies": [0.5]}
    )
    for i, network in enumerate(networks(9))
]
FRONT = front_of(RECORDS)
REFERENCES = [
    record(name, 0.5, ms, latency=TIMED, training={"validation_accuracies": [0.5]}, reference=name)
    for name, ms in (("v2-0.5x", 2.0), ("v1-1.0x-g3", 6.0))
]
FINALISTS = [Finalist(each, {1: each.accuracy, 2: each.accuracy - 0.01}, each.latency) for each in FRONT]
LATENCY = {"latency_ms": 1.5, "spread": 0.02, "noisy": False, "seconds": 1.0}


def kept_study(folder: Path, settings: dict[str, Any]) -> str:
    """The URL of an SQLite file with such a study, "one", and its finalists' study."""
    url = f"sqlite:///{folder}/study.db"
    storage = open_storage(url)
    enter(open_study(storage, "one", settings, resume=False), *RECORDS)
    finalists = [Finalist(each, {1: 0.5, 2: 0.6}, LatencyFacts(LATENCY)) for each in FRONT]
    keep_results(storage, "one-finalists", {"recipe": "long"}, trials_of(finalists, {"name": "long"}))
    storage.remove_session()
    storage.engine.dispose()
    return url
