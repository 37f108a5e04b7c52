"""What an error of a database or a file system means: it is away and may come back, or it is full."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

from studies.storage.secrets import without_secrets

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
"""SQLite's own word for a full disk; a quota and a limit on the file's size show as writes that fail."""
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DISK_FULL = "53100"
_LASTING = ("28", "3D", "42", "22", "23")
"""How PostgreSQL's codes begin of what waiting does not mend: no right, no such database, a wrong statement."""


def is_full(error: BaseException) -> bool:
    """Whether what went wrong is that there is no room left to write to."""
    for each in _causes(error):
        if isinstance(each, OSError) and each.errno in _NO_ROOM:
            return True
        if isinstance(each, sqlite3.Error) and _sqlite_code(each) in _SQLITE_FULL:
            return True
        if _state(each) == _DISK_FULL:
            return True
    return False


def is_away(error: BaseException) -> bool:
    """Whether the database did not answer, or was busy: the same step may succeed later."""
    return not is_full(error) and any(map(_is_away, _causes(error)))


def reason_of(error: BaseException) -> str:
    """What the driver or the system said, in one line."""
    causes = list(_causes(error))
    said = next((each for each in causes if isinstance(each, DBAPIError) and each.orig), None)
    text = str(said.orig if said is not None else causes[-1])
    return without_secrets((text.splitlines() or [type(error).__name__])[0].strip())


def _is_away(error: BaseException) -> bool:
    if isinstance(error, PendingRollbackError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) & 0xFF in _SQLITE_BUSY
    if error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError) and not _state(error.orig).startswith(_LASTING)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, down to the first."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        if isinstance(each, DBAPIError) and each.orig is not None:
            yield each.orig
        each = each.__cause__ or each.__context__


def _sqlite_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) or 0


def _state(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")
