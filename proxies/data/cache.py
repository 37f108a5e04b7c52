"""Where decoded and downloaded images are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for this program, which may not exist yet; respects ``XDG_CACHE_HOME``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shufflenet-nas"
