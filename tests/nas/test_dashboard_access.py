"""Whom the dashboard answers: who reads, at an address of its own, from its own pages, with the password if any."""

import os
import signal
import socket
import sqlite3
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import optuna
import pytest
from builders.records import record
from optuna.storages import BaseStorage

from nas.dashboard.__main__ import main
from nas.dashboard.access import PASSWORD, Access, guarded
from search_space import PRESETS
from search_space.errors import InputError
from studies.dashboard.annotated_storage import AnnotatedStorage
from studies.record import attributes_of
from studies.storage.studies import open_storage, open_study

HERE = Access.to("127.0.0.1", "127.0.0.1", None)
Serve = Callable[..., tuple[int, Path]]


def asked(access: Access = HERE, **request: str) -> int:
    """The status that a request is answered with."""
    status: list[str] = []

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("Access-Control-Allow-Origin", "*")])
        return [b"page"]

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/dashboard", "HTTP_HOST": "127.0.0.1:8080", **request}
    list(guarded(app, access)(environ, lambda line, headers: status.append(line)))
    return int(status[0][:3])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND"])
def test_a_method_that_is_none_of_reading_is_refused(method: str) -> None:
    assert asked(REQUEST_METHOD=method) == 405


@pytest.mark.parametrize("header", ["X_HTTP_METHOD_OVERRIDE", "X_HTTP_METHOD", "X_METHOD_OVERRIDE"])
def test_a_header_makes_a_get_nothing_else(header: str) -> None:
    assert asked(**{f"HTTP_{header}": "POST"}) == 405


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "127.0.0.1", "localhost:8080", "LOCALHOST", "localhost.:8080", "127.0.0.1:9000"]
)
def test_the_servers_own_addresses_are_answered(host: str) -> None:
    assert asked(HTTP_HOST=host) == 200


STRANGE_HOSTS = (
    *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.7:8080"),
    *("", "127.0.0.1,127.0.0.1", "127.0.0.1:8080:80", "user@127.0.0.1", "127.0.0.1:x", "[::1", "::1", "127.0.0.1 "),
    *("0.0.0.0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost..", "http://127.0.0.1", "127.0.0.1/", "\xe9"),
)


@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_other_hosts_are_refused(host: str) -> None:
    assert asked(HTTP_HOST=host) == 403


@pytest.mark.parametrize(
    ("bound", "address", "host", "status"),
    [
        ("::1", "::1", "[::1]:8080", 200),
        ("::1", "::1", "[0:0:0:0:0:0:0:1]", 200),
        ("::1", "::1", "localhost:8080", 200),
        ("::1", "::1", "[::2]:8080", 403),
        ("0.0.0.0", "0.0.0.0", "192.168.0.7:8080", 200),
        ("0.0.0.0", "0.0.0.0", f"{socket.gethostname()}:8080", 200),
        ("0.0.0.0", "0.0.0.0", "evil.example", 403),
        ("192.168.0.7", "192.168.0.7", "192.168.0.7", 200),
        ("192.168.0.7", "192.168.0.7", "localhost", 403),
        ("Lab.Example", "192.168.0.7", "lab.example:8080", 200),
        ("Lab.Example", "192.168.0.7", "192.168.0.7:8080", 200),
        ("Lab.Example", "192.168.0.7", "other.example", 403),
    ],
)
def test_what_a_server_answers_to_is_what_it_is_bound_to(bound: str, address: str, host: str, status: int) -> None:
    assert asked(Access.to(bound, address, None), HTTP_HOST=host) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"HTTP_ORIGIN": "http://127.0.0.1:8080"}, 200),
        ({"HTTP_ORIGIN": "http://evil.example"}, 403),
        ({"HTTP_ORIGIN": "http://127.0.0.1:9000"}, 403),
        ({"HTTP_ORIGIN": "null"}, 403),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, 200),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "cors"}, 403),
        ({"HTTP_SEC_FETCH_SITE": "same-site", "HTTP_SEC_FETCH_MODE": "no-cors", "HTTP_SEC_FETCH_DEST": "image"}, 403),
        (
            {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "iframe"},
            403,
        ),
        (
            {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "document"},
            200,
        ),
    ],
)
def test_pages_of_other_servers_are_refused_and_their_links_followed(headers: dict[str, str], status: int) -> None:
    assert asked(**headers) == status


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (basic("anyone:gehei:m ü"), 200),
        (basic(":gehei:m ü").replace("Basic", "basic"), 200),
        (basic("anyone:geheim"), 401),
        (basic("gehei:m ü"), 401),
        (basic("anyone"), 401),
        ("Basic !!!", 401),
        ("Bearer gehei:m ü", 401),
        ("", 401),
    ],
)
def test_the_password_is_asked_for_where_there_is_one(header: str, status: int) -> None:
    access = Access.to("127.0.0.1", "127.0.0.1", "gehei:m ü")
    assert asked(access, HTTP_AUTHORIZATION=header) == status


