"""A search on Windows and on macOS dies of no import, and of no name that their `os` lacks."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.places import ROOT

FILES = sorted(file for name in ("search_space", "proxies", "studies", "nas") for file in (ROOT / name).rglob("*.py"))
POSIX_ONLY = {"crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty"}
LINUX_NAMES = (
    "sched_",
    "getuid",
    "geteuid",
    "getgid",
    "fork",
    "killpg",
    "setsid",
    "getloadavg",
    "setpriority",
    "uname",
)
"""How the names begin that `os` has on Linux, and not on every system."""
MACHINE = "proxies/latency/machine.py"


def is_guarded(node: ast.AST) -> bool:
    """Whether what stands inside runs only where there is such a module."""
    if isinstance(node, ast.Try):
        caught = [handler.type for handler in node.handlers]
        return any(isinstance(each, ast.Name) and each.id in ("ImportError", "ModuleNotFoundError") for each in caught)
    return isinstance(node, ast.If) and "sys.platform" in ast.unparse(node.test)


def posix_imports(node: ast.AST) -> Iterator[str]:
    """Modules that only POSIX has and that are imported whatever the system is."""
    if is_guarded(node):
        return
    if isinstance(node, ast.Import):
        yield from POSIX_ONLY & {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module in POSIX_ONLY:
        yield node.module
    for child in ast.iter_child_nodes(node):
        yield from posix_imports(child)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f():\n    import fcntl", ["fcntl"]),
        ("from pwd import getpwnam", ["pwd"]),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None", []),
        ("if sys.platform != 'win32':\n    import resource", []),
    ],
)
def test_an_import_counts_unless_it_is_guarded(code: str, found: list[str]) -> None:
    assert list(posix_imports(ast.parse(code))) == found


def test_no_module_needs_what_only_posix_has() -> None:
    found = {str(file.relative_to(ROOT)): [*posix_imports(ast.parse(file.read_text()))] for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_names_of_os_that_not_every_system_has_stand_in_one_module() -> None:
    def of(file: Path) -> set[str]:
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)]
        names = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id in ("os", "signal")}
        return {name for name in names if name.startswith((*LINUX_NAMES, "SIGKILL", "SIGALRM", "SIGUSR"))}

    assert {str(file.relative_to(ROOT)) for file in FILES if of(file)} == {MACHINE}


def test_a_system_without_them_gives_cores_a_user_and_a_lock(tmp_path: Path) -> None:
    code = f"""
import os, sys, warnings
warnings.simplefilter("ignore")  # filelock: without fcntl its lock is a file alone
for name in {sorted(POSIX_ONLY - {"posix"})}:
    sys.modules[name] = None
for name in [name for name in dir(os) if name.startswith({LINUX_NAMES}) and name != "uname"]:
    delattr(os, name)
from nas.workers.cores import cores_here
from nas.workers.local import take_place
from nas.workers.ray_actor import Place
from pathlib import Path
from proxies.latency.machine import load_average, quietest_core, raise_priority, user_id
from studies.storage.studies import locked

cores = cores_here()
take_place(cores.of(0), cores.timing)
print(set(cores.training), cores.timing, quietest_core(), user_id(), load_average(), raise_priority())
place = Place(Path({str(tmp_path)!r}))
print(place.folder.is_dir())
place.release()
with locked("sqlite:///{tmp_path}/study.db"):
    print("locked")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (["{None} None None None None ordinary", "True", "locked"], "")
