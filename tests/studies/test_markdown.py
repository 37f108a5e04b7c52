"""A text in Markdown is read as it is: rendered by another program, it is one paragraph of that text and no more."""

import pytest

from studies.markdown import code_in_markdown, in_markdown

PLAIN = ("v2-1.0x", "weight_decay 0.0001", "RuntimeError: no room", "-0.5", "vgg-like@38mflops", "cat (grey)", "é 研究")


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_markup_stays_as_it_is(text: str) -> None:
    assert in_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\n\n# Heading", "cat \\# Heading"),
        ("[x](y)", "\\[x\\](y)"),
        ("![x](y.png)", "!\\[x\\](y.png)"),
        ("<img src=x>", "\\<img src=x>"),
        ("&lt;", "\\&lt;"),
        ("**a** _b_ `c` ~~d~~", "\\*\\*a\\*\\* \\_b\\_ \\`c\\` \\~\\~d\\~\\~"),
        ("a|b", "a\\|b"),
        ("a\\b", "a\\\\b"),
        ("- a", "\\- a"),
        ("12. a", "12\\. a"),
        ("> a", "\\> a"),
        ("---", "\\---"),
        ("$x$", "\\$x\\$"),
        ("\x1b[31m \u202ea\0", "\\[31m a"),
    ],
)
def test_what_would_be_markup_is_escaped(text: str, shown: str) -> None:
    assert in_markdown(text) == shown


@pytest.mark.parametrize("text", ["https://e.example", "see www.e.example", "a@e.example", "@team", "[x](ftp://e)"])
def test_what_readers_make_links_of_is_code(text: str) -> None:
    assert in_markdown(text) == f"`{text}`"


@pytest.mark.parametrize(
    ("text", "shown"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a\nb", "`a b`"), ("", "` `")]
)
def test_code_ends_where_the_text_ends(text: str, shown: str) -> None:
    assert code_in_markdown(text).replace("  ", " ") == shown
