"""Sections of pages, as tests read them."""

from studies.report.page import Section


def content_of(section: Section | None) -> str:
    """What stands below the heading of a section that is there."""
    assert section is not None
    return section.content
