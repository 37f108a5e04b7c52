"""The report's section of a search for int8: what is lost and gained by it, and what is not known."""

import re
from dataclasses import replace
from pathlib import Path

from builders.fronts import FRONT, REFERENCES
from builders.pages import visible, written
from builders.sections import content_of

from studies.facts import LatencyFacts, QuantisedFacts
from studies.finalists import Finalist
from studies.record import Record
from studies.report.study.finalists_section import finalists_section
from studies.report.study.int8_section import HEADING, int8_section

NETWORK, OTHER = (replace(each, latency=each.latency.changed(precision="int8")) for each in FRONT[:2])
REFERENCE = replace(REFERENCES[0], latency=REFERENCES[0].latency.changed(precision="int8"))
FACTS = {"images": 2000, "lost": 80, "gained": 20, "calibration_images": 256, "runtime_version": "1.32"}


def finalist(record: Record) -> Finalist:
    """Trained once, 83 % in fp32 and 80 % in int8."""
    return Finalist(
        record, {8: 0.80}, record.latency, fp32={8: 0.83}, int8={8: QuantisedFacts({**FACTS, "accuracy": 0.80})}
    )


def rows_of(page: str) -> dict[str, list[str]]:
    """The cells of each row of a table, by the first of them."""
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr class.*?</tr>", page, re.DOTALL)]
    plain = [[re.sub("<.*?>", "", cell).strip() for cell in row] for row in rows]
    return {row[0]: row[1:] for row in plain if row}


def test_each_network_has_its_speed_and_its_loss_as_far_as_they_are_known() -> None:
    fp32 = {NETWORK.architecture.key(): LatencyFacts({"latency_ms": 1.5, "spread": 0.01, "noisy": False})}
    content = content_of(int8_section([NETWORK, OTHER], [REFERENCE], [finalist(NETWORK)], fp32))
    rows = rows_of(content)
    # 1 ms in int8; the variance of 100 differences among 2,000 images is 100/2000 - (60/2000)^2.
    assert rows[NETWORK.name] == [
        *("1.00 ±1.0 %", "1.50 ±0.5 %", "1.50", "80.0", "83.0", "3.0 ±0.5", "loses much in int8"),
    ]
    unknown = ["not timed", "not timed", *3 * ["not trained"], ""]
    assert rows[OTHER.name][1:] == rows["v2-0.5x"][1:] == unknown
    assert "Int8 is faster than fp32 here" in content
    assert "Accuracies are those of the finalists" in content


def test_without_finalists_it_says_that_nothing_is_known_of_accuracy() -> None:
    content = content_of(int8_section([NETWORK], [], [], {}))
    assert "Whether int8 is faster than fp32 here is not known" in content
    assert "no accuracy in int8 is known" in content


def test_a_search_for_fp32_has_no_such_section(tmp_path: Path) -> None:
    assert int8_section(FRONT, REFERENCES, [], {}) is None
    assert HEADING not in visible(written(tmp_path))


def test_finalists_in_int8_have_both_accuracies_in_their_section() -> None:
    content = content_of(finalists_section([finalist(NETWORK)]))
    for text in ("int8 %", "fp32 %", "lost", "83.0", "3.0 ±0.5", "yes, loses much in int8", "accuracy in int8, %"):
        assert text in content
