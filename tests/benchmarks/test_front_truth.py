"""A front held against the truth: the references' front between its points, the gap to it, and its standard error."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import front_truth
from benchmarks.front_truth import (
    Gap,
    Point,
    Task,
    Wanted,
    claimed,
    file_of,
    gap_of,
    in_order,
    picked,
    results_of,
    seed_variance,
    told_right,
    train_missing,
    weights_at,
)
from builders.records import enter, record

from nas.cli.architectures import NamedNetwork, named_network
from proxies.data.load import ImageData
from proxies.training import trainer as training
from proxies.training.recipes import RECIPES
from search_space.errors import InputError
from search_space.presets import PRESETS
from studies.record import Record
from studies.storage.studies import keep_results, open_storage, open_study


def right(*counts: int, images: int = 100) -> np.ndarray:
    """Trainings that tell the first so many images right."""
    return np.array([[image < count for image in range(images)] for count in counts])


def point(name: str, latency_ms: float, *counts: int) -> Point:
    return Point(name, latency_ms, right(*counts))


SMALL, LARGE = point("small", 1.0, 60, 64), point("large", 4.0, 80, 80)


# the front


def test_halfway_in_the_logarithm_of_latency_counts_half_of_either_neighbour() -> None:
    assert weights_at([SMALL, LARGE], 2.0) == ({"small": pytest.approx(0.5), "large": pytest.approx(0.5)}, False)
    weights, _ = weights_at([SMALL, LARGE], 4 ** (3 / 4))
    assert weights == {"small": pytest.approx(0.25), "large": pytest.approx(0.75)}


@pytest.mark.parametrize(("latency_ms", "name", "extrapolated"), [(0.9, "small", True), (4.1, "large", True)])
def test_beyond_its_ends_the_front_is_its_nearest_end_and_says_so(
    latency_ms: float, name: str, extrapolated: bool
) -> None:
    assert weights_at([SMALL, LARGE], latency_ms) == ({name: 1.0}, extrapolated)


@pytest.mark.parametrize(("latency_ms", "name"), [(1.0, "small"), (4.0, "large")])
def test_at_a_reference_the_front_is_that_reference(latency_ms: float, name: str) -> None:
    assert weights_at([SMALL, LARGE], latency_ms) == ({name: 1.0}, False)


def test_without_a_reference_there_is_no_gap() -> None:
    with pytest.raises(InputError, match="a gap needs a trained and timed reference"):
        weights_at([], 1.0)


# the gap


def test_a_reference_that_another_beats_counts_nothing() -> None:
    slow_and_worse, as_good_and_slower = point("worse", 2.0, 50), point("slower", 5.0, 80)
    found = point("found", 2.0, 74, 76)
    assert gap_of(found, [as_good_and_slower, LARGE, slow_and_worse, SMALL], None) == gap_of(
        found, [SMALL, LARGE], None
    )


def test_the_gap_is_what_an_accuracy_has_more_than_the_front_at_its_latency() -> None:
    """Halfway between 62 and 80 % lies 71; 75 is 4 points above."""
    gap = gap_of(point("found", 2.0, 74, 76), [LARGE, SMALL], None)
    assert (gap.gap, gap.front_accuracy) == (pytest.approx(0.04), pytest.approx(0.71))
    assert (gap.between, gap.extrapolated, gap.has_seeds) == (("small", "large"), False, False)


def test_the_variance_of_seeds_is_pooled_over_the_networks() -> None:
    """0.60 and 0.64: squares of 0.02 twice, one degree of freedom; twice 0.80: none and one more; one seed: nothing."""
    assert seed_variance([SMALL, LARGE, point("once", 1.0, 70)]) == pytest.approx(2 * 0.02**2 / 2)
    assert seed_variance([point("once", 1.0, 70)]) is None


def test_the_error_of_images_is_that_of_the_difference_image_by_image() -> None:
    """At the reference's own latency: 70 images are right for both, 10 for one alone, 20 for none."""
    gap = gap_of(point("found", 1.0, 80), [point("reference", 1.0, 70)], None)
    differences = [0.0] * 70 + [1.0] * 10 + [0.0] * 20
    variance = sum((each - 0.1) ** 2 for each in differences) / 99
    assert gap.standard_error == pytest.approx(math.sqrt(variance / 100))


def test_networks_that_are_right_on_the_same_images_have_no_error_but_that_of_seeds() -> None:
    """Two trainings here, and half of two and half of one there: (1/2 + 1/4/2 + 1/4/1) times the variance."""
    left, right_end = point("left", 1.0, 70, 70), point("right", 4.0, 71)
    found = Point("found", 2.0, np.mean([left.correct, np.tile(right_end.correct, (2, 1))], axis=0))
    gap = gap_of(found, [left, right_end], 0.0004)
    assert gap.standard_error == pytest.approx(math.sqrt(0.0004 * (1 / 2 + 1 / 8 + 1 / 4)))


