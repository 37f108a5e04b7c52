"""Workers as Ray actors: a cluster's CPUs and GPUs evaluate, and this process alone asks and tells.

The project must be installed on every node, in the same version; the settings are sent there, and so is a database URL
that they hold.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import ray
from ray.exceptions import RayActorError, RayError

from nas.workers.local import EVALUATOR
from nas.workers.protocol import Failure, Worker, Workers
from nas.workers.ray_actor import EvaluatorActor
from search_space.errors import InputError
from search_space.scratch import Scratch, is_owner

GPUS_EACH = 1
JOIN_SECONDS = 20.0
"""How long actors may be on their way before a line says what they wait for."""
ROOM_SECONDS = 600.0
"""How long not even one may find room: a cluster that grows on demand takes minutes."""
POLL_SECONDS = 0.5
ANSWER_SECONDS = 5.0
LEAVE_SECONDS = 2.0
LONGEST_CAUSE = 300
LONGEST_PLACE = 12


class RayWorker(Worker):
    """An actor with an evaluator, on whatever node has room; one call at a time."""

    def __init__(self, evaluator: str, settings: Any, resources: dict[str, int]) -> None:
        # Not restarted by Ray, which would run its call again: that is for the coordinator to decide.
        options = {"num_cpus": resources["CPU"], "num_gpus": resources["GPU"], "max_restarts": 0}
        actor = ray.remote(EvaluatorActor).options(**options, scheduling_strategy="SPREAD")
        self._actor = actor.remote(settings, evaluator)
        self.sign = self._ask_for_a_sign()
        self.result: Any = None
        self._is_dead = False

    def send(self, method: str, *arguments: Any) -> None:
        """Starts a call whose result `receive` gives; a worker that has died shows there."""
        self.result = self._actor.answer.remote(method, arguments)

    def receive(self) -> Any:
        """The result of the call, or a `Failure`; a worker that died is one."""
        result, self.result = self.result, None
        try:
            return ray.get(result)
        except RayError as error:
            self._is_dead = self._is_dead or isinstance(error, RayActorError)
            return Failure(cause_of(error))

    @property
    def alive(self) -> bool:
        """Whether the last sign of life that was asked for came, or is still awaited; asks for the next one."""
        if not self._is_dead and ray.wait([self.sign], timeout=0)[0]:
            try:
                ray.get(self.sign)
                self.sign = self._ask_for_a_sign()
            except RayError:
                self._is_dead = True
        return not self._is_dead

    def stop(self) -> None:
        """Ends the actor, in the midst of a call if need be."""
        if self.result is None and self.alive:
            with suppress(RayError):
                ray.wait([self._actor.leave.remote()], timeout=LEAVE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends the actor at once, or its wait for room."""
        ray.kill(self._actor)

    def _ask_for_a_sign(self) -> Any:
        return self._actor.__ray_ready__.remote()


class RayWorkers(Workers):
    """Workers on a Ray cluster, a context that stops them.

    The cluster is the one at RAY_ADDRESS, or one started on this machine by `ray start`, else one of this machine's
    cores that ends with the context. Each worker takes a CPU, and a GPU if the settings' device is one. `all` are those
    that have found room: the others join when there is some, and a node that is lost takes its own out until then.

    Raises:
        InputError: no cluster answers, it has no room for a single worker, or a node lacks the project.
    """

    def __init__(self, settings: Any, evaluator: str = EVALUATOR) -> None:
        self._settings, self._evaluator = settings, evaluator
        self._resources = {"CPU": 1, "GPU": GPUS_EACH if settings.device == "cuda" else 0}
        self._is_announced = False
        self._since = time.monotonic()
        self.all: list[RayWorker] = []
        self._coming: list[RayWorker] = []
        self._connection = connect()
        try:
            self._coming = [self._start() for _ in range(settings.workers)]
            self._wait_for_room(all_of_them=True)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.all:
            worker.stop()
        for worker in self._coming:
            worker.kill()
        self._connection.close()
        self.all, self._coming = [], []

    def ready(self, busy: Collection[Worker], timeout_seconds: float) -> list[RayWorker]:
        """Those of `busy` whose result can be received, after waiting for one for at most the timeout."""
        if not busy:
            time.sleep(timeout_seconds)
            return []
        workers = {worker.result: worker for worker in self.all if worker in busy}
        ray.wait(list(workers), timeout=timeout_seconds)
        return [workers[each] for each in ray.wait(list(workers), num_returns=len(workers), timeout=0)[0]]

    def replace_dead(self, busy: Collection[Worker]) -> None:
        """Starts a new worker for each that died; one of `busy` shows that by its result first.

        New ones join `all` as they find room; where none is left, this waits for one.
        """
        for worker in [each for each in self.all if each not in busy and not each.alive]:
            self.all.remove(worker)
            worker.kill()  # one that only could not be reached must not keep its CPU
            self._expect(self._start())
        self._admit(0.0)
        self._wait_for_room()

    def _start(self) -> RayWorker:
        return RayWorker(self._evaluator, self._settings, self._resources)

    def _expect(self, worker: RayWorker) -> None:
        if not self._coming:
            self._since, self._is_announced = time.monotonic(), False
        self._coming.append(worker)

    def _wait_for_room(self, *, all_of_them: bool = False) -> None:
        """Waits for a worker; with `all_of_them` for all that come within `JOIN_SECONDS`."""
        while self._coming and (not self.all or (all_of_them and not self._is_announced)):
            waited = time.monotonic() - self._since
            if waited > ROOM_SECONDS:
                raise InputError(f"--engine ray needs room for one worker at least: {self._shortage()}")
            self._admit(POLL_SECONDS)

    def _admit(self, seconds: float) -> None:
        """Takes in those that have come up, after waiting for all of them for at most so long."""
        if not self._coming:
            return
        signs = [worker.sign for worker in self._coming]
        up = set(ray.wait(signs, num_returns=len(signs), timeout=seconds)[0])
        for worker in [each for each in self._coming if each.sign in up]:
            self._coming.remove(worker)
            try:
                ray.get(worker.sign)
                self.all.append(worker)
            except RayError as error:
                if getattr(error, "_actor_init_failed", False):
                    raise InputError(
                        "--engine ray needs this project on every node, in one version, and a worker could not be made "
                        f"({cause_of(error)}): install it there as it is here"
                    ) from error
                self._expect(self._start())  # its node was lost in the meantime
        if self._coming and not self._is_announced and time.monotonic() - self._since > JOIN_SECONDS:
            self._is_announced = True
            print(f"--engine ray: {self._shortage()}", file=sys.stderr)

    def _shortage(self) -> str:
        """What the workers take, and what the cluster has."""
        has, free = ray.cluster_resources(), ray.available_resources()
        each = " and ".join(f"{amount} {name}" for name, amount in self._resources.items() if amount)
        held = ", ".join(f"{has.get(name, 0):g} {name} ({free.get(name, 0):g} free)" for name in self._resources)
        nodes = sum(node["Alive"] for node in ray.nodes())
        return (
            f"{len(self.all)} of {len(self.all) + len(self._coming)} workers have found room; each takes {each}, and "
            f"the cluster has {held} on {nodes} node(s): lower --workers, or add nodes by `ray start --address`"
        )


