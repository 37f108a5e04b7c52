"""The report as a reader gets it: one file, whole, safe, drawn by a browser with no network."""

import json
import re
from collections import Counter
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from builders.fronts import FINALISTS, FRONT, RECORDS, REFERENCES
from builders.pages import HOSTILE, Outline, visible, written
from builders.records import record
from processes.browser import show

from search_space import PRESETS
from studies.accuracy_scale import AccuracyScale
from studies.display import rows_of
from studies.finalists import Finalist
from studies.report.figures import flops_figure, front_figure


def empty(path: Path) -> str:
    return written(path, front=[], references=[], records=[])


def test_the_page_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)\s*=", visible(page)) == []
    assert re.findall(r"<script[^>]+src", page) == []
    assert "http" not in visible(page).replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_plotly_stands_in_the_page_once(tmp_path: Path) -> None:
    assert len(re.findall(r"plotly\.js v\d", written(tmp_path))) == 1


def test_every_network_of_the_front_is_there_with_its_architecture(tmp_path: Path) -> None:
    page = unescape(visible(written(tmp_path)))
    blocks = [json.loads(block) for block in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
    assert blocks == [member.architecture.to_dict() for member in FRONT]
    assert len(FRONT) == 6
    assert all(member.architecture.key() in page for member in FRONT)


def test_the_table_has_the_cells_of_the_text_table(tmp_path: Path) -> None:
    table = visible(written(tmp_path)).partition('id="the-front"')[2].partition("</section>")[0]
    rows = re.findall(r'<tr class="(\w+)">(.*?)</tr>', table)
    cells = [
        tuple(unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row))
        for _, row in rows
    ]
    expected = rows_of(FRONT, REFERENCES)
    assert [row[:-1] for row in cells] == [row.cells for row in expected]
    assert [kind == "reference" for kind, _ in rows] == [row.is_reference for row in expected]


def test_names_of_the_front_lead_to_cards_and_cards_back_and_no_link_leads_nowhere(tmp_path: Path) -> None:
    outline = Outline()
    outline.feed(written(tmp_path, finalists=FINALISTS))
    links = Counter(outline.links)
    for member in FRONT:
        key = member.architecture.key()
        assert links[f"#network-{key}"] >= 3, "from the table, the guidelines and the finalists"
        assert links[f"#row-{key}"] == 1
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)
    assert max(outline.ids.values()) == 1


def test_ties_share_a_letter_and_the_note_says_when(tmp_path: Path) -> None:
    near = [
        record(PRESETS[name], 0.5 + i / 100, 1 + i / 60) for i, name in enumerate(["v2-0.5x", "v2-1.0x", "v2-1.5x"])
    ]
    given = {"front": near, "references": [], "records": near}
    page = visible(written(tmp_path, **given, scale=AccuracyScale(error=0.01)))
    table = page.partition('id="the-front"')[2].partition("</section>")[0]
    assert re.findall(r'<td class="text">([a-z ]*)</td></tr>', table) == ["a", "a b", "b"]
    assert "Networks that share a letter are tied: latencies within 2 % of each other and error bars" in table
    assert "1.0 points of accuracy, the root mean square error of the fit" in page
    apart = visible(written(tmp_path, **given, scale=AccuracyScale(error=0.001)))
    assert "No two are tied: latencies within 2 %" in apart
    unknown = visible(written(tmp_path, **given))
    assert "that of an accuracy is not known" in unknown
    assert "Networks that share a letter are tied: latencies within 2 % of each other." in unknown


def test_a_finalist_on_their_front_alone_has_a_card_and_each_leads_to_the_other(tmp_path: Path) -> None:
    """The third record is worse than the second in the search, and the most accurate of the finalists."""
    risen, key = RECORDS[2], RECORDS[2].architecture.key()
    assert risen not in FRONT
    outline = Outline()
    page = written(tmp_path, finalists=[*FINALISTS, Finalist(risen, {1: 0.9, 2: 0.9}, risen.latency)])
    outline.feed(page)
    assert outline.ids[f"network-{key}"] == outline.ids[f"row-{key}"] == 1
    assert Counter(outline.links)[f"#network-{key}"] == Counter(outline.links)[f"#row-{key}"] == 1
    assert page.index("On the finalists&#39; front alone") < page.index(f'id="network-{key}"')
    assert "front alone" not in written(tmp_path, finalists=FINALISTS)


