"""How good a network is on images it was not trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from proxies.data.load import ImageData, normalise

VALIDATION_BATCH = 250


@torch.inference_mode()
def validate(network: nn.Module, data: ImageData, device: str = "cpu") -> tuple[float, float]:
    """The mean cross-entropy and the accuracy in [0, 1] on the validation images, in eval mode."""
    return evaluate(network, data.val_images, data.val_labels, data, device)


@torch.inference_mode()
def evaluate(
    network: nn.Module, images: Tensor, labels: Tensor, data: ImageData, device: str = "cpu"
) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy in [0, 1] on uint8 images (n, c, h, w), normalised as the data's."""
    network.eval()
    loss = correct = 0.0
    for start in range(0, len(images), VALIDATION_BATCH):
        part = slice(start, start + VALIDATION_BATCH)
        targets = labels[part].to(device)
        outputs = network(normalise(images[part].to(device), *data.channel_stats))
        loss += nn.functional.cross_entropy(outputs, targets, reduction="sum").item()
        correct += (outputs.argmax(dim=1) == targets).sum().item()
    return loss / len(images), correct / len(images)


def estimate_statistics(network: nn.Module, images: Tensor, data: ImageData, batch_size: int) -> None:
    """Sets batch-norm statistics to those of the weights as they now are, over uint8 images (n, c, h, w).

    Running ones lag far behind after a few hundred steps.
    """
    parts = [part for part in torch.split(images, batch_size) if 2 * len(part) >= batch_size]
    with torch.no_grad():
        update_bn((normalise(part, *data.channel_stats) for part in parts or [images]), network)
