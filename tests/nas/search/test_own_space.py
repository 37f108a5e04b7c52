"""Studies of small budgets that were begun before those had a space of their own."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from builders.settings import settings_from

from nas.run.run import in_own_space
from nas.search.settings import Settings
from search_space.choices import Choices
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
