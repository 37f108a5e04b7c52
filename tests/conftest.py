import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.images import write_images
from builders.places import ROOT, TESTS, WAIT_SECONDS
from processes import postgresql
from processes.browser import opened
from sqlalchemy import Engine

from studies.storage.database import engine_of

Run = subprocess.CompletedProcess[str]

# Here, before torch is imported, and in all that a test starts: of two threads on a busy core each waits for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_images(tmp_path / "images")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Builds a command line of a project module that runs in tmp_path, whatever directory pytest was started in."""
    monkeypatch.chdir(tmp_path)
    paths = [str(ROOT), str(TESTS), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths).rstrip(os.pathsep))
    return lambda module, *arguments: [sys.executable, "-m", module, *map(str, arguments)]


@pytest.fixture
def briefly(command: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The same for a module whose latencies are not what the test is about: they take a moment, and are never noisy."""
    return lambda module, *arguments: command("processes.briefly", module, *arguments)


@pytest.fixture
def run(command: Callable[..., list[str]]) -> Callable[..., Run]:
    """Runs a project module in tmp_path and gives back what it printed."""
    return lambda module, *arguments: subprocess.run(
        command(module, *arguments), capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
    )


@pytest.fixture
def run_briefly(run: Callable[..., Run]) -> Callable[..., Run]:
    """The same with latencies that take a moment."""
    return lambda module, *arguments: run("processes.briefly", module, *arguments)


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of this session's own; whoever stops it starts it again."""
    if reason := postgresql.missing():
        pytest.skip(reason)
    started = postgresql.Server()
    yield started
    started.remove()


@pytest.fixture
def server_url(server: postgresql.Server) -> str:
    """The URL of an empty database on a PostgreSQL server."""
    server.empty()
    return server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("server_url"))
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def database(url: str) -> Iterator[Engine]:
    """An engine on an empty database of either kind."""
    engine = engine_of(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser for all pages of a test run; `browser.show` sets anew what a test before may have left."""
    with opened(tmp_path_factory.mktemp("profile")) as started:
        yield started
