"""The papers' tables of networks: as far as they repeat each other, and as far as their FLOPs are those of ours."""

import pytest
import torch

from nas.cli.architectures import named_network
from proxies.counting import count
from proxies.references.networks import build_reference
from search_space import Architecture, cost_of
from studies.papers.published_accuracies import PUBLISHED, V1_ERRORS, PublishedNetwork

ROWS = {row.network: row for table in PUBLISHED.values() for row in table.rows if row.network}
OFF = {
    **{"resnext-like@38mflops": 0.12, "resnext-like@13mflops": 0.16, "resnext-like@140mflops": 0.08},
    **{"v1-0.5x-g2-rounded": 0.07, "v1-0.5x-g4-rounded": 0.08, "v1-0.25x-g4-rounded": 0.06, "v1-0.25x-g8": 0.06},
    **{"v1-0.5x-g8": 0.07, "v1-0.5x-g8+no-shuffle": 0.07},
    **{"mobilenet-v2-0.15": 0.22, "mobilenet-v2-0.6": 0.08},  # torchvision rounds widths to multiples of 8
}
"""What is farther than 5 % from the FLOPs that are printed, and how far: the printed ones are those of a whole row."""


def error_of(table: str, label: str) -> float:
    return next(row.error_percent for row in PUBLISHED[table].rows if row.label == label)


def test_tables_have_the_papers_rows() -> None:
    assert {name: len(table.rows) for name, table in PUBLISHED.items()} == {
        "v1-2": 15,
        "v1-3": 12,
        "v1-4": 13,
        "v2-8": 37,
    }
    for table in PUBLISHED.values():
        assert len(set(table.networks)) == len(table.networks)
        assert len({row.label for row in table.rows}) == len(table.rows)


def test_networks_that_stand_in_several_tables_have_one_error() -> None:
    # Zhang 2017 prints these in its tables 2, 3 and 4.
    for scale, groups in (("1.0", 3), ("1.0", 8), ("0.5", 3), ("0.5", 8), ("0.25", 3), ("0.25", 8)):
        assert error_of("v1-3", f"{scale}x g={groups} shuffle") == error_of("v1-2", f"{scale}x g={groups}")
    for label, scale, groups in (("140", "1.0", 8), ("38", "0.5", 4), ("13", "0.25", 8)):
        assert error_of("v1-4", f"ShuffleNet {scale}x g={groups} {label}") == V1_ERRORS[scale][groups]
        assert error_of("v1-4", f"Xception-like {label}") == V1_ERRORS[scale][1]


def test_what_the_papers_say_in_words_comes_out() -> None:
    # Zhang 2017, sec. 4.1.2: shuffle always helps, by 5.2 points at 1x with 8 groups.
    gains: dict[tuple[str, str], dict[str, float]] = {}
    for row in PUBLISHED["v1-3"].rows:
        setting, _, kind = row.label.partition(" g=")
        groups, _, shuffled = kind.partition(" ")
        gains.setdefault((setting, groups), {})[shuffled] = row.error_percent
    assert all(found["shuffle"] < found["no shuffle"] for found in gains.values())
    assert gains["1.0x", "8"]["no shuffle"] - gains["1.0x", "8"]["shuffle"] == pytest.approx(5.2)
    # Ma 2018, sec. 4: V2 is the most accurate of every level of its table but for SE on top.
    levels = {"0.5x": (38, 46), "1x": (140, 210), "1.5x": (274, 325), "2x": (519, 610)}
    for scale, (low, high) in levels.items():
        level = [row for row in PUBLISHED["v2-8"].rows if low <= row.mflops <= high]
        best = min(level, key=lambda row: row.error_percent)
        assert best.label in (f"ShuffleNet v2 {scale}", "ShuffleNet v2 2x, SE")


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.network)
def test_our_network_of_a_row_has_its_flops(row: PublishedNetwork) -> None:
    network = named_network(str(row.network)).network
    if isinstance(network, Architecture):
        macs = cost_of(network).macs
    else:
        with torch.device("meta"):
            macs, _ = count(build_reference(network.name), (1, 3, 224, 224))
    assert macs / 1e6 == pytest.approx(row.mflops, rel=OFF.get(str(row.network), 0.05))
