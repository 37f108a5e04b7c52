"""What `python -m nas.run` does, once its flags are read."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.storages import RDBStorage
from optuna.study import Study

from nas.cli.command import check_folder, clock, make_folder
from nas.cli.folders import FRONT, REPORT, OwnFiles, owner_of
from nas.cli.heartbeat import doing
from nas.cli.images import tell_of_images
from nas.cli.left_out import tell_left_out
from nas.finalists.candidates import candidates_of
from nas.finalists.finish import FinishedRun, finish_run, seconds_needed
from nas.finalists.plan import FinalistsPlan
from nas.finalists.settings import FinalistsSettings
from nas.finalists.summary import finish_lines, plan_lines
from nas.run.bounds_table import bounds_text
from nas.run.own_space import OPEN, in_own_space, in_space_by_latency, is_chosen_by_latency, space_for
from nas.search.accuracy import Accuracy, accuracy_for, checked_accuracy
from nas.search.benchmark.run import run_on_table
from nas.search.ledger_lookup import LedgerLookup, SearchedOn
from nas.search.loop import Limits, Search, Spare
from nas.search.outputs import PROVENANCE, analysis_of, files_of, findings_of, summary_lines, write_all
from nas.search.progress import SearchProgress
from nas.search.provenance import provenance_of
from nas.search.references import ANCHOR_MS, references_for
from nas.search.retiming import Retiming, retime, seconds_of_retiming
from nas.search.settings import Settings
from nas.search.shufflenet_problem import ShuffleNets
from nas.search.time.plan import Needs, SearchTimer, TimeKeeper
from nas.workers.engines import workers_for
from nas.workers.protocol import Workers
from search_space.budget_range import check_reach
from search_space.errors import InputError
from search_space.precision import INT8
from search_space.presets import ANCHOR
from search_space.space import SearchSpace
from studies.accuracy_scale import ACCURACY
from studies.checked_facts import LEDGERED, checked_latency, flaw_of
from studies.display import render_table
from studies.latency.int8_speed import speed_line
from studies.latency.repeatability import reference_drift
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.record import Record
from studies.storage.coordinators import Coordinator
from studies.storage.database import engine_of
from studies.storage.healing import heal
from studies.storage.retry import Retry
from studies.storage.secrets import shown_url
from studies.storage.studies import (
    SETTINGS,
    check_storage,
    finalists_of,
    locked,
    open_storage,
    open_study,
    records_of,
    references_of,
    settled,
)

TIME_PLAN = "time_plan"
"""The study's attribute that keeps how its last run planned its time, and when each phase was over."""
ANCHOR_LATENCY = "anchor_latency"
"""The study's attribute that keeps all that is known of the anchor's latency."""
TIMING = f"timing {ANCHOR}, which all latencies are compared with"


