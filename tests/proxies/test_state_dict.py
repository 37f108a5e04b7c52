"""Weights that others have written, taken by their names: in any order, wrapped, prefixed, of other precision."""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from builders.canvases import noise
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from proxies.backbone import backbone_of
from proxies.network import build
from proxies.pretrained import KEY, TrainedFor, read_trained_for
from proxies.weights import network_from, start_from, write_weights
from search_space import PRESETS, InputError

State = Mapping[str, Tensor]
CLASSES = 5
PRESET = PRESETS["v2-0.5x"]


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """torchvision's V2 0.5x, no two of whose vectors are alike: a bias in a weight's place shows."""
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=CLASSES)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=generator) / 5 + 0.1 * ("running_var" in name))
    return network.eval()


def bias_first(state: State) -> dict[str, Tensor]:
    """Every batch norm's bias before its weight."""
    return dict(sorted(state.items(), key=lambda item: (item[0].rpartition(".")[0], item[0])))


def check_same(given: Any, theirs: nn.Module, tolerance: float = 1e-5) -> None:
    ours = build(PRESET, CLASSES, pretrained=given).eval()
    image = noise(2, 3, 64, 64)
    with torch.inference_mode():
        expected = theirs(image)
        assert (ours(image) - expected).abs().max() <= tolerance * expected.abs().max()


ORDERS: dict[str, Callable[[State], dict[str, Tensor]]] = {
    "sorted by name": lambda state: dict(sorted(state.items())),
    "bias before weight": bias_first,
    "reversed": lambda state: dict(reversed(state.items())),
}
WRAPPERS: dict[str, Callable[[State], Any]] = {
    "state_dict": lambda state: {"epoch": 7, "state_dict": state, "optimizer": {"param_groups": []}},
    "model, with its flags": lambda state: {"model": state, "args": argparse.Namespace(lr=0.5), "epoch": 1},
    "an average beside it": lambda state: {
        "model": state,
        "model_ema": {name: each * 0 for name, each in state.items()},
    },
    "another name": lambda state: {"weights of the best epoch": state, "best": 0.5},
    "DataParallel": lambda state: {f"module.{name}": each for name, each in state.items()},
    "torch.compile": lambda state: {f"_orig_mod.{name}": each for name, each in state.items()},
    "compiled parts": lambda state: {
        name.replace("stage3.", "stage3._orig_mod."): each for name, each in state.items()
    },
    "several at once": lambda state: {"state_dict": {f"model.module._orig_mod.{n}": t for n, t in state.items()}},
    "no counts of batches": lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
    "float64": lambda state: {name: each.double() for name, each in state.items()},
    "parameters": lambda state: {n: nn.Parameter(t) if t.is_floating_point() else t for n, t in state.items()},
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_a_state_dict_means_nothing(order: str, theirs: nn.Module, tmp_path: Path) -> None:
    state = ORDERS[order](theirs.state_dict())
    check_same(state, theirs)
    torch.save(state, tmp_path / "theirs.pth")
    check_same(tmp_path / "theirs.pth", theirs)
    started = build(PRESET, CLASSES).eval()
    assert start_from(started, tmp_path / "theirs.pth") == f"starts from {tmp_path / 'theirs.pth'}"
    check_same(started.state_dict(), theirs)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_others_put_around_weights_is_taken_off(wrapper: str, theirs: nn.Module, tmp_path: Path) -> None:
    torch.save(WRAPPERS[wrapper](theirs.state_dict()), tmp_path / "theirs.pt")
    check_same(tmp_path / "theirs.pt", theirs)


def test_an_average_of_torchs_is_opened(theirs: nn.Module, tmp_path: Path) -> None:
    torch.save({"model_ema": AveragedModel(theirs).state_dict()}, tmp_path / "ema.pth")
    check_same(tmp_path / "ema.pth", theirs)
    text = start_from(build(PRESET, CLASSES), tmp_path / "ema.pth")
    assert text.endswith("ema.pth, its 'model_ema'")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_become_floats(dtype: torch.dtype, theirs: nn.Module) -> None:
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in theirs.state_dict().items()}
    ours = build(PRESET, CLASSES, pretrained=state)
    assert {each.dtype for each in ours.parameters()} == {torch.float32}
    assert torch.equal(ours.state_dict()["stem.branches.0.0.weight"], state["conv1.0.weight"].float())


