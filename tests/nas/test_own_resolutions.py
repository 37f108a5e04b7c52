"""Networks of a resolution of their own: costed, timed and trained at it, beside references at the task's."""

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from builders.trainings import SMALL, noise_data
from torchvision.transforms.v2.functional import resize

from nas import cost
from nas.compare import __main__ as compare
from nas.score import __main__ as score
from nas.train import __main__ as training
from nas.workers import evaluator as evaluating
from nas.workers.evaluator import Evaluator
from nas.workers.setup import EvaluatorSetup
from proxies.data.source import DataSource
from proxies.network import build
from proxies.training.recipes import RECIPES, Recipe
from proxies.training.trainer import Trainer, train
from search_space import PRESETS, Architecture, Budget, InputError, SearchSpace, cost_of
from search_space.choices import Choices
from search_space.choosers import RandomChooser
from search_space.task import Task
from studies.ledger.trainings import Question

RESOLUTIONS = (128, 160, 192, 224)
V2_AT_160 = replace(PRESETS["v2-1.0x"], resolution=160)


def space(budget: str = "60mflops", task: Task | None = None, **choices: Any) -> SearchSpace:
    offered = replace(Choices.default(), resolutions=RESOLUTIONS, **choices)
    return SearchSpace(offered, Budget.parse(budget), task or Task())


@pytest.fixture(scope="module")
def drawn() -> list[Architecture]:
    return [space().suggest(RandomChooser(seed)) for seed in range(40)]


def fvcore_macs(architecture: Architecture, pixels: int) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(build(architecture).eval(), torch.zeros(1, 3, pixels, pixels))
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return int(counts["conv"] + counts["linear"])


# Costs and the space


def test_a_space_with_resolutions_draws_each_and_fvcore_counts_the_same_within_the_budget(
    drawn: list[Architecture],
) -> None:
    assert {architecture.resolution for architecture in drawn} == set(RESOLUTIONS)
    for architecture in drawn[:6]:
        assert architecture.resolution is not None
        macs = fvcore_macs(architecture, architecture.resolution)
        assert cost_of(architecture).macs == macs <= 60_000_000


def test_smaller_images_leave_room_for_wider_networks(drawn: list[Architecture]) -> None:
    def mean_params(pixels: int) -> float:
        params = [cost_of(each).params for each in drawn if each.resolution == pixels]
        return sum(params) / len(params)

    assert mean_params(128) > mean_params(224)


