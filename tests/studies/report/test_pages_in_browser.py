"""The report in a real browser, offline: drawn, sorted, copied, reached by keyboard, read in the dark, on a phone."""

import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from builders.calibrations import calibration
from builders.fronts import SPACE, TIMED, networks
from builders.measurements import FAMILIES, FOUR, V1, compared, comparison, finding, reference_study
from builders.records import record
from builders.tables import TABLE
from processes.browser import CONTRASTS, show

from nas.guidelines.run import Case
from studies.accuracy_scale import AccuracyScale
from studies.finalists import Finalist
from studies.front import front_of
from studies.latency.unmeasured import predicted_for
from studies.papers.published_guidelines import TABLES
from studies.record import Record
from studies.report.benchmark_page import write_table_report
from studies.report.calibration_page import write_calibration_page
from studies.report.comparison_page import write_comparison_page
from studies.report.guideline_page import write_guidelines
from studies.report.page import section, table_html, write_page
from studies.report.reference_page import write_reference_page
from studies.report.study.cards import cards_section
from studies.report.study.finalists_section import finalists_section
from studies.report.study.front_section import figure_section, table_section

pytestmark = pytest.mark.slow
COLUMNS = "name", "latency ms"
ROWS = [("b", "9.5 ±1 %"), ("a10", "unknown"), ("a9", "10.1 ±1 %"), ("c", "9.5 ±2 %"), ("d", "\u22121")]

OPENED = "return [...document.querySelectorAll('details[open]')].map(each => each.id)"
NAMES_DRAWN = """
return [...document.querySelectorAll('.js-plotly-plot')].map((plot) => {
  const {l, w} = plot._fullLayout._size, start = plot.getBoundingClientRect().left + l;
  const boxes = [...plot.querySelectorAll('.textpoint')].map(e => [e.textContent, e.getBoundingClientRect()]);
  const ends = ([name, b]) => [name, b.left - start, b.right - start, b.top, b.bottom];
  return [w, boxes.filter(([name]) => name).map(ends)];
});
"""


def measured(network: Any, accuracy: float, latency_ms: float, **changes: Any) -> Record:
    training = {"training_losses": [2.0, 1.0], "validation_losses": [1.5, 0.9], "validation_accuracies": [0.3, 0.5]}
    latency = {**TIMED, "noisy": latency_ms == 1.0}
    return record(network, accuracy, latency_ms, latency=latency, training=training, **changes)


RECORDS = [
    measured(network, 0.4 + 0.02 * (i - 3 * (i % 3 == 2)), 1.0 + i / 5) for i, network in enumerate(networks(15))
]
FRONT = front_of(RECORDS)
SCALE = AccuracyScale(error=0.01)
REFERENCES = [
    measured(name, accuracy, ms, reference=name)
    for name, accuracy, ms in (("v2-0.5x", 0.5, 2.0), ("v1-1.0x-g3", 0.55, 3.7))
]
FINALISTS = [Finalist(each, {1: each.accuracy, 2: each.accuracy - 0.01}, each.latency) for each in FRONT + REFERENCES]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"budget": "140mflops", "resolution": 224, "classes": 1000, "space": SPACE.choices.to_dict()}
    sections = [
        figure_section(FRONT, REFERENCES, RECORDS, SCALE),
        section("Table", table=table_html(COLUMNS, [("found", row) for row in ROWS], COLUMNS[1:])),
        cards_section(FRONT, REFERENCES, predicted_for([*RECORDS, *REFERENCES], settings)),
        table_section(FRONT, REFERENCES, SCALE),
        finalists_section(FINALISTS, FRONT),
    ]
    return write_page(tmp_path_factory.mktemp("page") / "report.html", "a study", sections, lead="of fifteen networks")


def names(driver: Any) -> list[str]:
    rows = "[...document.querySelector('#table').querySelectorAll('tr.found')]"
    return driver.execute_script(f"return {rows}.map(r => r.cells[0].textContent)")


def open_all(driver: Any) -> None:
    driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")


def press(driver: Any, key: str) -> None:
    code = {"Tab": 9, "Enter": 13, " ": 32}[key]
    text = {"text": {"Enter": "\r"}.get(key, key)} if key != "Tab" else {}
    event = {"key": key, "code": {" ": "Space"}.get(key, key), "windowsVirtualKeyCode": code}
    driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyDown", **event, **text})
    driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", **event})


