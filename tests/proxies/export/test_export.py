"""Networks exported: each format is read by a program without this project, and computes the same."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from builders.exported import ALL, elsewhere, network
from builders.places import read_json

from nas.cli.folders import NOTE
from nas.export import __main__ as export
from nas.export import files as export_files
from nas.train import __main__ as train
from proxies.batches import in_batches
from proxies.export import FORMATS, check_formats
from proxies.export.network import Options, WrongExport
from proxies.latency.measure import Timing, compare
from search_space import PRESETS, Architecture, InputError

Captured = pytest.CaptureFixture[str]
Run = Callable[..., subprocess.CompletedProcess[str]]

ONNX = """
import onnxruntime
def run(name, images):
    session = onnxruntime.InferenceSession(name + ".onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]
"""
TORCH = """
import torch
def run(name, images):
    with torch.inference_mode():
        return torch.export.load(name + ".pt2").module()(torch.from_numpy(images)).numpy()
"""
EXECUTORCH = """
import torch, warnings
warnings.simplefilter("ignore")
from executorch.extension.pybindings import portable_lib
def run(name, images):
    module = portable_lib._load_for_executorch(name + ".pte")
    return torch.cat([module.forward((one[None],))[0] for one in torch.from_numpy(images)]).numpy()
"""
CHECK = """
import json, numpy, pathlib
try:
    import proxies
except ImportError:
    pass
else:
    raise SystemExit("the project is installed here")
names = json.loads(pathlib.Path("names.json").read_text())
for name in names:
    images, expected = numpy.load(name + ".images.npy"), numpy.load(name + ".logits.npy")
    found = run(name, images)
    worst = abs(found - expected).max() / abs(expected).max()
    assert worst < 1e-5, (name, worst)
print(len(names))
"""
SHORT = Timing(processes=2, max_processes=2, rounds=5, runs=2, warmup_runs=1, least_rounds=2)
A_FEW = tuple(list(ALL)[1:4])


def written(names: tuple[str, ...], name: str, folder: Path, options: Options) -> None:
    row = FORMATS[name]
    for place, each in enumerate(names):
        made = network(ALL[each])
        row.write(made, folder / f"n{place}{row.suffix}", options)
        np.save(folder / f"n{place}.images.npy", made.normalised(made.images[:8]).numpy())
        np.save(folder / f"n{place}.logits.npy", made.outputs())
    (folder / "names.json").write_text(json.dumps([f"n{place}" for place in range(len(names))]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "program", "options"),
    [
        ("onnx", ONNX, Options(batch=8)),
        ("onnx", ONNX, Options(batch=None)),
        ("torch", TORCH, Options(batch=8)),
        ("torch", TORCH, Options(batch=None)),
        ("executorch", EXECUTORCH, Options()),
    ],
)
def test_where_the_project_is_not_installed_a_file_computes_the_same(
    name: str, program: str, options: Options, tmp_path: Path
) -> None:
    if FORMATS[name].needs:
        pytest.importorskip(FORMATS[name].needs, reason="python -m pip install -e '.[executorch]'")
    names = A_FEW if options.batch is None else tuple(ALL)
    written(names, name, tmp_path, options)
    done = elsewhere(program + CHECK, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(len(names)), "ExecuTorch talks of the processor before"


def test_a_file_that_computes_something_else_is_refused() -> None:
    made = network(ALL[A_FEW[0]])
    own = made.outputs()
    assert made.check(lambda images: own, 8) == 0
    for wrong in (own * 1.01, np.roll(own, 1, axis=1), np.full_like(own, np.nan)):
        with pytest.raises(WrongExport, match="off by"):
            made.check(lambda images, wrong=wrong: wrong, 8)


def test_images_go_in_batches_of_the_size_that_a_file_takes() -> None:
    images = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    sizes = []

    def run(part: np.ndarray) -> np.ndarray:
        sizes.append(len(part))
        return part.reshape(len(part), 1) * 2

    assert in_batches(run, images, 2).ravel().tolist() == [0, 2, 4, 6, 8]
    assert sizes == [2, 2, 2]
    assert in_batches(run, images, None).ravel().tolist() == [0, 2, 4, 6, 8]


def test_a_format_must_be_one_there_is() -> None:
    assert check_formats("onnx, py,onnx") == ["onnx", "py"]
    with pytest.raises(InputError, match="got 'gguf'"):
        check_formats("gguf")


# The command


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What nas.train leaves of one epoch over the embedded images."""
    folder = tmp_path_factory.mktemp("trained")
    architecture = folder / "small.json"
    architecture.write_text(json.dumps(ALL[A_FEW[1]].to_dict()))
    assert train.main([str(architecture), "--epochs", "1", "--out", str(folder / "run")]) == 0
    return folder / "run" / "weights.safetensors"


@pytest.mark.slow
def test_a_trained_network_is_exported_with_what_is_known_of_it(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "compare", partial(compare, timing=SHORT))
    out = tmp_path / "out"
    assert export.main([str(weights), "--format", "onnx,onnx-int8,py,safetensors", "--out", str(out)]) == 0
    (card_file,) = out.glob("*.card.json")
    card, metrics = read_json(card_file), read_json(weights.with_name("metrics.json"))
    assert card["trained"]
    assert card["cost"]["macs"] == metrics["cost"]["training"]["macs"]
    assert card["training"]["validation_accuracy"] == metrics["validation_accuracy"]
    quantised = card["files"]["onnx-int8"]
    assert quantised["validation_accuracy_in_float32"] == pytest.approx(metrics["validation_accuracy"])
    assert quantised["bytes"] < card["files"]["onnx"]["bytes"]
    assert all(card["files"][name]["latency"]["latency_ms"] > 0 for name in ("onnx", "onnx-int8"))
    text = card_file.with_suffix("").with_suffix(".card.md").read_text()
    assert f"{100 * metrics['validation_accuracy']:.2f} % of 2000 images" in text
    assert "no test images" in text
    properties = {one.key: one.value for one in onnx.load(out / card["files"]["onnx"]["file"]).metadata_props}
    assert json.loads(properties["classes"]) == card["classes"]
    assert Architecture.from_dict(json.loads(properties["architecture"])) == ALL[A_FEW[1]]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != NOTE)