def test_resolutions_above_the_tasks_or_below_the_least_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"at most the task's, 192 px.*got 224.*--resolution 224"):
        space(task=Task(192))
    assert space(task=Task(320, 0), heads=(0,)).task.resolution == 320  # a detector's backbone may choose too
    text = files("search_space").joinpath("default_space.toml").read_text(encoding="utf-8")
    file = tmp_path / "space.toml"
    file.write_text(f"{text}\nresolutions = [16, 24]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"resolutions must be a whole number of at least 32, got 16"):
        Choices.from_file(file)


# Trainings


@pytest.mark.parametrize(
    ("recipe", "data", "pixels", "size", "stem_stride"),
    [
        ("long", 32, None, 32, 2),
        ("long", 32, 224, 32, 2),
        ("long", 32, 160, 23, 2),  # 22.86; a data set of 23 px would have a stem of stride 1
        ("long", 28, 128, 16, 2),
        ("short", 28, None, 16, 1),
        ("short", 28, 160, 11, 1),  # 11.43
        ("short", 28, 128, 9, 1),
        ("short", 224, 128, 64, 4),
        ("short", 28, 32, 4, 1),  # 2.3: at the least 4
    ],
)
def test_images_are_as_much_smaller_as_a_networks_resolution_is_than_the_tasks(
    recipe: str, data: int, pixels: int | None, size: int, stem_stride: int
) -> None:
    own = RECIPES[recipe].of(replace(SMALL, resolution=pixels), 224)
    assert (own.image_size(data), own.stem_stride_at(data)) == (size, stem_stride)


def test_it_is_trained_and_validated_on_those_images_resized_with_antialiasing() -> None:
    data = noise_data(size=32)
    recipe = replace(RECIPES["long"], epochs=1, batch_size=16, crop_padding=2)
    trainer = Trainer(replace(SMALL, resolution=128), data, recipe.of(replace(SMALL, resolution=128), 224), seed=0)
    shrunk = resize(data.val_images, [18, 18], antialias=True)
    assert torch.equal(trainer.data.val_images, shrunk)
    assert not torch.equal(resize(data.val_images, [18, 18], antialias=False), shrunk)
    trainer.run_epoch()
    assert (trainer.training.image_size, trainer.training.stem_stride) == (18, 2)
    assert trainer.data is data.resized(18)  # made once
    trainer.close()


def test_crops_are_off_by_as_much_of_the_image_at_each_resolution() -> None:
    recipe = replace(RECIPES["long"], crop_padding=4)
    assert [recipe.of(replace(SMALL, resolution=pixels), 224).padding for pixels in (224, 168, 112)] == [4, 3, 2]


def test_a_network_of_the_tasks_resolution_trains_as_one_without() -> None:
    data, recipe = noise_data(size=24), Recipe("tiny", epochs=1, learning_rate=0.05, batch_size=16)
    losses = [
        train(network, data, recipe.of(network, 224), seed=0)[1].training_losses
        for network in (SMALL, replace(SMALL, resolution=224))
    ]
    assert losses[0] == losses[1]


def test_recipes_and_what_is_asked_of_the_ledger_stay_what_they_were_but_at_another_share() -> None:
    recipe = RECIPES["short"]
    assert recipe.of(SMALL, 192).to_dict() == recipe.to_dict()
    assert "resolution_share" not in recipe.to_dict()
    at_160 = replace(SMALL, resolution=160)
    digests = {Question(at_160, recipe.of(at_160, task).to_dict(), "data", 0).digest for task in (160, 192, 224, 224)}
    assert len(digests) == 3
    assert Recipe(**json.loads(json.dumps(recipe.of(at_160, 224).to_dict()))).resolution_share == 160 / 224


def test_a_resolution_above_the_tasks_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "network.json"
    file.write_text(json.dumps(V2_AT_160.to_dict()))
    for main in (score.main, training.main, compare.main):
        assert main([str(file), "--resolution", "128"]) == 2
        error = capsys.readouterr().err
        assert "160 is above 128: give --resolution 160 or more" in error
        assert len(error.splitlines()) == 1


# Latencies


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[list[int]]]:
    """The shapes of the images that the files take which are compared, candidate and reference."""
    shapes: list[list[int]] = []

    def compared(candidate: Any, reference: Any, **options: Any) -> Any:
        for each in (candidate, reference):
            dims = onnx.load(each.file).graph.input[0].type.tensor_type.shape.dim
            shapes.append([dim.dim_value for dim in dims])
        raise InterruptedError

    monkeypatch.setattr(evaluating, "compare", compared)
    return shapes


def test_the_file_that_is_timed_takes_its_own_pixels_and_the_references_the_tasks(
    timed: list[list[int]], tmp_path: Path
) -> None:
    setup = EvaluatorSetup(DataSource(), RECIPES["short"], "cpu", 1, 0, "sqlite://", task=Task(64, 4))
    with pytest.raises(InterruptedError):
        Evaluator(setup, tmp_path).measure(replace(SMALL, resolution=48), 4.0)
    assert timed == [[1, 3, 48, 48], [1, 3, 64, 64]]


# Commands


def test_nas_cost_says_that_a_files_own_resolution_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "network.json"
    file.write_text(json.dumps(V2_AT_160.to_dict()))
    assert cost.main([str(file), "v2-1.0x", "--resolution", "192", "--verify"]) == 0
    own, verified, preset, _ = capsys.readouterr().out.splitlines()
    assert "74.434 MFLOPs" in own
    assert own.endswith("at its own 160 px, 1000 classes")
    assert verified.startswith("fvcore counts 74434200 multiply-adds")
    assert preset.endswith("at 192 px, 1000 classes")
