"""What a calibration asks: which architectures, trained how and by which seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.calibrate.sets import SETS
from nas.calibrate.settings import CalibrationSettings
from proxies.training.recipes import Recipe, share_of
from proxies.zero_cost.method import zero_cost_at
from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.ledger.trainings import Question


@dataclass(frozen=True, slots=True)
class Sets:
    """The architectures of each set by its name, and how many of them are trained fully."""

    architectures: Mapping[str, tuple[Architecture, ...]]
    labelled: Mapping[str, int]

    def all(self) -> list[tuple[Architecture, bool]]:
        """Every architecture once, with whether it is trained fully."""
        found: dict[str, tuple[Architecture, bool]] = {}
        for name, members in self.architectures.items():
            labelled = self._labelled(name)
            for position, architecture in enumerate(members):
                key = architecture.key()
                known = found.get(key, (architecture, False))[1]
                found[key] = architecture, known or position in labelled
        return list(found.values())

    def _labelled(self, name: str) -> set[int]:
        """Positions: the first ones of a set in random order, those evenly spread over one that is ordered by cost."""
        count, labelled = len(self.architectures[name]), self.labelled[name]
        if name != "stratified":
            return set(range(labelled))
        return {position * count // labelled for position in range(labelled)}


def draw(settings: CalibrationSettings) -> Sets:
    """The architectures that the settings ask for."""
    return Sets(
        {
            name: tuple(SETS[name](settings.space, count + settings.extra, settings.seeds[0]))
            for name, count in settings.fully.items()
        },
        settings.fully,
    )


def questions(settings: CalibrationSettings, sets: Sets, data: str) -> list[Question]:
    """All that is to be asked: what is cheap first, full trainings seed by seed, the costliest of each first."""
    space, seed = settings.space, settings.seeds[0]

    def macs(member: tuple[Architecture, bool]) -> int:
        return cost_of(member[0], space.task.resolution, space.task.num_classes).macs

    members = sorted(sets.all(), key=macs, reverse=True)
    asked: list[Question] = []
    for recipe in (None, *settings.proxies):
        asked += [question(settings, architecture, recipe, data, seed) for architecture, _ in members]
    for each in settings.seeds:
        asked += [question(settings, network, settings.full, data, each) for network, known in members if known]
    return asked


def question(
    settings: CalibrationSettings, architecture: Architecture, recipe: Recipe | None, data: str, seed: int
) -> Question:
    """How a network is trained by a recipe; for None how it scores at initialisation."""
    resolution = settings.space.task.resolution
    share = share_of(architecture, resolution)
    method = zero_cost_at(share) if recipe is None else recipe.of(architecture, resolution).to_dict()
    return Question(architecture, method, data, seed, settings.device)
