"""The plan of a run's time: seconds for each phase, renewed as it shows what evaluations cost. Without torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from nas.cli.command import clock
from nas.search.reference_turns import SHARE

RETIMING_SHARE, FINALISTS_SHARE = 0.1, 0.3
"""What phases get at most of the time that is left once workers have started and the report's is kept."""
REPORT_SECONDS, REPORT_SHARE = 6.0, 0.04
"""What the report gets: these seconds, or that share of a time so short that it is less."""
LATE_SHARE = 0.02
"""What runs at the search's end is waited for so much of the time beside half of the re-timing, then given up."""
REVIVED_SHARE = 0.9
"""Finalists that were left out come in again only if they need clearly less than they get: no plan goes to and fro."""
LONGEST_START_SECONDS = 120.0
"""A process that is older than this at its first line was not started for it."""
PHASES = {
    "start": "start",
    "references": "references up to",
    "search": "search",
    "retiming": "re-timing",
    "finalists": "finalists",
    "report": "report",
}
"""The phases in order, and what a line calls them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What two phases need, in seconds; None where that is not known yet.

    `retiming` is all that is to be timed again, `finalists` what fits into their share, or the fewest trainings that
    say anything where none do.
    """

    retiming: float | None = None
    finalists: float | None = None


@dataclass(frozen=True, slots=True)
class TimePlan:
    """The seconds of each phase, in order; together they are the run's time, from the process's start to its end.

    References are evaluated when the search needs them: theirs are the most that they may take of it.
    """

    start: float
    references: float
    search: float
    retiming: float
    finalists: float
    report: float

    @property
    def total(self) -> float:
        """The run's time."""
        return self.end_of("report")

    def end_of(self, phase: str) -> float:
        """When a phase is over, in seconds since the process's start."""
        ends = dict(zip(PHASES, accumulate(asdict(self).values()), strict=True))
        return float(ends[phase])

    def line(self) -> str:
        """The plan in a line."""
        each = (f"{PHASES[name]} {clock(seconds)}" for name, seconds in asdict(self).items())
        return f"plan of {clock(self.total)}: {', '.join(each)}"


def plan_of(
    total: float,
    start: float,
    needs: Needs,
    *,
    with_finalists: bool,
    former: TimePlan | None = None,
    passed: float = 0.0,
) -> TimePlan:
    """The plan of `total` seconds of which the start took `start`; it renews `former`, where there is one.

    Finalists that need more than their share are left out, and the search has their time. They come back into a plan
    that had left them out only while the time of that share has not begun, after `passed` seconds.
    """
    report = min(REPORT_SECONDS, REPORT_SHARE * total)
    left = max(0.0, total - start - report)
    retiming = RETIMING_SHARE * left
    if needs.retiming is not None:
        retiming = min(retiming, needs.retiming)
    finalists = FINALISTS_SHARE * left if with_finalists else 0.0
    if needs.finalists is not None:
        is_back = former is not None and not former.finalists
        begun = passed >= total - report - retiming - finalists
        allowed = (0.0 if begun else REVIVED_SHARE * finalists) if is_back else finalists
        finalists = needs.finalists if needs.finalists <= allowed else 0.0
    searched = left - retiming - finalists
    references = SHARE * searched
    return TimePlan(total - report - left, references, searched - references, retiming, finalists, report)


class TimeKeeper:
    """Keeps a run's time by its plan, from `began` on, which is `time.monotonic()` at the process's start.

    `report` is called with the plan, and with what changes of it.
    """

    def __init__(self, total: float, began: float, report: Callable[[str], None], *, with_finalists: bool) -> None:
        self._total, self._began = total, began
        self._report = report
        self._with_finalists = with_finalists
        self._ended: dict[str, float] = {}
        self.plan = self._planned(Needs())
        self._first = self.plan

    @property
    def most_for_finalists(self) -> float:
        """The seconds of the finalists' share."""
        return FINALISTS_SHARE * (self._total - self.plan.start - self.plan.report)

    @property
    def passed(self) -> float:
        """Seconds since the process's start."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Plans the run anew, now that it has started, and tells the plan."""
        self.end("start")
        self._first = self.plan = self._planned(Needs())
        self._report(self.plan.line())

    def renew(self, needs: Needs) -> None:
        """Plans what is left anew; tells it where finalists come into the plan or fall out of it."""
        former, self.plan = self.plan, self._planned(needs)
        if bool(former.finalists) != bool(self.plan.finalists):
            assert needs.finalists is not None
            text = f"the smallest useful set of finalists would take about {clock(needs.finalists)}"
            goes_on = "there is time for them" if self.plan.finalists else "too long: the search goes on to the end"
            self._report(f"{text}: {goes_on}; {self.plan.line()}")

    def left(self, phase: str) -> float:
        """Seconds until the end of a phase as it is planned now; negative once it should be over."""
        return self.plan.end_of(phase) - self.passed

    def end(self, phase: str) -> None:
        """Takes note that a phase is over."""
        self._ended[phase] = self.passed

    def to_dict(self) -> dict[str, Any]:
        """The plan at the start, as it was renewed, and when each phase was over, in seconds: plain JSON."""
        return {"planned": asdict(self._first), "renewed": asdict(self.plan), "ended": dict(self._ended)}

    def line(self) -> str:
        """What the phases took that are over."""
        return f"time: {clock(self.passed)} of {clock(self._total)} ({_durations(self._ended)})"

    def _planned(self, needs: Needs) -> TimePlan:
        start = self._ended.get("start", self.passed)
        former = self.plan if self._ended else None
        return plan_of(
            self._total, start, needs, with_finalists=self._with_finalists, former=former, passed=self.passed
        )


class SearchTimer:
    """When a search ends by the plan, which is renewed after each evaluation by what is known of `needs` then."""

    def __init__(self, keeper: TimeKeeper, needs: Callable[[], Needs]) -> None:
        self._keeper, self._needs = keeper, needs
        self._is_anything_known = False

    def left(self) -> float:
        """Seconds until no evaluation may go on."""
        # Where not even one has ended by then, the machine is too slow for finalists, and there is nothing to retime.
        return self._keeper.left("search" if self._is_anything_known else "finalists")

    def grace(self) -> float:
        """How much longer what still runs then is waited for: it is worth half of the re-timing."""
        return LATE_SHARE * self._keeper.plan.total + self._keeper.plan.retiming / 2

    def renew(self) -> None:
        """Renews the plan."""
        self._is_anything_known = True
        self._keeper.renew(self._needs())


def _durations(ended: Mapping[str, float]) -> str:
    begins = [0.0, *ended.values()]
    names = {**PHASES, "search": "references and search"}
    return ", ".join(
        f"{names[phase]} {clock(end - begin)}" for (phase, end), begin in zip(ended.items(), begins, strict=False)
    )


def process_began() -> float:
    """`time.monotonic()` as it was when this process was started, before any import; now where nothing tells that."""
    age = 0.0
    with suppress(OSError, ValueError, IndexError, AttributeError):  # no Linux
        ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - (age if 0 <= age <= LONGEST_START_SECONDS else 0.0)
