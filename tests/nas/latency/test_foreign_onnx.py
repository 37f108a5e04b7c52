"""ONNX files that are no classifier of an image: each is refused in one line that names the file."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas.latency import __main__ as latency
from proxies.latency.existing_onnx import prepare_file

FLOAT = TensorProto.FLOAT
Image = Sequence[int | str | None]
IMAGE = (1, 3, 8, 8)
NODE = helper.make_node("Flatten", ["x"], ["y"])


def tensor(name: str = "x", shape: Image | None = IMAGE, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    *nodes: onnx.NodeProto,
    inputs: Sequence[onnx.ValueInfoProto] = (tensor(),),
    outputs: Sequence[onnx.ValueInfoProto] = (tensor("y", None),),
    tensors: Sequence[onnx.TensorProto] = (),
    opset: int = 18,
    ir: int = 9,
    domain: str = "",
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes or [NODE], "g", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def sequence() -> onnx.ModelProto:
    out = helper.make_tensor_sequence_value_info("y", FLOAT, None)
    return model(helper.make_node("SplitToSequence", ["x"], ["y"], axis=1), outputs=[out])


def optional() -> onnx.ModelProto:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, IMAGE))
    return model(helper.make_node("Optional", ["x"], ["y"]), outputs=[helper.make_value_info("y", kind)])


def mapped() -> onnx.ModelProto:
    """What scikit-learn's classifiers give: a map of classes for each image."""
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, None))
    )
    flat = helper.make_node("Flatten", ["x"], ["f"])
    node = helper.make_node("ZipMap", ["f"], ["y"], domain="ai.onnx.ml", classlabels_int64s=list(range(192)))
    return model(flat, node, outputs=[helper.make_value_info("y", kind)], domain="ai.onnx.ml")


def texts() -> onnx.ModelProto:
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING)
    return model(node, outputs=[tensor("y", None, TensorProto.STRING)])


def reshaped_wrongly() -> onnx.ModelProto:
    sizes = numpy_helper.from_array(np.array([7, -1]), "s")
    shape = ("n", *IMAGE[1:])  # so that nothing is known to be wrong before it runs
    return model(helper.make_node("Reshape", ["x", "s"], ["y"]), inputs=[tensor(shape=shape)], tensors=[sizes])


def outside(folder: Path) -> onnx.ModelProto:
    """Whose weights lie in a file that is missing."""
    weight = numpy_helper.from_array(np.ones(IMAGE, dtype=np.float32), "w")
    made = model(helper.make_node("Mul", ["x", "w"], ["y"]), tensors=[weight])
    onnx.external_data_helper.convert_model_to_external_data(made, location="weights.bin", size_threshold=0)
    onnx.save(made, folder / "saved.onnx")
    (folder / "weights.bin").unlink()
    return onnx.load(folder / "saved.onnx", load_external_data=False)


MODELS: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a sequence": (sequence, r"'y' is seq\(tensor\(float\)\)"),
    "an optional": (optional, r"'y' is optional\(tensor\(float\)\)"),
    "maps": (mapped, r"'y' is seq\(map\("),
    "texts": (texts, r"'y' is tensor\(string\)"),
    "no input": (lambda: model(helper.make_node("RandomNormal", [], ["y"], shape=[2]), inputs=[]), "takes nothing"),
    "two inputs": (
        lambda: model(helper.make_node("Add", ["x", "z"], ["y"]), inputs=[tensor(), tensor("z")]),
        r"takes tensor\(float\) .*, tensor\(float\)",
    ),
    "integers": (
        lambda: model(inputs=[tensor(kind=TensorProto.UINT8)], outputs=[tensor("y", None, TensorProto.UINT8)]),
        r"takes tensor\(uint8\)",
    ),
    "any height": (lambda: model(inputs=[tensor(shape=(1, 3, "h", "w"))]), "one image of a fixed size"),
    "any rank": (lambda: model(inputs=[tensor(shape=None)]), "one image of a fixed size"),
    "no pixel": (lambda: model(inputs=[tensor(shape=(1, 3, 0, 8))]), "one image of a fixed size"),
    "more than memory holds": (lambda: model(inputs=[tensor(shape=(1, 3, 10**5, 10**5))]), "one image of a fixed size"),
    "two images": (lambda: model(inputs=[tensor(shape=(2, 3, 8, 8))]), "one image of a fixed size"),
    "not a number": (lambda: model(helper.make_node("Sqrt", ["x"], ["y"])), "must be finite numbers"),
    "noise": (lambda: model(helper.make_node("RandomNormalLike", ["x"], ["y"])), "drawn anew"),
    "a wrong reshape": (reshaped_wrongly, "must compute something of an image"),
    "an unknown operator": (
        lambda: model(helper.make_node("Mine", ["x"], ["y"], domain="mine"), domain="mine"),
        "cannot read",
    ),
    "a version to come": (lambda: model(ir=99), "cannot read"),
    "operators to come": (lambda: model(opset=99), "cannot read"),
}


def refused(file: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """What is said of the file, in one line."""
    assert latency.main(["time", str(file)]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1, said
    assert str(file) in said
    return said


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_that_is_no_classifier_is_one_line(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, message = MODELS[kind]
    file = tmp_path / "theirs.onnx"
    file.write_bytes(make().SerializeToString())
    assert re.search(message, refused(file, capfd))


@pytest.mark.parametrize("kind", ["empty", "half", "a folder", "weights elsewhere", "missing", "an archive"])
def test_what_is_no_whole_file_is_one_line(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "theirs.onnx"
    whole = model(tensors=[numpy_helper.from_array(np.ones(1000, dtype=np.float32), "w")]).SerializeToString()
    contents: dict[str, Any] = {"empty": b"", "half": whole[: len(whole) // 2], "an archive": b"PK\3\4" + whole}
    if kind in contents:
        file.write_bytes(contents[kind])
    elif kind == "a folder":
        file.mkdir()
    elif kind == "weights elsewhere":
        file.write_bytes(outside(tmp_path).SerializeToString())
    assert "must be an ONNX file" in refused(file, capfd)


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_numbers_of_any_kind_can_be_outputs(kind: int, tmp_path: Path) -> None:
    file = tmp_path / "theirs.onnx"
    node = helper.make_node("Cast", ["x"], ["y"], to=kind)
    file.write_bytes(model(node, outputs=[tensor("y", IMAGE, kind)]).SerializeToString())
    assert prepare_file(file).shape == IMAGE
