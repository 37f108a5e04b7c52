"""Recipes are plain values; the stem's stride follows from the image size."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
from builders.places import ROOT

from proxies.training.augmentation import AUGMENTATIONS
from proxies.training.recipes import RECIPES, Recipe, stem_stride_for
from proxies.training.schedules import SCHEDULES


def test_recipes_stand_under_their_own_names() -> None:
    assert list(RECIPES) == ["short", "long", "full"]
    assert [recipe.name for recipe in RECIPES.values()] == ["short", "long", "full"]


def test_the_longer_recipes_train_on_all_images_and_for_longer() -> None:
    short, long, full = RECIPES.values()
    assert short.max_images is not None
    assert (long.max_images, full.max_images) == (None, None)
    assert short.epochs < long.epochs < full.epochs


def test_a_recipe_is_plain_json_and_comes_back() -> None:
    for recipe in RECIPES.values():
        assert Recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_recipe_by_hand() -> None:
    assert Recipe("tiny", epochs=3, learning_rate=0.1, batch_size=8, max_images=100).to_dict() == {
        "name": "tiny",
        "epochs": 3,
        "learning_rate": 0.1,
        "batch_size": 8,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "label_smoothing": 0.1,
        "warmup_share": 0.2,
        "crop_padding": 2,
        "max_images": 100,
        "decay_norms": True,
        "schedule": "onecycle",
        "augmentation": "none",
        "mixup": 0.0,
        "cutmix": 0.0,
        "mix_from_images": 50_000,
        "ema_share": 0.0,
        "image_scale": 1.0,
        "stem_stride": None,
        "channel_scale": 1.0,
        "validate_every": 1,
    }


@pytest.mark.parametrize(
    ("scale", "own", "trained"), [(0.5, 32, 16), (0.5, 28, 16), (0.5, 64, 32), (0.5, 12, 12), (1, 96, 96)]
)
def test_images_shrink_by_the_recipes_scale_but_not_below_16_pixels(scale: float, own: int, trained: int) -> None:
    assert Recipe("tiny", epochs=1, learning_rate=0.1, image_scale=scale).image_size(own) == trained


def test_every_recipe_names_a_schedule_and_an_augmentation_that_exist() -> None:
    for recipe in RECIPES.values():
        assert recipe.schedule in SCHEDULES
        assert recipe.augmentation in AUGMENTATIONS


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        RECIPES["short"].epochs = 99  # type: ignore[misc]


@pytest.mark.parametrize(
    ("image_size", "stride"), [(8, 1), (16, 1), (23, 1), (24, 2), (28, 2), (32, 2), (95, 2), (96, 4), (224, 4)]
)
def test_the_stem_shrinks_small_images_less(image_size: int, stride: int) -> None:
    assert stem_stride_for(image_size) == stride


def test_recipes_are_read_without_torch() -> None:
    code = "import sys, proxies.training.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
