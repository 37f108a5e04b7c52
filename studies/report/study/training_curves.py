"""Small line charts: a training's losses and accuracies by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from studies.facts import TrainingFacts
from studies.report.study.drawing import Drawing, Shape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 320, 170, 40, 26, 144
_CLASSES = ("first", "second")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class TrainingCurves:
    """Charts of a training's losses and of its validation accuracy, and a sentence on what is no curve."""

    charts: tuple[Drawing, ...]
    note: str


def curves_of(training: TrainingFacts) -> TrainingCurves:
    """The curves that a training kept; where it kept none, the note says so."""
    losses = losses_of(training)
    percent = [(epoch, 100 * accuracy) for epoch, accuracy in _validated(training, training.validation_accuracies)]
    drawn = [losses] if losses else []
    drawn += [{"validation accuracy, %": percent}] if len(percent) > 1 else []
    note = "" if drawn else "No curve of this training was kept."
    if losses and len(percent) == 1:
        ((epoch, value),) = percent
        note = f"Validated once, after epoch {epoch:.0f}: {value:.1f} %."
    return TrainingCurves(tuple(map(chart, drawn)), note)


def losses_of(training: TrainingFacts) -> dict[str, Points]:
    """The losses by epoch that a training kept, by name."""
    losses = {
        "training loss": _by_epoch(training.training_losses),
        "validation loss": _validated(training, training.validation_losses),
    }
    return {name: points for name, points in losses.items() if points}


def chart(series: Mapping[str, Points]) -> Drawing:
    """Up to two series of (epoch, value) as lines with a point at each value, named above."""
    epochs = [epoch for points in series.values() for epoch, _ in points]
    values = [value for points in series.values() for _, value in points]
    low, high, last = min(values), max(values), max(epochs)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)

    def at(epoch: float, value: float) -> tuple[float, float]:
        along = (epoch - 1) / (last - 1) if last > 1 else 0.5
        return _LEFT + 8 + along * (_WIDTH - _LEFT - 20), _BOTTOM - 8 - (value - low) / (high - low) * (
            _BOTTOM - _TOP - 16
        )

    shapes = [*_axes(at(1, low)[1], at(1, high)[1], low, high, last)]
    for number, (name, points) in enumerate(list(series.items())[: len(_CLASSES)]):
        shapes += _line(number, name, [at(*point) for point in points])
    return Drawing(_WIDTH, _HEIGHT, _in_words(series), tuple(shapes))


def _line(number: int, name: str, places: Points) -> Iterator[Shape]:
    kind, x = _CLASSES[number], _LEFT + 4 + 130 * number
    yield Shape("path", {"class": f"curve {kind}", "d": "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)})
    for along, up in places:
        yield Shape("circle", {"class": kind, "cx": f"{along:.1f}", "cy": f"{up:.1f}", "r": 3})
    yield Shape("circle", {"class": kind, "cx": x, "cy": 8, "r": 4})
    yield Shape("text", {"x": x + 9, "y": 12}, name)


def _axes(y_low: float, y_high: float, low: float, high: float, last: float) -> Iterator[Shape]:
    ends = f"M{_LEFT} {y_high:.1f}H{_WIDTH}M{_LEFT} {y_low:.1f}H{_WIDTH}"
    yield Shape("path", {"class": "wire grid", "d": ends})
    for y, value in ((y_low, low), (y_high, high)):
        yield _fine(_LEFT - 4, f"{y + 4:.1f}", f"{value:.3g}", "end")
    if last > 1:
        yield _fine(_LEFT + 4, _HEIGHT - 8, "epoch 1", "start")
    yield _fine(_WIDTH, _HEIGHT - 8, f"epoch {last:.0f}", "end")


def _fine(x: float, y: float | str, text: str, anchor: str) -> Shape:
    return Shape("text", {"class": "fine", "x": x, "y": y, "text-anchor": anchor}, text)


def _in_words(series: Mapping[str, Points]) -> str:
    return "; ".join(
        f"{name} by epoch: {', '.join(f'{value:.3g}' for _, value in points)}" for name, points in series.items()
    )


def _by_epoch(values: Sequence[float]) -> Points:
    return [(float(epoch), value) for epoch, value in enumerate(values, start=1)]


def _validated(training: TrainingFacts, values: Sequence[float]) -> Points:
    epochs = training.validated_epochs or range(1, len(values) + 1)
    return [(float(epoch), value) for epoch, value in zip(epochs, values, strict=False)]
