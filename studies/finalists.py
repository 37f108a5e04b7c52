"""A study's finalists: which of its networks they are, and how they stand once trained anew and timed together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search_space.reading import Fields
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.checked_facts import ImpossibleFacts, checked_quantised, impossible
from studies.display import FLOP, SPREAD, TIE, at_own, mflops_text, ms_text, over_budget_text, proxy_text, spread_text
from studies.facts import LatencyFacts, QuantisedFacts
from studies.front import front_of
from studies.int8_loss import MARK, Int8Loss, note_on_int8
from studies.record import Record, attributes_of, checked_record, record_of
from studies.text_table import table_text

ON_FRONT, REFERENCE = "front", "reference"
LEFT = ("name", "front")


@dataclass(frozen=True, slots=True)
class Choice:
    """The networks to train anew: the study's smoothed front, fastest first, then those `near` it, the nearest first.

    `left_out` are as near as these, and were more than is wanted.
    """

    front: tuple[Record, ...]
    near: tuple[Record, ...]
    left_out: int

    @property
    def records(self) -> tuple[Record, ...]:
        """All that are chosen."""
        return self.front + self.near

    def with_near(self, count: int) -> Choice:
        """The same front with so many of those near it at most."""
        return Choice(self.front, self.near[:count], self.left_out + len(self.near[count:]))


@dataclass(frozen=True, slots=True)
class Finalist:
    """A network that was trained and timed anew: its record in the study, its accuracies, in [0, 1], by seed.

    `latency` says how it was timed. Where `is_predicted`, accuracies were not measured after
    a longer recipe: they are what the search's fit says of new trainings by its own.

    In a search for int8 the accuracies are those in 8 bits; `fp32` are those of the same weights in float32, and `int8`
    says how each was had. Else both are empty.
    """

    record: Record
    accuracies: Mapping[int, float] = field(hash=False)
    latency: LatencyFacts
    is_predicted: bool = False
    fp32: Mapping[int, float] = field(default_factory=dict, hash=False)
    int8: Mapping[int, QuantisedFacts] = field(default_factory=dict, hash=False)

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return fmean(self.accuracies.values())

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the seeds (of a sample: n - 1); None where there is but one."""
        return stdev(self.accuracies.values()) if len(self.accuracies) > 1 else None

    @property
    def loss(self) -> Int8Loss | None:
        """What the 8 bits cost it; None where it was not quantised."""
        return Int8Loss.of(self.fp32, self.accuracies, self.int8)

    @property
    def final(self) -> Record:
        """The record with the finalist's own accuracy and latency."""
        latency = self.latency
        return replace(self.record, accuracy=self.accuracy, latency_ms=latency.latency_ms, latency=latency)


def choose(records: Sequence[Record], accuracies: Sequence[float], deviations: Sequence[float], most: int) -> Choice:
    """The front of the smoothed accuracies, all of it, and the records that may be on it; `most` in all.

    Such a record's smoothed accuracy and the predicted standard deviation of it reach together the best smoothed one
    among those that are at most as slow. Accuracies and deviations go with the records, one each.
    """
    found: dict[str, tuple[Record, Record, float]] = {}
    for record, accuracy, deviation in zip(records, accuracies, deviations, strict=True):
        found.setdefault(record.architecture.key(), (record, replace(record, accuracy=accuracy), deviation))
    front = front_of([smooth for _, smooth, _ in found.values()])
    keys = [smooth.architecture.key() for smooth in front]

    def behind(smooth: Record) -> float:
        best = max(other.accuracy for other in front if other.latency_ms <= smooth.latency_ms)
        return best - smooth.accuracy

    near = [key for key, (_, smooth, deviation) in found.items() if key not in keys and behind(smooth) <= deviation]
    near.sort(key=lambda key: behind(found[key][1]))
    choice = Choice(tuple(found[key][0] for key in keys), tuple(found[key][0] for key in near), 0)
    return choice.with_near(max(0, most - len(keys)))


def final_front(finalists: Sequence[Finalist]) -> list[Record]:
    """The front by the finalists' own accuracies and latencies, which its records hold; references may stand on it.

    One that is over the budget may not. Latencies nearer than `TIE` are the same: of such networks the most accurate
    stands. Fastest first.
    """
    kept = (each.final for each in finalists if not each.final.over_budget)
    front: list[Record] = []
    for record in sorted(kept, key=lambda each: (-each.accuracy, each.latency_ms)):
        if not front or front[-1].latency_ms / record.latency_ms >= TIE:
            front.append(record)
    return front[::-1]


