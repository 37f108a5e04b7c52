"""The hand-designed networks are the published ones: by counts, by tables, and by another program's outputs."""

import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest
import torch
import torchvision
from builders.places import ROOT
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from proxies.counting import count
from proxies.references.names import (
    FAMILIES,
    MOBILENET_V1_WIDTHS,
    MOBILENET_V2_WIDTHS,
    REFERENCE_FAMILIES,
    REFERENCE_NAMES,
    TORCHVISION_NETWORKS,
)
from proxies.references.networks import build_reference, mobilenet_v1
from search_space import PRESETS, InputError

IMAGE = (1, 3, 224, 224)
REFERENCES = (*MOBILENET_V1_WIDTHS, *MOBILENET_V2_WIDTHS, *TORCHVISION_NETWORKS, "resnext-like@13mflops")


def weights_of(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())


def shapes_of(name: str, num_classes: int = 1000) -> nn.Module:
    """The network on the meta device: without weights, which take longer to draw than layers to count."""
    with torch.device("meta"):
        return build_reference(name, num_classes)


# MobileNetV1


@pytest.mark.parametrize(
    ("name", "mflops", "mparams"),
    [
        ("mobilenet-v1-1.0", 569, 4.2),  # Howard 2017, table 6
        ("mobilenet-v1-0.75", 325, 2.6),
        ("mobilenet-v1-0.5", 149, 1.3),
        ("mobilenet-v1-0.25", 41, 0.5),
    ],
)
def test_a_mobilenet_v1_costs_what_its_paper_prints(name: str, mflops: int, mparams: float) -> None:
    macs, params = count(shapes_of(name), IMAGE)
    assert macs / 1e6 == pytest.approx(mflops, abs=0.5)
    assert params / 1e6 == pytest.approx(mparams, abs=0.05)


def test_mobilenet_v1_counts_exactly_as_pytorchcvs() -> None:
    assert count(mobilenet_v1(), IMAGE) == (568_740_352, 4_231_976)


@pytest.mark.slow
def test_mobilenet_v1_with_pytorchcvs_weights_gives_its_outputs() -> None:
    theirs, ours = get_model("mobilenet_wd4", pretrained=False).eval(), mobilenet_v1(width=0.25).eval()
    images = torch.randn(IMAGE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        # Statistics of batch norms that were never trained would hide a layer that is in the wrong place.
        for number, value in enumerate(theirs.state_dict().values()):
            if value.is_floating_point():
                value.uniform_(0.05, 0.15, generator=torch.Generator().manual_seed(number))
        pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(one.copy_(two).shape == two.shape for one, two in pairs)
        expected = theirs(images)
        assert (ours(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


# The rows


def test_every_name_has_a_family() -> None:
    assert tuple(REFERENCE_FAMILIES) == REFERENCE_NAMES
    assert set(REFERENCE_NAMES) == {*PRESETS, *MOBILENET_V1_WIDTHS, *TORCHVISION_NETWORKS}
    assert len(REFERENCE_NAMES) == len(PRESETS) + 4 + 13
    assert set(REFERENCE_FAMILIES.values()) == set(FAMILIES)


def test_families_are_those_of_the_papers() -> None:
    expected = {
        "v1-1.0x-g8": "ShuffleNet V1",
        "v2-se-2.0x": "ShuffleNet V2",
        "v2-star-0.5x": "ShuffleNet V2",
        "mobilenet-v1-0.25": "MobileNet",
        "mobilenet-v3-small": "MobileNet",
        "mnasnet-1.0": "other",
        "resnet-18": "other",
    }
    assert {name: REFERENCE_FAMILIES[name] for name in expected} == expected


def torchvision_rows() -> Iterator[tuple[str, int, float]]:
    """Name, parameters and giga-multiply-adds that torchvision publishes with each network's weights."""
    for name, row in TORCHVISION_NETWORKS.items():
        meta = torchvision.models.get_model_weights(row.function).DEFAULT.meta
        yield name, meta["num_params"], meta["_ops"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "params", "gmacs"), list(torchvision_rows()))
def test_a_torchvision_network_costs_what_torchvision_publishes(name: str, params: int, gmacs: float) -> None:
    macs, ours = count(shapes_of(name), IMAGE)
    assert ours == params
    assert macs / 1e9 == pytest.approx(gmacs, abs=0.0006)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REFERENCES, "v1-0.25x-g8", "v2-se-0.5x"])
def test_a_network_has_the_classes_asked_for_and_warns_of_nothing(name: str) -> None:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("error")
        network = shapes_of(name, 7)
        assert not any(module.training for module in network.modules())
        assert network(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", ["v2-0.5x", "mobilenet-v1-0.25", "mnasnet-0.5"])
def test_a_seed_gives_the_same_weights_and_leaves_torchs_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (weights_of(build_reference(name, 2, seed=seed)) for seed in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match=r"must be one of v1-1\.0x-g1, .*, resnext-like@140mflops; 'lenet' came"):
        build_reference("lenet")


def test_the_names_come_without_torch() -> None:
    code = "import sys, proxies.references.names; sys.exit(bool({'torch', 'torchvision'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