def test_safetensors_of_others_are_read(theirs: nn.Module, tmp_path: Path) -> None:
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    check_same(tmp_path / "theirs.safetensors", theirs)
    assert "starts from" in start_from(build(PRESET, CLASSES), tmp_path / "theirs.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {**state, "total_ops": torch.zeros(1)}, "only the file has total_ops"),
        (
            lambda state: {n: t for n, t in state.items() if n != "conv5.1.bias"},
            r"only it has head\.branches\.0\.1\.bias",
        ),
        (lambda state: {**state, "fc.bias": torch.zeros(9)}, r"in the file fc\.bias \(9,\)"),
        (lambda state: {**state, "fc.bias": torch.full((5,), torch.nan)}, r"finite numbers, and fc\.bias"),
        (lambda state: {**state, "fc.bias": torch.zeros(5, dtype=torch.int32)}, r"fc\.bias holds torch\.int32"),
        (lambda state: {**state, "fc.bias": torch.zeros(5, dtype=torch.complex64)}, r"fc\.bias holds torch\.complex64"),
        (lambda state: {**state, "fc.bias": torch.full((5,), 1e300, dtype=torch.float64)}, "finite numbers"),
        (lambda state: {**state, "conv1.1.running_var": -torch.ones(24)}, "variances must be 0 or more"),
        (lambda state: {**state, "_orig_mod.fc.bias": torch.zeros(5)}, "two are of one name"),
        (lambda state: {"epoch": 3}, r"holds something else \(epoch\)"),
        (lambda state: {"a": dict(state), "b": dict(state)}, "holds several: a, b"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_taken(change: Any, message: str, theirs: nn.Module) -> None:
    with pytest.raises(InputError, match=message) as error:
        build(PRESET, CLASSES, pretrained=change(theirs.state_dict()))
    assert "\n" not in str(error.value)


def test_a_backbone_takes_weights_without_a_classifier(theirs: nn.Module) -> None:
    state = {name: each for name, each in theirs.state_dict().items() if not name.startswith(("fc.", "conv5."))}
    whole, part = (backbone_of(PRESET, pretrained=given).state_dict() for given in (theirs.state_dict(), state))
    assert all(torch.equal(each, part[name]) for name, each in whole.items())
    bare = {name: each for name, each in theirs.state_dict().items() if not name.startswith("fc.")}
    with pytest.raises(InputError, match=r"only it has classifier\.branches\.0\.1\.weight and 1 more"):
        build(PRESET, 3, pretrained=bare)


# Our own files

ABOUT = TrainedFor(PRESET, ("cat", "dog", "hen"), 3, 4, 64, (0.1, 0.3, 0.5), (0.2, 0.25, 0.3))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights.safetensors", build(PRESET, 3, seed=1), ABOUT)


def rows(network: nn.Module) -> list[list[float]]:
    return network.get_submodule("classifier.branches.0.1").weight[:, :2].tolist()  # type: ignore[union-attr,operator]


def test_a_class_takes_the_row_of_its_own_name(own: Path) -> None:
    cat, dog, hen = rows(network_from(own))
    turned, fewer, more, others = (build(PRESET, count, seed=2) for count in (3, 2, 4, 3))
    anew = rows(others)
    assert start_from(turned, own, ["hen", "cat", "dog"]) == f"starts from {own}"
    assert rows(turned) == [hen, cat, dog]
    start_from(fewer, own, ["hen", "cat"])
    assert rows(fewer) == [hen, cat]
    fourth = rows(more)[1]
    assert start_from(more, own, ["hen", "owl", "cat", "dog"]).endswith("of 3 classes; 1 new ones start anew")
    assert rows(more) == [hen, fourth, cat, dog]
    assert start_from(others, own, ["a", "b", "c"]).endswith("for other classes and the one here starts anew")
    assert rows(others) == anew


def with_metadata(own: Path, about: Any) -> Path:
    text = about if isinstance(about, str) else json.dumps(about)
    safetensors.torch.save_file(safetensors.torch.load_file(own), own, {KEY: text})
    return own


@pytest.mark.parametrize(
    "change",
    [
        "{", "[]", "1", "null",
        {"classes": "cat"}, {"classes": []}, {"classes": [1, 2, 3]}, {"channels": 3.0}, {"channels": True},
        {"stem_stride": 3}, {"image_size": -1}, {"mean": [0.1]}, {"std": [1, 1, -1]}, {"mean": [0, 0, float("nan")]},
        {"architecture": []}, {"architecture": {}}, {"schema": 99},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_says_nonsense_of_itself_is_one_line(change: Any, own: Path) -> None:
    path = with_metadata(own, change if isinstance(change, str) else {**ABOUT.to_dict(), **change})
    for read in (read_trained_for, network_from):
        with pytest.raises(InputError, match=r"weights\.safetensors") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_file_whose_tensors_are_of_another_network_is_one_line(own: Path) -> None:
    with pytest.raises(InputError, match=r"does not hold the network that it says it does: .*\(2, 1024\)"):
        network_from(with_metadata(own, replace(ABOUT, classes=("a", "b")).to_dict()))
