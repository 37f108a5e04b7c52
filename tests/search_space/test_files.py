"""Files that are whole or not there, and names for them that are no paths."""

import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from search_space.errors import InputError
from search_space.files import PARTIAL, file_name, replacing, write_json, write_text, write_whole

LONGEST = 255 * "n"
CUT = """
import pathlib, sys
from search_space.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(PARTIAL))


@pytest.mark.parametrize("name", ["plain.json", LONGEST, " leading", "-dash", "new\nline", "a'b\"c", "dot.", "100%s"])
def test_a_file_of_any_name_is_written_and_nothing_else(tmp_path: Path, name: str) -> None:
    assert write_whole(tmp_path / name, b"new") == tmp_path / name
    assert (tmp_path / name).read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    old = write_whole(tmp_path / "file", b"old")

    def fail() -> None:
        with replacing(old) as partial:
            partial.write_bytes(b"half")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        fail()
    assert old.read_bytes() == b"old"
    assert left_in(tmp_path) == []


def test_what_does_not_fit_leaves_the_old_file(tmp_path: Path) -> None:
    old, limit = write_whole(tmp_path / "file", b"old"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_whole(old, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert old.read_bytes() == b"old"
    assert left_in(tmp_path) == []


def test_what_a_killed_writer_left_is_removed_by_the_next_one_and_no_running_writers_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    writers = [
        subprocess.Popen([sys.executable, "-c", CUT, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
    writers[0].send_signal(signal.SIGKILL)
    writers[0].wait()
    assert len(left_in(tmp_path)) == 2
    write_whole(file, b"whole")
    assert len(left_in(tmp_path)) == 1
    writers[1].communicate()
    assert file.read_bytes() == b"half"
    assert left_in(tmp_path) == []
    for writer in writers:
        writer.communicate()


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_whole, args=(tmp_path / "file", each)) for each in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() in contents
    assert left_in(tmp_path) == []


def test_a_file_system_without_locks_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write_whole(tmp_path / "file", b"old")
    assert write_whole(tmp_path / "file", b"new").read_bytes() == b"new"


def test_a_link_stays_one_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to(Path("far", "file"))
    write_whole(link, b"made")
    write_whole(link, b"written over")
    assert link.is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"written over"


def test_permissions_stay_as_they_were(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "file", b"old")
    file.chmod(0o640)
    write_whole(file, b"new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_new_files_have_the_permissions_that_the_user_gives_all(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        file = write_whole(tmp_path / "file", b"new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"through it")
    reader.join()
    assert read == [b"through it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder", "is a folder: name a file in it"),
        ("none/file", "No such file or directory"),
        ("file/below", "Not a directory"),
        (256 * "n", "File name too long"),
        ("nul\0", "null"),
        ("circle", "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_a_file_is_refused(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match=why):
        write_whole(tmp_path / name, b"content")


def test_text_is_utf_8_and_what_is_no_letter_stands_as_its_number(tmp_path: Path) -> None:
    assert write_text(tmp_path / "file", "é \udce9\n").read_bytes() == b"\xc3\xa9 \\udce9\n"


def test_json_of_any_text_is_read_back(tmp_path: Path) -> None:
    assert write_json(tmp_path / "file", ["é", "\udce9"]).read_bytes() == b'[\n "\\u00e9",\n "\\udce9"\n]\n'


STRANGE = (
    *(
        "../../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "..",
        ".",
        "",
        " ",
        ".hidden",
        "-dash",
        "--out",
        "nul\0",
        "new\nline",
        "tab\t",
    ),
    *(
        "dot.",
        "space ",
        "CON",
        "con.txt",
        "Lpt1.json",
        "nul .x",
        "a:b",
        "a*b",
        "a?b",
        "<b>",
        "a|b",
        '"a"',
        "~root",
        "$HOME",
    ),
    *(300 * "x", 299 * "x" + "y", 200 * "é", "cafe\u0301", "caf\udce9", "\u202egnp.exe", "x\u2028y", "%2e%2e%2f"),
)


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_is_a_file_in_its_folder(tmp_path: Path, name: str) -> None:
    made = file_name(name)
    folder = tmp_path / "folder"
    folder.mkdir()
    write_whole(folder / f"{made}.untrained.int8.onnx", b"content")
    assert [path.name for path in folder.iterdir()] == [f"{made}.untrained.int8.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert made[0] not in ".-~ "
    assert made[-1] not in ". "
    assert made.isprintable()
    assert not set(made) & set('/\\:*?"<>|%$\0')
    assert made.partition(".")[0].upper() not in ("CON", "NUL", "LPT1")


def test_different_names_are_those_of_different_files() -> None:
    names = [*STRANGE, "x", "caf\u00e9", "a-b", "con"]
    names += [file_name(name) for name in STRANGE]
    assert len({file_name(name) for name in names}) == len(set(names))


@pytest.mark.parametrize(
    "name", ["v2-1.0x+residual+se", "v2-3a46da0d", "Try 1", "vgg-like@38mflops", "méthode", "研究"]
)
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    assert file_name(name) == name


def test_a_name_is_one_that_the_file_system_can_spell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert file_name("méthode").isascii()
    assert file_name("研究") != file_name("研修")
