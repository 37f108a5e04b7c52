"""Latencies taken anew of trials that had ended: a finished trial takes none, so the study itself keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna.study import Study

from search_space.reading import shown
from studies.checked_facts import checked_latency, flaw_of
from studies.facts import LatencyFacts
from studies.record import Record

PREFIX = "retimed:"
"""How the study's attributes begin that hold a latency, each followed by the architecture's key."""


def keep_retimed(study: Study, key: str, latency: LatencyFacts) -> None:
    """Keeps the latency of the architecture of that key: `records_of` tells it from now on."""
    study.set_user_attr(PREFIX + key, dict(latency.plain))


def retimed_in(attributes: Mapping[str, Any]) -> dict[str, LatencyFacts]:
    """By key, the latencies among a study's user attributes that were taken anew, and can be."""
    anew = {name: plain for name, plain in attributes.items() if name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX): LatencyFacts(plain) for name, plain in anew.items() if not _flaw(plain)}


def flaws_in(attributes: Mapping[str, Any]) -> list[str]:
    """Of those latencies, the ones that cannot be: a line each."""
    found = {name: _flaw(plain) for name, plain in attributes.items() if name.startswith(PREFIX)}
    return [f"{shown(name)}: {flaw}" for name, flaw in found.items() if flaw]


def _flaw(plain: Any) -> str:
    return flaw_of(lambda: checked_latency(plain))


def as_retimed(record: Record, retimed: Mapping[str, LatencyFacts]) -> Record:
    """The record with its latency as it was taken anew, if it was."""
    latency = retimed.get(record.architecture.key())
    return replace(record, latency_ms=latency.latency_ms, latency=latency) if latency else record
