"""Small line charts as SVG: a training's losses and accuracies by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 320, 170, 40, 26, 144
_CLASSES = ("first", "second")

Points = Sequence[tuple[float, float]]


def curves_html(training: Mapping[str, Any]) -> str:
    """Charts of a training's losses and of its validation accuracy; a sentence where it kept no curve."""
    drawn = losses_of(training)
    charts = chart_svg(drawn) if drawn else '<p class="note">No curve of this training was kept.</p>'
    percent = [(epoch, 100 * accuracy) for epoch, accuracy in _validated(training, "validation_accuracies")]
    if len(percent) > 1:
        return charts + chart_svg({"validation accuracy, %": percent})
    said = "".join(f"Validated once, after epoch {epoch:.0f}: {value:.1f} %. " for epoch, value in percent)
    return f'{charts}<p class="note">{said}</p>' if drawn else charts


def losses_of(training: Mapping[str, Any]) -> dict[str, Points]:
    """The losses by epoch that a training kept, by name."""
    losses = {
        "training loss": _by_epoch(training, "training_losses"),
        "validation loss": _validated(training, "validation_losses"),
    }
    return {name: points for name, points in losses.items() if points}


def chart_svg(series: Mapping[str, Points]) -> str:
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

    drawn = _axes(at(1, low)[1], at(1, high)[1], low, high, last)
    for number, (kind, (name, points)) in enumerate(zip(_CLASSES, series.items(), strict=False)):
        places = [at(*point) for point in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        drawn += f'<path class="curve {kind}" d="M{path}"/>'
        drawn += "".join(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
        drawn += f'<circle class="{kind}" cx="{_LEFT + 4 + 130 * number}" cy="8" r="4"/>'
        drawn += f'<text x="{_LEFT + 13 + 130 * number}" y="12">{escape(name)}</text>'
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{escape(_in_words(series))}">{drawn}</svg>'


def _axes(y_low: float, y_high: float, low: float, high: float, last: float) -> str:
    lines = f'<path class="wire grid" d="M{_LEFT} {y_high:.1f}H{_WIDTH}M{_LEFT} {y_low:.1f}H{_WIDTH}"/>'
    marks = "".join(
        f'<text class="fine" x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for y, value in ((y_low, low), (y_high, high))
    )
    ends = f'<text class="fine" x="{_LEFT + 4}" y="{_HEIGHT - 8}">epoch 1</text>' if last > 1 else ""
    ends += f'<text class="fine" x="{_WIDTH}" y="{_HEIGHT - 8}" text-anchor="end">epoch {last:.0f}</text>'
    return lines + marks + ends


def _in_words(series: Mapping[str, Points]) -> str:
    return "; ".join(
        f"{name} by epoch: {', '.join(f'{value:.3g}' for _, value in points)}" for name, points in series.items()
    )


def _by_epoch(training: Mapping[str, Any], name: str) -> Points:
    return [(float(epoch), float(value)) for epoch, value in enumerate(training.get(name, ()), start=1)]


def _validated(training: Mapping[str, Any], name: str) -> Points:
    values = training.get(name, ())
    epochs = training.get("validated_epochs") or range(1, len(values) + 1)
    return [(float(epoch), float(value)) for epoch, value in zip(epochs, values, strict=False)]
