"""The plan of the time, by hand and over many budgets of time; its keeper by a clock that is told how late it is."""

import os
import time
from dataclasses import asdict
from random import Random

import pytest
from builders.clock import Clock, clock_in

from nas.search.time import plan as time_plan
from nas.search.time.plan import (
    FINALISTS_SHARE,
    RETIMING_SHARE,
    Needs,
    SearchTimer,
    TimeKeeper,
    TimePlan,
    plan_of,
    process_began,
)

# 1000 s, 44 of them to start and 6 for the report: 950 s are left; a tenth and 30 % of them are
# shares, and a quarter of the rest is the most that references take.
PLAN = TimePlan(44.0, 142.5, 427.5, 95.0, 285.0, 6.0)
TIMES = (20.0, 60.0, 180.0, 540.0, 1800.0, 7200.0, 86400.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clock_in(time_plan, monkeypatch, 100.0)


def parts(plan: TimePlan) -> list[float]:
    return list(asdict(plan).values())


def test_a_plan_of_a_thousand_seconds_by_hand() -> None:
    assert parts(plan_of(1000, 44, Needs(), with_finalists=True)) == pytest.approx(parts(PLAN))
    ends = [PLAN.end_of(name) for name in asdict(PLAN)]
    assert ends == pytest.approx([44, 186.5, 614, 709, 994, 1000])
    assert PLAN.total == pytest.approx(1000)


def test_without_finalists_the_search_has_their_time() -> None:
    plan = plan_of(1000, 44, Needs(), with_finalists=False)
    assert parts(plan) == pytest.approx([44, 213.75, 641.25, 95, 0, 6])


def test_re_timing_gets_what_it_needs_and_the_search_has_the_rest() -> None:
    assert parts(plan_of(1000, 44, Needs(retiming=20), with_finalists=True)) == pytest.approx(
        [44, 161.25, 483.75, 20, 285, 6]
    )
    assert plan_of(1000, 44, Needs(retiming=2000), with_finalists=True).retiming == pytest.approx(95)


def test_finalists_get_what_they_need_and_those_that_need_more_than_their_share_are_left_out() -> None:
    fits = plan_of(1000, 44, Needs(finalists=200), with_finalists=True)
    assert parts(fits) == pytest.approx([44, 163.75, 491.25, 95, 200, 6])
    left_out = plan_of(1000, 44, Needs(finalists=286), with_finalists=True)
    assert parts(left_out) == pytest.approx([44, 213.75, 641.25, 95, 0, 6])


def test_finalists_come_back_only_where_they_clearly_fit_and_their_time_has_not_begun() -> None:
    def renewed(need: float, passed: float) -> float:
        without = TimePlan(44, 213.75, 641.25, 95, 0, 6)
        needs = Needs(finalists=need)
        return plan_of(1000, 44, needs, with_finalists=True, former=without, passed=passed).finalists

    # They would begin, re-timing and report left, at 614 s, and 0.9 of their 285 s are 256.5.
    assert renewed(256, 613) == pytest.approx(256)
    assert renewed(257, 613) == 0
    assert renewed(1, 614) == 0


def test_over_many_times_the_phases_are_the_time_and_references_a_quarter_of_it_at_most() -> None:
    random = Random(0)
    for total in TIMES * 40:
        start = random.choice([0.0, random.uniform(0, 2 * total)])
        need = [random.choice([None, random.uniform(0, total)]) for _ in range(2)]
        with_finalists = random.random() < 0.7
        plan = plan_of(total, start, Needs(*need), with_finalists=with_finalists)
        assert sum(parts(plan)) == pytest.approx(total)
        assert min(parts(plan)) >= 0
        assert plan.references <= total / 4
        assert plan.retiming <= RETIMING_SHARE * total
        assert plan.finalists <= FINALISTS_SHARE * total
        assert with_finalists or plan.finalists == 0
        # All that is nobody else's is the search's: with its references it never has less than what shares leave it.
        shares = RETIMING_SHARE + FINALISTS_SHARE
        assert plan.references + plan.search >= (1 - shares) * (total - plan.start - plan.report) - 1e-6


def test_a_start_that_takes_all_of_the_time_leaves_nothing_and_no_phase_is_negative() -> None:
    assert parts(plan_of(60, 500, Needs(), with_finalists=True)) == pytest.approx([57.6, 0, 0, 0, 0, 2.4])


def test_the_plan_is_told_in_a_line() -> None:
    assert PLAN.line() == (
        "plan of 16:40: start 0:44, references up to 2:22, search 7:07, re-timing 1:35, finalists 4:45, report 0:06"
    )


def test_the_keeper_counts_from_the_processs_start_and_tells_the_plan_once_the_run_has_started(clock: Clock) -> None:
    text: list[str] = []
    keeper = TimeKeeper(1000, 90.0, text.append, with_finalists=True)
    clock.seconds = 134
    keeper.start()
    assert text == [PLAN.line()]
    assert parts(keeper.plan) == pytest.approx(parts(PLAN))
    assert (keeper.left("search"), keeper.left("report")) == pytest.approx((570, 956))
    clock.seconds = 744
    assert keeper.left("search") == pytest.approx(-40)


def test_the_keeper_renews_the_plan_and_says_so_where_finalists_come_or_go(clock: Clock) -> None:
    text: list[str] = []
    keeper = TimeKeeper(1000, 90.0, text.append, with_finalists=True)
    clock.seconds = 134
    keeper.start()
    keeper.renew(Needs(retiming=20, finalists=200))
    assert len(text) == 1
    assert keeper.left("search") == pytest.approx(730)
    assert keeper.most_for_finalists == pytest.approx(285)
    keeper.renew(Needs(retiming=20, finalists=400))
    assert text[1] == (
        "the smallest useful set of finalists would take about 6:40: too long: the search goes on to the end; "
        "plan of 16:40: start 0:44, references up to 3:52, search 11:37, re-timing 0:20, finalists 0:00, report 0:06"
    )
    keeper.renew(Needs(retiming=20, finalists=270))
    assert len(text) == 2, "nearly fits, and does not come back"
    keeper.renew(Needs(retiming=20, finalists=100))
    assert text[2].startswith("the smallest useful set of finalists would take about 1:40: there is time for them; ")


def test_what_the_phases_took_is_told_and_kept(clock: Clock) -> None:
    keeper = TimeKeeper(1000, 90.0, lambda line: None, with_finalists=True)
    for phase, seconds in (("start", 134), ("search", 700), ("retiming", 780), ("finalists", 1080), ("report", 1085)):
        clock.seconds = seconds
        if phase == "start":
            keeper.start()
        else:
            keeper.end(phase)
    assert keeper.line() == (
        "time: 16:35 of 16:40 (start 0:44, references and search 9:26, re-timing 1:20, finalists 5:00, report 0:05)"
    )
    kept = keeper.to_dict()
    assert kept["ended"] == {"start": 44, "search": 610, "retiming": 690, "finalists": 990, "report": 995}
    assert list(kept["planned"].values()) == pytest.approx(parts(PLAN))


def test_until_an_evaluation_has_ended_a_search_has_all_of_the_time_and_then_what_the_plan_gives_it(
    clock: Clock,
) -> None:
    keeper = TimeKeeper(1000, 90.0, lambda line: None, with_finalists=True)
    clock.seconds = 134
    keeper.start()
    timer = SearchTimer(keeper, lambda: Needs(retiming=20, finalists=200))
    # A fiftieth of the time, and half of the 95 s of re-timing.
    assert (timer.left(), timer.grace()) == pytest.approx((950, 67.5))
    timer.renew()
    assert (timer.left(), timer.grace()) == pytest.approx((730, 30))


def test_this_process_began_before_now() -> None:
    a_tick = 1 / os.sysconf("SC_CLK_TCK")
    assert time.monotonic() - process_began() > -a_tick
