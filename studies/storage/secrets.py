"""Text without passwords: URLs, command lines and whatever quotes them. Standard library only."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
"""What stands in a secret's place."""
_URL = re.compile(r"([A-Za-z][\w+.-]*)://(\S*)")
_WHOLE_URL = re.compile(r"([A-Za-z][\w+.-]*)://(.*)", re.DOTALL)
_USER = re.compile(r"([^:/@]*)(?::(.*))?@(.*)", re.DOTALL)
"""A user, a password that may hold anything, and what comes after its last @."""
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|credential|scram|odbc_connect|api.?key", re.IGNORECASE)
_SETTING = re.compile(r"(?i)(\w*(?:passw|pwd|secret|token)\w*\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)")
_PORT = re.compile(r"\d*($|[/?\s'\",;:.)\]<>])")
_QUERY = re.compile(r"[^=&]+=[^&]*(&[^=&]+=[^&]*)*")


def shown_url(url: str) -> str:
    """The URL as it may be printed: without its passwords, also where it is none that a database would take."""
    if match := _WHOLE_URL.fullmatch(url.strip()):
        return _hidden(match)[0]
    return _SETTING.sub(rf"\1{HIDDEN}", f"{HIDDEN}@{url.rpartition('@')[2]}" if "@" in url else url)


def without_secrets(text: str, secrets: Collection[str] = ()) -> str:
    """The text, its URLs and settings such as password=... without passwords, and without these secrets."""
    text = _SETTING.sub(rf"\1{HIDDEN}", _URL.sub(lambda match: _hidden(match)[0], text))
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def command_line(program: str, arguments: Sequence[str]) -> str:
    """The command line as it may be kept: of a URL no password, and of a flag for a password no value."""
    return shlex.join(["python", "-m", program, *_shown_arguments(arguments)])


def plain_without_secrets(value: Any) -> Any:
    """Plain JSON as it may be shown, of whoever kept it: `without_secrets` in all of its texts and command lines."""
    if isinstance(value, Mapping):
        return {name: plain_without_secrets(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_without_secrets(each) for each in value]
    return _line_without_secrets(value) if isinstance(value, str) else value


def secrets_in(texts: Iterable[str]) -> set[str]:
    """The passwords in these arguments and URLs, in each spelling that a message may quote them in."""
    texts = list(texts)
    found = {secret for text in texts if (match := _WHOLE_URL.search(text)) for secret in _hidden(match)[1]}
    found |= {value for flag, value in pairwise(texts) if _names_secret(flag)}
    return {
        spelling
        for secret in found
        for spelling in (secret, unquote(secret), unquote_plus(secret), quote(unquote(secret), safe=""))
        if spelling
    }


def _line_without_secrets(text: str) -> str:
    """A text that may be a command line, where a password may hold quotes and spaces."""
    if "://" not in text:
        return without_secrets(text)
    try:
        words = shlex.split(text)
    except ValueError:
        return without_secrets(text)
    if len(words) == 1:
        return shown_url(text)
    return shlex.join(_shown_arguments(words)) if shlex.join(words) == text else without_secrets(text)


def _shown_arguments(arguments: Sequence[str]) -> list[str]:
    shown_ones: list[str] = []
    for number, argument in enumerate(arguments):
        if number and _names_secret(arguments[number - 1]):
            shown_ones.append(HIDDEN)
        else:
            text = _WHOLE_URL.sub(lambda match: _hidden(match)[0], argument, count=1)
            shown_ones.append(_SETTING.sub(rf"\1{HIDDEN}", text))
    return shown_ones


def _names_secret(flag: str) -> bool:
    """Whether the next argument is a password."""
    return flag.startswith("--") and "=" not in flag and _SECRET_NAME.search(flag) is not None


def _hidden(match: re.Match[str]) -> tuple[str, list[str]]:
    """A URL without its secrets, and those secrets as they are written in it."""
    scheme, rest = match.groups()
    if scheme.lower().startswith("sqlite") and rest.startswith("/"):  # a path may hold any sign
        path, mark, query = rest.partition("?")
        text, secrets = _hidden_query(query)
        return f"{scheme}://{path}{mark}{text}", secrets
    user, place, secrets = _split(rest)
    before, mark, query = place.partition("?")
    text, more = _hidden_query(query)
    return f"{scheme}://{user}{before}{mark}{text}", [*secrets, *more]


def _split(rest: str) -> tuple[str, str, list[str]]:
    """The user as it may be shown with its @, what comes after it, and the password."""
    user, colon, others = rest.partition(":")
    password, at, place = others.partition("@")
    before, mark, query = place.partition("?")
    if colon and at and not set(user) & set("/@?") and "@" not in before and (not mark or _QUERY.fullmatch(query)):
        return f"{user}:{HIDDEN}@", place, [password]
    if match := _USER.fullmatch(rest):  # a password with an @, which should be written %40
        name, password, place = match.groups()
        if password is None:
            return f"{name}@", place, []
        return f"{name}:{HIDDEN}@", place, [password]
    if "@" in rest.partition("?")[0]:
        return f"{HIDDEN}@", rest.rpartition("@")[2], [rest.rpartition("@")[0]]
    if colon and not rest.startswith("[") and not _PORT.match(others):  # a password without a place behind it
        return f"{user}:{HIDDEN}", "", [others]
    return "", rest, []


def _hidden_query(query: str) -> tuple[str, list[str]]:
    parts, secrets = [], []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if equals and _SECRET_NAME.search(unquote_plus(name)):
            parts.append(f"{name}={HIDDEN}")
            secrets += [value, quote_plus(unquote_plus(value))]
        else:
            parts.append(part)
    return "&".join(parts), secrets
