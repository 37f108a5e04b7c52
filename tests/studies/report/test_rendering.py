"""Markup stands in templates alone, each of which escapes what it is filled in with."""

import re
from pathlib import Path

import pytest
from builders.places import ROOT
from jinja2 import UndefinedError
from markupsafe import Markup

from studies.report.rendering import render

TEMPLATES = ROOT / "studies" / "report" / "templates"
TAG = re.compile(
    r"</?(p|div|table|tr|td|th|h[1-6]|section|li|ul|a|details|summary|span|i|b|small|nav|header|figure|pre|svg|g|path|rect"
    r"|text|title|button)\b[^\n]*>"
)
IN_PLOTLYS_OWN = {"studies/report/figures.py": 1}
"""What figures show when pointed at is in the markup that plotly has for it."""


def test_no_module_holds_markup() -> None:
    modules = [path for package in ("nas", "studies") for path in (ROOT / package).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): len(TAG.findall(path.read_text(encoding="utf-8"))) for path in modules}
    assert {name: count for name, count in found.items() if count} == IN_PLOTLYS_OWN


@pytest.mark.parametrize("template", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_no_template_lets_a_value_through_unescaped(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert "|safe" not in re.sub(r"\s", "", text)
    assert "autoescape" not in text


def test_texts_are_escaped_and_markup_is_not() -> None:
    assert render("figure.html", caption="<&>", drawn=Markup("<hr>")) == (
        '<figure><figcaption class="unseen">&lt;&amp;&gt;</figcaption><hr></figure>'
    )


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="caption"):
        render("figure.html", drawn="")
