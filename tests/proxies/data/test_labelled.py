"""Images as arrays: they have one shape, and are not read where memory does not hold them."""

import numpy as np
import pytest

from proxies.data import labelled
from proxies.data.labelled import memory_bytes, stack_images
from search_space.errors import InputError


def test_images_that_memory_does_not_hold_are_refused_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def image(row: int) -> np.ndarray:
        read.append(row)
        return np.zeros((3, 1000, 1000), np.uint8)

    monkeypatch.setattr(labelled, "memory_bytes", lambda: 8 * 10**9)
    with pytest.raises(InputError, match=r"2000 of 1000 px take 12\.0 GB of 8\.0 GB here; give a smaller --image-size"):
        stack_images(2000, image)
    assert read == [0]


def test_this_machine_has_memory() -> None:
    assert 10**8 < (memory_bytes() or 10**9) < 10**15
