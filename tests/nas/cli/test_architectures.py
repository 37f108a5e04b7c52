"""What a comparison's names mean, and that the mistaken ones are told."""

import json
from pathlib import Path

import pytest

from nas.cli.architectures import CHANGES, ROUNDED, named_architecture, named_architectures, named_network
from nas.compare.networks import SETS, networks_of
from nas.export import __main__ as export
from nas.score import __main__ as score
from nas.train import __main__ as train
from search_space import PRESETS, Architecture, InputError, cost_of
from search_space.hand_designed import HandDesigned


def test_every_name_of_every_set_is_a_network_once() -> None:
    for name in SETS:
        networks = [named_network(text) for text in networks_of(name)]
        assert [network.name for network in networks] == list(SETS[name])
        assert len({network.network.key() for network in networks}) == len(networks)


def test_the_two_levels_hold_all_that_the_papers_compare() -> None:
    for name, level in (("40mflops", "0.5x"), ("140mflops", "1.0x")):
        found = {text: named_network(text) for text in SETS[name]}
        v1 = [
            each.network
            for each in found.values()
            if isinstance(each.network, Architecture) and each.network.unit == "v1"
        ]
        assert {each.stages[0].groups for each in v1} == {1, 2, 3, 4, 8}
        assert [text for text in found if text.endswith("+no-shuffle")] == [
            f"v1-{level}-g8+no-shuffle",
            f"v2-{level}+no-shuffle",
        ]
        v2 = found[f"v2-{level}+residual"].network
        assert isinstance(v2, Architecture)
        assert v2.residual
        begun = ("mobilenet-v1", "mobilenet-v2", "mobilenet-v3", "mnasnet", "squeezenet", "vgg", "resnet", "resnext")
        assert all(any(text.startswith(start) for text in found) for start in begun)


def test_a_preset_is_changed_by_what_follows() -> None:
    plain = PRESETS["v2-0.5x"]
    changed = named_network("v2-0.5x+residual+no-shuffle").network
    assert isinstance(changed, Architecture)
    assert (changed.residual, changed.shuffle, changed.stages) == (True, False, plain.stages)
    assert named_network("v2-0.5x+pre-depthwise").network == PRESETS["v2-star-0.5x"]
    assert named_network("v2-0.5x+se").network == PRESETS["v2-se-0.5x"]
    xception = named_network("v2-0.5x+xception").network
    assert isinstance(xception, Architecture)
    assert [stage.xception for stage in xception.stages] == [True, True, True]
    for name, ratio in (("half-bottleneck", "1/2"), ("eighth-bottleneck", "1/8")):
        with_bottleneck = named_network(f"v1-1.0x-g3+{name}").network
        assert isinstance(with_bottleneck, Architecture)
        assert with_bottleneck.to_dict() == {**PRESETS["v1-1.0x-g3"].to_dict(), "bottleneck": ratio}
    assert len(CHANGES) == 7


def test_a_rounded_width_is_the_nearest_that_its_groups_divide() -> None:
    exact = {"v1-0.5x-g2-rounded": 100, "v1-0.5x-g4-rounded": 136, "v1-0.25x-g2-rounded": 50, "v1-0.25x-g4-rounded": 68}
    for name, (groups, width) in ROUNDED.items():
        network = named_network(name).network
        assert isinstance(network, Architecture)
        assert cost_of(network).macs > 12e6
        # A step of 4 * groups keeps a quarter of the width divisible; 0.5x with 4 groups is 576 in the paper's words.
        assert abs(width - exact[name]) < 4 * groups
        assert width % (4 * groups) == 0


def test_a_file_is_called_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(PRESETS["v2-0.5x"].to_dict()))
    found = named_network(str(file))
    assert (found.name, found.family, found.network) == ("mine", "found", PRESETS["v2-0.5x"])
    assert named_network("mobilenet-v2-0.6").network == HandDesigned("mobilenet-v2-0.6")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lenet", "a network is a preset, .* got 'lenet'"),
        (
            "v2-0.5x+bigger",
            "a change must be one of no-shuffle, residual, se, pre-depthwise, xception, half-bottleneck, "
            "eighth-bottleneck, joined by +; got 'bigger'",
        ),
        ("mobilenet-v2+se", "got 'mobilenet-v2\\+se'"),
        ("v1-0.5x-g3+residual", "residual"),
        ("v1-0.5x-g3+xception", "stage 2 of unit v1: xception belongs to the v2 unit"),
        ("v2-0.5x+half-bottleneck", "bottleneck belongs to the v1 unit; with unit 'v2' it must be 1/4"),
        (
            "v1-1.0x-g3+half-bottleneck+se+eighth-bottleneck",
            "one bottleneck, got half-bottleneck and eighth-b.*: keep one",
        ),
        ("v1-0.25x-g1+eighth-bottleneck", "width must be a multiple of 8 x groups = 8"),
        ("vgg-like@5ms", "follows from FLOPs"),
        ("no.json", "an architecture is a JSON file or a preset, and 'no.json' is neither"),
    ],
)
def test_what_names_no_network_is_told(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("joined by +", r"joined by \+")):
        named_network(text)


def test_an_unknown_set_is_told_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"--set must be all or some of 40mflops, .*v2-8, joined by commas; got 'v3'"):
        networks_of("v3")
    assert set(networks_of("v1-3,v1-2")) == {*SETS["v1-3"], *SETS["v1-2"]}
    assert set(networks_of("all")) == {network for names in SETS.values() for network in names}


def test_a_command_that_needs_an_architecture_takes_changed_presets_and_refuses_other_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named_architecture("v2-1.0x+se") == ("v2-1.0x+se", PRESETS["v2-se-1.0x"])
    for command in (train, export, score):
        assert command.main(["mobilenet-v2"]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert "'mobilenet-v2' is a hand-designed network, which nas.cost, nas.compare and" in printed.err
        assert (
            "give presets, also with changes joined by + (v2-1.0x+residual+se): no-shuffle, residual, " in printed.err
        )


def test_two_files_of_one_name_are_refused_and_one_network_may_be_named_twice(tmp_path: Path) -> None:
    files = []
    for number, preset in enumerate(("v2-0.5x", "v2-1.0x")):
        (tmp_path / str(number)).mkdir()
        files.append(tmp_path / str(number) / "mine.json")
        files[-1].write_text(json.dumps(PRESETS[preset].to_dict()))
    assert [name for name, _ in named_architectures(["v2-0.5x", "v2-0.5x", str(files[0])])] == [
        *("v2-0.5x", "v2-0.5x", "mine")
    ]
    with pytest.raises(InputError, match="two are called 'mine': rename a file"):
        named_architectures(map(str, files))


@pytest.mark.parametrize("name", ["V2-1.0x", "V2-1.0X+SE", "MobileNet-V2", "VGG-like@38MFLOPs"])
def test_a_name_in_capitals_is_the_same_network(name: str) -> None:
    assert named_network(name) == named_network(name.lower())
