"""What a smaller input costs: the prior's weight of FLOPs against published accuracies at 224 to 96 pixels."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import pytest

from search_space import PRESETS, cost_of
from studies.calibration.accuracy_fit import AccuracyFit
from studies.calibration.accuracy_prior import FEATURES, as_of_papers, fit_prior, log_odds
from studies.calibration.known_trainings import shipped_fit

Row = tuple[float, int, float, float]
"""Width, pixels, millions of multiply-adds and top-1 accuracy in percent, on ImageNet."""

MOBILENET_V1: Sequence[Row] = (
    # Howard 2017, tables 6 and 7.
    *((1.0, 224, 569, 70.6), (1.0, 192, 418, 69.1), (1.0, 160, 290, 67.2), (1.0, 128, 186, 64.4)),
    *((0.75, 224, 325, 68.4), (0.5, 224, 149, 63.7)),
)
MOBILENET_V2: Sequence[Row] = (
    # github.com/tensorflow/models, research/slim/nets/mobilenet/README.md, of Sandler 2018.
    *((1.0, 224, 300, 71.8), (1.0, 192, 221, 70.7), (1.0, 160, 154, 68.8), (1.0, 128, 99, 65.3), (1.0, 96, 56, 60.3)),
    *((0.75, 224, 209, 69.8), (0.75, 192, 153, 68.7), (0.75, 160, 107, 66.4), (0.75, 128, 69, 63.2)),
    *((0.75, 96, 39, 58.8), (0.5, 224, 97, 65.4), (0.5, 192, 71, 63.9), (0.5, 160, 50, 61.0), (0.5, 128, 32, 57.7)),
    *((0.5, 96, 18, 51.2), (0.35, 224, 59, 60.3), (0.35, 192, 43, 58.2), (0.35, 160, 30, 55.7), (0.35, 128, 20, 50.8)),
)
V2 = PRESETS["v2-1.0x"]


def slope(rows: Sequence[Row], one: tuple[float, int], other: tuple[float, int]) -> float:
    """Log-odds per unit of ln multiply-adds between two rows, each by its width and pixels."""
    (_, _, macs, accuracy), (_, _, fewer, lower) = (
        next(row for row in rows if row[:2] == wanted) for wanted in (one, other)
    )
    return (log_odds(accuracy / 100) - log_odds(lower / 100)) / log(macs / fewer)


def test_published_log_odds_fall_with_the_flops_of_a_smaller_input_as_the_prior_says_of_flops() -> None:
    found = [
        *(slope(MOBILENET_V1, (1.0, 224), (1.0, pixels)) for pixels in (128, 160)),
        *(slope(MOBILENET_V2, (1.0, 224), (1.0, pixels)) for pixels in (96, 128)),
        *(slope(MOBILENET_V2, (width, 224), (width, 128)) for width in (0.75, 0.5, 0.35)),
    ]
    assert [round(each, 2) for each in found] == [0.25, 0.24, 0.31, 0.27, 0.27, 0.29, 0.36]
    expected = FEATURES["log FLOPs"]
    assert abs(np.mean(found) - expected.expected) < expected.deviation
    for weight in (fit_prior([]).weights[0], shipped_fit("short").prior.weights[0]):
        assert min(found) < weight < max(found)


def test_at_equal_flops_the_published_networks_are_as_good_by_fewer_pixels_as_by_fewer_channels() -> None:
    rows = [(log(macs), log(pixels / 224), log_odds(accuracy / 100)) for _, pixels, macs, accuracy in MOBILENET_V2]
    flops, pixels, odds = np.array(rows).T
    _, of_flops, beside = np.linalg.lstsq(np.stack([np.ones(len(flops)), flops, pixels], axis=1), odds, rcond=None)[0]
    assert of_flops == pytest.approx(FEATURES["log FLOPs"].expected, abs=FEATURES["log FLOPs"].deviation)
    # From 224 to 128 pixels that is 0.4 points of 65 % or less.
    assert abs(beside * log(128 / 224)) < 0.02


def test_the_prior_predicts_what_a_smaller_input_costs_within_1_3_points_of_the_published() -> None:
    prior, level = shipped_fit("short").prior, log_odds(0.694)  # V2 1.0x in torchvision
    for pixels, lost in ((192, 1.3), (160, 3.2), (128, 6.35)):  # the mean of MobileNetV1's and V2's 1.0 in points
        smaller = replace(V2, resolution=pixels)
        odds = level + prior.predict(smaller).log_odds - prior.predict(V2).log_odds
        points = 69.4 - 100 / (1 + np.exp(-odds))
        assert points == pytest.approx(lost, abs=1.3)


def test_a_networks_flops_count_at_its_own_resolution_and_nothing_else_of_it_differs() -> None:
    prior = fit_prior([])
    smaller = replace(V2, resolution=160)
    macs = {224: 144_907_992, 160: 74_434_200}  # fvcore's counts
    assert (cost_of(V2).macs, cost_of(smaller).macs) == (macs[224], macs[160])
    difference = prior.predict(V2).log_odds - prior.predict(smaller).log_odds
    assert difference == pytest.approx(0.32 * log(macs[224] / macs[160]))


def test_of_a_task_of_another_size_a_resolution_counts_by_its_share_of_it() -> None:
    assert as_of_papers(V2, 320) == V2
    assert as_of_papers(replace(V2, resolution=160), 224).resolution == 160
    assert as_of_papers(replace(V2, resolution=160), 320).resolution == 112
    assert as_of_papers(replace(V2, resolution=40), 4096).resolution == 32
    fit = replace(shipped_fit("short"), resolution=320)
    assert fit.expect(replace(V2, resolution=320)) == fit.expect(replace(V2, resolution=224 * 320 // 224))
    assert fit.expect(replace(V2, resolution=320)).log_odds == pytest.approx(fit.expect(V2).log_odds)
    assert AccuracyFit.from_dict(fit.to_dict()) == fit
    assert "resolution" not in shipped_fit("short").to_dict()
