"""Networks in LiteRT, once TensorFlow Lite, on the CPU through XNNPACK."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.latency.protocol import core_timed
from proxies.latency.runtimes.loaded import Loaded, Shape

if TYPE_CHECKING:
    from torch import nn


def write_tflite(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the network for inputs of exactly this shape `(n, c, h, w)`."""
    import torch

    # The converter prints its steps, and stdout belongs to results; its own warnings are no concern of the caller.
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litert_torch

        litert_torch.convert(network, (torch.zeros(shape),)).export(str(file))


def load_tflite(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], example)
    places = [each["index"] for each in interpreter.get_output_details()]

    def run() -> Any:
        interpreter.invoke()
        return [interpreter.get_tensor(place) for place in places]

    return Loaded(core_timed(run), run)
