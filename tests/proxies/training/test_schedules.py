"""The schedules against PyTorch's own, which walk step by step where ours computes each step by itself."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from builders.places import ROOT
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, OneCycleLR, SequentialLR

from proxies.training.schedules import SCHEDULES

PEAK = 0.4


def walked(make: Callable[[torch.optim.Optimizer], LRScheduler], total_steps: int) -> list[float]:
    """The rates that PyTorch's schedule gives at each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = make(optimizer)
    rates = []
    for step in range(total_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        if step < total_steps - 1:
            optimizer.step()
            schedule.step()
    return rates


def rates_of(name: str, total_steps: int, warmup_share: float) -> list[float]:
    return [SCHEDULES[name](step, total_steps, PEAK, warmup_share) for step in range(total_steps)]


@pytest.mark.parametrize("warmup_share", [0.0, 0.1, 0.25, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("total_steps", [2, 3, 7, 12, 157])
def test_onecycle_is_that_of_pytorch_at_every_step(total_steps: int, warmup_share: float) -> None:
    def make(optimizer: torch.optim.Optimizer) -> LRScheduler:
        share = warmup_share / 2 if warmup_share * total_steps == 1 else warmup_share
        return OneCycleLR(optimizer, PEAK, total_steps=total_steps, pct_start=share, cycle_momentum=False)

    expected = walked(make, total_steps)
    assert rates_of("onecycle", total_steps, warmup_share) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("total_steps", "warmup_share"), [(4, 0.25), (10, 0.1), (2, 0.5), (1, 1.0)])
def test_a_onecycle_warm_up_of_one_step_divides_by_nothing_and_only_falls(
    total_steps: int, warmup_share: float
) -> None:
    rates = rates_of("onecycle", total_steps, warmup_share)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(PEAK / 25 / 1e4)


def test_onecycle_starts_at_a_25th_peaks_after_the_warm_up_and_ends_at_a_250000th() -> None:
    rates = rates_of("onecycle", 100, 0.3)
    assert rates[0] == pytest.approx(PEAK / 25)
    assert rates[29] == max(rates) == pytest.approx(PEAK)
    assert rates[99] == pytest.approx(PEAK / 250_000)


@pytest.mark.parametrize("warmup", [0, 1, 4, 19])
def test_cosine_is_pytorchs_linear_warm_up_followed_by_its_cosine(warmup: int) -> None:
    total_steps = 20

    def make(optimizer: torch.optim.Optimizer) -> LRScheduler:
        falling = CosineAnnealingLR(optimizer, T_max=total_steps - warmup)
        if not warmup:
            return falling
        rising = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        return SequentialLR(optimizer, [rising, falling], milestones=[warmup])

    expected = walked(make, total_steps)
    assert rates_of("cosine", total_steps, warmup / total_steps) == pytest.approx(expected, rel=1e-9)


def test_cosine_by_hand() -> None:
    assert rates_of("cosine", 6, 1 / 3) == pytest.approx(
        [PEAK / 3, PEAK * 2 / 3, PEAK, PEAK * (2 + 2**0.5) / 4, PEAK / 2, PEAK * (2 - 2**0.5) / 4]
    )
    assert rates_of("cosine", 3, 1.0) == pytest.approx([PEAK / 4, PEAK / 2, PEAK * 3 / 4])
    assert rates_of("cosine", 1, 0.0) == [PEAK]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("step", [-1, 5])
def test_a_step_outside_the_training_is_refused(name: str, step: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 4, but is {step}"):
        SCHEDULES[name](step, 5, PEAK, 0.2)


def test_schedules_need_no_torch() -> None:
    code = "import sys, proxies.training.schedules; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
