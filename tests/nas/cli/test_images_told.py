"""What was understood of images is said by every command that trains on them, before it does."""

import pytest
from builders.places import ROOT

from nas.cli.images import tell_of_images

STARTS = ("LocalWorkers(", "workers_for(", "data.load()", "from nas.export.networks import")
"""What stands in a command that reads images."""


def test_notes_are_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_images(["2 classes", "left out: 1 unreadable"])
    assert capsys.readouterr() == ("", "images: 2 classes\nimages: left out: 1 unreadable\n")


def test_every_command_that_reads_images_says_what_it_understood() -> None:
    sources = {file.parent.name: file.read_text(encoding="utf-8") for file in sorted((ROOT / "nas").glob("*/run.py"))}
    reading = {name for name, source in sources.items() if any(start in source for start in STARTS)}
    assert reading == {"calibrate", "compare", "export", "finalists", "run", "score", "train"}
    assert [
        name for name in reading if "tell_of_images(" not in sources[name] and "data.notes" not in sources[name]
    ] == []
