"""How soon are predicted latencies right on a device that is unlike the one whose latencies ship?

    python tests/benchmarks/other_devices.py [--precision int8] [--like sqlite:///runs/STUDY/study.db STUDY] [--fixed]

Devices are made up of the shipped one: some kind of work takes several times as long there, as the rest does beside it.
"a call a layer" is as a GPU at batch 1: layers take their time whatever they compute. After so many networks of the
device's own, drawn at random for 140 MFLOPs, 40 others are predicted: the median error and Kendall's tau. `--like` adds
the latencies that a study holds, in its order; those of its second half are predicted. With `--fixed` the shipped
networks keep their first weight, whatever they predict.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from search_space import PRESETS, Architecture, Budget, SearchSpace
from search_space.choosers import RandomChooser
from search_space.precision import FP32, PRECISIONS
from search_space.presets import ANCHOR
from studies.latency import prior as prior_module
from studies.latency.model import EVERY_NETWORK, ExpectedLatency, errors_of
from studies.latency.prior import LatencyPrior, expected_latency, shipped_prior
from studies.storage.studies import load_study, open_storage, records_of
from studies.text_table import table_text

OWN = (0, 5, 10, 20, 40)
OTHERS = 40
SLOWER: Mapping[str, Mapping[str, float]] = {
    "as the shipped one": {},
    "grouped convolutions 4 times": {"grouped": 4.0},
    "depthwise convolutions 4 times": {"depthwise": 4.0},
    "squeeze-and-excitation 8 times": {"squeeze": 8.0},
    "a call a layer": {"layers": 20.0, EVERY_NETWORK: 20.0},
}
"""Device -> how many times as long each kind of work takes whose name begins so."""


def device_of(shipped: ExpectedLatency, slower: Mapping[str, float]) -> Callable[[Architecture], float]:
    """How long networks take, as parts of `ANCHOR`, where kinds of work take so many times as long as the shipped."""

    def times(kind: str) -> float:
        return next((factor for begin, factor in slower.items() if kind.startswith(begin)), 1.0)

    device = replace(shipped, ms_by_work={kind: times(kind) * ms for kind, ms in shipped.ms_by_work.items()})
    anchor_ms = device.predict_ms(PRESETS[ANCHOR])
    return lambda architecture: device.predict_ms(architecture) / anchor_ms


def row_of(
    name: str, networks: Sequence[Architecture], latencies_ms: Sequence[float], anchor_ms: float, prior: LatencyPrior
) -> list[str]:
    """The device and, for each number of its own networks, how far predictions of those behind them are off."""
    behind = max(len(networks) - OTHERS, len(networks) // 2)
    measured_ms, cells = np.array(latencies_ms[behind:]), []
    for own in OWN:
        if own > behind:
            cells.append("")
            continue
        model = expected_latency(networks[:own], latencies_ms[:own], anchor_ms, 224, 1000, prior)
        errors = errors_of(np.array([model.predict_ms(each) for each in networks[behind:]]), measured_ms)
        cells.append(f"{100 * errors.median:.1f} %, {errors.tau:.2f}")
    return [name, *cells]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=PRECISIONS, default=FP32, help="whose shipped latencies are begun with")
    parser.add_argument("--like", nargs=2, metavar=("STORAGE", "STUDY"), help="a study of a device to add")
    parser.add_argument("--fixed", action="store_true", help="weigh the shipped ones alike, whatever they predict")
    flags = parser.parse_args()
    if flags.fixed:
        prior_module.COUNTS_AS = prior_module.COUNTS_AS[:1]
    prior = shipped_prior(flags.precision)
    shipped = expected_latency((), (), 1.0, 224, 1000, prior)
    space = SearchSpace.default(Budget.parse("140mflops"))
    networks = [space.suggest(RandomChooser(seed)) for seed in range(max(OWN) + OTHERS)]
    rows = []
    for name, slower in SLOWER.items():
        takes = device_of(shipped, slower)
        rows.append(row_of(name, networks, [takes(each) for each in networks], 1.0, prior))
    if flags.like:
        study = load_study(open_storage(flags.like[0], must_exist=True), flags.like[1])
        records, anchor_ms = records_of(study), float(study.user_attrs["anchor_ms"])
        latencies_ms = [each.latency_ms for each in records]
        rows.append(
            row_of(study.study_name[:30], [each.architecture for each in records], latencies_ms, anchor_ms, prior)
        )
    print(table_text(("own networks", *map(str, OWN)), rows, tuple(map(str, OWN))))


if __name__ == "__main__":
    main()
