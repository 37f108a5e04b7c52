"""Databases by URL: engines on them, the files they name, and one line for what keeps one from opening.

sqlalchemy only.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import NullPool

from search_space.bounds import PORTS
from search_space.errors import InputError
from studies.storage.secrets import shown_url, without_secrets

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


def engine_of(url: str, *, to_read: bool = False) -> Engine:
    """An engine on the database; on SQLite it waits for other processes' writes instead of failing.

    Raises:
        InputError: no database URL, or a database that cannot be opened.
    """
    with errors_in_one_line(url):
        engine = sqlalchemy.create_engine(written(url), **engine_options(url, to_read=to_read))
        sqlalchemy.inspect(engine).get_table_names()  # SQLite opens any file: only reading shows what it is
    return engine


def engine_options(url: str, *, to_read: bool = False) -> dict[str, Any]:
    """What SQLAlchemy's `create_engine` is given with the URL; what the URL itself says stands.

    Of an engine to read nothing can be written: SQLite's file is opened so, and so is each of a server's transactions.
    """
    parsed, file = parsed_url(url), file_of(url)
    if file is not None:
        # SQLite takes any text for JSON; a server looks at it.
        if to_read:  # each connection anew, for what stands beside the file changes when a search begins or ends
            return {
                "creator": partial(_connected_to_read, file),
                "poolclass": NullPool,
                "json_deserializer": parsed_json,
            }
        return {"connect_args": {"timeout": SQLITE_SECONDS}, "json_deserializer": parsed_json}
    is_libpq = parsed.get_backend_name() == "postgresql" and parsed.get_driver_name().startswith("psycopg")
    given = {name: value for name, value in LIBPQ.items() if is_libpq and name not in parsed.query}
    reading = {"execution_options": {"postgresql_readonly": True}} if to_read else {}
    return {"connect_args": given, "pool_pre_ping": True, **reading}


def _connected_to_read(file: Path) -> sqlite3.Connection:
    """A connection to an SQLite file by which neither it nor its folder is changed.

    In write-ahead mode SQLite makes two files beside one that it reads, unless it is told that nobody writes: so it is
    where these two are not there, for whoever writes makes them.
    """
    file = file.resolve()
    ahead, index = (file.with_name(file.name + ending) for ending in ("-wal", "-shm"))
    how = "mode=ro"
    if ahead.is_file() and index.is_file():
        how = "mode=ro&readonly_shm=1"
    elif not (ahead.is_file() and ahead.stat().st_size) and _is_in_write_ahead_mode(file):
        how = "mode=ro&immutable=1"
    # Used by one thread at a time, which SQLAlchemy sees to.
    uri = f"{file.as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=SQLITE_SECONDS, check_same_thread=False)


def _is_in_write_ahead_mode(file: Path) -> bool:
    """As the file's header says (https://www.sqlite.org/fileformat.html, 1.3)."""
    with file.open("rb") as opened:
        return opened.read(20)[18:] == b"\x02\x02"


def parsed_json(text: str) -> Any:
    """What the JSON text holds; None for one that is none, so that a damaged row is one row that is wrong."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def tables_of(url: str) -> set[str]:
    """The names of the tables in the database at the URL, which is not changed."""
    engine = engine_of(url, to_read=True)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def listed(tables: Collection[str]) -> str:
    """The first few of the tables, for a message."""
    return ", ".join(sorted(tables)[:3]) + (f" and {len(tables) - 3} more" if len(tables) > 3 else "")


@contextmanager
def making_tables(engine: Engine) -> Iterator[None]:
    """Keeps other processes from making tables in the same database; only PostgreSQL can."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.begin() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_TABLES_LOCK)))
        yield


@contextmanager
def errors_in_one_line(url: str) -> Iterator[None]:
    """Turns what goes wrong with the database inside into a mistake of whoever gave the URL.

    Raises:
        InputError: it cannot be opened, or its driver is not installed.
    """
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = without_secrets((str(error.__cause__ or error).splitlines() or [type(error).__name__])[0])
        raise InputError(
            f"a storage is the URL of a database that opens, such as sqlite:///study.db; {shown_url(url)!r}: {reason}"
        ) from error


def parsed_url(url: str) -> URL:
    """The parts of a database URL.

    Raises:
        InputError: it is none.
    """
    rule = "a storage is the URL of a database, such as sqlite:///study.db"
    try:
        parsed = make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise InputError(f"{rule}; got {shown_url(url)!r}") from error
    except ValueError as error:
        raise InputError(
            f"the port in a database's URL must be {PORTS}, and in {shown_url(url)!r} it is none"
        ) from error
    if "@" in (parsed.host or ""):
        raise InputError(f"{rule}, in which a password's @ is written %40; got {shown_url(url)!r}")
    if parsed.port is not None:
        PORTS.check("the port in a database's URL", parsed.port)
    return parsed


def written(url: str) -> str:
    """The URL with all that is special in it written as %-codes, its password too: for programs, never to be shown."""
    return parsed_url(url).render_as_string(hide_password=False)


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever signs its path holds; `file_of` takes it back."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def file_of(url: str) -> Path | None:
    """The SQLite file that a URL names; None where it names a server.

    Raises:
        InputError: it is no URL, or of a database in memory, which nobody could read afterwards.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    path, is_uri = parsed.database or "", parsed.query.get("uri", "") in ("true", "1", "yes", "on")
    if is_uri and path.startswith("file:"):
        path = unquote(urlsplit(path).path)
    if path.removeprefix("file:") in ("", ":memory:") or parsed.query.get("mode") == "memory":
        raise InputError(
            f"a storage is kept, and {shown_url(url)!r} is in memory, gone with its process: name a file, as "
            "sqlite:///study.db does"
        )
    return Path(path)
