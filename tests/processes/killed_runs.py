"""Runs that are killed: at which moment, what they had completed, and what must be true at the end."""

import json
import os
import random
import signal
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from builders.places import WAIT_SECONDS
from optuna.trial import FrozenTrial, TrialState

from studies.storage.studies import open_storage
from studies.storage.trials import CAUSE, INTERRUPTED, REQUEUED_FROM

POLL_SECONDS = 0.02
COMPLETE = (
    "FROM trials JOIN studies USING (study_id) JOIN {} USING (trial_id) WHERE state = 'COMPLETE' AND study_name = 'one'"
)


def children_of(process: BaseProcess) -> list[int]:
    """Its workers, and what multiprocessing has of its own."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_made(url: str) -> bool:
    """Whether the study is there; asked without Optuna, which would make the tables while the run is just doing so."""
    if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).is_file():
        return False
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    if not sqlalchemy.inspect(engine).has_table("studies"):
        return False
    with engine.connect() as connection:
        return bool(connection.scalar(sqlalchemy.text("SELECT count(*) FROM studies WHERE study_name = 'one'")))


def trials_of(url: str) -> list[FrozenTrial]:
    if not is_made(url):
        return []
    storage = open_storage(url)
    try:
        return optuna.load_study(study_name="one", storage=storage).get_trials()
    finally:
        storage.engine.dispose()


def asked(url: str, query: str) -> list[Any]:
    """The rows that plain SQL gives; none where the study's tables are not made yet.

    A hundred times as fast as to read the study by Optuna, so that asking is no work beside the runs.
    """
    if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).is_file():
        return []
    # Made anew each time: an engine keeps the folder that a relative path was in when it was made.
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(query)))
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError) as error:
        if "no such table" in str(error) or "does not exist" in str(error):
            return []
        raise


def completed(url: str) -> dict[int, tuple[Any, ...]]:
    """The key and the values of each completed trial, by its number."""
    keys = asked(url, f"SELECT number, value_json {COMPLETE.format('trial_user_attributes')} AND key = 'key'")
    values: dict[int, list[float]] = {}
    for number, value in asked(url, f"SELECT number, value {COMPLETE.format('trial_values')} ORDER BY objective"):
        values.setdefault(number, []).append(value)
    return {number: (json.loads(key), tuple(values[number])) for number, key in keys if number in values}


def count_completed(url: str) -> int:
    """How many trials are complete."""
    return len(asked(url, f"SELECT number {COMPLETE.format('trial_values')} AND objective = 0"))


def wait_for_news(process: BaseProcess, url: str, known: int) -> None:
    """Returns once the run has completed a trial more than these, or ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while count_completed(url) <= known and process.is_alive():
        assert time.monotonic() < deadline, "the run does nothing"
        time.sleep(POLL_SECONDS)


def kill_at_random(process: BaseProcess, rng: random.Random, *, group: bool) -> bool:
    """Whether it or a child of its was there to be killed: a run may just have ended."""
    time.sleep(rng.uniform(0, 0.1))
    try:
        if group:
            os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            return True
        children = children_of(process)
        if children:
            os.kill(rng.choice(children), signal.SIGKILL)
        return bool(children)
    except ProcessLookupError:
        return False


def distinct(url: str) -> set[str]:
    """The networks of the completed trials, by key."""
    return {key for key, _ in completed(url).values()}


def check_end(url: str) -> None:
    trials = trials_of(url)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    requeued = [trial.system_attrs[REQUEUED_FROM] for trial in trials if REQUEUED_FROM in trial.system_attrs]
    interrupted = [trial.number for trial in trials if trial.user_attrs.get(CAUSE) == INTERRUPTED and trial.params]
    assert Counter(requeued) == Counter(interrupted), "each orphan with parameters waits in the queue once"
    evaluated = [trial for trial in trials if trial.state is TrialState.COMPLETE and "replayed" not in trial.user_attrs]
    keys = Counter(trial.user_attrs["key"] for trial in evaluated)
    assert max(keys.values()) == 1, "nothing is evaluated twice"
