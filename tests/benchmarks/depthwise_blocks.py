"""Does the model of latencies predict better for knowing depthwise convolutions that run outside a runtime's blocks?

    python tests/benchmarks/depthwise_blocks.py runs/depthwise_blocks.jsonl

ONNX Runtime computes those in blocks whose channels are a multiple of 4. The script times networks that are drawn at
random for a budget, each beside V2 1.0x by the full protocol, all of them in turn `--passes` times, and keeps a line
each in that file; given again, it goes on. Then it prints how well each network is predicted from the others, from them
alone and as a search does it (with the latencies that ship), and each network that ships from the others that do: by
the model, and by the same without that kind of work. "of those" is the median error of networks that have it, and "off"
how much longer they are predicted to take than they do, on average.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proxies.latency.measure import compare, prepare
from proxies.network import build
from search_space import PRESETS, Architecture, Budget, SearchSpace
from search_space.choosers import RandomChooser
from search_space.precision import FP32
from search_space.presets import ANCHOR
from studies.latency.model import BLOCKS, OUTSIDE, best_block, errors_of, leave_one_out, matrix_of, rates_of, work_of
from studies.latency.prior import COUNTS_AS, shipped_prior
from studies.text_table import table_text

RESOLUTION, CLASSES = 224, 1000

Array = NDArray[np.float64]
Networks = Sequence[Architecture]


class Predict(Protocol):
    """What predicts each network from others."""

    def __call__(self, networks: Networks, ratios: Array, *, knows: bool) -> Array:
        """Their ratios."""
        ...


def work_of_all(networks: Networks, block: int, *, knows: bool) -> Array:
    """The work of the networks as the model has it, or without the kind in question."""
    kinds, work = matrix_of(networks, block, RESOLUTION, CLASSES)
    return work if knows else work[:, [kind != OUTSIDE for kind in kinds]]


def from_others_alone(networks: Networks, ratios: Array, *, knows: bool) -> Array:
    """Each network's ratio as the others alone let expect."""
    works = {block: work_of_all(networks, block, knows=knows) for block in BLOCKS}
    return leave_one_out(works[best_block(works, ratios)], ratios)


def as_in_a_search(networks: Networks, ratios: Array, *, knows: bool) -> Array:
    """Each network's ratio as the others and the networks that ship let expect."""
    prior = shipped_prior(FP32)
    count = len(prior.ratios)
    work = work_of_all((*prior.architectures, *networks), prior.block, knows=knows)
    measured = np.concatenate([prior.ratios, ratios])
    weights = np.concatenate([np.full(count, COUNTS_AS[0] / count), np.ones(len(networks))])
    rows = np.arange(len(measured))
    return np.array(
        [work[row] @ rates_of(work[rows != row], measured[rows != row], weights[rows != row]) for row in rows[count:]]
    )


def measure_missing(file: Path, networks: Networks, passes: int) -> dict[str, list[float]]:
    """The ratios of each network by its key, once none is missing."""
    lines = file.read_text().splitlines() if file.exists() else []
    kept: dict[str, list[float]] = {architecture.key(): [] for architecture in networks}
    for row in map(json.loads, lines):
        kept.get(row["key"], []).append(row["latency"]["ratio"])
    with tempfile.TemporaryDirectory() as folder:
        anchor = prepare(build(PRESETS[ANCHOR]), Path(folder, "anchor"), resolution=RESOLUTION)
        for number in range(passes):
            for architecture in networks:
                ratios = kept[architecture.key()]
                if len(ratios) > number:
                    continue
                candidate = prepare(build(architecture), Path(folder, "candidate"), resolution=RESOLUTION)
                latency = compare(candidate, anchor)
                row = {"key": architecture.key(), "arch": architecture.to_dict(), "latency": latency.to_dict()}
                with file.open("a") as to:
                    to.write(json.dumps(row) + "\n")
                ratios.append(latency.ratio)
    return kept


def rows_for(name: str, predict: Predict, networks: Networks, ratios: Array) -> Iterator[tuple[str, ...]]:
    """The errors as texts, without and with the kind: of all networks, and of those that have it."""
    has = np.array([OUTSIDE in work_of(each, BLOCKS[0], RESOLUTION, CLASSES) for each in networks])
    for knows in (False, True):
        predicted = predict(networks, ratios, knows=knows)
        of_all, of_those = errors_of(predicted, ratios), errors_of(predicted[has], ratios[has])
        shares = of_all.median, of_all.within_5_percent, of_all.within_10_percent, of_all.worst, of_those.median
        off = float(np.mean(predicted[has] / ratios[has])) - 1
        texts = (f"{100 * share:.1f} %" for share in shares)
        counts = str(len(networks)), str(has.sum())
        yield (name, "with" if knows else "without", *counts, *texts, f"{100 * off:+.1f} %", f"{of_all.tau:.3f}")


def main() -> None:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="the file that keeps what was measured")
    parser.add_argument("--budget", default="10mflops", help="for which networks are drawn")
    parser.add_argument("--n", type=int, default=40, help="how many")
    parser.add_argument("--passes", type=int, default=2, help="how often each is timed; the median counts")
    flags = parser.parse_args()
    space = SearchSpace.default(Budget.parse(flags.budget))
    networks = [space.suggest(RandomChooser(seed)) for seed in range(flags.n)]
    kept = measure_missing(flags.rows, networks, flags.passes)
    passes = np.array([kept[each.key()][: flags.passes] for each in networks])
    ratios = np.median(passes, axis=1)
    print(
        f"networks drawn for {flags.budget} take {ratios.min():.3f} to {ratios.max():.3f} times as long as {ANCHOR}; "
        f"{flags.passes} passes differ by {100 * np.median(np.ptp(passes, axis=1) / ratios):.1f} % in the median"
    )
    shipped = shipped_prior(FP32)
    rows = [
        *rows_for("the others drawn", from_others_alone, networks, ratios),
        *rows_for("as in a search", as_in_a_search, networks, ratios),
        *rows_for("the others that ship", from_others_alone, shipped.architectures, np.array(shipped.ratios)),
    ]
    numbers = ("networks", "with it", "median", "within 5 %", "within 10 %", "worst", "of those", "off", "tau")
    print(table_text(("predicted from", "the kind", *numbers), rows, numbers))


if __name__ == "__main__":
    main()
