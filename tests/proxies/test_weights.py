"""Trained weights: read back into the network they came from, and into the start of another training."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn

from proxies.network import build
from proxies.pretrained import TrainedFor, read_trained_for
from proxies.weights import network_from, start_from, write_weights
from search_space import PRESETS, Architecture, Stage
from search_space.errors import InputError

HALF = Fraction(1, 2)
SMALL = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 32, split=HALF), Stage(1, 64, split=HALF)))
ABOUT = TrainedFor(SMALL, ("cat", "hund", "grüße\udcff"), 3, 2, 24, (0.1, 1 / 3, 0.5), (0.2, 0.25, 1e-9))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More would wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lived_in(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network as after a training: no weight and no statistic where it started, in channels_last order."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.mul_(0.8).add_(torch.rand(value.shape, generator=generator) / 5 + 0.1)
            else:
                value.fill_(17)
    return network.to(memory_format=torch.channels_last).eval()


def trained(about: TrainedFor = ABOUT, seed: int = 0) -> nn.Module:
    return lived_in(build(about.architecture, len(about.classes), about.channels, about.stem_stride), seed)


def written(folder: Path, about: TrainedFor = ABOUT) -> Path:
    return write_weights(folder / "weights.safetensors", trained(about), about)


def same(one: nn.Module, other: nn.Module, but: tuple[str, ...] = ()) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(each, theirs[name]) for name, each in one.state_dict().items() if not name.startswith(but))


# The file


@pytest.mark.parametrize("architecture", [SMALL, PRESETS["v1-0.25x-g3"], PRESETS["v2-se-0.5x"]])
def test_the_network_in_a_file_computes_what_the_trained_one_did(tmp_path: Path, architecture: Architecture) -> None:
    about = replace(ABOUT, architecture=architecture)
    network = trained(about)
    read = network_from(write_weights(tmp_path / "w.safetensors", network, about))
    assert not read.training
    assert same(network, read)
    images = torch.rand(2, 3, 24, 24)
    assert torch.equal(read(images), copy.deepcopy(network).to(memory_format=torch.contiguous_format)(images))


def test_a_file_says_what_its_weights_are_for(tmp_path: Path) -> None:
    assert read_trained_for(written(tmp_path)) == ABOUT


def test_a_file_is_plain_safetensors(tmp_path: Path) -> None:
    tensors = safetensors.torch.load_file(written(tmp_path))
    assert {name: each.shape for name, each in tensors.items()} == {
        name: each.shape for name, each in trained().state_dict().items()
    }


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path).read_bytes()
    other = trained().to(memory_format=torch.contiguous_format)
    assert write_weights(tmp_path / "other.safetensors", other, ABOUT).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.safetensors", "weights.safetensors"]


@pytest.mark.parametrize("read", [network_from, read_trained_for])
@pytest.mark.parametrize("content", [b"", b"no weights at all, yet longer than a header", "cut off", "foreign"])
def test_a_file_of_another_kind_is_a_mistake_that_names_it(tmp_path: Path, read: Any, content: Any) -> None:
    path = tmp_path / "other.safetensors"
    if content == "foreign":
        safetensors.torch.save_file({"fc.bias": torch.zeros(3)}, path)
    else:
        path.write_bytes(written(tmp_path).read_bytes()[:-50] if content == "cut off" else content)
    with pytest.raises(InputError, match=r"a file that nas\.train has written, and .*other\.safetensors' is not"):
        read(path)


# The start of another training


def test_a_training_starts_from_all_of_a_file_of_as_many_classes(tmp_path: Path) -> None:
    network = build(SMALL, 3, 3, 2, seed=5)
    path = written(tmp_path)
    assert start_from(network, path) == f"starts from {path}"
    assert same(network, trained())


def test_with_other_classes_the_classifier_alone_keeps_its_own_start(tmp_path: Path) -> None:
    network, untouched = (build(SMALL, 7, 3, 2, seed=5) for _ in range(2))
    text = start_from(network, written(tmp_path))
    assert "3 classes" in text
    assert "7" in text
    assert "\n" not in text
    assert same(network, trained(), but=("classifier",))
    assert same(network.classifier, untouched.classifier)
    assert not same(network.stem, untouched.stem)


def preset_of_torchvision(tmp_path: Path, classes: int) -> tuple[nn.Module, Path]:
    model = lived_in(torchvision.models.shufflenet_v2_x0_5(num_classes=classes))
    torch.save(model.state_dict(), tmp_path / "theirs.pth")
    return model, tmp_path / "theirs.pth"


def test_a_training_starts_from_torchvisions_weights(tmp_path: Path) -> None:
    theirs, path = preset_of_torchvision(tmp_path, classes=5)
    network = build(PRESETS["v2-0.5x"], 5).eval()
    assert start_from(network, path) == f"starts from {path}"
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network(images), theirs(images))


def test_torchvisions_classifier_is_left_out_where_classes_differ(tmp_path: Path) -> None:
    theirs, path = preset_of_torchvision(tmp_path, classes=5)
    network, untouched = (build(PRESETS["v2-0.5x"], 3, seed=5).eval() for _ in range(2))
    assert "5 classes" in start_from(network, path)
    assert same(network.classifier, untouched.classifier)
    # With their classifier in place of ours it is their network: all the rest has been taken.
    (linear,) = (module for module in network.classifier.modules() if isinstance(module, nn.Linear))
    linear.weight, linear.bias = theirs.fc.weight, theirs.fc.bias
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network(images), theirs(images))


WIDER = replace(SMALL, stages=(*SMALL.stages[:2], Stage(1, 80, split=HALF)))
DEEPER = replace(SMALL, stages=(*SMALL.stages[:2], Stage(2, 64, split=HALF)))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: build(WIDER, 3, 3), ("stage4.0.", "(40, ", "(32, ")),
        (lambda: build(WIDER, 9, 3), ("stage4.0.", "(40, ", "(32, ")),
        (lambda: build(SMALL, 3, 1), ("stem.", "(8, 1, 3, 3)", "(8, 3, 3, 3)")),
        (lambda: build(DEEPER, 3, 3), ("only it has stage4.1.",)),
        (lambda: build(DEEPER, 9, 3), ("only it has stage4.1.",)),
        (lambda: build(replace(SMALL, head=16), 3, 3), ("head.",)),
    ],
    ids=["wider", "wider, other classes", "grey", "deeper", "deeper, other classes", "with a head"],
)
def test_weights_of_another_architecture_are_a_mistake_that_names_a_tensor(
    tmp_path: Path, network: Any, words: tuple[str, ...]
) -> None:
    started, untouched = network(), network()
    with pytest.raises(InputError, match=r"weights\.safetensors' cannot be started from") as text:
        start_from(started, written(tmp_path))
    assert "\n" not in str(text.value)
    for word in words:
        assert word in str(text.value)
    assert same(started, untouched), "nothing has been taken"


def test_torchvisions_weights_of_another_architecture_are_a_mistake(tmp_path: Path) -> None:
    torch.save(torchvision.models.shufflenet_v2_x1_0(num_classes=5).state_dict(), tmp_path / "theirs.pth")
    with pytest.raises(InputError, match=r"theirs\.pth' cannot be started from: .*\(24, 24.*\(58, 24"):
        start_from(build(PRESETS["v2-0.5x"], 5), tmp_path / "theirs.pth")
    with pytest.raises(InputError, match=r"only it has stage2\.\S+ and \d+ more, only the file has stage2\.\S+ and"):
        start_from(build(PRESETS["v1-0.5x-g3"], 5), tmp_path / "theirs.pth")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("root:x:0:0:no weights\n"),
        lambda path: path.write_bytes(b""),
        lambda path: torch.save([torch.zeros(2)], path),
        lambda path: torch.save({}, path),
        lambda path: torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, path),
        lambda path: torch.save({"mine": {"w": torch.zeros(2)}, "yours": {"w": torch.zeros(2)}}, path),
        lambda path: torch.save(nn.Linear(1, 1), path),
    ],
    ids=["text", "empty", "list", "no tensors", "no state dict", "several", "a pickled network"],
)
def test_what_holds_no_weights_is_a_mistake_that_names_it(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "theirs.pth"
    make(path)
    with pytest.raises(InputError, match=r"weights must be .*theirs\.pth'"):
        start_from(build(SMALL, 3), path)
