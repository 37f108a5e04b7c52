"""Stochastic gradient descent with Nesterov momentum, in few kernels, and such that a CUDA graph can capture it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

Parameters = dict[str, nn.Parameter]


def split_decay(network: nn.Module) -> tuple[Parameters, Parameters]:
    """Returns the network's trainable parameters by name: those to decay, and the norms' weights and all biases.

    The latter are recognised by their shape: fewer than two dimensions.
    """
    trainable = {name: each for name, each in network.named_parameters() if each.requires_grad}
    decayed = {name: each for name, each in trainable.items() if each.ndim >= 2}
    return decayed, {name: each for name, each in trainable.items() if name not in decayed}


class Sgd:
    """The updates of ``torch.optim.SGD(nesterov=True)``; weight decay spares norms and biases or takes all alike.

    ``learning_rate`` is a 0-dim float32 tensor on the parameters' device: ``fill_`` it before a step. Step and
    momentum read and write the same tensors all along, so that a CUDA graph can capture them; the learning rate of a
    replay is what the tensor then holds. Make it after the network has come to its device.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        momentum: float,
        weight_decay: float,
        decay_norms: bool,
        learning_rate: float = 0.0,
    ) -> None:
        decayed, not_decayed = split_decay(network)
        named = {**decayed, **not_decayed}
        self._names = list(named)
        self._parameters = list(named.values())
        self._momenta = [torch.zeros_like(each, requires_grad=False) for each in self._parameters]
        self._decayed_count = len(named) if decay_norms else len(decayed)
        self._momentum, self._weight_decay = momentum, weight_decay
        self.learning_rate = torch.tensor(learning_rate, dtype=torch.float32, device=self._parameters[0].device)

    def zero_grad(self) -> None:
        """Takes the gradients away: backward then makes new ones instead of adding to the old."""
        for each in self._parameters:
            each.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves every parameter that has a gradient, and leaves the gradient as it is."""
        rows = [row for row, each in enumerate(self._parameters) if each.grad is not None]
        if not rows:
            return
        parameters: list[Tensor] = [self._parameters[row] for row in rows]
        momenta = [self._momenta[row] for row in rows]
        gradients: list[Tensor] = [each.grad for each in parameters if each.grad is not None]
        count = sum(row < self._decayed_count for row in rows)
        # New tensors, that may be changed below; the gradients may not.
        decayed = _sums(gradients[:count], parameters[:count], self._weight_decay)
        torch._foreach_mul_(momenta, self._momentum)
        torch._foreach_add_(momenta, [*decayed, *gradients[count:]])
        if decayed:
            torch._foreach_add_(decayed, momenta[:count], alpha=self._momentum)
        updates = [*decayed, *_sums(gradients[count:], momenta[count:], self._momentum)]
        if self.learning_rate.is_cuda:  # a number instead of the tensor would wait for the GPU, and freeze in a graph
            torch._foreach_mul_(updates, self.learning_rate)
            torch._foreach_sub_(parameters, updates)
        else:  # one pass over memory instead of two, rounded once
            torch._foreach_add_(parameters, updates, alpha=-self.learning_rate.item())

    def state_dict(self) -> dict[str, Any]:
        """Returns the learning rate and, by parameter name, the momenta: the tensors themselves, not copies."""
        return {"learning_rate": self.learning_rate, "momentum": dict(zip(self._names, self._momenta, strict=True))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state_dict`` gave, into the tensors that are there, so that captured graphs see it.

        Raises:
            ValueError: where the names or shapes are not those of this network.
        """
        stored: Mapping[str, Tensor] = state["momentum"]
        shapes = {name: each.shape for name, each in zip(self._names, self._momenta, strict=True)}
        if {name: each.shape for name, each in stored.items()} != shapes:
            raise ValueError("the momenta must be those of this network's parameters, but names or shapes differ")
        for name, each in zip(self._names, self._momenta, strict=True):
            each.copy_(stored[name])
        self.learning_rate.copy_(state["learning_rate"])


def _sums(first: list[Tensor], second: list[Tensor], weight: float) -> list[Tensor]:
    """New tensors: the first ones and the second ones by ``weight``. PyTorch's own function refuses to add none."""
    return list(torch._foreach_add(first, second, alpha=weight)) if first else []
