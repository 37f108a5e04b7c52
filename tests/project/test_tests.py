"""The house of the tests: short files that need no other, and helpers that are listed where they stand."""

import ast
import re
from pathlib import Path

import pytest
from builders.places import ROOT, TESTS

FILES = sorted(TESTS.rglob("test_*.py"))
MOST_LINES = 400


def imported(file: Path) -> set[str]:
    """The first names of all modules that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[0] for name in [*plain, *(n.module or "" for n in nodes if isinstance(n, ast.ImportFrom))]}


def test_no_file_imports_a_test_file_or_fixtures() -> None:
    names = {file.stem for file in FILES} | {"conftest"}
    found = {str(file.relative_to(ROOT)): imported(file) & names for file in sorted(TESTS.rglob("*.py"))}
    assert {file: wrong for file, wrong in found.items() if wrong} == {}


def test_no_two_test_files_share_a_name() -> None:
    assert len({file.stem for file in FILES}) == len(FILES)


def test_no_test_file_is_too_long_to_read() -> None:
    lines = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("name", ["builders", "processes"])
def test_helpers_are_listed_in_order(name: str) -> None:
    folder = TESTS / name
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert re.findall(r"^- `(\w+)`: \S", text, re.MULTILINE) == sorted(
        file.stem for file in folder.glob("*.py") if file.stem != "__init__"
    )


def test_where_the_project_is_stands_in_one_place() -> None:
    found = [file for file in TESTS.rglob("*.py") if "Path(__file__)" in file.read_text(encoding="utf-8")]
    beside = {file for file in found if file.parent.name == "benchmarks"}  # programs, which are run from anywhere
    assert set(found) - beside == {TESTS / "builders" / "places.py", Path(__file__)}