def test_a_gap_is_told_with_its_error_and_what_it_is_held_against() -> None:
    gap = Gap(0.0213, 0.7, 0.005, True, ("a", "b"), False)
    found = point("v2-abc", 2.0, 72)
    assert front_truth.gap_line("knee", found, gap) == (
        "knee (v2-abc, 2.000 ms): +2.13 points ±0.50 above the references' front, 70.00 %, between a and b"
    )
    alone = front_truth.gap_line("best", found, replace(gap, has_seeds=False, between=("b",), extrapolated=True))
    assert "no network has two seeds" in alone
    assert alone.endswith("extrapolated from b")


# picks


def front_of_six() -> list[Record]:
    return [
        record(name, 0.5 + 0.05 * place, 1.0 + place)
        for place, name in enumerate(("v2-0.5x", "v2-1.0x", "v1-0.5x-g1", "v1-0.5x-g3", "v1-0.5x-g8", "v1-1.0x-g1"))
    ]


def test_the_fastest_third_is_picked_at_its_slow_end() -> None:
    front = front_of_six()
    assert picked(front, ["fastest-third", "best"]) == {"fastest-third": front[1], "best": front[5]}
    assert picked(front[:1], ["fastest-third"]) == {"fastest-third": front[0]}


def test_an_empty_front_has_nothing_to_pick() -> None:
    with pytest.raises(InputError, match="the front is empty"):
        picked([], ["fastest-third"])


# trainings


