import pytest

from search_space import Budget, SearchSpace
from search_space.choosers import FixedChooser, NearestChooser, PinnedChooser, RandomChooser


@pytest.mark.parametrize(("wanted", "given"), [(5, 5), (4, 3), (1, 3), (99, 11), (8, 7)])
def test_the_nearest_number_on_offer_is_chosen(wanted: int, given: int) -> None:
    # Offered: 3, 5, 7, 9, 11. Of two equally near ones the smaller.
    assert NearestChooser({"n": wanted}).suggest_int("n", 3, 11, step=2) == given


def test_a_category_that_is_not_offered_becomes_the_first() -> None:
    chooser = NearestChooser({"a": "x", "b": "y"})
    assert chooser.suggest_categorical("a", ("w", "x")) == "x"
    assert chooser.suggest_categorical("b", ("w", "x")) == "w"
    assert chooser.params == {"a": "x", "b": "w"}


@pytest.mark.parametrize("budget", ["15mflops", "140mflops", "0.3mparams"])
def test_what_was_chosen_as_nearest_can_be_chosen_exactly(budget: str) -> None:
    space = SearchSpace.default(budget=Budget.parse(budget))
    for seed in range(20):
        wanted = RandomChooser(seed)
        space.suggest(wanted)
        other = SearchSpace.default(budget=Budget.parse("20mflops"))
        nearest = NearestChooser(wanted.params)
        assert other.suggest(nearest) == other.suggest(FixedChooser(nearest.params))


def test_random_choices_stay_on_offer_and_repeat_for_a_seed() -> None:
    first, second = RandomChooser(7), RandomChooser(7)
    for chooser in (first, second):
        for number in range(50):
            assert chooser.suggest_int(f"i{number}", 2, 10, step=4) in (2, 6, 10)
            assert chooser.suggest_categorical(f"c{number}", "ab") in "ab"
    assert first.params == second.params
    assert {first.params[f"i{n}"] for n in range(50)} == {2, 6, 10}


def test_a_pinned_number_is_chosen_and_all_else_is_what_the_seed_chooses() -> None:
    space = SearchSpace.default(budget=Budget.parse("140mflops"))
    for seed in range(10):
        free, pinned = RandomChooser(seed), PinnedChooser(seed, {"fill_percent": 30})
        space.suggest(free)
        architecture = space.suggest(pinned)
        assert pinned.params == {**free.params, "fill_percent": 30}
        assert architecture == space.suggest(FixedChooser(pinned.params))


def test_only_what_is_pinned_by_name_is() -> None:
    chooser = PinnedChooser(0, {"a": 7})
    assert [chooser.suggest_int("a", 0, 9), chooser.suggest_int("a", 0, 3)] == [7, 7]
    assert len({chooser.suggest_int("b", 0, 9) for _ in range(50)}) > 1
    assert chooser.suggest_categorical("a", ("x",)) == "x"
