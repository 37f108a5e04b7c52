"""What the ledger spares a search, and what it does not: another seed, recipe, device, runtime's version, or noise."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from builders.settings import settings_from
from sqlalchemy.engine import Engine

from nas.search.accuracy import Accuracy
from nas.search.ledger_lookup import LedgerLookup, SearchedOn
from nas.search.shufflenet_problem import ShuffleNets
from search_space import PRESETS, Budget, SearchSpace, cost_of
from studies.facts import LatencyFacts, TrainingFacts
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.record import Record, Rejected
from studies.storage.studies import open_storage, open_study, references_of

NETWORK = PRESETS["v2-0.5x"]
TIMED = LatencyFacts(
    {
        **{"latency_ms": 2.0, "ratio": 0.5, "reference_ms": 4.0, "spread": 0.01, "noisy": False, "seconds": 9.0},
        **{"fingerprint": "abc", "runtime": "onnxruntime", "runtime_version": "1.0", "precision": "float32"},
        **{"batch_size": 1, "resolution": 224, "taken_at": 1e9, "reference_p10_ms": 4.0},
    }
)
TRAINED = TrainingFacts(
    {
        **{"seconds": 30.0, "validation_accuracies": [0.4, 0.6], "validation_losses": [1.5, 1.2]},
        **{"training_losses": [2.0, 1.5], "num_classes": 10},
    }
)
WHERE = SearchedOn("images", "abc", "abc", "1.0", 4.0, {"host": "there", "versions": {"torch": "2"}})


def made(latency: LatencyFacts = TIMED, training: TrainingFacts = TRAINED) -> Record:
    return Record.of_parts(NETWORK, cost_of(NETWORK), latency, training, "here")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/ledger.db")
    yield engine
    engine.dispose()


def lookup(engine: Engine, *flags: str, where: SearchedOn = WHERE) -> LedgerLookup:
    return LedgerLookup(settings_from(*flags), where, Ledger(engine), Evaluations(engine))


def test_nothing_is_known_of_an_empty_ledger(engine: Engine) -> None:
    assert lookup(engine).of(NETWORK) == (None, None)
    assert lookup(engine).summary() == ""


def test_what_was_kept_is_known_to_a_search_with_another_budget_and_says_what_it_saved(engine: Engine) -> None:
    lookup(engine).keep(NETWORK, made())
    second = lookup(engine, "--budget", "60mflops")
    latency, training = second.of(NETWORK)
    assert latency == TIMED.changed(replayed=True)
    assert training == TRAINED.changed(replayed=True)
    second.keep(NETWORK, made(latency, training))
    assert second.summary() == "1 trainings and 1 latencies were known from the ledger: 0.7 minutes of a core saved"


def test_a_latency_is_scaled_to_the_anchor_of_the_study_that_asks(engine: Engine) -> None:
    lookup(engine).keep(NETWORK, made())
    latency, _ = lookup(engine, where=replace(WHERE, anchor_ms=6.0)).of(NETWORK)
    assert latency is not None
    assert (latency.latency_ms, latency.reference_ms) == (3.0, 6.0)


@pytest.mark.parametrize("flags", [("--seed", "1"), ("--recipe", "long")])
def test_a_training_by_another_seed_or_recipe_is_another_one(flags: tuple[str, ...], engine: Engine) -> None:
    lookup(engine).keep(NETWORK, made())
    latency, training = lookup(engine, *flags).of(NETWORK)
    assert latency is not None
    assert training is None


@pytest.mark.parametrize(
    "changed",
    [{"device": "other", "fingerprint": "other"}, {"runtime_version": "1.1"}],
)
def test_a_latency_of_another_machine_or_version_is_another_one(changed: dict[str, str], engine: Engine) -> None:
    lookup(engine).keep(NETWORK, made())
    latency, training = lookup(engine, where=replace(WHERE, **changed)).of(NETWORK)
    assert latency is None
    assert training is not None


def test_a_classifiers_latency_is_no_backbones_and_the_other_way_round(engine: Engine) -> None:
    backbone = ("--task", "detection-backbone", "--resolution", "224")
    network = replace(NETWORK, head=0)
    for kept, asked in (((), backbone), (backbone, ())):
        latency = TIMED.changed(fingerprint=str(kept))
        where = replace(WHERE, fingerprint=str(kept))
        lookup(engine, *kept, where=where).keep(network, made(latency))
        assert lookup(engine, *kept, where=where).of(network)[0] is not None
        assert lookup(engine, *asked, where=where).of(network)[0] is None
        # Its training is that of a classifier in either.
        assert lookup(engine, *asked, where=where).of(network)[1] is not None


def test_other_data_are_not_known(engine: Engine) -> None:
    lookup(engine).keep(NETWORK, made())
    assert lookup(engine, where=replace(WHERE, data="others")).of(NETWORK)[1] is None


def test_a_noisy_latency_and_one_without_the_throughput_asked_for_are_measured_anew(engine: Engine) -> None:
    lookup(engine).keep(NETWORK, made(TIMED.changed(noisy=True)))
    assert lookup(engine).of(NETWORK)[0] is None
    lookup(engine).keep(NETWORK, made())
    assert lookup(engine).of(NETWORK)[0] is not None
    assert lookup(engine, "--throughput-batch", "8").of(NETWORK)[0] is None


def test_what_is_replayed_is_not_entered_again(engine: Engine) -> None:
    first = lookup(engine)
    first.keep(NETWORK, made())
    first.keep(NETWORK, made(*first.of(NETWORK)))  # type: ignore[arg-type]
    assert len(Ledger(engine).measurements()) == 1


def test_a_rejection_keeps_its_latency_alone(engine: Engine) -> None:
    lookup(engine).keep(NETWORK, Rejected(2.0, TIMED))
    latency, training = lookup(engine).of(NETWORK)
    assert latency is not None
    assert training is None


@pytest.mark.parametrize(("budget", "kind"), [("140mflops", Record), ("140mflops,1ms", Rejected)])
def test_a_search_answers_from_the_ledger_and_rejects_by_its_own_limit(
    budget: str, kind: type, tmp_path: Path, engine: Engine
) -> None:
    lookup(engine).keep(NETWORK, made())
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    references = references_of(open_study(storage, "one", {}, resume=False), storage)
    text = settings_from("--budget", budget)
    problem = ShuffleNets(
        *(text, SearchSpace.default(Budget.parse("140mflops")), references, 4.0),
        *(Accuracy(None, "its own"), lookup(engine, "--budget", budget)),
    )
    assert isinstance(problem.known(NETWORK), kind)
    assert problem.reference("v2-1.0x") is PRESETS["v2-1.0x"]
    assert problem.known(PRESETS["v2-1.0x"]) is None
    storage.engine.dispose()


def test_a_search_for_backbones_has_them_as_references_and_says_that_they_classify(
    tmp_path: Path, engine: Engine
) -> None:
    text = settings_from("--task", "detection-backbone")
    space = SearchSpace(text.choices, text.budget, text.task)
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    references = references_of(open_study(storage, "one", {}, resume=False), storage)
    known = lookup(engine, "--task", "detection-backbone")
    problem = ShuffleNets(text, space, references, 8.0, Accuracy(None, "its own"), known)
    network = problem.reference("v2-0.5x")
    assert network == replace(NETWORK, head=0)
    outcome = problem.outcome(network, made(), "v2-0.5x")
    assert "as a classifier 60.0 %" in outcome.summary
    assert outcome.attributes["reference"] == "v2-0.5x"
    storage.engine.dispose()