def connect() -> ExitStack:
    """What ends the connection to a cluster that was made just now, and nothing that was there before.

    Raises:
        InputError: the cluster does not answer, or is of another version.
    """
    with ExitStack() as connection:
        if not ray.is_initialized():
            _connect(connection)
        return connection.pop_all()
    raise AssertionError("a stack of contexts swallows nothing")


def _connect(connection: ExitStack) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent home
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        address = address_to_trust()
        is_there = check_cluster_answers(address)
        # Where a cluster is started, its files lie where nobody else may enter, in a folder that Ray opens to all.
        place = {} if is_there else {"_temp_dir": f"{connection.enter_context(Scratch(_place_of_sockets()))}/ray"}
        connection.callback(ray.shutdown)
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level="ERROR", **place)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        where = os.environ.get("RAY_ADDRESS", "this machine's")
        raise InputError(
            f"--engine ray needs a cluster that answers; {where} does not ({cause_of(error)}): "
            "start one by `ray start --head`, or unset RAY_ADDRESS and `ray stop`"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would end this process without a word
    # Ray tells of each death on stdout too, which is for results; here it is a `Failure`.
    ray._private.worker._worker_logs_enabled = False


def address_to_trust() -> str | None:
    """What Ray is to connect to: None for what RAY_ADDRESS names, or what this user's or root's `ray start` has noted.

    The note lies where every user may put one, and who names the cluster has this user's settings, and runs its code.
    """
    note = Path(ray._private.utils.get_ray_address_file(None))
    if os.environ.get("RAY_ADDRESS") or not os.path.lexists(note):
        return None
    info = note.lstat()
    if stat.S_ISREG(info.st_mode) and (is_owner(info) or info.st_uid == 0):
        return None
    text = f"{note} is another user's, and not followed: set RAY_ADDRESS to use the cluster that it names"
    print(f"--engine ray: {text}", file=sys.stderr)
    return "local"


def check_cluster_answers(address: str | None) -> bool:
    """Whether there is a cluster at the address; refuses one that does not answer, which Ray would try for minutes.

    Raises:
        OSError: the cluster that Ray would connect to does not answer.
        ValueError: RAY_ADDRESS is no address.
    """
    found = ray._private.services.canonicalize_bootstrap_address(address)
    if found is None:  # a cluster is started here
        return False
    host, _, port = found.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    return True


def _place_of_sockets() -> Path | None:
    """Where a started cluster's folder lies: the names of sockets in it may have some hundred characters in all."""
    place = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    return Path(place if len(place) <= LONGEST_PLACE or os.name != "posix" else "/tmp")


def cause_of(error: BaseException) -> str:
    """What happened, in one line: Ray's own account without its advice."""
    lines = [re.sub(r"\x1b\[\d+m", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line.strip("^ ")]
    if getattr(error, "_actor_init_failed", False) or not isinstance(error, RayActorError):
        return lines[-1][:LONGEST_CAUSE]
    return lines[-1].partition(" Some common causes")[0][:LONGEST_CAUSE]
