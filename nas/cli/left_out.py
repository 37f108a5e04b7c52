"""What a command says of what it leaves out, since it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from studies.checked_facts import left_out


def tell_left_out(what: str, flaws: Sequence[str]) -> None:
    """Tells on stderr, in a line, how many of `what` are left out for their flaws, and the first few of them."""
    if line := left_out(what, flaws):
        print(line, file=sys.stderr, flush=True)