def test_the_storage_itself_refuses_every_way_to_write(tmp_path: Path) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path}/study.db"), "one", {}, resume=False)
    study.add_trial(optuna.create_trial(values=[0.5, 1.0]))
    storage = AnnotatedStorage(f"sqlite:///{tmp_path}/study.db")
    ways = [name for name in dir(BaseStorage) if name.startswith(("set_", "create_", "delete_"))]
    assert len(ways) == 10
    for name in ways:
        with pytest.raises(InputError, match="not changed"):
            getattr(storage, name)(1, "x", "y")


@pytest.fixture
def served(tmp_path: Path, command: Callable[..., list[str]]) -> Iterator[Serve]:
    """Starts the dashboard on a study of one trial; gives its port and the database."""
    processes: list[subprocess.Popen[str]] = []

    def start(*flags: str, password: str = "") -> tuple[int, Path]:
        url = f"sqlite:///{tmp_path}/study.db"
        study = open_study(open_storage(url), "one", {"budget": "140mflops"}, resume=False)
        attributes = attributes_of(record(PRESETS["v2-0.5x"], 0.5, 1.0))
        study.add_trial(optuna.create_trial(values=[0.5, 1.0], user_attrs=attributes))
        line = command("nas.dashboard", "--storage", url, "--port", "0", *flags)
        environment = {**os.environ, **({PASSWORD: password} if password else {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
        processes.append(subprocess.Popen(line, env=environment, **pipes))  # type: ignore[call-overload]
        assert processes[-1].stdout is not None
        address = processes[-1].stdout.readline()
        return int(address.rpartition("/dashboard")[0].rpartition(":")[2]), tmp_path / "study.db"

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert "Traceback" not in said


def answer(port: int, method: str, path: str, host: str = "127.0.0.1", **headers: str) -> tuple[int, dict[str, str]]:
    with closing(HTTPConnection(host, port, timeout=60)) as connection:
        connection.request(method, path, body=b"{}", headers={"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}


def contents(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


WRITES = (
    ("POST", "/api/studies"),
    ("POST", "/api/studies/1/rename"),
    ("DELETE", "/api/studies/1"),
    ("PUT", "/api/studies/1/note"),
    ("PUT", "/api/studies/1/1/note"),
    ("POST", "/api/trials/1/tell"),
    ("POST", "/api/trials/1/user-attrs"),
    ("POST", "/api/artifacts/1/1"),
    ("DELETE", "/api/artifacts/1/1/1-0"),
    ("POST", "/incompatible-rdb-schema"),
)


def test_a_served_study_is_read_and_by_no_request_changed(served: Serve) -> None:
    port, file = served()
    before = contents(file)
    assert [answer(port, *each)[0] for each in WRITES] == len(WRITES) * [405]
    assert answer(port, "GET", "/api/studies", Host="evil.example")[0] == 403
    for path in ("/api/studies", "/api/studies/1", "/dashboard", "/csv/1"):
        for method in ("GET", "HEAD"):
            assert answer(port, method, path)[0] == 200
    _, headers = answer(port, "GET", "/artifacts/1/1/1-0")
    assert headers["content-type"] == "image/svg+xml"
    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox")
    assert "access-control-allow-origin" not in headers
    assert contents(file) == before


def test_a_password_opens_what_it_closes(served: Serve) -> None:
    port, _ = served("--host", "localhost", password="geheim")
    status, headers = answer(port, "GET", "/api/studies", host="localhost")
    assert status == 401
    assert headers["www-authenticate"].startswith("Basic ")
    assert answer(port, "GET", "/api/studies", host="localhost", Authorization=basic("me:geheim"))[0] == 200


def test_an_address_of_the_new_kind_is_served(served: Serve) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    port, _ = served("--host", "::1")
    assert answer(port, "GET", "/api/studies", host="::1")[0] == 200


def test_an_open_address_without_a_password_is_told(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    open_study(open_storage(url), "one", {"budget": "140mflops"}, resume=False)
    line = command("nas.dashboard", "--storage", url, "--port", "0", "--host", "0.0.0.0")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1].splitlines()
    assert said[0] == f"no password is asked for: whoever reaches 0.0.0.0 may read; {PASSWORD} sets one"


@pytest.mark.parametrize("host", ["", " ", "no such host", "999.1.1.1", "evil.invalid", 70 * "x"])
def test_a_host_that_is_none_is_a_mistake_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    open_study(open_storage(url), "one", {}, resume=False)
    assert main(["--storage", url, "--host", host]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_empty_password_is_a_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(PASSWORD, "")
    assert main(["--storage", "sqlite:///none.db"]) == 2
    assert PASSWORD in capsys.readouterr().err
