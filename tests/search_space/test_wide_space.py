"""A space with every choice open: all of it is drawn, within the budget, and a network's key holds what it is alone."""

from fractions import Fraction
from typing import Any

import optuna
import pytest
from builders.wide_space import OPENED, WIDE, wide_space

from search_space import Architecture, SearchSpace, cost_of
from search_space.choices import Choices
from search_space.choosers import FixedChooser, RandomChooser
from search_space.space import is_taken

NETWORK = ("stem", "shuffle", "residual", "pre_depthwise", "bottleneck")


@pytest.mark.parametrize("budget", ["30mflops", "140mflops", "1mparams"])
def test_all_is_drawn_within_the_budget_and_rebuilt_from_json(budget: str) -> None:
    space = wide_space(budget)
    seen: dict[str, set[Any]] = {name: set() for name in (*NETWORK, "xception")}
    for seed in range(400):
        network = space.suggest(RandomChooser(seed))
        cost = cost_of(network)
        assert space.budget.allows(cost.macs, cost.params)
        assert Architecture.from_dict(network.to_dict()) == network
        assert network.stem % network.stages[0].groups == 0
        for name in NETWORK:
            seen[name].add((network.unit, getattr(network, name)))
        seen["xception"] |= {(network.unit, place, stage.xception) for place, stage in enumerate(network.stages)}
    assert {stem for _, stem in seen["stem"]} == set(OPENED["stem"])
    assert seen["shuffle"] == {(unit, value) for unit in ("v1", "v2") for value in (True, False)}
    for name in ("residual", "pre_depthwise"):
        assert seen[name] == {("v1", False), ("v2", False), ("v2", True)}
    ratios = [Fraction(text) for text in ("1/8", "1/4", "1/2")]
    assert seen["bottleneck"] == {("v2", Fraction(1, 4)), *(("v1", ratio) for ratio in ratios)}
    of_v2 = {("v2", place, value) for place in range(3) for value in (True, False)}
    assert seen["xception"] == of_v2 | {("v1", place, False) for place in range(3)}


def test_the_names_asked_for_are_the_same_whatever_is_drawn() -> None:
    names = set()
    for seed in range(100):
        chooser = RandomChooser(seed)
        wide_space().suggest(chooser)
        names.add(tuple(chooser.params))
    assert len(names) == 1


def test_what_a_unit_does_not_take_is_asked_for_and_changes_nothing() -> None:
    space, changed = wide_space(), 0
    for seed in range(60):
        chooser = RandomChooser(seed)
        network = space.suggest(chooser)
        params = chooser.params
        for name, value in params.items():
            if not is_taken(name, params):
                values = {"split": ["1/4", "3/4"], "bottleneck": ["1/8", "1/2"]}.get(name.split("_")[0], [False, True])
                other = next(each for each in values if each != value)
                assert space.suggest(FixedChooser({**params, name: other})).key() == network.key()
                changed += 1
    assert changed > 60


def test_what_each_unit_takes() -> None:
    v1, v2 = {"unit": "v1"}, {"unit": "v2"}
    both = ["stem", "shuffle", "groups_2", "se_4", "kernel_3", "growth_percent_3", "depth_2", "fill_percent", "head"]
    assert all(is_taken(name, params) for name in both for params in (v1, v2))
    assert [is_taken("bottleneck", params) for params in (v1, v2)] == [True, False]
    for name in ("split_3", "xception_2", "residual", "pre_depthwise"):
        assert [is_taken(name, params) for params in (v1, v2)] == [False, True]


@pytest.mark.parametrize("sampler", [optuna.samplers.RandomSampler(0), optuna.samplers.TPESampler(seed=0)])
def test_optunas_own_samplers_ask_for_it(sampler: optuna.samplers.BaseSampler) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, space = optuna.create_study(sampler=sampler), wide_space("30mflops")
    for _ in range(40):
        trial = study.ask()
        cost = cost_of(space.suggest(trial))
        assert cost.macs <= 30_000_000
        study.tell(trial, cost.params)


def test_choices_come_back_from_json_and_what_is_not_opened_is_left_out() -> None:
    assert Choices.from_dict(WIDE.to_dict()) == WIDE
    assert not OPENED.keys() - {"stem"} & Choices.default().to_dict().keys()


def test_what_is_fixed_is_not_asked_for() -> None:
    fixed = {"stem": 16, "groups": [1, 2], "shuffle": [False], "units": ["v2"], "xception": [True], "residual": [True]}
    choices = Choices.from_dict({**Choices.default().to_dict(), **fixed})
    space, chooser = SearchSpace(choices, wide_space().budget), RandomChooser(0)
    network = space.suggest(chooser)
    assert (network.stem, network.shuffle, network.residual) == (16, False, True)
    assert all(stage.xception for stage in network.stages)
    assert not {"stem", "shuffle", "residual", "xception_2"} & chooser.params.keys()
