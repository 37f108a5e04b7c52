"""What others wrote is read within bounds, and refused in a line that names file, key, value and rule."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from search_space import InputError
from search_space.reading import Fields, check_unpacked, parse_json, read_json, read_toml, read_zipped, shown

WHAT = "a note is a JSON file"


def refusal(content: bytes) -> str:
    with pytest.raises(InputError) as refused:
        parse_json(content, WHAT, "'note.json'")
    text = str(refused.value)
    assert text.startswith(f"{WHAT}, and 'note.json' is not ")
    assert "\n" not in text
    assert len(text) < 300
    return text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"stem": 24, "head": 0, "stem": 8}', "the key 'stem' stands twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' stands twice"),
        (b"[NaN]", "'NaN' is no finite number"),
        (b"[-Infinity]", "'-Infinity' is no finite number"),
        (b"[1e999]", "'1e999' is no finite number"),
        (b"[" + b"9" * 10**5 + b"]", "Exceeds the limit"),
        (b"[" * 10**5, "nested too deeply"),
        (b'{"a":' * 10**5, "nested too deeply"),
        ("{}".encode("utf-16"), "UTF-8 but UTF-16"),
        ("{}".encode("utf-16-be"), "UTF-16"),
        (b"\x89PNG", "text in UTF-8"),
        (b"", "Expecting value"),
        (b"{'unit': 1}", "double quotes"),
    ],
)
def test_what_is_no_json_is_refused_with_its_reason(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_a_byte_order_mark_and_a_whole_character_are_read() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}', WHAT, "") == {"a": "\N{GRINNING FACE}"}


def test_a_file_beyond_its_bound_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    with file.open("wb") as sparse:
        sparse.truncate(50 * 10**9)  # of no room on the disk
    with pytest.raises(InputError, match=r"of at most 1 MB, and .*large\.json' is larger"):
        read_json(file, WHAT)


@pytest.mark.parametrize("name", ["nowhere.json", ".", "a\0b"])
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path / name, WHAT)


@pytest.mark.parametrize("content", [b"a = " + b"[" * 10**4, b"a = 1\na = 2", b"\xff\xfea", b"#" * 10**6])
def test_toml_has_bounds_too(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "space.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match="a space is a TOML file"):
        read_toml(file, "a space is a TOML file")


def zipped(file: Path, content: bytes, how: int = zipfile.ZIP_DEFLATED, more: int = 0) -> Path:
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("manifest.json", content)
        for number in range(more):
            archive.writestr(str(number), "")
    return file


def test_of_a_zip_bomb_no_more_than_the_bound_is_unpacked(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", bytes(10**8))
    assert bomb.stat().st_size < 10**6
    with pytest.raises(InputError, match="is larger than 1 MB"):
        read_zipped(bomb, "manifest.json", WHAT)


def test_an_archive_packed_or_filled_as_ours_never_are_is_refused(tmp_path: Path) -> None:
    for file in (
        zipped(tmp_path / "lzma.zip", b"{}", zipfile.ZIP_LZMA),
        zipped(tmp_path / "many.zip", b"{}", more=25_000),
    ):
        with pytest.raises(InputError, match=r"that this project never does|lists more files"):
            read_zipped(file, "manifest.json", WHAT)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 10])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="is no zip archive"):
        read_zipped(tmp_path / "a.zip", "manifest.json", WHAT)


def test_what_is_zipped_is_read(tmp_path: Path) -> None:
    assert read_zipped(zipped(tmp_path / "a.zip", b"{}"), "manifest.json", WHAT) == b"{}"
    with pytest.raises(InputError, match=r"holds no other\.json"):
        read_zipped(tmp_path / "a.zip", "other.json", WHAT)


def test_a_packed_file_of_torchs_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    what = "weights must be a file as torch.save writes it"
    check_unpacked(zipped(tmp_path / "plain.pth", b"{}", zipfile.ZIP_STORED), what)
    check_unpacked(tmp_path / "nowhere.pth", what)
    with pytest.raises(InputError, match=r"packed\.pth' is a packed one"):
        check_unpacked(zipped(tmp_path / "packed.pth", bytes(10**7)), what)


GIVEN = Fields({"n": 3, "x": 0.5, "t": "ab", "f": True, "r": [1], "o": {"n": 1}, "l": [{"n": 2}]}, "'note.json'")


def test_fields_are_taken_by_their_types() -> None:
    assert (GIVEN.whole("n", 1, 3), GIVEN.number("x"), GIVEN.number("n"), GIVEN.text("t")) == (3, 0.5, 3.0, "ab")
    assert (GIVEN.flag("f"), GIVEN.rows("r"), GIVEN.fields("o").plain) == (True, [1], {"n": 1})
    assert [each.whole("n", 0, 9) for each in GIVEN.objects("l")] == [2]
    assert [name for name, _ in Fields({"a": {"b": {}}}, "").each("a")] == ["b"]


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (lambda: GIVEN.value("z"), "'note.json' needs the key 'z', and has ['f', 'l', 'n', 'o', 'r', 't', ...]"),
        (lambda: GIVEN.whole("n", 4, 9), "'n' in 'note.json' must be a whole number from 4 to 9, got 3"),
        (lambda: GIVEN.whole("x", 0, 9), "must be a whole number from 0 to 9, got 0.5"),
        (lambda: GIVEN.whole("f", 0, 9), "must be a whole number from 0 to 9, got True"),
        (lambda: GIVEN.number("n", 5, 9), "must be a number from 5 to 9, got 3"),
        (lambda: GIVEN.number("t"), "must be a number from -1e+18 to 1e+18, got 'ab'"),
        (lambda: GIVEN.text("n"), "must be a text of at most 1000 characters, got 3"),
        (lambda: GIVEN.text("t", longest=1), "must be a text of at most 1 characters, got 'ab'"),
        (lambda: GIVEN.text("t", pattern="[0-9]+"), "must be a text like [0-9]+, got 'ab'"),
        (lambda: Fields({"t": "\ud800"}, "").text("t"), "got '\\ud800'"),
        (lambda: list(Fields({"o": {"\0": {}}}, "").each("o")), "must be a text, got '\\x00'"),
        (lambda: GIVEN.flag("n"), "must be true or false, got 3"),
        (lambda: GIVEN.rows("r", 0), "must be a list of at most 0 values, got [1]"),
        (lambda: GIVEN.fields("r"), "'r' in 'note.json' must be a JSON object, got [1]"),
        (lambda: GIVEN.objects("r"), "r[0] in 'note.json' must be a JSON object, got 1"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_file_key_value_and_rule(take: Any, said: str) -> None:
    with pytest.raises(InputError) as refused:
        take()
    assert said in str(refused.value)


def test_a_value_is_shown_short_however_large_it_is() -> None:
    large = json.loads("[" + ",".join(["0"] * 1000) + "]")
    assert all(len(shown(value)) < 120 for value in (large, "x" * 10**6, 10**5000, {str(n): large for n in range(99)}))
    assert shown(16**5000) == "a number of 20001 bits"
