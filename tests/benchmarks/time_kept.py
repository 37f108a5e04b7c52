"""How much of its time a run uses, and whether it is ever silent: nas.run, watched from outside.

python tests/benchmarks/time_kept.py --time 9m --budget 140mflops [any other flag of nas.run]

Printed: the share of --time between the process's start and its end, the longest silence on stderr, the plan as it was
told, when each phase was over, and how many networks were searched, stand on the front, and were trained as finalists.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.cli.flags import duration
from nas.run.run import TIME_PLAN
from studies.storage.studies import FINALISTS, load_study, open_storage, records_of, references_of, study_names


@dataclass(frozen=True, slots=True)
class Watched:
    """A run as it was seen from outside: seconds from start to end, the longest silence, its lines on stderr."""

    seconds: float
    longest_silence: float
    lines: tuple[str, ...]
    status: int


def watch(flags: Sequence[str]) -> Watched:
    """What came of `nas.run` with these flags; its stderr goes through."""
    began = spoke = time.monotonic()
    silence, lines = 0.0, []
    line = [sys.executable, "-m", "nas.run", *flags]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for text in process.stderr:
            now = time.monotonic()
            silence, spoke = max(silence, now - spoke), now
            lines.append(text.rstrip("\n"))
            print(f"{now - began:7.1f} s  {lines[-1]}", file=sys.stderr, flush=True)
    ended = time.monotonic()
    return Watched(ended - began, max(silence, ended - spoke), tuple(lines), process.returncode)


def main() -> int:
    """The exit status of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", required=True, help="of the run, such as 9m")
    parser.add_argument("--out", default="runs/time-kept", help="the run's folder")
    own, others = parser.parse_known_args()
    seconds = duration(own.time)
    study = ["--study", "time-kept"]
    watched = watch(["--time", own.time, "--out", own.out, *study, *others])
    print(f"took {watched.seconds:.1f} s of {seconds:.0f} s: {100 * watched.seconds / seconds:.1f} %")
    print(f"longest silence on stderr: {watched.longest_silence:.1f} s")
    print(*(line for line in watched.lines if "plan of " in line), sep="\n")
    if watched.status == 0:
        _show(f"sqlite:///{Path(own.out) / 'study.db'}")
    return watched.status


def _show(url: str) -> None:
    """Prints what the run's study holds."""
    storage = open_storage(url, must_exist=True)
    study = load_study(storage, "time-kept")
    plan = study.user_attrs[TIME_PLAN]
    print("phases over after:", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in plan["ended"].items()))
    records = records_of(study)
    print(f"{len(records)} networks searched, {len(records_of(references_of(study, storage)))} references")
    print(f"{sum(record.is_timed_fully for record in records)} of them timed by the whole protocol")
    name = study.study_name + FINALISTS
    trained = len(load_study(storage, name).trials) if name in study_names(storage) else 0
    print(f"{trained} finalists")
    storage.engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
