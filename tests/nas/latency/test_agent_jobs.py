"""What whoever writes a study's database can have an agent do: time ONNX files that are whole, and nothing else."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from nas.latency import agent as latency_agent
from nas.latency.agent import Agent, NetworkFiles
from nas.latency.agent_jobs import SentNetwork, job_of
from proxies.latency.measure import Prepared, prepare
from proxies.latency.plain_onnx import check_plain_onnx
from proxies.latency.protocol import TIMINGS
from proxies.latency.runtimes import AGENT_RUNTIMES, RUNTIMES
from search_space import InputError
from studies.ledger.latency_queue import FAILED, LatencyQueue
from studies.storage.database import engine_of

SHA = "0123456789abcdef" * 4


def request(*path: str, value: Any = None) -> dict[str, Any]:
    """A job that is right, but for the field at the path."""
    network = {
        **{"sha256": SHA, "shape": [1, 3, 32, 32], "runtime": "onnxruntime", "device": "cpu"},
        "expected": {"seed": 0, "values": [[0.5, -1.0]], "allowed": [1e-4]},
    }
    whole: dict[str, Any] = {
        "candidate": {**network, "expected": dict(network["expected"])},  # type: ignore[call-overload]
        "reference": dict(network),
        "timing": asdict(TIMINGS["quick"]),
        "reference_ms": 2.5,
        "seed": 0,
    }
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    if path:
        inner[path[-1]] = value
    return whole


def test_a_job_that_is_right_is_read_as_it_was_sent() -> None:
    job = job_of(request())
    assert (job.candidate.sha256, job.timing, job.reference_ms) == (SHA, TIMINGS["quick"], 2.5)
    assert job.candidate.network.shape == (1, 3, 32, 32)
    assert job.candidate.network.file == ""
    assert job_of(request("reference_ms", value=None)).reference_ms is None


def test_the_precision_is_sent_where_it_is_int8() -> None:
    assert job_of(request()).candidate.network.precision == "fp32"
    assert job_of(request("candidate", "precision", value="int8")).candidate.network.precision == "int8"
    with pytest.raises(InputError, match=r"'precision' in .* must be one of fp32, int8, got 'int4'"):
        job_of(request("candidate", "precision", value="int4"))


def test_agents_take_runtimes_that_read_onnx_files_and_no_others() -> None:
    assert {RUNTIMES[name].suffix for name in AGENT_RUNTIMES} == {".onnx"}
    for name in RUNTIMES.keys() - set(AGENT_RUNTIMES):
        with pytest.raises(InputError, match="'runtime' in 'candidate' in a job must be one of onnxruntime"):
            job_of(request("candidate", "runtime", value=name))


HUGE = "x" * 1_000_000
NAMES = (
    "/etc/passwd",
    "../x",
    f"../{SHA}",
    SHA.upper(),
    SHA + "\n",
    SHA[:-1],
    f"{SHA}/x",
    f"\0{SHA[1:]}",
    HUGE,
    7,
    None,
)
NO_NUMBERS = ("1", True, float("nan"), float("inf"), -1, 10**400, [], {}, HUGE)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_file_is_named_by_its_sha256(name: Any) -> None:
    with pytest.raises(InputError, match="'sha256' in 'candidate' in a job must be"):
        job_of(request("candidate", "sha256", value=name))


@pytest.mark.parametrize(
    "path",
    [
        *((where, what) for where in ("candidate", "reference") for what in ("shape", "expected", "runtime", "device")),
        *(("candidate", "expected", what) for what in ("values", "allowed", "seed")),
        *(("timing", what) for what in asdict(TIMINGS["quick"])),
        *((what,) for what in ("candidate", "reference", "timing", "reference_ms", "seed")),
    ],
    ids="/".join,
)
def test_each_field_has_a_type_and_bounds(path: tuple[str, ...]) -> None:
    for value in (*NO_NUMBERS, [HUGE], [1e400], [[float("nan")]]):
        with pytest.raises((InputError, ValueError)) as caught:
            job_of(request(*path, value=value))
        assert len(str(caught.value)) < 500
    whole = request()
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    if path != ("reference_ms",):  # which may be left open
        with pytest.raises(InputError, match=r"needs the key"):
            job_of(whole)


@pytest.mark.parametrize("whole", [None, 7, [], "x", {}, {"candidate": {}}])
def test_what_is_no_job_is_refused(whole: Any) -> None:
    with pytest.raises(InputError):
        job_of(whole)


def test_settings_for_the_runtime_are_refused() -> None:
    for path in ((), ("candidate",), ("timing",)):
        with pytest.raises(InputError, match="has no key 'session_options'"):
            job_of(request(*path, "session_options", value={"register_custom_ops_library": "/tmp/evil.so"}))


def test_an_input_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(InputError, match="must be \\(n, c, h, w\\), of at most"):
        job_of(request("candidate", "shape", value=[1, 3, 65_536, 65_536]))


# Files


def relu(**changes: Any) -> onnx.ModelProto:
    """A network of one operator, with one weight beside it."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    node = helper.make_node("Relu", ["x"], ["y"], domain=changes.get("domain", ""))
    weight = numpy_helper.from_array(torch.zeros(1).numpy(), "w")
    return helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight]))


def with_weights_elsewhere(where: str) -> onnx.ModelProto:
    model = relu()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=where)
    return model


def in_a_branch(model: onnx.ModelProto) -> onnx.ModelProto:
    """A network that has the other one in an attribute of an operator."""
    outer = relu()
    outer.graph.node[0].attribute.append(helper.make_attribute("then_branch", model.graph))
    return outer


def test_a_file_that_is_whole_is_taken(tmp_path: Path) -> None:
    check_plain_onnx(relu().SerializeToString())
    check_plain_onnx(Path(prepared(tmp_path, 4).file).read_bytes())


