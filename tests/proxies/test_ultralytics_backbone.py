"""A YOLO on an architecture: Ultralytics builds, trains, loads and exports it, and calls on nobody meanwhile."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from builders.canvases import noise
from builders.places import ROOT, TESTS, read_json
from torch import Tensor, nn
from torchvision.transforms.functional import normalize

from nas.export.__main__ import main as export
from proxies.export.ultralytics_yaml import yaml_of
from proxies.network import build
from proxies.pretrained import TrainedFor
from proxies.ultralytics_backbone import IMAGENET, SHIPPED_YAML, ShuffleNASBackbone, register, start_from
from proxies.weights import write_weights
from search_space import PRESETS, InputError

NEEDED = pytest.mark.skipif(not find_spec("ultralytics"), reason="python -m pip install -e '.[ultralytics]'")
OTHERS = ("v1-1.0x-g3", "v2-se-0.5x", "v2-1.0x")
VAST = 256
"""Pixels: more than the stem sees beyond an image's border."""


def stand_in(preset: str) -> Any:
    """What `start_from` asks of a YOLO, where Ultralytics may be missing."""
    maps = ShuffleNASBackbone(PRESETS[preset].to_dict()).eval()
    model = SimpleNamespace(model=[maps])
    return SimpleNamespace(model=model, load=lambda loaded: SimpleNamespace(model=loaded))


def stem_of(yolo: Any) -> nn.Module:
    return yolo.model.model[0].backbone.get_submodule("stem")


def pictures(channels: int) -> Tensor:
    return torch.rand(2, channels, 96, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("preset", [*OTHERS, "v2-star-0.5x", "v1-1.0x-g8"])
def test_maps_are_the_backbones_to_the_bit(preset: str) -> None:
    maps = ShuffleNASBackbone(PRESETS[preset].to_dict()).eval()
    plain = maps.backbone.__class__(PRESETS[preset]).eval()
    plain.load_state_dict(maps.backbone.state_dict())
    image = noise(2, 3, 64, 96)
    with torch.inference_mode():
        for ours, theirs in zip(maps(image), plain(image).values(), strict=True):
            assert torch.equal(ours, theirs)


def test_initial_weights_follow_torchs_seed() -> None:
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return next(ShuffleNASBackbone(PRESETS["v2-0.5x"].to_dict()).parameters())

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_the_shipped_yaml_is_what_is_written_for_v2_star() -> None:
    assert SHIPPED_YAML.read_text(encoding="utf-8") == yaml_of(PRESETS["v2-star-1.0x"], "shufflenas")


def test_without_ultralytics_a_line_says_what_to_install_and_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxies.ultralytics_backbone.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"AGPL-3\.0.*pip install -e '\.\[ultralytics\]'"):
        register()


def test_torchvisions_weights_take_images_that_nobody_normalised(tmp_path: Path) -> None:
    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None).eval()
    for statistic in (theirs.conv1[1].running_mean, theirs.conv1[1].running_var):
        statistic.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(0))
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    yolo = start_from(stand_in("v2-0.5x"), tmp_path / "weights.pth")
    with torch.inference_mode():
        expected = theirs.maxpool(theirs.conv1(normalize(pictures(3), *IMAGENET)))
        found = stem_of(yolo)(pictures(3))
    # The first row and column see what the image is padded with.
    torch.testing.assert_close(found[..., 1:, 1:], expected[..., 1:, 1:])
    for name in ("stage2", "stage3", "stage4"):
        theirs_state = getattr(theirs, name).state_dict().values()
        ours_state = yolo.model.model[0].backbone.get_submodule(name).state_dict().values()
        assert all(torch.equal(ours, their) for ours, their in zip(ours_state, theirs_state, strict=True))


def test_weights_for_grey_images_see_the_mean_of_colours(tmp_path: Path) -> None:
    classifier = build(PRESETS["v2-star-0.5x"], 2, 1, seed=5).eval()
    about = TrainedFor(PRESETS["v2-star-0.5x"], ("a", "b"), 1, 4, 28, (0.3,), (0.4,))
    file = write_weights(tmp_path / "weights.safetensors", classifier, about)
    yolo = start_from(stand_in("v2-star-0.5x"), file)
    with torch.inference_mode():
        expected = classifier.get_submodule("stem")((pictures(3).mean(dim=1, keepdim=True) - 0.3) / 0.4)
        found = stem_of(yolo)(pictures(3))
    torch.testing.assert_close(found[..., 1:, 1:], expected[..., 1:, 1:])


def test_weights_and_yolos_of_other_networks_are_refused(tmp_path: Path) -> None:
    torch.save(torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match="must be those of this architecture"):
        start_from(stand_in("v2-1.0x"), tmp_path / "weights.pth")
    with pytest.raises(InputError, match="must have a ShuffleNASBackbone first, got Identity"):
        start_from(SimpleNamespace(model=SimpleNamespace(model=[nn.Identity()])), tmp_path / "weights.pth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Ultralytics has trained in a process, and has predicted and exported in another."""
    folder = tmp_path_factory.mktemp("yolo")
    assert export([*OTHERS, "--format", "ultralytics", "--out", str(folder / "exported")]) == 0
    settings = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "OMP_NUM_THREADS": "1"}
    places = {name: str(folder) for name in ("YOLO_CONFIG_DIR", "MPLCONFIGDIR", "TMPDIR", "XDG_CACHE_HOME")}
    environment = {**os.environ, **settings, **places, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, TESTS)))}
    for part in ("train", "use"):
        line = [sys.executable, "-m", "processes.ultralytics_run", part]
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@NEEDED
@pytest.mark.slow
def test_the_shipped_yaml_learns_to_detect_in_an_epoch(folder: Path) -> None:
    """On 16 real images that it was not trained on."""
    assert read_json(folder / "train.json")["map50"] > 0.5


@NEEDED
@pytest.mark.slow
def test_a_checkpoint_is_loaded_without_a_call_and_finds_things(folder: Path) -> None:
    assert read_json(folder / "use.json")["right_boxes"] >= 8


@NEEDED
@pytest.mark.slow
def test_a_checkpoint_trains_further(folder: Path) -> None:
    assert read_json(folder / "train.json")["map50_further"] > 0.5


@NEEDED
@pytest.mark.slow
def test_training_starts_from_a_classifiers_weights_and_can_freeze_them(folder: Path) -> None:
    assert read_json(folder / "train.json")["is_start_kept"]


@NEEDED
@pytest.mark.slow
def test_its_onnx_file_computes_the_same_boxes(folder: Path) -> None:
    assert read_json(folder / "use.json")["onnx_difference_pixels"] < 0.01


@NEEDED
@pytest.mark.slow
def test_the_yaml_that_nas_export_writes_is_built_for_any_architecture(folder: Path) -> None:
    strides = read_json(folder / "train.json")["strides"]
    assert list(strides.values()) == len(OTHERS) * [[8.0, 16.0, 32.0]]


@NEEDED
@pytest.mark.slow
@pytest.mark.parametrize("part", ["train", "use"])
def test_nothing_is_fetched_or_sent_or_written_elsewhere(folder: Path, part: str) -> None:
    assert read_json(folder / f"{part}.json")["elsewhere"] == []
