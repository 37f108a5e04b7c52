"""Scores of a network at initialisation: each from one batch of images and labels, the higher the better.

Every score works on a copy of the network, so the network is left as it was, also where a score raises. In the copy
only batch norms are in training mode: they use the batch's statistics, as the published programs do, while all else
runs layer by layer as in evaluation. Nothing random is drawn.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

Score = Callable[[nn.Module, Tensor, Tensor], float]

PARTS = 4
"""Parts that ZiCo splits a batch into, each a sample of the gradient.

The authors take two batches. Of two samples a mean over a standard deviation has no finite expectation, and a few
weights whose gradients happen to be close decide the sum; of four it has expectation and variance.
"""
JITTER = 1e-5
"""What jacob_cov adds to each eigenvalue (Abdelfattah 2021's program)."""


class ZeroCostError(RuntimeError):
    """A score that is not a finite number: the message says which one and where to look."""


def _on_a_copy(score: Score) -> Score:
    """`score` of a copy of the network, on the images' device, checked to be finite."""

    @functools.wraps(score)
    def on_a_copy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
        # What is copied here may come from inference mode, whose tensors no gradient can be taken through.
        with torch.inference_mode(False), torch.enable_grad():
            copied = copy.deepcopy(network).to(images.device).eval().requires_grad_(True)
            for module in copied.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.train()
            value = score(copied, images.detach().clone(), labels.to(images.device, copy=True))
        if not math.isfinite(value):
            raise ZeroCostError(
                f"{score.__name__} must be a finite number, got {value}: look for weights or images that are not "
                f"finite, too large, or all 0"
            )
        return value

    return on_a_copy


@_on_a_copy
def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log |K_H|, where K_H (n, n) counts the activations in whose binary code two images agree.

    Raises:
        ZeroCostError: K_H is singular, or an activation of the network did not run.
    """
    signs = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)
    waiting = set(_activations(network))

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # Sums of +-1 are exact in single precision up to 2 ** 24 activations in a layer, whatever their order.
        codes = (inputs[0] > 0).flatten(1).float().mul_(2).sub_(1)
        signs.add_(codes @ codes.T)
        waiting.discard(module)

    activations = list(waiting)
    for activation in activations:
        # Before the activation, since it may write over its input.
        activation.register_forward_pre_hook(add)
    with torch.no_grad():
        network(images)
    if waiting or not activations:
        raise ZeroCostError(f"naswot must see activations, got {len(activations)} of which {len(waiting)} did not run")
    eigenvalues = torch.linalg.eigvalsh((signs[0, 0] + signs) / 2)
    # A singular kernel's determinant is 0 but for rounding, so its logarithm would be any large negative number.
    if eigenvalues[0] <= len(images) * torch.finfo(torch.float64).eps * eigenvalues[-1]:
        raise ZeroCostError(
            "naswot must be a finite number, got log 0: two images have the same code, or too few codes"
        )
    return float(eigenvalues.log().sum())


@_on_a_copy
def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log of the sum of |w * dR/dw| over all weights w; R sums the outputs of the network of |w| for an image of ones.

    The images give the shape alone. Double precision; the logarithm keeps the order and a number that can be read.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d | nn.Hardswish | SqueezeExcitation):
            network.set_submodule(name, nn.Identity())
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64, device=images.device)
    weights = _weights(network)
    products = zip(weights, _gradients(network(ones).sum(), weights), strict=True)
    return float(torch.stack([(weight.detach() * gradient).sum() for weight, gradient in products]).sum().log())


@_on_a_copy
def gradnorm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of the Euclidean norm of the loss's gradient at the layer's weight."""
    gradients = _gradients(F.cross_entropy(network(images), labels), _weights(network))
    return sum(float(gradient.norm()) for gradient in gradients)


@_on_a_copy
def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum of |w * dL/dw| over all weights w, L being the batch's cross-entropy."""
    weights = _weights(network)
    gradients = _gradients(F.cross_entropy(network(images), labels), weights)
    return sum((weight * gradient).abs().sum().item() for weight, gradient in zip(weights, gradients, strict=True))


@_on_a_copy
def zico(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of log sum_w mean |g_w| / std g_w; mean and std over the gradients g of the batch's parts.

    A weight whose gradients are all equal is left out, and a layer of such weights alone adds 0 (it would be log 0).
    """
    weights = _weights(network)
    samples = []
    for part, targets in zip(images.tensor_split(PARTS), labels.tensor_split(PARTS), strict=True):
        samples.append(_gradients(F.cross_entropy(network(part), targets), weights))
    score = 0.0
    for layer in zip(*samples, strict=True):
        # Double precision: there the mean of equal numbers is that number, so that their deviation is 0.
        gradients = torch.stack(layer).double()
        means = gradients.abs().mean(dim=0)
        deviations = gradients.sub_(gradients.mean(dim=0)).square_().mean(dim=0).sqrt_()
        # A deviation that is not a number is unlike 0, so it is not hidden.
        ratio = torch.where(deviations != 0, means / deviations, 0.0).sum().item()
        score += math.log(ratio) if ratio != 0 else 0.0
    return score


@_on_a_copy
def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """-sum(log(v + k) + 1 / (v + k)) over the eigenvalues v of the correlations between the images' gradients.

    An image's gradient is that of the sum of all outputs, (c * h * w) numbers; k is `JITTER`.

    Raises:
        ZeroCostError: an image's gradient is not finite, or the same everywhere, so that nothing correlates with it.
    """
    images.requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(images).sum(), images)
    correlations = torch.corrcoef(gradient.flatten(1).double())
    if not correlations.isfinite().all():
        raise ZeroCostError("jacob_cov must have gradients that vary over the image, got some constant or not finite")
    shifted = torch.linalg.eigvalsh(correlations) + JITTER
    return -float((shifted.log() + 1 / shifted).sum())


def _activations(network: nn.Module) -> list[nn.Module]:
    """The modules of the plan's kinds "relu" and "hardswish": not those inside squeeze-and-excitation."""
    gates = [module for module in network.modules() if isinstance(module, SqueezeExcitation)]
    inside = {module for gate in gates for module in gate.modules()}
    return [
        module for module in network.modules() if isinstance(module, nn.ReLU | nn.Hardswish) and module not in inside
    ]


def _weights(network: nn.Module) -> list[Tensor]:
    """The weights of convolutions and linear layers, in the order of the modules."""
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def _gradients(value: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """The gradient of `value` at each weight, 0 at one that it does not depend on."""
    return torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)
