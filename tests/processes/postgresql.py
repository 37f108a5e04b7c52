"""A throw-away PostgreSQL server on loopback: its data in a folder of its own, gone when the server is stopped."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from processes.ports import free_port

SERVERS = "/usr/lib/postgresql"
"""Where Debian puts what is not on the PATH."""
START_SECONDS = 60
DATABASE = "postgres"
CLEAN_UP = 'read line; kill -QUIT "$(head -n 1 data/postmaster.pid)"; rm -rf "$PWD"'
"""What a shell does when the tests end or are killed, for then it comes to the end of its standard input."""


def programs() -> Path | None:
    """The folder of the server's programs; None where none is installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path.parent for path in Path(SERVERS).glob("*/bin/initdb")]
    return max(installed, key=lambda folder: float(folder.parent.name), default=None)


def missing() -> str:
    """What keeps a server from being started here; "" where nothing does."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "needs psycopg: python -m pip install -e '.[dev]'"
    if programs() is None:
        return "needs PostgreSQL's initdb on the PATH: apt-get install postgresql"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres or nobody"
    return ""


class Server:
    """A server that was started; `stop`, `kill` and `start` it as often as need be, on one port.

    One that is not durable is faster, and loses what it kept with the machine.
    """

    def __init__(self, *, is_durable: bool = False) -> None:
        self._is_durable = is_durable
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="shufflenet-nas-postgresql-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if (user := _user()) is not None:
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", self._data, "-U", "nas", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()
        self._cleaner = subprocess.Popen(
            ["sh", "-c", CLEAN_UP],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        """The URL of the server's one database."""
        return f"postgresql+psycopg://nas@127.0.0.1:{self.port}/{DATABASE}"

    def empty(self) -> None:
        """Puts out whoever is on the database, and empties it."""
        import psycopg

        if self._process is None:  # a test that stopped it failed
            self.start()
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            others = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'nas'"
            connection.execute(f"{others} AND pid <> pg_backend_pid()")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def start(self) -> None:
        """Waits until the server takes connections."""
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        if not self._is_durable:
            options |= {"fsync": "off"}  # what it kept outlives the server, not the machine
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", self._data, *settings),
                **_identity(),
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a test is not for the server
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends the server at once and in order; its connections are broken."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kills the server, as in a crash; it comes back by `start`."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Removes the server and all that it kept."""
        self._end(signal.SIGQUIT)
        self._cleaner.communicate()

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        return self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", self.port, check=False) == 0

    def _run(self, program: str, *arguments: object, check: bool = True) -> int:
        done = subprocess.run(
            self._command(program, *arguments), **_identity(), cwd=self._folder, capture_output=True, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode()[-2000:]}")
        return done.returncode

    def _command(self, program: str, *arguments: object) -> list[str]:
        assert self._programs is not None
        return [str(self._programs / program), *map(str, arguments)]


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as where this process is root; None where it is not, or there is no such user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _identity() -> dict:
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
