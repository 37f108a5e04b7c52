"""A table of finished trainings: read, refused, suggested from."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from search_space.budget import Budget
from search_space.choosers import FixedChooser
from search_space.errors import InputError
from studies.sampling.benchmark_table import FinishedTable, ahead_of

ROW = {"test_acc": [90.0, 92.0], "flops": 100, "params": 10}
DATA = {"1a": ROW, "2a": {**ROW, "flops": 200}, "3c": {**ROW, "test_acc": [50.0]}}


def test_choices_are_read_from_the_codes() -> None:
    table = FinishedTable.from_dict(DATA)
    assert table.alphabets == ("123", "ac")
    assert table.distributions() == {"choice_1": IntDistribution(1, 3), "choice_2": CategoricalDistribution(("a", "c"))}
    assert table.suggest(FixedChooser({"choice_1": 3, "choice_2": "c"})) == "3c"


def test_percentages_and_shares_are_told_apart() -> None:
    assert FinishedTable.from_dict(DATA).entries["1a"].accuracies == (0.9, 0.92)
    shares = {code: {**row, "test_acc": [0.5, 0.7]} for code, row in DATA.items()}
    assert FinishedTable.from_dict(shares).entries["1a"].accuracy == pytest.approx(0.6)


def test_a_seed_means_the_same_training_each_time_and_every_training_is_some_seeds() -> None:
    entry = FinishedTable.from_dict(DATA).entries["1a"]
    assert entry.accuracy_of(3) == entry.accuracy_of(3)
    assert {entry.accuracy_of(seed) for seed in range(20)} == {0.9, 0.92}


def test_flops_are_known_ahead_of_what_the_table_holds_and_the_budget_allows() -> None:
    known_of = ahead_of(FinishedTable.from_dict(DATA), Budget(macs=150)).known_of
    known = known_of({"choice_1": 1, "choice_2": "a"})
    over = known_of({"choice_1": 2, "choice_2": "a"})
    assert known is not None
    assert (known.objectives, known.allowed) == ((100.0,), True)
    assert over is not None
    assert not over.allowed
    assert known_of({"choice_1": 1, "choice_2": "c"}) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"1a": ROW, "22a": ROW}, "'22a'"),
        ({"1a": ROW, "2a": {"flops": 1, "params": 1}}, "'2a' of a table needs the key 'test_acc'"),
        ({"1a": ROW, "2a": {**ROW, "test_acc": []}}, "test_acc"),
        ({"1a": ROW, "2a": {**ROW, "test_acc": [101.0]}}, "101"),
        ({"1a": ROW}, "two networks"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(data: dict[str, Any], text: str, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match=text):
        FinishedTable.from_file(file)