def run(settings: Settings, began: float) -> int:
    """The exit status of a run with these settings, whose time began at `time.monotonic()` of `began`."""
    if settings.table is not None:
        return run_on_table(settings, settings.table)
    space = OPEN if settings.is_sized_by_latency else settings.space
    bounds = "\n".join(filter(None, [space, bounds_text(settings.budget, settings.choices, settings.task)]))
    try:
        check_reach(settings.budget, settings.choices, settings.task)
    except InputError:
        _say(bounds)
        raise
    if settings.budget.sizes_networks or settings.budget.latency_ms is None:
        space_for(settings, anchor_ms=0.0)
    check_folder(settings.out)
    OwnFiles(settings.out, owner_of(settings.study)).check(FRONT, REPORT)
    check_storage(settings.storage)
    _say(bounds)
    keeper = TimeKeeper(settings.seconds, began, _say, with_finalists=settings.finalists)
    with ExitStack() as held:
        at = held.enter_context(doing("reading the images", lambda: keeper.left("report")))
        _say(f"starting {settings.workers} workers; they read the images: {clock(keeper.left('report'))} left")
        with workers_for(settings.engine, settings.setup) as workers:
            data, made_by = workers.all[0].call("data_facts"), workers.all[0].call("made_by")
            tell_of_images(workers.all[0].call("data_notes"))
            make_folder(settings.out)
            held.enter_context(locked(settings.storage))
            storage = open_storage(settings.storage)
            settings = in_own_space(settings, storage)
            anchor = None
            if is_chosen_by_latency(settings, storage):
                at.now(TIMING)
                anchor = _timed_anchor(settings, workers)
                settings = in_space_by_latency(settings, float(anchor["p10_ms"]))
                _say(settings.space)
            study = open_study(storage, settings.study, _identity_of(settings, data), resume=settings.resume)
            if anchor is not None:
                _keep_anchor(study, anchor)
            own = files_of(study, settings.out)
            own.take(FRONT, REPORT)
            references = references_of(study, storage)
            _tell_of_flaws(settings, study, references)
            accuracy = accuracy_of(study, settings, data["fingerprint"])
            study.set_user_attr(PROVENANCE, {**provenance_of(settings, data, made_by), ACCURACY: accuracy.summary})
            at.now(TIMING)
            retiming = Retiming(settings, study, references, Ledger(engine_of(settings.storage)))
            searched = search_with(settings, study, references, workers, accuracy, made_by, keeper, retiming)
            lines = searched.lines
            if not searched.is_stopped:
                lines += _after_search(settings, study, storage, workers, keeper, retiming)
        study.set_user_attr(TIME_PLAN, keeper.to_dict())
        at.now("writing the report")
        findings = findings_of(study, references)
        analysis = analysis_of(study, finalists_of(study, storage), engine_of(settings.storage))
        written = write_all(findings, analysis, own)
        print(render_table(findings.front, findings.references, findings.scale, findings.memory))
        for line in filter(
            None,
            [
                *summary_lines(findings),
                speed_line([*findings.front, *findings.references], analysis.fp32),
                *lines,
                drift_line([*findings.records, *findings.references]),
            ],
        ):
            print(line)
        for path in written:
            print(f"wrote {path}")
        print(f"dashboard: python -m nas.dashboard {shlex.join(settings.study_flags)}")
        keeper.end("report")
        print(keeper.line())
    return 0


def _after_search(
    settings: Settings,
    study: Study,
    storage: RDBStorage,
    workers: Workers,
    keeper: TimeKeeper,
    retiming: Retiming,
) -> Iterator[str]:
    """What is printed of re-timing and finalists, once each is done in the time that the plan has for it."""
    try:
        yield from retime(retiming, workers, seconds=keeper.left("retiming"), report=_say)
    except KeyboardInterrupt:
        _say("stopped; what was timed again is kept")
        return
    keeper.end("retiming")
    if settings.finalists:
        yield from finish_lines(_finished(settings, study, storage, workers, keeper))
    keeper.end("finalists")


def _finished(
    settings: Settings, study: Study, storage: RDBStorage, workers: Workers, keeper: TimeKeeper
) -> FinishedRun | None:
    """What the finalists came to; None where there is nothing to choose among."""
    found = candidates_of(study, references_of(study, storage), settings)
    if found is None:
        return None

    def announce(own: FinalistsSettings, plan: FinalistsPlan) -> None:
        for line in plan_lines(own, plan, keeper.left("finalists")):
            _say(line)

    engine = engine_of(settings.storage)
    return finish_run(found, storage, engine, workers, lambda: keeper.left("finalists"), announce)


def _say(line: str) -> None:
    if line:
        print(line, file=sys.stderr, flush=True)


def _identity_of(settings: Settings, data: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings.identity(), "data_fingerprint": data["fingerprint"]}


