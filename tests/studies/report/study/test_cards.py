"""The cards of the front: drawn from the plan, costs that sum to the record's, curves, and the JSON to copy."""

import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from builders.fronts import TIMED
from builders.measurements import MODEL, NETWORKS
from builders.records import record
from builders.sections import content_of
from builders.wide_space import drawn_wide

from search_space import PRESETS, Architecture, cost_of
from search_space.plan import plan_of
from studies.facts import TrainingFacts
from studies.latency.unmeasured import Predicted
from studies.record import Record
from studies.report.study.cards import cards_section
from studies.report.study.layer_rows import KINDS, kind_of, layer_rows
from studies.report.study.network_drawing import network_drawing, unit_drawing, unit_text
from studies.report.study.training_curves import curves_of

CURVES = {
    **{"training_losses": [2.0, 1.5], "validation_losses": [1.2], "validation_accuracies": [0.45]},
    "validated_epochs": [2],
}
PREDICTED = Predicted((), MODEL, MODEL.errors)


def made(preset: str, latency_ms: float = 2.0, **changes: Any) -> Record:
    return record(preset, 0.61, latency_ms, latency=TIMED, training=CURVES, **changes)


@pytest.mark.parametrize("architecture", [*PRESETS.values(), *NETWORKS], ids=str)
def test_rows_sum_to_the_exact_cost_and_to_the_measured_latency(architecture: Architecture) -> None:
    cost, rows = cost_of(architecture), layer_rows(architecture, 224, 1000, MODEL, 3.5)
    assert sum(row.macs for row in rows) == cost.macs
    assert sum(row.params for row in rows) == cost.params
    assert sum(row.latency_ms or 0.0 for row in rows) == pytest.approx(3.5)
    assert {row.kind for row in rows} <= set(KINDS)


def test_a_layers_share_of_the_latency_is_the_models() -> None:
    architecture = PRESETS["v2-1.0x"]
    by_layer = MODEL.ms_by_layer(architecture)
    assert sum(by_layer.values()) == pytest.approx(MODEL.predict_ms(architecture))
    assert set(by_layer) - {"stem"} <= {layer.name for layer in cost_of(architecture).layers}
    row = next(row for row in layer_rows(architecture, 224, 1000, MODEL, 7.0) if row.place == "classifier" and row.macs)
    scale = 7.0 / MODEL.predict_ms(architecture)
    assert row.latency_ms == pytest.approx(scale * by_layer["classifier.branches.0.1"])


def test_units_that_are_alike_share_rows() -> None:
    rows = layer_rows(PRESETS["v2-1.0x"], 224, 1000)
    places = list(dict.fromkeys((row.place, row.times) for row in rows))
    stages = [(f"stage {n}", others) for n, others in ((2, 3), (3, 7), (4, 3))]
    between = [
        each for name, others in stages for each in ((f"{name}, first unit", 1), (f"{name}, other {others}", others))
    ]
    assert places == [("stem", 1), *between, ("head", 1), ("classifier", 1)]
    first = next(row for row in rows if row.place == "stage 3, other 7" and row.kind == "dense")
    assert (first.macs, first.params) == (7 * 116 * 116 * 14 * 14, 7 * 116 * 116)
    assert (first.text, first.channels, first.size_px, first.latency_ms) == ("1x1", 116, 14, None)


def test_a_unit_of_the_paper_is_drawn_as_in_its_figure() -> None:
    """Ma 2018, fig. 3 c and d, of V2 1.0x's stage 2: 24 channels in, 116 out."""
    first, other, *_ = plan_of(PRESETS["v2-1.0x"]).stages[0]
    assert unit_text(other) == (
        "58 of 116 channels: passed on; 58 of 116 channels: 1x1 (58 channels, relu), depthwise 3x3 (58 channels), "
        "1x1 (58 channels, relu); concatenate; shuffle, 2 groups"
    )
    assert unit_text(first) == (
        "24 channels: depthwise 3x3 (24 channels, stride 2), 1x1 (58 channels, relu); 24 channels: 1x1 (58 channels, "
        "relu), depthwise 3x3 (58 channels, stride 2), 1x1 (58 channels, relu); concatenate; shuffle, 2 groups"
    )


DRAWN = {**PRESETS, **{f"drawn {place}": network for place, network in enumerate(drawn_wide(10))}}


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_every_layer_of_a_unit_but_norms_and_merged_activations_has_its_box(name: str) -> None:
    for stage in plan_of(DRAWN[name]).stages:
        for unit in stage:
            drawn = unit_drawing(unit).inline()
            layers = [*(layer for branch in unit.branches for layer in branch.layers), *unit.tail]
            for kind in set(KINDS) - {"norm", "join"}:
                assert drawn.count(f'"kind {kind}"') == sum(kind_of(layer) == kind for layer in layers)
            added = sum(branch.residual for branch in unit.branches)
            assert drawn.count('"kind join"') == 1 + added


def test_an_xception_unit_is_drawn_and_named() -> None:
    v2 = PRESETS["v2-1.0x"]
    xception = replace(v2, stages=tuple(replace(stage, xception=True) for stage in v2.stages))
    pair = "depthwise 3x3 (58 channels), 1x1 (58 channels, relu)"
    assert unit_text(plan_of(xception).stages[0][1]) == (
        f"58 of 116 channels: passed on; 58 of 116 channels: {pair}, {pair}, {pair}; concatenate; shuffle, 2 groups"
    )
    page = content_of(cards_section([record(replace(xception, residual=True), 0.6, 2.0)], [], None))
    assert "<dt>network</dt><dd>unit v2, stem 24, head 1024, relu, residual</dd>" in page


