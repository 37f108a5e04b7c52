"""Which networks a calibration draws, what it asks of them, and in which order."""

import os
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from builders.settings import SPACE, calibration_settings
from builders.workers import FakeWorkers, made_up

from nas.calibrate.questions import Sets, draw, questions
from nas.calibrate.sets import EQUAL_SHARES, at_equal_cost, stratified
from nas.workers.protocol import Failure
from nas.workers.trainings import MOST_FAILURES, name_of, run_all
from proxies.training.recipes import RECIPES
from search_space import Architecture, Budget, SearchSpace, cost_of
from search_space.choices import Choices
from search_space.errors import InputError
from search_space.task import Task
from studies.ledger.trainings import Evaluations, Question
from studies.storage.database import engine_of

# Which architectures


def tiny_space(budget: str = "0.4mflops") -> SearchSpace:
    import tomllib

    return SearchSpace(Choices.from_dict(tomllib.loads(SPACE)), Budget.parse(budget), Task(32, 10))


def shares(space: SearchSpace, architectures: list[Architecture]) -> list[float]:
    costs = [cost_of(each, space.task.resolution, space.task.num_classes) for each in architectures]
    return [space.budget.share(cost.macs, cost.params) for cost in costs]


@pytest.mark.parametrize(
    "space", [tiny_space(), SearchSpace.default(Budget.parse("140mflops"))], ids=["tiny", "default"]
)
def test_sets_hold_different_architectures_spread_over_the_range_and_at_one_cost(space: SearchSpace) -> None:
    spread, equal = stratified(space, 12, seed=0), at_equal_cost(space, 12, seed=0)
    for found in (spread, equal):
        assert len({each.key() for each in found}) == 12
    low, high = EQUAL_SHARES
    assert all(low <= share <= high for share in shares(space, equal))
    fills = sorted(space.choices.fills_percent)
    for position, share in enumerate(shares(space, spread)):
        # Where the narrowest widths cost more than the share that is wanted, they are taken.
        assert fills[position * len(fills) // 12] / 100 - 0.15 < share <= 1


def test_draws_repeat_for_a_seed_and_differ_between_seeds() -> None:
    space = SearchSpace.default(Budget.parse("41mflops"))
    for drawn in (stratified, at_equal_cost):
        assert drawn(space, 4, seed=3) == drawn(space, 4, seed=3)
        assert not set(drawn(space, 4, seed=3)) & set(drawn(space, 4, seed=4))
    assert at_equal_cost(space, 6, seed=3)[:4] == at_equal_cost(space, 4, seed=3), "more records leave the first ones"


def test_a_space_that_holds_too_few_is_told_with_the_cure() -> None:
    space = tiny_space()
    one = {"depths": ((1,),) * 3, "kernels": (3,), "heads": (0,), "activations": ("relu",), "growths_percent": (200,)}
    narrow = replace(space, choices=replace(space.choices, **one))
    with pytest.raises(
        InputError, match=r"must hold 4 arch.* found \d at 400kflops: ask for fewer with --architectures"
    ):
        at_equal_cost(narrow, 4, seed=0)


def test_full_trainings_are_spread_over_the_costs_too_where_there_are_more_records() -> None:
    space = SearchSpace.default(Budget.parse("41mflops"))
    members = tuple(stratified(space, 20, seed=0))
    labelled = [each for each, is_labelled in Sets({"stratified": members}, {"stratified": 5}).all() if is_labelled]
    assert labelled == [members[position] for position in (0, 4, 8, 12, 16)]
    assert Sets({"stratified": members}, {"stratified": 20}).all() == [(each, True) for each in members]
    equal = tuple(at_equal_cost(space, 8, seed=0))
    assert [known for _, known in Sets({"equal": equal}, {"equal": 3}).all()] == [True] * 3 + [False] * 5


def test_an_architecture_of_both_sets_is_asked_once_and_trained_fully_if_either_wants_it() -> None:
    first, second, third = at_equal_cost(tiny_space(), 3, seed=0)
    sets = Sets({"stratified": (first, second), "equal": (third, second)}, {"stratified": 1, "equal": 1})
    assert sets.all() == [(first, True), (second, False), (third, True)]
    assert Sets({"stratified": (first, second), "equal": (second, third)}, {"stratified": 1, "equal": 1}).all()[1] == (
        second,
        True,
    )


# What is asked


def test_what_is_cheap_is_asked_first_and_of_each_kind_the_dearest_network(line: list[str]) -> None:
    settings = calibration_settings(*line, "--records", "6", "--seeds", "2", "--proxies", "short,long")
    sets = draw(settings)
    asked = questions(settings, sets, "data")
    assert len({question.digest for question in asked}) == len(asked)
    kinds = list(dict.fromkeys((question.method["name"], question.seed) for question in asked))
    assert kinds == [("zero-cost", 0), ("short", 0), ("long", 0), ("full", 0), ("full", 1)]
    everything = len(sets.all())
    fully = sum(known for _, known in sets.all())
    counts = Counter((question.method["name"], question.seed) for question in asked)
    assert [counts[kind] for kind in kinds] == [everything] * 3 + [fully] * 2
    for kind in kinds:
        macs = [cost_of(q.architecture, 32, 10).macs for q in asked if (q.method["name"], q.seed) == kind]
        assert macs == sorted(macs, reverse=True)
    assert {question.method["epochs"] for question in asked if question.method["name"] == "full"} == {1}


def test_at_equal_flops_only_that_set_is_drawn(line: list[str]) -> None:
    assert draw(calibration_settings(*line, "--at-equal-flops")).labelled == {"equal": 4}


def test_without_a_word_of_it_networks_are_spread_over_the_whole_budget() -> None:
    drawn = draw(calibration_settings("--budget", "140mflops"))
    assert list(drawn.architectures) == ["stratified"]
    shares = sorted(cost_of(each).macs / 140e6 for each in drawn.architectures["stratified"])
    assert len(shares) == 24
    assert shares[0] < 0.2
    assert shares[-1] > 0.9
    assert all(later - before < 0.15 for before, later in pairwise(shares))


def test_the_two_sets_may_be_of_different_sizes(line: list[str]) -> None:
    sets = draw(calibration_settings(*line, "--architectures", "4", "--equal", "5", "--records", "6"))
    assert {name: len(members) for name, members in sets.architectures.items()} == {"stratified": 6, "equal": 7}
    assert sets.labelled == {"stratified": 4, "equal": 5}


def test_defaults_calibrate_both_proxies_against_two_seeds_of_full(line: list[str]) -> None:
    settings = calibration_settings()
    assert (settings.fully, settings.extra, settings.seeds) == ({"stratified": 24}, 0, (0, 1))
    assert (settings.full, settings.proxies) == (RECIPES["full"], (RECIPES["short"], RECIPES["long"]))
    assert (settings.storage, settings.out) == (
        "sqlite:///runs/calibrations.db",
        Path("runs/calibration-fashion-mnist-12k"),
    )
    assert calibration_settings("--seed", "3", "--seeds", "3").seeds == (3, 4, 5)
    folder = line[line.index("--data") + 1]
    for data in (folder, f"{folder}/", f"folder:{os.path.relpath(folder.removeprefix('folder:'))}"):
        assert calibration_settings("--data", data).out == Path("runs/calibration-images")


# Asking


def asked_of(count: int) -> list[Question]:
    settings = calibration_settings("--budget", "41mflops", "--at-equal-flops", "--architectures", "4", "--seeds", "4")
    return questions(settings, draw(settings), "data")[:count]


def test_every_answer_is_kept_before_the_next_is_waited_for(tmp_path: Path) -> None:
    evaluations = Evaluations(engine_of(f"sqlite:///{tmp_path}/a.db"))
    kept: list[int] = []

    def report(question: Question, seconds: float | None, cause: str) -> None:
        kept.append(len(evaluations.answers("data")))

    asked = asked_of(7)
    assert run_all(asked, FakeWorkers(made_up, 2), evaluations, {}, report) == []  # type: ignore[arg-type]
    assert kept == [1, 2, 3, 4, 5, 6, 7]
    assert set(evaluations.answers("data")) == {question.digest for question in asked}


def test_where_all_fail_it_ends_and_where_some_succeed_it_goes_on(tmp_path: Path) -> None:
    text: list[str] = []
    fails = FakeWorkers(lambda *_: Failure("out of luck"))
    evaluations = Evaluations(engine_of(f"sqlite:///{tmp_path}/a.db"))
    with pytest.raises(RuntimeError, match=rf"all of the first {MOST_FAILURES} .*, the last one: v.-.* out of luck$"):
        run_all(asked_of(9), fails, evaluations, {}, lambda q, s, cause: text.append(cause))  # type: ignore[arg-type]
    assert text == ["out of luck"] * MOST_FAILURES
    first, *others = asked_of(9)
    evaluations.add(first, made_up(first.architecture, dict(first.method), 0), {}, 1e9)
    failed = run_all(others, fails, evaluations, {}, lambda *_: None)  # type: ignore[arg-type]
    assert failed == [f"{name_of(question)}: out of luck" for question in others]


def test_networks_of_their_own_resolutions_are_asked_for_on_images_as_much_smaller(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(f"{SPACE}\nresolutions = [32, 48, 64]\n")
    flags = ("--space", str(tmp_path / "space.toml"), "--budget", "0.4mflops", "--resolution", "64", "--classes", "10")
    settings = calibration_settings(*flags, "--workers", "1", "--architectures", "6", "--records", "6", "--seeds", "1")
    asked = questions(settings, draw(settings), "data")
    shares = {32: 0.5, 48: 0.75, 64: 1.0}
    methods: dict[str, set[float]] = {}
    for question in asked:
        assert isinstance(question.architecture, Architecture)
        share = question.method.get("resolution_share", 1.0)
        assert share == shares[question.architecture.resolution or 0]
        methods.setdefault(question.method["name"], set()).add(share)
    assert "zero-cost" in methods
    assert all(len(found) > 1 for found in methods.values())
