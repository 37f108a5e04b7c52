import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
import torchvision
from builders.places import FACTS, needs_facts, read_json
from builders.wide_space import drawn_wide
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from proxies.network import LAYERS, build
from proxies.pretrained import load_torchvision_weights
from search_space import PRESETS, Architecture, Budget, InputError, SearchSpace, Stage
from search_space.choosers import RandomChooser
from search_space.plan import Layer

HALF = Fraction(1, 2)
TORCHVISION = {
    "v2-0.5x": torchvision.models.shufflenet_v2_x0_5,
    "v2-1.0x": torchvision.models.shufflenet_v2_x1_0,
    "v2-1.5x": torchvision.models.shufflenet_v2_x1_5,
    "v2-2.0x": torchvision.models.shufflenet_v2_x2_0,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomised(make: Callable[[], nn.Module], resolution: int = 64) -> nn.Module:
    """A network of random weights whose batch norms have random weights, biases and statistics.

    The statistics are near those of noise images, so that signals neither vanish nor grow from layer to layer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = make().train()
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.uniform_(-0.3, 0.3)
        with torch.no_grad():
            network(torch.randn(4, 3, resolution, resolution))
        for norm in norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean += 0.2 * norm.running_var.sqrt() * torch.randn(norm.num_features)
            norm.running_var *= torch.rand(norm.num_features) + 0.5
    return network.eval()


def assert_same_function(ours: nn.Module, theirs: nn.Module, resolution: int = 64) -> None:
    image = noise(2, 3, resolution, resolution)
    with torch.inference_mode():
        expected, found = theirs.eval()(image), ours.eval()(image)
    largest = expected.abs().max()
    assert 0.1 < largest < 1000
    # The images must differ, or a dead network would pass.
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * largest
    assert (found - expected).abs().max() <= 1e-5 * largest


# other people's networks with the same weights


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_weights_give_torchvisions_outputs(name: str) -> None:
    theirs = randomised(lambda: TORCHVISION[name](weights=None))
    ours = build(PRESETS[name])
    load_torchvision_weights(ours, theirs.state_dict())
    assert_same_function(ours, theirs)


def test_torchvisions_weights_give_torchvisions_outputs_at_an_odd_resolution() -> None:
    theirs = randomised(TORCHVISION["v2-0.5x"])
    ours = build(PRESETS["v2-0.5x"])
    load_torchvision_weights(ours, theirs.state_dict())
    assert_same_function(ours, theirs, resolution=97)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_pytorchcvs_v1_weights_give_pytorchcvs_outputs(groups: int) -> None:
    # Its average pool at the end is fixed to 7 x 7 pixels, so 224.
    theirs = randomised(lambda: get_model(f"shufflenet_g{groups}_w1", pretrained=False), 224)
    ours = build(PRESETS[f"v1-1.0x-g{groups}"])
    # Its names are of no pattern that ours have; both networks list their layers as they run.
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    assert_same_function(ours, theirs, resolution=224)


def test_a_start_from_other_classes_keeps_our_classifier() -> None:
    theirs = randomised(TORCHVISION["v2-0.5x"]).state_dict()
    ours = build(PRESETS["v2-0.5x"], num_classes=10, seed=3)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    load_torchvision_weights(ours, theirs, classifier=False)
    after = ours.state_dict()
    *body, weight, bias = after
    assert torch.equal(after[weight], before[weight])
    assert torch.equal(after[bias], before[bias])
    assert after[weight].shape == (10, 1024)
    assert all(torch.equal(after[a], theirs[b]) for a, b in zip(body, list(theirs)[:-2], strict=True))


@pytest.mark.parametrize("classifier", [True, False])
@pytest.mark.parametrize("other", ["v2-1.0x", "v2-se-0.5x", "v1-1.0x-g3"])
def test_weights_of_another_architecture_are_refused(other: str, classifier: bool) -> None:
    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    ours = build(PRESETS[other])
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with pytest.raises(InputError, match="weights"):
        load_torchvision_weights(ours, theirs, classifier=classifier)
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_weights_with_other_classes_are_refused_unless_the_classifier_stays() -> None:
    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    with pytest.raises(InputError, match=r"10, 1024.*1000, 1024"):
        load_torchvision_weights(build(PRESETS["v2-0.5x"], num_classes=10), theirs)


# what a built network does


def check_it_trains(architecture: Architecture, resolution: int, num_classes: int, **task: int) -> None:
    network = build(architecture, num_classes, **task)
    image = noise(2, task.get("in_channels", 3), resolution, resolution)
    with torch.inference_mode():
        output = network.eval()(image)
    assert output.shape == (2, num_classes)
    assert output.isfinite().all()
    output = network.train()(image)
    assert output.shape == (2, num_classes)
    nn.functional.cross_entropy(output, torch.tensor([0, num_classes - 1])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert network.get_parameter("stem.branches.0.0.weight").grad.abs().sum() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["20mflops", "140mflops", "2mparams"])
def test_drawn_networks_compute_and_train(text: str) -> None:
    space = SearchSpace.default(Budget.parse(text))
    for seed in range(5):
        check_it_trains(space.suggest(RandomChooser(seed)), 64, 10)


def test_drawn_networks_of_a_space_with_every_choice_open_compute_and_train() -> None:
    for architecture in drawn_wide(6):
        check_it_trains(architecture, 64, 10)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"activation": "hardswish"},
    {"shuffle": False},
    {"head": 40},
    {"residual": True},
    {"pre_depthwise": True},
    {"residual": True, "pre_depthwise": True, "activation": "hardswish", "head": 16, "shuffle": False},
]


def small(unit: str, groups: int = 1, kernel: int = 3, se: bool = False, **options: Any) -> Architecture:
    head = options.pop("head", 0)
    split = None if unit == "v1" else Fraction(1, 3)
    stages = tuple(Stage(2, factor * groups, groups, split, kernel, se) for factor in (36, 48, 60))
    return Architecture(unit, 24, head, stages, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("unit", ["v1", "v2"])
def test_every_option_computes_and_trains(unit: str, options: dict[str, Any]) -> None:
    if unit == "v1":
        options = {name: value for name, value in options.items() if name not in ("residual", "pre_depthwise")}
    check_it_trains(small(unit, groups=2, **options), 33, 4)


@pytest.mark.parametrize("se", [False, True])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("unit", ["v1", "v2"])
def test_every_group_count_and_kernel_computes_and_trains(unit: str, groups: int, kernel: int, se: bool) -> None:
    check_it_trains(small(unit, groups, kernel, se), 32, 4, stem_stride=2)


@pytest.mark.parametrize(
    ("stem_stride", "resolution", "size"), [(4, 224, 7), (4, 225, 8), (2, 32, 2), (1, 32, 4), (1, 33, 5)]
)
def test_the_last_units_size_follows_from_the_strides(stem_stride: int, resolution: int, size: int) -> None:
    network = build(small("v2"), 4, in_channels=1, stem_stride=stem_stride)
    *body, _ = network.children()
    with torch.inference_mode():
        assert nn.Sequential(*body)(noise(1, 1, resolution, resolution)).shape == (1, 60, size, size)


# the pieces


def test_submodules_bear_the_names_of_units_and_layers() -> None:
    network = build(PRESETS["v2-0.5x"])
    assert [name for name, _ in network.named_children()] == [
        "stem",
        "stage2",
        "stage3",
        "stage4",
        "head",
        "classifier",
    ]
    assert [len(getattr(network, name)) for name in ("stage2", "stage3", "stage4")] == [4, 8, 4]
    assert network.get_submodule("stage2.0.branches.1.0").out_channels == 24


@needs_facts
def test_channel_shuffles_are_the_reference_permutations() -> None:
    rows = read_json(FACTS / "reference_units.json")["channel_shuffle"]
    assert len(rows) == 5
    for row in rows:
        # A v1 unit shuffles its bottleneck, a quarter of the width.
        stage = Stage(1, 4 * row["channels"], row["groups"])
        wider = (Stage(1, 8 * stage.width), Stage(1, 16 * stage.width))
        network = build(Architecture("v1", 24, 0, (stage, *wider)), num_classes=2)
        (shuffle,) = [module for module in network.modules() if isinstance(module, nn.ChannelShuffle)]
        channels = torch.arange(float(row["channels"])).reshape(1, -1, 1, 1)
        assert shuffle(channels).flatten().tolist() == row["output_order"]


def only_shuffling(split: Fraction, width: int) -> nn.Module:
    """A stride-1 v2 unit whose branch gives zeros, so that what it puts out are the passed channels, shuffled."""
    stages = (Stage(2, width, split=split), Stage(1, 840, split=split), Stage(1, 840, split=split))
    network = build(Architecture("v2", 24, 0, stages), num_classes=2).eval()
    unit = network.get_submodule("stage2.1")
    for parameter in unit.parameters():
        parameter.data.zero_()
    return unit


@pytest.mark.parametrize("split", ["1/2", "1/3", "2/3", "1/4", "3/4"])
def test_the_first_channels_pass_through_a_v2_unit_and_are_mixed_in(split: str) -> None:
    width, ratio = 24, Fraction(split)
    unit = only_shuffling(ratio, width)
    passed = int(width * (1 - ratio))
    with torch.inference_mode():
        found = unit(torch.arange(1.0, width + 1).reshape(1, width, 1, 1).expand(1, width, 4, 4))[0, :, 0, 0]
    # Joined: 1 ... passed, then zeros. Shuffled in k groups, channel j of group i comes to place j x k + i.
    k, joined = ratio.denominator, [float(c + 1) if c < passed else 0.0 for c in range(width)]
    size = width // k
    expected = [joined[group * size + j] for j in range(size) for group in range(k)]
    assert found.tolist() == expected


def test_a_residual_adds_the_branchs_own_input() -> None:
    stages = (Stage(2, 24, split=HALF), Stage(1, 24, split=HALF), Stage(1, 24, split=HALF))
    architecture = Architecture("v2", 24, 0, stages, residual=True, shuffle=False)
    unit = build(architecture, num_classes=2).eval().get_submodule("stage2.1")
    for parameter in unit.parameters():
        parameter.data.zero_()
    image = noise(1, 24, 4, 4)
    with torch.inference_mode():
        assert torch.equal(unit(image), image)  # zeros + input


def test_a_residual_adds_the_input_as_it_came_in_while_training() -> None:
    # Activations work in place: none may have written into what is added.
    stages = (Stage(2, 24, split=HALF), Stage(1, 24, split=HALF), Stage(1, 24, split=HALF))
    plain = Architecture("v2", 24, 0, stages, shuffle=False, pre_depthwise=True)
    networks = [build(replace(plain, residual=flag), 2).train().get_submodule("stage2.1") for flag in (True, False)]
    image = noise(2, 24, 4, 4)
    with_residual, without = (network(image) for network in networks)
    expected = torch.cat([image[:, :12], without[:, 12:] + image[:, 12:]], dim=1)
    assert torch.allclose(with_residual, expected, atol=1e-6)


@pytest.mark.parametrize("unit", ["v1", "v2"])
def test_a_unit_leaves_its_input_as_it_was(unit: str) -> None:
    network = build(small(unit), 4).eval()
    image = noise(1, 36, 8, 8)
    before = image.clone()
    with torch.inference_mode():
        network.get_submodule("stage2.1")(image)
    assert torch.equal(image, before)


def test_squeeze_and_excitation_scales_by_a_hard_sigmoid() -> None:
    module = LAYERS["se"](Layer("se", 4, 4, squeeze=8))
    image = noise(1, 4, 3, 3)
    with torch.inference_mode():
        mean = image.mean((2, 3))
        hidden = torch.relu(mean @ module.fc1.weight[:, :, 0, 0].T + module.fc1.bias)
        scale = ((hidden @ module.fc2.weight[:, :, 0, 0].T + module.fc2.bias) / 6 + 0.5).clamp(0, 1)
        assert torch.allclose(module(image), image * scale[:, :, None, None], atol=1e-6)


def test_no_convolution_has_a_bias_and_the_classifier_has_one() -> None:
    network = build(PRESETS["v2-star-1.0x"])
    assert {m.bias is None for m in network.modules() if isinstance(m, nn.Conv2d)} == {True}
    assert [m.bias is not None for m in network.modules() if isinstance(m, nn.Linear)] == [True]


# seeds


def test_a_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, same, other = (build(PRESETS["v2-0.5x"], seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["stem.branches.0.0.weight"], other["stem.branches.0.0.weight"])


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build(PRESETS["v2-0.5x"], seed=5)
    assert torch.equal(torch.rand(3), expected)


def test_building_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(PRESETS["v1-0.25x-g8"], num_classes=2, in_channels=1, stem_stride=1)


def test_a_task_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="stem_stride"):
        build(PRESETS["v2-0.5x"], stem_stride=3)
    with pytest.raises(InputError, match="num_classes"):
        build(PRESETS["v2-0.5x"], num_classes=-1)
