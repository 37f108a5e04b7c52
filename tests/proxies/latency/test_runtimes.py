"""Every runtime computes what torch computes, on one thread; a file that does not is refused, and so is a runtime."""

import copy
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from importlib.metadata import PackageNotFoundError
from itertools import product
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
import torch
from builders.places import ROOT
from torch import nn

from proxies import build
from proxies.backbone import deployed
from proxies.latency import runtimes
from proxies.latency.measure import expected_of
from proxies.latency.onnx_session import session_of
from proxies.latency.output_check import Expected, WrongOutput, example
from proxies.latency.runtimes import RUNTIMES, Loaded, check_runtime, openvino_runtime
from search_space import Architecture, Stage
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER

SHAPE = (1, 3, 64, 64)
SEED = 3
GROUPS = (1, 2, 3, 4, 8)
SPLITS = tuple(Fraction(text) for text in ("1/4", "1/3", "1/2", "2/3", "3/4"))
PAIRS = [*product(GROUPS, SPLITS), (3, SPLITS[1]), (8, SPLITS[2])]
QUICK = ("onnxruntime", "torch")
COMPILED = "v1-1"
COMPILED_BACKBONE = f"{COMPILED} as a backbone"
"""What is compiled here, for 12 s each. Inductor is given torch's own operators: unlike the others, no other format."""


def v2(number: int) -> Architecture:
    """Three of the pairs, a stage each; the other options change from network to network and stage to stage."""
    stages = (
        Stage(2, 24 * split.denominator, groups, split, kernel=(3, 5, 7)[(number + place) % 3], se=place == number % 3)
        for place, (groups, split) in enumerate(PAIRS[3 * number : 3 * number + 3])
    )
    return Architecture(
        unit="v2",
        stem=24,
        head=64 * (number % 2),
        stages=tuple(stages),
        activation=("relu", "hardswish")[number % 2],
        residual=number % 3 == 1,
        pre_depthwise=number % 4 == 1,
    )


def v1(groups: tuple[int, int, int], activation: str) -> Architecture:
    stages = (Stage(2, 96 << place, one, kernel=3 + 2 * place, se=place == 1) for place, one in enumerate(groups))
    return Architecture("v1", stem=24, head=0, stages=tuple(stages), activation=activation)


ARCHITECTURES = {f"v2-{number}": v2(number) for number in range(9)}
ARCHITECTURES |= {"v1-0": v1((1, 2, 3), "relu"), "v1-1": v1((4, 8, 3), "hardswish")}
BACKBONES = {f"{name} as a backbone": ARCHITECTURES[name] for name in ("v2-1", "v1-1")}
"""These have three outputs, in which the maps of the middle are read on."""


