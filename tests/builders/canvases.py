"""Images in memory: noise, and real things somewhere on a canvas, with their boxes."""

import torch
import torchvision
from torch import Tensor

from builders.images import embedded

CANVAS = 96


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def canvases(count: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Real images of trousers and of bags, twice their size, each somewhere on an empty canvas, with its box."""
    data, generator = embedded(), torch.Generator().manual_seed(0)
    images, targets = [], []
    for number in range(count):
        label = (data.classes.index("Trouser"), data.classes.index("Bag"))[number % 2]
        rows = (data.train_labels == label).nonzero().ravel()
        picture = torchvision.transforms.v2.functional.resize(data.train_images[rows[number // 2]], [56, 56]) / 255
        left, top = (int(torch.randint(CANVAS - 56, (1,), generator=generator)) for _ in range(2))
        canvas = torch.zeros(3, CANVAS, CANVAS)
        canvas[:, top : top + 56, left : left + 56] = picture
        inside = (picture[0] > 0.1).nonzero()
        (y0, x0), (y1, x1) = inside.min(0).values.tolist(), inside.max(0).values.tolist()
        box = torch.tensor([[left + x0, top + y0, left + x1 + 1, top + y1 + 1]], dtype=torch.float32)
        images.append(canvas)
        targets.append({"boxes": box, "labels": torch.tensor([1 + number % 2])})
    return images, targets
