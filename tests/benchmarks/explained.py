"""Whether `nas.latency explain` is right: what it says of a unit beside what the network takes without that unit.

Prints for each stage what the profile gives its last unit, the changes of layout beside it included, and how much less
a network that is one unit shallower there takes, timed in turn with the whole one; then the same for widths that keep
to the runtime's blocks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nas.cli.architectures import named_architecture
from nas.latency.explain import Explained, ToExplain, explain_network
from proxies.latency.measure import compare, prepare
from proxies.network import build
from search_space.architecture import Architecture, Stage
from search_space.errors import InputError
from search_space.scratch import Scratch
from search_space.task import Task
from studies.text_table import table_text


def unit_ms(explained: Explained, unit: str) -> float:
    """What all nodes take that stand for something in a unit, or were added for it."""
    nodes = explained.profile.nodes
    return sum(each.ms for each in nodes if explained.unit_of.get((*each.node.does, each.node.beside)[0]) == unit)


def with_stage(architecture: Architecture, number: int, stage: Stage) -> Architecture:
    """The architecture with another stage; stages are numbered from 2."""
    stages = list(architecture.stages)
    stages[number - 2] = stage
    return replace(architecture, stages=tuple(stages))


def shallower(architecture: Architecture) -> Iterator[tuple[int, Architecture]]:
    """The architecture one unit shallower in each stage that has more than one, with the stage's number."""
    for number, stage in enumerate(architecture.stages, start=2):
        if stage.depth > 1:
            yield number, with_stage(architecture, number, replace(stage, depth=stage.depth - 1))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?", default="v2-1.0x", help="a preset, or a JSON file")
    parser.add_argument("--widths", default="2:112,2:120,2:128,3:224,3:256", help="stages with other widths")
    flags = parser.parse_args()
    name, whole = named_architecture(flags.network)
    task = Task()
    explained = explain_network(ToExplain(whole, task), {})
    profile = explained.profile
    print(f"{name}: {profile.plain_ms:.3f} ms")
    rows = []
    with Scratch() as folder:
        anchor = prepare(build(whole), Path(folder, "whole"), resolution=task.resolution)

        def less_ms(architecture: Architecture) -> str:
            latency = compare(prepare(build(architecture), Path(folder, "other"), resolution=task.resolution), anchor)
            return f"{(1 - latency.ratio) * profile.plain_ms:+.3f} ±{latency.spread / 2 * profile.plain_ms:.3f}"

        for number, architecture in shallower(whole):
            last = f"stage{number}.{whole.stages[number - 2].depth - 1}"
            rows.append((f"without {last}", f"{unit_ms(explained, last):+.3f}", less_ms(architecture)))
        for text in filter(None, flags.widths.split(",")):
            number, width = map(int, text.split(":"))
            try:
                architecture = with_stage(whole, number, replace(whole.stages[number - 2], width=width))
            except InputError:
                continue
            rows.append((f"stage {number} of {width} channels", "", less_ms(architecture)))
    print(table_text(("change", "in the profile", "ms less"), rows, ("in the profile", "ms less")))


if __name__ == "__main__":
    main()
