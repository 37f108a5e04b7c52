"""Which images a command means, as a value: loaded where they are needed. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxies.data.names import EMBEDDED

if TYPE_CHECKING:
    from proxies.data.load import ImageData
    from proxies.data.test_images import HeldOut


@dataclass(frozen=True, slots=True)
class DataSource:
    """Images by the name of their data set, where they lie, at how many pixels, and whether they may be downloaded.

    With `skip_unreadable` images that cannot be read are left out, and counted in the data's notes. `cache` is where
    decoded and downloaded ones are kept, None the usual place.
    """

    name: str = EMBEDDED
    root: Path | None = None
    image_size: int | None = None
    download: bool = False
    skip_unreadable: bool = False
    cache: Path | None = None

    def load(self) -> ImageData:
        """The images, as `proxies.data.load` has them.

        Raises:
            InputError: they cannot be read, or are no images to train on.
        """
        from proxies.data.load import load

        return load(
            self.name,
            root=self.root,
            image_size=self.image_size,
            download=self.download,
            skip_unreadable=self.skip_unreadable,
            cache=self.cache,
        )

    def load_test(self) -> HeldOut | None:
        """The test images; None where these data have none.

        Raises:
            InputError: they cannot be read.
        """
        from proxies.data.test_images import load_test

        return load_test(
            self.name,
            root=self.root,
            image_size=self.image_size,
            download=self.download,
            skip_unreadable=self.skip_unreadable,
            cache=self.cache,
        )
