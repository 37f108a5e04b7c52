"""What `python -m nas.ledger` does, once its flags are read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from nas.cli.command import check_folder, make_folder
from nas.cli.left_out import tell_left_out
from nas.cli.storage import storage_named, storage_of
from nas.ledger.files import check_file, write_entries
from search_space.errors import InputError
from search_space.precision import precision_named
from search_space.reading import shown
from search_space.task import DETECTION_BACKBONE
from studies.ledger.entries import Entries, Filters, Totals
from studies.ledger.entry import LATENCY, SCORES, Entry
from studies.storage.database import errors_in_one_line
from studies.storage.secrets import shown_url
from studies.storage.studies import ledger_to_read
from studies.text_table import table_text

COLUMNS = ("taken at, UTC", "kind", "network", "by", "data", "seed", "device", "result", "s")
NUMBERS = ("seed", "result", "s")
DIGITS = 8
"""So much of a fingerprint is shown; a filter takes as much."""


def run(flags: argparse.Namespace) -> int:
    """The exit status of the subcommand that the flags name."""
    command: Callable[[argparse.Namespace], int] = {"list": show, "export": export}[flags.subcommand]
    return command(flags)


def show(flags: argparse.Namespace) -> int:
    """The exit status of a listing with these flags."""
    filters = filters_of(flags)
    with _opened(flags) as (entries, shown_url):
        found = entries.survey(filters, flags.limit)
    newest, totals = found.newest, found.totals
    tell_left_out("entries", found.flaws)
    if not newest:
        print(_nothing(filters, shown_url))
        return 0
    print(render_entries(newest))
    if (more := totals.entries - len(newest)) > 0:
        print(f"{more} older {_plural(more, 'entry', 'entries')} not shown: --limit {totals.entries} shows all")
    print(summary_of(totals))
    return 0


def export(flags: argparse.Namespace) -> int:
    """The exit status of an export with these flags."""
    check_file(flags.file)
    check_folder(flags.file.parent)
    filters = filters_of(flags)
    with _opened(flags) as (entries, shown_url):
        make_folder(flags.file.parent)
        flaws: list[str] = []
        count = write_entries(entries.all(filters, flaws), flags.file)
    tell_left_out("entries", flaws)
    if not count:
        print(_nothing(filters, shown_url))
    print(f"wrote {flags.file}: {count} {_plural(count, 'row', 'rows')}")
    return 0


def filters_of(flags: argparse.Namespace) -> Filters:
    """The filters that the flags ask for.

    Raises:
        InputError: a time that is none, or filters that no entry can pass.
    """
    since = _moment("--since", flags.since, timedelta()) if flags.since else None
    until = _moment("--until", flags.until, timedelta(days=1)) if flags.until else None
    if since is not None and until is not None and since >= until:
        raise InputError(f"--since must lie before --until, got {flags.since} and {flags.until}: exchange them")
    names = ("kind", "network", "recipe", "data", "seed", "device", "runtime", "precision")
    study = flags.study if storage_named(flags) else None
    return Filters(**{name: getattr(flags, name) for name in names}, study=study, since_s=since, until_s=until)


def summary_of(totals: Totals) -> str:
    """The totals in a line; "1 training, 0 scorings at initialisation, 2 latencies: 95.0 s in sum"."""
    counted = ", ".join(
        f"{count:,} {_plural(count, *words)}"
        for count, words in (
            (totals.trainings, ("training", "trainings")),
            (totals.scores, ("scoring at initialisation", "scorings at initialisation")),
            (totals.latencies, ("latency", "latencies")),
        )
    )
    untimed = totals.entries - totals.timed
    lacking = f" of those that say; {untimed:,} {_plural(untimed, 'does', 'do')} not" if untimed else ""
    return f"{counted}: {totals.seconds:,.1f} s in sum{lacking}"


def _moment(flag: str, text: str, day: timedelta) -> float:
    """Seconds since 1970; of a date alone, its beginning and `day`."""
    try:
        moment = datetime.fromisoformat(text)
        moment += day if len(text) <= len("2026-11-01") else timedelta()
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:  # the day after the last of the year 9999
        rule = f"{flag} must be a day or a time, such as 2026-11-01 or 2026-11-01T09:30"
        raise InputError(f"{rule}; got {shown(text)}") from error


@contextmanager
def _opened(flags: argparse.Namespace) -> Iterator[tuple[Entries, str]]:
    """The entries of the storage that the flags name, and its URL as it may be shown."""
    url = storage_of(flags)
    engine = ledger_to_read(url)
    try:
        with errors_in_one_line(url):
            yield Entries(engine), shown_url(url)
    finally:
        engine.dispose()


def _nothing(filters: Filters, shown_url: str) -> str:
    if filters == Filters():
        return f"{shown_url} holds no training and no latency yet: nas.run and nas.calibrate enter them"
    return f"{shown_url} holds nothing that matches all filters: leave one out"


def render_entries(entries: Sequence[Entry]) -> str:
    """The entries as a table in plain text, a line each, as wide as it needs to be."""
    lines = table_text(COLUMNS, map(_cells, entries), NUMBERS).splitlines()
    return "\n".join(filter(None, lines))


def _cells(entry: Entry) -> tuple[str, ...]:
    moment = (entry.taken_at or "")[: len("2026-11-01T09:30")].replace("T", " ")
    by = f"{entry.runtime} {precision_named(entry.precision or '')}" if entry.kind == LATENCY else entry.recipe
    task = f", {entry.task}" if entry.task == DETECTION_BACKBONE else ""
    pixels = f", {entry.resolution_px} px" if entry.resolution_px else ""
    batch = f", batch {entry.batch_size}" if (entry.batch_size or 1) > 1 else ""
    device, fingerprint = entry.device, entry.device_fingerprint
    known = f" ({fingerprint[:DIGITS]})" if fingerprint and fingerprint != device else ""
    return (
        moment,
        entry.kind,
        entry.name or entry.network,
        f"{by}{task}{pixels}{batch}",
        (entry.data or "")[:DIGITS],
        "" if entry.seed is None else str(entry.seed),
        f"{device}{known}",
        _result(entry),
        "" if entry.seconds is None else f"{entry.seconds:.1f}",
    )


def _result(entry: Entry) -> str:
    if entry.kind == SCORES:
        count = len(json.loads(entry.result or "{}").get("scores", {}))
        return f"{count} {_plural(count, 'score', 'scores')}"
    if entry.latency_ms is not None:
        spread = f" ±{100 * entry.spread / 2:.1f} %" if entry.spread is not None else ""
        return f"{entry.latency_ms:.3f} ms{spread}{' noisy' if entry.noisy else ''}"
    of_int8 = entry.int8_validation_accuracy
    in_int8 = "" if of_int8 is None else f", {100 * of_int8:.2f} % in int8"
    return "" if entry.validation_accuracy is None else f"{100 * entry.validation_accuracy:.2f} %{in_int8}"


def _plural(count: int, one: str, several: str) -> str:
    return one if count == 1 else several
