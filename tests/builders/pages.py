"""Pages as text: what is open, listed and linked in one, what it shows, and the page of a small study."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from studies.report.study.study_report import write_report

from .fronts import FRONT, RECORDS, REFERENCES

HOSTILE = '</script></title><img src="http://example.com/a.png" onerror="alert(1)">'
VOID = {"meta", "br", "input", "img", "link"}


class Outline(HTMLParser):
    """What is open at the end, what was closed out of turn, and all ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.update([values["id"]] if "id" in values else [])
        self.links += [values["href"]] if "href" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def written(path: Path, **changes: Any) -> str:
    settings = {"budget": "140mflops", "resolution": 224, "kernels": [3, 5, 7]}
    usual = {"front": FRONT, "references": REFERENCES, "records": RECORDS, "settings": settings, "provenance": {}}
    return write_report(path / "report.html", **{**usual, "title": "a study", **changes}).read_text(encoding="utf-8")


def visible(page: str) -> str:
    """The page without plotly.js and the figures' data."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
