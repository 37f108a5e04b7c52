"""Calibrations kept in a database, and those that ship; both to and from plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from typing import Any

from sqlalchemy import JSON, Column, Engine, Float, Integer, MetaData, String, Table, insert, inspect, select

from search_space.errors import InputError
from search_space.reading import Fields
from studies.calibration.accuracy_fit import AccuracyFit
from studies.calibration.results import Calibration, Made, Row, Trained, predictions_of
from studies.checked_facts import LEARNED, ImpossibleFacts, check_finite, checked_training, flaw_of, impossible
from studies.ranking import Interval, Ranking

SHIPPED = ("cifar10",)
"""Data sets whose calibration stands in `studies/calibration/shipped`, the default one first."""

_metadata = MetaData()
_calibrations = Table(
    "calibrations",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("data", String(16), nullable=False, index=True),
    Column("made_at", Float, nullable=False),
    Column("calibration", JSON, nullable=False),
)
TABLES = tuple(_metadata.tables)


def keep(engine: Engine, calibration: Calibration) -> None:
    """Enters the calibration; the table is made where there is none.

    Raises:
        ImpossibleFacts: it cannot be.
    """
    checked_calibration(to_dict(calibration))
    _metadata.create_all(engine)
    row = {
        "data": calibration.made.fingerprint,
        "made_at": calibration.made.made_at,
        "calibration": to_dict(calibration),
    }
    with engine.begin() as connection:
        connection.execute(insert(_calibrations), [row])


def newest(engine: Engine, data: str, recipe: Mapping[str, Any]) -> Calibration | None:
    """The newest calibration on the data of this fingerprint that tried this very recipe; None where there is none."""
    if not inspect(engine).has_table(_calibrations.name):
        return None
    query = select(_calibrations.c.calibration).where(_calibrations.c.data == data)
    with engine.connect() as connection:
        for found in connection.scalars(query.order_by(_calibrations.c.made_at.desc())):
            with suppress(ImpossibleFacts):
                calibration = checked_calibration(found)
                if recipe in calibration.made.recipes.values():
                    return calibration
    return None


def flaws(engine: Engine, data: str) -> list[str]:
    """Why calibrations on the data of this fingerprint are left out: a line each."""
    if not inspect(engine).has_table(_calibrations.name):
        return []
    query = select(_calibrations.c.number, _calibrations.c.calibration).where(_calibrations.c.data == data)
    with engine.connect() as connection:
        found = ((number, flaw_of(partial(checked_calibration, kept))) for number, kept in connection.execute(query))
        return [f"number {number}: {flaw}" for number, flaw in found if flaw]


def checked_calibration(kept: Any) -> Calibration:
    """The calibration that `to_dict` wrote, whoever changed it since.

    Raises:
        ImpossibleFacts: a number, an accuracy or a training in it cannot be.
    """
    with impossible():
        check_finite(kept, "a calibration")
        calibration = from_dict(kept)
        for network in calibration.networks:
            counted = Fields({name: getattr(network, name) for name in ("macs", "params", "accuracies")}, "a network")
            counted.whole("macs", 0, 10**18)
            counted.whole("params", 0, 10**18)
            counted.numbers("accuracies", 0.0, 1.0)
            for training in network.trainings.values():
                checked_training(training.plain, LEARNED)
        return calibration


def shipped(name: str) -> Calibration:
    """A calibration that ships with the project, by the name of its data."""
    text = files("studies.calibration").joinpath("shipped", f"{name}.json").read_text(encoding="utf-8")
    return parsed(text, f"the calibration {name} that ships")


def parsed(text: str, what: str) -> Calibration:
    """The calibration that a file's text holds.

    Raises:
        InputError: the text is no JSON, or no calibration that this version reads; `what` names it.
    """
    try:
        return checked_calibration(json.loads(text))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{what} must be a calibration that this version reads, and is not ({reason}): make it anew"
        ) from error


def to_dict(calibration: Calibration) -> dict[str, Any]:
    """The calibration as plain JSON; `from_dict` takes it back."""
    return {
        "made": asdict(calibration.made),
        "networks": [network.to_dict() for network in calibration.networks],
        "rows": [_plain(row) for row in calibration.rows],
        "ceilings": {name: ceiling.to_dict() for name, ceiling in calibration.ceilings.items()},
        "fits": {recipe: fit.to_dict() for recipe, fit in calibration.fits.items()},
    }


def from_dict(data: Mapping[str, Any]) -> Calibration:
    """The calibration that `to_dict` wrote."""
    made = {**data["made"], **{name: tuple(data["made"][name]) for name in ("seeds", "failures")}}
    networks = tuple(map(Trained.from_dict, data["networks"]))
    return Calibration(
        made=Made(**made),
        networks=networks,
        rows=tuple(map(_row, data["rows"])),
        ceilings={name: Interval.from_dict(ceiling) for name, ceiling in data["ceilings"].items()},
        fits={recipe: _fit(networks, recipe, fit) for recipe, fit in data["fits"].items()},
    )


def _fit(networks: Sequence[Trained], recipe: str, data: Mapping[str, Any]) -> AccuracyFit:
    """The fit as it was kept; of calibrations from before there was a prior, made anew of their networks."""
    return AccuracyFit.from_dict(data) if "prior" in data else predictions_of(networks, recipe)[0]


def _plain(row: Row) -> dict[str, Any]:
    return {
        "score": row.score,
        "recipe": row.recipe,
        "seconds": row.seconds,
        "rankings": {name: ranking.to_dict() for name, ranking in row.rankings.items()},
        "advantages": {name: advantage.to_dict() for name, advantage in row.advantages.items()},
    }


def _row(data: Mapping[str, Any]) -> Row:
    rankings = {name: Ranking.from_dict(ranking) for name, ranking in data["rankings"].items()}
    advantages = {name: Interval.from_dict(interval) for name, interval in data["advantages"].items()}
    return Row(**{**data, "rankings": rankings, "advantages": advantages})
