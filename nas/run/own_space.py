"""Which space a run searches in: the one its study was begun in, else one that its budget of latency leaves room in."""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median

from optuna.storages import RDBStorage

from nas.search.references import sizing_budget
from nas.search.settings import Settings
from search_space.bounds import plain
from search_space.budget import Budget
from search_space.budget_range import amount, check_reach, reach_of
from search_space.choices import Choices
from search_space.choosers import RandomChooser
from search_space.errors import InputError
from search_space.presets import ANCHOR
from search_space.shipped_spaces import COMFORTABLE, DEFAULT, SMALL, is_narrowed_from, narrowed_to, shipped_for
from search_space.space import SearchSpace
from search_space.task import Task
from studies.latency.prior import expected_latency, shipped_prior
from studies.storage.studies import kept_settings

OPEN = f"space: one of those that ship, once {ANCHOR} is timed here"
"""What is said of it before."""
DRAWN = 50
"""So many of a space's smallest networks tell what half of them take."""


def in_own_space(settings: Settings, storage: RDBStorage) -> Settings:
    """The settings with the space that their study was begun in, where no flag asks for another one.

    Studies of small budgets were begun in the default space before there was another one for those, and a budget of
    latency alone has got either.
    """
    kept = kept_settings(storage, settings.study).get("space")
    if kept is None or settings.is_space_asked:
        return settings
    choices, default = Choices.from_dict(kept), settings.task.offered(Choices.default())
    is_small = settings.is_sized_by_latency and is_narrowed_from(SMALL, choices, settings.task)
    if not (choices == default or is_small):
        return settings
    if choices != settings.choices or settings.is_sized_by_latency:
        name = SMALL if is_small else DEFAULT
        print(f"space: the {name} one, in which the study {settings.study} was begun", file=sys.stderr, flush=True)
    return replace(settings, choices=choices)


def is_chosen_by_latency(settings: Settings, storage: RDBStorage) -> bool:
    """Whether the anchor's latency decides in which space the study is begun."""
    return settings.is_sized_by_latency and not kept_settings(storage, settings.study)


def in_space_by_latency(settings: Settings, anchor_ms: float) -> Settings:
    """The settings with the default space, or with the small one where their budget of latency leaves that no room.

    As with FLOPs the default one has room where its smallest networks take at most `COMFORTABLE` of the budget, here
    half of them, by what latencies that ship let expect.

    Raises:
        InputError: the small space has no network for it either.
    """
    task, limit_ms = settings.task, settings.budget.latency_ms
    assert limit_ms is not None
    budget = sizing_budget(settings.budget, anchor_ms, task)
    smallest_ms = smallest_latency(task, anchor_ms, settings.latency.precision)
    if smallest_ms <= COMFORTABLE * limit_ms:
        shipped, why = shipped_for(budget, task), ""
    else:
        shipped = narrowed_to(SMALL, budget, task)
        share = f"{100 * COMFORTABLE:.0f} % of the budget"
        why = f"; of the default one's smallest, half are expected to take over {plain(smallest_ms, 2)} ms, and {share}"
    choices = task.offered(shipped.choices)
    try:
        check_reach(budget, choices, task)
    except InputError as error:
        sized = amount("macs", budget.macs or 0, up=False)
        here = f"{plain(limit_ms)} ms are time for {sized} at most here, where {ANCHOR} takes {plain(anchor_ms, 3)} ms"
        raise InputError(f"{here}: {error}") from error
    return replace(settings, choices=choices, space=shipped.line + why)


def smallest_latency(task: Task, anchor_ms: float, precision: str) -> float:
    """The median of what the default space's smallest networks are expected to take in this precision."""
    choices = task.offered(Choices.default())
    space = SearchSpace(choices, Budget(macs=reach_of(choices, task).smallest_macs), task)
    model = expected_latency([], [], anchor_ms, task.resolution, task.num_classes, shipped_prior(precision))
    return median(model.predict_ms(space.suggest(RandomChooser(seed))) for seed in range(DRAWN))


def space_for(settings: Settings, anchor_ms: float) -> SearchSpace:
    """The search space of the settings; a budget of latency alone is given a bound on FLOPs by the anchor's latency."""
    budget = sizing_budget(settings.budget, anchor_ms, settings.task)
    return SearchSpace(settings.choices, budget, settings.task)
