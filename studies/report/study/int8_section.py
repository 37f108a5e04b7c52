"""The report's section of a search for int8: speed and accuracy in 8 bits beside those in fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studies.display import in_int8, ms_text, spread_text
from studies.finalists import Finalist
from studies.int8_loss import MARK
from studies.latency.int8_speed import Fp32, speed_line, times_faster
from studies.record import Record
from studies.report.page import Cell, Section, section, table_html
from studies.report.study.cards import name_cell

HEADING = "int8 beside fp32"
NOT_TIMED, NOT_TRAINED = "not timed", "not trained"
OF_FINALISTS = (
    "Accuracies are those of the finalists, whose section says how they were had. In fp32 the front and the references "
    "nearest to it are timed, on the scale of the times in int8."
)
NONE_TRAINED = "No finalist was trained, so that no accuracy in int8 is known."
_NUMBERS = ("int8 ms", "fp32 ms", "times as fast", "int8 %", "fp32 %", "points lost")


def int8_section(
    front: Sequence[Record], references: Sequence[Record], finalists: Sequence[Finalist], fp32: Fp32
) -> Section | None:
    """The section; None where nothing was timed in int8. What is not known of a network is said to be so."""
    of_key = {each.record.architecture.key(): each for each in finalists}
    # A finalist's own latency is the better one.
    records = {record.architecture.key(): record for record in (*front, *references)}
    records |= {key: each.final for key, each in of_key.items()}
    shown = sorted(in_int8(list(records.values())), key=lambda record: record.latency_ms)
    if not shown:
        return None
    rows = [
        (
            "reference" if record.reference else "found",
            (name_cell(record, front), *_cells(record, of_key.get(record.architecture.key()), fp32)),
        )
        for record in shown
    ]
    line = speed_line(shown, fp32)
    return section(
        HEADING,
        f"{line[:1].upper()}{line[1:]}.",
        table=table_html(("name", *_NUMBERS, "note"), rows, _NUMBERS),
        note=OF_FINALISTS if any(each.loss for each in finalists) else NONE_TRAINED,
    )


def _cells(record: Record, finalist: Finalist | None, fp32: Fp32) -> Iterator[Cell]:
    other, ratio = fp32.get(record.architecture.key()), times_faster(record, fp32)
    yield f"{ms_text(record)} {spread_text(record)}"
    yield f"{other.latency_ms:#.3g} {other.spread_text}" if other else NOT_TIMED
    yield f"{ratio:.2f}" if ratio is not None else NOT_TIMED
    loss = finalist.loss if finalist else None
    yield f"{100 * finalist.accuracy:.1f}" if finalist and loss else NOT_TRAINED
    yield loss.fp32_text if loss else NOT_TRAINED
    yield loss.text if loss else NOT_TRAINED
    yield MARK if loss and loss.is_much else ""
