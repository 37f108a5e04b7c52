"""Texts in Markdown: a name is read as it is, and is never a heading, a link, a picture or HTML."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*\[\]<|~#&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BEGINS_A_BLOCK = re.compile(r"(\d*)([-+>=](?=[-=\s]|$)|(?<=\d)[.)](?=\s|$))")
"""What begins a list, a quotation or a rule where it stands first in a line."""
_LINKED = re.compile(r"://|www\.|(?:^|\W)@\w|[-.\w+]@[-\w]+\.[-\w]", re.IGNORECASE)
"""What many readers of Markdown make links of by themselves, whatever stands before its letters."""


def in_markdown(text: str) -> str:
    """The text in one line of Markdown, in which nothing of it is markup."""
    line = _in_a_line(text)
    if _LINKED.search(line):
        return code_in_markdown(line)
    escaped = _MARKUP.sub(r"\\\g<0>", line)
    first = _BEGINS_A_BLOCK.match(escaped)
    return f"{first[1]}\\{escaped[len(first[1]) :]}" if first else escaped


def code_in_markdown(text: str) -> str:
    """The text as code in one line of Markdown, whatever quotes it holds."""
    line = _in_a_line(text)
    quotes = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if len(quotes) > 1 or not line else ""
    return f"{quotes}{space}{line}{space}{quotes}"


def _in_a_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
