"""Choosers that are no Optuna trial: at random from a seed, and from known parameters."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

Params = Mapping[str, Any]
"""What was chosen, by name, as an Optuna trial's `params` hold it."""


class RandomChooser:
    """Chooses evenly at random; `params` holds what was chosen last by each name."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.params: dict[str, Any] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """One of low, low + step, ..., high."""
        self.params[name] = self._random.randrange(low, high + 1, step)
        return int(self.params[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of `choices`."""
        self.params[name] = self._random.choice(choices)
        return self.params[name]


class PinnedChooser(RandomChooser):
    """Chooses at random, but for the integers that are pinned by name."""

    def __init__(self, seed: int, pinned: Mapping[str, int]) -> None:
        super().__init__(seed)
        self._pinned = dict(pinned)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """The pinned number, or one of low, low + step, ..., high."""
        chosen = super().suggest_int(name, low, high, step=step)
        self.params[name] = self._pinned.get(name, chosen)
        return int(self.params[name])


class FixedChooser:
    """Gives back known parameters, as a trial's `params` hold them."""

    def __init__(self, params: Params) -> None:
        self._params = dict(params)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """The parameter of that name."""
        return int(self._params[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """The parameter of that name."""
        return self._params[name]
