"""Templates filled in: those of pages and drawings, in which every text is escaped, and those of plain text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: object) -> Markup:
    """A template filled in with the values; what it holds is markup, and so are values that are `Markup` already."""
    return Markup(_environment("studies.report").get_template(template).render(values))


def render_text(package: str, template: str, **values: object) -> str:
    """A template of plain text or Markdown, of that package, filled in with the values as they are."""
    return _environment(package, autoescape=False).get_template(template).render(values)


def asset(name: str) -> Markup:
    """A style sheet or a script that stands beside this file."""
    return Markup(files("studies.report").joinpath(name).read_text(encoding="utf-8"))


@cache
def _environment(package: str, autoescape: bool = True) -> Environment:
    return Environment(
        loader=PackageLoader(package),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not autoescape,
    )
