import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import pytest

import search_space
from search_space import Architecture, Budget, InputError, SearchSpace, cost_of
from search_space.budget_range import reach_of
from search_space.choices import Choices
from search_space.choosers import FixedChooser, RandomChooser
from search_space.plan import NO_CLASSIFIER
from search_space.task import Task

DEFAULT_FILE = Path(search_space.__file__).with_name("default_space.toml")
NAMES = {
    "unit",
    "activation",
    *(f"{name}_{stage}" for name in ("groups", "split", "se", "kernel", "depth") for stage in (2, 3, 4)),
    "head",
    "growth_percent_3",
    "growth_percent_4",
    "fill_percent",
}


class RecordingChooser(RandomChooser):
    """Chooses at random; `asked` holds what was offered by each name."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.asked: dict[str, Any] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        assert name not in self.asked
        self.asked[name] = tuple(range(low, high + 1, step))
        return super().suggest_int(name, low, high, step=step)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        assert name not in self.asked
        self.asked[name] = tuple(choices)
        return super().suggest_categorical(name, choices)


class GreedyChooser:
    """Always takes the last, or always the first, of what is offered, but for the names in `fixed`."""

    def __init__(self, at: int, **fixed: Any) -> None:
        self.at, self.fixed = at, fixed

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        return int(self.fixed.get(name, (low, high)[self.at]))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.fixed.get(name, choices[self.at])


def shares(budget: Budget, architecture: Architecture) -> list[float]:
    """Of each bound that there is, the share used: the counts are those of `cost_of`, which test_cost checks."""
    cost = cost_of(architecture)
    pairs = ((cost.macs, budget.macs), (cost.params, budget.params))
    return [count / bound for count, bound in pairs if bound is not None]


def check_suggestions(text: str, seeds: Iterable[int]) -> tuple[list[float], dict[str, set[Any]]]:
    """None over budget, all rebuilt from JSON; gives share / fill of each, and the values seen by choice."""
    budget = Budget.parse(text)
    space = SearchSpace.default(budget)
    ratios, seen = [], {name: set() for name in ("unit", "groups", "split", "depth", "kernel", "se", "head", "act")}
    for seed in seeds:
        chooser = RandomChooser(seed)
        architecture = space.suggest(chooser)
        assert Architecture.from_dict(architecture.to_dict()) == architecture
        share = max(shares(budget, architecture))
        assert share <= 1
        ratios.append(share / (chooser.params["fill_percent"] / 100))
        seen["unit"].add(architecture.unit)
        seen["head"].add(architecture.head)
        seen["act"].add(architecture.activation)
        for position, stage in enumerate(architecture.stages):
            seen["depth"].add((position, stage.depth))
            for name in ("groups", "split", "kernel", "se"):
                seen[name].add(getattr(stage, name))
            assert stage.width <= 4096
    return ratios, seen


EVERYTHING = {
    "unit": {"v1", "v2"},
    "groups": {1, 2, 3, 4, 8},
    "split": {None, *map(Fraction, ("1/4", "1/3", "1/2", "2/3", "3/4"))},
    "depth": {(stage, d) for stage, (low, high) in enumerate([(2, 6), (4, 10), (2, 6)]) for d in range(low, high + 1)},
    "kernel": {3, 5, 7},
    "se": {False, True},
    "head": {0, 512, 1024, 1536, 2048},
    "act": {"relu", "hardswish"},
}


@pytest.mark.slow
def test_of_10000_suggestions_none_is_over_budget_or_invalid_and_all_is_seen() -> None:
    ratios, seen = check_suggestions("140mflops", range(10_000))
    assert len(ratios) == 10_000
    assert median(ratios) >= 0.95
    assert seen == EVERYTHING


@pytest.mark.parametrize("text", ["41mflops", "300mflops", "591mflops", "2mparams", "140mflops,2mparams"])
def test_suggestions_use_the_share_they_were_asked_for(text: str) -> None:
    ratios, seen = check_suggestions(text, range(300))
    assert median(ratios) >= 0.95
    # A head of 2,048 never fits in 2 M parameters: 2,048 x 1,000 are in its classifier alone.
    too_wide = {2048} if "params" in text else set()
    assert seen == {**EVERYTHING, "head": EVERYTHING["head"] - too_wide}


def test_suggestions_fit_a_budget_with_little_room() -> None:
    _, seen = check_suggestions("20mflops", range(300))
    assert seen["unit"] == {"v1", "v2"}
    assert seen["groups"] == {1, 2, 3, 4, 8}


def test_over_budget_is_never_built_at_the_smallest_budget_reached() -> None:
    reach = reach_of(Choices.default(), Task())
    for budget in (
        Budget(macs=15_000_000),
        Budget(macs=reach.smallest_macs),
        Budget(params=reach.smallest_params),
        Budget(reach.smallest_macs, reach.smallest_params),
    ):
        space = SearchSpace(Choices.default(), budget)
        for seed in range(80):
            assert max(shares(budget, space.suggest(RandomChooser(seed)))) <= 1


@pytest.mark.parametrize("bound", ["macs", "params"])
def test_the_smallest_budget_reached_is_not_far_from_needed(bound: str) -> None:
    # The dearest of the combinations with every size at its least: tried one by one, all stages alike.
    reach = reach_of(Choices.default(), Task())
    smallest = getattr(reach, f"smallest_{bound}")
    space = SearchSpace(Choices.default(), Budget(**{bound: smallest}))
    dearest = 0
    for unit in ("v1", "v2"):
        for groups in (1, 2, 3, 4, 8):
            for split in ("1/4", "1/3", "1/2", "2/3", "3/4"):
                fixed = {f"{name}_{n}": v for n in (2, 3, 4) for name, v in (("groups", groups), ("split", split))}
                se = {f"se_{n}": True for n in (2, 3, 4)}
                architecture = space.suggest(GreedyChooser(0, unit=unit, **fixed, **se))
                dearest = max(dearest, getattr(cost_of(architecture), bound))
    assert dearest <= smallest < 2.5 * dearest


def test_the_largest_budget_reached_can_be_used_up() -> None:
    reach = reach_of(Choices.default(), Task())
    space = SearchSpace.default(Budget(macs=reach.largest_macs))
    largest = {f"{name}_{n}": v for n in (2, 3, 4) for name, v in (("groups", 1), ("split", "1/2"))}
    used = [
        max(shares(space.budget, space.suggest(GreedyChooser(1, unit=unit, growth_percent_3=150, **more))))
        for unit in ("v1", "v2")
        for more in (largest, {**largest, "split_2": "3/4", "split_3": "3/4", "split_4": "3/4"})
    ]
    assert 0.9 < max(used) <= 1


def test_everything_at_its_most_still_fits() -> None:
    for text in ("15mflops", "20mflops", "140mflops", "591mflops", "200kparams", "15mflops,200kparams"):
        budget = Budget.parse(text)
        space = SearchSpace.default(budget)
        for unit in ("v1", "v2"):
            for groups in (1, 3, 8):
                fixed = {f"groups_{n}": groups for n in (2, 3, 4)}
                assert max(shares(budget, space.suggest(GreedyChooser(1, unit=unit, **fixed)))) <= 1


@pytest.mark.parametrize("text", ["1kflops", "1kparams", "1000000gflops", "1000gparams", "1kflops,1mparams"])
def test_an_unreachable_budget_is_refused_with_the_range(text: str) -> None:
    reach = reach_of(Choices.default(), Task())
    with pytest.raises(InputError) as error:
        SearchSpace(Choices.default(), Budget.parse(text))
    message = str(error.value)
    count = "params" if text in ("1kparams", "1000gparams") else "macs"
    low, high = (float(end.replace(",", "")) for end in re.findall(r"[\d,.]+(?= to | M)", message))
    assert low == pytest.approx(getattr(reach, f"smallest_{count}") / 1e6, rel=1e-3)
    assert high == pytest.approx(getattr(reach, f"largest_{count}") / 1e6, rel=1e-3)
    for end in (low, high):  # rounded to where they are within reach themselves
        SearchSpace(Choices.default(), Budget(**{count: round(1e6 * end)}))
    assert str(Budget.parse(text)) in message
    assert "\n" not in message


def test_the_ends_of_the_reach_are_reached_and_nothing_beyond() -> None:
    reach = reach_of(Choices.default(), Task())
    for name in ("macs", "params"):
        low, high = getattr(reach, f"smallest_{name}"), getattr(reach, f"largest_{name}")
        SearchSpace(Choices.default(), Budget(**{name: low}))
        SearchSpace(Choices.default(), Budget(**{name: high}))
        for beyond in (low - 1, high + 1):
            with pytest.raises(InputError, match="reach"):
                SearchSpace(Choices.default(), Budget(**{name: beyond}))


def test_a_budget_in_milliseconds_alone_sizes_nothing() -> None:
    with pytest.raises(InputError, match=r"FLOPs, parameters or flash.*5ms"):
        SearchSpace.default(Budget(latency_ms=5.0))


def test_a_latency_budget_beside_flops_is_left_to_the_measurement() -> None:
    with_latency = SearchSpace.default(Budget.parse("140mflops,5ms"))
    without = SearchSpace.default(Budget.parse("140mflops"))
    assert with_latency.suggest(RandomChooser(3)) == without.suggest(RandomChooser(3))


def test_the_budget_holds_at_the_tasks_resolution_and_classes() -> None:
    task = {"resolution": 64, "num_classes": 10, "in_channels": 1}
    space = SearchSpace.default(Budget.parse("20mflops,1mparams"), **task)
    fullest = 0.0
    for seed in range(200):
        cost = cost_of(space.suggest(RandomChooser(seed)), **task)
        assert cost.macs <= 20_000_000
        assert cost.params <= 1_000_000
        fullest = max(fullest, cost.macs / 20e6, cost.params / 1e6)
    assert fullest > 0.95


def test_a_backbones_budget_holds_without_head_and_classifier() -> None:
    task = Task(resolution=320, num_classes=NO_CLASSIFIER)
    space = SearchSpace(Choices.default(), Budget.parse("100mflops,500kparams"), task)
    fullest = 0.0
    for seed in range(200):
        architecture = space.suggest(RandomChooser(seed))
        cost = cost_of(architecture, 320, NO_CLASSIFIER)
        assert architecture.head == 0
        assert cost.macs <= 100_000_000
        assert cost.params <= 500_000
        fullest = max(fullest, cost.macs / 100e6, cost.params / 500e3)
    assert fullest > 0.97


def test_a_backbones_reach_is_that_of_its_own_cost() -> None:
    small, large = Task(32, NO_CLASSIFIER), Task(320, NO_CLASSIFIER)
    of_small, of_large = reach_of(Choices.default(), small), reach_of(Choices.default(), large)
    assert of_small.smallest_params == of_large.smallest_params < reach_of(Choices.default(), Task()).smallest_params
    assert of_small.largest_macs < of_large.largest_macs
    with pytest.raises(InputError, match=r"reach.*320 px, feature maps"):
        SearchSpace(Choices.default(), Budget(macs=of_large.smallest_macs - 1), large)


# choosers


def test_the_names_asked_for_are_always_the_same() -> None:
    spaces = [SearchSpace.default(Budget.parse(text)) for text in ("15mflops", "20mflops", "140mflops", "2mparams")]
    spaces.append(SearchSpace.default(Budget.parse("140mflops"), num_classes=NO_CLASSIFIER))
    for space in spaces:
        for seed in range(50):
            chooser = RecordingChooser(seed)
            space.suggest(chooser)
            is_small = len(space.choices.stem) > 1
            assert chooser.asked.keys() == NAMES | ({"stem"} if is_small else set())


def test_the_ranges_are_always_the_whole_ones_at_140_mflops() -> None:
    space = SearchSpace.default(Budget.parse("140mflops"))
    offered = Counter()
    for seed in range(300):
        chooser = RecordingChooser(seed)
        space.suggest(chooser)
        offered[tuple(chooser.asked.items())] += 1
    ((asked, count),) = offered.items()
    ranges = dict(asked)
    assert count == 300
    assert ranges["unit"] == ("v1", "v2")
    assert ranges["depth_3"] == (4, 5, 6, 7, 8, 9, 10)
    assert ranges["kernel_2"] == (3, 5, 7)
    assert ranges["head"] == (0, 512, 1024, 1536, 2048)
    assert ranges["growth_percent_4"] == (125, 150, 175, 200, 225, 250)
    assert ranges["fill_percent"] == tuple(range(10, 101, 10))


def test_known_parameters_rebuild_the_identical_architecture() -> None:
    for text in ("15mflops", "140mflops", "2mparams"):
        space = SearchSpace.default(Budget.parse(text))
        for seed in range(50):
            chooser = RandomChooser(seed)
            architecture = space.suggest(chooser)
            assert space.suggest(FixedChooser(chooser.params)) == architecture


def test_the_same_seed_gives_the_same_architectures() -> None:
    space = SearchSpace.default(Budget.parse("140mflops"))
    first, second = RandomChooser(5), RandomChooser(5)
    assert [space.suggest(first) for _ in range(5)] == [space.suggest(second) for _ in range(5)]
    assert len({space.suggest(RandomChooser(seed)) for seed in range(50)}) == 50


def test_the_parameters_say_what_was_built() -> None:
    space = SearchSpace.default(Budget.parse("140mflops"))
    for seed in range(100):
        chooser = RandomChooser(seed)
        architecture, params = space.suggest(chooser), chooser.params
        assert (architecture.unit, architecture.head) == (params["unit"], params["head"])
        assert architecture.activation == params["activation"]
        for number, stage in enumerate(architecture.stages, start=2):
            for name in ("depth", "groups", "kernel", "se"):
                assert getattr(stage, name) == params[f"{name}_{number}"]
            split = None if architecture.unit == "v1" else Fraction(params[f"split_{number}"])
            assert stage.split == split


@pytest.mark.parametrize("storage", [None, "sqlite"])
def test_an_optuna_trial_is_a_chooser(storage: str | None, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db" if storage else None
    study = optuna.create_study(study_name="s", storage=url, directions=["maximize", "minimize"])
    space = SearchSpace.default(Budget.parse("140mflops"))
    built = []
    for _ in range(3):
        trial = study.ask()
        built.append(space.suggest(trial))
        study.tell(trial, [0.5, 1.0])
    again = optuna.load_study(study_name="s", storage=url) if url else study
    assert [space.suggest(FixedChooser(trial.params)) for trial in again.trials] == built
    assert again.trials[0].params.keys() == NAMES


# spaces of a user's own


def file_space(folder: Path, budget: str, **lines: str) -> SearchSpace:
    text = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()
    text = [next((f"{k} = {v}" for k, v in lines.items() if line.startswith(f"{k} =")), line) for line in text]
    file = folder / "space.toml"
    file.write_text("\n".join(text), encoding="utf-8")
    return SearchSpace.from_file(file, Budget.parse(budget))


def test_a_file_narrows_the_space(tmp_path: Path) -> None:
    space = file_space(tmp_path, "140mflops", units='["v2"]', groups="[1]", splits='["1/2"]', se="[false]", heads="[0]")
    for seed in range(50):
        architecture = space.suggest(RandomChooser(seed))
        assert (architecture.unit, architecture.head) == ("v2", 0)
        assert {(s.groups, s.split, s.se) for s in architecture.stages} == {(1, Fraction(1, 2), False)}


def test_branches_are_multiples_of_the_alignment_where_there_is_room(tmp_path: Path) -> None:
    for alignment in (1, 4, 8, 16):
        space = file_space(tmp_path, "591mflops", alignment=str(alignment), fills_percent="[100]", groups="[1, 2]")
        for seed in range(30):
            for stage in space.suggest(RandomChooser(seed)).stages:
                branches = [Fraction(stage.width, 4)]
                if stage.split is not None:
                    branches = [stage.width * stage.split, stage.width * (1 - stage.split)]
                assert all(branch % alignment == 0 for branch in branches)


def test_the_shipped_file_is_the_default_space() -> None:
    budget = Budget.parse("140mflops")
    assert SearchSpace.from_file(DEFAULT_FILE, budget) == SearchSpace.default(budget)


def test_a_stem_that_some_groups_do_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stem.*20.*3"):
        file_space(tmp_path, "140mflops", stem="20")


def test_over_budget_is_never_built_where_a_head_saves_parameters(tmp_path: Path) -> None:
    # Without a head the classifier has c x 1000 weights, with one of 64 only c x 64 + 64 x 1000: 0 is the dearest.
    choices = replace(Choices.default(), heads=(0, 64))
    smallest = reach_of(choices, Task()).smallest_params
    for budget in (Budget(params=smallest), Budget(params=int(1.6 * smallest))):
        space = SearchSpace(choices, budget)
        for seed in range(1000):
            assert cost_of(space.suggest(RandomChooser(seed))).params <= budget.params


@pytest.mark.parametrize("max_width", [16, 96, 700])
def test_no_stage_is_wider_than_max_width_or_the_space_is_refused(max_width: int) -> None:
    choices = replace(Choices.default(), max_width=max_width)
    try:
        space = SearchSpace(choices, Budget(macs=30_000_000))
    except InputError as error:
        assert "max_width" in str(error)  # noqa: PT017
        return
    for seed in range(300):
        assert max(stage.width for stage in space.suggest(RandomChooser(seed)).stages) <= max_width
