"""Tasks: what a budget holds at where nobody says otherwise, and what a backbone leaves of an architecture."""

from dataclasses import replace

import pytest

from search_space import PRESETS
from search_space.choices import Choices
from search_space.task import CLASSIFICATION, DETECTION_BACKBONE, TASKS, Task, task_name


def test_the_tasks_are_the_papers() -> None:
    # Ma 2018, table 8: 224 px and 1000 classes; appendix, table 1: 320 x 320.
    tasks = {name: (task.resolution, task.num_classes) for name, task in TASKS.items()}
    assert tasks == {"classification": (224, 1000), "detection-backbone": (320, 0)}
    assert Task() == TASKS[CLASSIFICATION]


def test_a_task_knows_its_row() -> None:
    for name, task in TASKS.items():
        assert replace(task, resolution=64).name == task_name(task.num_classes) == name
    assert task_name(2) == CLASSIFICATION


def test_a_task_is_told_in_words() -> None:
    assert Task(64, 10).description == "64 px, 10 classes"
    assert "416 px" in replace(TASKS[DETECTION_BACKBONE], resolution=416).description
    assert "strides 8, 16 and 32" in TASKS[DETECTION_BACKBONE].description


def test_a_backbone_is_offered_no_head() -> None:
    choices = Choices.default()
    assert TASKS[DETECTION_BACKBONE].offered(choices) == replace(choices, heads=(0,))
    assert TASKS[CLASSIFICATION].offered(choices) is choices


@pytest.mark.parametrize("name", ["v1-1.0x-g3", "v2-1.0x", "v2-star-0.5x"])
def test_a_backbone_has_no_head_and_is_else_the_same(name: str) -> None:
    architecture = PRESETS[name]
    assert TASKS[DETECTION_BACKBONE].deployed(architecture) == replace(architecture, head=0)
    assert TASKS[CLASSIFICATION].deployed(architecture) is architecture


def test_an_architectures_own_resolution_is_its_tasks_and_is_said() -> None:
    task, own = Task(224, 10), replace(PRESETS["v2-0.5x"], resolution=160)
    assert (task.of(own), task.of(PRESETS["v2-0.5x"])) == (Task(160, 10), task)
    assert task.described(own) == "its own 160 px, 10 classes"
    assert task.described(PRESETS["v2-0.5x"]) == "224 px, 10 classes"
    choices = Choices.default()
    assert task.described_for(choices) == "224 px, 10 classes"
    assert task.described_for(replace(choices, resolutions=(128, 160, 192))) == "128, 160 or 192 px, 10 classes"
    assert task.described_for(replace(choices, resolutions=(128,))) == "128 px, 10 classes"