def trials_of(finalists: Sequence[Finalist], recipe: Mapping[str, Any]) -> list[FrozenTrial]:
    """A completed trial a network, as a study keeps them: mean accuracy, latency, and how they were had.

    A trial's `training` is that of the search; `predicted_accuracy` and `former_latency_ms` are the search's too.
    """
    return [
        optuna.create_trial(
            values=[each.accuracy, each.final.latency_ms],
            user_attrs={
                **attributes_of(each.final),
                "accuracies": {str(seed): accuracy for seed, accuracy in each.accuracies.items()},
                "recipe": dict(recipe),
                "reference": each.record.reference,
                "predicted_accuracy": each.record.accuracy,
                "is_predicted": each.is_predicted,
                "former_latency_ms": each.record.latency_ms,
                **_kept_of_int8(each),
            },
        )
        for each in finalists
    ]


def to_dicts(finalists: Sequence[Finalist]) -> list[dict[str, Any]]:
    """The finalists as plain JSON, fastest first."""
    front = {record.architecture.key() for record in final_front(finalists)}
    return [
        {
            "name": each.record.name,
            "key": each.record.architecture.key(),
            "reference": each.record.reference,
            "on_front": each.record.architecture.key() in front,
            "accuracy": each.accuracy,
            "accuracy_deviation": each.deviation,
            "accuracy_is_predicted": each.is_predicted,
            "accuracies": {str(seed): accuracy for seed, accuracy in each.accuracies.items()},
            **_kept_of_int8(each),
            **(each.loss.to_dict() if each.loss else {}),
            "latency_ms": each.final.latency_ms,
            "latency": dict(each.latency.plain),
        }
        for each in sorted(finalists, key=lambda each: each.final.latency_ms)
    ]


def _kept_of_int8(finalist: Finalist) -> dict[str, Any]:
    """What is kept of a finalist's 8 bits as plain JSON; nothing where it was not quantised."""
    if not finalist.fp32:
        return {}
    return {
        "fp32_accuracies": {str(seed): accuracy for seed, accuracy in finalist.fp32.items()},
        "int8": {str(seed): dict(facts.plain) for seed, facts in finalist.int8.items()},
    }


def finalists_from(trials: Sequence[FrozenTrial]) -> list[Finalist]:
    """The finalists that `trials_of` made these trials of."""
    found = []
    for trial in trials:
        final = record_of(trial)
        if final is not None:
            with suppress(ImpossibleFacts), impossible():
                found.append(_finalist(final, trial.user_attrs))
    return found


def _finalist(final: Record, attributes: Mapping[str, Any]) -> Finalist:
    was = attributes["predicted_accuracy"], attributes["former_latency_ms"]
    record = checked_record(replace(final, accuracy=was[0], latency_ms=was[1]))
    accuracies = _by_seed(attributes["accuracies"])
    if not accuracies:
        raise ImpossibleFacts("a finalist must have an accuracy, and has none")
    fp32 = _by_seed(attributes.get("fp32_accuracies", {}))
    int8 = {int(seed): checked_quantised(plain) for seed, plain in attributes.get("int8", {}).items()}
    if {frozenset(each) for each in (fp32, int8)} not in ({frozenset()}, {frozenset(accuracies)}):
        raise ImpossibleFacts(
            f"a finalist in 8 bits must have been quantised by each of its seeds, got {sorted(fp32)} and "
            f"{sorted(int8)} of {sorted(accuracies)}"
        )
    return Finalist(record, accuracies, final.latency, attributes.get("is_predicted") is True, fp32, int8)


def _by_seed(plain: Mapping[str, Any]) -> dict[int, float]:
    given = Fields(plain, "a finalist's accuracies")
    return {int(seed): given.number(seed, 0.0, 1.0) for seed in given.plain}


def scale_of_finals(finalists: Sequence[Finalist], scale: AccuracyScale) -> AccuracyScale:
    """How the finalists' own accuracies are shown, `scale` being that of the study: measured ones are percentages."""
    if scale.is_level_known or not any(each.is_predicted for each in finalists):
        return PERCENT
    finals = [each.final for each in finalists]
    references = [final for final in finals if final.reference]
    return AccuracyScale.of(False, scale.error, finals, references)


