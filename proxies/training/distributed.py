"""The processes that train one network together, as torchrun starts them; one alone where it does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

from search_space.errors import InputError

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's number `rank` of `world`, and the device that it trains on."""

    rank: int
    world: int
    device: str

    @property
    def is_first(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    def first_alone(self, make: Callable[[], Made]) -> Made:
        """What `make` gives, in every process, once the first has made it: a download is not made twice at a time.

        Raises:
            InputError: it cannot be made.
            SystemExit: the first process could not make it, which it tells alone.
        """
        if not self.is_first:
            if not self._agreed_with_first(True):
                raise SystemExit(2)
            return make()
        try:
            made = make()
        except InputError:
            self._agreed_with_first(False)
            raise
        self._agreed_with_first(True)
        return made

    def _agreed_with_first(self, value: bool) -> bool:
        """The first process's value, in every process."""
        if self.world == 1:
            return value
        text = torch.tensor(int(value), device=self.device)
        distributed.broadcast(text, src=0)
        return bool(text.item())


@contextmanager
def process_group(rank: int, world: int, local_rank: int, device: str) -> Iterator[Processes]:
    """The processes of a training on `device` ("cpu" or "cuda"), joined while the context lasts.

    Where they are several, the environment says where they meet (torchrun sets it), and `local_rank` chooses the GPU.

    Raises:
        InputError: there are more processes on this machine than GPUs.
    """
    if world == 1:
        yield Processes(0, 1, device)
        return
    if device == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise InputError(
                f"every process needs a GPU of its own, and this machine has {torch.cuda.device_count()}: "
                f"lower --nproc-per-node"
            )
        device = f"cuda:{local_rank}"
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl", rank=rank, world_size=world, device_id=torch.device(device))
    else:
        distributed.init_process_group("gloo", rank=rank, world_size=world)
    try:
        with warnings.catch_warnings():
            # A 1x1 weight in channels_last order is the same memory by either strides.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
            yield Processes(rank, world, device)
    finally:
        distributed.destroy_process_group()
