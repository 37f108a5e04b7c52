"""The moving average of a network's weights over its training, which is what is validated and shipped.

`torch.optim.swa_utils.AveragedModel` is not used, since all that stands here would have to be added to it: its first
update copies the network in place of averaging, its decay does not rise from the start, it averages counts too, and
its own count of updates is a tensor that is read from the device at every step. A test holds both against each other.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Averaged:
    """A network whose weights and buffers are the exponential moving average of another's.

    ``network`` is the averaged one: a copy, in evaluation mode and without gradients, that starts where the other
    stands when this is made. Make it after that has come to its device. Until many updates have been made, ``decay``
    would keep too much of the start, so the t-th update, from 0, keeps only ``min(decay, (1 + t) / (10 + t))``.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards ``network``; what is no floating-point number, such as a count, is copied."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([average for average, _ in floats], [new for _, new in floats], 1 - decay)
        for average, new in pairs:
            if not average.is_floating_point():
                average.copy_(new)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Returns the averaged network's state (the tensors themselves, not copies) and the count of updates."""
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state_dict`` gave, of a network of the same structure."""
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
