"""Tables as plain text, as wide as they need to be, for terminals, pipes and files."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 10_000


def table_text(columns: Sequence[str], rows: Iterable[Iterable[str]], numbers: Collection[str] = ()) -> str:
    """A line of headings and a line for each row; the columns in `numbers` stand to the right."""
    return as_text(rich_table(columns, rows, numbers))


def rich_table(columns: Sequence[str], rows: Iterable[Iterable[str]], numbers: Collection[str] = ()) -> Table:
    """The same table for a console: a cell is shown as it is, whatever brackets it holds, and stays in its line."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(cell_of, row))
    return table


def cell_of(text: str) -> Text:
    """A text as a table's cell: in one line, whatever ends of lines and brackets it holds."""
    return Text(" ".join(text.splitlines()))


def as_text(table: Table) -> str:
    """A table of rich in plain text, without spaces at the ends of its lines."""
    console = Console(file=io.StringIO(), width=_UNBOUNDED, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().strip("\n").splitlines())
