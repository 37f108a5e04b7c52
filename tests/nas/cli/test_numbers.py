"""Each number that a command line gives has a least and a most, which are looked at before anything starts."""

import argparse
from collections.abc import Iterator
from importlib import import_module

import pytest
from builders.places import ROOT

from nas.cli.command import Parser
from nas.cli.flags import Number, duration, seeds_from
from nas.workers.cores import MOST_A_CORE, MOST_ANYWHERE, cores_here, workers_here
from search_space.bounds import SEEDS
from search_space.errors import InputError

MODULES = [f"nas.{file.parent.name}.__main__" for file in sorted((ROOT / "nas").glob("*/__main__.py"))] + ["nas.cost"]
NO_NUMBERS = (
    "NaN",
    "inf",
    "-inf",
    "1e400",
    "1_0",
    "\u0663",
    "\uff11",
    "",
    " ",
    "0x10",
    "one",
    "9" * 5000,
    "1" + "0" * 5000,
)


def _parsers(parser: Parser, line: tuple[str, ...]) -> Iterator[tuple[Parser, tuple[str, ...]]]:
    yield parser, line
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _parsers(inner, (*line, name))


def _flags() -> Iterator[tuple[str, tuple[str, ...], argparse.Action]]:
    for module in MODULES:
        for parser, line in _parsers(import_module(module).make_parser(), ()):
            for action in parser._actions:
                yield module, line, action


FLAGS = list(_flags())
NUMBERS = [flag for flag in FLAGS if isinstance(flag[2].type, Number) or flag[2].type is duration]


def _refused(module: str, line: tuple[str, ...], flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> str:
    try:
        status = import_module(module).main([*line, f"{flag}={value}"])
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert status == 2, value[:50]
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1, printed.err
    assert len(printed.err) < 300
    return printed.err


def test_no_flag_is_a_number_without_bounds() -> None:
    assert [(module, line, flag.dest) for module, line, flag in FLAGS if flag.type in (int, float)] == []
    assert {flag.dest for _, _, flag in NUMBERS} > {"seed", "image_size", "workers", "trials", "time", "port", "batch"}


@pytest.mark.parametrize(
    ("module", "line", "flag"), NUMBERS, ids=lambda part: part.dest if isinstance(part, argparse.Action) else None
)
def test_a_number_beyond_either_bound_is_one_line(module: str, line: tuple, flag: argparse.Action, capsys) -> None:
    name = flag.option_strings[0]
    if isinstance(flag.type, Number):
        bounds = flag.type.bounds
        step = 1 if bounds.is_whole else bounds.least / 2
        for value, rule in ((bounds.least - step, "at least"), (bounds.most + 1, "at most")):
            assert f"{name} must be {rule}" in _refused(module, line, name, str(value), capsys)
        for text in (str(bounds.least), str(bounds.most)):
            assert flag.type(text) == float(text)
        others = NO_NUMBERS
    else:
        others = (
            *NO_NUMBERS,
            "0s",
            "-1s",
            "0.0000001s",
            "9000h",
            "1e3s",
            "1_0s",
            "\u0661s",
            "9" * 5000 + "h",
            "1" * 5000,
        )
    for text in others:
        assert f"{name} must be " in _refused(module, line, name, text, capsys)


def test_seeds_that_are_counted_on_are_seeds_too() -> None:
    most = int(SEEDS.most)
    assert seeds_from(most - 1, 2) == (most - 1, most)
    with pytest.raises(InputError, match=f"--seeds, counted on from --seed, must be at most {most}, got {most + 1}"):
        seeds_from(most - 1, 3)


def test_more_workers_than_the_cores_keep_busy_are_refused() -> None:
    most = max(MOST_ANYWHERE, MOST_A_CORE * len(cores_here().training))
    assert workers_here(most, "cpu") == most
    with pytest.raises(InputError, match=f"--workers must be at most {most} "):
        workers_here(most + 1, "cpu")
