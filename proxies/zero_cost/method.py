"""How networks are scored at initialisation. Without torch."""

from __future__ import annotations

from typing import Any

ZERO_COST: dict[str, Any] = {"name": "zero-cost", "images": 64, "image_scale": 0.5}
"""On so many images, shrunk like SHORT's."""


def zero_cost_at(resolution_share: float) -> dict[str, Any]:
    """The same for a network whose own resolution is this share of the task's: on images as much smaller again."""
    return ZERO_COST if resolution_share == 1 else {**ZERO_COST, "resolution_share": resolution_share}
