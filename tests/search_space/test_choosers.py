from search_space import Budget, SearchSpace
from search_space.choosers import FixedChooser, PinnedChooser, RandomChooser


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