def test_the_stages_are_drawn_with_a_slab_for_each_unit_taller_where_the_image_is() -> None:
    plan, layers = plan_of(PRESETS["v2-1.0x"]), cost_of(PRESETS["v2-1.0x"]).layers
    drawn = network_drawing(plan, layers).inline()
    heights = list(map(float, re.findall(r'<rect [^>]*height="([\d.]+)"', drawn)))
    assert len(heights) == 1 + 16 + 2
    assert heights == sorted(heights, reverse=True)
    texts = re.findall(r"<text[^>]*>(.*?)</text>", drawn)
    assert texts[:7] == ["stem", "24 channels", "56 px", "stage 2", "4 units", "116 channels", "28 px"]


def test_a_card_holds_its_networks_numbers_and_its_json() -> None:
    front = [made("v1-1.0x-g3"), made("v2-0.5x", latency_ms=3.0)]
    page = content_of(cards_section(front, [made("v2-1.0x", 4.0, reference="v2-1.0x")], PREDICTED))
    blocks = [json.loads(unescape(block)) for block in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
    assert blocks == [each.architecture.to_dict() for each in front]
    assert re.findall(r'<details class="network" id="network-(\w+)">', page) == [r.architecture.key() for r in front]
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.split("</details>")[0]))
    assert facts["latency"] == "2.00 ms ±1.0 %, onnxruntime A CPU"
    assert facts["accuracy"] == "61.0 %, predicted; the short training&#39;s own 45.0 %"
    assert facts["beside"] == "2.00x faster, +0.0 points vs v2-1.0x"
    assert (facts["key"], facts["FLOPs, parameters"]) == (front[0].architecture.key(), "137.5 M, 1.87 M")


def test_latency_by_layer_is_said_to_be_predicted_or_to_be_missing() -> None:
    front = [made("v2-0.5x")]
    with_model, without = (content_of(cards_section(front, [], predicted)) for predicted in (PREDICTED, None))
    assert "Latency by layer is predicted, not measured: the shares of a model fitted to 30 measured" in with_model
    assert "latency, 2000 us in all" in with_model
    assert "e+0" not in with_model
    assert "No latency by layer: it takes a model fitted to 12 measured networks or more" in without
    assert " us" not in without


def test_a_record_of_another_task_gets_no_costs_by_layer_of_this_one() -> None:
    page = content_of(cards_section([made("v2-0.5x")], [], PREDICTED, resolution=192))
    assert "It is not shown" in page
    assert "in all</th>" not in page


def test_an_empty_front_has_no_section() -> None:
    assert cards_section([], [made("v2-0.5x")], None) is None


def test_curves_are_drawn_at_their_epochs_and_told_in_words() -> None:
    training = {
        "training_losses": [4.0, 2.0, 1.0],
        "validation_losses": [2.5, 1.5],
        "validation_accuracies": [0.25, 0.5],
        "validated_epochs": [1, 3],
    }
    losses, accuracy = (chart.inline() for chart in curves_of(TrainingFacts(training)).charts)
    assert 'aria-label="training loss by epoch: 4, 2, 1; validation loss by epoch: 2.5, 1.5"' in losses
    points = re.findall(r'<circle class="(\w+)" cx="([\d.]+)" cy="([\d.]+)" r="3"', losses)
    first, second = ([(float(x), float(y)) for kind, x, y in points if kind == name] for name in ("first", "second"))
    assert [x for x, _ in second] == [first[0][0], first[2][0]]  # epochs 1 and 3
    assert first[0][1] < second[0][1] < first[1][1] < second[1][1] < first[2][1]  # 4, 2.5, 2, 1.5, 1: downwards
    assert 'aria-label="validation accuracy, % by epoch: 25, 50"' in accuracy


def test_what_was_validated_once_is_a_sentence_and_what_kept_nothing_says_so() -> None:
    once = curves_of(
        TrainingFacts({"training_losses": [2.0, 1.0], "validation_accuracies": [0.5], "validated_epochs": [2]})
    )
    assert (len(once.charts), once.note) == (1, "Validated once, after epoch 2: 50.0 %.")
    nothing = curves_of(TrainingFacts({"validation_accuracies": [0.5]}))
    assert (nothing.charts, nothing.note) == ((), "No curve of this training was kept.")


def test_a_card_says_at_which_pixels_a_network_of_its_own_resolution_is_costed_and_trained() -> None:
    own = replace(PRESETS["v2-0.5x"], resolution=160)
    found = record(own, 0.61, 2.0, latency=TIMED, training={**CURVES, "image_size": 11})
    text = " ".join(unescape(re.sub("<[^>]*>", " ", content_of(cards_section([found], [], PREDICTED)))).split())
    assert f"{cost_of(own).macs / 1e6:.1f} MFLOPs at 160 px" in text
    assert "images of 160 px" in text
    assert "the short training's own 45.0 % on images of 11 px" in text
    assert "It is not shown" not in text  # its cost by layer
