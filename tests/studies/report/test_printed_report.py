"""The report on paper: whole figures on white A4 pages, however dark the screen, and no controls."""

import base64
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders.fronts import FINALISTS, FRONT, REFERENCES
from builders.pages import written
from processes.browser import show

from studies.accuracy_scale import AccuracyScale
from studies.report.page import section, table_html, write_page

pytestmark = pytest.mark.slow
pdfium = pytest.importorskip("pypdfium2", reason="pypdfium2, of the extra dev, is not installed")
A4_POINTS = 595, 842
A4_INSIDE_PX = 703
"""A4's 210 mm less the margins of 12 mm, at 96 pixels an inch."""
WIDTHS = "return [...document.querySelectorAll('.js-plotly-plot, .main-svg')].map(e => e.getBoundingClientRect().width)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    written(folder, scale=AccuracyScale(error=0.01), finalists=FINALISTS)
    return folder / "report.html"


class Printed(NamedTuple):
    """The pages, and of the screen that they were printed from: its headings, and the figures' widths afterwards."""

    pages: Any
    headings: list[str]
    widths: list[float]


@pytest.fixture(scope="module")
def printed(driver: Any, page: Path) -> Printed:
    """The page, printed from a dark screen with one card open."""
    show(driver, page, scheme="dark")
    driver.execute_script("document.querySelector('details').open = true")
    pages = print_shown(driver)
    headings = driver.execute_script("return [...document.querySelectorAll('h2')].map(e => e.textContent)")
    return Printed(pages, headings, driver.execute_script(WIDTHS))


def print_shown(driver: Any) -> Any:
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True, "preferCSSPageSize": True}
    found = driver.execute_cdp_cmd("Page.printToPDF", paper)
    return pdfium.PdfDocument(base64.b64decode(found["data"]))


def texts_of(pages: Any) -> list[str]:
    return [" ".join(page.get_textpage().get_text_range().split()) for page in pages]


def test_every_section_is_on_a_white_a4_page(printed: Printed) -> None:
    text = " ".join(texts_of(printed.pages)).lower()
    assert len(printed.headings) > 10
    assert [heading for heading in printed.headings if heading.lower() not in text] == []
    for page in printed.pages:
        assert page.get_size() == pytest.approx(A4_POINTS, abs=1.5)
        shades = page.render(scale=1).to_pil().convert("L").histogram()
        assert shades[255] > 0.5 * sum(shades), "white paper"
        assert sum(shades[:100]) > 300, "dark ink"


def test_a_figure_is_on_one_page_with_its_heading_axis_and_legend(printed: Printed) -> None:
    (text,) = (text for text in texts_of(printed.pages) if "FLOPs against latency, by split" in text)
    figure = text.partition("FLOPs against latency, by split")[2]
    assert all(label in figure for label in ("latency, ms", "v1 no split", "reference", REFERENCES[0].name))


def test_no_letter_lies_outside_the_margins(printed: Printed) -> None:
    for page in printed.pages:
        text = page.get_textpage()
        boxes = [text.get_charbox(place) for place in range(text.count_chars())]
        ends = [(left, right) for left, _, right, _ in boxes if right > left]
        assert len(ends) > 50
        assert min(left for left, _ in ends) > 30  # 12 mm are 34 points
        assert max(right for _, right in ends) < A4_POINTS[0] - 30


def test_each_page_of_a_long_table_has_its_headings(driver: Any, tmp_path: Path) -> None:
    rows = [("found", [f"row {number}", str(number)]) for number in range(150)]
    page = write_page(
        tmp_path / "page.html", "long", [section("Long", table=table_html(["what", "how many"], rows, ["how many"]))]
    )
    show(driver, page)
    texts = ["".join(text.split()) for text in texts_of(print_shown(driver))]
    assert len(texts) > 2
    assert [text.count("whathowmany") for text in texts] == [1] * len(texts)
    assert [number for number in range(150) if f"row{number}{number}" not in "".join(texts)] == []


def test_controls_are_not_printed_and_an_open_card_is(printed: Printed) -> None:
    text = " ".join(texts_of(printed.pages))
    assert [control for control in ("\u2195", "\u25b8", "\u25be", "copy ", "Skip to") if control in text] == []
    assert text.count("Configuration") == 1
    assert all(member.name in text for member in FRONT)


def test_after_printing_figures_are_as_wide_as_the_screen_lets_them(printed: Printed) -> None:
    assert min(printed.widths) == max(printed.widths) > 900


def test_nothing_is_wider_than_the_paper_with_every_card_open(driver: Any, page: Path) -> None:
    show(driver, page, width=A4_INSIDE_PX)
    driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        driver.execute_script("dispatchEvent(new Event('beforeprint'))")
        assert driver.execute_script("return document.documentElement.scrollWidth") == A4_INSIDE_PX
        assert max(driver.execute_script(WIDTHS)) <= A4_INSIDE_PX
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
