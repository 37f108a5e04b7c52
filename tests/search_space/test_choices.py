import dataclasses
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import search_space
from search_space import InputError
from search_space.choices import Choices

DEFAULT = Path(search_space.__file__).with_name("default_space.toml").read_text(encoding="utf-8")


def changed(key: str, value: str) -> str:
    lines = DEFAULT.splitlines()
    at = [number for number, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{key} =")]
    assert len(at) == 1
    lines[at[0]] = f"{key} = {value}"
    return "\n".join(lines)


def read(folder: Path, text: str) -> Choices:
    file = folder / "space.toml"
    file.write_text(text, encoding="utf-8")
    return Choices.from_file(file)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as error:
        read(folder, text)
    message = str(error.value)
    assert "\n" not in message
    assert "space.toml" in message
    return message


def test_the_default_choices_are_what_the_file_says() -> None:
    data = tomllib.loads(DEFAULT)
    choices = Choices.default()
    assert choices.splits == tuple(Fraction(split) for split in data.pop("splits"))
    assert choices.depths == tuple(tuple(depths) for depths in data.pop("depths"))
    for key, value in data.items():
        value = [value] if key == "stem" else value
        assert getattr(choices, key) == (tuple(value) if isinstance(value, list) else value)
    assert len(data) == 11


def test_the_default_choices_are_those_of_the_design() -> None:
    choices = Choices.default()
    assert choices.units == ("v1", "v2")
    assert choices.groups == (1, 2, 3, 4, 8)
    assert choices.splits == tuple(map(Fraction, ("1/4", "1/3", "1/2", "2/3", "3/4")))
    assert choices.kernels == (3, 5, 7)
    assert choices.alignment == 8
    assert choices.fills_percent == (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


def test_a_copy_of_the_default_file_reads_as_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, DEFAULT) == Choices.default()


def test_choices_as_plain_values_write_splits_as_text() -> None:
    assert Choices.default().to_dict()["splits"] == ["1/4", "1/3", "1/2", "2/3", "3/4"]
    assert Choices.default().to_dict()["stem"] == 24


def test_values_may_stand_in_any_order(tmp_path: Path) -> None:
    assert read(tmp_path, changed("kernels", "[7, 3, 5]")).kernels == (3, 5, 7)
    assert read(tmp_path, changed("heads", "[1024, 0]")).heads == (0, 1024)


NARROWED: list[tuple[str, str, Any]] = [
    ("units", '["v2"]', ("v2",)),
    ("stem", "16", (16,)),
    ("stem", "[24, 8, 16]", (8, 16, 24)),
    ("groups", "[1]", (1,)),
    ("splits", '["1/8", "5/6"]', (Fraction(1, 8), Fraction(5, 6))),
    ("kernels", "[3]", (3,)),
    ("kernels", "[3, 7]", (3, 7)),
    ("se", "[true]", (True,)),
    ("depths", "[[1], [2, 4], [1, 2, 3]]", ((1,), (2, 4), (1, 2, 3))),
    ("growths_percent", "[200]", (200,)),
    ("heads", "[0]", (0,)),
    ("activations", '["relu"]', ("relu",)),
    ("fills_percent", "[100]", (100,)),
    ("alignment", "1", 1),
    ("max_width", "1024", 1024),
]


@pytest.mark.parametrize(("key", "value", "expected"), NARROWED)
def test_a_space_can_be_narrowed(tmp_path: Path, key: str, value: str, expected: Any) -> None:
    assert getattr(read(tmp_path, changed(key, value)), key) == expected


# (key, value as TOML, what the message shows of the value)
IMPOSSIBLE = [
    ("units", '["v3"]', "'v3'"),
    ("units", "[]", "[]"),
    ("units", '"v1"', "'v1'"),
    ("units", '["v1", "v1"]', "v1"),
    ("stem", "0", "0"),
    ("stem", "24.0", "24.0"),
    ("stem", "true", "True"),
    ("stem", "[]", "[]"),
    ("stem", "[8, 16, 32]", "[8, 16, 32]"),
    ("groups", "[0]", "0"),
    ("groups", "[1.5]", "1.5"),
    ("groups", "[true]", "True"),
    ("groups", "2", "2"),
    ("groups", "[2, 2]", "2"),
    ("splits", "[0.5]", "0.5"),
    ("splits", '["1/9"]', "1/9"),
    ("splits", '["1/1"]', "1"),
    ("splits", '["half"]', "'half'"),
    ("splits", "[]", "[]"),
    ("kernels", "[4]", "4"),
    ("kernels", "[3, 9]", "9"),
    ("kernels", '["3"]', "'3'"),
    ("kernels", "[3.0]", "3.0"),
    ("se", "[0]", "0"),
    ("se", "true", "True"),
    ("depths", "[[2], [4]]", "[[2], [4]]"),
    ("depths", "[2, 4, 2]", "2"),
    ("depths", "[[0], [4], [2]]", "0"),
    ("depths", "[[1, 2, 4], [4], [2]]", "[1, 2, 4]"),
    ("growths_percent", "[150, 200, 225]", "[150, 200, 225]"),
    ("growths_percent", "[0]", "0"),
    ("heads", "[-1]", "-1"),
    ("heads", "[0, 512, 2048]", "[0, 512, 2048]"),
    ("activations", '["gelu"]', "'gelu'"),
    ("fills_percent", "[0, 50]", "0"),
    ("fills_percent", "[50, 101]", "101"),
    ("fills_percent", "[0.5]", "0.5"),
    ("alignment", "0", "0"),
    ("max_width", "0", "0"),
    ("max_width", "8193", "8192"),
    ("stem", "0xffffffffffffffffffffffffffffffffffffffffffff", "176 bits"),
    ("groups", str(list(range(1, 18))), "at most 16 values, got 17"),
    ("heads", str(list(range(0, 1010, 10))), "at most 100 values, got 101"),
    ("depths", "[[2], [101], [2]]", "at most 100, got 101"),
    ("depths", "[[100], [100], [100]]", "lower max_width"),
    ("splits", '["1e-99999999"]', "1e-99999999"),
    ("max_width", '"wide"', "'wide'"),
    ("shuffle", "true", "True"),
    ("shuffle", "[1]", "must be among false, true, got 1"),
    ("residual", '["yes"]', "must be among false, true, got 'yes'"),
    ("pre_depthwise", "[]", "[]"),
    ("xception", "[true, true]", "must not repeat a value"),
    ("bottlenecks", "[0.25]", "0.25"),
    ("bottlenecks", '["1/3"]', "1/3"),
    ("bottlenecks", '"1/4"', "'1/4'"),
    ("bottlenecks", '["1/4", "1/4"]', "must not repeat a value"),
    ("stem", '"24"', "'24'"),
]


# (further lines, the whole message)
NO_UNIT_TAKES_IT = [
    ("xception = [false, true]", "xception belongs to the v2 unit, and units are v1: add 'v2' to units, or leave"),
    (
        "residual = [true]",
        "residual belongs to the v2 unit, and units are v1: add 'v2' to units, or leave residual",
    ),
    ("pre_depthwise = [true]", "pre_depthwise belongs to the v2 unit, and units are v1"),
    ("shuffle = [true, false]", "shuffle changes nothing where units are v1 and groups are 1"),
]


@pytest.mark.parametrize(("line", "said"), NO_UNIT_TAKES_IT)
def test_a_choice_that_no_unit_takes_is_refused(tmp_path: Path, line: str, said: str) -> None:
    only_v1 = changed("units", '["v1"]').replace(f"groups = {tomllib.loads(DEFAULT)['groups']}", "groups = [1]")
    assert said in refusal(tmp_path, f"{only_v1}\n{line}\n")
    name, _, value = line.partition(" = ")
    assert read(tmp_path, f"{DEFAULT}\n{line}\n") != Choices.default(), (name, value)


def test_a_residual_that_no_unit_has_is_refused(tmp_path: Path) -> None:
    # The first unit of a stage has no residual: its input has another size.
    path = tmp_path / "space.toml"
    path.write_text(changed("depths", "[[1], [1], [1]]") + "\nresidual = [false, true]\n", encoding="utf-8")
    with pytest.raises(InputError, match="residual changes nothing where no stage is deeper than 1"):
        Choices.from_file(path)
    path.write_text(changed("depths", "[[1], [1], [1, 2]]") + "\nresidual = [true]\n", encoding="utf-8")
    assert Choices.from_file(path).residual == (True,)


def test_a_bottleneck_without_v1_is_refused(tmp_path: Path) -> None:
    line = 'bottlenecks = ["1/8", "1/4"]'
    message = refusal(tmp_path, changed("units", '["v2"]') + f"\n{line}\n")
    assert "bottlenecks belongs to the v1 unit, and units are v2: add 'v1' to units, or leave bottlenecks" in message
    assert read(tmp_path, f"{DEFAULT}\n{line}\n").bottlenecks == (Fraction(1, 8), Fraction(1, 4))


def test_the_lines_that_the_default_space_offers_beside_its_own_are_choices(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in DEFAULT.splitlines() if line.startswith("# ") and " = " in line]
    opened = read(tmp_path, "\n".join([DEFAULT, *lines]))
    for line in lines:
        (key, values), *_ = tomllib.loads(line).items()
        assert getattr(opened, key) != getattr(Choices.default(), key)
        assert len(getattr(opened, key)) == len(values) > 1
    optional = {field.name for field in dataclasses.fields(Choices) if field.default is not dataclasses.MISSING}
    assert {line.split(" = ")[0] for line in lines} == optional


@pytest.mark.parametrize(("key", "value", "shown"), IMPOSSIBLE)
def test_an_impossible_choice_is_refused_by_key_and_value(tmp_path: Path, key: str, value: str, shown: str) -> None:
    message = refusal(tmp_path, changed(key, value))
    assert key in message
    assert shown in message


@pytest.mark.parametrize("key", list(tomllib.loads(DEFAULT)))
def test_every_key_must_be_there(tmp_path: Path, key: str) -> None:
    text = "\n".join(line for line in DEFAULT.splitlines() if not line.startswith(f"{key} ="))
    assert key not in tomllib.loads(text)
    assert repr(key) in refusal(tmp_path, text)


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    assert "'grups'" in refusal(tmp_path, DEFAULT + "\ngrups = [1]\n")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path, "units = [")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"space\.toml"):
        Choices.from_file(tmp_path / "space.toml")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        Choices.from_file(tmp_path / "nowhere.toml")
