"""Locks on files that end with the process that holds them, however that ends."""

from __future__ import annotations


def locks(descriptor: int) -> bool | None:
    """Whether the file is locked for this process now, and not for another; None where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows has none
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have none
        return None
    return True
