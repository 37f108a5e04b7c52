"""What modules import, anywhere in a file: no circles, and no command."""

import ast
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import pytest
from builders.places import ROOT

PACKAGES = ("search_space", "proxies", "studies", "nas")
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in PACKAGES
    for file in (ROOT / package).rglob("*.py")
}
COMMANDS = {name for name in MODULES if name.endswith(".__main__")} | {"nas.cost"}


def imported(tree: ast.AST, known: Collection[str]) -> Iterator[str]:
    """The modules that a file imports, in functions too, or names as "module:name"; but for annotations alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield from ([member] if member in known else [node.module] if node.module in known else [])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.partition(":")[0] in known:
            yield from [node.value.partition(":")[0]] if ":" in node.value else []
        yield from imported(node, known)


GRAPH = {
    name: sorted(set(imported(ast.parse(file.read_text(encoding="utf-8")), MODULES)) - {name})
    for name, file in MODULES.items()
}


def circle_of(graph: Mapping[str, list[str]]) -> list[str]:
    """Modules each of which imports the next, the last one the first; none where there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_are_found_wherever_they_stand() -> None:
    code = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nas.run.run\n"
        "def f():\n    from nas.search import loop\n    from search_space.budget import Budget\n"
        "NAME = 'nas.workers.local:Workers'\nTEXT = 'nas.cost'\n"
    )
    assert list(imported(ast.parse(code), MODULES)) == ["nas.search.loop", "search_space.budget", "nas.workers.local"]


def test_a_circle_is_found() -> None:
    assert set(circle_of({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})) == {"a", "b", "c"}
    assert circle_of({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle_of(GRAPH) == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_is_a_leaf(command: str) -> None:
    assert [name for name, found in GRAPH.items() if command in found] == []