def test_untrained_files_say_so_and_are_those_of_the_deployment(tmp_path: Path) -> None:
    line = ["v2-0.5x", "--format", "onnx,py,json", "--untrained", "--resolution", "64", "--classes", "7"]
    assert export.main([*line, "--no-latency", "--batch", "dynamic", "--out", str(tmp_path)]) == 0
    stem = "v2-0.5x"
    endings = (".json", ".py", ".untrained.card.json", ".untrained.card.md", ".untrained.onnx")
    assert names_in(tmp_path) == [stem + ending for ending in endings]
    assert "random" in (tmp_path / f"{stem}.untrained.card.md").read_text()
    graph = onnx.load(tmp_path / f"{stem}.untrained.onnx").graph
    sizes = [dimension.dim_value for dimension in graph.input[0].type.tensor_type.shape.dim]
    assert sizes == [0, 3, 64, 64], "0 is what ONNX has for any number"
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == 7


def test_mistakes_are_one_line_each(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text(json.dumps(PRESETS["v2-0.5x"].to_dict()))
    mistakes = {
        ("v2-0.5x", "--format", "onnx"): "--untrained",
        ("mine.json",): "'mine.json' is an architecture's JSON already: give --format",
        ("mobilenet-v2",): "'mobilenet-v2' is a hand-designed network",
        ("lenet",): "a network is a preset",
        ("v2-0.5x", "--format", "py", "--pick", "best"): "leave one out",
        ("v2-0.5x", "--format", "py", "--batch", "0"): "--batch must be",
        ("none.safetensors", "--format", "py"): "nas.train has written",
        ("none.json", "--format", "py"): "neither",
    }
    for line, text in mistakes.items():
        assert export.main([*line]) == 2
        assert text in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.json", "export"}


def test_a_preset_and_what_is_changed_in_it_are_written_as_json_under_the_names_they_were_asked_by(
    tmp_path: Path,
) -> None:
    assert export.main(["v2-0.5x", "v2-0.5x+no-shuffle", "--out", str(tmp_path)]) == 0
    assert names_in(tmp_path) == ["v2-0.5x+no-shuffle.json", "v2-0.5x.json"]
    written = json.loads((tmp_path / "v2-0.5x+no-shuffle.json").read_text())
    assert Architecture.from_dict(written) == replace(PRESETS["v2-0.5x"], shuffle=False)


def test_help_needs_no_torch() -> None:
    code = "import sys; from nas.export.__main__ import make_parser; make_parser().format_help(); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_pretrained_weights_of_torchvision_make_its_network(tmp_path: Path) -> None:
    import torchvision

    from proxies import build

    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "x05.pth")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for given in (theirs.state_dict(), tmp_path / "x05.pth", str(tmp_path / "x05.pth")):
        ours = build(PRESETS["v2-0.5x"], pretrained=given).eval()
        with torch.inference_mode():
            assert torch.equal(ours(image), theirs(image))
    with pytest.raises(InputError, match="must be those of this architecture"):
        build(PRESETS["v2-1.0x"], pretrained=theirs.state_dict())
