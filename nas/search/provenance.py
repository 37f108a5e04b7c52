"""Where, when and with what a study's numbers were had: kept with the study and in `front.json`."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.search.settings import Settings
from proxies.latency.machine import processor_name
from proxies.training.recipes import stem_stride_for
from search_space.presets import ANCHOR
from studies.storage.secrets import command_line

PACKAGES = ("torch", "torchvision", "onnxruntime", "optuna", "numpy", "scikit-learn", "sqlalchemy")
GIT_SECONDS = 10


def environment() -> dict[str, Any]:
    """The command, the machine, the versions and the commit of this project, as plain JSON."""
    return {
        "command": command_line("nas.run", sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "system": platform.platform(),
        "processor": processor_name(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "commit": commit_of(Path(__file__).parent),
    }


def provenance_of(settings: Settings, data: Mapping[str, Any], made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Where, when, with what and on which data a study was last run, as plain JSON.

    `made_by` is what a worker says of its machine, which need not be this one: there stands its GPU.
    """
    return {
        **environment(),
        "workers": settings.workers,
        "worker": {name: value for name, value in made_by.items() if name != "versions"},
        "data": dict(data),
        "deployment": {
            **{"task": settings.task.name, "told": settings.task.description},
            **{"resolution": settings.task.resolution, "classes": settings.task.num_classes, "stem_stride": 4},
        },
        "training": {"image_size": data["image_size"], "stem_stride": stem_stride_for(data["image_size"])},
        "anchor": ANCHOR,
    }


def commit_of(folder: Path) -> str | None:
    """The commit that the folder's files are at, "-dirty" where some were changed since; None without a checkout."""
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        text = subprocess.run(git, capture_output=True, encoding="utf-8", check=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return text.stdout.strip() or None
