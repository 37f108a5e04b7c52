"""What holds between the packages, and of every public name."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.places import ROOT

PACKAGES = ("search_space", "proxies", "studies", "nas")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
HEAVY = ("torch", "torchvision", "onnxruntime", "onnx", "fvcore")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def modules_of(package: str) -> list[str]:
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in FILES if file.parts[-1] != "__main__.py"
    ]
    return [name.removesuffix(".__init__") for name in names if name.split(".")[0] == package]


def test_imports_go_one_way() -> None:
    done = python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["ruff check", "ruff format --check", "mypy"])
def test_the_projects_own_tools_find_nothing(tool: str) -> None:
    done = subprocess.run([sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_space_alone_loads_nothing_but_the_standard_library() -> None:
    modules = modules_of("search_space")
    assert "search_space.cost" in modules
    done = python(
        f"import sys; before = set(sys.modules); import {', '.join(modules)}\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(loaded - set(sys.stdlib_module_names)))"
    )
    assert (done.stdout.strip(), done.stderr) == ("['search_space']", "")


def test_studies_load_no_torch() -> None:
    modules = modules_of("studies") or ["search_space"]
    done = python(f"import sys, {', '.join(modules)}; print(sorted(set({HEAVY}) & set(sys.modules)))")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None:
                yield node.name
            for member in node.body if isinstance(node, ast.ClassDef) else ():
                is_public = isinstance(member, ast.FunctionDef) and not member.name.startswith("_")
                if is_public and ast.get_docstring(member) is None:
                    yield f"{node.name}.{member.name}"


def test_the_check_for_docstrings_finds_what_lacks_one() -> None:
    code = 'def f(): pass\nclass C:\n  "doc"\n  def m(self): pass\n  def _p(self): pass\ndef _g(): pass\n'
    assert list(undocumented(ast.parse(code))) == ["f", "C.m"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_public_name_has_a_docstring(file: Path) -> None:
    assert list(undocumented(ast.parse(file.read_text(encoding="utf-8")))) == []


def test_the_packages_are_found() -> None:
    assert {"search_space", "proxies"} <= {file.relative_to(ROOT).parts[0] for file in FILES}