def test_it_opens_from_a_file_without_an_error_or_a_request_and_is_drawn(driver: Any, page: Path) -> None:
    for kind in ("browser", "performance"):
        driver.get_log(kind)  # what came before
    show(driver, page)
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    requests = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in requests if not url.startswith(("data:", "blob:"))} == {page.as_uri()}
    assert driver.get_log("browser") == []
    points = driver.execute_script("return document.querySelectorAll('#figure-1 path.point').length")
    assert points == len(RECORDS) + len(REFERENCES)


def test_what_would_leave_the_page_is_stopped_by_its_policy(driver: Any, page: Path) -> None:
    show(driver, page)
    program = "fetch('https://example.com/').then(() => arguments[0]('sent'), () => arguments[0]('stopped'))"
    assert driver.execute_async_script(program) == "stopped"
    assert "Content Security Policy" in driver.get_log("browser")[0]["message"]


def test_a_click_sorts_numbers_as_numbers_and_again_the_other_way_with_unknown_ones_last(
    driver: Any, page: Path
) -> None:
    show(driver, page)
    heading = driver.find_element("css selector", "th.number")
    heading.find_element("tag name", "button").click()
    assert names(driver) == ["d", "b", "c", "a9", "a10"]  # b and c are equal and stay in their order
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.find_element("tag name", "button").click()
    assert names(driver) == ["a9", "b", "c", "d", "a10"]
    assert heading.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_key_sorts_words_with_the_numbers_in_them(driver: Any, page: Path, key: str) -> None:
    show(driver, page)
    driver.execute_script("document.querySelector('th.text button').focus()")
    press(driver, key)
    assert names(driver) == ["a9", "a10", "b", "c", "d"]


def test_tab_reaches_everything_once_and_shows_where_it_is(driver: Any, page: Path) -> None:
    show(driver, page)
    driver.execute_script("document.querySelectorAll('details')[0].open = true")
    wanted = driver.execute_script(
        "window.wanted = [...document.querySelectorAll('a[href], button, summary, [tabindex=\"0\"]')]"
        ".filter(each => each.checkVisibility()); return wanted.length"
    )
    seen = []
    for _ in range(wanted):
        press(driver, "Tab")
        seen.append(
            driver.execute_script(
                "const e = document.activeElement; return [wanted.indexOf(e), getComputedStyle(e).outlineStyle]"
            )
        )
    assert [place for place, _ in seen] == list(range(wanted))
    assert {outline for _, outline in seen} == {"solid"}
    assert wanted > 40


def test_a_link_to_a_card_opens_it(driver: Any, page: Path) -> None:
    show(driver, page)
    key = FRONT[-1].architecture.key()
    driver.execute_script(f"location.hash = 'network-{key}'")
    assert wait(driver, OPENED) == [f"network-{key}"]


def test_enter_on_a_name_opens_its_card_again_and_again_and_the_card_leads_back(driver: Any, page: Path) -> None:
    show(driver, page)
    key = FRONT[1].architecture.key()
    for _ in range(2):
        driver.execute_script(f"document.getElementById('row-{key}').focus()")
        press(driver, "Enter")
        assert wait(driver, OPENED) == [f"network-{key}"]
        assert driver.execute_script("return document.activeElement.parentNode.id") == f"network-{key}"
        driver.execute_script("document.querySelector('details[open]').open = false")
    driver.execute_script(f"document.querySelector('#network-{key} a').click()")
    assert wait(driver, "return document.querySelector(':target')?.id") == f"row-{key}"
    press(driver, "Enter")
    assert wait(driver, OPENED) == [f"network-{key}"], "the row's name has the focus"


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_button_copies_the_architecture_or_selects_it(driver: Any, page: Path, clipboard: bool) -> None:
    show(driver, page)
    open_all(driver)
    fake = "async (text) => { window.copied = text; }" if clipboard else "async () => { throw new Error('refused'); }"
    driver.execute_script(f"Object.defineProperty(navigator, 'clipboard', {{ value: {{ writeText: {fake} }} }})")
    driver.execute_script("document.querySelector('.copy button').click()")
    text = wait(driver, "return window.copied" if clipboard else "return getSelection().toString()")
    assert json.loads(text) == FRONT[0].architecture.to_dict()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(driver: Any, page: Path, scheme: str) -> None:
    show(driver, page, scheme=scheme)
    open_all(driver)
    contrasts = driver.execute_script(CONTRASTS)
    assert len(contrasts) > 500
    assert [text for contrast, text in contrasts if contrast < 4.5] == []