@pytest.mark.parametrize("where", ["/etc/passwd", "../../x", "weights.bin"])
def test_weights_in_another_file_are_refused(where: str) -> None:
    for model in (with_weights_elsewhere(where), in_a_branch(with_weights_elsewhere(where))):
        with pytest.raises(InputError, match="lie in another file"):
            check_plain_onnx(model.SerializeToString())


@pytest.mark.parametrize("domain", ["com.microsoft", "my.library", "trt.plugins"])
def test_operators_that_are_not_onnxs_own_are_refused(domain: str) -> None:
    for model in (relu(domain=domain), in_a_branch(relu(domain=domain))):
        with pytest.raises(InputError, match="must be ONNX's own"):
            check_plain_onnx(model.SerializeToString())


def test_settings_that_a_file_brings_are_refused() -> None:
    model = relu()
    helper.set_model_props(model, {"ort_config": "{}"})
    with pytest.raises(InputError, match="runtime's settings"):
        check_plain_onnx(model.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"no network", b"\x80\x04."])
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="must be an ONNX file"):
        check_plain_onnx(content)


def sent(content: bytes, kept: dict[str, bytes]) -> SentNetwork:
    name = hashlib.sha256(content).hexdigest()
    kept[name] = content
    return SentNetwork(name, job_of(request()).candidate.network)


def test_files_are_written_for_nobody_else_and_only_those_are_removed(tmp_path: Path) -> None:
    theirs = tmp_path / "mine.txt"
    theirs.write_text("mine")
    kept: dict[str, bytes] = {}
    files = NetworkFiles(tmp_path, kept.__getitem__)
    whole = [sent(helper_of(number), kept) for number in range(6)]
    written = Path(files.of(whole[0]).file)
    assert written.stat().st_mode & 0o777 == 0o600
    for each in whole[1:]:
        files.of(each)
    assert len(list(tmp_path.glob("*.onnx"))) == latency_agent.MOST_FILES
    for each in whole:
        files.drop(each.sha256)
    assert list(tmp_path.iterdir()) == [theirs]


def helper_of(number: int) -> bytes:
    model = relu()
    model.graph.name = f"g{number}"
    return model.SerializeToString()


def test_a_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    one = sent(helper_of(0), kept)
    target = tmp_path / "target"
    (tmp_path / f"{one.sha256}.onnx").symlink_to(target)
    with pytest.raises(FileExistsError):
        NetworkFiles(tmp_path, kept.__getitem__).of(one)
    assert not target.exists()


# The agent


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LatencyQueue]:
    monkeypatch.setattr(latency_agent, "POLL_SECONDS", 0.05)
    engine = engine_of(f"sqlite:///{tmp_path}/study.db")
    yield LatencyQueue(engine)
    engine.dispose()


class Harm:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.file),)


def prepared(folder: Path, width: int) -> Prepared:
    return prepare(nn.Sequential(nn.Conv2d(3, width, 3)).eval(), folder / str(width), resolution=32)


def test_a_bad_job_fails_with_its_cause_and_the_agent_goes_on(queue: LatencyQueue, tmp_path: Path) -> None:
    torch.save(Harm(tmp_path / "harmed"), tmp_path / "evil.pt")
    evil = queue.put_file((tmp_path / "evil.pt").read_bytes())
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(relu().SerializeToString())
    elsewhere = queue.put_file(with_weights_elsewhere(str(mine)).SerializeToString())
    jobs = [
        {**request("candidate", "runtime", value="torch")},
        request("candidate", "sha256", value=str(mine.with_suffix(""))),
        request("candidate", "sha256", value=evil),
        request("candidate", "sha256", value=elsewhere),
        request("candidate", "sha256", value="f" * 64),
        {"candidate": "\x1b[2J\0"},
        {"long": "x" * 5_000_000},
    ]
    for number, job in enumerate(jobs, start=1):
        assert queue.post("pi", job) == number
    with queue._engine.begin() as connection:
        row = "INSERT INTO latency_jobs (device, request, state, agent, cause) VALUES ('pi', ?, 'waiting', '', '')"
        for text in ("{", "[" * 100_000, "NaN", "1" * 5000):
            connection.exec_driver_sql(row, (text,))
    lines: list[str] = []
    assert Agent(queue, "pi", lines.append).serve(idle_seconds=0.3) == len(jobs) + 4
    causes = [queue.answer(number) for number in range(1, len(jobs) + 5)]
    assert {answer.state for answer in causes} == {FAILED}
    for answer, words in zip(
        causes,
        ["one of onnxruntime", "must be a text like", "must be an ONNX file", "another file", "missing or damaged"],
        strict=False,
    ):
        assert words in answer.cause
    assert all(line.isprintable() and len(line) < 1200 for line in lines)
    assert not (tmp_path / "harmed").exists()
    assert mine.exists()


def test_a_file_that_is_not_what_its_name_says_is_not_run(queue: LatencyQueue) -> None:
    name = queue.put_file(relu().SerializeToString())
    with queue._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE latency_files SET content = ?", (b"another",))
    queue.post("pi", request("candidate", "sha256", value=name))
    Agent(queue, "pi", lambda _: None).serve(idle_seconds=0.2)
    assert "missing or damaged" in queue.answer(1).cause


def test_a_file_beyond_all_bounds_is_not_read(queue: LatencyQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    name = queue.put_file(bytes(1000))
    monkeypatch.setattr("studies.ledger.latency_queue.MOST_FILE_BYTES", 999)
    with pytest.raises(LookupError, match="must have 999 bytes at the most"):
        queue.file(name)
    with pytest.raises(ValueError, match="999 bytes at the most"):
        queue.put_file(bytes(1001))
