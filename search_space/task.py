"""What networks are deployed for: what a budget, a cost and a latency hold at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from search_space.architecture import Architecture
from search_space.choices import Choices
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER

CLASSIFICATION, DETECTION_BACKBONE = "classification", "detection-backbone"


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is deployed for: square images of `resolution` pixels, their channels, the classes.

    `NO_CLASSIFIER` for classes means a backbone: the network gives the three maps of its stages' features.
    """

    resolution: int = 224
    num_classes: int = 1000
    in_channels: int = 3

    @property
    def name(self) -> str:
        """The row of `TASKS` that it is of."""
        return task_name(self.num_classes)

    @property
    def description(self) -> str:
        """The task in words: "224 px, 1000 classes"."""
        return self._at(str(self.resolution))

    def _at(self, pixels: str) -> str:
        if self.num_classes == NO_CLASSIFIER:
            return f"{pixels} px, feature maps at strides 8, 16 and 32, without head and classifier"
        return f"{pixels} px, {self.num_classes} classes"

    def offered(self, choices: Choices) -> Choices:
        """The choices that are open: a backbone has no head.

        Raises:
            InputError: a network might be for more pixels than the task is.
        """
        if above := [size for size in choices.resolutions if size > self.resolution]:
            raise InputError(
                f"resolutions must be at most the task's, {self.resolution} px, for which the images stand that "
                f"networks are trained on; got {above[-1]}: leave it out, or give --resolution {above[-1]}"
            )
        return replace(choices, heads=(0,)) if self.num_classes == NO_CLASSIFIER else choices

    def of(self, architecture: Architecture) -> Task:
        """The task as this architecture has it: at its own resolution where it has one."""
        return replace(self, resolution=architecture.pixels(self.resolution))

    def described(self, architecture: Architecture) -> str:
        """The task in words as this architecture has it: "its own 160 px, 1000 classes" where it has a resolution."""
        own = "" if architecture.resolution is None else "its own "
        return own + self.of(architecture).description

    def described_for(self, choices: Choices) -> str:
        """The task in words as networks of these choices have it: "128, 160, 192 or 224 px, 1000 classes"."""
        *others, last = choices.resolutions or (self.resolution,)
        return self._at(f"{', '.join(map(str, others))} or {last}" if others else str(last))

    def deployed(self, architecture: Architecture) -> Architecture:
        """What is left of the architecture: a backbone has no head."""
        return replace(architecture, head=0) if self.num_classes == NO_CLASSIFIER else architecture


TASKS: Mapping[str, Task] = MappingProxyType(
    {CLASSIFICATION: Task(), DETECTION_BACKBONE: Task(resolution=320, num_classes=NO_CLASSIFIER)}
)
"""Name -> what it is where nobody says otherwise.

Both resolutions are those of the papers' tables. 320 is the least at which Ma 2018 times networks for more than
classifying (appendix, table 1: 320 x 320, 640 x 480, 1080 x 720), and the one that is square; its detectors (table 7)
took images of 800 x 1200.
"""


def task_name(num_classes: int) -> str:
    """The row of `TASKS` that networks of so many classes are for."""
    return DETECTION_BACKBONE if num_classes == NO_CLASSIFIER else CLASSIFICATION
