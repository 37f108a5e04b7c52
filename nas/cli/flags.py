"""Flags that several commands share, in groups: each adds its flags to a parser, and makes one value of them."""

from __future__ import annotations

import argparse

from nas.cli.command import Parser
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER
from search_space.task import CLASSIFICATION, TASKS, Task

DEVICES = ("cpu", "cuda")
WORKERS = "default: one a core, but for one from four cores on, where latencies are measured; two on a GPU"
DEFAULT_RUNTIME = "onnxruntime"


def add_task_flags(parser: Parser, holds: str) -> None:
    """Adds --task, --resolution and --classes, which say at what that `holds` is."""
    sizes = ", ".join(f"{task.resolution} for {name}" for name, task in TASKS.items())
    classes = TASKS[CLASSIFICATION].num_classes
    add = parser.add_argument
    add("--task", default=CLASSIFICATION, help=f"what networks are for: {', '.join(TASKS)}")
    add("--resolution", type=int, help=f"pixels of the square image at which {holds} (default: {sizes})")
    add("--classes", type=int, help=f"classes at which {holds} (default: {classes}; a backbone has none)")


def task_of(flags: argparse.Namespace, *, least_resolution: int = 32, least_classes: int = 2) -> Task:
    """The task that the flags mean; what they leave open is as in `TASKS`.

    Raises:
        InputError: there is no such task, it has no classes and some were given, or a number is too small.
    """
    if flags.task not in TASKS:
        raise InputError(f"--task must be one of {', '.join(TASKS)}, got {flags.task!r}")
    usual = TASKS[flags.task]
    resolution = usual.resolution if flags.resolution is None else flags.resolution
    classes = usual.num_classes if flags.classes is None else flags.classes
    if resolution < least_resolution:
        raise InputError(f"--resolution must be at least {least_resolution}, got {resolution}")
    if usual.num_classes == NO_CLASSIFIER and classes != NO_CLASSIFIER:
        raise InputError(f"--task {flags.task} has no classifier and so no classes; got {classes}: leave --classes out")
    if usual.num_classes != NO_CLASSIFIER and classes < least_classes:
        raise InputError(f"--classes must be at least {least_classes}, got {classes}")
    return Task(resolution, classes)


def check_device(device: str) -> None:
    """Refuses a device that is not there.

    Raises:
        InputError: no device to train on, or a GPU that is not there.
    """
    if device not in DEVICES:
        raise InputError(f"--device must be one of {', '.join(DEVICES)}, got {device!r}")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("--device cuda needs a GPU that torch sees, and it sees none here: use --device cpu")
