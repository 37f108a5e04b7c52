"""No password is left in a text, wherever a URL, a driver or a shell has put it."""

import shlex

import pytest

from studies.storage.secrets import command_line, plain_without_secrets, secrets_in, shown_url, without_secrets

SECRET = "hunter2"
URLS = {
    "a password": ("postgresql+psycopg://nas:hunter2@host:5432/db", "postgresql+psycopg://nas:***@host:5432/db"),
    "without a name": ("redis://:hunter2@host:6379", "redis://:***@host:6379"),
    "an @ in it": ("postgresql://nas:hun@hunter2@host/db", "postgresql://nas:***@host/db"),
    "an @ in it as a code": ("postgresql://nas:hunter2%40x@host/db", "postgresql://nas:***@host/db"),
    "a slash in it": (
        "postgresql://nas:x/hunter2@host/db?sslmode=require",
        "postgresql://nas:***@host/db?sslmode=require",
    ),
    "a question mark and an @ in it": ("postgresql://nas:a?b@hunter2@host/db", "postgresql://nas:***@host/db"),
    "a colon in it": ("postgresql://nas:hunter2:hunter2@host/db", "postgresql://nas:***@host/db"),
    "a space and quotes in it": ("postgresql://nas:hunter2' \"hunter2@host/db", "postgresql://nas:***@host/db"),
    "a slash in the name": ("postgresql://n/as:hunter2@host/db", "postgresql://***@host/db"),
    "in the query": ("postgresql://host/db?user=nas&password=hunter2", "postgresql://host/db?user=nas&password=***"),
    "of a key": (
        "postgresql://host/db?sslpassword=hunter2&x=me@work",
        "postgresql://host/db?sslpassword=***&x=me@work",
    ),
    "of a file": ("postgresql://host/db?passfile=hunter2", "postgresql://host/db?passfile=***"),
    "a name in codes": ("postgresql://host/db?pass%77ord=hunter2", "postgresql://host/db?pass%77ord=***"),
    "and an @ in the query": ("postgresql://nas:hunter2@host/db?x=me@work", "postgresql://nas:***@host/db?x=me@work"),
    "a port that is none": ("postgresql://nas:hunter2@host:54x/db", "postgresql://nas:***@host:54x/db"),
    "no host": ("postgresql://nas:hunter2", "postgresql://nas:***"),
    "no scheme": ("nas:hunter2@host/db", "***@host/db"),
    "libpq's own words": ("host=host password=hunter2 user=nas", "host=host password=*** user=nas"),
    "an encrypted file": ("sqlite+pysqlcipher://:hunter2@/study.db", "sqlite+pysqlcipher://:***@/study.db"),
}


@pytest.mark.parametrize("case", URLS)
def test_a_url_is_shown_without_its_password(case: str) -> None:
    url, expected = URLS[case]
    assert shown_url(url) == expected


@pytest.mark.parametrize("case", URLS)
def test_a_command_line_is_kept_without_a_password(case: str) -> None:
    for arguments in (["--storage", URLS[case][0]], [f"--storage={URLS[case][0]}"]):
        line = command_line("nas.run", arguments)
        kept = plain_without_secrets({"command": shlex.join(["python", "-m", "nas.run", *arguments]), "lines": [line]})
        assert line.startswith("python -m nas.run ")
        if "://" in URLS[case][0] or "=" in URLS[case][0]:
            assert SECRET not in line
            assert SECRET not in str(kept)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "sqlite:////home/me@work/study.db",
            "sqlite:///C:/a@b/study.db",
            "postgresql://nas@host/db",
            "postgresql:///db",
        ),
        *("http://127.0.0.1:8080/dashboard", "postgresql+psycopg://[::1]:5432/db", "ray://10.0.0.1:10001", "study.db"),
    ],
)
def test_what_holds_no_password_is_shown_as_it_is(url: str) -> None:
    assert shown_url(url) == url
    assert without_secrets(f"see {url}, or {url!r}: no") == f"see {url}, or {url!r}: no"


def test_a_message_that_quotes_a_part_of_the_password_is_told_without_it() -> None:
    secrets = secrets_in(["--storage", "postgresql://nas:hun%40ter2@host/db", "--password", "open sesame"])
    told = without_secrets("could not resolve 'hun@ter2' (hun%40ter2), nor open sesame; hunter is a name", secrets)
    assert told == "could not resolve '***' (***), nor ***; hunter is a name"


def test_the_value_of_a_flag_for_a_password_is_not_kept() -> None:
    assert command_line("nas.dashboard", ["--password", "hunter2", "--password=hunter2", "--port", "0"]) == (
        "python -m nas.dashboard --password '***' '--password=***' --port 0"
    )


def test_plain_json_keeps_all_that_is_no_secret() -> None:
    kept = {
        "command": "python -m nas.run --out 'a b' --budget 1mflops",
        "date": "2026-11-01",
        "n": 3,
        "worker": {"x": None},
    }
    assert plain_without_secrets(kept) == kept
