"""How many networks does a search time in vain on a device that is unlike the one whose latencies ship?

    python tests/benchmarks/too_slow.py --trials 60 --seeds 5 [--like sqlite:///runs/STUDY/study.db STUDY]

searches within a share of ShuffleNet V2 1.0x's latency on devices that are made up: some kind of work takes several
times as long as the shipped latencies let expect; `--like` adds the device whose latencies that study holds, as a fit
to them has it. Nothing is trained: accuracies are those that the prior expects. "learnt from" is a search that knows
the latencies of the networks that were too slow; for "forgotten" they are kept from it. Means over the seeds, with
their standard errors, of how many of the networks are too slow, and of the best accuracy that is within the budget.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import mean, stdev

import optuna
from builders.measurements import latency
from builders.settings import settings_from
from optuna.trial import TrialState

from nas.run.own_space import in_space_by_latency, space_for
from nas.search.known_ahead import KnownAhead
from nas.search.settings import Settings
from search_space import PRESETS, cost_of
from search_space.precision import FP32
from search_space.presets import ANCHOR
from studies.calibration.known_trainings import shipped_fit
from studies.facts import LatencyFacts, TrainingFacts
from studies.latency.model import ExpectedLatency, fit
from studies.latency.prior import expected_latency, shipped_prior
from studies.record import Record, attributes_of
from studies.sampling.samplers import sampler_for
from studies.storage.studies import open_storage, records_of

ANCHOR_MS = 4.0
SLOWER: Mapping[str, Mapping[str, float]] = {
    "as shipped": {},
    "depthwise 4 times": {"depthwise": 4.0},
    "grouped 1x1 4 times": {"grouped": 4.0},
    "squeeze-and-excitation 8 times": {"squeeze": 8.0},
    "a layer 4 times": {"layers": 4.0},
}
"""Device -> how many times as long each kind of work takes whose name begins so."""


def made_up(shipped: ExpectedLatency, slower: Mapping[str, float]) -> ExpectedLatency:
    """The shipped device with kinds of work that take so many times as long."""
    rates = {
        kind: ms * next((times for begin, times in slower.items() if kind.startswith(begin)), 1.0)
        for kind, ms in shipped.ms_by_work.items()
    }
    return replace(shipped, ms_by_work=rates)


def measured(storage: str, study: str) -> ExpectedLatency:
    """The device whose latencies a study holds, as a fit to them has it."""
    records = records_of(optuna.load_study(study_name=study, storage=open_storage(storage)))
    return fit([each.architecture for each in records], [each.latency_ms for each in records], 224, 1000)


def searched(device: ExpectedLatency, settings: Settings, trials: int, seed: int, *, learns: bool) -> tuple[int, float]:
    """How many networks were over the budget, and the best accuracy within it, 0 where none is."""
    limit_ms, accuracy = settings.budget.latency_ms, shipped_fit("short")
    assert limit_ms is not None
    space = space_for(settings, ANCHOR_MS)
    known = KnownAhead(space, ANCHOR_MS, limit_ms, accuracy)
    study = optuna.create_study(directions=["maximize", "minimize"])
    too_slow, best = 0, 0.0
    for number in range(trials):
        study.sampler = sampler_for("surrogate", seed, number, known.of([study]))
        trial = study.ask()
        architecture = space.suggest(trial)
        ms = device.predict_ms(architecture)
        facts = {**latency(ms, ANCHOR_MS).to_dict(), "seconds": 5.0}
        if ms > limit_ms:
            too_slow += 1
            if learns:
                trial.set_user_attr("latency", facts)
            study.tell(trial, state=TrialState.PRUNED)
            continue
        expected = accuracy.as_accuracy(accuracy.expect(architecture))
        best = max(best, expected)
        training = TrainingFacts({"seconds": 1.0, "validation_accuracies": [expected], "num_classes": 10})
        record = Record.of_parts(architecture, cost_of(architecture), LatencyFacts(facts), training, "here")
        for name, value in attributes_of(record).items():
            trial.set_user_attr(name, value)
        study.tell(trial, [expected, ms])
    return too_slow, 100 * best


def rows(devices: Mapping[str, ExpectedLatency], share: float, trials: int, seeds: int) -> Iterator[str]:
    """A line for each device, with and without learning."""
    for name, device in devices.items():
        scale = ANCHOR_MS / device.predict_ms(PRESETS[ANCHOR])
        scaled = replace(device, ms_by_work={kind: scale * ms for kind, ms in device.ms_by_work.items()})
        settings = in_space_by_latency(settings_from("--budget", f"{share * ANCHOR_MS}ms"), ANCHOR_MS)
        cells = []
        for learns in (True, False):
            found = [searched(scaled, settings, trials, seed, learns=learns) for seed in range(seeds)]
            cells += [cell([float(count) for count, _ in found]), cell([best for _, best in found])]
        yield f"{name:34}" + "".join(f"{each:>16}" for each in cells)


def cell(values: list[float]) -> str:
    """Mean and standard error."""
    return f"{mean(values):.1f} +- {stdev(values) / len(values) ** 0.5:.1f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60, help="networks of a search (default 60)")
    parser.add_argument("--seeds", type=int, default=5, help="searches (default 5)")
    parser.add_argument("--share", type=float, default=0.5, help="of V2 1.0x's latency, the budget (default 0.5)")
    parser.add_argument("--like", nargs=2, metavar=("STORAGE", "STUDY"), help="a study of the device to add")
    flags = parser.parse_args()
    optuna.logging.disable_default_handler()
    shipped = expected_latency([], [], ANCHOR_MS, 224, 1000, shipped_prior(FP32))
    devices = {name: made_up(shipped, slower) for name, slower in SLOWER.items()}
    if flags.like:
        devices[f"like {flags.like[1]}"[:34]] = measured(*flags.like)
    print(f"{flags.trials} networks, {flags.seeds} seeds, {flags.share} of V2 1.0x's latency")
    print(f"{'':34}{'learnt from':>16}{'best':>16}{'forgotten':>16}{'best':>16}")
    for row in rows(devices, flags.share, flags.trials, flags.seeds):
        print(row, flush=True)


if __name__ == "__main__":
    main()
