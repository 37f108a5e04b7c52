"""A search and an agent on one database: what is asked is measured, and whatever goes wrong is told in one line."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes.waiting import WAIT_SECONDS, until
from sqlalchemy.exc import OperationalError
from torch import nn

from nas.latency import __main__ as latency
from nas.latency import agent as latency_agent
from nas.latency.agent import Agent
from nas.workers import remote_device
from nas.workers.remote_device import RemoteDevice
from proxies.latency.measure import Prepared, Timing, prepare
from search_space import InputError
from studies.ledger.latency_queue import LatencyQueue
from studies.storage.database import engine_of

SHORT = Timing(processes=2, max_processes=2, rounds=2, runs=5, warmup_runs=2, least_rounds=2, tolerance=1.0)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[LatencyQueue]:
    engine = engine_of(f"sqlite:///{tmp_path}/study.db")
    yield LatencyQueue(engine)
    engine.dispose()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_device, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(latency_agent, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(latency_agent, "BEAT_SECONDS", 0.1)


def prepared(folder: Path, width: int, precision: str = "fp32") -> Prepared:
    network = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3)).eval()
    return prepare(network, folder / str(width), resolution=32, precision=precision)


@contextmanager
def serving(queue: LatencyQueue, lines: list[str]) -> Iterator[None]:
    """An agent in a thread; it ends when another one speaks for its device, and no sooner."""
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(Agent(queue, "pi", lines.append).serve)
        until(lambda: queue.beats("pi"))
        try:
            yield
        finally:
            assert not served.done()
            queue.register("pi", "another", {})
        with pytest.raises(InputError, match="another one now speaks for 'pi'"):
            served.result()


@pytest.mark.slow
def test_a_device_measures_what_a_search_asks_for(queue: LatencyQueue, tmp_path: Path) -> None:
    lines: list[str] = []
    candidate, reference = prepared(tmp_path, 64), prepared(tmp_path, 4)
    with serving(queue, lines):
        device = RemoteDevice(queue, "pi", timeout_seconds=WAIT_SECONDS)
        found = device.compare(candidate, reference, timing=SHORT, reference_ms=1.0, seed=3)
        assert found.latency_ms == found.ratio > 1
        assert (found.runtime, found.resolution, found.processes) == ("onnxruntime", 32, 2)
        same = device.compare(reference, reference, timing=SHORT)
        assert same.latency_ms == same.p10_ms
    assert [line.partition(":")[0] for line in lines] == ["job 1", "job 2"]
    assert queue.file(queue.put_file(Path(reference.file).read_bytes()))
    with pytest.raises(LookupError):  # a candidate does not stay in the storage
        queue.file(__import__("hashlib").sha256(Path(candidate.file).read_bytes()).hexdigest())


@pytest.mark.slow
def test_a_device_measures_networks_in_int8(queue: LatencyQueue, tmp_path: Path) -> None:
    candidate, reference = (prepared(tmp_path, width, "int8") for width in (64, 4))
    with serving(queue, []):
        found = RemoteDevice(queue, "pi", timeout_seconds=WAIT_SECONDS).compare(candidate, reference, timing=SHORT)
    assert (found.runtime, found.precision) == ("onnxruntime", "int8")


@pytest.mark.slow
def test_a_network_that_fails_on_the_device_is_told_with_its_cause_and_the_agent_goes_on(
    queue: LatencyQueue, tmp_path: Path
) -> None:
    reference = prepared(tmp_path, 4)
    wrong = dataclasses.replace(
        prepared(tmp_path, 8), expected=dataclasses.replace(reference.expected, values=((1e9,) * 1000,))
    )
    with serving(queue, []):
        device = RemoteDevice(queue, "pi", timeout_seconds=WAIT_SECONDS)
        with pytest.raises(RuntimeError, match=r"^device 'pi' could not measure: RuntimeError: .*WrongOutput"):
            device.compare(wrong, reference, timing=SHORT)
        assert device.compare(reference, reference, timing=SHORT).latency_ms > 0


def test_a_device_without_an_agent_is_waited_for_and_then_told_how_to_start_one(
    queue: LatencyQueue, tmp_path: Path
) -> None:
    reference = prepared(tmp_path, 4)
    with pytest.raises(
        RuntimeError, match=r"no agent of that name ever asked.*python -m nas\.latency agent --device pi"
    ):
        RemoteDevice(queue, "pi", timeout_seconds=0.2).compare(reference, reference, timing=SHORT)
    assert queue.claim("pi", "late") is None  # nobody measures what nobody waits for


def test_a_device_that_vanishes_in_mid_measurement_is_told(
    queue: LatencyQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_device, "SILENT_SECONDS", 0.3)
    reference = prepared(tmp_path, 4)
    queue.register("pi", "gone", {})
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(until, lambda: queue.claim("pi", "gone"))
        with pytest.raises(RuntimeError, match=r"device 'pi' vanished in mid-measurement: no sign of life for \d+ s"):
            RemoteDevice(queue, "pi", timeout_seconds=WAIT_SECONDS).compare(reference, reference, timing=SHORT)
        taken.result()


def test_an_agent_whose_name_another_one_takes_ends(queue: LatencyQueue) -> None:
    with serving(queue, []):
        pass
    assert queue.beats("pi") == ("another", 0)


def test_an_agent_outlasts_a_database_that_is_away_for_a_while(
    queue: LatencyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    fails = iter([True, True, False])

    def claim(device: str, agent: str) -> None:
        if next(fails, False):
            raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(queue, "claim", claim)
    assert Agent(queue, "pi", lines.append).serve(idle_seconds=2.0) == 0
    assert lines == ["the database cannot be reached, trying again: server closed the connection"] * 2


def test_a_database_that_stays_away_ends_the_agent(queue: LatencyQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(device: str, agent: str) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(queue, "claim", claim)
    with pytest.raises(OperationalError):
        Agent(queue, "pi", lambda _: None).serve(retry_seconds=0.2)


def test_the_agents_flags_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert latency.main(["agent", "--storage", "sqlite:///x.db", "--device", "pi", "--idle", "soon"]) == 2
    assert "--idle must be a number above 0 with s, m or h" in capsys.readouterr().err
