"""What a study keeps of where its numbers come from."""

import json
import subprocess
from pathlib import Path

import sqlalchemy

from nas.search.provenance import commit_of, environment


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=one", "-c", "user.email=one@example.org")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_commit_is_gits_own_and_says_what_was_changed_since(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "tag", "-a", "v1", "-m", "a name is no commit")
    assert commit_of(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert commit_of(tmp_path) == f"{commit}-dirty"


def test_without_a_checkout_the_commit_is_unknown(tmp_path: Path) -> None:
    assert commit_of(tmp_path / "nowhere") is None


def test_the_environment_is_plain_json_with_processor_and_versions() -> None:
    found = json.loads(json.dumps(environment()))
    assert found["versions"]["sqlalchemy"] == sqlalchemy.__version__
    assert found["processor"]
