"""The samplers by name, without optuna, which takes a second to import: `studies.sampling.samplers` makes them."""

from __future__ import annotations

from search_space.errors import InputError

SURROGATE = "surrogate"
SAMPLER_NAMES = (SURROGATE, "tpe", "gp", "nsga2", "random")
DEFAULT_SAMPLER = SURROGATE


def check_sampler(name: str) -> None:
    """Passes a sampler that there is.

    Raises:
        InputError: there is no sampler of that name.
    """
    if name not in SAMPLER_NAMES:
        raise InputError(f"a sampler is one of {', '.join(SAMPLER_NAMES)}; got {name!r}")


def takes_known_objectives(name: str) -> bool:
    """Whether the sampler of that name takes what is known ahead; to find that out takes time."""
    return name == SURROGATE
