"""What optuna-dashboard shows beside a study and its trials, as Markdown notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from optuna.trial import FrozenTrial

from studies.accuracy_scale import ACCURACY, AccuracyScale
from studies.display import (
    FLOP,
    SPREAD,
    in_int8,
    mflops_text,
    ms_text,
    params_text,
    proxy_text,
    spread_text,
    stage_text,
    whole_text,
)
from studies.facts import LatencyFacts
from studies.finalists import finalists_from
from studies.markdown import code_in_markdown, in_markdown
from studies.record import record_of
from studies.storage.retimed_latencies import as_retimed
from studies.storage.trials import CAUSE

SHOWN = (
    *("task", "budget", "precision", "data", "runtime", "latency_device", "latency_from"),
    *("resolution", "classes", "sampler", "seed"),
)
"""The settings that a study's note tells, where it has them."""


def study_note(attributes: Mapping[str, Any]) -> str:
    """What a study is, from its user attributes; empty for one that is none of ours."""
    settings, provenance = attributes.get("settings"), attributes.get("provenance", {})
    if not settings:
        return ""
    settings_shown = {name.replace("_", " "): settings[name] for name in SHOWN if settings.get(name) is not None}
    if recipe := settings.get("recipe"):
        settings_shown["recipe"] = recipe["name"] if isinstance(recipe, Mapping) else recipe
    shown = [f"- {name}: {in_markdown(str(value))}" for name, value in settings_shown.items()]
    text = provenance.get(ACCURACY)
    if "table" in settings:
        return "\n".join(["A search over a table of finished trainings: accuracy against FLOPs.", "", *shown, "", FLOP])
    is_level_known = AccuracyScale.of_study(attributes, (), ()).is_level_known
    what = "is what full training is predicted to reach" if is_level_known else "says how networks differ, and no level"
    lines = [
        "The front of accuracy against measured latency: the best trials are those that no other beats in both.",
        "",
        *shown,
        "",
        f"**accuracy** {what}{f': {in_markdown(str(text))}' if text else ''}.",
        f"**latency_ms** is measured, for one image on one thread. {SPREAD}",
        FLOP,
    ]
    command = provenance.get("command")
    if command:
        lines += ["", f"Made by {code_in_markdown(str(command))}; the same line with `--resume` goes on."]
    return "\n".join(lines)


def trial_note(trial: FrozenTrial, retimed: Mapping[str, LatencyFacts], scale: AccuracyScale) -> str:
    """A trial in words: its numbers and its stages, or the cause why it has none; empty where nothing is known.

    `retimed` are the latencies of its study that were taken anew, by key; the scale is that study's.
    """
    return "\n".join(_lines(trial, retimed, scale))


def _lines(trial: FrozenTrial, retimed: Mapping[str, LatencyFacts], scale: AccuracyScale) -> Iterator[str]:
    if cause := trial.user_attrs.get(CAUSE):
        yield f"**{trial.state.name.lower()}**: {in_markdown(str(cause))}"
    if "architecture" not in trial.user_attrs or "macs" not in trial.user_attrs:
        return
    record = record_of(trial)
    if record is None:
        return
    record = as_retimed(record, retimed)
    yield f"**{in_markdown(record.name)}**, unit {record.architecture.unit}"
    yield ""
    what = (
        ", predicted"
        if trial.user_attrs.get("is_predicted", True)
        else f" by recipe {trial.user_attrs['recipe']['name']!r}"
    )
    yield f"- {scale.phrase(record)}{what}{_of_int8(trial)}; {proxy_text(record)} % by the short training itself"
    yield f"- {ms_text(record)} ms {spread_text(record)}{' in int8' if in_int8([record]) else ''}"
    yield f"- {mflops_text(record)} MFLOPs, {params_text(record)} M params"
    for number, stage in enumerate(record.architecture.stages, start=2):
        yield f"- stage {number}: {stage_text(stage)}"
    yield f"- {whole_text(record.architecture)}"


def _of_int8(trial: FrozenTrial) -> str:
    """Of a finalist in int8, its accuracy in fp32 and what is lost from that; "" of any other trial."""
    losses = (each.loss for each in (finalists_from([trial]) if "int8" in trial.user_attrs else ()))
    return "".join(f", in int8; {loss.fp32_text} % in fp32, {loss.text} points lost" for loss in losses if loss)
