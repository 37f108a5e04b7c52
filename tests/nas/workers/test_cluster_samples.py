"""The sample files for Slurm and Kubernetes parse, and the commands in them are ones that nas.run takes."""

import argparse
import os
import subprocess
from pathlib import Path

import pytest
from builders.places import ROOT

from nas.run.__main__ import make_parser
from nas.search.settings import settings_of

yaml = pytest.importorskip("yaml", reason="python -m pip install -e '.[ray]'")

FOLDER = ROOT / "nas/workers/cluster"
SLURM, KUBERNETES = FOLDER / "slurm.sh", FOLDER / "kubernetes.yaml"
STORAGE = "postgresql+psycopg://user@server/nas"


def flags_of(arguments: list[str]) -> argparse.Namespace:
    """The checked flags of `python -m nas.run ...`."""
    assert arguments[:3] == ["python", "-m", "nas.run"]
    flags = make_parser().parse_args(arguments[3:])
    settings_of(flags)
    return flags


def slurm(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script run with an `srun` that prints what it is given, a line each."""
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    srun.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", SLURM], env={"PATH": path, **environment}, capture_output=True, text=True, check=False
    )


def pods() -> list[dict]:
    return [document["spec"]["template"]["spec"] for document in documents() if "template" in document.get("spec", {})]


def documents() -> list[dict]:
    return list(yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8")))


def test_slurm_tasks_run_one_line_that_joins_the_study_and_write_apart(tmp_path: Path) -> None:
    assert subprocess.run(["bash", "-n", SLURM], check=False).returncode == 0
    task = {"NAS_STORAGE": STORAGE, "SLURM_CPUS_PER_TASK": "3"}
    first, second = (flags_of(slurm(tmp_path, **task, SLURM_ARRAY_TASK_ID=n).stdout.splitlines()) for n in "01")
    assert (first.storage, first.workers, first.resume) == (STORAGE, 3, True)
    assert first.out != second.out
    assert {**vars(first), "out": None} == {**vars(second), "out": None}


def test_slurm_without_a_database_says_what_to_set(tmp_path: Path) -> None:
    done = slurm(tmp_path)
    assert done.returncode != 0
    assert "NAS_STORAGE: name the PostgreSQL database" in done.stderr


def test_slurm_requeues_and_ends_a_search_before_its_time_is_up(tmp_path: Path) -> None:
    lines = SLURM.read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    assert {"--requeue", "--open-mode=append", "--time=04:00:00", "--array=0-7"} <= set(asked)
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:]), "sbatch reads none after a command"
    searches = settings_of(flags_of(slurm(tmp_path, NAS_STORAGE=STORAGE).stdout.splitlines())).seconds
    assert searches < 4 * 3600 - 180


def test_kubernetes_starts_a_database_and_a_job_that_runs_one_line() -> None:
    kinds = [document["kind"] for document in documents()]
    assert kinds == ["Secret", "Service", "StatefulSet", "Job"]
    _, service, database, job = documents()
    assert service["spec"]["selector"] == database["spec"]["template"]["metadata"]["labels"]
    assert job["spec"]["parallelism"] == job["spec"]["completions"] > 1
    (container,) = job["spec"]["template"]["spec"]["containers"]
    flags = flags_of([*container["command"], *container["args"]])
    assert flags.storage == f"postgresql+psycopg://nas@{service['metadata']['name']}/nas"
    assert flags.resume
    assert int(container["resources"]["limits"]["cpu"]) == flags.workers


def test_kubernetes_names_the_password_once_and_every_reference_is_to_it() -> None:
    secret = documents()[0]
    references = [
        entry["valueFrom"]["secretKeyRef"]
        for pod in pods()
        for container in pod["containers"]
        for entry in container["env"]
        if "valueFrom" in entry
    ]
    assert references == [{"name": secret["metadata"]["name"], "key": "password"}] * 2
    assert KUBERNETES.read_text(encoding="utf-8").count(secret["stringData"]["password"]) == 1


def test_the_samples_are_installed_with_the_package() -> None:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        assert "cluster/*" in tomllib.load(file)["tool"]["setuptools"]["package-data"]["nas.workers"]
    assert {file.name for file in FOLDER.iterdir()} == {"slurm.sh", "kubernetes.yaml"}
