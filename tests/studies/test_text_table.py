"""Tables as plain text: as wide as their cells, which are shown as they are."""

from studies.text_table import table_text


def test_numbers_stand_to_the_right_and_lines_have_no_spaces_at_their_ends() -> None:
    lines = table_text(("name", "ms", "note"), [("a", "10.5", ""), ("longer", "9", "x")], ("ms",)).splitlines()
    head, first, second = (line for line in lines if line.strip("\u2500 "))
    assert first.endswith("10.5")
    assert head.index("ms") + len("ms") == len(first) == second.index("9") + 1
    assert second.endswith("x")
    assert [line for line in lines if line.endswith(" ")] == []


def test_a_cell_is_shown_as_it_is_and_never_wraps() -> None:
    name = "[red]" + 500 * "x" + "[/red]"
    assert table_text(("name",), [(name,)]).splitlines()[-1].strip() == name
