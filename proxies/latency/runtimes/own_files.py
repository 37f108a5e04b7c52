"""Files that can run a program when they are read: only those that this user's own processes wrote are."""

from __future__ import annotations

from pathlib import Path

from proxies.latency.machine import user_id
from search_space.errors import InputError
from search_space.files import digest_of


def check_own_file(file: Path, sha256: str | None = None) -> None:
    """Refuses a file that somebody else wrote, or could have changed: one outside of a folder that is the user's alone.

    With a SHA-256, also one of another content than its writer reported.

    Raises:
        InputError: it is such a file.
    """
    user = user_id()
    if user is not None:
        whole = file.resolve(strict=True)
        private = (each.stat() for each in whole.parents)
        is_private = any(each.st_uid == user and not each.st_mode & 0o077 for each in private)
        if whole.stat().st_uid != user or not is_private:
            raise InputError(
                f"a network that torch reads must lie in a folder that nobody else may enter, and {str(file)!r} "
                "does not: chmod 700 the folder for temporary files, or name another one by TMPDIR"
            )
    if sha256 is not None and digest_of(file) != sha256:
        raise InputError(f"a network must be read as it was written, and {str(file)!r} has another content now")