def test_finalists_share_letters_by_the_deviation_over_their_seeds(tmp_path: Path) -> None:
    """50 ± 0.7 and 51 ± 0.7 % are tied in latencies within 2 %, 54 ± 0.7 % is not; of one seed nothing is known."""
    near = [
        record(PRESETS[name], 0.5, 1 + i / 1000) for i, name in enumerate(["v2-0.5x", "v2-1.0x", "v2-1.5x", "v2-2.0x"])
    ]
    accuracies = ({1: 0.495, 2: 0.505}, {1: 0.505, 2: 0.515}, {1: 0.535, 2: 0.545}, {1: 0.6})
    finalists = [Finalist(each, seeds, each.latency) for each, seeds in zip(near, accuracies, strict=True)]
    table = written(tmp_path, finalists=finalists).partition('id="finalists"')[2].partition("</table>")[0]
    assert re.findall(r'<td class="text">([a-z ]*)</td></tr>', table) == ["a", "a", "b", "a b"]


def test_settings_and_what_the_numbers_do_not_say_are_told(tmp_path: Path) -> None:
    page = visible(written(tmp_path, provenance={"training_seconds": 12.25, "replayed": False, "note": None}))
    pairs = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert pairs["budget"] == "140mflops"
    assert pairs["kernels"] == "3, 5, 7"
    assert (pairs["training seconds"], pairs["replayed"], pairs["note"]) == ("12.25", "no", "none")
    for said in (
        "1 FLOP = 1 multiply-add",
        "hold at 224 px, 1000 classes",
        "short training",
        "this device and runtime only (onnxruntime A CPU)",
    ):
        assert said in page


def test_hostile_strings_are_text(tmp_path: Path) -> None:
    named = record("v2-1.0x", 0.5, 3.0, reference=HOSTILE)
    page = written(tmp_path, title=HOSTILE, references=[named], settings={HOSTILE: HOSTILE})
    assert page.count("<img") == written(tmp_path).count("<img")
    assert unescape(page).count(HOSTILE) > 5
    assert page.count("</script>") == written(tmp_path).count("</script>")


def test_a_run_stopped_before_its_first_network_has_a_page(tmp_path: Path) -> None:
    page = empty(tmp_path)
    assert "0 networks searched, 0 on the front." in page
    assert "nothing to draw" in page


@pytest.mark.parametrize("missing", ["front", "references", "records"])
def test_whatever_is_missing_the_page_is_written(tmp_path: Path, missing: str) -> None:
    assert "figure-1" in written(tmp_path, **{missing: []})


def test_points_stand_where_they_were_measured() -> None:
    searched, front, references = front_figure(FRONT, REFERENCES, RECORDS, AccuracyScale(error=0.015)).data
    assert list(front.x) == [1, 2, 4, 5, 7, 8]
    assert list(front.y) == pytest.approx([40, 42, 46, 48, 52, 54])
    assert list(front.error_x.array) == pytest.approx([0.01, 0.02, 0.04, 0.05, 0.07, 0.08])  # half of 2 % either way
    assert [*front.error_y.array, *references.error_y.array] == pytest.approx([1.5] * 8)
    assert list(searched.x) == [3, 6, 9]
    assert list(references.text) == ["v2-0.5x", "v1-1.0x-g3"]


def test_every_searched_network_stands_once_among_its_groups() -> None:
    *by_kind, references = flops_figure(REFERENCES, RECORDS).data
    placed = sorted(point for trace in by_kind for point in zip(trace.x, trace.y, strict=True))
    assert placed == [(r.latency_ms, r.macs / 1e6) for r in RECORDS]
    assert list(references.y) == pytest.approx([r.macs / 1e6 for r in REFERENCES])
    for trace in by_kind:
        unit, groups = re.fullmatch(r"(v\d) g(\d+)", trace.name).groups()
        assert all(f"unit {unit}" in text and f"groups {groups}," in text for text in trace.hovertext)


@pytest.mark.parametrize(("slowest", "scale"), [(4.9, "linear"), (5.1, "log")])
def test_latencies_that_range_far_stand_on_a_log_axis(slowest: float, scale: str) -> None:
    records = [record(PRESETS["v2-0.5x"], 0.4, 1.0), record(PRESETS["v2-1.0x"], 0.5, slowest)]
    assert front_figure(records, [], records).layout.xaxis.type == scale


def test_an_accuracy_of_nothing_is_drawn() -> None:
    records = [record(PRESETS["v2-0.5x"], 0.6, 1.0), record(PRESETS["v2-1.0x"], 0.0, 2.0, reference="v2-1.0x")]
    assert front_figure(records[:1], records[1:], records[:1]).layout.yaxis.type == "linear"


@pytest.mark.slow
def test_a_browser_without_network_draws_the_figures(driver: Any, tmp_path: Path) -> None:
    written(tmp_path, title=HOSTILE)
    show(driver, tmp_path / "report.html")
    plots = driver.execute_script(
        "return [...document.querySelectorAll('.js-plotly-plot')]"
        ".map(plot => [plot.id, plot.querySelectorAll('path.point').length])"
    )
    each = len(RECORDS) + len(REFERENCES)
    assert plots[:3] == [["figure-1", each], ["figure-2", each], ["figure-3", each]]
    assert driver.execute_script("return document.querySelector('h1').textContent") == HOSTILE
