"""The ledger's other half: every training and every scoring at initialisation that calibration ever made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import JSON, Column, Engine, Float, Integer, MetaData, String, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from search_space.architecture import Architecture
from search_space.hand_designed import HandDesigned
from search_space.reading import Fields, shown
from studies.checked_facts import (
    LATEST_S,
    LEARNED,
    ImpossibleFacts,
    checked_scores,
    checked_training,
    flaw_of,
    impossible,
)
from studies.facts import TrainingFacts

AT_INITIALISATION = "zero-cost"
"""The method's name of a scoring at initialisation; every other one is a recipe's."""
_metadata = MetaData()
EVALUATIONS = Table(
    "evaluations",
    _metadata,
    Column("digest", String(32), primary_key=True),
    Column("network", String(64), nullable=False, index=True),
    Column("architecture", JSON, nullable=False),
    Column("method", JSON, nullable=False),
    Column("data", String(16), nullable=False, index=True),
    Column("seed", Integer, nullable=False),
    Column("device", String(16), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("taken_at", Float, nullable=False, index=True),
    Column("result", JSON, nullable=False),
    Column("made_by", JSON, nullable=False),
)
TABLES = tuple(_metadata.tables)


@dataclass(frozen=True, slots=True)
class Question:
    """What can be asked of a network: `method` is a recipe's fields, or how it is scored at initialisation.

    `data` is the data's fingerprint, `device` where it is trained: cpu or cuda, `name` what lines call the network.
    `in_int8` asks for the trained network's accuracy in 8 bits as well: the training is the same, and so is the digest.
    """

    architecture: Architecture | HandDesigned
    method: Mapping[str, Any] = field(hash=False)
    data: str
    seed: int
    device: str = "cpu"
    name: str = field(default="", compare=False)
    in_int8: bool = field(default=False, compare=False)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that name the question: what was once answered is not asked again.

        A recipe's name says nothing of what is done, so another one of the same fields asks the same.
        """
        method = {name: value for name, value in self.method.items() if name != "name"}
        parts = [self.architecture.key(), method, self.data, self.seed, self.device]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def answer_in(self, answers: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """What answers it of a ledger's answers by digest; None where there is none that says all that is asked."""
        found = answers.get(self.digest)
        return found if found is not None and self.is_answered_by(found) else None

    def is_answered_by(self, result: Mapping[str, Any]) -> bool:
        """Whether a result of its digest says all that is asked: one without an accuracy in 8 bits may not."""
        return not self.in_int8 or result.get("int8") is not None


@dataclass(frozen=True, slots=True)
class KeptTraining:
    """An architecture, the fields of the recipe that trained it, and how that went, as plain JSON."""

    architecture: Architecture
    recipe: Mapping[str, Any] = field(hash=False)
    training: TrainingFacts


class Evaluations:
    """The answers in a database; its table is made where there is none, unless they are only read."""

    def __init__(self, engine: Engine, *, to_read: bool = False) -> None:
        self._engine = engine
        if not to_read:
            _metadata.create_all(engine)
        self._is_there = not to_read or sqlalchemy.inspect(engine).has_table(EVALUATIONS.name)

    def add(self, question: Question, result: Mapping[str, Any], made_by: Mapping[str, Any], taken_at: float) -> None:
        """Enters an answer; `made_by` says by which machine and versions. A second one changes nothing.

        It takes the place of one that cannot be, and of one that says less than is asked.

        Raises:
            ImpossibleFacts: the answer itself cannot be.
        """
        with impossible():
            Fields({"taken_at": taken_at}, "a training").number("taken_at", 0.0, LATEST_S)
        checked_answer(question.method, result)
        row = {
            "digest": question.digest,
            "network": question.architecture.key(),
            "architecture": question.architecture.to_dict(),
            "method": dict(question.method),
            "data": question.data,
            "seed": question.seed,
            "device": question.device,
            "seconds": result["seconds"],
            "taken_at": taken_at,
            "result": dict(result),
            "made_by": dict(made_by),
        }
        if self._has(question):
            return
        mine = EVALUATIONS.c.digest == question.digest
        try:
            with self._engine.begin() as connection:
                connection.execute(delete(EVALUATIONS).where(mine))  # one that cannot be, or says less
                connection.execute(insert(EVALUATIONS), [row])
        except IntegrityError:
            if not self._has(question):  # then it was not another process that was faster
                raise

    def _has(self, question: Question) -> bool:
        kept = self.find(question)
        return kept is not None and question.is_answered_by(kept)

    def find(self, question: Question) -> dict[str, Any] | None:
        """The result that answers the question; None where there is none yet."""
        query = select(EVALUATIONS.c.result).where(EVALUATIONS.c.digest == question.digest)
        with self._engine.connect() as connection:
            result: dict[str, Any] | None = connection.scalar(query)
        return result if _can_be(question.method, result) else None

    def answers(self, data: str) -> dict[str, dict[str, Any]]:
        """By digest, every result on the data of this fingerprint."""
        columns = EVALUATIONS.c.digest, EVALUATIONS.c.method, EVALUATIONS.c.result
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).where(EVALUATIONS.c.data == data))
            return {row.digest: row.result for row in rows if _can_be(row.method, row.result)}

    def trainings(self, data: str) -> list[KeptTraining]:
        """All trainings of architectures on the data of this fingerprint, by whatever recipe, the oldest first."""
        if not self._is_there:
            return []
        columns = EVALUATIONS.c.architecture, EVALUATIONS.c.method, EVALUATIONS.c.result
        query = select(*columns).where(EVALUATIONS.c.data == data).order_by(EVALUATIONS.c.taken_at)
        with self._engine.connect() as connection:
            return [kept for row in connection.execute(query) if (kept := _kept(*row)) is not None]

    def flaws(self) -> list[str]:
        """What no method gives, for it cannot be: a line each."""
        if not self._is_there:
            return []
        columns = EVALUATIONS.c.network, EVALUATIONS.c.method, EVALUATIONS.c.result
        with self._engine.connect() as connection:
            found = (
                (network, _flaw(method, result)) for network, method, result in connection.execute(select(*columns))
            )
            return [f"{shown(network)}: {flaw}" for network, flaw in found if flaw]


def checked_answer(method: Mapping[str, Any], result: Any) -> Mapping[str, Any]:
    """The answer to what the method asks: a training that can be one, or scores.

    Raises:
        ImpossibleFacts: it is none.
    """
    if method.get("name") == AT_INITIALISATION:
        return checked_scores(result)
    return checked_training(result, LEARNED).plain


def _flaw(method: Any, result: Any) -> str:
    """Why a row can be no answer; "" where it can."""

    def read() -> None:
        with impossible():
            checked_answer(method, result)

    return flaw_of(read)


def _can_be(method: Any, result: Any) -> bool:
    return not _flaw(method, result)


def _kept(architecture: Any, method: Any, result: Any) -> KeptTraining | None:
    """The training of a row; None where it is none, is none of an architecture, or cannot be."""
    try:
        with impossible():
            if "stages" not in architecture or "epochs" not in method:
                return None
            return KeptTraining(Architecture.from_dict(architecture), dict(method), checked_training(result, LEARNED))
    except ImpossibleFacts:
        return None
