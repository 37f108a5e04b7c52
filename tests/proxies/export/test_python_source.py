"""The stand-alone Python file: for every unit and option, loaded where this project is not, with the same outputs."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.exported import ALL, IMAGE_SIZE, STEM_STRIDE, elsewhere, network
from builders.wide_space import drawn_wide
from safetensors.torch import save_file

from proxies.export.python_source import LINES, source_of
from proxies.network import LAYERS
from search_space import PRESETS, Budget, InputError, SearchSpace, cost_of
from search_space.choosers import RandomChooser

CHECK = """
import importlib.util, json, pathlib
import numpy, torch
from safetensors.torch import load_file
try:
    import search_space
except ImportError:
    pass
else:
    raise SystemExit("the project is installed here")
torch.set_num_threads(1)
names = sorted(path.stem for path in pathlib.Path(".").glob("*.py"))
for name in names:
    spec = importlib.util.spec_from_file_location("exported", f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built = module.build()
    built.load_state_dict(load_file(f"{name}.safetensors"))
    images, expected = (torch.from_numpy(numpy.load(f"{name}.{part}.npy")) for part in ("images", "logits"))
    with torch.inference_mode():
        found = built.eval()(images)
    worst = (found - expected).abs().max() / expected.abs().max()
    assert worst < 1e-6, (name, worst)
print(len(names))
"""


def test_every_kind_of_layer_has_its_line() -> None:
    assert LINES.keys() == LAYERS.keys()


@pytest.mark.slow
def test_where_the_project_is_not_installed_the_file_takes_the_weights_and_computes_the_same(tmp_path: Path) -> None:
    for place, (name, architecture) in enumerate(ALL.items()):
        made = network(architecture)
        stem = f"n{place}"
        source = source_of(architecture, IMAGE_SIZE, 10, 1, STEM_STRIDE)
        (tmp_path / f"{stem}.py").write_text(source)
        save_file(
            {key: value.contiguous() for key, value in made.module.state_dict().items()},
            tmp_path / f"{stem}.safetensors",
        )
        np.save(tmp_path / f"{stem}.images.npy", made.normalised(made.images[:8]).numpy())
        np.save(tmp_path / f"{stem}.logits.npy", made.outputs())
        assert made.outputs().std(axis=0).min() > 0.01, f"{name} must let the image through, or nothing is compared"
    done = elsewhere(CHECK, tmp_path)
    assert (done.stdout.strip(), done.stderr) == (str(len(ALL)), "")


def test_drawn_architectures_give_the_same_modules_by_name() -> None:
    space = SearchSpace.default(Budget.parse("20mflops"))
    from proxies.network import build

    for architecture in (*(space.suggest(RandomChooser(seed)) for seed in range(30)), *drawn_wide(30)):
        module: dict = {"__name__": "exported"}
        exec(source_of(architecture), module)
        with torch.device("meta"):
            theirs = {name: value.shape for name, value in module["build"]().state_dict().items()}
        ours = {name: value.shape for name, value in build(architecture).state_dict().items()}
        assert list(theirs.items()) == list(ours.items())


def test_its_first_lines_state_the_cost() -> None:
    text = ast.get_docstring(ast.parse(source_of(PRESETS["v2-1.0x"])))
    cost = cost_of(PRESETS["v2-1.0x"])
    assert text is not None
    assert f"{cost.macs / 1e6:.1f} MFLOPs" in text
    assert f"{cost.params:,} parameters" in text
    assert "arXiv 1807.11164" in text


def test_it_needs_torch_alone_and_squeezes_only_where_the_network_does() -> None:
    for name, architecture in ALL.items():
        source = source_of(architecture)
        nodes = list(ast.walk(ast.parse(source)))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        assert imported == {"torch", "collections"}
        assert ("SqueezeExcitation" in source) == ("'se'" in name)
        assert max(map(len, source.splitlines())) <= 130


def test_a_backbone_has_no_file_of_its_own() -> None:
    with pytest.raises(InputError, match="num_classes = 0 means a backbone"):
        source_of(PRESETS["v2-0.5x"], num_classes=0)