@pytest.fixture
def data() -> ImageData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (24, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.arange(24) % 3
    return ImageData("tiny", images[:16], labels[:16], images[16:], labels[16:], ("a", "b", "c"), "f" * 16)


@pytest.fixture
def task(data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setattr(front_truth, "load", lambda name: data)
    monkeypatch.setattr(front_truth, "load_test", lambda name: None)
    monkeypatch.setattr(front_truth.os, "setpriority", lambda *_: None)  # this process could not take it back
    monkeypatch.setattr(front_truth.os, "sched_setaffinity", lambda *_: None)
    recipe = replace(RECIPES["full"], epochs=2, batch_size=8)
    return Task("tiny", data.fingerprint, recipe, tmp_path)


def wanted(seed: int = 1) -> Wanted:
    return Wanted(named_network("v1-0.25x-g1"), 13_000_000, seed)


def test_trainings_come_seed_by_seed_and_the_cheapest_first() -> None:
    networks = [named_network(name) for name in ("v2-1.0x", "mobilenet-v3-small", "v2-0.5x")]
    order = [(each.network.name, each.seed) for each in in_order(networks, 2)]
    names = ["v2-0.5x", "mobilenet-v3-small", "v2-1.0x"]
    assert order == [(name, seed) for seed in (1, 2) for name in names]


def test_another_recipe_seed_or_data_set_has_a_file_of_its_own(task: Task) -> None:
    tasks = [task, replace(task, fingerprint="0" * 16), replace(task, recipe=replace(task.recipe, epochs=3))]
    assert len({file_of(wanted(seed), each) for each in tasks for seed in (1, 2)}) == 6


def test_a_training_that_was_stopped_goes_on_and_gives_what_an_unbroken_one_does(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_missing([wanted()], task, 0)
    whole = results_of([wanted()], task)["v1-0.25x-g1"][0]
    file_of(wanted(), task).unlink()
    run_epoch = training.Trainer.run_epoch

    def stopped_in_the_second(trainer: training.Trainer) -> None:
        if trainer.epoch == 1:
            raise KeyboardInterrupt
        run_epoch(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "run_epoch", stopped_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            train_missing([wanted()], task, 0)
    assert results_of([wanted()], task) == {}
    train_missing([wanted()], task, 0)
    again = results_of([wanted()], task)["v1-0.25x-g1"][0]
    for row in (whole, again):
        del row["training"]["seconds"]
    assert again == whole
    assert not list(task.folder.glob("*.pt"))


def test_a_training_that_another_process_makes_is_left_to_it(task: Task) -> None:
    with claimed(file_of(wanted(), task)) as ours:
        assert ours
        train_missing([wanted()], task, 0)
    assert results_of([wanted()], task) == {}


def test_what_is_kept_of_a_training_says_of_each_image_whether_it_is_told_right(task: Task, data: ImageData) -> None:
    train_missing([wanted()], task, 0)
    rows = results_of([wanted()], task)["v1-0.25x-g1"]
    (point,) = front_truth.points_of({"v1-0.25x-g1": rows}, {"v1-0.25x-g1": {"latency_ms": 2.0}})
    assert point.correct.shape == (1, 8)
    assert point.accuracy == rows[0]["accuracy"] == rows[0]["training"]["validation_accuracies"][-1]
    assert (rows[0]["split"], rows[0]["seed"], rows[0]["macs"]) == ("validation", 1, 13_000_000)


def test_told_right_asks_for_the_largest_output(data: ImageData) -> None:
    class AlwaysB(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, 1.0, 0.5]).expand(len(x), 3)

    right = told_right(AlwaysB(), data.val_images, data.val_labels, data)
    assert right.tolist() == (data.val_labels == 1).tolist()


# latencies


def test_latencies_are_the_mean_of_the_passes_and_as_far_off_as_those_differ() -> None:
    row = {"spread": 0.01}
    calm = front_truth._over_passes([{"latency_ms": 2.0, **row}, {"latency_ms": 2.0, **row}])
    assert (calm["latency_ms"], calm["spread"]) == (2.0, pytest.approx(0.01))
    moved = front_truth._over_passes([{"latency_ms": 1.9, **row}, {"latency_ms": 2.1, **row}])
    assert (moved["latency_ms"], moved["spread"]) == (2.0, pytest.approx(2 * 0.1 / 2.0))


def test_latencies_are_taken_once_for_all_networks_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[list[str]] = []

    def take(ready: dict[str, str], passes: int) -> dict[str, dict[str, float]]:
        timed.append(sorted(ready))
        return {name: {"latency_ms": 1.0, "spread": 0.01} for name in ready}

    monkeypatch.setattr(front_truth, "_prepared", lambda network, stem, settings: network.name)
    monkeypatch.setattr(front_truth, "_timed", take)
    few, more = ([named_network(name) for name in names] for names in (("v2-0.5x",), ("v2-0.5x", "v2-1.0x")))
    for networks in (few, few, more, few):
        front_truth.latencies_of(networks, tmp_path, 1, {})
    assert timed == [["v2-0.5x"], ["v2-0.5x", "v2-1.0x"]]
    assert json.loads((tmp_path / "latencies.json").read_text()).keys() == {"v2-0.5x", "v2-1.0x"}


# what is drawn


def test_the_picture_holds_the_references_front_every_network_by_name_and_the_seeds_error() -> None:
    beaten, found = point("beaten", 3.0, 62), point("v2-abc", 2.0, 75, 77)
    figure = front_truth.picture([SMALL, found, beaten, LARGE], {"knee": "v2-abc", "best": "v2-abc"}, 0.0002)
    line, hand_made, searched = figure.data
    assert list(line.x) == [1.0, 4.0]
    assert list(hand_made.text) == ["small", "beaten", "large"]
    assert (list(searched.x), list(searched.y), list(searched.text)) == ([2.0], [pytest.approx(76.0)], ["knee, best"])
    assert searched.error_y.array[0] == pytest.approx(100 * math.sqrt(0.0002 / 2))


# the whole


def kept_study(folder: Path) -> list[str]:
    """The flags that name a study of three networks, all of them on its front."""
    url = f"sqlite:///{folder}/study.db"
    storage = open_storage(url)
    study = open_study(storage, "one", {"resolution": 64, "classes": 10}, resume=False)
    keep_results(storage, "one-references", {}, [])
    for place, groups in enumerate((1, 3, 8)):
        enter(study, record(f"v1-0.25x-g{groups}", 0.5 + 0.1 * place, 1.0 + place))
    return ["--study", "one", "--storage", url]


def test_a_study_s_picks_are_trained_timed_told_and_drawn(
    task: Task, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict] = []

    def prepared(network: NamedNetwork, stem: Path, settings: dict) -> str:
        asked.append(settings)
        return network.name

    def timed(ready: dict[str, str], passes: int) -> dict[str, dict[str, float]]:
        return {name: {"latency_ms": 1.0 + place, "spread": 0.01} for place, name in enumerate(ready)}

    monkeypatch.setattr(front_truth, "_prepared", prepared)
    monkeypatch.setattr(front_truth, "_timed", timed)
    monkeypatch.setattr(front_truth, "train_all", lambda wanted, task, cores: train_missing(wanted, task, 0))
    flags = [*kept_study(task.folder), "--references", "v2-0.5x", "--epochs", "1", "--out", str(task.folder)]
    assert front_truth.run_command(front_truth.make_parser(), front_truth.run, flags) == 0
    text = capsys.readouterr().out
    keys = {groups: f"v1-{PRESETS[f'v1-0.25x-g{groups}'].key()[:8]}" for groups in (1, 3, 8)}
    for name, groups in (("fastest-third", 1), ("best", 8)):
        assert f"{name} ({keys[groups]}, " in text
    assert all(settings["resolution"] == 64 for settings in asked), "timed as the study timed"
    kept = json.loads((task.folder / "truth.json").read_text())
    assert kept["picks"]["best"] == keys[8]
    assert kept["gaps"]["best"]["between"] == ["v2-0.5x"]
    assert len(kept["trainings"]["v2-0.5x"]["accuracies"]) == 2
    assert "plotly" in (task.folder / "front_truth.html").read_text()
    so_far = [*flags, "--trained-so-far", "--seeds", "3"]
    assert front_truth.run_command(front_truth.make_parser(), front_truth.run, so_far) == 1
    assert "trainings are missing" in capsys.readouterr().err


# flags


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ((), "named by --study, or networks by --train-only"),
        (("--train-only", "v2-1.0x", "--cores", "99"), "--cores must be some of"),
        (("--train-only", "resnet-9000"), "a network is a preset"),
    ],
)
def test_bad_flags_are_told_in_one_line(
    flags: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = front_truth.make_parser()
    assert front_truth.run_command(parser, front_truth.run, [*flags, "--out", str(tmp_path)]) == 2
    assert text in capsys.readouterr().err
