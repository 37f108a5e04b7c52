"""Names that another library does not promise to keep stand in few modules, are still there, and have a bound."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from builders.places import ROOT

from studies import optuna_internals
from studies.storage.studies import open_storage

FILES = sorted(file for name in ("search_space", "proxies", "studies", "nas") for file in (ROOT / name).rglob("*.py"))
ROOMS = {
    "studies/optuna_internals.py": "optuna",
    "studies/dashboard/annotated_storage.py": "optuna-dashboard",
    "nas/workers/ray_cluster.py": "ray",
    "proxies/export/pte.py": "executorch",
    "proxies/latency/runtimes/executorch_runtime.py": "executorch",
    "proxies/latency/measure.py": "torch",
    "proxies/latency/runtimes/torch_compiled.py": "torch",
    "proxies/training/averaging.py": "torch",
    "proxies/training/sgd.py": "torch",
}
"""A module and the library whose private names it may use."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(tree: ast.Module) -> Iterator[str]:
    """What a module defines: functions, classes, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            yield node.attr


def foreign_names(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """The private names that a module uses and that no module of ours defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            yield node.attr
        if isinstance(node, ast.ImportFrom):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if is_private(part) and part not in own)


def used() -> dict[str, set[str]]:
    trees = {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in FILES}
    own = {name for tree in trees.values() for name in own_names(tree)}
    found = defaultdict(set)
    for file, tree in trees.items():
        for name in foreign_names(tree, own):
            found[file].add(name)
    return dict(found)


def test_a_private_name_of_another_library_stands_in_a_module_that_is_known_for_it() -> None:
    assert used().keys() == ROOMS.keys(), used()


@pytest.mark.parametrize("library", sorted(set(ROOMS.values())))
def test_a_library_whose_private_names_are_used_has_an_upper_bound(library: str) -> None:
    project = tomllib.loads(Path(ROOT, "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    found = [each for each in wanted if re.match(r"[\w-]+", each)[0] == library]  # type: ignore[index]
    assert found
    assert all("<" in each for each in found), found


def test_optunas_tables_and_caches_are_there(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    study = optuna.create_study(storage=storage)
    assert optuna_internals.rdb_of(study) is storage
    assert {name for name in optuna_internals.CACHES if not hasattr(study._storage, name)} == set()
    assert hasattr(study._thread_local, "cached_all_trials")
    tables = sqlalchemy.inspect(storage.engine)
    for ours in (optuna_internals.STUDIES, optuna_internals.TRIALS, optuna_internals.ATTRIBUTES):
        assert {column.name for column in ours.columns} <= {each["name"] for each in tables.get_columns(ours.name)}
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    optuna_internals.set_attribute(study, trial.number, "name", 1)
    assert study.trials[0].user_attrs == {"name": 1}
    assert (optuna_internals.id_of_study(study), optuna_internals.id_of_trial(trial)) == (1, 1)
    study.enqueue_trial({"x": 0.5})
    assert study.trials[1].system_attrs[optuna_internals.FIXED_PARAMS] == {"x": 0.5}


def test_optunas_sessions_join_a_connection_and_go_back(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    assert optuna_internals.connection_of(storage) is None
    with storage.engine.begin() as connection, optuna_internals.sessions_on(storage, connection):
        assert optuna_internals.connection_of(storage) is connection
        optuna.create_study(storage=storage, study_name="one")
        connection.rollback()
    assert optuna_internals.connection_of(storage) is None
    assert optuna.get_all_study_names(storage) == []


def test_rays_private_names_are_there() -> None:
    ray = pytest.importorskip("ray", reason="python -m pip install -e '.[ray]'")
    assert isinstance(ray._private.worker._worker_logs_enabled, bool)
    assert callable(ray._private.services.canonicalize_bootstrap_address)
