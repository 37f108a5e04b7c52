"""Templates filled in: those of pages and drawings, in which every text is escaped, and those of plain text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from studies.markdown import code_in_markdown, in_markdown


def render(template: str, **values: object) -> Markup:
    """A template filled in with the values; what it holds is markup, and so are values that are `Markup` already."""
    return Markup(_environment("studies.report").get_template(template).render(values))


def render_markdown(package: str, template: str, **values: object) -> str:
    """A template of Markdown, of that package, in which no text is markup; the filter `code` makes one code."""
    return _environment(package, is_html=False).get_template(template).render(values)


def asset(name: str) -> Markup:
    """A style sheet or a script that stands beside this file."""
    return Markup(files("studies.report").joinpath(name).read_text(encoding="utf-8"))


@cache
def _environment(package: str, is_html: bool = True) -> Environment:
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,  # of Markdown too: what `_as_markdown` has made is left as it is
        finalize=None if is_html else _as_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not is_html,
    )
    environment.filters |= {"markdown": _as_markdown, "code": lambda text: Markup(code_in_markdown(str(text)))}
    return environment


def _as_markdown(value: object) -> object:
    return Markup(in_markdown(value)) if isinstance(value, str) and not isinstance(value, Markup) else value
