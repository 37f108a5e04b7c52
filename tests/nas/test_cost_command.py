"""`nas.cost` prints the published counts; what every command does with a mistake, an error and Ctrl-C."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders.places import ROOT

from nas.cli.command import Parser, check_folder, make_folder, run_command
from nas.cost import main
from search_space import PRESETS, InputError

Captured = pytest.CaptureFixture[str]


def mistake(capsys: Captured, *arguments: str) -> str:
    """The one line on stderr of a command that exits with 2 and prints nothing else."""
    assert main(list(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("python -m nas.cost: ")
    return printed.err


# What it prints


@pytest.mark.parametrize(
    ("preset", "mflops", "mparams"),
    [
        ("v2-0.5x", "40.476", "1.3668"),  # torchvision's
        ("v2-1.0x", "144.908", "2.2786"),
        ("v2-1.5x", "295.759", "3.5036"),
        ("v2-2.0x", "583.253", "7.3940"),
        ("v1-1.0x-g3", "137.461", "1.8657"),  # pytorchcv's
        ("v1-1.0x-g8", "138.366", "2.4348"),
    ],
)
def test_a_presets_cost_is_the_published_one(capsys: Captured, preset: str, mflops: str, mparams: str) -> None:
    assert main([preset]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{preset}: {mflops} MFLOPs, {mparams} M params, ")
    assert printed.out.endswith("; at 224 px, 1000 classes\n")
    assert printed.out.count("\n") == 1
    assert printed.err == ""


def test_ram_and_flash_stand_at_both_precisions(capsys: Captured) -> None:
    # RAM: the image and the stem's output, 451,584 elements. Flash: 2,261,424 weights and 9,090 channels.
    assert main(["v2-1.0x"]) == 0
    fp32, int8 = "RAM 1,764 KiB, flash 8,869.2 KiB at fp32", "RAM 441 KiB, flash 2,279.5 KiB at int8"
    assert f"; {fp32}; {int8}; " in capsys.readouterr().out
    # A backbone at 320 px: 921,600 elements at its stem.
    assert main(["v2-1.0x", "--task", "detection-backbone"]) == 0
    assert "; RAM 3,600 KiB, flash " in capsys.readouterr().out


def test_the_cost_is_that_of_the_task(capsys: Captured) -> None:
    # torchvision's network at 32 pixels with 10 classes: 2,946,648 multiply-adds, 1,263,854 parameters.
    assert main(["v2-1.0x", "--resolution", "32", "--classes", "10"]) == 0
    assert "2.947 MFLOPs, 1.2639 M params" in capsys.readouterr().out
    # A grey image has a third of the stem's weights, 24 x 3 x 3 x 2 = 432 fewer, each used at 112 x 112 places.
    assert main(["v2-1.0x", "--channels", "1"]) == 0
    assert f"{(144_907_992 - 432 * 112 * 112) / 1e6:.3f} MFLOPs" in capsys.readouterr().out


def test_an_architectures_file_costs_what_its_preset_does(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(PRESETS["v2-1.0x"].to_dict()))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{file}: 144.908 MFLOPs, 2.2786 M params")


def test_several_get_a_line_each_as_backbones_too(capsys: Captured) -> None:
    # Of V2 1.0x's classifier 24.3 MFLOPs at 224 px and 1.5 M parameters are head and classifier.
    assert main(["v1-1.0x-g3", "v2-1.0x", "--task", "detection-backbone", "--resolution", "224"]) == 0
    v1, v2 = capsys.readouterr().out.splitlines()
    assert v1.startswith("v1-1.0x-g3: 136.501 MFLOPs, 0.9047 M params, ")
    assert v2.startswith("v2-1.0x: 120.602 MFLOPs, 0.7764 M params, ")
    assert v2.endswith(" at 224 px, feature maps at strides 8, 16 and 32, without head and classifier")


def test_a_backbone_is_costed_at_the_detection_resolution(capsys: Captured) -> None:
    assert main(["v2-0.5x", "--task", "detection-backbone"]) == 0
    assert " at 320 px, " in capsys.readouterr().out


def test_the_layers_sum_up_to_the_whole(capsys: Captured) -> None:
    assert main(["v2-1.0x", "--layers"]) == 0
    *table, _ = capsys.readouterr().out.rstrip("\n").splitlines()
    rows = [line.split() for line in table if line.strip() and line.split()[-1].replace(",", "").isdigit()]
    macs, params = (sum(int(row[column].replace(",", "")) for row in rows) for column in (-4, -3))
    assert (macs, params) == (144_907_992, 2_278_604)
    assert sum(row[1] == "conv" for row in rows) == 56
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["v2-1.0x", "v1-0.5x-g8", "v2-se-0.5x"])
def test_fvcore_agrees_with_the_cost(capsys: Captured, preset: str) -> None:
    assert main([preset, "--verify"]) == 0
    _, verdict = capsys.readouterr().out.splitlines()
    assert verdict.startswith("fvcore counts ")
    assert verdict.endswith(": agrees")
    if preset == "v2-1.0x":
        assert "144907992 multiply-adds of conv and linear, 2278604 parameters" in verdict
    assert main([preset, "--verify", "--task", "detection-backbone", "--channels", "1"]) == 0


@pytest.mark.slow
def test_a_count_that_differs_is_said_and_is_an_error(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxies import backbone

    deployed = backbone.deployed
    monkeypatch.setattr(backbone, "deployed", lambda _, *task: deployed(PRESETS["v2-0.5x"], *task))
    assert main(["v2-1.0x", "--verify"]) == 1
    assert "DIFFERS from 144907992 multiply-adds, 2278604 parameters" in capsys.readouterr().out


def test_a_cost_needs_no_torch() -> None:
    code = "import sys; from nas.cost import main; main(['v2-1.0x', '--layers']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_a_changed_preset_is_counted_as_the_preset_that_it_becomes(capsys: Captured) -> None:
    assert main(["v2-1.0x+se", "v2-se-1.0x"]) == 0
    changed, preset = capsys.readouterr().out.splitlines()
    assert changed.removeprefix("v2-1.0x+se") == preset.removeprefix("v2-se-1.0x")


def test_a_hand_designed_network_is_counted_as_fvcore_counts_it(capsys: Captured) -> None:
    assert main(["mobilenet-v2", "vgg-like@38mflops", "--verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mobilenet-v2: 300.774 MFLOPs, 3.5049 M params at 224 px, 1000 classes, counted as it runs"
    assert lines[2].startswith("vgg-like@38mflops: 3")
    assert lines[1].endswith(": agrees")
    assert lines[3].endswith(": agrees")


# Mistakes


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--layers",), "layers are listed of architectures of the space alone, and 'mobilenet-v2' is a hand-designed"),
        (("--task", "detection-backbone"), "leave --task detection-backbone out"),
    ],
)
def test_what_is_known_of_architectures_alone_is_refused_of_others(
    capsys: Captured, flags: tuple[str, ...], text: str
) -> None:
    assert text in mistake(capsys, "mobilenet-v2", *flags)


def test_what_is_neither_a_preset_nor_a_file_is_a_mistake(capsys: Captured, tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    assert f"{str(missing)!r} is neither: No such file" in mistake(capsys, str(missing))
    assert "a network is a preset, " in mistake(capsys, "v2-1x")
    assert f"a JSON file; got {str(tmp_path)!r}" in mistake(capsys, str(tmp_path))


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00", b"{'unit': 'v2'}"])
def test_a_file_that_is_no_json_is_a_mistake(capsys: Captured, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    assert f"{str(file)!r} is not" in mistake(capsys, str(file))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"unit": "v3"}, "unit must be one of v1, v2, got 'v3'"),
        ({"stem": 0}, "stem must be a whole number of at least 1, got 0"),
        ({"schema": 9}, "schema must be 1, got 9"),
        ({"width": 7}, "has no key 'width'"),
        ({"stages": []}, "3 stages"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_a_mistake(
    capsys: Captured, tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    file = tmp_path / "impossible.json"
    file.write_text(json.dumps({**PRESETS["v2-1.0x"].to_dict(), **change}))
    assert complaint in mistake(capsys, str(file))


def test_channels_that_do_not_divide_are_a_mistake_with_their_numbers(capsys: Captured, tmp_path: Path) -> None:
    data = PRESETS["v2-1.0x"].to_dict()
    data["stages"][1]["groups"] = 3  # 116 channels come in
    file = tmp_path / "impossible.json"
    file.write_text(json.dumps(data))
    assert "stage 3 of unit v2: the channels that come in must be a multiple of groups = 3, got 116" in mistake(
        capsys, str(file)
    )


@pytest.mark.parametrize("content", ["[]", "3", "null", '"v2-1.0x"'])
def test_json_that_is_no_object_is_a_mistake(capsys: Captured, tmp_path: Path, content: str) -> None:
    file = tmp_path / "list.json"
    file.write_text(content)
    assert "must be a JSON object" in mistake(capsys, str(file))


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--resolution", "0"), ("--resolution", "-5"), ("--classes", "0"), ("--channels", "0"), ("--stem-stride", "3")],
)
def test_a_task_that_no_network_is_for_is_a_mistake(capsys: Captured, flag: str, value: str) -> None:
    assert value in mistake(capsys, "v2-1.0x", flag, value)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--task", "detection"), "--task must be one of classification, detection-backbone, got 'detection'"),
        (("--task", "detection-backbone", "--classes", "5"), "got 5: leave --classes out"),
        (("--task", "detection-backbone", "--stem-stride", "1"), "got --stem-stride 1"),
    ],
)
def test_a_task_that_is_none_is_a_mistake(capsys: Captured, flags: tuple[str, ...], text: str) -> None:
    assert text in mistake(capsys, "v2-1.0x", *flags)


@pytest.mark.parametrize("arguments", [[], ["v2-1.0x", "--resolution"], ["v2-1.0x", "--nonsense"]])
def test_a_usage_error_is_one_line_and_exits_with_2(capsys: Captured, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith("python -m nas.cost: ")
    assert printed.err.endswith("; --help lists the options\n")
    assert printed.err.count("\n") == 1


# What every command shares


def run(command: Callable[[argparse.Namespace], int], *arguments: str) -> int:
    return run_command(Parser(prog="test"), command, arguments)


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def command(_: argparse.Namespace) -> int:
        raise error

    return command


def test_a_command_exits_with_what_it_returns(capsys: Captured) -> None:
    assert [run(lambda _, status=status: status) for status in (0, 1)] == [0, 1]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("give\n  another"), 2, "test: give another\n"),
        (ValueError("two\nlines"), 1, "test: ValueError: two lines (--debug shows where)\n"),
        (InputError(""), 2, "test: InputError\n"),
        (KeyboardInterrupt(), 130, "test: interrupted\n"),
    ],
)
def test_what_goes_wrong_is_one_line(capsys: Captured, error: BaseException, status: int, line: str) -> None:
    assert run(raising(error)) == status
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("error", [InputError("no"), ValueError("no")])
def test_a_traceback_is_shown_when_asked_for(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(raising(error), "--debug")


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check_folder(folder)
    assert not (tmp_path / "a").exists()
    assert make_folder(folder) == folder
    assert list(folder.iterdir()) == []
    (folder / "kept").touch()
    check_folder(folder)
    make_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["kept"]


@pytest.mark.parametrize("below", [".", "sub", "sub/sub"])
def test_a_folder_cannot_be_where_a_file_is(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    for make in (check_folder, make_folder):
        with pytest.raises(InputError, match=r"the output folder must be one that can be written, got .*file"):
            make(file / below)
    assert file.is_file()


def test_a_relative_folder_is_looked_for_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_folder(Path("runs/new"))
    Path("file").touch()
    with pytest.raises(InputError, match="'file"):
        check_folder(Path("file/new"))