def own_text(finalist: Finalist, own: AccuracyScale) -> str:
    """A finalist's mean accuracy on its `own` scale, ± the standard deviation over the seeds."""
    deviation = finalist.deviation
    mean = own.text(finalist.final, with_error=False)
    return mean + ("" if deviation is None else f" ± {100 * deviation:.1f}")


def columns_of_int8(finalists: Sequence[Finalist], own: AccuracyScale, by: str = "") -> dict[str, list[str]]:
    """Columns with the finalists' cells about their 8 bits; none where no finalist was quantised.

    Points beside another network have no counterpart in float32: the level is not known, and the loss says it all.
    """
    losses = [each.loss for each in finalists]
    if not any(losses):
        return {}
    beside = {f"{by}fp32 {own.unit}": [loss.fp32_text if loss else "" for loss in losses]} if own.is_level_known else {}
    return {**beside, "lost": [loss.text if loss else "" for loss in losses]}


def marks_of(finalist: Finalist) -> list[str]:
    """What a table says of a finalist beside its numbers."""
    over = over_budget_text(finalist.record)
    loses = MARK if finalist.loss and finalist.loss.is_much else ""
    return [*filter(None, (REFERENCE if finalist.record.reference else "", over, loses))]


def note_on_finalists(finalists: Sequence[Finalist]) -> str:
    """What the finalists' accuracies in int8 are; "" where none was quantised."""
    return note_on_int8([facts for finalist in finalists for facts in finalist.int8.values()])


def render_finalists(finalists: Sequence[Finalist], recipe: str, scale: AccuracyScale = PERCENT) -> str:
    """The finalists as a table in plain text, fastest first, with what its columns mean; the scale is the study's."""
    own, predicted = scale_of_finals(finalists, scale), any(each.is_predicted for each in finalists)
    by = f"{recipe}{' anew' if predicted else ''} "
    shown = sorted(finalists, key=lambda each: (each.final.latency_ms, -each.accuracy))
    of_int8 = columns_of_int8(shown, own, by)
    column, was = f"{by}{'int8 ' if of_int8 else ''}{own.unit}", f"predicted {scale.unit}"
    columns = ("name", "MFLOPs", "latency ms", "was ms", column, *of_int8, was, "proxy %", "seeds", "front")
    front = {record.architecture.key() for record in final_front(finalists)}
    beside = list(zip(*of_int8.values(), strict=True)) or [()] * len(shown)
    rows = (
        _cells(each, more, each.record.architecture.key() in front, own, scale)
        for each, more in zip(shown, beside, strict=True)
    )
    lines = table_text(columns, rows, set(columns) - set(LEFT)).splitlines()
    notes = filter(None, (*_notes(column, was, predicted, scale), note_on_finalists(finalists)))
    return "\n".join([*filter(None, lines), f"{FLOP} {SPREAD}", *notes])


def _notes(column: str, was: str, predicted: bool, scale: AccuracyScale) -> Iterator[str]:
    what = "accuracy predicted from the new trainings" if predicted else "accuracy on the validation images"
    yield f"{column}: mean {what} ± standard deviation over the seeds; {was}, proxy % and was ms: the search's own."
    if not scale.is_level_known:
        yield "points: above the reference nearest in latency; the level of predictions on these data is not known."
    yield (
        f"front: by these means, and by latencies measured anew, one after another in random order; those within "
        f"{100 * (TIE - 1):.0f} % of each other are ties, of which the most accurate stands."
    )


def _cells(
    finalist: Finalist, of_int8: Sequence[str], is_on_front: bool, own: AccuracyScale, scale: AccuracyScale
) -> Iterator[str]:
    record, final = finalist.record, finalist.final
    yield record.name
    yield mflops_text(record) + at_own(record.architecture)
    yield f"{ms_text(final)} {spread_text(final)}"
    yield ms_text(record)
    yield own_text(finalist, own)
    yield from of_int8
    yield scale.text(record)
    yield proxy_text(record)
    yield str(len(finalist.accuracies))
    yield ", ".join((*(ON_FRONT,) * is_on_front, *marks_of(finalist)))
