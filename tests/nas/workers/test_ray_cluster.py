"""Ray actors answer, fail as values, are replaced on another node, and leave no process behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from builders.places import ROOT
from processes.ray_nodes import ECHO, PATHS, Cluster, settings
from processes.waiting import WAIT_SECONDS, until

import nas.workers.engines as engines_module
from nas.workers.engines import ENGINES, check_engine, workers_for
from nas.workers.local import LocalWorker, LocalWorkers, named
from nas.workers.protocol import Failure, Worker, Workers
from search_space import InputError

ray = pytest.importorskip("ray", reason="python -m pip install -e '.[ray]'")

import nas.workers.ray_cluster as ray_workers_module  # noqa: E402
from nas.workers.ray_actor import Place  # noqa: E402
from nas.workers.ray_cluster import RayWorker, RayWorkers, address_to_trust  # noqa: E402

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with two CPUs and what it takes for a GPU; to this process it is the cluster that is up."""
    # Short: the path of a socket may have 107 characters.
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # on the loopback, and no token is to be left in the home folder
        patch.setattr(ray._private.services, "resolve_ip_for_localhost", lambda host: host)
        try:
            cluster.head("--num-cpus=2", "--num-gpus=1")
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(cluster.folder)


def result_of(workers: RayWorkers, worker: Any, *call: Any) -> Any:
    worker.send(*call)
    assert workers.ready([worker], WAIT_SECONDS) == [worker]
    return worker.receive()


