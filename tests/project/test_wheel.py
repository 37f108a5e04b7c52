"""What `python -m build` makes holds every file of the packages, and works where the checkout is not."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders.places import ROOT
from builders.tables import write_table

pytestmark = pytest.mark.slow
PACKAGES = ("nas", "proxies", "search_space", "studies")


def done(*command: str | Path, folder: Path) -> str:
    """What a command prints that has nothing of the checkout on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source distribution, from a copy: a checkout may hold what an earlier build left."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done(sys.executable, "-m", "build", "--no-isolation", folder=source)
    (built,) = (source / "dist").glob("*.whl")
    assert len(list((source / "dist").glob("*.tar.gz"))) == 1
    return built


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment of its own that holds the wheel and, from the running one, what it depends on."""

    python: Path
    site: Path
    folder: Path

    def run(self, *arguments: str) -> str:
        """What this Python prints."""
        return done(self.python, *arguments, folder=self.folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = tmp_path_factory.mktemp("environment")
    done(sys.executable, "-m", "venv", "--without-pip", environment, folder=environment)
    paths = sysconfig.get_paths("venv", vars={"base": str(environment), "platbase": str(environment)})
    python, site = Path(paths["scripts"]) / Path(sys.executable).name, Path(paths["purelib"])
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    done(*pip, wheel, folder=environment)
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in dependencies), encoding="utf-8")
    return Installed(python, site, tmp_path_factory.mktemp("elsewhere"))


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file()]
    wanted = {file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts}
    assert {f"{package}/py.typed" for package in PACKAGES} <= wanted
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
        licences = [name for name in archive.namelist() if name.endswith("LICENSE") and ".dist-info/" in name]
    assert held == wanted
    assert len(licences) == 2


def test_what_is_installed_is_the_wheels(installed: Installed) -> None:
    printed = installed.run(
        "-c", f"import {', '.join(PACKAGES)}; print({', '.join(f'{p}.__file__' for p in PACKAGES)})"
    )
    assert [Path(path).parents[1] for path in printed.split()] == [installed.site] * len(PACKAGES)


def test_the_installed_commands_help_and_cost(installed: Installed) -> None:
    assert "--budget" in installed.run("-m", "nas.run", "--help")
    assert "v2-1.0x: 144.908 MFLOPs" in installed.run("-m", "nas.cost", "v2-1.0x")


def test_an_installed_search_over_a_table_writes_its_report(installed: Installed) -> None:
    write_table(installed.folder / "table.json", choices=2)
    printed = installed.run("-m", "nas.run", "--scorer", "table:table.json", "--study", "table", "--trials", "5")
    assert "5 of 16 networks scored" in printed
    assert (installed.folder / "runs/table/report.html").is_file()
    assert (installed.folder / "runs/table/front.json").is_file()


def test_the_embedded_images_are_installed(installed: Installed) -> None:
    code = "from proxies.data.load import load; print(len(load('fashion-mnist-12k').train_labels))"
    assert installed.run("-c", code) == "10000\n"
