"""What `python -m nas.export` does, once its flags are read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nas.cli.architectures import named_architectures
from nas.cli.command import check_folder, make_folder
from nas.cli.flags import data_at
from nas.cli.folders import FRONT, OwnFiles
from nas.cli.images import tell_of_images
from nas.cli.left_out import tell_left_out
from nas.cli.storage import storage_of
from nas.export.finalists import TrainedAnew, trained_anew
from nas.search.outputs import (
    files_of,
    finalists_in,
    findings_of,
    name_of,
    summary_lines,
    write_architectures,
    write_front,
)
from proxies.data.names import EMBEDDED, check_images
from proxies.export import DYNAMIC, FORMATS, check_formats, check_options
from search_space.architecture import Architecture
from search_space.budget import Budget
from search_space.errors import InputError
from search_space.files import file_name, write_json
from studies.display import render_table
from studies.front import pick
from studies.record import Record
from studies.storage.studies import finalists_of, flaws_of, load_study, open_to_read, references_of

WEIGHTS = ".safetensors"
OWNER = "nas.export"
"""Whose the files of networks are."""

Named = Sequence[tuple[str, Architecture | None]]
"""Names with their architectures; of a file of weights, its path with None."""


def export(flags: argparse.Namespace) -> int:
    """The exit status of an export with these flags."""
    formats = check_formats(flags.format)
    batch, limit_ms = None if flags.batch == DYNAMIC else flags.batch, _limit_ms(flags.max_latency)
    check_options(flags.format, batch, flags.opset)
    if flags.data:
        check_images(flags.data)
    check_folder(flags.out)
    finalists: Mapping[str, TrainedAnew] = {}
    if flags.networks:
        if flags.study or flags.storage or flags.pick or flags.max_latency:
            raise InputError("networks come from files and presets or from a study, and both were named: leave one out")
        named = _named(flags.networks)
    else:
        chosen, finalists = _from_study(flags, limit_ms, formats)
        named = [(record.name, record.architecture) for record in chosen]
    if formats != ["json"] or any(architecture is None for _, architecture in named):
        _check_weights(named, formats, flags)
        for path in _written(named, formats, flags, batch, finalists):
            print(f"wrote {path}", flush=True)
    elif flags.networks:
        for path in _written_as_json(flags, named):
            print(f"wrote {path}")
    return 0


def _named(texts: Sequence[str]) -> Named:
    """The files of weights and the architectures that the texts name.

    Raises:
        InputError: one names neither, or two architectures have the same name.
    """
    found = iter(named_architectures([text for text in texts if not text.endswith(WEIGHTS)]))
    return [(text, None) if text.endswith(WEIGHTS) else next(found) for text in texts]


def _written_as_json(flags: argparse.Namespace, named: Named) -> Iterator[Path]:
    """The JSON files written, one a preset.

    Raises:
        InputError: a JSON file came, of which there is nothing to make.
    """
    for text in flags.networks:
        if Path(text).is_file():
            formats = ", ".join(list(FORMATS)[1:4])
            raise InputError(f"{text!r} is an architecture's JSON already: give --format, such as {formats}")
    own = OwnFiles(flags.out, OWNER)
    own.check(*(f"{file_name(name)}.json" for name, _ in named))
    make_folder(flags.out)
    own.take(*(f"{file_name(name)}.json" for name, _ in named))
    for name, architecture in named:
        assert architecture is not None
        yield write_json(flags.out / f"{file_name(name)}.json", architecture.to_dict())


def _from_study(
    flags: argparse.Namespace, limit_ms: float | None, formats: Sequence[str]
) -> tuple[list[Record], Mapping[str, TrainedAnew]]:
    """The records of the study's front to export, printed as a table, and what is known of its finalists by their keys.

    JSON is written here if it is all.
    """
    storage = open_to_read(storage_of(flags))
    study = load_study(storage, flags.study)
    findings = findings_of(study, references_of(study, storage))
    tell_left_out("trials and latencies of the study", flaws_of(study, references_of(study, storage)))
    if not findings.front:
        raise InputError(f"the study {findings.name!r} holds no evaluated architecture to export: run it with --resume")
    if flags.pick is not None:
        chosen = [pick(findings.front, flags.pick, limit_ms)]
    else:
        fastest = pick(findings.front, "fastest", limit_ms)
        chosen = [fastest, *(r for r in findings.front[1:] if limit_ms is None or r.latency_ms <= limit_ms)]
    finalists = finalists_in(finalists_of(study, storage))
    anew = trained_anew(study.study_name, finalists_of(study, storage))
    of_networks = [name_of(record) for record in chosen] if formats == ["json"] else []
    of_study = [FRONT] if flags.pick is None and limit_ms is None else []
    own, front = OwnFiles(flags.out, OWNER), files_of(study, flags.out)
    own.check(*of_networks)
    front.check(*of_study)
    make_folder(flags.out)
    own.take(*of_networks)
    front.take(*of_study)
    written = write_architectures(chosen, flags.out) if formats == ["json"] else []
    if of_study:
        written.append(write_front(findings, flags.out / FRONT, finalists))
    print(render_table(chosen, findings.references, findings.scale, findings.memory))
    known = (anew[key].line(record.name) for record in chosen if (key := record.architecture.key()) in anew)
    for line in (*summary_lines(findings), *known, *(f"wrote {path}" for path in written)):
        print(line)
    return chosen, anew


def _check_weights(named: Named, formats: Sequence[str], flags: argparse.Namespace) -> None:
    """Refuses formats that hold weights where there are none.

    Raises:
        InputError: weights are to be written that there are none of.
    """
    wanting = [name for name in formats if FORMATS[name].holds_weights]
    lacking = [name for name, architecture in named if architecture is not None]
    if wanting and lacking and not flags.untrained:
        raise InputError(
            f"{wanting[0]} holds weights, and of {lacking[0]} there are none: train it (python -m nas.train, of its "
            f"JSON file) and export the weights{WEIGHTS} that leaves, or give --untrained for a file to time"
        )


def _written(
    named: Named,
    formats: Sequence[str],
    flags: argparse.Namespace,
    batch: int | None,
    finalists: Mapping[str, TrainedAnew],
) -> Iterator[Path]:
    from nas.export.files import write_network
    from nas.export.networks import of_trained, trained, untrained
    from proxies.export.network import Options

    place = data_at(flags, EMBEDDED)
    found = [(name, architecture, None if architecture else trained(Path(name))) for name, architecture in named]
    names = [one.name if one else name for name, _, one in found]
    _check_names(names)
    own, files = OwnFiles(flags.out, OWNER), [file for name in names for file in _file_names(name, formats)]
    own.check(*files)
    make_folder(flags.out)
    own.take(*files)
    printed: tuple[str, ...] = ()
    for name, architecture, one in found:
        if one is not None:
            exported = of_trained(one, formats, flags.data, place)
        else:
            assert architecture is not None
            exported = untrained(name, architecture, flags.resolution, flags.classes, flags.data, place)
            exported = replace(exported, finalist=finalists.get(architecture.key()))
        if exported.data.notes != printed:
            printed = exported.data.notes
            tell_of_images(printed)
        options = Options(batch, flags.opset)
        yield from write_network(exported, formats, flags.out, options, is_timed=flags.latency)


def _check_names(names: Sequence[str]) -> None:
    """Refuses networks of one name, whose files would take each other's place."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"networks must have a name each, and two are called {twice!r}: export them to an --out each")


def _file_names(name: str, formats: Sequence[str]) -> Iterator[str]:
    """What a network's files may be called, with weights or without."""
    for stem in map(file_name, (name, f"{name}.untrained")):
        yield from (f"{stem}{FORMATS[one].suffix}" for one in formats)
        yield from (f"{stem}.card.md", f"{stem}.card.json")


def _limit_ms(text: str | None) -> float | None:
    if text is None:
        return None
    budget = Budget.parse(text)
    if budget != Budget(latency_ms=budget.latency_ms) or budget.latency_ms is None:
        raise InputError(f"--max-latency must be a time, such as 5ms; got {text!r}")
    return budget.latency_ms
