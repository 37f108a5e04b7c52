"""Whom the dashboard answers: who reads, at an address of its own, from its own pages, with the password if any."""

from __future__ import annotations

import re
import socket
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

PASSWORD = "NAS_DASHBOARD_PASSWORD"
"""The environment variable that holds the password."""
READING = ("GET", "HEAD")
_OVERRIDES = ("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE")
"""Headers by which some programs let a GET stand for another method."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]?#,]+)(?::[0-9]{1,5})?")
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_OF_FILES = (
    ("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'"),
    ("Content-Disposition", "attachment"),
)
"""What keeps a drawing that is opened by itself from being a page of the dashboard's."""
_FILES = "/artifacts/"
_KINDS_OF_FILES = ("image/svg+xml", "application/octet-stream")

Host = IPv4Address | IPv6Address | str
Answer = Callable[..., Any]
App = Callable[[dict[str, Any], Answer], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must be to be answered.

    `hosts` are the names and addresses by which the server is reached; `any_address` says that every address is one.
    """

    hosts: frozenset[Host]
    any_address: bool = False
    password: str | None = None

    @classmethod
    def to(cls, host: str, address: str, password: str | None) -> Access:
        """The access to a server that was to listen on `host` and listens on `address`."""
        bound = ip_address(address.partition("%")[0])
        hosts: set[Host] = {_host(host), bound}
        if bound.is_loopback or bound.is_unspecified:
            hosts.add("localhost")
        if bound.is_unspecified:
            hosts |= {_host(socket.gethostname()), _host(socket.getfqdn())}
        return cls(frozenset(hosts), bound.is_unspecified, password)

    def refusal(self, request: dict[str, Any]) -> tuple[HTTPStatus, str] | None:
        """Why a request is not answered: the status and a line; None for one that is."""
        if request["REQUEST_METHOD"] not in READING:
            return HTTPStatus.METHOD_NOT_ALLOWED, "the dashboard is to be read: GET and HEAD alone are answered"
        if any(request.get(name, "GET").upper() not in READING for name in _OVERRIDES):
            return HTTPStatus.METHOD_NOT_ALLOWED, "the dashboard is to be read: no header makes a GET anything else"
        if not request.get("PATH_INFO", "").startswith("/"):
            return HTTPStatus.BAD_REQUEST, "a request must name a path of this server"
        host = request.get("HTTP_HOST", "")
        if not self._is_own(host):
            return HTTPStatus.FORBIDDEN, "this server does not answer by that name: use the address that it printed"
        if not _is_from_its_own_page(request, host):
            return HTTPStatus.FORBIDDEN, "pages of other servers are not answered"
        if self.password is not None and not _holds(request.get("HTTP_AUTHORIZATION", ""), self.password):
            return HTTPStatus.UNAUTHORIZED, f"the password is needed that the server found in {PASSWORD}"
        return None

    def _is_own(self, header: str) -> bool:
        match = _HOST.fullmatch(header)
        host = _host(match[1]) if match else ""
        return host in self.hosts or (self.any_address and not isinstance(host, str))


def guarded(app: App, access: Access) -> App:
    """The application, which answers what `access` lets through; its files are no pages of its own."""

    def answer(request: dict[str, Any], start: Answer) -> Iterable[bytes]:
        refusal = access.refusal(request)
        if refusal is not None:
            return _refuse(*refusal, request, start)

        def start_guarded(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start(status, _guarded(headers, request["PATH_INFO"].startswith(_FILES)), *rest)

        return app(request, start_guarded)

    return answer


def _refuse(status: HTTPStatus, line: str, request: dict[str, Any], start: Answer) -> list[bytes]:
    content = f"{line}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(content))), *_HEADERS]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", ", ".join(READING)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("WWW-Authenticate", 'Basic realm="dashboard", charset="UTF-8"'))
    start(f"{status.value} {status.phrase}", headers)
    return [] if request["REQUEST_METHOD"] == "HEAD" else [content]


def _guarded(headers: Iterable[tuple[str, str]], is_file: bool) -> list[tuple[str, str]]:
    added = (*_HEADERS, *(_OF_FILES if is_file else ()))
    replaced = {"access-control-allow-origin", *(name.lower() for name, _ in added)}
    if not is_file:  # the dashboard's own policy for its pages stays
        replaced.discard("content-security-policy")
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    if is_file:
        kept = [(name, _kind(value) if name.lower() == "content-type" else value) for name, value in kept]
    return [*kept, *added]


def _kind(value: str) -> str:
    return value if value in _KINDS_OF_FILES else _KINDS_OF_FILES[-1]


def _is_from_its_own_page(request: dict[str, Any], host: str) -> bool:
    """Whether no page of another server asks; that a link there leads here is none of that."""
    origin = request.get("HTTP_ORIGIN")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return False
    is_link = request.get("HTTP_SEC_FETCH_MODE") == "navigate" and request.get("HTTP_SEC_FETCH_DEST") == "document"
    return is_link or request.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")


def _holds(header: str, password: str) -> bool:
    """Whether HTTP's basic authorization, of whatever name, has the password."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        given = b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return False
    return compare_digest(given, password.encode(errors="surrogateescape"))


def _host(text: str) -> Host:
    """A host as it is compared: an address as its number, a name in small letters without its last dot."""
    name = text.strip("[]")
    try:
        return ip_address(name)
    except ValueError:
        return name.lower().removesuffix(".")
