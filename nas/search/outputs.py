"""The files that a run leaves: the front as JSON, the report, one JSON per architecture of the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.study import Study
from sqlalchemy.engine import Engine

from nas.cli.folders import FRONT, REPORT, OwnFiles, owner_of
from search_space.cost import Cost, cost_of
from search_space.files import file_name, write_json
from search_space.precision import FLASH_IS, INT8, RAM_IS
from search_space.task import Task
from studies.accuracy_scale import ACCURACY, PERCENT, AccuracyScale
from studies.display import MemoryColumns, holds_at
from studies.finalists import Finalist, finalists_from, to_dicts
from studies.front import front_of, nearest_reference
from studies.latency.int8_speed import Fp32
from studies.ledger.latencies import Ledger
from studies.record import Record
from studies.report.study.common_choices import Importances, importances_of
from studies.report.study.growth import minutes_of
from studies.report.study.study_report import write_report
from studies.storage.secrets import plain_without_secrets
from studies.storage.studies import SETTINGS, STUDY_ID, failures_of, records_of

PROVENANCE = "provenance"
FRONT_SCHEMA = 1
FLOAT32 = "float32"
"""What a latency calls fp32."""
FLOP = "1 FLOP = 1 multiply-add of convolution and linear layers"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a study holds, read once: its front, its records, its references, and how they came about and are shown."""

    name: str
    front: list[Record]
    records: list[Record]
    references: list[Record]
    failures: list[tuple[int, str]]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    scale: AccuracyScale = PERCENT

    @property
    def memory(self) -> MemoryColumns | None:
        """The columns of memory, where the budget bounds it."""
        return MemoryColumns.of_settings(self.settings)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the report says beyond the findings: `minutes` searched by trial, importances of choices, finalists.

    `fp32` are latencies in fp32 of networks that were searched for int8.
    """

    minutes: Mapping[int, float] = field(default_factory=dict)
    importances: Importances | None = None
    finalists: Sequence[Finalist] = ()
    fp32: Fp32 = field(default_factory=dict)


def findings_of(study: Study, references: Study) -> Findings:
    """The findings of a study and the study of its references."""
    records, beside = records_of(study), records_of(references)
    return Findings(
        name=study.study_name,
        front=front_of(records),
        records=records,
        references=beside,
        failures=failures_of(study),
        settings=study.user_attrs.get(SETTINGS, {}),
        provenance=plain_without_secrets(study.user_attrs.get(PROVENANCE, {})),
        scale=AccuracyScale.of_study(study.user_attrs, records, beside),
    )


def summary_lines(findings: Findings) -> list[str]:
    """What the numbers of a table of the findings are those of, as far as the study says it, a line each."""
    settings, accuracy = findings.settings, findings.provenance.get(ACCURACY)
    lines = [f"accuracy: {accuracy}"] if accuracy else []
    if {"resolution", "classes"} <= settings.keys():
        task = Task(settings["resolution"], settings["classes"])
        lines.insert(0, f"FLOPs, parameters and latency: at {holds_at(task, findings.records)}")
        lines += _memory_lines(findings)
    return lines


def _memory_lines(findings: Findings) -> list[str]:
    """What RAM and flash are, where the budget bounds them."""
    return [f"{RAM_IS}; {FLASH_IS}"] if findings.memory and findings.front else []


def _cost(record: Record, findings: Findings) -> Cost:
    return cost_of(record.architecture, findings.settings["resolution"], findings.settings["classes"])


def analysis_of(study: Study, finalists: Study | None, engine: Engine) -> Analysis:
    """The analysis of a study, and of the study of its finalists where there is one; takes seconds.

    `engine` is that of the ledger in the study's own database.
    """
    return Analysis(minutes_of(study), importances_of(study), finalists_in(finalists), fp32_beside(study, engine))


def finalists_in(study: Study | None) -> list[Finalist]:
    """The finalists that a study of them holds; none where there is no such study."""
    return finalists_from(study.get_trials(deepcopy=False)) if study else []


def fp32_beside(study: Study, engine: Engine) -> Fp32:
    """The networks that the study's own runs have timed in fp32 beside int8, by key; the newest of each."""
    if study.user_attrs.get(SETTINGS, {}).get("precision") != INT8:
        return {}
    measured = Ledger(engine, to_read=True).measurements(study=study.study_name, precision=FLOAT32)
    return {each.network: each.latency for each in measured}


def write_front(findings: Findings, path: Path, finalists: Sequence[Finalist] = ()) -> Path:
    """`path`, which now holds the front, the references and all that a reader needs to judge them.

    Memory stands at both precisions where the settings say the task.
    Finalists stand beside where there are some, those in int8 with their accuracies in fp32.
    """
    scale = findings.scale
    front = []
    for record in findings.front:
        nearest = nearest_reference(record, findings.references)
        front.append({**_row(record, findings), "nearest_reference": nearest.name if nearest else None})
    content = {
        "schema": FRONT_SCHEMA,
        "study": findings.name,
        "flop": FLOP,
        "settings": dict(findings.settings),
        "provenance": dict(findings.provenance),
        "trials": len(findings.records),
        "failures": [{"number": number, "cause": cause} for number, cause in findings.failures],
        "accuracy_is_level_known": scale.is_level_known,
        "front": front,
        "references": [_row(record, findings) for record in findings.references],
        **({"finalists": to_dicts(finalists)} if finalists else {}),
    }
    return write_json(path, content)


def _row(record: Record, findings: Findings) -> dict[str, Any]:
    is_known = {"resolution", "classes"} <= findings.settings.keys()
    memory = {"memory": _cost(record, findings).memory} if is_known else {}
    return {**record.to_dict(), "accuracy_error": findings.scale.error_of(record), **memory}


def files_of(study: Study, out: Path) -> OwnFiles:
    """The study's files in the folder `out`."""
    return OwnFiles(out, owner_of(study.study_name), str(study.user_attrs.get(STUDY_ID, "")))


def write_architectures(records: Sequence[Record], folder: Path) -> list[Path]:
    """The files written to `folder`, one a record."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_json(folder / name_of(record), record.architecture.to_dict()) for record in records]


def name_of(record: Record) -> str:
    """The name of the file of the record's architecture."""
    return f"{file_name(record.name)}.json"


def write_all(findings: Findings, analysis: Analysis, own: OwnFiles) -> list[Path]:
    """The paths of all that is written to the owner's folder; files of its networks that left the front are removed.

    A file of somebody else's that is called as a network stays.

    Raises:
        InputError: the front or the report there is another's.
    """
    out = own.folder
    own.take(FRONT, REPORT)
    front = write_front(findings, out / FRONT, analysis.finalists)
    report = write_findings(findings, analysis, out / REPORT)
    records = {f"front/{name_of(record)}": record for record in findings.front}
    current = own.free(records)
    own.take(*current)
    write_architectures([records[name] for name in current], out / "front")
    own.remove_others_than(current, below="front")
    return [front, report, out / "front"]


def write_findings(findings: Findings, analysis: Analysis, path: Path) -> Path:
    """`path`, which is the report of the findings now."""
    return write_report(
        path,
        front=findings.front,
        references=findings.references,
        records=findings.records,
        settings=findings.settings,
        provenance=findings.provenance,
        title=findings.name,
        minutes=analysis.minutes,
        importances=analysis.importances,
        finalists=analysis.finalists,
        fp32=analysis.fp32,
        scale=findings.scale,
    )
