"""The space that a run searches in: its study's own, or one in which its budget of latency leaves room."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from builders.settings import settings_from

from nas.run.own_space import in_own_space, in_space_by_latency, is_chosen_by_latency, space_for
from nas.search.settings import Settings
from search_space.choices import Choices
from search_space.choosers import RandomChooser
from search_space.errors import InputError
from search_space.precision import FP32
from search_space.shipped_spaces import is_narrowed_from
from studies.latency.prior import expected_latency, shipped_prior
from studies.storage.studies import SETTINGS, open_storage


def begun_with(settings: Settings, choices: Choices, folder: Path) -> optuna.storages.RDBStorage:
    storage = open_storage(f"sqlite:///{folder}/study.db")
    study = optuna.create_study(storage=storage, study_name=settings.study)
    study.set_user_attr(SETTINGS, {**settings.identity(), "space": choices.to_dict()})
    return storage


def test_a_study_begun_in_the_default_space_stays_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_from("--budget", "20mflops", "--resume")
    assert settings.choices == Choices.shipped("small")
    storage = begun_with(settings, Choices.default(), tmp_path)
    assert in_own_space(settings, storage) == replace(settings, choices=Choices.default())
    assert "the default one, in which the study" in capsys.readouterr().err


def test_a_space_that_is_asked_for_and_that_of_a_new_study_stay_what_they_are(tmp_path: Path) -> None:
    asked = settings_from("--budget", "20mflops", "--space", "small", "--resume")
    storage = begun_with(asked, Choices.default(), tmp_path)
    assert in_own_space(asked, storage) == asked
    other = settings_from("--budget", "10mflops")
    assert in_own_space(other, storage) == other
    assert settings_from("--budget", "20mflops", "--space", "default").choices == Choices.default()


def by_latency(budget: str, *flags: str) -> Settings:
    """The settings of a budget of latency, which no FLOPs stand beside."""
    return settings_from("--budget", budget, *flags)


@pytest.mark.parametrize(("budget", "is_small"), [("0.1ms", True), ("0.5ms", True), ("4ms", False), ("20ms", False)])
def test_a_budget_of_latency_begins_in_the_space_that_has_networks_as_fast(budget: str, is_small: bool) -> None:
    settings = in_space_by_latency(by_latency(budget), anchor_ms=4.0)
    assert is_narrowed_from("small", settings.choices, settings.task) == is_small
    assert (settings.choices == Choices.default()) != is_small
    assert f"search_space/{'small' if is_small else 'default'}_space.toml" in settings.space


def test_more_of_that_space_is_expected_to_keep_to_the_budget_than_of_the_other_one() -> None:
    def within(settings: Settings, space: str) -> int:
        searched = space_for(replace(settings, choices=Choices.shipped(space)), anchor_ms=4.0)
        assert settings.budget.latency_ms
        model = expected_latency([], [], 4.0, 224, 1000, shipped_prior(FP32))
        drawn = [model.predict_ms(searched.suggest(RandomChooser(seed))) for seed in range(60)]
        return sum(each <= settings.budget.latency_ms for each in drawn)

    for budget in ("0.6ms", "0.8ms"):
        assert within(by_latency(budget), "small") > within(by_latency(budget), "default") + 5, budget


def test_a_latency_too_short_for_the_small_space_is_refused_in_its_own_words() -> None:
    with pytest.raises(InputError, match=r"0\.001 ms are time for .* MFLOPs at most here, where v2-1\.0x takes 4 ms"):
        in_space_by_latency(by_latency("0.001ms"), anchor_ms=4.0)


def test_a_study_of_a_budget_of_latency_stays_in_its_space_whatever_the_anchor_takes_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = by_latency("0.5ms", "--resume")
    small = in_space_by_latency(settings, anchor_ms=4.0).choices
    storage = begun_with(settings, small, tmp_path)
    assert in_own_space(settings, storage) == replace(settings, choices=small)
    assert not is_chosen_by_latency(settings, storage)
    assert "the small one, in which the study" in capsys.readouterr().err


def test_a_study_that_was_begun_in_a_space_from_a_file_is_not_taken_into_it_without_being_asked(tmp_path: Path) -> None:
    settings = by_latency("0.5ms", "--resume")
    storage = begun_with(settings, replace(Choices.default(), kernels=(3,)), tmp_path)
    assert in_own_space(settings, storage) == settings


def test_flops_or_a_space_that_is_asked_for_leave_the_anchor_no_say(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    assert is_chosen_by_latency(by_latency("0.5ms"), storage)
    assert not is_chosen_by_latency(by_latency("0.5ms,20mflops"), storage)
    assert not is_chosen_by_latency(by_latency("0.5ms", "--space", "small"), storage)