@pytest.mark.slow
def test_an_actor_answers_fails_as_a_value_and_is_replaced_when_killed(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with RayWorkers(settings(1), ECHO) as workers:
        assert signal.getsignal(signal.SIGTERM) is on_sigterm
        (worker,) = workers.all
        made_of, folder, has_torch = worker.call("made_of")
        assert (made_of, folder.is_dir(), has_torch) == (settings(1), True, False)
        assert worker.call("threads") == ("1", 1, "0")
        assert len(worker.call("core")) == 1

        assert result_of(workers, worker, "fail", OSError("no space\nleft")) == Failure("OSError: no space left")
        assert result_of(workers, worker, "fail", InputError("no")) == Failure("no", is_input_error=True)
        with pytest.raises(InputError, match=r"^no$"):
            worker.call("fail", InputError("no"))
        with pytest.raises(RuntimeError, match="'OnRay' object has no attribute 'no_such'"):
            worker.call("no_such")
        assert "pickle" in result_of(workers, worker, "unpicklable").cause

        _, pid = worker.call("where")
        os.kill(pid, signal.SIGINT)  # Ctrl-C reaches the whole group
        worker.send("sleep", 2.0)
        assert workers.ready([worker], 0.0) == []
        assert workers.ready([worker], WAIT_SECONDS) == [worker]
        assert worker.receive() == "awake"

        worker.send("sleep", 3600.0)
        assert workers.ready([worker], 0.1) == []
        os.kill(pid, signal.SIGKILL)
        assert workers.ready([worker], WAIT_SECONDS) == [worker]
        workers.replace_dead([worker])
        assert workers.all == [worker], "what it was asked is lost where its end is not received"
        failure = worker.receive()
        assert failure.cause.startswith("The actor is dead because its worker process has died")
        assert "\n" not in failure.cause
        assert not worker.alive
        workers.replace_dead([])
        (other,) = workers.all
        assert other is not worker
        assert other.call("made_of")[1] == folder, "a killed one's place is free"

        os.kill(other.call("where")[1], signal.SIGKILL)  # idle
        until(lambda: not other.alive)
        assert isinstance(result_of(workers, other, "where"), Failure)
        workers.replace_dead([])
        (third,) = workers.all
        assert third.call("sleep", 0.0) == "awake"
        third.send("sleep", 3600.0)  # leaving ends it in the midst of a call
    assert not ray.is_initialized()
    assert capsys.readouterr().out == "", "Ray tells of deaths on stdout, which is for results"


@pytest.mark.slow
def test_a_lost_nodes_call_fails_with_a_cause_and_its_replacement_runs_on_the_other(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_workers_module, "JOIN_SECONDS", WAIT_SECONDS)
    second = cluster.add("--num-cpus=1")
    with RayWorkers(settings(2), ECHO) as workers:
        places = {worker.call("where")[0]: worker for worker in workers.all}
        assert len(places) == 2, "actors run on both nodes"
        here = ray.get_runtime_context().get_node_id()
        survivor, lost = places.pop(here), next(iter(places.values()))

        lost.send("sleep", 3600.0)
        survivor.send("sleep", 2.0)
        assert workers.ready([lost], 0.2) == []
        os.killpg(second.pid, signal.SIGKILL)
        assert workers.ready([lost], WAIT_SECONDS) == [lost]
        failure = lost.receive()
        assert isinstance(failure, Failure)
        assert "node" in failure.cause
        assert "\n" not in failure.cause
        assert workers.ready([survivor], WAIT_SECONDS) == [survivor]
        assert survivor.receive() == "awake"

        until(lambda: workers.replace_dead([]) or len(workers.all) == 2)
        assert survivor in workers.all
        assert lost not in workers.all
        assert {worker.call("where")[0] for worker in workers.all} == {here}
    assert "found room" not in capsys.readouterr().err


@pytest.mark.slow
def test_workers_beyond_what_the_cluster_holds_are_told_of_and_join_a_new_node(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_workers_module, "JOIN_SECONDS", WAIT_SECONDS)
    admit = RayWorkers._admit

    def is_full() -> bool:
        free = ray.available_resources()
        return (free.get("CPU"), free.get("GPU", 0), sum(node["Alive"] for node in ray.nodes())) == (1, 0, 1)

    def admit_one(workers: RayWorkers, seconds: float) -> None:
        """As if the other had waited for long, as soon as the cluster says that the one is in."""
        admit(workers, seconds)
        if workers.all and not workers._is_announced:
            until(is_full)
            monkeypatch.setattr(ray_workers_module, "JOIN_SECONDS", 0.0)

    monkeypatch.setattr(RayWorkers, "_admit", admit_one)
    with RayWorkers(settings(2, "cuda"), ECHO) as workers:
        assert len(workers.all) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "1 of 2 workers have found room; each takes 1 CPU and 1 GPU, and the cluster has 2 CPU (1 free)" in line
        assert "1 GPU (0 free) on 1 node(s)" in line
        node = cluster.add("--num-cpus=1", "--num-gpus=1")
        until(lambda: workers.replace_dead([]) or len(workers.all) == 2)
        assert len({worker.call("where")[0] for worker in workers.all}) == 2
        os.killpg(node.pid, signal.SIGKILL)
        until(lambda: sum(each["Alive"] for each in ray.nodes()) == 1)

    monkeypatch.setattr(RayWorkers, "_admit", admit)
    monkeypatch.setattr(ray_workers_module, "ROOM_SECONDS", 2.0)
    monkeypatch.setattr(ray_workers_module, "GPUS_EACH", 3)
    with pytest.raises(InputError, match=r"room for one worker at least: 0 of 1 .* takes 1 CPU and 3 GPU") as mistake:
        RayWorkers(settings(1, "cuda"), ECHO)
    assert "\n" not in str(mistake.value)
    assert not ray.is_initialized()


@pytest.mark.slow
def test_what_keeps_a_worker_from_being_made_is_told_in_one_line(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, cause in (("processes.evaluators:NotMade", "no such data"), ("no_such_module:Echo", "no_such_module")):
        with RayWorkers(settings(1), name) as workers:
            failure = result_of(workers, workers.all[0], "where")
            assert cause in failure.cause
            assert workers.all[0].alive
    # As on a node without the project: what is sent there is of a module that it has not.
    here_only = ModuleType("here_only")
    exec("class Settings:\n    workers, device = 1, 'cpu'", here_only.__dict__)
    monkeypatch.setitem(sys.modules, "here_only", here_only)
    with pytest.raises(InputError, match=r"this project on every node.*No module named 'here_only'") as mistake:
        RayWorkers(here_only.Settings(), ECHO)
    assert "\n" not in str(mistake.value)


PARENT = """
import sys
import time
from nas.workers.ray_cluster import RayWorkers
from processes.ray_nodes import ECHO, settings
if __name__ == "__main__":
    with RayWorkers(settings(2), ECHO) as workers:
        pids = [worker.call("where")[1] for worker in workers.all]
        workers.all[0].send("sleep", 3600.0)
        try:
            print(*pids, flush=True)
            while True:  # a read that is just about to block would not be ended by Ctrl-C
                time.sleep(0.1)
        except KeyboardInterrupt:
            print(workers.all[1].call("sleep", 0.0), flush=True)
        sys.stdin.readline()
"""


@pytest.mark.slow
def test_without_a_cluster_one_of_this_machine_ends_with_the_coordinator_and_ctrl_c_reaches_only_that(
    tmp_path: Path,
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    own = {"RAY_TMPDIR": str(folder), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    parent = subprocess.Popen(
        [sys.executable, script],
        env={**environment, **own, "PYTHONPATH": PATHS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    cluster = Cluster(folder, [parent])
    try:
        with parent:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(pids) == 2
            os.killpg(parent.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
            assert parent.stdout.readline() == "awake\n"
            assert set(pids) < set(cluster.processes())
            parent.kill()
            until(lambda: not cluster.processes() & set(pids))  # Ray's own agents take another minute
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere"])
def test_a_cluster_that_does_not_answer_is_a_mistake_told_at_once(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "init", lambda *_, **__: pytest.fail("Ray would try for minutes"))
    with pytest.raises(InputError, match=f"needs a cluster that answers; {address} does not .*ray start --head"):
        RayWorkers(settings(1), ECHO)
    assert not ray.is_initialized()


def test_engines_offer_the_same() -> None:
    def public(engine: type) -> set[str]:
        return {name for name in dir(engine) if not name.startswith("_")}

    assert public(RayWorkers) == public(LocalWorkers) == public(Workers)
    assert public(Worker) <= public(LocalWorker) & public(RayWorker)
    assert {name: named(path) for name, path in ENGINES.items()} == {"local": LocalWorkers, "ray": RayWorkers}


def test_an_engine_is_chosen_by_name() -> None:
    with workers_for("local", settings(1), ECHO) as workers:
        assert isinstance(workers, LocalWorkers)
        assert workers.all[0].call("sleep", 0.0) == "awake"
    with pytest.raises(InputError, match="--engine must be one of local, ray, got 'dask'"):
        workers_for("dask", settings(1), ECHO)


def test_where_ray_is_not_installed_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_module, "find_spec", lambda _: None)
    check_engine("local")
    with pytest.raises(InputError, match=r"python -m pip install -e '\.\[ray\]'"):
        workers_for("ray", settings(1), ECHO)


def test_the_coordinating_process_loads_no_torch_and_ray_only_for_its_engine() -> None:
    code = "import sys, nas.workers.engines; print('ray' in sys.modules); "
    code += "import nas.workers.ray_cluster; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_note_of_a_cluster_is_followed_where_this_user_or_root_has_written_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    assert address_to_trust() is None
    note.write_text("127.0.0.1:9")
    assert address_to_trust() is None
    assert capsys.readouterr().err == ""
    note.rename(tmp_path / "elsewhere")
    note.symlink_to(tmp_path / "elsewhere")
    assert address_to_trust() == "local"
    assert "is another user's, and not followed" in capsys.readouterr().err
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    assert address_to_trust() is None


def test_a_place_is_nobody_elses_and_what_a_dead_one_left_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "places"
    root.mkdir()
    first, second = Place(root), Place(root)
    assert first.folder != second.folder
    cores = os.sched_getaffinity(0)
    assert {first.core, second.core} <= cores
    assert first.core != second.core or len(cores) == 1
    (first.folder / "left").touch()
    folder = first.folder
    first.release()
    third = Place(root)
    assert third.folder == folder
    assert list(folder.iterdir()) == []
    third.clear()
    assert not folder.exists()
    for place in (second, third):
        place.release()