def accuracy_of(study: Study, settings: Settings, fingerprint: str) -> Accuracy:
    """How the study's accuracies are had, fixed when it is first run: two fits' numbers cannot be compared."""
    kept = study.user_attrs.get(ACCURACY)
    if kept is not None and (flaw := flaw_of(partial(checked_accuracy, kept))):
        tell_left_out("prediction of accuracy, which is made anew", [flaw])
        study.set_user_attr(ACCURACY, accuracy_for(settings.setup, fingerprint).to_dict())
        kept = study.user_attrs[ACCURACY]
    return checked_accuracy(kept or settled(study, ACCURACY, accuracy_for(settings.setup, fingerprint).to_dict()))


def _tell_of_flaws(settings: Settings, study: Study, references: Study) -> None:
    """Takes out of the study what cannot be, and tells of it, and of what its ledger leaves out."""
    engine = engine_of(settings.storage)
    tell_left_out("trials and latencies of the study; those trials are failed now", [*heal(study), *heal(references)])
    tell_left_out("entries of the ledger", [*Ledger(engine).flaws(), *Evaluations(engine).flaws()])
    engine.dispose()


def drift_line(records: Sequence[Record]) -> str:
    """How far the machine itself wandered while the records were measured."""
    drift, hours = reference_drift([record.latency for record in records])
    return f"{ANCHOR}'s own time drifted by {100 * drift:.1f} % within {clock(3600 * hours)}; all are corrected for it"


@dataclass(frozen=True, slots=True)
class Searched:
    """What the ledger spared a search, in a line; whether Ctrl-C ended it; references that there was no time for."""

    saved: str
    is_stopped: bool
    left_out: Sequence[str] = ()

    @property
    def lines(self) -> list[str]:
        """The same in lines for the user; an empty one where there is nothing to say."""
        names = ", ".join(self.left_out)
        without = f"references without a place in their quarter of the time: {names}" if names else ""
        return [self.saved, without]


def search_with(
    settings: Settings,
    study: Study,
    references: Study,
    workers: Workers,
    accuracy: Accuracy,
    made_by: Mapping[str, Any],
    keeper: TimeKeeper,
    retiming: Retiming,
) -> Searched:
    """What came of searching until trials or the time that the plan has for it are used up, or Ctrl-C.

    Workers for which no evaluation would end in time begin with the re-timing.
    """
    anchor = anchor_of(settings, study, workers)
    anchor_ms = float(anchor["p10_ms"])
    space = space_for(settings, anchor_ms)
    where = SearchedOn(
        data=study.user_attrs[SETTINGS]["data_fingerprint"],
        device=settings.latency.remote or str(anchor["fingerprint"]),
        fingerprint=str(anchor["fingerprint"]),
        runtime_version=str(anchor["runtime_version"]),
        anchor_ms=anchor_ms,
        made_by=made_by,
    )
    engine = engine_of(settings.storage)
    lookup = LedgerLookup(settings, where, Ledger(engine), Evaluations(engine))
    problem = ShuffleNets(settings, space, references, anchor_ms, accuracy, lookup)
    with (
        SearchProgress(study, settings.trials, lambda: keeper.left("report"), problem.standing) as progress,
        Coordinator(study, references) as coordinator,
    ):
        progress.report(_headline(settings, space, anchor_ms))
        progress.report(f"accuracy: {accuracy.summary}")
        keeper.start()
        limits = Limits(settings.trials, keeper.left("search"))
        if others := coordinator.others():
            progress.report(f"joined the study: {others} other processes are on it")
        retry = Retry(settings.storage, progress.report)
        timer = SearchTimer(keeper, lambda: _needs(settings, study, references, keeper.most_for_finalists))
        spare = partial(_spare, retiming, keeper)
        search = Search(problem, study, references, limits, coordinator, retry, progress.report, timer, spare)
        try:
            with doing(search.running):
                left_out = search.run(workers, references_for(space.budget, space.task))
        except KeyboardInterrupt:
            progress.report("stopped; the same line with --resume goes on")
            return Searched(lookup.summary(), is_stopped=True)
    keeper.end("search")
    return Searched(lookup.summary(), is_stopped=False, left_out=left_out)


