"""What callers know of workers, whatever runs them: one call at a time each, whose failures are values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from search_space.errors import InputError


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that gave no result: its cause, and whether that is a mistake of the user's."""

    cause: str
    is_input_error: bool = False


class Worker(Protocol):
    """Something with an evaluator that answers one call at a time."""

    @property
    def alive(self) -> bool:
        """Whether it can still answer."""

    def send(self, method: str, *arguments: Any) -> None:
        """Starts a call whose result `receive` gives; a worker that has died shows there."""

    def receive(self) -> Any:
        """The result of the call, or a `Failure`; a worker that died is one."""

    def stop(self) -> None:
        """Ends it, in the midst of a call if need be."""

    def call(self, method: str, *arguments: Any) -> Any:
        """The result of a call.

        Raises:
            InputError: a mistake of the user's showed.
            RuntimeError: the call failed.
        """
        self.send(method, *arguments)
        result = self.receive()
        if isinstance(result, Failure):
            raise (InputError if result.is_input_error else RuntimeError)(result.cause)
        return result


class Workers(Protocol):
    """Several workers; a context that stops them."""

    all: Sequence[Worker]

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def ready(self, busy: Collection[Worker], timeout_seconds: float) -> Sequence[Worker]:
        """Those of `busy` whose result can be received, after waiting for one for at most the timeout."""

    def replace_dead(self, busy: Collection[Worker]) -> None:
        """Starts a new worker for each that died; one of `busy` shows that by its result first."""
