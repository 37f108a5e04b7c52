"""Workers that answer at once, in this process, and what they answer."""

from collections.abc import Callable
from typing import Any

from search_space import Architecture, cost_of
from studies.calibration.scores import AT_INITIALISATION


def made_up(architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
    """An answer such as a worker's, the better the dearer the network is."""
    if "epochs" not in method:
        each = {name: float(number) for number, name in enumerate(AT_INITIALISATION)}
        return {"scores": each, "score_seconds": each, "seconds": 0.5}
    quality = cost_of(architecture).macs / 1e8 + 0.001 * (int(architecture.key()[:4], 16) % 7 + seed)
    return {
        "training_losses": [1.0 - quality] * method["epochs"],
        "validation_losses": [1.0 - quality],
        "validation_accuracies": [quality],
        "num_classes": 2,
        "seconds": 2.0,
    }


def interrupted(answer: Callable[..., Any], call: int, asked: list[Any]) -> Callable[..., Any]:
    """Such answers, but Ctrl-C in place of one of them; what is asked is entered."""

    def answered(*question: Any) -> Any:
        asked.append(question)
        if len(asked) == call:
            raise KeyboardInterrupt
        return answer(*question)

    return answered


class FakeWorker:
    """Answers in this process."""

    def __init__(self, methods: dict[str, Callable[..., Any]]) -> None:
        self._methods = methods

    def call(self, method: str) -> Any:
        return self._methods[method]()

    def send(self, method: str, *arguments: Any) -> None:
        self._asked = self._methods[method], arguments

    def receive(self) -> Any:
        method, arguments = self._asked
        return method(*arguments)


class FakeWorkers:
    """As many workers as wanted, one of which at a time is ready."""

    def __init__(
        self,
        answer: Callable[..., Any],
        count: int = 1,
        *,
        measure: Callable[..., Any] | None = None,
        fingerprint: str = "made up",
        **others: Callable[..., Any],
    ) -> None:
        methods = {"answer": answer, "data_fingerprint": lambda: fingerprint, "made_by": lambda: {"host": "here"}}
        methods |= {"measure": measure or answer, "data_notes": tuple, **others}
        self.all = [FakeWorker(methods) for _ in range(count)]

    def __enter__(self) -> "FakeWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def ready(self, busy: list[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        return busy[:1]

    def replace_dead(self, busy: object) -> None:
        pass
