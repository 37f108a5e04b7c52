"""The house: few files a folder, prefixes that are folders, and package docstrings that list what is there."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from builders.places import ROOT

PACKAGES = ("search_space", "proxies", "studies", "nas")
FOLDERS = sorted(file.parent for package in PACKAGES for file in (ROOT / package).rglob("__init__.py"))
MOST_FILES = 14


def members(folder: Path) -> set[str]:
    """The modules and packages of a package, but what runs it as a program."""
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "__main__"}
    return modules | {file.parent.name for file in folder.glob("*/__init__.py")}


def listed(folder: Path) -> list[str]:
    """The members that a package's docstring lists, in order."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return re.findall(r"^- `(\w+)`: \S", text, re.MULTILINE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_package_lists_its_members_in_order(folder: Path) -> None:
    assert listed(folder) == sorted(members(folder))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_is_read_at_a_glance(folder: Path) -> None:
    files = len(list(folder.glob("*.py")))
    assert files <= MOST_FILES or folder == ROOT / "search_space"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_prefix_of_three_files_is_a_folder(folder: Path) -> None:
    prefixes = Counter(name.split("_")[0] for name in members(folder) if "_" in name)
    assert [prefix for prefix, count in prefixes.items() if count >= 3] == []
