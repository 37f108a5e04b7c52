"""Databases by URL: engines on them, and one line for what keeps one from opening. sqlalchemy only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy.engine import URL, Engine, make_url

from search_space.errors import InputError


def engine_of(url: str) -> Engine:
    """An engine on the database; on SQLite it waits for other processes' writes instead of failing.

    Raises:
        InputError: no database URL, or a database that cannot be opened.
    """
    is_sqlite = parsed_url(url).get_backend_name() == "sqlite"
    with told_in_one_line(url):
        engine = sqlalchemy.create_engine(
            url, connect_args={"timeout": 60} if is_sqlite else {}, pool_pre_ping=not is_sqlite
        )
        sqlalchemy.inspect(engine).get_table_names()  # SQLite opens any file: only reading shows what it is
    return engine


@contextmanager
def told_in_one_line(url: str) -> Iterator[None]:
    """Nothing; what goes wrong with the database inside is told as a mistake of whoever gave the URL.

    Raises:
        InputError: it cannot be opened, or its driver is not installed.
    """
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        shown = parsed_url(url).render_as_string(hide_password=True)
        raise InputError(
            f"a storage is the URL of a database that opens, such as sqlite:///study.db; {shown!r}: {reason}"
        ) from error


def parsed_url(url: str) -> URL:
    """The parts of a database URL.

    Raises:
        InputError: it is none.
    """
    try:
        return make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise InputError(f"a storage is the URL of a database, such as sqlite:///study.db; got {url!r}") from error
