"""What a search asks other devices to measure, and what they answer: jobs and files in the study's database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

MOST_FILE_BYTES = 2**29
"""How large a network's file may be: 128 million parameters in float32."""
MOST_REQUEST_CHARACTERS = 4_000_000
WAITING, TAKEN, DONE, FAILED = "waiting", "taken", "done", "failed"

_metadata = MetaData()
_files = Table(
    "latency_files",
    _metadata,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
_jobs = Table(
    "latency_jobs",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("device", String(200), nullable=False, index=True),
    Column("request", JSON, nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("agent", String(64), nullable=False, default=""),
    Column("result", JSON),
    Column("cause", Text, nullable=False, default=""),
)
_devices = Table(
    "latency_devices",
    _metadata,
    Column("name", String(200), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("beats", Integer, nullable=False),
)
TABLES = tuple(_metadata.tables)


@dataclass(frozen=True, slots=True)
class Job:
    """One request for a device; `request` is what its JSON holds, whoever wrote it, None where that is too long."""

    id: int
    request: Any = field(hash=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a job stands: its state, the result of one that is done, the cause of one that failed."""

    state: str
    result: Mapping[str, Any] | None = field(default=None, hash=False)
    cause: str = ""


class LatencyQueue:
    """Jobs in a database; its tables are made where there are none. Both sides use it, in many processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _metadata.create_all(engine)

    def put_file(self, content: bytes) -> str:
        """The SHA-256 under which the content is kept, once however often it is put.

        Raises:
            ValueError: it is larger than any file may be.
        """
        if len(content) > MOST_FILE_BYTES:
            raise ValueError(f"a file must have {MOST_FILE_BYTES} bytes at the most, and this one has {len(content)}")
        name = hashlib.sha256(content).hexdigest()
        with self._engine.connect() as connection:
            if connection.scalar(select(_files.c.sha256).where(_files.c.sha256 == name)):
                return name
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_files).values(sha256=name, content=content))
        except IntegrityError:  # another process put it meanwhile
            return name
        return name

    def file(self, sha256: str) -> bytes:
        """The content kept under this SHA-256.

        Raises:
            LookupError: there is none, or it is damaged or too large.
        """
        mine = _files.c.sha256 == sha256
        with self._engine.connect() as connection:
            size = connection.scalar(select(func.length(_files.c.content)).where(mine))
            if size is not None and size > MOST_FILE_BYTES:
                raise LookupError(
                    f"the file {sha256[:12]} must have {MOST_FILE_BYTES} bytes at the most, it has {size}"
                )
            content = connection.scalar(select(_files.c.content).where(mine))
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise LookupError(f"the storage must hold the file {sha256[:12]} whole; it is missing or damaged")
        return bytes(content)

    def drop_file(self, sha256: str) -> None:
        """Deletes the content."""
        with self._engine.begin() as connection:
            connection.execute(delete(_files).where(_files.c.sha256 == sha256))

    def post(self, device: str, request: Mapping[str, Any]) -> int:
        """The id of a new job for the device."""
        with self._engine.begin() as connection:
            row = connection.execute(insert(_jobs).values(device=device, request=dict(request), state=WAITING))
            return int(row.inserted_primary_key[0])  # type: ignore[index]

    def claim(self, device: str, agent: str) -> Job | None:
        """The oldest job that waits for the device, now this agent's and nobody else's; None where none waits."""
        waiting = select(_jobs.c.id).where(_jobs.c.device == device, _jobs.c.state == WAITING)
        with self._engine.begin() as connection:
            for number in connection.scalars(waiting.order_by(_jobs.c.id)).all():
                mine = update(_jobs).where(_jobs.c.id == number, _jobs.c.state == WAITING)
                if connection.execute(mine.values(state=TAKEN, agent=agent)).rowcount == 1:
                    is_short = func.length(cast(_jobs.c.request, Text)) <= MOST_REQUEST_CHARACTERS
                    return Job(number, connection.scalar(select(_jobs.c.request).where(_jobs.c.id == number, is_short)))
        return None

    def finish(self, job: Job, agent: str, answer: Answer) -> bool:
        """Whether the answer was taken: not if the job was given up or given to another agent meanwhile."""
        mine = update(_jobs).where(_jobs.c.id == job.id, _jobs.c.agent == agent, _jobs.c.state == TAKEN)
        result = None if answer.result is None else dict(answer.result)
        with self._engine.begin() as connection:
            values = {"state": answer.state, "result": result, "cause": answer.cause}
            return connection.execute(mine.values(**values)).rowcount == 1

    def give_up(self, job_id: int, cause: str) -> None:
        """Fails a job that has not ended, for this cause, so that no agent takes it any more."""
        open_job = update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state.in_((WAITING, TAKEN)))
        with self._engine.begin() as connection:
            connection.execute(open_job.values(state=FAILED, cause=cause))

    def answer(self, job_id: int) -> Answer:
        """How the job stands."""
        query = select(_jobs.c.state, _jobs.c.result, _jobs.c.cause).where(_jobs.c.id == job_id)
        with self._engine.connect() as connection:
            return Answer(*connection.execute(query).one())

    def register(self, device: str, agent: str, facts: Mapping[str, Any]) -> None:
        """Registers the agent for the device; jobs that an earlier agent of it left wait again."""
        with self._engine.begin() as connection:
            connection.execute(delete(_devices).where(_devices.c.name == device))
            connection.execute(insert(_devices).values(name=device, agent=agent, facts=dict(facts), beats=0))
            left = update(_jobs).where(_jobs.c.device == device, _jobs.c.state == TAKEN)
            connection.execute(left.values(state=WAITING, agent=""))

    def beat(self, device: str, agent: str) -> bool:
        """Whether the agent still speaks for the device, after a sign of life; not if another one took over."""
        mine = update(_devices).where(_devices.c.name == device, _devices.c.agent == agent)
        with self._engine.begin() as connection:
            return connection.execute(mine.values(beats=_devices.c.beats + 1)).rowcount == 1

    def beats(self, device: str) -> tuple[str, int] | None:
        """The device's agent and its signs of life so far; None for a device that never had an agent.

        A count and no time: the clocks of two machines need not agree.
        """
        query = select(_devices.c.agent, _devices.c.beats).where(_devices.c.name == device)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (str(row[0]), int(row[1]))