def with_noise(network: nn.Module) -> nn.Module:
    """The network, whose batch norms then have the statistics of noise; as initialised they hide most of the image."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.from_numpy(example((4, *SHAPE[1:]), SEED)))
    return network.eval()


@cache
def network_of(name: str) -> nn.Module:
    if name in BACKBONES:
        return with_noise(deployed(BACKBONES[name], NO_CLASSIFIER))
    return with_noise(build(ARCHITECTURES[name], num_classes=100))


@cache
def expected(name: str, precision: str) -> Expected:
    return expected_of(network_of(name), SHAPE, precision, SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def load(runtime: str, name: str, folder: Path) -> Loaded:
    """The network in the runtime; runtimes that read one format share the file."""
    if runtime == "torch-compiled" and name not in (COMPILED, COMPILED_BACKBONE):
        pytest.skip(f"only {COMPILED} is compiled here")
    row = RUNTIMES[runtime]
    file = folder / f"{name}{row.suffix}"
    if not file.exists():
        row.write(network_of(name), file, SHAPE, "cpu")
    try:
        return row.load(file, SHAPE, "cpu", example(SHAPE, SEED))
    except RuntimeError as error:
        if "this processor must compute in" not in str(error):
            raise
        pytest.skip(str(error))


def on_cpu() -> list[object]:
    """The runtimes of the CPU; one that is not installed is skipped with the line that installs it.

    Those whose files other programs convert, or that compile what they load, are slow.
    """
    rows = []
    for name, row in RUNTIMES.items():
        line = f"python -m pip install -e '.[{row.extra}]'"
        if "cpu" in row.devices:
            slow = () if name in QUICK else (pytest.mark.slow,)
            rows.append(pytest.param(name, marks=(pytest.mark.skipif(bool(row.missing()), reason=line), *slow)))
    return rows


each_runtime = pytest.mark.parametrize("runtime", on_cpu())


# What is computed


def test_the_networks_hold_every_group_count_and_split() -> None:
    stages = {unit: [s for a in ARCHITECTURES.values() if a.unit == unit for s in a.stages] for unit in ("v1", "v2")}
    assert {(stage.groups, stage.split) for stage in stages["v2"]} == set(product(GROUPS, SPLITS))
    assert {stage.groups for stage in stages["v1"]} == set(GROUPS)
    options = [(a.activation, a.residual, a.pre_depthwise) for a in ARCHITECTURES.values() if a.unit == "v2"]
    assert [set(values) for values in zip(*options, strict=True)] == [
        {"relu", "hardswish"},
        {True, False},
        {True, False},
    ]
    assert {(stage.kernel, stage.se) for stage in stages["v2"]} == set(product((3, 5, 7), (True, False)))


@each_runtime
@pytest.mark.parametrize("name", [*ARCHITECTURES, *BACKBONES])
def test_the_runtime_computes_what_torch_computes(name: str, runtime: str, folder: Path) -> None:
    loaded = load(runtime, name, folder)
    expected(name, RUNTIMES[runtime].precision).check(loaded.outputs())
    loaded.timed()
    expected(name, RUNTIMES[runtime].precision).check(loaded.outputs())


def stem_a_tenth_larger(network: nn.Module) -> None:
    next(network.parameters()).data.mul_(1.1)


def stem_channels_swapped(network: nn.Module) -> None:
    weight = next(network.parameters()).data
    weight[[0, 1]] = weight[[1, 0]]


def shuffles_left_out(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ChannelShuffle):
                parent.add_module(name, nn.Identity())


@each_runtime
@pytest.mark.parametrize("change", [stem_a_tenth_larger, stem_channels_swapped, shuffles_left_out])
@pytest.mark.parametrize("name", ["v2-1", "v1-1"])
def test_a_file_of_other_weights_or_without_shuffles_is_refused(name, change, runtime: str, folder: Path) -> None:
    # The file is right and what is expected of it is wrong: as good, and nothing need be written twice.
    other = copy.deepcopy(network_of(name))
    change(other)
    if runtime == "torch-compiled":
        pytest.skip("what is compiled takes 12 s for each process of the tests, and has one test")
    wrong = expected_of(other, SHAPE, RUNTIMES[runtime].precision, SEED)
    outputs = load(runtime, name, folder).outputs()
    with pytest.raises(WrongOutput, match="must give torch's outputs to within"):
        wrong.check(outputs)


def test_in_float32_a_tenth_on_one_tensor_of_weights_is_refused_at_every_depth(folder: Path) -> None:
    outputs = load("onnxruntime", "v1-1", folder).outputs()
    places = [number for number, one in enumerate(network_of("v1-1").parameters()) if one.dim() > 1]
    for place in places[:: len(places) // 8]:
        other = copy.deepcopy(network_of("v1-1"))
        list(other.parameters())[place].data.mul_(1.1)
        with pytest.raises(WrongOutput):
            expected_of(other, SHAPE, "float32", SEED).check(outputs)


def test_averages_that_count_the_padding_are_the_same_with_the_padding_apart() -> None:
    executorch_runtime = pytest.importorskip("proxies.latency.runtimes.executorch_runtime")
    network = nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.AvgPool2d((3, 5), 1, (1, 2)), nn.AvgPool2d(3, 1))
    x = torch.from_numpy(example((2, 3, 15, 17), SEED))
    changed = executorch_runtime.with_pools_unpadded(network)
    torch.testing.assert_close(changed(x), network(x))
    assert [type(module).__name__ for module in changed] == ["Sequential", "Sequential", "AvgPool2d"]


# Threads


@pytest.mark.slow
@each_runtime
def test_a_run_takes_no_more_of_the_processor_than_one_thread_can(runtime: str, folder: Path) -> None:
    if runtime == "torch-compiled":
        pytest.skip("what is compiled takes 12 s for each process of the tests, and has one test")
    loaded = load(runtime, COMPILED, folder)
    shares = [core_ms / wall_ms for core_ms, wall_ms in (loaded.timed() for _ in range(100))]
    # Two threads at work reach 2; the median, since one of the test process's own threads may wake in some of the runs.
    assert median(shares) <= 1.2


# What is refused


def without(packages: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in packages or name.endswith("-gpu"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(runtimes, "version", version)


@pytest.mark.parametrize("name", [name for name, row in RUNTIMES.items() if row.extra])
def test_one_that_is_not_installed_says_which_line_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = RUNTIMES[name]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [line.partition(">=")[0] for line in extras[row.extra]] == [row.distribution, *row.needs]
    for package in (row.distribution, *row.needs):
        without({package}, monkeypatch)
        with pytest.raises(InputError) as refused:
            check_runtime(name, "cpu")
        line = f"python -m pip install -e '.[{row.extra}]'"
        assert str(refused.value) == f"the runtime {name} needs {package}, not installed here: {line}"
    without(set(), monkeypatch)
    check_runtime(name, "cpu")


def test_a_runtime_on_a_device_that_it_does_not_run_on_is_refused() -> None:
    with pytest.raises(InputError, match="openvino runs on cpu; device 'cuda' came: use the runtime onnxruntime"):
        check_runtime("openvino", "cuda")
    with pytest.raises(InputError, match="tensorrt runs on cuda; device 'cpu' came: use the runtime onnxruntime"):
        check_runtime("tensorrt", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", [name for name, row in RUNTIMES.items() if "cuda" in row.devices])
def test_a_gpu_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="needs a GPU that torch sees"):
        check_runtime(name, "cuda")


@pytest.mark.parametrize(("name", "provider"), [("onnxruntime", "CUDA"), ("tensorrt", "Tensorrt")])
def test_an_onnx_runtime_without_the_provider_is_refused(name, provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=f"has no {provider}ExecutionProvider: install onnxruntime-gpu"):
        check_runtime(name, "cuda")
    with pytest.raises(ValueError, match=f"has no {provider}ExecutionProvider"):
        session_of("no.onnx", "cuda" if name == "onnxruntime" else name)


def test_bfloat16_is_refused_where_the_processor_would_compute_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = SimpleNamespace(get_property=lambda name: SimpleNamespace(to_string=lambda: "f32"))
    openvino = SimpleNamespace(Core=lambda: SimpleNamespace(compile_model=lambda *arguments: compiled))
    monkeypatch.setattr(openvino_runtime, "_openvino", lambda: openvino)
    with pytest.raises(RuntimeError, match="must compute in bf16; OpenVINO takes f32"):
        RUNTIMES["openvino-bf16"].load(Path("a.onnx"), SHAPE, "cpu", example(SHAPE, SEED))


def test_ncnn_refuses_more_than_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pnnx", reason="python -m pip install -e '.[ncnn]'")
    with pytest.raises(InputError, match="runs 1 image at once; batch size 2 came"):
        RUNTIMES["ncnn"].write(nn.ReLU(), tmp_path / "a.param", (2, *SHAPE[1:]), "cpu")


def test_a_machine_without_a_compiler_is_told_to_install_one(tmp_path: Path) -> None:
    from torch._inductor import config

    with (
        config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(InputError, match="needs a C\\+\\+ compiler, and none works here: install g\\+\\+"),
    ):
        RUNTIMES["torch-compiled"].write(nn.ReLU(), tmp_path / "a.pt2", SHAPE, "cpu")


def test_openvino_is_imported_without_the_package_that_reports_its_use(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="python -m pip install -e '.[openvino]'")
    (tmp_path / "openvino_telemetry.py").write_text("raise SystemExit('imported')")
    program = "from proxies.latency.runtimes.openvino_runtime import _openvino; _openvino()"
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths}, check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="where the number is kept is known of Linux")
def test_onnx_runtime_keeps_nothing_in_the_home_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    program = "import proxies, onnxruntime"
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert ended.stderr == ""
    assert list(tmp_path.rglob("*")) == []
