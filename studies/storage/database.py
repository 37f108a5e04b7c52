"""Databases by URL: engines on them, and one line for what keeps one from opening. sqlalchemy only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Engine, make_url

from search_space.bounds import PORTS
from search_space.errors import InputError

SQLITE_SECONDS = 60
"""How long one process waits for another's write to an SQLite file."""
LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""So that a server that vanished without a word is noticed in a minute; by itself, a system waits for two hours."""
_TABLES_LOCK = 7_467_202
"""Any number, the same in every process."""


def engine_of(url: str) -> Engine:
    """An engine on the database; on SQLite it waits for other processes' writes instead of failing.

    Raises:
        InputError: no database URL, or a database that cannot be opened.
    """
    with errors_in_one_line(url):
        engine = sqlalchemy.create_engine(url, **engine_options(url))
        sqlalchemy.inspect(engine).get_table_names()  # SQLite opens any file: only reading shows what it is
    return engine


def engine_options(url: str) -> dict[str, Any]:
    """What SQLAlchemy's `create_engine` is given with the URL; what the URL itself says stands."""
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        # SQLite takes any text for JSON; a server looks at it.
        return {"connect_args": {"timeout": SQLITE_SECONDS}, "json_deserializer": parsed_json}
    is_libpq = parsed.get_backend_name() == "postgresql" and parsed.get_driver_name().startswith("psycopg")
    given = {name: value for name, value in LIBPQ.items() if is_libpq and name not in parsed.query}
    return {"connect_args": given, "pool_pre_ping": True}


def parsed_json(text: str) -> Any:
    """What the JSON text holds; None for one that is none, so that a damaged row is one row that is wrong."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


@contextmanager
def making_tables(engine: Engine) -> Iterator[None]:
    """Keeps other processes from making tables in the same database; only PostgreSQL can."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.begin() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_TABLES_LOCK)))
        yield


def shown(url: str) -> str:
    """The URL as it may be printed: without its password."""
    return parsed_url(url).render_as_string(hide_password=True)


@contextmanager
def errors_in_one_line(url: str) -> Iterator[None]:
    """Turns what goes wrong with the database inside into a mistake of whoever gave the URL.

    Raises:
        InputError: it cannot be opened, or its driver is not installed.
    """
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(
            f"a storage is the URL of a database that opens, such as sqlite:///study.db; {shown(url)!r}: {reason}"
        ) from error


def parsed_url(url: str) -> URL:
    """The parts of a database URL.

    Raises:
        InputError: it is none.
    """
    try:
        parsed = make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise InputError(f"a storage is the URL of a database, such as sqlite:///study.db; got {url!r}") from error
    except ValueError as error:  # what stands there may be a part of the password
        raise InputError(f"the port in a database's URL must be {PORTS}, and in the one given it is none") from error
    if parsed.port is not None:
        PORTS.check("the port in a database's URL", parsed.port)
    return parsed
