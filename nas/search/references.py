"""The hand-designed networks that a search is held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from search_space.budget import Budget
from search_space.cost import cost_of
from search_space.presets import ANCHOR, PRESETS
from search_space.task import CLASSIFICATION, Task

SLACK = 0.05
"""A hand-designed network that costs so much more than the budget is still what the budget is compared with."""
STEP = 1.25
FAMILIES = {
    "ShuffleNet V2": ("v2-0.5x", "v2-1.0x", "v2-1.5x", "v2-2.0x"),
    "ShuffleNet V1, g = 3": ("v1-0.25x-g3", "v1-0.5x-g3", "v1-1.0x-g3", "v1-1.5x-g3", "v1-2.0x-g3"),
    "ShuffleNet V1, g = 8": ("v1-0.25x-g8", "v1-0.5x-g8", "v1-1.0x-g8", "v1-1.5x-g8", "v1-2.0x-g8"),
}
"""Family -> its presets, smallest first; the family that is nearest to what a search finds stands first."""
BACKBONE_FAMILIES = {"ShuffleNet V2*": ("v2-star-0.5x", "v2-star-1.0x", "v2-star-1.5x", "v2-star-2.0x"), **FAMILIES}
"""The same for backbones: V2* is Ma 2018's own for detection (table 7)."""

ANCHOR_MS = "anchor_ms"
"""The study's attribute that keeps the anchor's latency, by which all of its latencies are scaled."""


def references_for(budget: Budget, task: Task) -> list[str]:
    """Of each family the preset of the budget's class, by name, and the next smaller one; V2's before V1's.

    The budget's class is the largest that costs no more than it, in FLOPs, parameters, RAM and flash, or up to `SLACK`
    more: V2 1.0x has 144.9 MFLOPs, and nobody who asks for 140 means the half of it. A front spans sizes, so the next
    smaller one stands there as well.
    """

    def fits(name: str) -> bool:
        cost = cost_of(PRESETS[name], task.resolution, task.num_classes)
        return budget.excess_of(cost) <= SLACK

    families = FAMILIES if task.name == CLASSIFICATION else BACKBONE_FAMILIES
    fitting = [[name for name in names if fits(name)] for names in families.values()]
    return [names[-place] for names in fitting for place in (1, 2) if len(names) >= place]


def nearest_first(names: Sequence[str], front_macs: Sequence[int], task: Task) -> list[str]:
    """The references by how near their FLOPs are to those of a network on the front; of equally near ones in order.

    Near is a ratio, in steps of `STEP`; without a front all are equally near.
    """

    def distance(name: str) -> int:
        macs = cost_of(PRESETS[name], task.resolution, task.num_classes).macs
        return min((round(abs(math.log(macs / other, STEP))) for other in front_macs), default=0)

    return sorted(names, key=distance)


def sizing_budget(budget: Budget, anchor_ms: float, task: Task) -> Budget:
    """The budget with a bound on FLOPs to size networks by, where latency is all it has for that.

    The anchor's FLOPs are scaled by the latencies' ratio, and half as much again is allowed: networks that do more in
    the same time exist, and what is too slow is measured and rejected before it is trained.
    """
    if budget.sizes_networks or budget.latency_ms is None:
        return budget
    anchor_macs = cost_of(PRESETS[ANCHOR], task.resolution, task.num_classes).macs
    return replace(budget, macs=int(1.5 * anchor_macs * budget.latency_ms / anchor_ms))
