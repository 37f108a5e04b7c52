"""A training step as one CUDA graph: launched once instead of kernel by kernel. Elsewhere it is a plain call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Self

import torch
from torch import Tensor

Step = Callable[..., Tensor]

WARM_UPS = 3
"""Steps run before a capture, for libraries to choose their kernels and to set themselves up."""


class CaptureError(RuntimeError):
    """A step that cannot be captured as a CUDA graph: the message says why, and the cause is the step's own error.

    End the process then, or at least its use of the device: torch does not undo all of a capture that broke off.
    """


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded step: `replay` runs it again on the same tensors and writes `loss`; `reset` gives its memory back."""

    loss: Tensor
    replay: Callable[[], None]
    reset: Callable[[], None]


class CapturedStep:
    """A training step that is captured when made, on CUDA, and replayed for every batch of the same shapes.

    `step(*tensors)` trains on one batch and gives the 0-dim loss. It must start from gradients of zero or None, must
    read and write tensors that always lie where they are (change a learning rate in place), must wait for nothing on
    the device (no `.item()`), and must enter autocast, where wanted, itself.

    `examples` is a batch on the device of the training, by which shapes, types and device are set; the step runs on it
    a few times. `state` is all that these runs may change: parameters, batch-norm buffers, momenta. It and torch's
    random numbers are as before once the captured step is made, so making it trains nothing.

    Raises:
        CaptureError: the step cannot be captured. Errors of the step itself are raised as they are.
    """

    def __init__(self, step: Step, examples: Sequence[Tensor], state: Sequence[Tensor]) -> None:
        self._step = step
        self._state = tuple(state)
        self._inputs: tuple[Tensor, ...] = ()
        self._device = examples[0].device
        self._recording: Recording | None = None
        started = time.perf_counter()
        record = RECORDERS.get(self._device.type)
        if record is not None:
            self._inputs = tuple(example.clone() for example in examples)
            with restored(self._state, self._device):
                self._recording = record(step, self._inputs)
        self.capture_seconds = time.perf_counter() - started

    @property
    def is_captured(self) -> bool:
        """Whether calls are replays: on CUDA, until closed."""
        return self._recording is not None

    def __call__(self, *tensors: Tensor) -> Tensor:
        """The 0-dim loss of one step on a batch, detached, in memory of its own.

        A batch of other shapes or types than the examples', such as a smaller last one, is a plain call of the step.
        Tensors on the host are copied without waiting: pinned ones must keep their content until the step has run.
        """
        if self._recording is None or not self._fit(tensors):
            return self._step(*(tensor.to(self._device, non_blocking=True) for tensor in tensors)).detach()
        for static, tensor in zip(self._inputs, tensors, strict=True):
            static.copy_(tensor, non_blocking=True)
        self._recording.replay()
        return self._recording.loss.clone()

    def close(self) -> None:
        """Gives the graph's memory back to the device. Gradients lie there, so those of `state` are dropped.

        Later calls are plain ones.
        """
        if self._recording is None:
            return
        recording, self._recording, self._inputs = self._recording, None, ()
        for tensor in self._state:
            if tensor.is_leaf:
                tensor.grad = None
        recording.reset()
        del recording
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _fit(self, tensors: tuple[Tensor, ...]) -> bool:
        kinds = [(tensor.shape, tensor.dtype) for tensor in tensors]
        return kinds == [(static.shape, static.dtype) for static in self._inputs]


@contextmanager
def restored(state: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """Restores the values of `state` and torch's random numbers on leaving, also by an error."""
    saved = [tensor.detach().clone() for tensor in state]
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices, device_type="cuda"):
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(state, saved, strict=True):
                    tensor.copy_(value)


def _cuda_recording(step: Step, inputs: tuple[Tensor, ...]) -> Recording:
    """The step recorded as a CUDA graph, after a warm-up on the stream it is captured on."""
    device = inputs[0].device
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    graph = torch.cuda.CUDAGraph()
    # This also brings the caller's stream back where a capture fails; `torch.cuda.graph` then leaves its own behind.
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            step(*inputs)
        loss = _capture(graph, stream, step, inputs)
    torch.cuda.current_stream(device).wait_stream(stream)
    return Recording(loss, graph.replay, graph.reset)


def _capture(graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream, step: Step, inputs: tuple[Tensor, ...]) -> Tensor:
    """The loss tensor that every replay of `graph` writes."""
    cause: Exception | None = None
    try:
        with torch.cuda.graph(graph, stream=stream):
            try:
                # Detached, or the first step's whole graph of operations would live as long as the loss.
                return step(*inputs).detach()
            except Exception as error:
                cause = error
                raise
    except Exception as error:
        # Ending a broken capture fails as well, with a message that hides what broke it.
        cause = cause or error
        raise CaptureError(f"the training step cannot be captured as a CUDA graph: {cause}") from cause


RECORDERS: Mapping[str, Callable[[Step, tuple[Tensor, ...]], Recording]] = MappingProxyType({"cuda": _cuda_recording})
"""Type of device -> how a step is recorded there; on any other a step is a plain call."""
