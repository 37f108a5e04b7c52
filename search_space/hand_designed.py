"""Networks that are no architectures of the space: all that is known of them here is a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HandDesigned:
    """A network by its name, which is no architecture of the space, such as MobileNetV2."""

    name: str

    def key(self) -> str:
        """What names it in the ledger."""
        return self.name

    def to_dict(self) -> dict[str, Any]:
        """It as plain JSON."""
        return {"hand_designed": self.name}
