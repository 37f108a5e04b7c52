"""Samplers by name: repeatable by seed, and no different after a study was stopped and resumed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from builders.stopped_search import requeue_running
from optuna.study import Study
from optuna.trial import TrialState

from search_space import Budget, InputError, SearchSpace
from search_space.choosers import FixedChooser
from studies.sampling.sampler_names import SAMPLER_NAMES, check_sampler
from studies.sampling.samplers import SAMPLERS, sampler_for
from studies.storage.studies import open_storage, open_study, position_of

SPACE = SearchSpace.default(Budget.parse("140mflops"))
COUNTS = {"surrogate": 23, "tpe": 14, "gp": 12, "nsga2": 22, "random": 12}
"""Enough for each to leave its start: surrogate 20, tpe and gp draw 10 at random, nsga2 a population of 20."""
STOPPED_AFTER = 7

Params = dict[str, Any]
Open = Callable[[Path], Study]


def objectives(params: Params) -> list[float]:
    """A made-up accuracy and latency that trade off: what fills the budget is accurate, what is deep is slow."""
    depth = sum(params[f"depth_{stage}"] for stage in (2, 3, 4))
    return [params["fill_percent"] / 100 - 0.01 * params["kernel_2"], depth + params["head"] / 1024]


def propose(study: Study, name: str, seed: int) -> Params:
    """The parameters of a trial that is asked for as the search asks, and left running."""
    study.sampler = sampler_for(name, seed, position_of(study))
    trial = study.ask()
    SPACE.suggest(trial)
    return trial.params


def search(study: Study, name: str, count: int, seed: int = 0) -> list[Params]:
    """The parameters of trials up to that position, each told before the next."""
    found = []
    while position_of(study) < count:
        params = propose(study, name, seed)
        study.tell(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))[0].number, objectives(params))
        found.append(params)
    return found


@pytest.fixture(scope="module")
def open_file() -> Iterator[Open]:
    """Opens the study in an SQLite file, over a connection of its own each time."""
    storages = []

    def open_one(file: Path) -> Study:
        storages.append(open_storage(f"sqlite:///{file}"))
        return open_study(storages[-1], "one", {}, resume=True)

    yield open_one
    for storage in storages:
        storage.engine.dispose()


SLOW = [pytest.param(name, marks=pytest.mark.slow) if name in ("gp", "nsga2") else name for name in SAMPLERS]


@pytest.fixture(scope="module", params=SLOW)
def unbroken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, open_file: Open) -> Any:
    """A sampler's name and the trials that it proposes without a break."""
    name: str = request.param
    study = open_file(tmp_path_factory.mktemp(name) / "study.db")
    return name, search(study, name, COUNTS[name])


def test_every_sampler_searches_the_default_space_on_sqlite(unbroken: tuple[str, list[Params]]) -> None:
    name, proposed = unbroken
    assert len(proposed) == COUNTS[name]
    assert len({tuple(params.items()) for params in proposed}) == COUNTS[name]
    assert {tuple(params) for params in proposed} == {tuple(proposed[0])}


def test_a_study_stopped_and_resumed_proposes_what_an_unbroken_one_does(
    unbroken: tuple[str, list[Params]], tmp_path: Path, open_file: Open
) -> None:
    name, expected = unbroken
    file = tmp_path / "study.db"
    before = search(open_file(file), name, STOPPED_AFTER)
    after = search(open_file(file), name, COUNTS[name])
    assert before + after == expected
    assert after[0] not in before


def test_a_study_killed_amid_a_trial_proposes_what_an_unbroken_one_does(
    unbroken: tuple[str, list[Params]], tmp_path: Path, open_file: Open
) -> None:
    name, expected = unbroken
    file = tmp_path / "study.db"
    study = open_file(file)
    before = search(study, name, STOPPED_AFTER)
    assert propose(study, name, seed=0) == expected[STOPPED_AFTER]
    resumed = open_file(file)
    requeue_running(resumed)
    assert before + search(resumed, name, COUNTS[name]) == expected


def test_another_seed_proposes_other_trials(
    unbroken: tuple[str, list[Params]], tmp_path: Path, open_file: Open
) -> None:
    name, expected = unbroken
    others = search(open_file(tmp_path / "study.db"), name, 3, seed=1)
    assert not any(params in expected for params in others)


def test_parameters_alone_say_what_was_built(tmp_path: Path, open_file: Open) -> None:
    study = open_file(tmp_path / "study.db")
    for _ in range(5):
        trial = study.ask()
        assert SPACE.suggest(trial) == SPACE.suggest(FixedChooser(trial.params))


@pytest.mark.parametrize("name", ["", "TPE", "annealing"])
def test_an_unknown_sampler_gets_the_list_of_known_ones(name: str) -> None:
    for ask in (lambda: check_sampler(name), lambda: sampler_for(name, 0, 0)):
        with pytest.raises(InputError, match=rf"^a sampler is one of surrogate, tpe, gp, nsga2, random; got '{name}'$"):
            ask()


def test_a_known_sampler_is_no_mistake() -> None:
    for name in ("surrogate", "tpe", "gp", "nsga2", "random"):
        check_sampler(name)


def test_a_huge_seed_is_still_a_seed() -> None:
    study = optuna.create_study(sampler=sampler_for("random", 2**63, 10**6))
    assert 0 <= study.ask().suggest_int("any", 0, 9) <= 9


def test_every_sampler_that_has_a_name_can_be_made_and_no_other() -> None:
    assert tuple(SAMPLERS) == SAMPLER_NAMES
