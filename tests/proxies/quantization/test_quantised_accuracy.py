"""How good a network is in 8 bits: as the exported file run elsewhere says, and better by channel than by tensor."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from builders.trainings import SMALL, STILL, data_of
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn

from proxies.data.load import ImageData
from proxies.export import FORMATS
from proxies.export.network import ExportedNetwork, Options
from proxies.latency.runtimes.onnx_file import write_onnx
from proxies.pretrained import TrainedFor
from proxies.quantization.accuracy import CALIBRATION_IMAGES, quantised_accuracy
from proxies.training.trainer import train

SIZE, CLASSES = 16, 4


def striped(count: int, seed: int) -> torch.Tensor:
    """Grey images of noise, with a brighter stripe whose place is the class."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 150, (count, 1, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    for number in range(count):
        images[number, :, :, 4 * (number % CLASSES) : 4 * (number % CLASSES) + 2] += 20
    return images


@pytest.fixture(scope="module")
def data() -> ImageData:
    return data_of(striped(512, 0), striped(203, 1), classes=CLASSES)


@pytest.fixture(scope="module")
def trained(data: ImageData) -> nn.Module:
    network, training = train(SMALL, data, replace(STILL, epochs=3), seed=0)
    assert 0.5 < training.accuracy < 1, "what is rounded must be able to cost something"
    return network


def by_hand(images: torch.Tensor, data: ImageData) -> NDArray[np.float32]:
    """The images as a network takes them, by the training images' mean and deviation."""
    pixels = data.train_images.numpy().astype(np.float64) / 255
    made: NDArray[np.float32] = ((images.numpy() / 255 - pixels.mean()) / pixels.std()).astype(np.float32)
    return made


def right_of(file: Path, images: NDArray[np.float32], labels: torch.Tensor) -> NDArray[np.bool_]:
    """Which images the file's network gets right, one at a time, in a session without this project's settings."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    classes = [int(session.run(None, {name: image[None]})[0].argmax()) for image in images]
    return np.array(classes) == labels.numpy()


def test_it_is_what_the_exported_file_reaches_on_the_same_images(
    trained: nn.Module, data: ImageData, tmp_path: Path
) -> None:
    rows = np.linspace(0, 511, 256).astype(int)  # spread over all training images
    mean, std = data.channel_stats
    about = TrainedFor(SMALL, data.classes, 1, STILL.stem_stride_at(SIZE), SIZE, mean, std)
    exported = ExportedNetwork("a", trained, about, data.val_images[:8], data.train_images[rows], True)
    row = FORMATS["onnx-int8"]
    row.write(exported, tmp_path / "int8.onnx", Options(1))
    row.check(tmp_path / "int8.onnx", exported, Options(1))
    FORMATS["onnx"].write(exported, tmp_path / "fp32.onnx", Options(1))
    images = by_hand(data.val_images, data)
    right, was_right = (right_of(tmp_path / f"{name}.onnx", images, data.val_labels) for name in ("int8", "fp32"))
    found = quantised_accuracy(trained, data)
    assert (found.accuracy, found.images) == (right.sum() / 203, 203)
    assert (found.lost, found.gained) == ((was_right & ~right).sum(), (right & ~was_right).sum())
    assert found.lost + found.gained > 0, "the same everywhere would show nothing"
    assert (found.calibration_images, CALIBRATION_IMAGES) == (256, 256)
    assert found.runtime_version == onnxruntime.__version__


def test_fewer_training_images_are_all_taken(trained: nn.Module, data: ImageData) -> None:
    few = replace(data, train_images=data.train_images[:40], train_labels=data.train_labels[:40])
    assert quantised_accuracy(trained, few).calibration_images == 40


def test_the_network_is_left_as_it_is(trained: nn.Module, data: ImageData) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.train()
    quantised_accuracy(trained, data)
    assert trained.training
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


# By channel


class _Training(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: NDArray[np.float32]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {"images": image[None]}


def test_a_network_whose_channels_differ_keeps_its_accuracy_by_channel_and_loses_it_by_tensor(
    trained: nn.Module, data: ImageData, tmp_path: Path
) -> None:
    # The stem's first channel becomes 0 for every image, and gets a large weight where it is read: what the network
    # computes does not hang on that weight, but the range of the tensor is a thousand times that of its other channels.
    made = copy.deepcopy(trained).eval()
    norm, depthwise, pointwise = map(
        made.get_submodule, ("stem.branches.0.1", "stage2.0.branches.0.0", "stage2.0.branches.1.0")
    )
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(depthwise, nn.Conv2d)
    assert isinstance(pointwise, nn.Conv2d)
    with torch.no_grad():
        norm.weight[0], norm.bias[0] = 0.0, -1.0
        depthwise.weight[0], pointwise.weight[0, 0] = 1000.0, 1000.0
    images = by_hand(data.val_images, data)
    with torch.inference_mode():
        expected = made(torch.from_numpy(images)).argmax(dim=1).numpy() == data.val_labels.numpy()
    write_onnx(made, tmp_path / "fp32.onnx", (1, 1, SIZE, SIZE), "cpu")
    quantize_static(
        tmp_path / "fp32.onnx",
        tmp_path / "by_tensor.onnx",
        _Training(by_hand(data.train_images[::2], data)),
        quant_format=QuantFormat.QDQ,
        per_channel=False,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    by_tensor = right_of(tmp_path / "by_tensor.onnx", images, data.val_labels).mean()
    by_channel = quantised_accuracy(made, data).accuracy
    assert abs(by_channel - expected.mean()) < 0.15
    assert by_tensor < expected.mean() - 0.3
