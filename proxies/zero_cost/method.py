"""How networks are scored at initialisation. Without torch."""

from __future__ import annotations

from typing import Any

ZERO_COST: dict[str, Any] = {"name": "zero-cost", "images": 64, "image_scale": 0.5}
"""On so many images, shrunk like SHORT's."""