def test_the_dark_is_dark_and_the_light_is_light(driver: Any, page: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        show(driver, page, scheme=scheme)
        colours.append(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) for colour in colours)
    assert (light > 600, dark < 150) == (True, True)


def test_a_phone_scrolls_tables_and_not_the_page(driver: Any, page: Path) -> None:
    show(driver, page, width=390)
    open_all(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth") == 390
    overflowing = "return [...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert driver.execute_script(overflowing) >= len(FRONT)


@pytest.mark.parametrize("width", [390, 1100])
def test_names_in_figures_are_whole_and_cover_no_other(driver: Any, page: Path, width: int) -> None:
    show(driver, page, width=width)
    plots = driver.execute_script(NAMES_DRAWN)
    named = [{name for name, *_ in boxes} for _, boxes in plots]
    references = {each.name for each in REFERENCES}
    assert named[0] == references
    assert references < named[1] <= references | {each.name for each in FRONT}
    for plot_width, boxes in plots:
        assert all(left >= 0 and right <= plot_width for _, left, right, _, _ in boxes)
        for (_, left, right, top, bottom), (_, others_left, others_right, others_top, others_bottom) in combinations(
            boxes, 2
        ):
            assert right <= others_left or others_right <= left or bottom <= others_top or others_bottom <= top


def test_headings_never_skip_a_level_and_every_drawing_has_words(driver: Any, page: Path) -> None:
    show(driver, page)
    levels = driver.execute_script("return [...document.querySelectorAll('h1, h2, h3, h4')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ours = "return [...document.querySelectorAll('main svg')].filter(e => !e.closest('.js-plotly-plot'))"
    labels = driver.execute_script(ours + ".map(e => e.getAttribute('aria-label'))")
    assert len(labels) > 5 * len(FRONT)
    assert all(labels)
    assert driver.execute_script("return document.querySelector('figcaption').textContent").startswith("Figure: ")


@pytest.fixture(scope="module")
def other_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of the project's other commands."""
    folder = tmp_path_factory.mktemp("pages")
    speeds = [
        finding(Case(table, table.platforms[0], 0), [1.0 + number for number in range(len(table.rows))])
        for table in TABLES.values()
    ]
    timed = reference_study(*FOUR)
    trained = (compared(name, {0: 0.01 * groups}) for groups, name in V1.items())
    return {
        "calibration": write_calibration_page(folder / "calibration.html", calibration()),
        "comparison": write_comparison_page(folder / "comparison.html", comparison(*trained)),
        "guidelines": write_guidelines(folder / "guidelines.html", speeds, {"device": "A CPU"}),
        "table": write_table_report(folder / "table.html", "a table", TABLE, ["00", "30"], {}),
        "references": write_reference_page(folder / "references.html", timed, FAMILIES),
    }


@pytest.mark.parametrize("name", ["calibration", "comparison", "guidelines", "references", "table"])
def test_the_other_pages_are_drawn_and_read_in_the_dark_on_a_phone(
    driver: Any, other_pages: dict[str, Path], name: str
) -> None:
    driver.get_log("browser")
    show(driver, other_pages[name], width=390, scheme="dark")
    assert driver.get_log("browser") == []
    assert driver.execute_script("return document.documentElement.scrollWidth") == 390
    assert [text for contrast, text in driver.execute_script(CONTRASTS) if contrast < 4.5] == []
    figures = driver.execute_script("return [...document.querySelectorAll('[id^=figure-]')].map(e => e.className)")
    assert len(figures) > 0
    assert all("js-plotly-plot" in each for each in figures)


def wait(driver: Any, program: str) -> Any:
    """What the program returns once that is something."""
    waiting = pytest.importorskip("selenium.webdriver.support.ui")
    return waiting.WebDriverWait(driver, 60).until(lambda each: each.execute_script(program))
