"""The page as text: whole, safe, listed, and with words for what is drawn. What a browser makes of it: see below.

`test_pages_in_browser.py` opens it.
"""

import re
from html import unescape
from pathlib import Path

import plotly.graph_objects as go
from builders.pages import Outline

from studies.report.page import Link, Section, figure_html, section, table_html, write_page

HOSTILE = '"><script>alert(1)</script>'


def written(path: Path, *sections: Section | None, title: str = "a page") -> str:
    return write_page(path / "page.html", title, sections).read_text(encoding="utf-8")


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    return outline


def test_every_section_is_listed_after_the_header_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    headings = ["One", "What else", "One", "Costs & more"]
    page = written(tmp_path, *(section(each, "text") for each in headings))
    outline = outline_of(page)
    assert (outline.open, outline.wrong) == ([], [])
    assert max(outline.ids.values()) == 1
    assert outline.links == ["#content", "#one", "#what-else", "#one-again", "#costs-more"]
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)
    assert page.index("</header>") < page.index("<nav") < page.index("<section")
    assert list(map(unescape, re.findall(r'<li><a href="#[^"]*">(.*?)</a>', page))) == headings


def test_two_sections_need_no_list(tmp_path: Path) -> None:
    assert "<nav" not in written(tmp_path, section("One"), section("Two"))


def test_without_a_figure_the_page_is_light(tmp_path: Path) -> None:
    assert len(written(tmp_path, section("One", table=table_html(["a"], [])))) < 20_000


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    table = table_html([HOSTILE], [("", [HOSTILE])])
    figure = figure_html(go.Figure(go.Scatter(y=[1], name=HOSTILE)), "1", HOSTILE)
    page = written(tmp_path, section(HOSTILE, HOSTILE, table=table, note=HOSTILE), title=HOSTILE)
    assert page.count("<script>") == 1
    assert unescape(page).count(HOSTILE) == 8
    assert f'<figcaption class="unseen">{figure.split("unseen")[1][2:].split("<")[0]}</figcaption>' in figure
    assert "<script>alert" not in figure.split("</figcaption>")[0]


def test_a_figure_says_in_words_what_it_draws() -> None:
    figure = go.Figure([go.Scatter(name="front", x=[1, 2], y=[3, 4]), go.Bar(x=["a"], y=[1])])
    figure.update_xaxes(title="latency, ms").update_yaxes(title="accuracy, %")
    said = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", figure_html(figure, "1"))
    assert said == ["Figure: accuracy, % against latency, ms. Series: front (2), bar (1)."]
    assert re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", figure_html(figure, "1", "a &b")) == ["a &amp;b"]


def test_a_table_can_be_sorted_by_each_column_and_scrolled_by_keyboard() -> None:
    table = table_html(["name", "ms"], [("found", ["a", "1"]), ("", ["b", ""])], ["ms"])
    heads = re.findall(
        r'<th class="(\w+)" scope="col" aria-sort="none"><button type="button">(\w+)</button></th>', table
    )
    assert heads == [("text", "name"), ("number", "ms")]
    linked = table_html(["name"], [("", [Link("<a>", "there", "here")])])
    assert '<td class="text"><a id="here" href="#there">&lt;a&gt;</a></td>' in linked
    assert table.startswith('<div class="wide" tabindex="0" role="region" aria-label="table of name">')
    assert re.findall(r'<tr class="(\w*)">', table) == ["found", ""]