def _spare(retiming: Retiming, keeper: TimeKeeper) -> Spare | None:
    """The next network to be timed again, where there is time for that."""
    wanted = retiming.next(keeper.left("retiming"))
    if wanted is None:
        return None
    return Spare(wanted.text, retiming.begin(wanted), partial(retiming.end, wanted))


def _needs(settings: Settings, study: Study, references: Study, most_for_finalists: float) -> Needs:
    """What is known of what comes after the search, as the study stands."""
    again = seconds_of_retiming(settings, records_of(study), records_of(references))
    found = candidates_of(study, references, settings) if settings.finalists else None
    finalists = seconds_needed(found, most_for_finalists) if found else None
    return Needs(again or None, finalists)


def anchor_of(settings: Settings, study: Study, workers: Workers) -> dict[str, Any]:
    """The anchor's latency as the study was begun with: all of its latencies are scaled by it."""
    kept = study.user_attrs.get(ANCHOR_LATENCY)
    flaw = flaw_of(partial(_checked_anchor, kept)) if kept is not None else ""
    if kept is not None and not flaw:
        return dict(kept)
    if flaw:
        tell_left_out(f"latency of {ANCHOR}, which is restored", [flaw])
        anchor = _restored_anchor(records_of(study)) or _timed_anchor(settings, workers)
        study.set_user_attr(ANCHOR_LATENCY, anchor)
        study.set_user_attr(ANCHOR_MS, anchor["p10_ms"])
        return dict(anchor)
    return _keep_anchor(study, _timed_anchor(settings, workers))


def _timed_anchor(settings: Settings, workers: Workers) -> dict[str, Any]:
    if settings.latency.remote:
        print(f"waiting for device {settings.latency.remote!r}: {agent_line(settings)}", file=sys.stderr)
    return _checked_anchor(workers.all[0].call("anchor"))


def _keep_anchor(study: Study, anchor: Mapping[str, Any]) -> dict[str, Any]:
    """The anchor's latency that the study is begun with: this one, unless another process was faster."""
    kept = settled(study, ANCHOR_LATENCY, dict(anchor))
    settled(study, ANCHOR_MS, kept["p10_ms"])
    return dict(kept)


def _checked_anchor(latency: Any) -> dict[str, Any]:
    """The anchor's latency, which can be one.

    Raises:
        ImpossibleFacts: it cannot.
    """
    return dict(checked_latency(latency, ("p10_ms", *LEDGERED)).plain)


def _restored_anchor(records: Sequence[Record]) -> dict[str, Any] | None:
    """The anchor's latency as the study's own latencies were scaled by it; None where there are none."""
    for record in records:
        facts = record.latency.plain
        if facts.keys() >= {"reference_ms", *LEDGERED}:
            kept = {name: facts[name] for name in LEDGERED}
            return {**kept, **dict.fromkeys(("latency_ms", "p10_ms"), facts["reference_ms"])}
    return None


def agent_line(settings: Settings) -> str:
    """The command that starts the agent that a run waits for; a password in the URL is left out."""
    where = shlex.join(["--device", settings.latency.remote or "", "--storage", shown_url(settings.storage)])
    return f"python -m nas.latency agent {where}"


def _headline(settings: Settings, space: SearchSpace, anchor_ms: float) -> str:
    where = settings.latency.remote or f"this {settings.latency.device}"
    precision = f" in {INT8}" if settings.latency.precision == INT8 else ""
    at = space.task.described_for(space.choices)
    at += f" (references: {space.task.resolution} px)" if space.choices.resolutions else ""
    return (
        f"study {settings.study}: networks up to {space.budget} at {at} (1 FLOP = 1 multiply-add); "
        f"{ANCHOR} takes {anchor_ms:.3f} ms there{precision} in {settings.latency.runtime} on {where}; "
        f"accuracy from recipe {settings.recipe.name!r} on {settings.data.name}"
    )
