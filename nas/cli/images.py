"""What is said of images before anything is trained on them."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def tell_of_images(notes: Iterable[str]) -> None:
    """Prints the notes of `ImageData` on stderr: what was understood, what was left out, and what is doubtful."""
    for line in notes:
        print(f"images: {line}", file=sys.stderr, flush=True)
