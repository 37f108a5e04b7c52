"""The templates of pages and drawings: one Jinja2 environment, in which every text is escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: object) -> Markup:
    """A template filled in with the values; what it holds is markup, and so are values that are `Markup` already."""
    return Markup(_environment().get_template(template).render(values))


def asset(name: str) -> Markup:
    """A style sheet or a script that stands beside this file."""
    return Markup(files("studies.report").joinpath(name).read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("studies.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
