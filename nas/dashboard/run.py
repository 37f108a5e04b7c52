"""What `python -m nas.dashboard` does, once its flags are read."""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from nas.cli.storage import storage_of
from nas.dashboard.access import PASSWORD, Access, guarded
from proxies.latency.lifetime import ending_with_this
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.files import write_json
from search_space.scratch import Scratch
from studies.optuna_internals import id_of_study
from studies.storage.studies import load_study, open_to_read

EXTRA = "python -m pip install -e '.[dashboard]'"


def serve(flags: argparse.Namespace) -> int:
    """The exit status, once Ctrl-C has ended the server."""
    if find_spec("optuna_dashboard") is None:
        raise InputError(f"the dashboard needs optuna-dashboard, which is not installed: {EXTRA}")
    password = os.environ.get(PASSWORD)
    if password == "":
        raise InputError(f"the dashboard's password must have a letter at least, and {PASSWORD} is empty: unset it")
    url = storage_of(flags)
    study = load_study(open_to_read(url), flags.study)
    import optuna_dashboard

    from studies.dashboard.annotated_storage import AnnotatedStorage

    storage = AnnotatedStorage(url)
    with Scratch() as scratch:
        app = optuna_dashboard.wsgi(storage, Artifacts(storage, Path(scratch)))
        with _server(flags.host, flags.port) as server:
            address, port = server.server_address[:2]
            access = Access.to(flags.host, str(address), password)
            server.set_app(guarded(app, access))
            host = f"[{flags.host}]" if ":" in flags.host else flags.host
            if password is None and not ip_address(str(address)).is_loopback:
                print(
                    f"no password is asked for: whoever reaches {host} may read; {PASSWORD} sets one", file=sys.stderr
                )
            try:
                print("Ctrl-C ends it", file=sys.stderr, flush=True)
                # The last line, for whoever waits for it goes on then, and may end this at once.
                print(f"http://{host}:{port}/dashboard/studies/{id_of_study(study)}", flush=True)
                server.serve_until_interrupted()
            except KeyboardInterrupt:
                print("ended", file=sys.stderr)
    return 0


class Artifacts:
    """An artifact store of optuna's that makes each file when it is asked for, and takes none."""

    def __init__(self, storage: Any, folder: Path) -> None:
        self._storage, self._folder = storage, folder

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file of that name, made now."""
        from studies.dashboard.annotated_storage import ONNX, Artifact

        artifact = Artifact.of_id(artifact_id)
        if artifact.file != ONNX:
            return io.BytesIO(self._storage.drawing(artifact).encode())
        architecture = self._storage.get_trial(artifact.trial_id).user_attrs["architecture"]
        return untrained_onnx(architecture, self._folder / artifact_id).open("rb")

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Never comes back: nothing is kept."""
        raise InputError("files cannot be added to a study's trials here: they are made from what it keeps")

    def remove(self, artifact_id: str) -> None:
        """Never comes back: nothing is kept."""
        raise InputError("files of a study's trials cannot be removed: they are made from what it keeps")


def untrained_onnx(architecture: dict[str, Any], folder: Path) -> Path:
    """The ONNX file of the architecture with random weights, for timing; a process of its own makes it, with torch.

    Raises:
        RuntimeError: it could not.
    """
    name = Architecture.from_dict(architecture).short_name
    made = folder / f"{name}.untrained.onnx"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file = write_json(folder / f"{name}.json", architecture)
        line = [sys.executable, "-m", "nas.export", str(file), "--format", "onnx", "--untrained", "--no-latency"]
        line += ["--out", str(folder)]
        environment = {**os.environ, **ending_with_this()}
        done = subprocess.run(line, env=environment, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise RuntimeError(f"the ONNX file was not made: {done.stderr.strip()}")
    return made


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        self._ending = False
        super().__init__(address, _Quiet)

    def serve_until_interrupted(self) -> None:
        """Serves until Ctrl-C; a thread takes the requests, for an interrupt would close the one that is being taken.

        Raises:
            KeyboardInterrupt: it was pressed.
        """
        serving = Thread(target=self.serve_forever, daemon=True)
        try:
            serving.start()  # takes a while where the machine is busy
            serving.join()
        finally:
            self._ending = True
            if serving in enumerate_threads():
                self.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says in a line what went wrong with a request, but that its sender has gone or the server is at its end."""
        error = sys.exc_info()[1]
        if not self._ending and not isinstance(error, ConnectionError | TimeoutError):
            print(f"a request failed: {type(error).__name__}: {error}", file=sys.stderr)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs no request: a line for each would hide what matters."""


def _server(host: str, port: int) -> _Server:
    """A server on the first address that the host has.

    Raises:
        InputError: it has none here, or the port cannot be had.
    """
    if not host.strip():
        raise InputError("--host must be a name or an address of this machine, got an empty text: 0.0.0.0 is all")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return _Server(family, (str(address[0]), int(address[1])))
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(f"the dashboard needs a free port, and {host}:{port} cannot be had: {error}") from error
